#include "bench/support.hpp"
#include "recovery/posix_disk.hpp"
#include "transport/asio_loop.hpp"

#include <algorithm>

using namespace weft;

namespace {

bytes block_of(std::size_t size) { return bytes(size, std::byte{0x5A}); }

// The floor: one write to the page cache, and one write made durable, of the same size as a small run.
void raw_write(benchmark::State& state) {
    bench::scratch place;
    asio_loop run;
    auto files = open_posix_disk(place.path.string(), run);
    auto f = (*files)->create("raw");
    bytes block = block_of(static_cast<std::size_t>(state.range(0)));
    bool durable = state.range(1) == 1;
    for (auto _ : state) {
        if (!(*f)->append(block) || (durable && !(*f)->sync())) state.SkipWithError("write failed");
    }
    state.SetBytesProcessed(state.iterations() * state.range(0));
}
BENCHMARK(raw_write)
    ->ArgNames({"bytes", "fdatasync"})
    ->Args({128, 0})
    ->Args({128, 1})
    ->UseRealTime();

// What does a transaction cost until it is acknowledged: in memory, and on disk?
void acknowledged_transaction(benchmark::State& state, sync_policy policy, ack_level level) {
    bench::scratch place;
    auto r = bench::open(place, "a", {.sync = policy, .packed = codec::none});
    for (auto _ : state) {
        auto done = r->transact([](transaction& t) { return t.counter("visits").increment(); });
        if (!done || !done->wait(level)) state.SkipWithError("not acknowledged");
    }
    state.SetItemsProcessed(state.iterations());
}
BENCHMARK_CAPTURE(acknowledged_transaction, commit_disk, sync_policy::commit, ack_level::disk())
    ->UseRealTime();
BENCHMARK_CAPTURE(acknowledged_transaction, interval_memory, sync_policy::interval,
                  ack_level::memory())
    ->UseRealTime();
BENCHMARK_CAPTURE(acknowledged_transaction, none_memory, sync_policy::none, ack_level::memory())
    ->UseRealTime();

// Group commit: 64 writers, each waiting for the disk. How much does sharing one fdatasync give?
void group_commit(benchmark::State& state) {
    bench::scratch place;
    auto r = bench::open(place, "a", {.sync = sync_policy::commit, .packed = codec::none});
    constexpr int writers = 64;
    constexpr int each = 20;
    std::vector<double> waits;
    for (auto _ : state) {
        std::vector<std::thread> threads;
        std::vector<std::vector<double>> found(writers);
        for (int w = 0; w < writers; ++w) {
            threads.emplace_back([&, w] {
                for (int i = 0; i < each; ++i) {
                    auto began = bench::clock::now();
                    auto done =
                        r->transact([](transaction& t) { return t.counter("visits").increment(); });
                    if (done && done->wait(ack_level::disk())) {
                        found[static_cast<std::size_t>(w)].push_back(bench::seconds_since(began) *
                                                                     1e3);
                    }
                }
            });
        }
        for (auto& t : threads) t.join();
        for (auto& f : found) waits.insert(waits.end(), f.begin(), f.end());
    }
    std::sort(waits.begin(), waits.end());
    state.SetItemsProcessed(state.iterations() * writers * each);
    state.counters["p50_ms"] = waits[waits.size() / 2];
    state.counters["p99_ms"] = waits[waits.size() * 99 / 100];
}
BENCHMARK(group_commit)->UseRealTime()->Unit(benchmark::kMillisecond);

} // namespace

BENCHMARK_MAIN();
