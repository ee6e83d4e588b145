#include "bench/support/process.hpp"
#include "bench/support/support.hpp"
#include "tests/seeds.hpp"

#include <algorithm>

using namespace weft;

namespace {

// Writes one key over and over, until what is bounded and kept in memory (the newest part of the log) is
// full: then what grows after is the state alone.
void fill_buffers(replica& r) {
    bench::noise values;
    random_generator random(seeds::bench);
    for (std::size_t written = 0; written < bench::sized(2 * limits::log_tail_bytes_max);) {
        (void)r.transact([&](transaction& t) {
            for (int i = 0; i < 100; ++i) {
                (void)t.lww_register("again").set(values.fresh(random, 100));
                written += 100;
            }
        });
    }
}

// By how much does a process grow, an element that `put` puts into its replica? Measured in a fresh process;
// nothing is given back to the system by hand.
void measure_growth(benchmark::State& state,
                    const std::function<void(replica&, std::size_t)>& put) {
    std::size_t count = bench::sized(1'000'000);
    for (auto _ : state) {
        bench::scratch place;
        bench::process alone([&](bench::channel line) {
            double fresh = bench::rss_bytes();
            auto r = bench::open(place, "a", bench::plain());
            fill_buffers(*r);
            double before = bench::rss_bytes();
            put(*r, count);
            double after = bench::rss_bytes();
            line.tell((after - before) / static_cast<double>(count));
            line.tell((after - fresh) / static_cast<double>(count));
        });
        state.counters["bytes_each"] = alone.line().hear_number();
        state.counters["bytes_each_with_buffers"] = alone.line().hear_number();
    }
}

// Registers of 8-byte keys and 100-byte values.
void registers(benchmark::State& state) { measure_growth(state, bench::fill); }
BENCHMARK(registers)->Iterations(1)->UseRealTime()->Unit(benchmark::kMillisecond);

// One set, of members of 8 bytes.
void set_members(benchmark::State& state) {
    measure_growth(state, [](replica& r, std::size_t count) {
        for (std::size_t first = 0; first < count; first += 100) {
            (void)r.transact([&](transaction& t) {
                auto members = t.set<std::string>("members");
                for (std::size_t i = first; i < std::min(first + 100, count); ++i)
                    (void)members.add(bench::key(i));
            });
        }
    });
}
BENCHMARK(set_members)->Iterations(1)->UseRealTime()->Unit(benchmark::kMillisecond);

} // namespace
