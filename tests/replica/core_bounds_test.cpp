#include "tests/replica/engine.hpp"

// What the engine does when a bound is reached, in virtual time.
using namespace weft;
using namespace weft::tests;

namespace {

// Closed with a last word, in place of what it does not read.
bool told_instead(const engine& a) {
    return std::any_of(a.asked.begin(), a.asked.end(), [](const effect& e) {
        const auto* closed = std::get_if<close_link>(&e);
        return closed != nullptr && closed->instead && closed->instead->fatal &&
               closed->instead->code == errc::over_limit;
    });
}

// Writes one register of that size, and steps.
void writes_text(engine& a, std::size_t size) {
    static constexpr std::string_view key = "own";
    operation op;
    op.path = {&key, 1};
    op.type = {type_kind::lww_register};
    op.what = action::write;
    op.argument = value(std::string(size, 'x'));
    BOOST_REQUIRE(a.decisions.begin_change(wall_ms));
    BOOST_REQUIRE(a.decisions.apply(std::move(op)));
    (void)a.decisions.end_change();
    a.happens(woken{});
}

} // namespace

BOOST_AUTO_TEST_CASE(a_link_without_a_hello_is_closed_after_5_s) {
    for (bool dialed : {false, true}) {
        engine a({.name = "a", .peers = {"test:b"}});
        a.happens(link_up{wire, dialed ? std::optional(peer_id{0}) : std::nullopt, "test:b"});
        instant begun = a.now;
        instant due = begun.after_ms(limits::handshake_ms_max);
        BOOST_TEST((a.decisions.deadline() <= due), "it wakes by itself");
        a.now = due.after_ms(-2);
        a.decisions.count_heard(wire, a.now); // bytes alone are no greeting
        a.happens(woken{});
        BOOST_TEST(a.count<close_link>() == 0U);
        a.happens(woken{});
        BOOST_TEST(a.now.ms_since(begun) == std::int64_t{limits::handshake_ms_max});
        BOOST_TEST(a.count<close_link>() == 1U);
    }
}

// It sends heartbeats, and its link takes what is sent, but it never says that it has it.
BOOST_AUTO_TEST_CASE(a_peer_that_confirms_nothing_is_told_and_dropped) {
    engine a({.name = "a", .sync = sync_policy::interval});
    a.meets("b", replica_id{20});
    a.happens(received{wire, interest_message{}, 100});
    auto seconds_until_dropped = [&] {
        for (std::uint32_t s = 1; s < 100; ++s) {
            a.now = a.now.after_ms(999);
            a.happens(received{wire, heartbeat_message{}, 100});
            if (a.count<close_link>() > 0) return s;
            a.drains(wire);
        }
        return 100U;
    };
    BOOST_TEST(seconds_until_dropped() == 100); // it owes nothing
    a.writes();
    a.happens(woken{});
    BOOST_TEST(a.decisions.status(a.now).sending_bytes > 0);
    a.drains(wire);
    BOOST_TEST(a.decisions.status(a.now).sending_bytes == 0);
    BOOST_TEST(seconds_until_dropped() == limits::stall_ms_max / 1000);
    BOOST_TEST(a.reported("session.closed"));
    BOOST_TEST(told_instead(a));
}

BOOST_AUTO_TEST_CASE(links_that_do_not_drain_share_one_budget) {
    replica_options options{.name = "a", .sync = sync_policy::interval};
    options.buffer_bytes_max = limits::buffer_bytes_min;
    options.packed = codec::none;
    engine a(options);
    std::size_t share = limits::buffer_share(options.buffer_bytes_max);
    for (std::uint32_t n = 1; n <= 60; ++n) {
        session_id one{n};
        a.happens(link_up{one, {}, "test:" + std::to_string(n)});
        hello_message hello = hello_of("m" + std::to_string(n), replica_id{100 + n});
        hello.process_nonce = n + 100;
        a.happens(received{one, hello, 100});
        a.happens(received{one, interest_message{}, 100});
    }
    std::string filler(200'000, 'x');
    for (int n = 0; n < 20; ++n) {
        static constexpr std::string_view key = "own";
        operation op;
        op.path = {&key, 1};
        op.type = {type_kind::lww_register};
        op.what = action::write;
        op.argument = value(filler);
        BOOST_REQUIRE(a.decisions.begin_change(wall_ms));
        BOOST_REQUIRE(a.decisions.apply(std::move(op)));
        (void)a.decisions.end_change();
        a.happens(woken{});
    }
    std::size_t sending = a.decisions.status(a.now).sending_bytes;
    BOOST_TEST(sending > share / 2);
    BOOST_TEST(sending < share + 2 * limits::batch_bytes_target);
    a.drains(session_id{1});
    BOOST_TEST(a.count<send_message>() > 0);
}

BOOST_AUTO_TEST_CASE(what_peers_state_of_themselves_has_a_budget_and_the_largest_goes) {
    replica_options options{.name = "a"};
    options.buffer_bytes_max = limits::buffer_bytes_min;
    engine a(options);
    std::size_t share = limits::buffer_share(options.buffer_bytes_max);
    std::size_t closed = 0;
    bool small_one_closed = false;
    for (std::uint32_t n = 1; n <= 30; ++n) {
        a.happens(link_up{session_id{n}, {}, "test:" + std::to_string(n)});
        hello_message hello = hello_of("m" + std::to_string(n), replica_id{1'000'000 + n});
        hello.process_nonce = n + 100;
        std::uint64_t ids = n == 1 ? 10 : 30'000;
        for (std::uint64_t id = 100; id < 100 + ids; ++id)
            hello.applied.push_back({replica_id{id}, 1, {}});
        a.happens(received{session_id{n}, hello, 100});
        for (const effect& e : a.asked) {
            const auto* gone = std::get_if<close_link>(&e);
            closed += gone != nullptr ? 1 : 0;
            small_one_closed = small_one_closed || (gone && gone->session == session_id{1});
        }
        BOOST_TEST(a.decisions.status(a.now).vector_bytes <= share);
    }
    BOOST_TEST(closed > 0U);
    BOOST_TEST(closed < 25U);
    BOOST_TEST(!small_one_closed);
    BOOST_TEST(a.decisions.status(a.now).vector_bytes > share / 2);
    for (std::uint32_t n = 1; n <= 30; ++n)
        a.happens(link_down{session_id{n}, {errc::link_lost, "it ends"}});
    BOOST_TEST(a.decisions.status(a.now).vector_bytes == 0U);
}

// Three runs of so many operations each, of which subscribers are told much more than is in them: the key is
// once in a run, however often it is written.
static runs_message much_to_tell(std::uint64_t operations, const version_vector& dependencies) {
    std::string key(limits::key_bytes_max, 'k');
    std::string_view name = key;
    runs_message frame;
    run_hash previous{};
    for (std::uint64_t n = 0; n < 3; ++n) {
        run_encoder encoder;
        operation op;
        op.path = {&name, 1};
        op.type = {type_kind::counter};
        op.what = action::increment;
        op.amount = 1;
        encoder.begin_change(hlc::at_ms(wall_ms),
                             n == 0 ? dependencies.entries() : version_vector{}.entries());
        for (std::uint64_t i = 0; i < operations; ++i) encoder.add(op);
        encoder.end_change();
        shared_bytes run(
            encoder.seal(replica_id{20}, 1 + n * operations, previous, {"m", "", {}}, codec::none));
        previous = hash_of(run.view);
        frame.runs.push_back(std::move(run));
    }
    return frame;
}

BOOST_AUTO_TEST_CASE(what_subscribers_are_told_of_what_was_held_back_is_bounded_too) {
    replica_options options{.name = "a"};
    options.buffer_bytes_max = limits::buffer_bytes_min;
    engine a(options);
    BOOST_REQUIRE(a.decisions.subscribe({"", true}, [](const change_event&) {}));
    std::uint64_t operations =
        limits::buffer_share(options.buffer_bytes_max) / limits::key_bytes_max;
    a.meets("b", replica_id{20});
    a.happens(received{wire, much_to_tell(operations, {{replica_id{30}, 1}}), 100});
    BOOST_TEST(a.decisions.status(a.now).held_back_runs == 3U);
    a.receives(run_of(replica_id{30}));
    for (std::uint64_t n = 1; n <= 3; ++n) {
        BOOST_TEST(a.decisions.applied().at(replica_id{20}) == n * operations);
        if (n < 3) BOOST_TEST((a.decisions.deadline() <= a.now), "the rest is for the next step");
        a.happens(woken{});
    }
    BOOST_TEST((a.decisions.deadline() > a.now));
    BOOST_TEST(a.decisions.status(a.now).held_back_runs == 0U);
}

BOOST_AUTO_TEST_CASE(what_subscribers_are_told_of_one_frame_is_bounded_and_the_rest_comes_again) {
    replica_options options{.name = "a"};
    options.buffer_bytes_max = limits::buffer_bytes_min;
    engine a(options);
    BOOST_REQUIRE(a.decisions.subscribe({"", true}, [](const change_event&) {}));
    std::uint64_t operations =
        limits::buffer_share(options.buffer_bytes_max) / limits::key_bytes_max;
    runs_message frame = much_to_tell(operations, {});
    a.meets("b", replica_id{20});
    for (std::uint64_t n = 1; n <= 3; ++n) {
        a.happens(received{wire, frame, 100});
        BOOST_TEST(a.decisions.applied().at(replica_id{20}) == n * operations);
        BOOST_TEST(a.count<notify>() == 1U);
    }
    // After the last there was nothing left to ask for; after those before there was.
    engine b(options);
    BOOST_REQUIRE(b.decisions.subscribe({"", true}, [](const change_event&) {}));
    b.meets("b", replica_id{20});
    b.happens(received{wire, frame, 100});
    bool asked = false;
    for (int look = 0; look < 10 && !asked; ++look) {
        b.now = b.now.after_ms(limits::repair_ms);
        b.happens(woken{});
        for (const effect& e : b.asked) {
            const auto* sent = std::get_if<send_message>(&e);
            const auto* want = sent ? std::get_if<interest_message>(&sent->what) : nullptr;
            asked =
                asked || (want && want->resend && want->applied.at(replica_id{20}) == operations);
        }
    }
    BOOST_TEST(asked);
}

// Its pings are answered each time; nothing of that is ever read.
BOOST_AUTO_TEST_CASE(a_peer_that_pings_and_does_not_read_is_told_and_dropped) {
    engine a({.name = "a"});
    a.meets("b", replica_id{20});
    instant begun = a.now;
    while (a.count<close_link>() == 0) {
        BOOST_REQUIRE(a.now.ms_since(begun) <= std::int64_t{limits::stall_ms_max});
        a.now = a.now.after_ms(499);
        heartbeat_message ping;
        ping.ping = 1;
        a.happens(received{wire, ping, 100});
        a.decisions.count_sent(wire, 100, false, a.now);
    }
    BOOST_TEST(a.now.ms_since(begun) >= std::int64_t{limits::stall_ms_max});
    BOOST_TEST(told_instead(a));
}

// A run that takes longer than a peer may be silent about what it was sent.
BOOST_AUTO_TEST_CASE(a_link_that_takes_a_large_frame_slowly_stays) {
    engine a({.name = "a", .sync = sync_policy::interval, .packed = codec::none});
    a.meets("b", replica_id{20});
    a.happens(received{wire, interest_message{}, 100});
    std::size_t size = 500'000;
    writes_text(a, size);
    a.decisions.count_sent(wire, size, true, a.now);
    std::uint64_t taken = 0;
    auto second = [&](std::size_t more) {
        a.now = a.now.after_ms(998);
        taken += more;
        a.decisions.count_sent(wire, 60, false, a.now); // a heartbeat
        a.decisions.count_taken(wire, taken, a.now);
        a.happens(received{wire, heartbeat_message{}, 100});
        return a.count<close_link>() > 0;
    };
    for (int s = 0; s < 100; ++s) BOOST_REQUIRE(!second(5'060));
    // All of it has left: from here on heartbeats that are taken confirm nothing.
    int seconds = 0;
    while (!second(60)) BOOST_REQUIRE(++seconds < 100);
    BOOST_TEST(seconds >= static_cast<int>(limits::stall_ms_max / 1'000) - 2);
    BOOST_TEST(seconds <= static_cast<int>(limits::stall_ms_max / 1'000) + 2);
}

BOOST_AUTO_TEST_CASE(a_run_that_is_kept_does_not_keep_its_frame) {
    engine a;
    a.meets("b", replica_id{20});
    shared_bytes applied = run_of(replica_id{30});
    shared_bytes waits = run_of(replica_id{40}, 2, run_hash{7});
    for (const shared_bytes& run : {applied, waits}) {
        bytes frame(1U << 20U);
        std::copy(run.view.begin(), run.view.end(), frame.begin());
        shared_bytes whole(std::move(frame));
        std::weak_ptr<const bytes> alive = whole.owner;
        a.receives(whole.part(0, run.view.size()));
        whole = {};
        a.asked.clear();
        BOOST_TEST(alive.expired());
    }
    BOOST_TEST(a.decisions.status(a.now).log_tail_bytes == applied.view.size());
    BOOST_TEST(a.decisions.status(a.now).held_back_bytes == waits.view.size());
}

BOOST_AUTO_TEST_CASE(a_replayed_log_does_not_keep_its_segments) {
    core decisions{{.name = "a"}, 1};
    shared_bytes run = run_of(replica_id{30});
    bytes segment(1U << 20U);
    std::copy(run.view.begin(), run.view.end(), segment.begin());
    shared_bytes whole(std::move(segment));
    std::weak_ptr<const bytes> alive = whole.owner;
    BOOST_REQUIRE(decisions.replay(whole.part(0, run.view.size()), wall_ms));
    whole = {};
    decisions.start({replica_id{10}, {}, {}}, {}, instant{1});
    BOOST_TEST(alive.expired());
}

BOOST_AUTO_TEST_CASE(subscribers_share_what_they_are_told) {
    engine a;
    std::vector<object_changes> told;
    auto keep = [&](const change_event& change) { told.push_back(change.objects); };
    for (int i = 0; i < 3; ++i) BOOST_REQUIRE(a.decisions.subscribe({"", true}, keep));
    BOOST_REQUIRE(a.decisions.subscribe({"other", true}, keep));
    std::size_t before = a.decisions.unlogged_bytes();
    (void)a.writes();
    BOOST_TEST(a.decisions.unlogged_bytes() > before + sizeof(object_change),
               "writers wait for it");
    a.happens(woken{});
    BOOST_TEST(a.decisions.unlogged_bytes() == 0U);
    for (effect& e : a.asked) {
        if (auto* one = std::get_if<notify>(&e)) one->whom->tell(one->what);
    }
    BOOST_REQUIRE(told.size() == 3U);
    BOOST_TEST((told[0].shares(told[1]) && told[0].shares(told[2])));
}

BOOST_AUTO_TEST_CASE(many_requests_for_a_state_that_is_not_there_yet_make_one_snapshot) {
    engine a({.name = "a", .snapshot_log_bytes = 0, .snapshot_interval_ms = 0});
    (void)a.writes();
    a.meets("b", replica_id{20});
    auto asks = [&] {
        std::size_t written = 0;
        for (int i = 0; i < 100; ++i) {
            a.happens(received{wire, state_request{}, 100});
            written += a.count<write_snapshot>();
        }
        return written;
    };
    BOOST_TEST(asks() == 0U, "its log is not durable yet");
    log_index at = a.decisions.log_end();
    a.happens(log_synced{at});
    BOOST_TEST(a.count<write_snapshot>() == 1U);
    (void)a.writes();
    BOOST_TEST(asks() == 0U);
    a.happens(snapshot_written{{at, 100}, {}});
    a.happens(log_synced{a.decisions.log_end()});
    BOOST_TEST(a.count<write_snapshot>() == 0U, "nobody waits for another");
}
