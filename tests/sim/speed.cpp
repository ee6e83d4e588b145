#include "tests/sim/speed.hpp"

#include "tests/seeds.hpp"
#include "tests/sim/cluster.hpp"
#include "tests/sim/scenario.hpp"

#include <algorithm>
#include <array>
#include <cstdio>
#include <ctime>

namespace weft::sim {
namespace {

constexpr std::size_t replicas = 5;
constexpr std::int64_t virtual_s = 600;
constexpr std::int64_t write_gap_ms = 100;
constexpr std::int64_t fault_gap_s = 5;
constexpr std::uint64_t snapshot_ms = 30'000; // else it would measure how long logs replay

// Of this process: others on the machine do not count.
double cpu_seconds() { return static_cast<double>(std::clock()) / CLOCKS_PER_SEC; }

// One of the links, processes or clocks goes wrong, and is well again after a second.
void trouble(cluster& all, random_generator& random) {
    host& one = *all.all()[static_cast<std::size_t>(random.below(replicas))];
    host& other = *all.all()[static_cast<std::size_t>(random.below(replicas))];
    auto in_a_second = [&](std::function<void()> then) {
        all.timeline().at(all.timeline().now().after_ms(1'000), std::move(then));
    };
    switch (random.below(5)) {
        case 0: all.network().cut(one.name(), other.name()); break;
        case 1: {
            std::vector<std::string> alone{one.name()};
            all.partition(alone, sim_partition::lose);
            in_a_second([&all] { all.network().heal_all(); });
            break;
        }
        case 2:
            if (!one.active()) break;
            one.pause();
            in_a_second([&one] {
                if (one.paused()) one.resume();
            });
            break;
        case 3:
            if (!one.active()) break;
            one.kill(random.chance(0.5));
            in_a_second([&one] { (void)one.start(); });
            break;
        default: all.network().close_late(one.name(), other.name(), 500); break;
    }
}

void write(host& at, random_generator& random) {
    (void)at->transact([&](transaction& t) {
        auto key = [&](const char* kind) { return kind + std::to_string(random.below(100)); };
        (void)t.counter(key("counter")).increment();
        (void)t.lww_register(key("register")).set(random.between(0, 1'000'000));
        (void)t.set<std::int64_t>(key("set")).add(random.between(0, 100));
    });
}

// CPU seconds for `virtual_s`; nothing if the replicas did not become equal in the end.
std::optional<double> run_once(std::uint64_t seed) {
    double begin = cpu_seconds();
    cluster all({.seed = seed, .network = {.latency_us_min = 200, .latency_us_max = 2'000}});
    random_generator random(seed);
    for (std::size_t i = 0; i < replicas; ++i) {
        std::vector<std::string> peers;
        for (std::size_t j = 0; j < replicas; ++j) {
            if (j != i) peers.push_back(host_name(j));
        }
        host& one = all.add(host_name(i), peers, static_cast<sync_policy>(i % 3));
        one.options().snapshot_interval_ms = snapshot_ms;
        if (!one.start()) return std::nullopt;
    }
    std::int64_t round = 0;
    for (; round < virtual_s * 1'000 / write_gap_ms; ++round) {
        for (const auto& one : all.all()) {
            all.run_ms(write_gap_ms / static_cast<std::int64_t>(replicas));
            if (one->active()) write(*one, random);
        }
        if (round % (fault_gap_s * 1'000 / write_gap_ms) == 0) trouble(all, random);
    }
    double taken = cpu_seconds() - begin;
    all.run_ms(2'000);
    all.network().heal_all();
    bool equal = all.run_until([&] { return all.equal(); });
    return equal ? std::optional(taken) : std::nullopt;
}

} // namespace

int print_speed() {
    std::array<double, 5> times_real{};
    for (std::size_t i = 0; i < times_real.size(); ++i) {
        auto taken = run_once(seeds::bench + i);
        if (!taken) {
            std::printf("seed %zu: the replicas do not become equal\n", seeds::bench + i);
            return 2;
        }
        times_real[i] = static_cast<double>(virtual_s) / *taken;
        std::printf("seed %zu: %.0f times real time\n", seeds::bench + i, times_real[i]);
    }
    std::sort(times_real.begin(), times_real.end());
    std::printf("simulated time under load and faults: %.0f times real time, the median of %zu; "
                "%.0f to %.0f\n",
                times_real[2], times_real.size(), times_real.front(), times_real.back());
    return 0;
}

} // namespace weft::sim
