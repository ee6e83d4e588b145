#include "bench/support/process.hpp"
#include "bench/support/support.hpp"
#include "tests/seeds.hpp"

#include <unordered_map>

using namespace weft;

namespace {

constexpr std::size_t million = 1'000'000;

// Runs `work` in a process of its own, whose memory is as fresh as that of a program that starts; it answers
// with its seconds.
double in_a_fresh_process(const std::function<double()>& work) {
    bench::process alone([&](bench::channel line) { line.tell(work()); });
    return alone.line().hear_number();
}

double time_to_open(const bench::scratch& place, std::size_t objects) {
    auto began = bench::clock::now();
    auto r = bench::open(place, "a", bench::plain());
    double elapsed = bench::seconds_since(began);
    return r->status()->objects == objects ? elapsed : -1;
}

void measure_start(benchmark::State& state, std::size_t operations, std::size_t objects,
                   const std::function<void(replica&)>& write) {
    bench::scratch place;
    (void)in_a_fresh_process([&] {
        auto r = bench::open(place, "a", bench::plain());
        write(*r);
        return 0.0;
    });
    for (auto _ : state) {
        double elapsed = in_a_fresh_process([&] { return time_to_open(place, objects); });
        if (elapsed < 0) return state.SkipWithError("not all came back");
        state.SetIterationTime(elapsed);
        state.counters["operations/s"] = static_cast<double>(operations) / elapsed;
    }
}

// How many operations a second does a start replay from the log, over 100,000 keys?
void replay_log(benchmark::State& state) {
    std::size_t operations = bench::sized(million);
    std::size_t objects = operations / 10;
    measure_start(state, operations, objects, [&](replica& r) {
        for (std::size_t done = 0; done < operations; done += objects) bench::fill(r, objects);
    });
}
BENCHMARK(replay_log)->Iterations(1)->UseManualTime()->Unit(benchmark::kMillisecond);

// How many registers a second does a start load from a snapshot?
void load_snapshot(benchmark::State& state) {
    std::size_t count = bench::sized(million);
    measure_start(state, count, count, [&](replica& r) {
        bench::fill(r, count);
        if (!r.snapshot()) std::_Exit(1);
    });
}
BENCHMARK(load_snapshot)->Iterations(1)->UseManualTime()->Unit(benchmark::kMillisecond);

// The limit of one thread in memory: a hash map that grows to as many keys and values.
void grow_hash_map(benchmark::State& state) {
    std::size_t count = bench::sized(million);
    std::vector<std::string> names;
    for (std::size_t i = 0; i < count; ++i) names.push_back(bench::key(i));
    bench::noise values;
    for (auto _ : state) {
        double elapsed = in_a_fresh_process([&] {
            random_generator random(seeds::bench);
            std::unordered_map<std::string, std::string> table;
            auto began = bench::clock::now();
            for (const auto& name : names) {
                byte_view content = values.view(random, 100);
                table[name].assign(reinterpret_cast<const char*>(content.data()), content.size());
            }
            return bench::seconds_since(began);
        });
        state.SetIterationTime(elapsed);
        state.counters["operations/s"] = static_cast<double>(count) / elapsed;
    }
}
BENCHMARK(grow_hash_map)->Iterations(1)->UseManualTime()->Unit(benchmark::kMillisecond);

} // namespace
