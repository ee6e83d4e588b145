#include "tests/replica/conflict_members.hpp"

#include <algorithm>
#include <memory>
#include <set>
#include <stdexcept>

// What concurrent writes become under rules.
using namespace weft;
using namespace weft::tests;

BOOST_AUTO_TEST_SUITE(conflicts)

BOOST_AUTO_TEST_CASE(without_a_rule_an_lww_register_settles_itself_and_an_mv_register_waits) {
    pair p;
    p.a.writes([](transaction& t) {
        if (auto done = t.lww_register("one").set("a"); !done) return done;
        return t.mv_register("many").set("a");
    });
    p.b.writes([](transaction& t) {
        if (auto done = t.lww_register("one").set("b"); !done) return done;
        return t.mv_register("many").set("b");
    });
    p.sync();
    open_conflict there = p.b.only();
    BOOST_TEST(there.what.path.front() == "many");
    BOOST_TEST((there.what.kind == conflict_kind::write_write));
    BOOST_TEST(there.waits());
    BOOST_TEST(there.what.siblings.front().member == "berlin");
    BOOST_TEST(there.what.siblings.back().region == "north");
    BOOST_TEST(p.a.mv("many") == R"("a" "b")");
    BOOST_TEST(p.a.decisions.status(p.a.now).conflicts_waiting == 1);
    BOOST_TEST(p.a.told.size() == 1);
    BOOST_TEST(p.a.told.front() == "opened write_write many");
    BOOST_REQUIRE_EQUAL(p.a.trail.size(), 1);
    BOOST_TEST(p.a.trail.front().strategy == "manual");
    BOOST_TEST((p.a.trail.front().outcome == audit_outcome::waits));
    BOOST_TEST((p.a.trail.front().id == p.b.trail.front().id));
}

BOOST_AUTO_TEST_CASE(a_rule_is_read_everywhere_and_recorded) {
    pair p(rules_of({of_key("place:*", "priority(oslo) > last_writer_wins")}));
    p.a.writes([](transaction& t) { return t.map("place:1").lww_register("name").set("a"); });
    p.b.writes([](transaction& t) { return t.map("place:1").lww_register("name").set("b"); });
    p.sync();
    for (member* m : {&p.a, &p.b}) {
        auto name = m->reads([](transaction& t) { return t.map("place:1").get("name"); });
        BOOST_REQUIRE(name.has_value());
        BOOST_TEST(to_string(*name) == R"("b")");
        auto siblings = m->reads(
            [](transaction& t) { return t.map("place:1").lww_register("name").siblings(); });
        BOOST_TEST(siblings.size() == 2);
        BOOST_TEST(!m->only().waits());
        BOOST_REQUIRE_EQUAL(m->trail.size(), 1);
        BOOST_TEST(m->trail.front().strategy == "priority(oslo)");
        BOOST_TEST(to_string(m->trail.front().result.front().content) == R"("b")");
    }
    p.a.writes([](transaction& t) { return t.map("place:1").lww_register("name").set("c"); });
    p.sync();
    BOOST_TEST(p.b.all().empty());
    BOOST_TEST(p.b.trail.size() == 1); // it was decided, and it is over
}

BOOST_AUTO_TEST_CASE(a_read_inside_a_transaction_sees_its_own_write_instead) {
    pair p(rules_of({of_key("n", "sum")}));
    p.a.writes(sets("n", 2));
    p.b.writes(sets("n", 3));
    p.sync();
    BOOST_TEST(p.a.mv("n") == "5");
    p.a.writes([](transaction& t) {
        if (auto done = t.mv_register("n").set(7); !done) return done;
        auto now = t.mv_register("n").get();
        BOOST_REQUIRE(now);
        BOOST_TEST(now->size() == 1);
        BOOST_TEST((now->front() == value(7)));
        return result<void>();
    });
}

BOOST_AUTO_TEST_CASE(a_plain_write_settles_what_waited_too) {
    pair p;
    p.a.writes(sets("k", "a"));
    p.b.writes(sets("k", "b"));
    p.sync();
    p.a.writes(sets("k", "c"));
    p.sync();
    BOOST_TEST(p.b.trail.back().strategy == "overwritten");
    BOOST_TEST(p.b.trail.back().who.empty());
    BOOST_TEST(to_string(p.b.trail.back().result.front().content) == R"("c")");
}

BOOST_AUTO_TEST_CASE(a_remove_that_is_kept_stands_beside_a_write_it_did_not_see) {
    // Only the writer's rules say so; the other replica has none and holds the same.
    member a("a", 10, rules_of({of_key("k", "manual", true)}));
    member b("b", 20);
    a.writes([](transaction& t) { return t.lww_register("k").set("old"); });
    b.gets(a);
    a.writes([](transaction& t) { return t.lww_register("k").remove(); });
    BOOST_TEST(a.lww("k") == "nothing");
    BOOST_TEST(a.decisions.state().objects() == 0);
    BOOST_TEST(a.all().empty());
    b.writes([](transaction& t) { return t.lww_register("k").set("new"); });
    a.gets(b);
    b.gets(a);
    BOOST_TEST(to_string(a.decisions.state().digest()) == to_string(b.decisions.state().digest()));
    open_conflict there = a.only();
    BOOST_TEST((there.what.kind == conflict_kind::delete_write));
    BOOST_TEST(!there.what.siblings.front().content);
    BOOST_TEST(a.lww("k") ==
               R"("new")"); // until somebody decides, what a reader without rules sees
    BOOST_TEST(b.lww("k") == R"("new")");
    BOOST_TEST(b.all().empty());
    dot removal = there.what.siblings.front().at;
    a.writes(
        [&](transaction& t) { return t.resolve(there.what, {.take = removal, .who = "Ada"}); });
    b.gets(a);
    for (member* m : {&a, &b}) {
        BOOST_TEST(m->lww("k") == "nothing");
        BOOST_TEST(m->decisions.state().objects() == 0);
        BOOST_TEST(m->all().empty());
    }
    BOOST_TEST(to_string(a.decisions.state().digest()) == to_string(b.decisions.state().digest()));
}

BOOST_AUTO_TEST_CASE(a_rule_may_decide_between_a_remove_and_a_write) {
    pair p(rules_of({of_key("k", "last_writer_wins", true)}));
    p.a.writes([](transaction& t) { return t.lww_register("k").set("old"); });
    p.sync();
    p.b.wall_ms += 1'000; // the remove is the later one
    p.a.writes([](transaction& t) { return t.lww_register("k").set("new"); });
    p.b.writes([](transaction& t) { return t.lww_register("k").remove(); });
    p.sync();
    BOOST_TEST(p.a.lww("k") == "nothing");
    BOOST_TEST(!p.a.only().waits());
    BOOST_TEST(p.a.trail.back().result.empty());
}

BOOST_AUTO_TEST_CASE(removing_a_map_keeps_the_removes_of_its_registers) {
    pair p(rules_of({{"place:*", "name", {}, *parse_resolver("manual"), true}}));
    auto fill = [](transaction& t) {
        if (auto done = t.map("place:1").put("name", "old"); !done) return done;
        if (auto done = t.map("place:1").counter("visits").increment(); !done) return done;
        return t.map("place:1").put("size", 5);
    };
    p.a.writes(fill);
    p.sync();
    p.a.writes([](transaction& t) { return t.remove("place:1"); });
    BOOST_TEST(p.a.decisions.state().objects() == 0);
    p.b.writes([](transaction& t) { return t.map("place:1").put("name", "new"); });
    p.sync();
    BOOST_TEST((p.a.only().what.kind == conflict_kind::delete_write));
    BOOST_TEST(!p.a.reads([](transaction& t) { return t.map("place:1").get("size"); }).has_value());
}

BOOST_AUTO_TEST_CASE(removing_twice_leaves_one_mark) {
    pair p(rules_of({of_key("k", "manual", true)}));
    p.a.writes([](transaction& t) { return t.lww_register("k").set("old"); });
    for (int i = 0; i < 3; ++i)
        p.a.writes([](transaction& t) { return t.lww_register("k").remove(); });
    p.a.writes([](transaction& t) { return t.lww_register("never").remove(); });
    BOOST_TEST(p.a.runs.size() == 2);
}

BOOST_AUTO_TEST_CASE(types_under_one_name_wait_for_a_person) {
    pair p;
    p.a.writes([](transaction& t) { return t.counter("x").increment(3); });
    p.b.writes([](transaction& t) { return t.lww_register("x").set("text"); });
    p.sync();
    open_conflict there = p.a.only();
    BOOST_TEST((there.what.kind == conflict_kind::type_clash));
    BOOST_TEST(to_string(*there.what.siblings.front().content) == R"("register")");
    BOOST_TEST(to_string(*there.what.siblings.back().content) == R"("counter")");
    auto value_given =
        p.a.tries([&](transaction& t) { return t.resolve(there.what, {.content = 1}); });
    BOOST_REQUIRE(!value_given);
    BOOST_TEST((value_given.error().code == errc::invalid_argument));
    p.a.writes([&](transaction& t) {
        return t.resolve(there.what, {.take = there.what.siblings.back().at, .who = "Ada"});
    });
    p.sync();
    BOOST_TEST(p.b.all().empty());
    BOOST_TEST(p.b.lww("x") == "nothing");
    BOOST_TEST(p.b.reads([](transaction& t) { return t.counter("x").read(); }) == 3);
    BOOST_TEST(p.b.trail.back().who == "Ada");
    BOOST_TEST(p.b.trail.back().strategy == "manual");
}

BOOST_AUTO_TEST_CASE(a_clash_closes_as_it_was_shown_last) {
    pair p;
    std::vector<conflict> told;
    (void)p.a.decisions.subscribe_conflicts(
        [&](const conflict_event& e) { told.push_back(e.now.what); });
    p.a.writes([](transaction& t) { return t.counter("x").increment(3); });
    p.b.writes([](transaction& t) { return t.lww_register("x").set("text"); });
    p.sync();
    p.a.writes([](transaction& t) { return t.remove("x"); });
    BOOST_REQUIRE_EQUAL(told.size(), 2);
    BOOST_TEST((told.front() == told.back()));
}

BOOST_AUTO_TEST_CASE(a_clash_closes_as_who_came_late_was_shown_it) {
    member a("a", 10);
    core& decisions = a.decisions;
    a.writes([](transaction& t) { return t.counter("x").increment(3); });
    a.writes([](transaction& t) { return t.lww_register("x").set("text"); });
    conflict listed = a.only().what;
    decisions.unsubscribe(a.watch); // the first of all that watch finds it there
    std::vector<conflict> told;
    (void)decisions.subscribe_conflicts(
        [&](const conflict_event& e) { told.push_back(e.now.what); });
    a.writes([](transaction& t) { return t.remove("x"); });
    BOOST_REQUIRE_EQUAL(told.size(), 1);
    BOOST_TEST((told.front() == listed));
}

BOOST_AUTO_TEST_CASE(a_clash_deep_in_maps_is_found_and_goes_with_the_map) {
    pair p;
    p.a.writes([](transaction& t) { return t.map("m").map("deep").counter("x").increment(); });
    p.b.writes([](transaction& t) { return t.map("m").map("deep").flag("x").enable(); });
    p.sync();
    BOOST_TEST(p.a.only().what.path.size() == 3);
    p.a.writes([](transaction& t) { return t.remove("m"); });
    p.sync();
    BOOST_TEST(p.b.all().empty());
    BOOST_TEST(p.b.trail.back().strategy == "overwritten");
}

BOOST_AUTO_TEST_CASE(a_counter_beyond_its_bound_waits_until_it_is_back) {
    rule stock{"stock", {}, type_kind::counter, {}};
    stock.min = value(0);
    pair p(rules_of({stock}));
    p.a.writes([](transaction& t) { return t.counter("stock").increment(5); });
    p.sync();
    p.a.writes([](transaction& t) { return t.counter("stock").decrement(4); });
    p.b.writes([](transaction& t) { return t.counter("stock").decrement(3); });
    BOOST_TEST(p.a.all().empty());
    p.sync();
    open_conflict there = p.b.only();
    BOOST_TEST((there.what.kind == conflict_kind::bound));
    BOOST_TEST(to_string(*there.what.siblings.front().content) ==
               "1"); // what each replica has added
    BOOST_TEST(to_string(*there.what.siblings.back().content) == "-3");
    BOOST_TEST(there.made.failed.front().detail == "-2 is below 0");
    p.b.writes([&](transaction& t) { return t.resolve(there.what, {.content = 0, .who = "Bob"}); });
    p.sync();
    BOOST_TEST(p.a.reads([](transaction& t) { return t.counter("stock").read(); }) == 0);
    BOOST_TEST(p.a.all().empty());
    BOOST_TEST(p.a.trail.back().who == "Bob");
}

// The increments of one dot count less then, though the dot stays.
BOOST_AUTO_TEST_CASE(a_counter_of_which_a_part_is_reset_is_another_conflict) {
    rule load{"load", {}, type_kind::counter, {}};
    load.max = value(5);
    pair p(rules_of({load}));
    p.a.writes([](transaction& t) { return t.counter("load").increment(2); });
    p.sync();
    p.a.writes([](transaction& t) { return t.counter("load").increment(28); });
    p.b.writes([](transaction& t) { return t.counter("load").reset(); });
    conflict before = p.a.only().what;
    p.sync();
    open_conflict there = p.a.only();
    BOOST_TEST(to_string(*before.siblings.front().content) == "30");
    BOOST_TEST(to_string(*there.what.siblings.front().content) == "28");
    BOOST_TEST((audit_of(before, there.made, 1).id != audit_of(there.what, there.made, 1).id));
    auto late = p.a.tries([&](transaction& t) { return t.resolve(before, {.content = 3}); });
    BOOST_TEST((late.error().code == errc::outdated));
    p.a.writes([&](transaction& t) { return t.resolve(there.what, {.content = 3}); });
    p.sync();
    BOOST_TEST(p.b.all().empty());
    BOOST_TEST(p.b.trail.back().who == "berlin"); // nobody was named
}

// Else who asks for the decisions of the last hour would miss those about what was written before.
BOOST_AUTO_TEST_CASE(a_decision_is_stamped_when_it_is_made) {
    pair p;
    p.a.writes(sets("k", "a"));
    p.b.writes(sets("k", "b"));
    p.a.wall_ms += 3'600'000;
    std::uint64_t before = p.a.wall_ms;
    p.a.gets(p.b);
    BOOST_REQUIRE_EQUAL(p.a.trail.size(), 1);
    BOOST_TEST(p.a.trail.front().at.ms() >= before);
}

// A change stamped far ahead does not move our clock, so it does not stamp our trail.
BOOST_AUTO_TEST_CASE(an_entry_is_stamped_by_the_clock_of_who_records_it) {
    pair p;
    p.b.wall_ms += 3'600'000;
    p.a.writes(sets("k", "a"));
    p.b.writes(sets("k", "b"));
    p.a.gets(p.b);
    BOOST_REQUIRE_EQUAL(p.a.trail.size(), 1);
    BOOST_TEST(p.a.trail.front().at.ms() <= p.a.wall_ms);
}

BOOST_AUTO_TEST_CASE(a_merged_value_beyond_its_bound_is_a_conflict) {
    rule seats{"seats", {}, type_kind::mv_register, *parse_resolver("sum")};
    seats.max = value(10);
    pair p(rules_of({seats}));
    p.a.writes(sets("seats", 6));
    BOOST_TEST(p.a.all().empty());
    p.b.writes(sets("seats", 5));
    p.sync();
    open_conflict there = p.a.only();
    BOOST_TEST((there.what.kind == conflict_kind::bound));
    BOOST_TEST(there.waits());
    BOOST_TEST(there.made.failed.front().detail == "sum: 11 is above 10");
    BOOST_TEST(p.a.mv("seats") == "6 5");
    BOOST_TEST(p.a.decisions.status(p.a.now).conflicts_out_of_bounds == 1);
    BOOST_TEST(p.a.decisions.status(p.a.now).conflicts_failing == 0); // it could say
    p.a.writes(sets("seats", 12)); // a single write beyond it, too
    BOOST_TEST((p.a.only().what.kind == conflict_kind::bound));
    BOOST_TEST(p.a.only().what.siblings.size() == 1);
    p.a.writes(sets("seats", 9));
    p.sync();
    BOOST_TEST(p.b.all().empty());
}

BOOST_AUTO_TEST_CASE(a_bound_that_stays_crossed_is_told_once) {
    rule stock{"stock", {}, type_kind::counter, {}};
    stock.min = value(0);
    pair p(rules_of({stock}));
    auto takes = [](transaction& t) { return t.counter("stock").decrement(); };
    for (int i = 0; i < 5; ++i) p.a.writes(takes);
    p.sync();
    for (member* each : {&p.a, &p.b}) {
        BOOST_REQUIRE_EQUAL(each->trail.size(), 1);
        BOOST_TEST(each->trail.front().failed.front().find("-1 is below 0") != std::string::npos);
        BOOST_TEST(each->only().made.failed.front().detail == "-5 is below 0"); // the queue knows
        BOOST_TEST(each->told.size() == 5);                                     // and who watches
        BOOST_TEST(each->only().since_ms <= each->trail.front().at.ms());
    }
    // Settled by a person, but beyond it by what that had not seen: two entries, and again one when it comes
    // back.
    conflict seen = p.b.only().what;
    p.b.writes([&](transaction& t) { return t.resolve(seen, {.content = 0, .who = "Bob"}); });
    p.a.writes([](transaction& t) { return t.counter("stock").decrement(2); });
    p.a.gets(p.b);
    BOOST_REQUIRE_EQUAL(p.a.trail.size(), 3);
    BOOST_TEST(p.a.trail[1].who == "Bob");
    BOOST_TEST((p.a.trail[2].outcome == audit_outcome::waits));
    p.a.writes([](transaction& t) { return t.counter("stock").increment(2); });
    BOOST_REQUIRE_EQUAL(p.a.trail.size(), 4);
    BOOST_TEST(p.a.trail.back().strategy == "overwritten");
    p.a.writes(takes);
    BOOST_TEST((p.a.trail.back().outcome == audit_outcome::waits));
    BOOST_TEST(p.a.trail.size() == 5);
}

// Each knew its own part alone; what is open is both, and stands in both trails, with who is in it.
BOOST_AUTO_TEST_CASE(a_bound_that_another_replica_joins_is_told_again) {
    rule seats{"seats", {}, type_kind::counter, {}};
    seats.max = value(100);
    pair p(rules_of({seats}));
    auto adds = [](std::int64_t by) {
        return [=](transaction& t) { return t.counter("seats").increment(by); };
    };
    p.a.writes(adds(150));
    p.b.writes(adds(130));
    p.sync();
    for (member* each : {&p.a, &p.b}) {
        BOOST_REQUIRE_EQUAL(each->trail.size(), 2);
        open_conflict open = each->only();
        BOOST_TEST(
            (each->trail.back().id ==
             audit_of(open.what, open.made, each->decisions.conflicts().rules().version()).id));
        BOOST_TEST(audit_query{.replica = "berlin"}.matches(each->trail.back()));
        BOOST_TEST(audit_query{.replica = "oslo"}.matches(each->trail.back()));
        BOOST_TEST(open.since_ms <= each->trail.front().at.ms());
    }
    for (int i = 0; i < 3; ++i) {
        p.a.writes(adds(1));
        p.b.writes(adds(1));
        p.sync();
    }
    BOOST_TEST(p.a.trail.size() == 2);
    BOOST_TEST(p.b.trail.size() == 2);
}

// A bound says what is too much, not that a person has to look at each pair of writes.
BOOST_AUTO_TEST_CASE(a_rule_that_only_states_a_bound_leaves_writes_to_the_type) {
    rule limit{"lim:*", {}, {}, {}};
    limit.max = value(100);
    pair p(rules_of({limit, of_key("lim:sum*", "sum")}));
    auto writes = [&](const std::string& key, int ours, int theirs) {
        p.a.writes([&](transaction& t) { return t.lww_register(key).set(ours); });
        p.b.wall_ms = p.a.wall_ms + 1'000;
        p.b.writes([&](transaction& t) { return t.lww_register(key).set(theirs); });
        p.sync();
    };
    writes("lim:1", 60, 70);
    BOOST_TEST(p.a.all().empty());
    BOOST_TEST(p.a.lww("lim:1") == "70");
    writes("lim:1", 160, 70); // which nobody reads
    BOOST_TEST(p.a.all().empty());
    writes("lim:1", 60, 170);
    BOOST_TEST((p.a.only().what.kind == conflict_kind::bound));
    BOOST_TEST(p.a.only().what.siblings.size() == 2);
    BOOST_TEST(p.a.only().made.failed.front().detail == "170 is above 100");
    writes("lim:1", 60, 70);
    BOOST_TEST(p.a.all().empty());
    p.a.writes(sets("lim:many", 60));
    p.b.writes(sets("lim:many", 70));
    p.sync();
    BOOST_TEST(
        (p.a.only().what.kind == conflict_kind::write_write)); // an mv_register waits, as ever
}

BOOST_AUTO_TEST_CASE(a_bound_of_ones_own_is_checked_where_a_rule_says) {
    rule plate{"plate", {}, type_kind::mv_register, *parse_resolver("last_writer_wins")};
    plate.check = {"three letters", [](const value& v) -> std::string {
                       return v.as_text() && v.as_text()->size() == 3 ? "" : "another length";
                   }};
    pair p(rules_of({plate}));
    p.a.writes(sets("plate", "abc"));
    BOOST_TEST(p.a.all().empty());
    p.a.writes(sets("plate", "abcd"));
    p.sync();
    BOOST_TEST((p.b.only().what.kind == conflict_kind::bound));
    BOOST_TEST(p.b.only().waits());
    BOOST_TEST(p.b.mv("plate") == "\"abcd\""); // as without a rule
    p.b.writes([&](transaction& t) { return t.resolve(p.b.only().what, {.content = "xyz"}); });
    p.sync();
    BOOST_TEST(p.a.all().empty());
}

// However often each of them writes: its later write has seen its earlier one.
BOOST_AUTO_TEST_CASE(a_register_holds_one_sibling_of_each_replica_at_most) {
    std::vector<std::unique_ptr<member>> all;
    std::vector<member*> everyone;
    for (std::uint64_t id = 1; id <= 4; ++id) {
        all.push_back(std::make_unique<member>("m" + std::to_string(id), id * 10));
        everyone.push_back(all.back().get());
    }
    for (int round = 0; round < 5; ++round) {
        for (member* each : everyone) {
            each->writes(sets("k", round));
            each->writes(sets("k", std::string(1'000, 'x')));
        }
        if (round % 2 == 1) everyone[0]->gets(*everyone[1]); // some have seen some
    }
    exchange(everyone);
    exchange(everyone);
    check_alike(everyone);
    std::set<replica_id> writers;
    for (const sibling& s : everyone[0]->only().what.siblings) writers.insert(s.at.replica);
    BOOST_TEST(writers.size() == everyone[0]->only().what.siblings.size());
    BOOST_TEST(writers.size() == 4);
}

BOOST_AUTO_TEST_CASE(a_resolver_that_throws_leaves_the_siblings_and_the_node) {
    auto broken = custom("broken", [](const conflict&) -> std::optional<value> {
        throw std::runtime_error("no idea");
    });
    pair p(rules_of({{"k", {}, {}, resolver({broken})}}));
    p.a.writes(sets("k", 1));
    p.b.writes(sets("k", 2));
    p.sync();
    BOOST_TEST(p.a.only().waits());
    BOOST_TEST(p.a.mv("k") == "1 2");
    BOOST_REQUIRE_EQUAL(p.a.trail.size(), 1);
    BOOST_TEST(p.a.trail.front().failed.front().find("no idea") != std::string::npos);
    BOOST_TEST(p.a.decisions.status(p.a.now).conflicts_failing == 1);
}

BOOST_AUTO_TEST_CASE(a_roll_back_leaves_conflicts_as_they_were) {
    pair p;
    p.a.writes(sets("k", "a"));
    p.b.writes(sets("k", "b"));
    p.sync();
    conflict seen = p.a.only().what;
    auto undone = p.a.tries([&](transaction& t) -> result<void> {
        if (auto done = t.resolve(seen, {.content = "x"}); !done) return done;
        return fail(errc::aborted, "no");
    });
    BOOST_TEST(!undone);
    BOOST_TEST((p.a.only().what == seen));
    BOOST_TEST(p.a.trail.size() == 1);
}

BOOST_AUTO_TEST_CASE(a_replay_finds_the_same_conflicts_and_decisions) {
    pair p(rules_of({of_key("n", "max")}));
    for (int i = 0; i < 3; ++i) {
        p.a.writes(sets("n", i));
        p.b.writes(sets("n", 10 * i));
        p.a.writes(sets("k", i));
        p.b.writes(sets("k", 10 * i));
        p.sync();
    }
    core again({.name = "berlin", .conflict_rules = p.a.decisions.conflicts().rules()}, 1);
    for (std::size_t i = 0; i < p.a.runs.size(); ++i) {
        BOOST_REQUIRE(again.replay(p.a.runs[i], 5));
        if (i % 2 == 1) {
            BOOST_REQUIRE(again.replay(p.b.runs[i - 1], 5));
            BOOST_REQUIRE(again.replay(p.b.runs[i], 5));
        }
    }
    const auto& found = again.conflicts().all();
    const auto& before = p.a.decisions.conflicts().all();
    BOOST_REQUIRE_EQUAL(found.size(), before.size());
    auto of_trail = [](const std::vector<audit_entry>& all) {
        std::vector<std::array<std::uint64_t, 2>> out;
        for (const audit_entry& e : all) out.push_back(e.id);
        std::sort(out.begin(), out.end());
        return out;
    };
    BOOST_TEST((of_trail(again.take_audits()) == of_trail(p.a.trail)));
    for (const auto& [where, one] : found) BOOST_TEST((one.what == before.at(where).what));
}

// Decisions of before were made by other rules: they stand in the trail, and are not made again in a replay.
// What is still open is decided anew, once.
BOOST_AUTO_TEST_CASE(a_replay_under_changed_rules_records_only_what_is_decided_now) {
    pair p(rules_of({of_key("n", "max")}));
    p.a.writes(sets("n", 1));
    p.b.writes(sets("n", 2));
    p.sync(); // resolved
    p.a.writes(sets("n", 3));
    p.b.writes(sets("k", 4));
    p.sync(); // n is in no conflict
    p.a.writes(sets("k", 5));
    p.b.writes(sets("k", 6));
    p.sync();
    std::vector<shared_bytes> log{p.a.runs[0], p.b.runs[0], p.a.runs[1],
                                  p.b.runs[1], p.a.runs[2], p.b.runs[2]};
    auto other = rules_of({of_key("n", "min"), of_key("k", "min")});
    auto started = [&](std::optional<log_index> since, std::vector<audit_entry>& replayed) {
        auto again =
            std::make_unique<core>(replica_options{.name = "berlin", .conflict_rules = other}, 1);
        again->had_rules_since(since);
        for (const shared_bytes& run : log) BOOST_REQUIRE(again->replay(run, 5));
        again->start({replica_id{10}, {}, {}}, {}, p.a.now);
        replayed = again->take_audits();
        std::vector<audit_entry> now;
        for (int step = 0; step < 2; ++step) {
            for (effect& e : again->step({p.a.now, p.a.wall_ms, woken{}})) {
                if (auto* made = std::get_if<record_audit>(&e))
                    now.insert(now.end(), made->entries.begin(), made->entries.end());
            }
        }
        return now;
    };
    std::vector<audit_entry> replayed;
    auto now = started(std::nullopt, replayed); // the first start under these rules
    BOOST_TEST(replayed.empty());
    BOOST_REQUIRE_EQUAL(now.size(), 1);
    BOOST_TEST(now.front().path.front() == "k");
    BOOST_TEST(now.front().strategy == "min");
    BOOST_TEST(now.front().at.ms() >= p.a.wall_ms);
    // The next one, after a crash that the trail did not survive: decided where the log was then, and after.
    now = started(log_index{2}, replayed);
    BOOST_TEST(now.empty());
    BOOST_REQUIRE_EQUAL(replayed.size(), 2);
    BOOST_TEST(replayed[0].path.front() == "n"); // open there
    BOOST_TEST(replayed[1].path.front() == "k");
    now = started(log_index{6}, replayed); // nothing came since: the trail mostly has it already
    BOOST_TEST(now.empty());
    BOOST_REQUIRE_EQUAL(replayed.size(), 1);
    BOOST_TEST(replayed[0].path.front() == "k");
    now = started(log_index{7}, replayed); // a run was lost
    BOOST_TEST(replayed.empty());
    BOOST_TEST(now.size() == 1);
}

BOOST_AUTO_TEST_CASE(a_loaded_state_has_its_conflicts) {
    pair p(rules_of({of_key("n", "max")}));
    p.a.writes([](transaction& t) {
        if (auto done = t.mv_register("n").set(1); !done) return done;
        if (auto done = t.counter("x").increment(); !done) return done;
        return t.mv_register("k").set("a");
    });
    p.b.writes([](transaction& t) {
        if (auto done = t.mv_register("n").set(2); !done) return done;
        if (auto done = t.flag("x").enable(); !done) return done;
        return t.mv_register("k").set("b");
    });
    p.sync();
    core again({.name = "berlin", .conflict_rules = p.a.decisions.conflicts().rules()}, 1);
    BOOST_REQUIRE(again.load(p.a.decisions.image()));
    BOOST_REQUIRE_EQUAL(again.conflicts().all().size(), 3);
    BOOST_TEST(again.conflicts().waiting() == 2);
    for (const auto& [where, one] : again.conflicts().all()) {
        BOOST_TEST((one.what == p.a.decisions.conflicts().all().at(where).what));
        BOOST_TEST((one.made == p.a.decisions.conflicts().all().at(where).made));
        BOOST_TEST(one.since_ms >= 1'800'000'000'000U);
        BOOST_TEST(one.since_ms <= p.a.wall_ms);
    }
    BOOST_TEST(again.take_audits().empty()); // they were decided when they came to be
}

// A state says what is there, not who settled what was.
BOOST_AUTO_TEST_CASE(what_a_state_of_a_peer_settled_is_not_told_as_a_plain_write) {
    pair p;
    p.a.writes(sets("k", "a"));
    p.b.writes(sets("k", "b"));
    p.sync();
    keyspace before = p.a.decisions.state();
    conflict seen = p.b.only().what;
    p.b.writes([&](transaction& t) { return t.resolve(seen, {.content = "x", .who = "Ada"}); });
    p.sync();
    conflict_index known = p.a.decisions.conflicts().of_same_rules();
    conflict_index::outcome out;
    known.rebuild(before, 1, out);
    out.entries.clear();
    known.rebuild(p.a.decisions.state(), 2, out);
    BOOST_REQUIRE_EQUAL(out.entries.size(), 1);
    BOOST_TEST(out.entries.front().strategy == "state_transfer");
    BOOST_TEST(out.entries.front().who.empty());
    BOOST_TEST(to_string(out.entries.front().result.front().content) == R"("x")");
}

BOOST_AUTO_TEST_CASE(who_has_other_rules_is_named) {
    member a("a", 10, rules_of({of_key("k", "max")}));
    member b("b", 20, rules_of({of_key("k", "min")}));
    member c("c", 30, rules_of({of_key("k", "max")}));
    a.meets(b);
    a.meets(c);
    auto now = a.decisions.status(a.now);
    BOOST_REQUIRE_EQUAL(now.peers.size(), 2);
    BOOST_TEST(now.peers.front().name == "20");
    BOOST_TEST(now.peers.front().other_rules);
    BOOST_TEST(!now.peers.back().other_rules);
}

BOOST_AUTO_TEST_SUITE_END()
