#include "bench/peers/redis_server.hpp"
#include "bench/support/support.hpp"
#include "tests/seeds.hpp"

#include <algorithm>

// What Redis does with the same work: a primary and a replica, two processes of their own, `appendfsync
// everysec` where nothing else is said. bench/report.py sets these figures beside ours.
using namespace weft;

namespace {

using bench::redis_client;
using bench::redis_server;

std::string_view text_of(byte_view data) {
    return {reinterpret_cast<const char*>(data.data()), data.size()};
}

// A primary and its replica, in sync. `fsync` says when they make what they wrote durable.
struct pair {
    bench::scratch place;
    redis_server primary;
    redis_server replica;
    redis_client at_primary{primary.port()};
    redis_client at_replica{replica.port()};

    explicit pair(const std::string& fsync = "everysec")
        : primary(place.path / "primary", {"--appendfsync", fsync}),
          replica(place.path / "replica", {"--appendfsync", fsync, "--replicaof",
                                           "127.0.0.1 " + std::to_string(primary.port())}) {
        // Until the replica's first acknowledgement, up to a second, nothing is streamed to it: so one write
        // is made that must come through.
        wait_until_equal();
        (void)at_primary.ask({"SET", "first", "1"});
        wait_until_equal();
        // It writes its first append-only file in the background, for which nothing should have to wait.
        bench::wait_until([&] { return at_replica.info("aof_rewrite_in_progress") == 0; });
    }

    [[nodiscard]] double offset() { return at_primary.info("master_repl_offset"); }
    // The replica's offset is that of what it has executed, not of what it has received.
    void wait_until_equal() {
        double written = offset();
        bench::wait_until([&] {
            return at_replica.info("slave_repl_offset") >= written &&
                   at_replica.info("master_sync_in_progress") == 0 &&
                   at_primary.info("connected_slaves") == 1;
        });
    }
};

// How many SETs a second reach the replica from redis-benchmark, a process of its own? One a command, or
// many in one MSET, which is one transaction. Each of its 50 connections has 1,000 keys under way, or 100
// commands.
void two_replicas(benchmark::State& state, std::size_t most, const std::string& fsync) {
    auto batch = static_cast<std::size_t>(state.range(0));
    auto value_bytes = static_cast<std::size_t>(state.range(1));
    std::size_t keys = std::min(std::size_t{100'000}, (std::size_t{1} << 28U) / value_bytes);
    std::size_t wanted = bench::sized(std::min(most, (1U << 28U) / (value_bytes + 20)));
    std::size_t pipelined = std::clamp(1'000 / batch, std::size_t{1}, std::size_t{100});
    std::size_t commands = std::max(wanted / batch / pipelined, std::size_t{1}) * pipelined;
    random_generator random(seeds::bench);
    std::string value;
    while (value.size() < value_bytes)
        value += to_hex(random.next()).substr(0, value_bytes - value.size());
    pair both(fsync);
    std::vector<std::string> load{"redis-benchmark",
                                  "-q",
                                  "-p",
                                  std::to_string(both.primary.port()),
                                  "-P",
                                  std::to_string(pipelined),
                                  "-n",
                                  std::to_string(commands),
                                  "-r",
                                  std::to_string(keys),
                                  batch == 1 ? "SET" : "MSET"};
    for (std::size_t i = 0; i < batch; ++i) {
        load.push_back("__rand_int__");
        load.push_back(value);
    }
    auto operations = static_cast<double>(commands * batch);
    double offset_before = both.offset();
    for (auto _ : state) {
        auto began = bench::clock::now();
        bench::run_program(load);
        both.wait_until_equal();
        double elapsed = bench::seconds_since(began);
        state.SetIterationTime(elapsed);
        state.counters["operations/s"] = operations / elapsed;
    }
    state.counters["bytes/operation"] = (both.offset() - offset_before) / operations;
}
BENCHMARK_CAPTURE(two_replicas, full, 1'000'000, "everysec")
    ->ArgNames({"operations_per_transaction", "value_bytes"})
    ->Args({1, 100})
    ->Args({100, 100})
    ->Iterations(1)
    ->UseManualTime()
    ->Unit(benchmark::kMillisecond);

BENCHMARK_CAPTURE(two_replicas, durable, 300'000, "always")
    ->ArgNames({"operations_per_transaction", "value_bytes"})
    ->Args({1, 100})
    ->Args({100, 100})
    ->Iterations(1)
    ->UseManualTime()
    ->Unit(benchmark::kMillisecond);

void shapes(benchmark::internal::Benchmark* of) {
    for (int batch : {1, 3, 10, 30, 100, 300, 1'000, 3'000}) of->Args({batch, 100});
    for (int size : {8, 32, 320, 1'000, 3'200, 10'000}) of->Args({1, size});
}
BENCHMARK_CAPTURE(two_replicas, shape, 300'000, "everysec")
    ->ArgNames({"operations_per_transaction", "value_bytes"})
    ->Apply(shapes)
    ->Iterations(1)
    ->UseManualTime()
    ->Unit(benchmark::kMillisecond);

// How many bytes does the replica get for a SET of an 8-byte key and a 100-byte value, and for an INCR?
void bytes_per_operation(benchmark::State& state) {
    pair both;
    std::string value(100, 'x');
    auto bytes_of = [&](const std::vector<std::string_view>& command) {
        (void)both.at_primary.ask(command); // the first also selects the database
        double before = both.offset();
        for (int i = 0; i < 100; ++i) (void)both.at_primary.ask(command);
        return (both.offset() - before) / 100;
    };
    for (auto _ : state) {
        state.counters["set"] = bytes_of({"SET", "12345678", value});
        state.counters["increment"] = bytes_of({"INCR", "visits"});
    }
}
BENCHMARK(bytes_per_operation)->Iterations(1)->UseRealTime()->Unit(benchmark::kMillisecond);

// How long does one client wait for the answer to a write that is on disk by then?
void acknowledged_write(benchmark::State& state) {
    bench::scratch place;
    redis_server server(place.path, {"--appendfsync", "always"});
    redis_client client(server.port());
    for (auto _ : state) (void)client.ask({"INCR", "visits"});
}
BENCHMARK(acknowledged_write)->UseRealTime();

// The replica tells `listening` of each write of `key`.
void watch(pair& both, redis_client& listening, const std::string& key) {
    (void)both.at_replica.ask({"CONFIG", "SET", "notify-keyspace-events", "KA"});
    (void)listening.ask({"SUBSCRIBE", "__keyspace@0__:" + key});
}

// How long from a client's write at the primary to the message at a client of the replica?
void write_to_visible(benchmark::State& state) {
    pair both;
    redis_client listening(both.replica.port());
    watch(both, listening, "n");
    std::vector<double> micros;
    for (auto _ : state) {
        auto began = bench::clock::now();
        both.at_primary.queue({"INCR", "n"});
        both.at_primary.flush();
        (void)listening.reply();
        micros.push_back(bench::seconds_since(began) * 1e6);
        (void)both.at_primary.reply();
    }
    state.counters["p50_us"] = bench::quantile(micros, 0.5);
    state.counters["p99_us"] = bench::quantile(micros, 0.99);
}
BENCHMARK(write_to_visible)->Iterations(5'000)->UseRealTime();

// The same under load, as in bench/latency.cpp: each millisecond as many SETs, the last of which is looked
// for.
void visible_under_load(benchmark::State& state) {
    auto sets = static_cast<std::size_t>(state.range(0)) / 1'000;
    std::size_t ticks = bench::sized(2'000);
    pair both;
    redis_client listening(both.replica.port());
    watch(both, listening, "due");
    bench::noise values;
    random_generator random(seeds::bench);
    for (auto _ : state) {
        std::vector<bench::clock::time_point> due(ticks);
        due[0] = bench::clock::now() + std::chrono::milliseconds(1);
        for (std::size_t i = 1; i < ticks; ++i) due[i] = due[i - 1] + std::chrono::milliseconds(1);
        std::vector<double> micros;
        std::thread listener([&] {
            for (std::size_t tick = 0; tick < ticks; ++tick) {
                (void)listening.reply();
                micros.push_back(bench::seconds_since(due[tick]) * 1e6);
            }
        });
        std::thread drain([&] {
            for (std::size_t i = 0; i < ticks * sets; ++i) (void)both.at_primary.reply();
        });
        for (std::size_t tick = 0; tick < ticks; ++tick) {
            std::this_thread::sleep_until(due[tick]);
            for (std::size_t i = 1; i < sets; ++i) {
                both.at_primary.queue(
                    {"SET", bench::key(random.below(100'000)), text_of(values.view(random, 100))});
            }
            both.at_primary.queue({"SET", "due", "12345678"});
            both.at_primary.flush();
        }
        listener.join();
        drain.join();
        state.counters["p50_us"] = bench::quantile(micros, 0.5);
        state.counters["p99_us"] = bench::quantile(micros, 0.99);
    }
}
BENCHMARK(visible_under_load)
    ->ArgName("operations_per_second")
    ->Arg(1'000)
    ->Arg(3'000)
    ->Arg(10'000)
    ->Arg(30'000)
    ->Arg(100'000)
    ->Arg(200'000)
    ->Arg(400'000)
    ->Iterations(1)
    ->UseRealTime()
    ->Unit(benchmark::kMillisecond);

// `count` commands, 100 under way.
template <class Command>
void pipeline(redis_client& to, std::size_t count, Command command) {
    for (std::size_t first = 0; first < count; first += 100) {
        std::size_t end = std::min(first + 100, count);
        for (std::size_t i = first; i < end; ++i) command(i);
        to.flush();
        for (std::size_t i = first; i < end; ++i) (void)to.reply();
    }
}

void fill(redis_client& to, std::size_t count) {
    bench::noise values;
    random_generator random(seeds::bench);
    pipeline(to, count, [&](std::size_t i) {
        to.queue({"SET", bench::key(i), text_of(values.view(random, 100))});
    });
}

// By how much does the server grow, an element? Keys of 8 bytes with values of 100; members of one set.
void registers(benchmark::State& state) {
    std::size_t count = bench::sized(1'000'000);
    for (auto _ : state) {
        bench::scratch place;
        redis_server server(place.path);
        redis_client client(server.port());
        double before = server.rss_bytes();
        fill(client, count);
        state.counters["bytes_each"] = (server.rss_bytes() - before) / static_cast<double>(count);
    }
}
BENCHMARK(registers)->Iterations(1)->UseRealTime()->Unit(benchmark::kMillisecond);

void set_members(benchmark::State& state) {
    std::size_t count = bench::sized(1'000'000);
    for (auto _ : state) {
        bench::scratch place;
        redis_server server(place.path);
        redis_client client(server.port());
        double before = server.rss_bytes();
        pipeline(client, count,
                 [&](std::size_t i) { client.queue({"SADD", "members", bench::key(i)}); });
        state.counters["bytes_each"] = (server.rss_bytes() - before) / static_cast<double>(count);
    }
}
BENCHMARK(set_members)->Iterations(1)->UseRealTime()->Unit(benchmark::kMillisecond);

void measure_start(benchmark::State& state, std::size_t operations, std::size_t objects,
                   const std::string& append_only) {
    bench::scratch place;
    {
        redis_server server(place.path, {"--appendonly", append_only});
        redis_client client(server.port());
        for (std::size_t done = 0; done < operations; done += objects) fill(client, objects);
        if (append_only == "no") (void)client.ask({"SAVE"});
    }
    for (auto _ : state) {
        auto began = bench::clock::now();
        redis_server server(place.path, {"--appendonly", append_only});
        redis_client client(server.port());
        double elapsed = bench::seconds_since(began);
        if (client.ask({"DBSIZE"}) != std::to_string(objects))
            return state.SkipWithError("not all came back");
        state.SetIterationTime(elapsed);
        state.counters["operations/s"] = static_cast<double>(operations) / elapsed;
    }
}

// How many operations a second does a start replay from the append-only file, over 100,000 keys; how many
// keys does it load from a snapshot?
void replay_log(benchmark::State& state) {
    measure_start(state, bench::sized(1'000'000), bench::sized(100'000), "yes");
}
BENCHMARK(replay_log)->Iterations(1)->UseManualTime()->Unit(benchmark::kMillisecond);

void load_snapshot(benchmark::State& state) {
    measure_start(state, bench::sized(1'000'000), bench::sized(1'000'000), "no");
}
BENCHMARK(load_snapshot)->Iterations(1)->UseManualTime()->Unit(benchmark::kMillisecond);

} // namespace
