#pragma once
#include "recovery/restart.hpp"

#include <benchmark/benchmark.h>

#include <chrono>
#include <cstdio>
#include <filesystem>
#include <thread>

namespace weft::bench {

// A directory for one benchmark, gone with it.
struct scratch {
    std::filesystem::path path;

    scratch() {
        std::string pattern =
            (std::filesystem::temp_directory_path() / "weft-bench-XXXXXX").string();
        path = mkdtemp(pattern.data());
    }
    ~scratch() { std::filesystem::remove_all(path); }
    scratch(const scratch&) = delete;
    scratch& operator=(const scratch&) = delete;
};

inline durable_replica open(const scratch& place, const std::string& name,
                            replica_options options) {
    options.name = name;
    auto opened =
        open_replica((place.path / name).string(), std::move(options), [](const log_event&) {});
    if (!opened) {
        std::fprintf(stderr, "%s\n", to_string(opened.error()).c_str());
        std::exit(1);
    }
    return std::move(*opened);
}

// Polls often enough for a benchmark that takes seconds, seldom enough not to disturb it.
template <class Done>
void wait_until(Done done) {
    while (!done()) std::this_thread::sleep_for(std::chrono::microseconds(200));
}

using clock = std::chrono::steady_clock;
inline double seconds_since(clock::time_point began) {
    return std::chrono::duration<double>(clock::now() - began).count();
}

} // namespace weft::bench
