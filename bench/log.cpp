#include "bench/support/support.hpp"
#include "recovery/posix_disk.hpp"
#include "transport/asio_loop.hpp"

#include <algorithm>
#include <atomic>
#include <future>

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

// The same for writers that are not threads: each is called back, and writes again.
std::vector<double> call_back_at_commits(replica& r, std::size_t writers, std::size_t each) {
    struct writer {
        std::size_t left;
        bench::clock::time_point asked;
    };
    std::vector<writer> all(writers, {each, {}});
    std::vector<double> waits;
    std::promise<void> finished;
    std::atomic<std::size_t> writing = writers;
    std::function<void(writer&)> write = [&](writer& w) {
        w.asked = bench::clock::now();
        auto done = r.transact([](transaction& t) { return t.counter("visits").increment(); });
        auto end = [&] {
            if (--writing == 0) finished.set_value();
        };
        if (!done) return end();
        done->when(ack_level::disk(), 30'000, [&, end](const result<void>& outcome) {
            if (outcome && w.left < each) waits.push_back(bench::seconds_since(w.asked) * 1e3);
            if (outcome && --w.left > 0) return write(w);
            end();
        });
    };
    for (writer& w : all) write(w);
    finished.get_future().wait();
    return waits;
}

// How long each of `writers` threads waits for the disk, `each` times, in milliseconds; less the first time,
// when not all of them have begun.
std::vector<double> wait_for_commits(replica& r, std::size_t writers, std::size_t each) {
    std::vector<std::vector<double>> found(writers);
    std::vector<std::thread> threads;
    for (auto& waits : found) {
        threads.emplace_back([&] {
            for (std::size_t i = 0; i < each; ++i) {
                auto asked = bench::clock::now();
                auto done =
                    r.transact([](transaction& t) { return t.counter("visits").increment(); });
                if (!done || !done->wait(ack_level::disk())) return;
                if (i > 0) waits.push_back(bench::seconds_since(asked) * 1e3);
            }
        });
    }
    for (auto& t : threads) t.join();
    std::vector<double> all;
    for (const auto& waits : found) all.insert(all.end(), waits.begin(), waits.end());
    return all;
}

// Group commit: 64 writers, each waiting for the disk. How long does one wait, and how long do two fdatasyncs
// take, one right after the other, of as many bytes as a group had? (A writer that comes while one sync is
// under way waits for it and then for its own.) In turns, as a disk may slow down after much work.
void group_commit(benchmark::State& state, decltype(wait_for_commits)* write) {
    constexpr std::size_t writers = 64;
    std::size_t each = 21;
    std::size_t turns = std::max(bench::sized(15), std::size_t{2});
    bench::scratch place;
    auto options = bench::plain();
    options.sync = sync_policy::commit;
    auto r = bench::open(place, "a", std::move(options));
    asio_loop run;
    auto files = open_posix_disk((place.path / "raw").string(), run);
    auto raw = (*files)->create("raw");
    std::vector<double> waits;
    std::vector<double> two_syncs;
    for (auto _ : state) {
        double elapsed = 0;
        auto before = *r->status();
        for (std::size_t turn = 0; turn < turns; ++turn) {
            auto began = bench::clock::now();
            auto some = write(*r, writers, each);
            elapsed += bench::seconds_since(began);
            waits.insert(waits.end(), some.begin(), some.end());
            auto now = *r->status();
            bytes group =
                block_of((now.log_bytes - before.log_bytes) / (now.log_runs - before.log_runs));
            for (int i = 0; i < 40; ++i) {
                auto asked = bench::clock::now();
                for (int sync = 0; sync < 2; ++sync) {
                    if (!(*raw)->append(group) || !(*raw)->sync())
                        return state.SkipWithError("write failed");
                }
                two_syncs.push_back(bench::seconds_since(asked) * 1e3);
            }
        }
        if (waits.size() != turns * writers * (each - 1))
            return state.SkipWithError("not acknowledged");
        state.counters["operations/s"] = static_cast<double>(turns * writers * each) / elapsed;
    }
    state.counters["p50_ms"] = bench::quantile(waits, 0.5);
    state.counters["p99_ms"] = bench::quantile(waits, 0.99);
    state.counters["two_syncs_p50_ms"] = bench::quantile(two_syncs, 0.5);
    state.counters["two_syncs_p99_ms"] = bench::quantile(two_syncs, 0.99);
}
BENCHMARK_CAPTURE(group_commit, threads, wait_for_commits)
    ->Iterations(1)
    ->UseRealTime()
    ->Unit(benchmark::kMillisecond);
BENCHMARK_CAPTURE(group_commit, callbacks, call_back_at_commits)
    ->Iterations(1)
    ->UseRealTime()
    ->Unit(benchmark::kMillisecond);

} // namespace
