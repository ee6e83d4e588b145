#include "crdt/map.hpp"

#include <benchmark/benchmark.h>

using namespace weft;

namespace {

constexpr replica_id self{1};

add_wins_set<int> grown_set(std::int64_t size) {
    add_wins_set<int> set;
    for (int i = 0; i < size; ++i) set.join(set.add({self, static_cast<std::uint64_t>(i) + 1}, i));
    return set;
}

// What does one add cost, in time and in bytes, as the set grows?
void add_to_set(benchmark::State& state) {
    auto set = grown_set(state.range(0));
    dot fresh{self, static_cast<std::uint64_t>(state.range(0)) + 1};
    for (auto _ : state) benchmark::DoNotOptimize(set.add(fresh, -1));
    state.counters["delta_bytes"] = static_cast<double>(set.add(fresh, -1).encoded().size());
}
BENCHMARK(add_to_set)->RangeMultiplier(10)->Range(10, 100'000);

// Does joining a delta cost time in the delta only? The join of an add and of its removal, in turn.
void join_delta_into_set(benchmark::State& state) {
    auto set = grown_set(state.range(0));
    std::uint64_t counter = static_cast<std::uint64_t>(state.range(0));
    for (auto _ : state) {
        set.join(set.add({self, ++counter}, -1));
        set.join(set.remove(-1));
    }
}
BENCHMARK(join_delta_into_set)->RangeMultiplier(10)->Range(10, 100'000);

// What does the join of two whole states cost, an element?
void join_states(benchmark::State& state) {
    auto set = grown_set(state.range(0));
    auto other = set;
    other.join(other.add({replica_id{2}, 1}, -1));
    for (auto _ : state) {
        auto joined_set = set;
        joined_set.join(other);
        benchmark::DoNotOptimize(joined_set);
    }
    state.SetItemsProcessed(state.iterations() * state.range(0));
}
BENCHMARK(join_states)->Range(1'000, 100'000);

// What does an increment cost, with its join, as replicas come?
void increment_counter(benchmark::State& state) {
    counter c;
    for (std::uint64_t r = 1; r <= static_cast<std::uint64_t>(state.range(0)); ++r) {
        c.join(c.increment({replica_id{r}, 1}, 1));
    }
    std::uint64_t op = 1;
    for (auto _ : state) c.join(c.increment({self, ++op}, 1));
}
BENCHMARK(increment_counter)->RangeMultiplier(10)->Range(1, 1'000);

// What does a write of one field cost as the map grows?
void put_in_map(benchmark::State& state) {
    map m;
    std::uint64_t op = 0;
    for (std::int64_t i = 0; i < state.range(0); ++i) {
        ++op;
        m.join(m.put({self, op}, {op}, "field" + std::to_string(i), i));
    }
    for (auto _ : state) {
        ++op;
        m.join(m.put({self, op}, {op}, "field5", 7));
    }
}
BENCHMARK(put_in_map)->RangeMultiplier(10)->Range(10, 100'000);

} // namespace
