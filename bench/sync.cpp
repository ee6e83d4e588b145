#include "base/random.hpp"
#include "bench/support.hpp"
#include "tests/seeds.hpp"

#include <unordered_map>

using namespace weft;

namespace {

constexpr std::size_t keys = 100'000;

std::vector<std::string> make_keys() {
    std::vector<std::string> out;
    random_generator random(seeds::bench);
    for (std::size_t i = 0; i < keys; ++i) out.push_back(to_hex(random.next()).substr(0, 8));
    return out;
}

std::vector<value> make_values() { // incompressible, 100 bytes
    random_generator random(seeds::bench + 1);
    std::vector<value> out;
    for (int i = 0; i < 1'000; ++i) {
        bytes noise;
        for (int b = 0; b < 100; ++b) noise.push_back(static_cast<std::byte>(random.next()));
        out.push_back(value::of_bytes(noise));
    }
    return out;
}

// The limit of one thread in memory: upserts of the same values into a hash map of the same keys.
void hash_map_upsert(benchmark::State& state) {
    auto names = make_keys();
    auto values = make_values();
    std::unordered_map<std::string, value> table;
    std::size_t i = 0;
    for (auto _ : state) {
        table[names[i % keys]] = values[i % values.size()];
        ++i;
    }
    state.SetItemsProcessed(state.iterations());
}
BENCHMARK(hash_map_upsert);

bool equal(const replica_status& a, const replica_status& b) { return a.vector == b.vector; }

// How many register sets a second go from A into B's state and log, in transactions of that many?
void two_replicas(benchmark::State& state) {
    bench::scratch place;
    std::int64_t batch = state.range(0);
    std::size_t operations = batch == 1 ? 200'000 : 1'000'000;
    auto b = bench::open(
        place, "b",
        {.listen = {"tcp://127.0.0.1:0"}, .sync = sync_policy::interval, .packed = codec::none});
    auto a = bench::open(
        place, "a",
        {.peers = b->listening(), .sync = sync_policy::interval, .packed = codec::none});
    auto names = make_keys();
    auto values = make_values();
    random_generator random(seeds::bench + 2);
    double elapsed = 0;
    for (auto _ : state) {
        auto began = bench::clock::now();
        for (std::size_t done = 0; done < operations; done += static_cast<std::size_t>(batch)) {
            auto made = a->transact([&](transaction& t) {
                for (std::int64_t i = 0; i < batch; ++i) {
                    (void)t.lww_register(names[random.below(keys)])
                        .set(values[random.below(values.size())]);
                }
            });
            if (!made) return state.SkipWithError(made.error().detail.c_str());
        }
        std::uint64_t last = 0;
        bench::wait_until([&] {
            auto sa = a->status();
            auto sb = b->status();
            last = sa->vector.at(sa->id);
            return last >= operations && equal(*sa, *sb);
        });
        elapsed = bench::seconds_since(began);
        state.SetIterationTime(elapsed);
    }
    auto peer = a->status()->peers.at(0);
    state.counters["operations/s"] = static_cast<double>(operations) / elapsed;
    state.counters["bytes/operation"] =
        static_cast<double>(peer.bytes_out) / static_cast<double>(operations);
}
BENCHMARK(two_replicas)
    ->ArgName("operations_per_transaction")
    ->Arg(100)
    ->Arg(1)
    ->Iterations(1)
    ->UseManualTime()
    ->Unit(benchmark::kMillisecond);

// Three replicas in a mesh, all writing, until all are equal: operations a second in sum, and how many
// runs arrived more than once.
void three_replicas(benchmark::State& state) {
    bench::scratch place;
    constexpr std::size_t each = 200'000;
    constexpr int batch = 100;
    std::vector<std::string> urls;
    for (int i = 0; i < 3; ++i)
        urls.push_back("unix:" + (place.path / std::to_string(i)).string() + ".sock");
    std::vector<durable_replica> all;
    for (std::size_t i = 0; i < 3; ++i) {
        std::vector<std::string> peers = urls;
        peers.erase(peers.begin() + static_cast<std::ptrdiff_t>(i));
        all.push_back(bench::open(place, "r" + std::to_string(i),
                                  {.listen = {urls[i]},
                                   .peers = peers,
                                   .sync = sync_policy::interval,
                                   .packed = codec::none}));
    }
    auto names = make_keys();
    auto values = make_values();
    double elapsed = 0;
    for (auto _ : state) {
        auto began = bench::clock::now();
        std::vector<std::thread> writers;
        for (std::size_t w = 0; w < 3; ++w) {
            writers.emplace_back([&, w] {
                random_generator random(seeds::bench + 3 + w);
                for (std::size_t done = 0; done < each; done += batch) {
                    (void)all[w]->transact([&](transaction& t) {
                        for (int i = 0; i < batch; ++i) {
                            (void)t.lww_register(names[random.below(keys)])
                                .set(values[random.below(values.size())]);
                        }
                    });
                }
            });
        }
        for (auto& w : writers) w.join();
        bench::wait_until([&] {
            auto s0 = all[0]->status();
            auto s1 = all[1]->status();
            auto s2 = all[2]->status();
            return s0->vector.operations_beyond({}) == 3 * each && equal(*s0, *s1) &&
                   equal(*s1, *s2);
        });
        elapsed = bench::seconds_since(began);
        state.SetIterationTime(elapsed);
    }
    std::uint64_t duplicates = 0;
    std::uint64_t runs = 0;
    for (auto& r : all) {
        auto s = r->status();
        runs += s->log_runs;
        for (const auto& p : s->peers) duplicates += p.duplicate_runs;
    }
    state.counters["operations/s"] = 3.0 * each / elapsed;
    state.counters["duplicate_runs_percent"] =
        100.0 * static_cast<double>(duplicates) / (static_cast<double>(runs) * 2 / 3);
}
BENCHMARK(three_replicas)->Iterations(1)->UseManualTime()->Unit(benchmark::kMillisecond);

} // namespace

BENCHMARK_MAIN();
