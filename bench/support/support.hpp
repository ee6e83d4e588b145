#pragma once
#include "base/random.hpp"
#include "crdt/value.hpp"
#include "recovery/restart.hpp"

#include <benchmark/benchmark.h>

#include <chrono>
#include <filesystem>
#include <string>
#include <thread>
#include <vector>

// What the benchmarks share: sizes, places, the load, and how time and memory are read.
namespace weft::bench {

// CI runs every benchmark for an instant (--benchmark_min_time below 0.01), only so that it keeps
// working: then this is a hundredth of `full`.
[[nodiscard]] std::size_t sized(std::size_t full);

// A directory for one benchmark, gone with it.
struct scratch {
    std::filesystem::path path;

    scratch();
    ~scratch() { std::filesystem::remove_all(path); }
    scratch(const scratch&) = delete;
    scratch& operator=(const scratch&) = delete;
};

// Ends the program if that cannot be.
[[nodiscard]] durable_replica open(const scratch& place, const std::string& name,
                                   replica_options options);

// Policy `interval`, codec none, and no snapshot but those asked for: what most rows are measured with.
[[nodiscard]] replica_options plain(std::vector<std::string> listen = {},
                                    std::vector<std::string> peers = {});

// Key number `i` of the load: 8 bytes, each another, in an order as good as random.
[[nodiscard]] std::string key(std::size_t i);

// Bytes that do not compress. Every value that is written is made anew from a place of its own, as by an
// application that has just read it from somewhere.
class noise {
public:
    noise();
    [[nodiscard]] byte_view view(random_generator& random, std::size_t size) const;
    [[nodiscard]] value fresh(random_generator& random, std::size_t size) const {
        return value::of_bytes(view(random, size));
    }

private:
    bytes data_;
};

// Sets registers 0 to `count` once each, to values of 100 bytes, 100 a transaction.
void fill(replica& r, std::size_t count);

// Polls often enough for a benchmark that takes seconds, seldom enough not to disturb it.
template <class Done>
void wait_until(Done done) {
    while (!done()) std::this_thread::sleep_for(std::chrono::microseconds(500));
}

using clock = std::chrono::steady_clock; // one clock for all processes of a machine
[[nodiscard]] double now_s();
[[nodiscard]] inline double seconds_since(clock::time_point began) {
    return std::chrono::duration<double>(clock::now() - began).count();
}

[[nodiscard]] double quantile(std::vector<double> of, double q); // of at least one

// Memory of this process that is in RAM.
[[nodiscard]] double rss_bytes();

} // namespace weft::bench
