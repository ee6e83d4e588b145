#include "bench/support/process.hpp"
#include "bench/support/support.hpp"
#include "tests/seeds.hpp"
#include "transport/asio_loop.hpp"
#include "transport/tcp.hpp"

#include <array>
#include <condition_variable>
#include <future>
#include <mutex>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <unistd.h>

using namespace weft;

namespace {

constexpr std::size_t ping_bytes = 80; // as the frame of one increment
constexpr std::int64_t rounds = 5'000;

void report(benchmark::State& state, const std::vector<double>& micros) {
    state.counters["p50_us"] = bench::quantile(micros, 0.5);
    state.counters["p99_us"] = bench::quantile(micros, 0.99);
}

bool exchange(int socket, char* buffer, bool first) {
    for (int step = 0; step < 2; ++step) {
        ssize_t moved = (step == 0) == first ? send(socket, buffer, ping_bytes, MSG_NOSIGNAL)
                                             : recv(socket, buffer, ping_bytes, MSG_WAITALL);
        if (moved != ping_bytes) return false;
    }
    return true;
}

void send_at_once(int socket) {
    int yes = 1;
    setsockopt(socket, IPPROTO_TCP, TCP_NODELAY, &yes, sizeof yes);
}

// The limit of the machine: some bytes there and back over TCP loopback, between two processes that do
// nothing else.
void raw_ping_pong(benchmark::State& state) {
    int port = socket(AF_INET, SOCK_STREAM, 0);
    sockaddr_in where{};
    where.sin_family = AF_INET;
    where.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t size = sizeof where;
    bool open = bind(port, reinterpret_cast<sockaddr*>(&where), size) == 0 &&
                listen(port, 1) == 0 &&
                getsockname(port, reinterpret_cast<sockaddr*>(&where), &size) == 0;
    if (!open) return state.SkipWithError("no port");
    bench::process echo([&](bench::channel) {
        int accepted = accept(port, nullptr, nullptr);
        send_at_once(accepted);
        std::array<char, ping_bytes> buffer{};
        while (exchange(accepted, buffer.data(), false)) {
        }
    });
    int dialed = socket(AF_INET, SOCK_STREAM, 0);
    send_at_once(dialed);
    if (connect(dialed, reinterpret_cast<sockaddr*>(&where), size) != 0)
        return state.SkipWithError("no connection");
    std::vector<double> micros;
    std::array<char, ping_bytes> buffer{};
    for (auto _ : state) {
        auto began = bench::clock::now();
        if (!exchange(dialed, buffer.data(), true)) return state.SkipWithError("link lost");
        micros.push_back(bench::seconds_since(began) * 1e6);
    }
    report(state, micros);
    close(dialed);
    close(port);
}
BENCHMARK(raw_ping_pong)->Iterations(rounds)->UseRealTime();

// A loop with TCP links, in a thread of its own. What lives on it is made and unmade on it.
struct looped {
    asio_loop run;
    std::unique_ptr<transport> tcp = make_tcp_transport(run, std::make_shared<arrivals>());
    std::unique_ptr<listener> port;
    std::unique_ptr<weft::link> wire;

    looped() { run.start(); }
    ~looped() {
        on_loop([&] {
            wire.reset();
            port.reset();
            tcp.reset();
        });
        run.stop();
    }
    looped(const looped&) = delete;
    looped& operator=(const looped&) = delete;

    void on_loop(const std::function<void()>& task) {
        std::promise<void> done;
        run.post([&] {
            task();
            done.set_value();
        });
        done.get_future().get();
    }
};

// The limit of our own loop and links: one frame from a thread here to the loop there, and back to the loop
// here.
void loop_ping_pong(benchmark::State& state) {
    bench::process echo([](bench::channel line) {
        looped there;
        there.on_loop([&] {
            there.port = *there.tcp->listen("tcp://127.0.0.1:0", [&](auto fresh) {
                there.wire = std::move(fresh);
                there.wire->start(
                    {.on_frame = [&](bytes body) { there.wire->send(std::move(body)); },
                     .on_drained = {},
                     .on_closed = [](const error&) {}});
            });
        });
        line.tell(there.port->url());
        line.wait_for_end();
    });
    std::string url = echo.line().hear();
    std::mutex lock;
    std::condition_variable came;
    double arrived = 0; // when
    std::promise<void> connected;
    looped here;
    here.run.post([&] {
        here.tcp->dial(url, 5'000, [&](result<std::unique_ptr<weft::link>> made) {
            here.wire = std::move(*made);
            here.wire->start({.on_frame =
                                  [&](const bytes&) {
                                      double now = bench::now_s();
                                      std::lock_guard hold(lock);
                                      arrived = now;
                                      came.notify_one();
                                  },
                              .on_drained = {},
                              .on_closed = [](const error&) {}});
            connected.set_value();
        });
    });
    connected.get_future().get();
    std::vector<double> micros;
    for (auto _ : state) {
        double began = bench::now_s();
        here.run.post([&] { here.wire->send(bytes(ping_bytes, std::byte{1})); });
        std::unique_lock hold(lock);
        came.wait(hold, [&] { return arrived > 0; });
        micros.push_back((arrived - began) * 1e6);
        arrived = 0;
    }
    report(state, micros);
}
BENCHMARK(loop_ping_pong)->Iterations(rounds)->UseRealTime();

// How long from `transact` called in process A to the callback in process B, on an idle link?
void write_to_visible(benchmark::State& state) {
    bench::scratch place;
    bench::process b([&](bench::channel a) {
        auto r = bench::open(place, "b", bench::plain({"tcp://127.0.0.1:0"}));
        (void)r->subscribe_key("n", [&](const change_event&) { a.tell(bench::now_s()); });
        a.tell(r->listening().at(0));
        a.wait_for_end();
    });
    auto r = bench::open(place, "a", bench::plain({}, {b.line().hear()}));
    bench::wait_until([&] { return r->status()->peers.at(0).state == peer_state::active; });
    std::vector<double> micros;
    for (auto _ : state) {
        double began = bench::now_s();
        (void)r->counter("n").increment();
        micros.push_back((b.line().hear_number() - began) * 1e6);
    }
    report(state, micros);
}
BENCHMARK(write_to_visible)->Iterations(rounds)->UseRealTime();

// The same while a thread in A writes at a steady rate: a transaction each millisecond, whose last write is
// the one that is looked for. Counted from when it was due, so that a late writer hides nothing.
void visible_under_load(benchmark::State& state) {
    auto sets = static_cast<std::size_t>(state.range(0)) / 1'000;
    std::size_t ticks = bench::sized(2'000);
    bench::scratch place;
    bench::process b([&](bench::channel a) {
        auto r = bench::open(place, "b", bench::plain({"tcp://127.0.0.1:0"}));
        std::mutex lock;
        std::condition_variable came;
        std::vector<double> micros;
        (void)r->subscribe_key("due", [&](const change_event& seen) {
            double due = *seen.objects[0].argument.as_double();
            std::lock_guard hold(lock);
            micros.push_back((bench::now_s() - due) * 1e6);
            came.notify_one();
        });
        a.tell(r->listening().at(0));
        std::unique_lock hold(lock);
        came.wait(hold, [&] { return micros.size() == ticks; });
        a.tell(bench::quantile(micros, 0.5));
        a.tell(bench::quantile(micros, 0.99));
    });
    auto r = bench::open(place, "a", bench::plain({}, {b.line().hear()}));
    bench::wait_until([&] { return r->status()->peers.at(0).state == peer_state::active; });
    bench::noise values;
    random_generator random(seeds::bench);
    for (auto _ : state) {
        auto due = bench::clock::now();
        for (std::size_t tick = 0; tick < ticks; ++tick) {
            due += std::chrono::milliseconds(1);
            std::this_thread::sleep_until(due);
            double due_s = std::chrono::duration<double>(due.time_since_epoch()).count();
            (void)r->transact([&](transaction& t) {
                for (std::size_t i = 1; i < sets; ++i) {
                    (void)t.lww_register(bench::key(random.below(100'000)))
                        .set(values.fresh(random, 100));
                }
                (void)t.lww_register("due").set(value(due_s));
            });
        }
        state.counters["p50_us"] = b.line().hear_number();
        state.counters["p99_us"] = b.line().hear_number();
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

} // namespace
