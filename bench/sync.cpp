#include "bench/support/process.hpp"
#include "bench/support/support.hpp"
#include "tests/seeds.hpp"

#include <algorithm>
#include <memory>
#include <unordered_map>

using namespace weft;

namespace {

// 100,000, or as many as hold 256 MiB of values.
std::size_t keys_for(std::size_t value_bytes) {
    return std::min(std::size_t{100'000}, (std::size_t{1} << 28U) / value_bytes);
}

std::string_view text_of(byte_view data) {
    return {reinterpret_cast<const char*>(data.data()), data.size()};
}

// The limit of one thread in memory: upserts of the same values, by the same random keys, into a hash map.
void hash_map_upsert(benchmark::State& state) {
    auto size = static_cast<std::size_t>(state.range(0));
    std::size_t keys = keys_for(size);
    bench::noise values;
    random_generator random(seeds::bench);
    std::unordered_map<std::string, std::string> table;
    std::size_t done = 0;
    auto began = bench::clock::now();
    for (auto _ : state) {
        for (int i = 0; i < 1'000; ++i) {
            table[bench::key(random.below(keys))] = text_of(values.view(random, size));
        }
        done += 1'000;
    }
    state.counters["operations/s"] = static_cast<double>(done) / bench::seconds_since(began);
}
BENCHMARK(hash_map_upsert)
    ->ArgName("value_bytes")
    ->Arg(8)
    ->Arg(32)
    ->Arg(100)
    ->Arg(320)
    ->Arg(1'000)
    ->Arg(3'200)
    ->Arg(10'000)
    ->Unit(benchmark::kMillisecond);

// `operations` register sets, `batch` a transaction, by the calling thread; none is waited for.
bool load(replica& r, std::size_t operations, std::size_t batch, std::size_t value_bytes,
          std::uint64_t seed) {
    std::size_t keys = keys_for(value_bytes);
    bench::noise values;
    random_generator random(seed);
    for (std::size_t done = 0; done < operations; done += batch) {
        auto made = r.transact([&](transaction& t) {
            for (std::size_t i = 0; i < batch; ++i) {
                (void)t.lww_register(bench::key(random.below(keys)))
                    .set(values.fresh(random, value_bytes));
            }
        });
        if (!made) return false;
    }
    return true;
}

// A run that is applied is in the log, too: the loop appends it in the step that applies it.
void wait_for_operations(replica& r, std::size_t operations) {
    bench::wait_until([&] { return r.status()->vector.operations_beyond({}) >= operations; });
}

// How many register sets a second go from a thread in process A into the state and the log of process B,
// over TCP loopback? With `commit` they leave only once they are durable.
void two_replicas(benchmark::State& state, std::size_t most,
                  sync_policy policy = sync_policy::interval) {
    auto batch = static_cast<std::size_t>(state.range(0));
    auto value_bytes = static_cast<std::size_t>(state.range(1));
    std::size_t wanted = bench::sized(std::min(most, (1U << 28U) / (value_bytes + 20)));
    std::size_t operations = std::max(wanted / batch, std::size_t{1}) * batch;
    bench::scratch place;
    bench::process b([&](bench::channel a) {
        auto options = bench::plain({"tcp://127.0.0.1:0"});
        options.sync = policy;
        auto r = bench::open(place, "b", std::move(options));
        a.tell(r->listening().at(0));
        wait_for_operations(*r, operations);
        a.tell(bench::now_s());
        a.wait_for_end();
    });
    auto options = bench::plain({}, {b.line().hear()});
    options.sync = policy;
    auto r = bench::open(place, "a", std::move(options));
    bench::wait_until([&] { return r->status()->peers.at(0).state == peer_state::active; });
    for (auto _ : state) {
        double began = bench::now_s();
        if (!load(*r, operations, batch, value_bytes, seeds::bench))
            return state.SkipWithError("a transaction was refused");
        double elapsed = b.line().hear_number() - began;
        state.SetIterationTime(elapsed);
        state.counters["operations/s"] = static_cast<double>(operations) / elapsed;
    }
    state.counters["bytes/operation"] =
        static_cast<double>(r->status()->peers.at(0).bytes_out) / static_cast<double>(operations);
}
BENCHMARK_CAPTURE(two_replicas, full, 1'000'000)
    ->ArgNames({"operations_per_transaction", "value_bytes"})
    ->Args({100, 100})
    ->Iterations(1)
    ->UseManualTime()
    ->Unit(benchmark::kMillisecond);
BENCHMARK_CAPTURE(two_replicas, full, 300'000)
    ->ArgNames({"operations_per_transaction", "value_bytes"})
    ->Args({1, 100})
    ->Iterations(1)
    ->UseManualTime()
    ->Unit(benchmark::kMillisecond);

BENCHMARK_CAPTURE(two_replicas, durable, 300'000, sync_policy::commit)
    ->ArgNames({"operations_per_transaction", "value_bytes"})
    ->Args({1, 100})
    ->Args({100, 100})
    ->Iterations(1)
    ->UseManualTime()
    ->Unit(benchmark::kMillisecond);

// The same for the plots, with fewer operations.
void shapes(benchmark::internal::Benchmark* of) {
    for (int batch : {1, 3, 10, 30, 100, 300, 1'000, 3'000}) of->Args({batch, 100});
    for (int size : {8, 32, 320, 1'000, 3'200, 10'000}) of->Args({100, size});
}
BENCHMARK_CAPTURE(two_replicas, shape, 300'000)
    ->ArgNames({"operations_per_transaction", "value_bytes"})
    ->Apply(shapes)
    ->Iterations(1)
    ->UseManualTime()
    ->Unit(benchmark::kMillisecond);

// Three processes in a mesh, all writing at once, until all have everything: operations a second in sum, and
// how many runs arrived more than once.
void three_replicas(benchmark::State& state) {
    constexpr std::size_t members = 3;
    bench::scratch place;
    std::size_t each = bench::sized(200'000) / 100 * 100;
    std::vector<std::string> urls;
    std::vector<std::unique_ptr<bench::process>> all;
    for (std::size_t i = 0; i < members; ++i) {
        all.push_back(std::make_unique<bench::process>([&](bench::channel line) {
            // Everyone dials those before it, so each pair has one link.
            auto r = bench::open(place, "r" + std::to_string(i),
                                 bench::plain({"tcp://127.0.0.1:0"}, urls));
            line.tell(r->listening().at(0));
            bench::wait_until([&] {
                auto peers = r->status()->peers;
                return std::count_if(peers.begin(), peers.end(), [](const peer_status& p) {
                           return p.state == peer_state::active;
                       }) == members - 1;
            });
            line.tell("ready");
            (void)line.hear();
            if (!load(*r, each, 100, 100, seeds::bench + i)) return;
            wait_for_operations(*r, members * each);
            line.tell(bench::now_s());
            auto seen = *r->status();
            double duplicates = 0;
            for (const auto& p : seen.peers) duplicates += static_cast<double>(p.duplicate_runs);
            line.tell(duplicates);
            line.tell(static_cast<double>(seen.log_runs));
            line.tell(to_string(seen.digest));
            line.wait_for_end();
        }));
        urls.push_back(all.back()->line().hear());
    }
    for (auto& p : all) (void)p->line().hear();
    double duplicates = 0;
    double runs = 0;
    for (auto _ : state) {
        double began = bench::now_s();
        double ended = 0;
        std::vector<std::string> digests;
        for (auto& p : all) p->line().tell("go");
        for (auto& p : all) {
            ended = std::max(ended, p->line().hear_number());
            duplicates += p->line().hear_number();
            runs = p->line().hear_number();
            digests.push_back(p->line().hear());
        }
        if (digests[0] != digests[1] || digests[1] != digests[2])
            return state.SkipWithError("the replicas differ");
        state.SetIterationTime(ended - began);
        state.counters["operations/s"] = static_cast<double>(members * each) / (ended - began);
    }
    // Each run is received by the two that did not make it.
    state.counters["duplicate_runs_percent"] = 100.0 * duplicates / (runs * (members - 1));
}
BENCHMARK(three_replicas)->Iterations(1)->UseManualTime()->Unit(benchmark::kMillisecond);

} // namespace
