#include "bench/support/support.hpp"
#include "recovery/posix_disk.hpp"
#include "transport/asio_loop.hpp"

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
    auto options = bench::plain();
    options.sync = policy;
    auto r = bench::open(place, "a", std::move(options));
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

// Group commit: 64 writers, each waiting for the disk. How long does one wait, and how long do two fdatasyncs
// take, one right after the other, of as many bytes as a group had? (A writer that comes while one sync is
// under way waits for it and then for its own.)
void group_commit(benchmark::State& state) {
    constexpr std::size_t writers = 64;
    std::size_t each = bench::sized(200);
    bench::scratch place;
    auto options = bench::plain();
    options.sync = sync_policy::commit;
    std::vector<double> waits;
    std::vector<double> two_syncs;
    double elapsed = 0;
    auto r = bench::open(place, "a", std::move(options));
    for (auto _ : state) {
        auto runs_before = r->status()->log_runs;
        auto bytes_before = r->status()->log_bytes;
        std::vector<std::thread> threads;
        std::vector<std::vector<double>> found(writers);
        auto began = bench::clock::now();
        for (std::size_t w = 0; w < writers; ++w) {
            threads.emplace_back([&, w] {
                for (std::size_t i = 0; i < each; ++i) {
                    auto asked = bench::clock::now();
                    auto done =
                        r->transact([](transaction& t) { return t.counter("visits").increment(); });
                    if (done && done->wait(ack_level::disk()))
                        found[w].push_back(bench::seconds_since(asked) * 1e3);
                }
            });
        }
        for (auto& t : threads) t.join();
        elapsed += bench::seconds_since(began);
        for (auto& f : found) waits.insert(waits.end(), f.begin(), f.end());

        auto seen = *r->status();
        bytes group = block_of((seen.log_bytes - bytes_before) / (seen.log_runs - runs_before));
        asio_loop run;
        auto files = open_posix_disk((place.path / "raw").string(), run);
        auto f = (*files)->create("raw-" + std::to_string(waits.size()));
        for (std::size_t i = 0; i < bench::sized(1'000); ++i) {
            auto asked = bench::clock::now();
            bool durable =
                (*f)->append(group) && (*f)->sync() && (*f)->append(group) && (*f)->sync();
            if (!durable) state.SkipWithError("write failed");
            two_syncs.push_back(bench::seconds_since(asked) * 1e3);
        }
    }
    state.counters["operations/s"] = static_cast<double>(waits.size()) / elapsed;
    state.counters["p50_ms"] = bench::quantile(waits, 0.5);
    state.counters["p99_ms"] = bench::quantile(waits, 0.99);
    state.counters["two_syncs_p50_ms"] = bench::quantile(two_syncs, 0.5);
    state.counters["two_syncs_p99_ms"] = bench::quantile(two_syncs, 0.99);
}
BENCHMARK(group_commit)->Iterations(1)->UseRealTime()->Unit(benchmark::kMillisecond);

} // namespace
