#include "tests/replica/engine.hpp"

#include <deque>
#include <map>

// Checks: two states are compared at one version vector, while everybody writes.
using namespace weft;
using namespace weft::tests;

namespace {

constexpr replica_id origin{30};

hello_message checking_hello(const std::string& name, replica_id id) {
    hello_message out = hello_of(name, id);
    out.features = feature_checks;
    return out;
}

// One change of one origin that writes so many keys.
shared_bytes run_of_keys(int keys, std::optional<int> wrong = {}) {
    run_encoder encoder;
    encoder.begin_change(hlc::at_ms(wall_ms), {});
    for (int i = 0; i < keys; ++i) {
        std::string key = "key:" + std::to_string(1'000 + i);
        std::string_view path = key;
        operation op;
        op.path = {&path, 1};
        op.what = action::write;
        op.argument = value(std::int64_t{i == wrong ? -1 : i});
        encoder.add(op);
    }
    encoder.end_change();
    return shared_bytes(encoder.seal(origin, 1, {}, {"m", "", {}}, codec::none));
}

// What such a run makes of a state; the other of two histories that no hash tells apart.
state_image state_of_keys(int keys, std::optional<int> wrong = {}) {
    auto image_of = [](const shared_bytes& run) {
        engine e;
        e.meets("m", replica_id{99});
        e.receives(run);
        return e.decisions.image();
    };
    state_image out = image_of(run_of_keys(keys, wrong));
    out.header.origins = image_of(run_of_keys(keys)).header.origins;
    return out;
}

core started(const std::string& name, replica_id id, const std::optional<state_image>& from) {
    core out{{.name = name}, static_cast<std::uint64_t>(id)};
    if (from) BOOST_REQUIRE(out.load(*from));
    out.start({id, {}, {}}, {}, instant{1'000'000'000});
    return out;
}

std::vector<check_message> checks_in(const std::vector<effect>& asked) {
    std::vector<check_message> out;
    for (const effect& e : asked) {
        const auto* sent = std::get_if<send_message>(&e);
        const auto* check = sent == nullptr ? nullptr : std::get_if<check_message>(&sent->what);
        if (check != nullptr) out.push_back(*check);
    }
    return out;
}

// Two engines on one link, each with a log that is durable a step later.
struct side {
    engine e;
    std::vector<shared_bytes> log;
    std::deque<message> inbox;
    std::vector<std::string> reported;
    bool syncing = false;
    std::size_t checks_sent = 0;

    explicit side(core of) : e(std::move(of)) {}
};

struct two_sides {
    side a, b;

    explicit two_sides(const std::optional<state_image>& of_a = {},
                       const std::optional<state_image>& of_b = {})
        : a(started("a", replica_id{10}, of_a)), b(started("b", replica_id{20}, of_b)) {
        for (side* s : {&a, &b}) s->e.now = instant{1'000'000'000};
        happens(a, link_up{wire, {}, "test:b"});
        happens(b, link_up{wire, {}, "test:a"});
        pass(100);
    }

    void happens(side& to, decltype(event::what) what) {
        to.e.happens(std::move(what));
        side& other = &to == &a ? b : a;
        for (effect& each : to.e.asked) {
            if (auto* sent = std::get_if<send_message>(&each)) {
                if (sent->session != wire) continue; // to the third
                to.checks_sent += std::holds_alternative<check_message>(sent->what) ? 1 : 0;
                other.inbox.push_back(std::move(sent->what));
            } else if (auto* runs = std::get_if<append_log>(&each)) {
                to.log.insert(to.log.end(), runs->runs.begin(), runs->runs.end());
            } else if (std::holds_alternative<sync_log>(each)) {
                to.syncing = true;
            } else if (auto* said = std::get_if<report>(&each)) {
                to.reported.push_back(said->what.what);
            } else if (auto* due = std::get_if<answer>(&each)) {
                due->whom(due->outcome);
            }
        }
    }
    // What was under way arrives, on both sides at once.
    void step() {
        auto to_a = std::exchange(a.inbox, {});
        auto to_b = std::exchange(b.inbox, {});
        for (side* s : {&a, &b}) {
            s->e.decisions.count_drained(wire, s->e.now);
            happens(*s, woken{});
            if (std::exchange(s->syncing, false)) happens(*s, log_synced{s->e.decisions.log_end()});
            for (message& each : s == &a ? to_a : to_b)
                happens(*s, received{wire, std::move(each), 100});
        }
    }
    void pass(int steps) {
        for (int i = 0; i < steps; ++i) step();
    }
    using answered = std::optional<result<comparison>>;
    static void ask(side& by, answered& out) {
        by.e.decisions.verify(std::nullopt, by.e.now.after_ms(limits::check_ms_max),
                              [&out](std::vector<peer_verification> all) {
                                  BOOST_REQUIRE(all.size() == 1U);
                                  out = all.front().outcome;
                              });
    }
    // Until it is answered; meanwhile `between` happens before each step.
    answered verify(side& by, const std::function<void()>& between) {
        answered out;
        ask(by, out);
        for (int i = 0; i < 1'000 && !out; ++i) {
            between();
            step();
        }
        return out;
    }
    static peer_status peer(side& of) { return of.e.decisions.status(of.e.now).peers.at(0); }
    static std::ptrdiff_t reports(const side& of, std::string_view what) {
        return std::count(of.reported.begin(), of.reported.end(), what);
    }
};

// An engine that is linked with one peer, whose part is played by hand.
struct with_peer : engine {
    std::vector<peer_verification> outcomes;
    bool answered = false;

    explicit with_peer(std::uint64_t features = feature_checks) {
        happens(link_up{wire, {}, "test:b"});
        hello_message hello = checking_hello("b", replica_id{20});
        hello.features = features;
        happens(received{wire, hello, 100});
        receives(run_of(origin));
    }
    void verify() {
        decisions.verify(std::nullopt, now.after_ms(limits::check_ms_max),
                         [this](std::vector<peer_verification> all) {
                             outcomes = std::move(all);
                             answered = true;
                         });
        happens(woken{});
        answer_all();
    }
    void says(std::uint64_t number, decltype(check_message::step) step) {
        happens(received{wire, check_message{number, std::move(step)}, 100});
        answer_all();
    }
    void answer_all() {
        for (effect& e : asked) {
            if (auto* due = std::get_if<weft::answer>(&e)) due->whom(due->outcome);
        }
    }
    // Lets so much time pass, in which the peer says nothing but that it lives.
    std::vector<check_message> waits_ms(std::int64_t ms) {
        std::vector<check_message> said;
        for (instant end = now.after_ms(ms); now < end;) {
            now = std::min(end, now.after_ms(limits::heartbeat_ms));
            happens(received{wire, heartbeat_message{}, 100});
            auto fresh = checks_in(asked);
            said.insert(said.end(), fresh.begin(), fresh.end());
            answer_all();
        }
        return said;
    }
    [[nodiscard]] errc failure() const {
        BOOST_REQUIRE(answered);
        BOOST_REQUIRE(!outcomes.at(0).outcome.has_value());
        return outcomes.at(0).outcome.error().code;
    }
    [[nodiscard]] const std::string& detail() const {
        return outcomes.at(0).outcome.error().detail;
    }
};

} // namespace

BOOST_AUTO_TEST_CASE(equal_states_are_found_equal_while_both_and_a_third_write) {
    two_sides both(state_of_keys(300), state_of_keys(300));
    run_hash last = hash_of(run_of_keys(300).view);
    std::uint64_t next = 301;
    bool ever_equal = false;
    constexpr session_id third_link{2};
    both.happens(both.a, link_up{third_link, {}, "test:m"});
    hello_message hello = checking_hello("m", origin);
    hello.applied = {{origin, 300, last}};
    both.happens(both.a, received{third_link, hello, 100});
    auto everybody_writes = [&] {
        (void)both.a.e.writes();
        (void)both.b.e.writes();
        shared_bytes third = run_of(origin, next++, last);
        last = hash_of(third.view);
        both.happens(both.a, received{third_link, runs_message{{third}}, 100});
        ever_equal = ever_equal || both.a.e.decisions.applied() == both.b.e.decisions.applied();
    };
    for (int i = 0; i < 50; ++i) {
        everybody_writes();
        both.step();
    }
    auto outcome = both.verify(both.b, everybody_writes);
    BOOST_REQUIRE(outcome.has_value());
    BOOST_REQUIRE_MESSAGE(outcome->has_value(), (*outcome ? "" : to_string(outcome->error())));
    BOOST_TEST((*outcome)->equal);
    BOOST_TEST(!ever_equal, "it was forced");
    both.pass(20);
    for (side* s : {&both.a, &both.b}) {
        BOOST_TEST(both.peer(*s).digest_compared_ms >= 0);
        BOOST_TEST(!both.peer(*s).digest_mismatch);
    }
    for (side* s : {&both.a, &both.b}) s->e.decisions.check_invariants();
}

BOOST_AUTO_TEST_CASE(a_difference_is_found_and_named_while_both_write) {
    for (int wrong : {1, 123, 299}) {
        two_sides both(state_of_keys(300), state_of_keys(300, wrong));
        auto both_write = [&] {
            (void)both.a.e.writes();
            (void)both.b.e.writes();
        };
        auto outcome = both.verify(both.a, both_write);
        BOOST_REQUIRE((outcome && outcome->has_value()));
        BOOST_TEST(!(*outcome)->equal);
        std::string key = "'key:" + std::to_string(1'000 + wrong) + "'";
        std::string_view keys = (*outcome)->keys;
        BOOST_TEST(keys.starts_with("keys from " + key), keys);
        both.pass(20);
        for (side* s : {&both.a, &both.b}) {
            BOOST_TEST(both.peer(*s).digest_mismatch);
            BOOST_TEST(both.peer(*s).digest_mismatch_keys == keys);
            BOOST_TEST(both.reports(*s, "digest.mismatch") == 1);
            BOOST_TEST(both.reports(*s, "digest.mismatch_keys") == 1);
        }
    }
}

// The digest that is kept does not show it, for it was never told.
BOOST_AUTO_TEST_CASE(a_value_that_changed_in_memory_is_found) {
    two_sides both(state_of_keys(20), state_of_keys(20));
    static constexpr std::string_view path = "key:1007";
    const object* there = both.b.e.decisions.state().find({&path, 1}, {type_kind::lww_register});
    BOOST_REQUIRE(there != nullptr);
    const auto& entry = *there->as<register_store<value>>().begin();
    const_cast<value&>(entry.payload.content) = value(std::int64_t{70});
    BOOST_TEST((both.a.e.decisions.state().digest() == both.b.e.decisions.state().digest()));
    auto outcome = both.verify(both.a, [] {});
    BOOST_REQUIRE((outcome && outcome->has_value()));
    BOOST_TEST((**outcome == comparison{false, "keys from 'key:1007' before 'key:1008'"}));
}

// By heartbeats; then a check finds out where, which nobody asked for.
BOOST_AUTO_TEST_CASE(a_mismatch_at_rest_is_named_by_a_check) {
    two_sides both(state_of_keys(300), state_of_keys(300, 5));
    both.pass(2'500);
    for (side* s : {&both.a, &both.b}) {
        BOOST_TEST(both.reports(*s, "digest.mismatch") == 1);
        BOOST_TEST(both.peer(*s).digest_mismatch_keys == "keys from 'key:1005' before 'key:1006'");
    }
}

BOOST_AUTO_TEST_CASE(two_that_ask_at_once_make_one_check) {
    two_sides both(state_of_keys(10), state_of_keys(10));
    two_sides::answered ours;
    two_sides::answered theirs;
    two_sides::ask(both.a, ours);
    two_sides::ask(both.b, theirs);
    both.pass(50);
    BOOST_REQUIRE((ours && *ours && theirs && *theirs));
    BOOST_TEST((*ours)->equal);
    BOOST_TEST((*theirs)->equal);
    BOOST_TEST(both.a.checks_sent == 2U, "begin, digest");
    BOOST_TEST(both.b.checks_sent == 3U, "begin in vain, answer, digest");
}

BOOST_AUTO_TEST_CASE(who_is_not_linked_or_knows_no_checks_is_named_at_once) {
    with_peer old(0);
    old.verify();
    BOOST_TEST((old.failure() == errc::incompatible));
    BOOST_TEST(checks_in(old.asked).empty());
    BOOST_TEST(old.outcomes.at(0).peer == "b");

    engine alone({.name = "a", .peers = {"test:b"}});
    std::vector<peer_verification> all;
    auto ask = [&](std::optional<peer_id> whom) {
        alone.decisions.verify(whom, instant::never(), [&](auto outcomes) { all = outcomes; });
        alone.happens(woken{});
        for (effect& e : alone.asked) {
            if (auto* due = std::get_if<answer>(&e)) due->whom(due->outcome);
        }
    };
    ask(std::nullopt);
    BOOST_REQUIRE(all.size() == 1U);
    BOOST_TEST((all.at(0).outcome.error().code == errc::unreachable));
    BOOST_TEST(all.at(0).peer == "test:b");
    alone.happens(peer_command{peer_id{0}, true});
    ask(peer_id{0});
    BOOST_TEST(all.at(0).outcome.error().detail.find("paused") != std::string::npos);
}

BOOST_AUTO_TEST_CASE(a_link_that_ends_ends_its_check) {
    with_peer a;
    a.verify();
    BOOST_REQUIRE(checks_in(a.asked).size() == 1U);
    a.verify(); // waits for the next one
    a.happens(link_down{wire, {errc::link_lost, "cut"}});
    BOOST_TEST(!a.answered);
    a.answer_all();
    BOOST_TEST((a.failure() == errc::link_lost));
    BOOST_TEST((a.decisions.deadline() > a.now));
}

BOOST_AUTO_TEST_CASE(a_peer_that_does_not_answer_is_given_up) {
    with_peer a;
    a.verify();
    auto begun = checks_in(a.asked);
    BOOST_REQUIRE(begun.size() == 1U);
    auto said = a.waits_ms(limits::check_ms_max + 10);
    BOOST_TEST((a.failure() == errc::timed_out));
    BOOST_TEST(a.detail() == "the peer did not answer");
    BOOST_REQUIRE(said.size() == 1U);
    BOOST_TEST(said.at(0).number == begun.at(0).number);
    BOOST_TEST(std::holds_alternative<error>(said.at(0).step));
    // What comes late is of no check any more.
    a.says(begun.at(0).number, check_answer{a.decisions.applied()});
    BOOST_TEST(checks_in(a.asked).empty());
}

BOOST_AUTO_TEST_CASE(what_does_not_come_is_named) {
    with_peer a;
    a.verify();
    std::uint64_t number = checks_in(a.asked).at(0).number;
    version_vector theirs = a.decisions.applied();
    theirs.advance(origin, 5);
    a.says(number, check_answer{theirs});
    (void)a.waits_ms(limits::check_ms_max + 10);
    BOOST_TEST((a.failure() == errc::timed_out));
    BOOST_TEST(a.detail().find(to_string(dot{origin, 5}) + " of 'm'") != std::string::npos,
               a.detail());
}

BOOST_AUTO_TEST_CASE(why_the_peer_ended_it_is_told) {
    with_peer a;
    a.verify();
    a.says(checks_in(a.asked).at(0).number, error{errc::over_limit, "busy"});
    BOOST_TEST((a.failure() == errc::over_limit));
    BOOST_TEST(a.detail() == "there: busy");
}

BOOST_AUTO_TEST_CASE(runs_beyond_the_point_are_not_taken_into_the_copy) {
    with_peer a;
    a.verify();
    std::uint64_t number = checks_in(a.asked).at(0).number;
    shared_bytes second = run_of(origin, 2, hash_of(run_of(origin).view));
    shared_bytes third = run_of(origin, 3, hash_of(second.view));
    engine reference;
    reference.meets("m", replica_id{99});
    for (const shared_bytes& run : {run_of(origin), second}) reference.receives(run);
    version_vector theirs = reference.decisions.applied();
    for (const shared_bytes& run : {second, third}) a.receives(run);
    (void)a.writes();
    a.says(number, check_answer{theirs});
    auto said = checks_in(a.asked);
    BOOST_REQUIRE(said.size() == 1U);
    const auto& digest = std::get<check_digest>(said.at(0).step);
    BOOST_TEST(digest.applied_hash == hash_of_vector(theirs));
    BOOST_TEST((digest.counted == reference.decisions.state().digest().words));
    BOOST_TEST((digest.kept == digest.counted));
    a.says(number, digest);
    BOOST_REQUIRE(a.answered);
    BOOST_TEST(a.outcomes.at(0).outcome.value().equal);
}

// No vector that we ever sent stands there.
BOOST_AUTO_TEST_CASE(a_point_inside_a_run_is_none) {
    engine a;
    a.happens(link_up{wire, {}, "test:b"});
    a.happens(received{wire, checking_hello("b", replica_id{20}), 100});
    a.happens(received{wire, check_message{7, check_begin{version_vector{{origin, 2}}}}, 100});
    BOOST_REQUIRE(checks_in(a.asked).size() == 1U);
    BOOST_TEST(std::holds_alternative<check_answer>(checks_in(a.asked).at(0).step));
    a.receives(run_of_keys(3));
    BOOST_REQUIRE(checks_in(a.asked).size() == 1U);
    BOOST_TEST((std::get<error>(checks_in(a.asked).at(0).step).code == errc::outdated));
}

BOOST_AUTO_TEST_CASE(a_refused_origin_is_why_no_common_point_is_reached) {
    with_peer a;
    a.receives(run_of(origin, 1, {}, {}, 7)); // another history
    BOOST_REQUIRE(a.reported("session.blocked"));
    a.verify();
    std::uint64_t number = checks_in(a.asked).at(0).number;
    version_vector theirs = a.decisions.applied();
    theirs.advance(origin, 5);
    a.says(number, check_answer{theirs});
    BOOST_TEST((a.failure() == errc::dot_reused));
}

BOOST_AUTO_TEST_CASE(who_has_to_fetch_a_state_first_is_not_compared) {
    engine a;
    a.happens(link_up{wire, {}, "test:b"});
    hello_message hello = checking_hello("b", replica_id{20});
    hello.floor.advance(origin, 5);
    hello.applied = {{origin, 5, run_hash{1}}};
    a.happens(received{wire, hello, 100});
    a.happens(received{wire, check_message{7, check_begin{hello.floor}}, 100});
    BOOST_REQUIRE(checks_in(a.asked).size() == 1U);
    BOOST_TEST((std::get<error>(checks_in(a.asked).at(0).step).code == errc::outdated));
}

BOOST_AUTO_TEST_CASE(a_state_that_takes_the_place_of_ours_ends_checks) {
    with_peer a;
    constexpr session_id other{2};
    constexpr replica_id third{40};
    a.happens(link_up{other, {}, "test:c"});
    hello_message hello = checking_hello("c", third);
    hello.floor.advance(third, 5);
    hello.applied = {{third, 5, run_hash{1}}};
    a.happens(received{other, hello, 100});
    snapshot_ref ref{log_index{9}, 3};
    a.happens(received{other, state_chunk{ref, 0, shared_bytes(bytes(3))}, 100});
    BOOST_REQUIRE(a.count<join_state>() == 1U);
    joined_state joined{a.decisions.image(), {}, {}};
    joined.image.header.origins.push_back({third, 5, run_hash{1}, {"c", "", {}}, {}});
    joined.image.header.floor.advance(third, 5);
    a.happens(state_joined{joined});
    a.happens(log_synced{a.decisions.log_end()});
    BOOST_REQUIRE(a.count<write_snapshot>() == 1U);
    a.decisions.verify(peer_id{0}, instant::never(), [&](auto all) {
        a.outcomes = all;
        a.answered = true;
    });
    a.happens(woken{});
    BOOST_REQUIRE(checks_in(a.asked).size() == 1U);
    a.happens(snapshot_written{{joined.image.header.at, 3}, {}});
    a.answer_all();
    BOOST_TEST(a.reported("transfer.done"));
    BOOST_TEST((a.failure() == errc::outdated));
    auto said = checks_in(a.asked);
    BOOST_REQUIRE(said.size() == 1U);
    BOOST_TEST((std::get<error>(said.at(0).step).code == errc::outdated));
}

BOOST_AUTO_TEST_CASE(the_log_that_a_copy_needs_is_kept_and_read) {
    with_peer a;
    std::vector<shared_bytes> log{run_of(origin)};
    auto snapshot = [&] {
        a.decisions.take_snapshot([](const result<snapshot_info>&) {});
        a.happens(woken{});
        a.happens(log_synced{a.decisions.log_end()});
        a.happens(snapshot_written{{a.decisions.log_end(), 1'000}, {}});
    };
    a.verify();
    std::uint64_t number = checks_in(a.asked).at(0).number;
    log_index frozen_at = a.decisions.log_end();
    std::string large(limits::value_bytes_max, 'x');
    for (std::uint64_t n = 2; n <= 40; ++n) {
        static constexpr std::string_view key = "k";
        run_encoder encoder;
        operation op;
        op.path = {&key, 1};
        op.what = action::write;
        op.argument = value(large);
        encoder.begin_change(hlc::at_ms(wall_ms), {});
        encoder.add(op);
        encoder.end_change();
        log.emplace_back(
            encoder.seal(origin, n, hash_of(log.back().view), {"m", "", {}}, codec::none));
        a.receives(log.back());
        if (n % 10 == 0) snapshot();
    }
    a.now = a.now.after_ms(limits::log_cut_ms);
    a.happens(received{wire, heartbeat_message{}, 100});
    std::vector<log_index> cuts;
    for (const effect& e : a.asked) {
        if (const auto* cut = std::get_if<find_log_cut>(&e)) cuts.push_back(cut->before);
    }
    BOOST_REQUIRE(cuts.size() == 1U);
    BOOST_TEST((cuts.at(0) == frozen_at), "though two snapshots are newer");

    a.says(number, check_answer{a.decisions.applied()});
    std::optional<check_digest> told;
    for (int steps = 0; steps < 1'000 && !told; ++steps) {
        std::vector<log_read> answers;
        for (const effect& e : a.asked) {
            const auto* read = std::get_if<read_log>(&e);
            if (read == nullptr || !read->for_check) continue;
            auto first = static_cast<std::size_t>(read->first);
            answers.push_back({read->session, read->first, {log.at(first)}, true});
        }
        for (const check_message& said : checks_in(a.asked))
            told = std::get<check_digest>(said.step);
        if (answers.empty()) {
            a.happens(woken{});
        } else {
            a.happens(answers.at(0));
        }
    }
    BOOST_REQUIRE(told.has_value());
    BOOST_TEST((told->counted == a.decisions.state().digest().words));
}

BOOST_AUTO_TEST_CASE(only_so_many_are_compared_at_a_time) {
    engine a;
    std::size_t peers = limits::checks_max + 1;
    for (std::uint32_t i = 1; i <= peers; ++i) {
        a.happens(link_up{session_id{i}, {}, "test:" + std::to_string(i)});
        a.happens(received{session_id{i},
                           checking_hello("p" + std::to_string(i), replica_id{100 + i}), 100});
    }
    std::optional<std::vector<peer_verification>> outcomes;
    a.decisions.verify(std::nullopt, instant::never(), [&](auto all) { outcomes = all; });
    std::map<session_id, std::uint64_t> begun;
    auto see = [&] {
        for (effect& e : a.asked) {
            if (auto* due = std::get_if<answer>(&e)) due->whom(due->outcome);
            const auto* sent = std::get_if<send_message>(&e);
            const auto* said = sent == nullptr ? nullptr : std::get_if<check_message>(&sent->what);
            if (said != nullptr && std::holds_alternative<check_begin>(said->step))
                begun[sent->session] = said->number;
        }
    };
    a.happens(woken{});
    see();
    for (std::uint32_t i = 1; i <= peers; ++i) {
        BOOST_TEST(begun.size() == std::min<std::size_t>(limits::checks_max + i - 1, peers));
        // One more that comes by itself has no place.
        session_id last{static_cast<std::uint32_t>(peers)};
        if (i == 1) {
            a.happens(received{last, check_message{9, check_begin{}}, 100});
            BOOST_REQUIRE(checks_in(a.asked).size() == 1U);
            BOOST_TEST((std::get<error>(checks_in(a.asked).at(0).step).code == errc::over_limit));
        }
        a.happens(received{session_id{i},
                           check_message{begun.at(session_id{i}), error{errc::aborted, "enough"}},
                           100});
        see();
    }
    BOOST_REQUIRE(outcomes.has_value());
    BOOST_TEST(outcomes->size() == peers);
}

// A vector in it may be the first that shows what we have lost.
BOOST_AUTO_TEST_CASE(a_check_may_show_more_of_our_own_id) {
    for (bool begins : {true, false}) {
        with_peer a;
        version_vector theirs{{replica_id{10}, 5}};
        if (begins) {
            a.says(1, check_begin{theirs});
        } else {
            a.says(1, check_answer{theirs});
        }
        BOOST_TEST(a.reported("identity.changed"));
        a.decisions.check_invariants();
    }
}

BOOST_AUTO_TEST_CASE(what_is_out_of_turn_changes_nothing) {
    with_peer a;
    std::uint64_t hash = hash_of_vector(a.decisions.applied());
    auto out_of_turn = [&](std::uint64_t number) {
        a.says(number, check_answer{a.decisions.applied()});
        a.says(number, check_digest{hash, {1, 2}, {3, 4}});
        a.says(number, error{errc::aborted, ""});
        a.happens(received{wire, digests_message{hash, {{"", "", {1, 2}}}, true}, 100});
        BOOST_TEST(!a.decisions.status(a.now).digest_mismatch);
        BOOST_TEST(checks_in(a.asked).empty());
    };
    out_of_turn(0);
    out_of_turn(1);
    a.verify();
    std::uint64_t number = checks_in(a.asked).at(0).number;
    out_of_turn(number + 1);
    a.says(number, check_digest{hash, {1, 2}, {3, 4}});
    a.says(number, check_answer{a.decisions.applied()});
    a.says(number, check_digest{hash ^ 1, {1, 2}, {3, 4}});
    BOOST_TEST((a.failure() == errc::bad_message));
    BOOST_TEST(!a.decisions.status(a.now).digest_mismatch);
}
