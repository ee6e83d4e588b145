#pragma once
#include "tests/seeds.hpp"
#include "tests/sim/cluster.hpp"

#include <boost/test/unit_test.hpp>

#include <algorithm>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

namespace weft::sim {

// A cluster for a story told by hand.
struct story : cluster {
    explicit story(sim_network_options network = {.latency_us_min = 1'000, .latency_us_max = 1'000})
        : cluster({.seed = seeds::unit, .network = network}) {}

    host& open(const std::string& name, const std::vector<std::string>& peers,
               sync_policy sync = sync_policy::commit) {
        host& fresh = add(name, peers, sync);
        start(fresh);
        return fresh;
    }
    static void start(host& one) {
        auto started = one.start();
        BOOST_REQUIRE_MESSAGE(started.has_value(),
                              (started ? std::string() : to_string(started.error())));
    }
    void wait_until(const std::function<bool()>& reached, std::int64_t ms_max = 30'000) {
        BOOST_REQUIRE(run_until(reached, ms_max));
    }
    void expect_equal(std::int64_t ms_max = 30'000) {
        wait_until([this] { return equal(); }, ms_max);
    }
    // Both ways, until all is healed.
    void cut(const std::string& one, const std::string& other) {
        network().partition(one, other, sim_partition::stall);
        network().partition(other, one, sim_partition::stall);
    }
    void expect_sound() {
        for (const auto& problem : check()) BOOST_ERROR(problem);
        for (const auto& problem : check_reports(all())) BOOST_ERROR(problem);
    }
};

inline bool reported(const host& one, std::string_view what, std::string_view words = "") {
    return std::any_of(one.events().begin(), one.events().end(), [&](const log_event& e) {
        return e.what == what && e.text.find(words) != std::string::npos;
    });
}

// Keeps little log: segments, snapshots and the limit are small.
inline host& open_forgetful(story& s, const std::string& name,
                            const std::vector<std::string>& peers) {
    host& fresh = s.add(name, peers);
    fresh.options().snapshot_log_bytes = 4'000;
    fresh.options().log_segment_bytes = 1'000;
    fresh.options().log_bytes_max = 10'000;
    s.start(fresh);
    return fresh;
}

inline dot add_to(host& where, std::string_view counter, std::int64_t by = 1) {
    auto done = where->transact([&](transaction& t) { (void)t.counter(counter).increment(by); });
    BOOST_REQUIRE_MESSAGE(done.has_value(), (done ? std::string() : to_string(done.error())));
    return done->id();
}

inline std::int64_t count_of(host& where, std::string_view counter) {
    return where->counter(counter).read().value();
}

inline peer_status peer_of(host& where, std::string_view name) {
    replica_status all = where->status().value();
    for (const peer_status& peer : all.peers) {
        if (peer.name == name) return peer;
    }
    return {};
}

} // namespace weft::sim

namespace boost::test_tools::tt_detail {
template <>
struct print_log_value<weft::replica_id> {
    void operator()(std::ostream& out, weft::replica_id id) { out << weft::to_string(id); }
};
} // namespace boost::test_tools::tt_detail
