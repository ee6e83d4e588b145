#include "recovery/audit_log.hpp"
#include "tests/sim/story.hpp"

#include <boost/test/data/monomorphic.hpp>
#include <boost/test/data/test_case.hpp>

#include <algorithm>
#include <map>
#include <string>
#include <vector>

// What restarts leave of an audit trail, and of the age of what waits.
using namespace weft;
using namespace weft::sim;

namespace {

rules with_a_bound() {
    rule seats{.key = "seats", .type = type_kind::counter};
    seats.max = value(100);
    return *rules::make({{.key = "name:*", .how = *parse_resolver("last_writer_wins")}, seats});
}

// Two members with rules.
struct two : story {
    host& a = add("a", {});
    host& b = add("b", {"a"});

    two() {
        for (host* each : {&a, &b}) {
            each->options().conflict_rules = with_a_bound();
            start(*each);
        }
    }
    using change = std::function<void(transaction&)>;
    void apart(const change& at_a, const change& at_b) {
        network().partition("a", "b", sim_partition::stall);
        network().partition("b", "a", sim_partition::stall);
        BOOST_REQUIRE(a->transact(at_a).has_value());
        BOOST_REQUIRE(b->transact(at_b).has_value());
        network().heal_all();
        expect_equal();
        run_ms(100);
    }
    void snapshot() {
        bool done = false;
        a->snapshot([&](const result<snapshot_info>& written) {
            BOOST_REQUIRE(written);
            done = true;
        });
        wait_until([&] { return done; });
    }
    void restart() {
        BOOST_REQUIRE(a.stop());
        run_ms(1'000);
        start(a);
    }
    std::vector<audit_entry> trail() {
        std::vector<audit_entry> out;
        for (std::optional<std::uint64_t> from = 0; from;) {
            std::optional<result<audit_page>> page;
            a->audit({.from = *from}, [&](result<audit_page> read) { page = std::move(read); });
            wait_until([&] { return page.has_value(); });
            BOOST_REQUIRE(*page);
            out.insert(out.end(), (**page).entries.begin(), (**page).entries.end());
            from = (**page).next;
        }
        return out;
    }
    void lose_trail() {
        BOOST_REQUIRE(a.stop());
        for (const std::string& name : a.directory().names()) {
            if (name.starts_with("audit-")) a.directory().erase(name);
        }
        start(a);
    }
    std::map<std::string, std::uint64_t> since() {
        std::map<std::string, std::uint64_t> out;
        auto all = a->conflicts("", true).value();
        for (const open_conflict& each : all) out[each.what.path.front()] = each.since_ms;
        return out;
    }
};

auto names(const std::string& of, int count) {
    return [=](transaction& t) {
        for (int i = 0; i < count; ++i) {
            auto key = "name:" + std::to_string(i);
            (void)t.mv_register<std::string>(key).set(of + std::string(240, 'x'));
        }
    };
}

void clash(two& s) {
    s.apart([](transaction& t) { (void)t.counter("x").increment(); },
            [](transaction& t) { (void)t.flag("x").enable(); });
}

// A clash, a bound and two writes, for a minute.
void let_three_wait(two& s) {
    clash(s);
    s.apart([](transaction& t) { (void)t.counter("seats").increment(90); },
            [](transaction& t) { (void)t.counter("seats").increment(90); });
    s.apart([](transaction& t) { (void)t.mv_register<std::string>("k").set("ours"); },
            [](transaction& t) { (void)t.mv_register<std::string>("k").set("theirs"); });
    s.run_ms(60'000);
}

void settle(two& s, const std::string& who) {
    auto all = s.a->conflicts().value();
    for (const open_conflict& each : all)
        BOOST_REQUIRE(s.a->resolve(each.what, {.take = each.what.siblings[0].at, .who = who}));
    s.expect_equal();
}

} // namespace

BOOST_AUTO_TEST_SUITE(simulated_trails)

// All in one run, of which retention leaves some; a replay decides all of it again.
BOOST_DATA_TEST_CASE(a_restart_leaves_what_retention_left,
                     boost::unit_test::data::make(std::vector{0, 1}), from_a_snapshot) {
    two s;
    BOOST_REQUIRE(s.a.stop());
    s.a.options().audit_bytes_max = limits::audit_bytes_min;
    s.start(s.a);
    s.apart(names("ours", 4'000), names("theirs", 4'000));
    s.run_ms(1'000);
    add_to(s.a, "visits");
    if (from_a_snapshot) s.snapshot();
    auto before = s.trail();
    BOOST_TEST(before.size() > 1'000U);
    BOOST_TEST(before.size() < 4'000U);
    for (int i = 0; i < 2; ++i) {
        s.restart();
        BOOST_TEST((s.trail() == before));
    }
    // With room again, too.
    BOOST_REQUIRE(s.a.stop());
    s.a.options().audit_bytes_max = limits::audit_bytes_max;
    s.start(s.a);
    BOOST_TEST((s.trail() == before));
}

// All with the stamp of one change, and more of them than there is room for.
BOOST_AUTO_TEST_CASE(what_is_derived_of_a_lost_trail_stays_at_the_next_restarts) {
    two s;
    BOOST_REQUIRE(s.a.stop());
    s.a.options().audit_bytes_max = limits::audit_bytes_min;
    s.start(s.a);
    s.apart(names("ours", 4'000), names("theirs", 4'000));
    s.snapshot();
    s.lose_trail();
    auto after = s.trail();
    BOOST_TEST(after.size() > 1'000U);
    BOOST_TEST(after.size() < 4'000U);
    for (int i = 0; i < 2; ++i) {
        s.restart();
        BOOST_TEST((s.trail() == after));
    }
}

BOOST_AUTO_TEST_CASE(
    a_trail_that_was_lost_is_derived_from_a_snapshot_with_the_times_of_the_writes) {
    two s;
    s.apart(names("ours", 3), names("theirs", 3));
    clash(s);
    auto before = s.trail();
    BOOST_REQUIRE_EQUAL(before.size(), 4);
    s.snapshot();
    s.lose_trail();
    auto after = s.trail();
    BOOST_REQUIRE_EQUAL(after.size(), 4);
    for (const audit_entry& e : after) {
        auto same = [&](const audit_entry& other) { return other.id == e.id; };
        auto at = std::find_if(before.begin(), before.end(), same);
        BOOST_REQUIRE(at != before.end());
        BOOST_TEST(e.at.ms() <= at->at.ms());
        hlc newest;
        for (const auto& sibling : e.siblings) newest = std::max(newest, sibling.stamp);
        if (newest != hlc{}) BOOST_TEST(e.at.ms() == newest.ms());
    }
    s.restart();
    BOOST_TEST((s.trail() == after));
}

BOOST_AUTO_TEST_CASE(what_waits_is_as_old_after_a_restart) {
    two s;
    let_three_wait(s);
    BOOST_REQUIRE(s.a->transact([](transaction& t) { (void)t.counter("seats").increment(); }));
    auto before = s.since();
    BOOST_REQUIRE_EQUAL(before.size(), 3);
    s.snapshot();
    s.restart();
    BOOST_TEST((s.since() == before));
    // What nothing knows is at least as old as the newest write of all.
    s.lose_trail();
    for (const auto& [key, ms] : s.since()) {
        BOOST_TEST(ms >= before.at("x") - 60'000, key);
        BOOST_TEST(ms <= before.at("k") + 120'000, key);
    }
}

// But for a bound, which is the rules': it is crossed since they are what they are.
BOOST_AUTO_TEST_CASE(what_waits_is_as_old_under_other_rules) {
    two s;
    let_three_wait(s);
    auto before = s.since();
    BOOST_REQUIRE_EQUAL(before.size(), 3);
    rules bound = with_a_bound();
    std::vector<rule> longer(bound.all().begin(), bound.all().end());
    longer.push_back({.key = "other:*", .how = *parse_resolver("last_writer_wins")});
    BOOST_REQUIRE(s.a.stop());
    s.a.options().conflict_rules = *rules::make(longer);
    s.start(s.a);
    s.run_ms(100);
    auto after = s.since();
    BOOST_TEST(after.at("x") == before.at("x"));
    BOOST_TEST(after.at("k") == before.at("k"));
    BOOST_TEST(after.at("seats") >= before.at("seats") + 60'000);
    BOOST_TEST(s.trail().size() == 6U);
    for (int i = 0; i < 2; ++i) {
        s.run_ms(60'000);
        s.restart();
        for (const auto& [key, ms] : s.since()) {
            bool later = key == "seats"; // its entry is a step of the loop later
            BOOST_TEST(ms >= after.at(key), key);
            BOOST_TEST(ms <= after.at(key) + (later ? 200 : 0), key);
        }
        BOOST_TEST(s.trail().size() == 6U);
    }
}

// The power went before the trail was synced: a later snapshot's trail would be.
BOOST_AUTO_TEST_CASE(a_clash_that_came_back_is_derived_again) {
    two s;
    clash(s);
    settle(s, "Ada");
    s.snapshot();
    auto name = audit_name(0);
    bytes synced = s.a.directory().contents(name);
    clash(s);
    settle(s, "Bob");
    auto before = s.trail();
    BOOST_REQUIRE_EQUAL(before.size(), 4);
    BOOST_REQUIRE(s.a.stop());
    s.a.directory().alter(name, synced);
    s.start(s.a);
    auto after = s.trail();
    BOOST_REQUIRE_EQUAL(after.size(), 4);
    BOOST_TEST(after[1].who == "Ada");
    BOOST_TEST(after[3].who == "Bob");
    s.restart();
    BOOST_TEST((s.trail() == after));
}

BOOST_AUTO_TEST_SUITE_END()
