#include "base/random.hpp"
#include "bench/support.hpp"
#include "tests/seeds.hpp"

using namespace weft;

namespace {

// How many operations a second does a start replay from the log, over 100,000 keys?
void replay_log(benchmark::State& state) {
    bench::scratch place;
    std::size_t operations = static_cast<std::size_t>(state.range(0));
    {
        auto r = bench::open(place, "a", {.sync = sync_policy::none, .packed = codec::none});
        random_generator random(seeds::bench);
        std::string text(100, 'x');
        for (std::size_t done = 0; done < operations; done += 100) {
            (void)r->transact([&](transaction& t) {
                for (int i = 0; i < 100; ++i) {
                    (void)t.lww_register("k" + std::to_string(random.below(100'000)))
                        .set(value(text));
                }
            });
        }
    }
    double elapsed = 0;
    for (auto _ : state) {
        auto began = bench::clock::now();
        auto r = bench::open(place, "a", {.sync = sync_policy::none, .packed = codec::none});
        elapsed = bench::seconds_since(began);
        state.SetIterationTime(elapsed);
    }
    state.counters["operations/s"] = static_cast<double>(operations) / elapsed;
}
BENCHMARK(replay_log)
    ->Arg(1'000'000)
    ->Iterations(3)
    ->UseManualTime()
    ->Unit(benchmark::kMillisecond);

} // namespace

BENCHMARK_MAIN();
