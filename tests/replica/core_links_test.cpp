#include "tests/replica/engine.hpp"

#include <algorithm>

// What an engine and its peers tell each other, and what an operator sees of it.
using namespace weft;
using namespace weft::tests;

// Nobody waits for most changes: an Ack for each would double the messages.
BOOST_AUTO_TEST_CASE(an_acknowledgement_has_time_unless_somebody_waits_for_it) {
    engine a;
    a.meets("b", replica_id{20});
    a.happens(log_synced{log_index{0}});
    auto later = [&](std::uint32_t ms) {
        a.now = a.now.after_ms(ms);
        a.happens(woken{});
        return a.sent<ack_message>();
    };
    shared_bytes last;
    std::uint64_t end = 1;
    auto comes_and_is_durable = [&] { // how many Acks that took
        last = run_of(replica_id{20}, end, last.view.empty() ? run_hash{} : hash_of(last.view));
        ++end;
        a.receives(last);
        std::size_t acks = a.sent<ack_message>().size();
        a.happens(log_synced{a.decisions.log_end()});
        return acks + a.sent<ack_message>().size();
    };
    (void)later(limits::ack_delay_ms); // what the Hello showed
    BOOST_TEST(comes_and_is_durable() == 0U);
    BOOST_TEST((a.decisions.deadline() <= a.now.after_ms(limits::ack_delay_ms)));
    auto acks = later(limits::ack_delay_ms);
    BOOST_REQUIRE(acks.size() == 1U);
    BOOST_TEST(acks[0].durable.size() == 1U);
    BOOST_TEST(!acks[0].waiting, "nobody waits here");

    BOOST_TEST(comes_and_is_durable() == 0U);
    ack_message waiting;
    waiting.waiting = true;
    a.happens(received{wire, waiting, 100});
    BOOST_TEST(a.sent<ack_message>().size() == 1U, "what was durable before");
    BOOST_TEST(comes_and_is_durable() == 1U, "what is from here on");
    (void)later(limits::ack_at_once_ms);
    BOOST_TEST(comes_and_is_durable() == 0U, "it did not say so again");
}

BOOST_AUTO_TEST_CASE(who_waits_for_others_says_so_for_as_long_as_it_waits) {
    engine a({.name = "a", .peers = {"test:b", "test:c"}});
    a.meets("b", replica_id{20}, peer_id{0});
    auto later = [&](std::uint32_t ms) {
        a.now = a.now.after_ms(ms);
        a.happens(woken{});
        auto acks = a.sent<ack_message>();
        return std::any_of(acks.begin(), acks.end(), [](auto& ack) { return ack.waiting; });
    };
    auto made = a.writes();
    auto waits = [&](ack_level level) {
        a.decisions.wait(made, level, instant::never(), [](const result<void>&) {});
    };
    waits(ack_level::disk());
    BOOST_TEST(!later(1), "for this replica alone");
    BOOST_TEST(!a.decisions.wants_step());
    waits(ack_level::majority());
    BOOST_TEST(a.decisions.wants_step(), "it is said at once");
    BOOST_TEST(later(0));
    BOOST_TEST(!later(1), "once");
    BOOST_TEST((a.decisions.deadline() <= a.now.after_ms(limits::ack_at_once_ms / 2)));
    BOOST_TEST(later(limits::ack_at_once_ms / 2), "and again");
    a.happens(link_down{wire, {errc::link_lost, ""}});
    a.meets("b", replica_id{20}, peer_id{0});
    BOOST_TEST(a.sent<ack_message>().at(0).waiting, "to one that comes, too");
    ack_message has_it;
    has_it.applied = has_it.durable = {{replica_id{10}, made.end - 1}};
    a.happens(received{wire, has_it, 100});
    BOOST_TEST(later(limits::ack_at_once_ms), "what is not durable here has no majority yet");
    a.happens(log_synced{a.decisions.log_end()});
    BOOST_TEST(a.count<answer>() == 2U);
    BOOST_TEST(!later(limits::ack_at_once_ms), "nobody waits any more");
}

// Else it would come as late as this replica's own policy lets it be.
BOOST_AUTO_TEST_CASE(who_never_hurries_with_a_sync_does_where_a_peer_waits) {
    engine a({.name = "a", .sync = sync_policy::none});
    a.meets("b", replica_id{20});
    shared_bytes first = run_of(replica_id{20});
    a.receives(first);
    BOOST_TEST(a.count<sync_log>() == 0U);
    ack_message waiting;
    waiting.waiting = true;
    a.happens(received{wire, waiting, 100});
    BOOST_TEST(a.count<sync_log>() == 1U);
    a.happens(log_synced{a.decisions.log_end()});
    a.receives(run_of(replica_id{20}, 2, hash_of(first.view)));
    BOOST_TEST(a.count<sync_log>() == 1U);
}

// It stands at less than is here, so that equal counters do not show it.
BOOST_AUTO_TEST_CASE(a_history_that_differs_below_is_found_when_a_peer_says_where_it_stands) {
    shared_bytes first = run_of(replica_id{30});
    shared_bytes second = run_of(replica_id{30}, 2, hash_of(first.view));
    for (bool same : {true, false}) {
        engine a;
        a.meets("b", replica_id{20});
        a.receives(first);
        a.receives(second);
        a.happens(link_down{wire, {errc::link_lost, ""}});
        hello_message hello = hello_of("b", replica_id{20});
        hello.applied = {{replica_id{30}, 1, same ? hash_of(first.view) : run_hash{7}}};
        a.happens(link_up{wire, {}, "test:b"});
        a.happens(received{wire, hello, 100});
        BOOST_TEST(a.reported("session.blocked") == !same);
        BOOST_TEST((a.decisions.identity().id == replica_id{10}));
    }
    // Of our own id: an operator is to see it here, too.
    engine a;
    (void)a.writes();
    a.happens(woken{});
    (void)a.writes();
    a.happens(woken{});
    hello_message hello = hello_of("b", replica_id{20});
    hello.applied = {{replica_id{10}, 1, run_hash{7}}};
    a.happens(link_up{wire, {}, "test:b"});
    a.happens(received{wire, hello, 100});
    BOOST_TEST((a.decisions.identity().id == replica_id{10}));
    BOOST_TEST((a.decisions.status(a.now).peers.at(0).state == peer_state::blocked));
}

BOOST_AUTO_TEST_CASE(a_peer_that_refuses_what_is_here_says_so_in_the_status_of_both) {
    engine a;
    a.meets("b", replica_id{20});
    a.happens(received{wire, notice_message{errc::dot_reused, "two histories", false}, 100});
    auto peer = a.decisions.status(a.now).peers.at(0);
    BOOST_TEST((peer.state == peer_state::blocked));
    BOOST_TEST(peer.error.find("two histories") != std::string::npos);
}

BOOST_AUTO_TEST_CASE(a_peer_that_is_away_lags) {
    engine a({.name = "a", .peers = {"test:b", "test:c"}});
    auto lag_of = [&](std::size_t i) {
        auto peer = a.decisions.status(a.now).peers.at(i);
        return std::pair(peer.lag_ops, peer.lag_ms);
    };
    auto made = a.writes();
    a.happens(log_synced{log_index{0}});
    a.meets("b", replica_id{20}, peer_id{0});
    ack_message has_it;
    has_it.applied = has_it.durable = {{replica_id{10}, made.end - 1}};
    a.happens(received{wire, has_it, 100});
    a.happens(link_down{wire, {errc::link_lost, ""}});
    a.now = a.now.after_ms(5'000);
    a.happens(woken{});
    BOOST_TEST((lag_of(0) == std::pair(std::uint64_t{0}, std::int64_t{0})), "it has all");
    BOOST_TEST(lag_of(1).first == 1U, "never seen");
    BOOST_TEST(lag_of(1).second >= 5'000);
    (void)a.writes();
    a.happens(woken{});
    a.now = a.now.after_ms(2'000);
    BOOST_TEST((lag_of(0) == std::pair(std::uint64_t{1}, std::int64_t{2'000})));
    a.meets("b", replica_id{20}, peer_id{0});
    a.happens(link_down{wire, {errc::link_lost, ""}});
    BOOST_TEST(lag_of(0).second < 1'000, "its Hello said that it lacks it, only now");
}
