#include "bench/support.hpp"
#include "transport/asio_loop.hpp"
#include "transport/tcp.hpp"

#include <algorithm>
#include <condition_variable>
#include <future>
#include <mutex>

using namespace weft;

namespace {

void report(benchmark::State& state, std::vector<double>& micros) {
    std::sort(micros.begin(), micros.end());
    state.counters["p50_us"] = micros[micros.size() / 2];
    state.counters["p99_us"] = micros[micros.size() * 99 / 100];
}

// The limit: one frame there and one back over loopback TCP, through the same loop and links.
void raw_ping_pong(benchmark::State& state) {
    asio_loop here;
    asio_loop there;
    auto tcp_here = make_tcp_transport(here);
    auto tcp_there = make_tcp_transport(there);
    here.start();
    there.start();
    std::unique_ptr<listener> port;
    std::unique_ptr<weft::link> accepted;
    std::unique_ptr<weft::link> dialed;
    std::promise<std::string> url;
    there.post([&] {
        auto made = tcp_there->listen("tcp://127.0.0.1:0", [&](std::unique_ptr<weft::link> fresh) {
            accepted = std::move(fresh);
            accepted->start(
                {[&](bytes body) { accepted->send(std::move(body)); }, [] {}, [](const error&) {}});
        });
        port = std::move(*made);
        url.set_value(port->url());
    });
    std::mutex lock;
    std::condition_variable came;
    bool arrived = false;
    std::promise<void> connected;
    std::string address = url.get_future().get();
    here.post([&] {
        tcp_here->dial(address, 5'000, [&](result<std::unique_ptr<weft::link>> made) {
            dialed = std::move(*made);
            dialed->start({[&](const bytes&) {
                               std::lock_guard hold(lock);
                               arrived = true;
                               came.notify_one();
                           },
                           [] {}, [](const error&) {}});
            connected.set_value();
        });
    });
    connected.get_future().get();
    std::vector<double> micros;
    for (auto _ : state) {
        auto began = bench::clock::now();
        here.post([&] { dialed->send(bytes(80, std::byte{1})); });
        std::unique_lock hold(lock);
        came.wait(hold, [&] { return arrived; });
        arrived = false;
        micros.push_back(bench::seconds_since(began) * 1e6);
    }
    report(state, micros);
    std::promise<void> gone;
    here.post([&] {
        dialed.reset();
        tcp_here.reset();
        gone.set_value();
    });
    gone.get_future().get();
    std::promise<void> gone_there;
    there.post([&] {
        accepted.reset();
        port.reset();
        tcp_there.reset();
        gone_there.set_value();
    });
    gone_there.get_future().get();
    here.stop();
    there.stop();
}
BENCHMARK(raw_ping_pong)->Iterations(5'000)->UseRealTime();

// How long from `transact` called at A to the callback at B, on an idle link?
void write_to_visible(benchmark::State& state) {
    bench::scratch place;
    auto b =
        bench::open(place, "b", {.listen = {"tcp://127.0.0.1:0"}, .sync = sync_policy::interval});
    auto a = bench::open(place, "a", {.peers = b->listening(), .sync = sync_policy::interval});
    std::mutex lock;
    std::condition_variable came;
    std::int64_t seen = 0;
    (void)b->subscribe_key("n", [&](const change_event& change) {
        std::lock_guard hold(lock);
        seen += change.objects[0].amount;
        came.notify_one();
    });
    std::int64_t written = 0;
    std::vector<double> micros;
    for (auto _ : state) {
        auto began = bench::clock::now();
        (void)a->counter("n").increment();
        ++written;
        std::unique_lock hold(lock);
        came.wait(hold, [&] { return seen == written; });
        micros.push_back(bench::seconds_since(began) * 1e6);
    }
    report(state, micros);
}
BENCHMARK(write_to_visible)->Iterations(5'000)->UseRealTime();

} // namespace

BENCHMARK_MAIN();
