#include "bench/support/support.hpp"

#include "tests/seeds.hpp"

#include <algorithm>
#include <cstdlib>
#include <fstream>
#include <unistd.h>

namespace weft::bench {
namespace {

bool for_an_instant = false;

} // namespace

std::size_t sized(std::size_t full) {
    return for_an_instant ? std::max<std::size_t>(full / 100, 1) : full;
}

scratch::scratch() {
    std::string pattern = (std::filesystem::temp_directory_path() / "weft-bench-XXXXXX").string();
    path = mkdtemp(pattern.data());
}

durable_replica open(const scratch& place, const std::string& name, replica_options options) {
    options.name = name;
    auto opened =
        open_replica((place.path / name).string(), std::move(options), [](const log_event&) {});
    if (!opened) {
        std::fprintf(stderr, "%s\n", to_string(opened.error()).c_str());
        std::_Exit(1);
    }
    return std::move(*opened);
}

replica_options plain(std::vector<std::string> listen, std::vector<std::string> peers) {
    return {.listen = std::move(listen),
            .peers = std::move(peers),
            .sync = sync_policy::interval,
            .packed = codec::none,
            .snapshot_log_bytes = 0,
            .snapshot_interval_ms = 0};
}

std::string key(std::size_t i) {
    // Odd, so that no two numbers below 2^32 give the same: Knuth's multiplicative hash.
    auto scattered = static_cast<std::uint32_t>(i) * 2'654'435'761U;
    std::string text(8, '0');
    for (std::size_t at = text.size(); at > 0; scattered >>= 4U)
        text[--at] = "0123456789abcdef"[scattered & 15U];
    return text;
}

noise::noise() : data_(1U << 19U) {
    random_generator random(seeds::bench);
    for (std::byte& b : data_) b = static_cast<std::byte>(random.next());
}

byte_view noise::view(random_generator& random, std::size_t size) const {
    return byte_view(data_).subspan(random.below(data_.size() - size), size);
}

void fill(replica& r, std::size_t count) {
    noise values;
    random_generator random(seeds::bench);
    for (std::size_t first = 0; first < count; first += 100) {
        auto made = r.transact([&](transaction& t) {
            for (std::size_t i = first; i < std::min(first + 100, count); ++i) {
                (void)t.lww_register(key(i)).set(values.fresh(random, 100));
            }
        });
        if (!made) {
            std::fprintf(stderr, "%s\n", to_string(made.error()).c_str());
            std::_Exit(1);
        }
    }
}

double now_s() { return std::chrono::duration<double>(clock::now().time_since_epoch()).count(); }

double quantile(std::vector<double> of, double q) {
    auto at = static_cast<std::ptrdiff_t>(q * static_cast<double>(of.size() - 1));
    std::nth_element(of.begin(), of.begin() + at, of.end());
    return of[static_cast<std::size_t>(at)];
}

double rss_bytes() {
    std::ifstream file("/proc/self/statm");
    double total = 0;
    double resident = 0;
    file >> total >> resident;
    return resident * static_cast<double>(sysconf(_SC_PAGESIZE));
}

} // namespace weft::bench

int main(int argc, char** argv) {
    const std::string min_time = "--benchmark_min_time=";
    for (int i = 1; i < argc; ++i) {
        std::string argument = argv[i];
        if (argument.starts_with(min_time))
            weft::bench::for_an_instant = std::stod(argument.substr(min_time.size())) < 0.01;
    }
    benchmark::Initialize(&argc, argv);
    if (benchmark::ReportUnrecognizedArguments(argc, argv)) return 1;
    benchmark::RunSpecifiedBenchmarks();
    benchmark::Shutdown();
}
