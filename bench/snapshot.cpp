#include "bench/support/process.hpp"
#include "bench/support/support.hpp"
#include "tests/seeds.hpp"

#include <atomic>
#include <fcntl.h>
#include <unistd.h>

using namespace weft;

namespace {

constexpr std::size_t million = 1'000'000;
// One pause of the scheduler of 3 ms is 30 calls that were due: enough of them that it is not p99.9.
constexpr int snapshots = 10;

// Writes a register of the million each 100 µs, until told to stop; how long each call took, in
// milliseconds. A call that was due while one before it was still under way counts from when it was due.
std::vector<double> write_steadily(replica& r, const std::atomic<bool>& stop) {
    bench::noise values;
    random_generator random(seeds::bench);
    std::vector<double> waits;
    auto due = bench::clock::now();
    while (!stop) {
        due += std::chrono::microseconds(100);
        auto began = due;
        if (bench::clock::now() < due) {
            std::this_thread::sleep_until(due);
            began = bench::clock::now();
            due = began;
        }
        (void)r.lww_register(bench::key(random.below(bench::sized(million))))
            .set(values.fresh(random, 100));
        waits.push_back(bench::seconds_since(began) * 1e3);
    }
    return waits;
}

template <class Meanwhile>
std::vector<double> waits_during(replica& r, Meanwhile meanwhile) {
    std::atomic<bool> stop = false;
    std::vector<double> waits;
    std::thread writer([&] { waits = write_steadily(r, stop); });
    meanwhile();
    stop = true;
    writer.join();
    return waits;
}

// How much longer do writers wait while a snapshot of a million registers is written? The p99.9 of their
// calls meanwhile, less the p99.9 of as long a time without.
void wait_added_to_writers(benchmark::State& state) {
    for (auto _ : state) {
        bench::scratch place;
        auto r = bench::open(place, "a", bench::plain());
        bench::fill(*r, bench::sized(million));
        std::vector<double> with;
        std::vector<double> without;
        double snapshots_s = 0;
        for (int i = 0; i < snapshots; ++i) {
            double elapsed = 0;
            auto some = waits_during(*r, [&] {
                auto began = bench::clock::now();
                if (!r->snapshot()) state.SkipWithError("no snapshot");
                elapsed = bench::seconds_since(began);
            });
            with.insert(with.end(), some.begin(), some.end());
            some = waits_during(
                *r, [&] { std::this_thread::sleep_for(std::chrono::duration<double>(elapsed)); });
            without.insert(without.end(), some.begin(), some.end());
            snapshots_s += elapsed;
        }
        if (with.empty() || without.empty()) return state.SkipWithError("nothing was written");
        state.counters["p99.9_with_ms"] = bench::quantile(with, 0.999);
        state.counters["p99.9_without_ms"] = bench::quantile(without, 0.999);
        state.counters["p99.9_added_ms"] =
            bench::quantile(with, 0.999) - bench::quantile(without, 0.999);
        state.counters["max_with_ms"] = bench::quantile(with, 1);
        state.counters["calls"] = static_cast<double>(with.size());
        state.counters["snapshot_s"] = snapshots_s / snapshots;
    }
}
BENCHMARK(wait_added_to_writers)->Iterations(1)->UseRealTime()->Unit(benchmark::kMillisecond);

// The limit of the disk: a file of that many bytes, written and made durable.
double write_raw_s(const bench::scratch& place, double size) {
    bench::noise noise;
    random_generator random(seeds::bench);
    int file = ::open((place.path / "raw").c_str(), O_CREAT | O_WRONLY | O_TRUNC, 0600);
    auto began = bench::clock::now();
    for (double left = size; left > 0; left -= 256 << 10U) {
        auto chunk = noise.view(random, 256U << 10U);
        if (::write(file, chunk.data(), chunk.size()) < 0) std::_Exit(1);
    }
    fdatasync(file);
    double elapsed = bench::seconds_since(began);
    close(file);
    return elapsed;
}

// How long until a new replica, process B, has the state of process A, which its log no longer reaches? From
// before B opens until it has applied and kept all; a snapshot of A is there already.
void transfer_state(benchmark::State& state) {
    std::size_t count = bench::sized(million);
    for (auto _ : state) {
        bench::scratch place;
        bench::process a([&](bench::channel line) {
            auto options = bench::plain({"tcp://127.0.0.1:0"});
            options.log_bytes_max = 1; // all of the log that snapshots made superfluous goes
            options.log_segment_bytes = 64U << 10U;
            auto r = bench::open(place, "a", std::move(options));
            bench::fill(*r, count);
            // The log goes when there are as many snapshots as are kept, each with something new.
            std::int64_t written = 0;
            while (r->status()->log_first == 0) {
                (void)r->lww_register("last").set(value(++written));
                if (r->status()->snapshots.size() < limits::snapshots_kept && !r->snapshot())
                    std::_Exit(1);
                std::this_thread::sleep_for(std::chrono::milliseconds(20));
            }
            line.tell(r->listening().at(0));
            line.tell(static_cast<double>(r->status()->vector.operations_beyond({})));
            line.tell(static_cast<double>(r->status()->snapshots.back().what.size_bytes));
            line.wait_for_end();
        });
        std::string url = a.line().hear();
        double operations = a.line().hear_number();
        double size = a.line().hear_number();
        bench::process b([&](bench::channel line) {
            double began = bench::now_s();
            auto r = bench::open(place, "b", bench::plain({}, {url}));
            bench::wait_until([&] {
                return static_cast<double>(r->status()->vector.operations_beyond({})) >= operations;
            });
            double elapsed = bench::now_s() - began;
            bool as_state = !r->status()->floor.entries().empty();
            line.tell(as_state ? elapsed : -1);
            line.wait_for_end();
        });
        double elapsed = b.line().hear_number();
        if (elapsed < 0) return state.SkipWithError("the log came, not the state");
        state.SetIterationTime(elapsed);
        state.counters["seconds"] = elapsed;
        state.counters["snapshot_bytes"] = size;
        state.counters["raw_write_s"] = write_raw_s(place, size);
    }
}
BENCHMARK(transfer_state)->Iterations(1)->UseManualTime()->Unit(benchmark::kMillisecond);

} // namespace
