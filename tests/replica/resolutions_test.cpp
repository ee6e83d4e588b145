#include "tests/replica/conflict_members.hpp"

#include <algorithm>
#include <array>
#include <functional>
#include <set>

// What people settle, alone and at once.
using namespace weft;
using namespace weft::tests;

BOOST_AUTO_TEST_SUITE(resolutions)

BOOST_AUTO_TEST_CASE(a_resolution_dominates_its_siblings_and_names_who) {
    pair p;
    p.a.writes(sets("k", "a"));
    p.b.writes(sets("k", "b"));
    p.sync();
    conflict seen = p.a.only().what;
    p.a.writes([&](transaction& t) {
        return t.resolve(seen, {.take = seen.siblings.back().at, .who = "Ada"});
    });
    BOOST_TEST(p.a.all().empty());
    p.sync();
    BOOST_TEST(p.b.mv("k") == R"("b")");
    BOOST_TEST(p.b.told.back() == "closed write_write k by Ada");
    for (member* m : {&p.a, &p.b}) {
        BOOST_REQUIRE_EQUAL(m->trail.size(), 2);
        BOOST_TEST(m->trail.back().strategy == "manual");
        BOOST_TEST(m->trail.back().who == "Ada");
        BOOST_TEST(m->trail.back().siblings.size() == 2);
        BOOST_TEST((m->trail.back().outcome == audit_outcome::settled));
    }
    // Decided on what is not there any more: refused.
    auto late = p.b.tries([&](transaction& t) { return t.resolve(seen, {.who = "Bob"}); });
    BOOST_REQUIRE(!late);
    BOOST_TEST((late.error().code == errc::outdated));
}

BOOST_AUTO_TEST_CASE(a_resolution_made_before_another_sibling_came_is_refused) {
    pair p;
    member c("rome", 30);
    p.a.writes(sets("k", "a"));
    p.b.writes(sets("k", "b"));
    c.writes(sets("k", "c"));
    p.sync();
    conflict seen = p.a.only().what;
    p.a.gets(c);
    auto late = p.a.tries([&](transaction& t) { return t.resolve(seen, {.content = "x"}); });
    BOOST_REQUIRE(!late);
    BOOST_TEST(late.error().detail == "mv_register 'k' has other siblings by now; look again");
    BOOST_TEST(p.a.only().what.siblings.size() == 3);
}

BOOST_AUTO_TEST_CASE(two_people_who_resolve_at_once_make_a_smaller_conflict) {
    pair p;
    p.a.writes(sets("k", "a"));
    p.b.writes(sets("k", "b"));
    p.sync();
    conflict seen = p.a.only().what;
    p.a.writes([&](transaction& t) { return t.resolve(seen, {.content = "x", .who = "Ada"}); });
    p.b.writes([&](transaction& t) { return t.resolve(seen, {.content = "y", .who = "Bob"}); });
    p.sync();
    BOOST_TEST(p.a.mv("k") == R"("x" "y")");
    seen = p.b.only().what;
    // Each has the other's decision, too, though its conflict was settled here already.
    for (member* each : {&p.a, &p.b}) {
        std::set<std::string> named;
        for (const audit_entry& e : each->trail) {
            if ((e.outcome == audit_outcome::settled)) named.insert(e.who);
        }
        BOOST_TEST((named == std::set<std::string>{"Ada", "Bob"}));
    }
    const audit_entry& late = p.a.trail[p.a.trail.size() - 2];
    BOOST_TEST(late.who == "Bob");
    BOOST_REQUIRE_EQUAL(late.siblings.size(), 1);
    BOOST_TEST(to_string(late.siblings.front().content->content) == R"("y")");
    p.b.writes([&](transaction& t) { return t.resolve(seen, {.who = "Bob"}); }); // neither: removed
    p.sync();
    BOOST_TEST(p.a.mv("k").empty());
    BOOST_TEST(p.a.all().empty());
}

// What a person did whose resolution came late stands in the trail as they did it, with who it was.
const audit_entry& late_at(const member& there) {
    auto found = std::find_if(there.trail.rbegin(), there.trail.rend(),
                              [](const audit_entry& e) { return e.who == "Bob"; });
    BOOST_REQUIRE(found != there.trail.rend());
    BOOST_REQUIRE_EQUAL(found->siblings.size(), 1);
    BOOST_TEST(found->siblings.front().member == "oslo");
    BOOST_TEST(audit_query{.replica = "oslo"}.matches(*found));
    BOOST_REQUIRE(found->siblings.front().content.has_value());
    return *found;
}

std::string shown(const std::vector<audited_value>& all) {
    std::string out;
    for (const audited_value& v : all) out += (out.empty() ? "" : " ") + to_string(v.content);
    return out;
}

BOOST_AUTO_TEST_CASE(a_late_resolution_of_a_clash_says_what_was_taken) {
    pair p;
    p.a.writes([](transaction& t) { return t.mv_register("x").set("text"); });
    p.b.writes([](transaction& t) { return t.set("x").add("e"); });
    p.sync();
    conflict seen = p.a.only().what;
    auto takes = [&](std::size_t which, const std::string& who) {
        return [=](transaction& t) {
            return t.resolve(seen, {.take = seen.siblings[which].at, .who = who});
        };
    };
    p.a.writes(takes(0, "Ada"));
    p.b.writes(takes(1, "Bob"));
    p.sync();
    const audit_entry& late = late_at(p.a);
    BOOST_TEST(to_string(late.siblings.front().content->content) == R"("set")");
    BOOST_TEST(shown(late.result) == R"("mv_register" "set")"); // the clash is back
}

BOOST_AUTO_TEST_CASE(a_late_resolution_of_a_counter_says_the_number_given) {
    rule seats{"seats", {}, type_kind::counter, {}};
    seats.max = value(100);
    pair p(rules_of({seats}));
    for (member* each : {&p.a, &p.b})
        each->writes([](transaction& t) { return t.counter("seats").increment(75); });
    p.sync();
    conflict seen = p.a.only().what;
    p.a.writes([&](transaction& t) { return t.resolve(seen, {.content = 90, .who = "Ada"}); });
    p.b.writes([&](transaction& t) { return t.resolve(seen, {.content = 80, .who = "Bob"}); });
    p.sync();
    const audit_entry& late = late_at(p.a);
    BOOST_TEST(to_string(late.siblings.front().content->content) == "80");
    BOOST_TEST(shown(late.result) == "170");
}

// Of what is open there by then he knows nothing, and it stays.
BOOST_AUTO_TEST_CASE(a_late_resolution_settles_no_conflict_that_it_had_not_seen) {
    rule seats{"seats", {}, type_kind::counter, {}};
    seats.max = value(100);
    pair p(rules_of({seats}));
    for (member* each : {&p.a, &p.b}) {
        each->writes([](transaction& t) { return t.counter("seats").increment(75); });
    }
    p.sync();
    conflict seen = p.a.only().what;
    p.a.writes([&](transaction& t) { return t.resolve(seen, {.content = 90, .who = "Ada"}); });
    p.a.writes([](transaction& t) { return t.counter("seats").increment(50); });
    BOOST_TEST(p.a.only().what.siblings.size() == 1U); // 140 of a
    p.b.writes([&](transaction& t) { return t.resolve(seen, {.content = 80, .who = "Bob"}); });
    p.a.gets(p.b);
    const audit_entry& counted = late_at(p.a);
    BOOST_TEST(to_string(counted.siblings.front().content->content) == "80");
    BOOST_TEST(shown(counted.result) == "220");

    pair q;
    q.a.writes([](transaction& t) { return t.mv_register("x").set("text"); });
    q.b.writes([](transaction& t) { return t.set("x").add("e"); });
    q.sync();
    seen = q.a.only().what;
    auto takes = [&](std::size_t which, const std::string& who) {
        return [&seen, which, who](transaction& t) {
            return t.resolve(seen, {.take = seen.siblings[which].at, .who = who});
        };
    };
    q.a.writes(takes(0, "Ada"));
    q.a.writes([](transaction& t) { return t.set("x").add("f"); });
    BOOST_TEST((q.a.only().what.kind == conflict_kind::type_clash));
    q.b.writes(takes(1, "Bob"));
    q.a.gets(q.b);
    BOOST_TEST(to_string(late_at(q.a).siblings.front().content->content) == R"("set")");

    pair three; // and he saw two types of them
    three.a.writes([](transaction& t) { return t.mv_register("x").set("text"); });
    three.b.writes([](transaction& t) { return t.set("x").add("e"); });
    three.sync();
    seen = three.b.only().what;
    three.a.writes([](transaction& t) { return t.counter("x").increment(); });
    three.b.writes(takes(1, "Bob"));
    three.a.gets(three.b);
    const audit_entry& some = three.a.trail[three.a.trail.size() - 2];
    std::vector<audited_value> settled;
    for (const audited_sibling& s : some.siblings) settled.push_back(*s.content);
    BOOST_TEST(shown(settled) == R"("mv_register" "set")");
    BOOST_TEST(shown(some.result) == R"("counter" "set")");
}

// He saw two of three siblings.
BOOST_AUTO_TEST_CASE(a_resolution_settles_of_a_conflict_what_it_had_seen) {
    pair p;
    member c("rome", 30);
    p.a.writes(sets("k", "a"));
    p.b.writes(sets("k", "b"));
    p.sync();
    c.writes(sets("k", "c"));
    p.a.gets(c);
    conflict seen = p.b.only().what;
    p.b.writes([&](transaction& t) { return t.resolve(seen, {.content = "x", .who = "Bob"}); });
    p.a.gets(p.b);
    const audit_entry& entry = p.a.trail[p.a.trail.size() - 2];
    BOOST_TEST(entry.who == "Bob");
    std::vector<audited_value> settled;
    for (const audited_sibling& s : entry.siblings) settled.push_back(*s.content);
    BOOST_TEST(shown(settled) == R"("a" "b" "x")");
    BOOST_TEST(shown(entry.result) == R"("x" "c")");
    BOOST_TEST(p.a.mv("k") == R"("x" "c")");
    BOOST_TEST(p.a.only().what.siblings.size() == 2U);
}

// The write that says what was given is gone by then, and the removal that it settled was gone before.
BOOST_AUTO_TEST_CASE(a_late_resolution_says_what_was_given_though_it_was_overwritten_at_once) {
    pair p(rules_of({of_key("k", "manual", true)}));
    p.a.writes(sets("k", "old"));
    p.sync();
    p.a.writes(sets("k", "a"));
    p.b.writes([](transaction& t) { return t.mv_register("k").remove(); });
    p.sync();
    conflict seen = p.a.only().what;
    BOOST_TEST((seen.kind == conflict_kind::delete_write));
    p.a.writes([&](transaction& t) { return t.resolve(seen, {.content = "x", .who = "Ada"}); });
    p.b.writes([&](transaction& t) -> result<void> {
        if (auto done = t.resolve(seen, {.content = "y", .who = "Bob"}); !done) return done;
        return t.mv_register("k").set("z");
    });
    p.a.gets(p.b);
    const audit_entry& late = late_at(p.a);
    BOOST_TEST(to_string(late.siblings.front().content->content) == R"("y")");
    BOOST_TEST(late.siblings.front().stamp.ms() > 0U);
    BOOST_TEST((late.kind == conflict_kind::delete_write));
    BOOST_TEST(shown(late.result) == R"("x" "z")");
}

BOOST_AUTO_TEST_CASE(two_resolutions_of_one_clash_have_two_names) {
    pair p;
    std::set<std::array<std::uint64_t, 2>> names;
    for (int i = 0; i < 2; ++i) {
        p.a.writes([](transaction& t) { return t.counter("x").increment(); });
        p.a.writes([](transaction& t) { return t.flag("x").enable(); });
        conflict seen = p.a.only().what;
        p.a.writes([&](transaction& t) {
            return t.resolve(seen, {.take = seen.siblings.front().at, .who = "Ada"});
        });
        names.insert(p.a.trail.back().id);
    }
    BOOST_TEST(names.size() == 2U);
}

BOOST_AUTO_TEST_CASE(the_result_of_a_resolution_is_what_a_rule_reads) {
    pair p(rules_of({of_key("k", "last_writer_wins")}));
    p.a.writes(sets("k", "a"));
    p.b.writes(sets("k", "b"));
    p.sync();
    conflict seen = p.a.only().what;
    p.a.writes([&](transaction& t) { return t.resolve(seen, {.content = "x", .who = "Ada"}); });
    p.b.writes([&](transaction& t) { return t.resolve(seen, {.content = "y", .who = "Bob"}); });
    p.sync();
    BOOST_TEST(shown(late_at(p.a).result) == p.a.mv("k"));
}

BOOST_AUTO_TEST_CASE(of_a_clash_with_a_bounded_counter_that_is_what_can_be_taken) {
    pair p;
    p.a.writes([](transaction& t) { return t.bounded_counter("x").create_at_least(0, 3); });
    p.b.writes([](transaction& t) { return t.lww_register("x").set("text"); });
    p.sync();
    conflict seen = p.a.only().what;
    BOOST_REQUIRE(*seen.siblings.back().content == value("bounded_counter"));
    auto takes = [&](const sibling& which) {
        return [&](transaction& t) { return t.resolve(seen, {.take = which.at}); };
    };
    auto refused = p.a.tries(takes(seen.siblings.front()));
    BOOST_REQUIRE(!refused);
    BOOST_TEST(refused.error().detail.find("never removed") != std::string::npos);
    p.a.writes(takes(seen.siblings.back()));
    p.sync();
    BOOST_TEST(p.b.all().empty());
    BOOST_TEST(p.b.reads([](transaction& t) { return t.bounded_counter("x").read(); }) == 3);
}

BOOST_AUTO_TEST_CASE(two_who_take_the_same_mv_register_have_its_value_twice) {
    pair p;
    p.a.writes([](transaction& t) { return t.mv_register("x").set("text"); });
    p.b.writes([](transaction& t) { return t.set("x").add("e"); });
    p.sync();
    conflict seen = p.a.only().what;
    for (member* each : {&p.a, &p.b}) {
        each->writes(
            [&](transaction& t) { return t.resolve(seen, {.take = seen.siblings[0].at}); });
    }
    p.sync();
    BOOST_TEST((p.a.only().what.kind == conflict_kind::write_write));
    BOOST_TEST(p.a.mv("x") == R"("text" "text")");
}

// Each removes what the other keeps, so each has to write again what it keeps.
BOOST_AUTO_TEST_CASE(two_people_who_take_different_types_at_once_lose_neither) {
    using change = std::function<result<void>(transaction&)>;
    const std::vector<change> all{[](transaction& t) { return t.lww_register("x").set("text"); },
                                  [](transaction& t) { return t.mv_register("x").set("text"); },
                                  [](transaction& t) { return t.counter("x").increment(2); },
                                  [](transaction& t) { return t.grow_counter("x").increment(2); },
                                  [](transaction& t) { return t.flag("x").enable(); },
                                  [](transaction& t) { return t.disable_wins_flag("x").disable(); },
                                  [](transaction& t) { return t.set("x").add("e"); },
                                  [](transaction& t) { return t.remove_wins_set("x").add("e"); },
                                  [](transaction& t) { return t.grow_set("x").add("e"); },
                                  [](transaction& t) {
                                      if (auto done = t.map("x").put("name", "Wien"); !done)
                                          return done;
                                      if (auto done = t.map("x").counter("visits").increment(7);
                                          !done)
                                          return done;
                                      return t.map("x").map("deep").set("tags").add("e");
                                  }};
    auto shown = [](member& m) {
        std::vector<std::string> out;
        std::string_view at[] = {"x"};
        for (type_id each : m.decisions.state().types_at(at)) out.push_back(to_string(each));
        return out;
    };
    for (std::size_t mine = 0; mine < all.size(); ++mine) {
        for (std::size_t theirs = 0; theirs < all.size(); ++theirs) {
            if (mine == theirs) continue;
            pair p;
            p.a.writes(all[mine]);
            std::string of_a = shown(p.a).front();
            p.b.writes(all[theirs]);
            std::string of_b = shown(p.b).front();
            p.sync();
            conflict seen = p.a.only().what;
            BOOST_REQUIRE_EQUAL(seen.siblings.size(), 2);
            bool first = *seen.siblings.front().content == value(of_a);
            dot to_a = seen.siblings[first ? 0 : 1].at;
            dot to_b = seen.siblings[first ? 1 : 0].at;
            p.a.writes(
                [&](transaction& t) { return t.resolve(seen, {.take = to_a, .who = "Ada"}); });
            p.b.writes(
                [&](transaction& t) { return t.resolve(seen, {.take = to_b, .who = "Bob"}); });
            BOOST_TEST(shown(p.a) == std::vector{of_a}, boost::test_tools::per_element());
            BOOST_TEST(shown(p.b) == std::vector{of_b}, boost::test_tools::per_element());
            auto before =
                p.a.decisions.state().find(std::array<std::string_view, 1>{"x"}, *parse_type(of_a));
            BOOST_REQUIRE(before != nullptr);
            object kept = *before;
            p.sync();
            conflict again = p.b.only().what;
            BOOST_TEST((again.kind == conflict_kind::type_clash));
            BOOST_TEST(again.siblings.size() == 2);
            auto after =
                p.b.decisions.state().find(std::array<std::string_view, 1>{"x"}, *parse_type(of_a));
            BOOST_REQUIRE(after != nullptr);
            BOOST_TEST((*after == kept), of_a + " beside " + of_b);
        }
    }
}

BOOST_AUTO_TEST_CASE(what_is_taken_of_a_clash_reads_as_before) {
    pair p;
    auto fill = [](transaction& t) {
        if (auto done = t.map("x").put("name", "Wien"); !done) return done;
        if (auto done = t.map("x").counter("visits").increment(7); !done) return done;
        if (auto done = t.map("x").set("tags").add("old"); !done) return done;
        return t.map("x").flag("open").enable();
    };
    p.a.writes(fill);
    p.a.writes([](transaction& t) { return t.map("x").counter("visits").decrement(2); });
    p.b.writes([](transaction& t) { return t.lww_register("x").set("text"); });
    p.sync();
    conflict seen = p.b.only().what;
    p.b.writes([&](transaction& t) { return t.resolve(seen, {.take = seen.siblings.back().at}); });
    p.sync();
    for (member* each : {&p.a, &p.b}) {
        BOOST_TEST(each->all().empty());
        BOOST_TEST(each->lww("x") == "nothing");
        auto name = each->reads([](transaction& t) { return t.map("x").get("name"); });
        BOOST_REQUIRE(name.has_value());
        BOOST_TEST(to_string(*name) == R"("Wien")");
        BOOST_TEST(
            each->reads([](transaction& t) { return t.map("x").counter("visits").read(); }) == 5);
        BOOST_TEST(
            each->reads([](transaction& t) { return t.map("x").set("tags").contains("old"); }));
        BOOST_TEST(each->reads([](transaction& t) { return t.map("x").flag("open").enabled(); }));
    }
}

BOOST_AUTO_TEST_CASE(a_clash_whose_objects_were_written_is_another_conflict) {
    pair p;
    p.a.writes([](transaction& t) { return t.counter("x").increment(3); });
    p.b.writes([](transaction& t) { return t.lww_register("x").set("text"); });
    p.sync();
    conflict seen = p.a.only().what;
    p.a.writes([](transaction& t) { return t.counter("x").increment(); });
    conflict now = p.a.only().what;
    BOOST_TEST((audit_of(seen, {}, 1).id != audit_of(now, {}, 1).id));
    dot to_text = seen.siblings.front().at;
    auto late = p.a.tries([&](transaction& t) { return t.resolve(seen, {.take = to_text}); });
    BOOST_REQUIRE(!late);
    BOOST_TEST((late.error().code == errc::outdated));
    BOOST_TEST(p.a.reads([](transaction& t) { return t.counter("x").read(); }) == 4);
    p.a.writes([&](transaction& t) { return t.resolve(now, {.take = to_text}); });
    p.sync();
    BOOST_TEST(p.b.all().empty());
}

// What was not seen keeps the clash as it is, of the same types.
BOOST_AUTO_TEST_CASE(a_resolution_that_leaves_the_same_types_is_recorded) {
    pair p;
    p.a.writes([](transaction& t) { return t.counter("x").increment(3); });
    p.b.writes([](transaction& t) { return t.lww_register("x").set("text"); });
    p.sync();
    conflict seen = p.a.only().what;
    p.a.writes([&](transaction& t) {
        return t.resolve(seen, {.take = seen.siblings.front().at, .who = "Ada"});
    });
    p.b.writes([](transaction& t) { return t.counter("x").increment(); });
    p.sync();
    BOOST_TEST(p.b.reads([](transaction& t) { return t.counter("x").read(); }) == 1);
    for (member* each : {&p.a, &p.b}) {
        BOOST_TEST((each->only().what.kind == conflict_kind::type_clash));
        auto by_her = [](const audit_entry& e) {
            return e.outcome == audit_outcome::settled && e.who == "Ada";
        };
        BOOST_TEST(std::count_if(each->trail.begin(), each->trail.end(), by_her) == 1);
        BOOST_TEST((each->trail.back().outcome == audit_outcome::waits));
    }
    BOOST_TEST(p.b.told.back() == "changed type_clash x by Ada");
}

// One write cannot stand for several siblings, so taking them would choose one unasked.
BOOST_AUTO_TEST_CASE(a_register_that_waits_itself_is_settled_before_its_clash) {
    pair p;
    p.a.writes([](transaction& t) { return t.map("m").mv_register("x").set("a"); });
    p.b.writes([](transaction& t) { return t.map("m").mv_register("x").set("b"); });
    p.sync();
    p.a.writes([](transaction& t) { return t.counter("m").increment(); });
    auto all = p.a.all();
    BOOST_REQUIRE_EQUAL(all.size(), 2);
    conflict clash = all[0].what;
    BOOST_REQUIRE((clash.kind == conflict_kind::type_clash));
    auto refused = p.a.tries(
        [&](transaction& t) { return t.resolve(clash, {.take = clash.siblings.back().at}); });
    BOOST_REQUIRE(!refused);
    BOOST_TEST(refused.error().detail ==
               "mv_register 'x' has several values itself: settle those first");
    BOOST_TEST(p.a.all().size() == 2);
    p.a.writes([&](transaction& t) { return t.resolve(all[1].what, {.content = "c"}); });
    clash = p.a.only().what;
    p.a.writes(
        [&](transaction& t) { return t.resolve(clash, {.take = clash.siblings.back().at}); });
    p.sync();
    BOOST_TEST(p.b.all().empty());
    BOOST_TEST(p.b.reads([](transaction& t) { return t.map("m").mv_register("x").get(); }).size() ==
               1);
}

BOOST_AUTO_TEST_CASE(what_is_too_large_to_be_written_again_is_not_taken) {
    pair p;
    for (int part = 0; part < 2; ++part) {
        p.a.writes([&](transaction& t) {
            result<void> done;
            for (int i = 0; done && i < 60'000; ++i) done = t.set("x").add(part * 60'000 + i);
            return done;
        });
    }
    p.a.writes([](transaction& t) { return t.counter("x").increment(); });
    conflict seen = p.a.only().what;
    BOOST_REQUIRE(*seen.siblings.back().content == value("set"));
    auto refused = p.a.tries(
        [&](transaction& t) { return t.resolve(seen, {.take = seen.siblings.back().at}); });
    BOOST_REQUIRE(!refused);
    BOOST_TEST((refused.error().code == errc::over_limit));
    BOOST_TEST(refused.error().detail.find("remove the other types instead") != std::string::npos);
    BOOST_TEST((p.a.only().what == seen)); // with a digest of what each type holds
    p.a.writes([&](transaction& t) { return t.resolve(seen, {.take = seen.siblings.front().at}); });
    BOOST_TEST(p.a.all().empty());
}

// Neither takes back what the other chose, so what is read is beyond the bound again, and waits.
BOOST_AUTO_TEST_CASE(two_people_who_settle_a_counter_at_once_get_the_sum_of_both) {
    for (type_kind kind : {type_kind::counter, type_kind::grow_counter}) {
        rule seats{"seats", {}, kind, {}};
        seats.max = value(100);
        pair p(rules_of({seats}));
        auto adds = [&](std::int64_t by) {
            return [=](transaction& t) {
                return kind == type_kind::counter ? t.counter("seats").increment(by)
                                                  : t.grow_counter("seats").increment(by);
            };
        };
        auto read = [&](member& m) {
            return m.reads([&](transaction& t) {
                return kind == type_kind::counter ? t.counter("seats").read()
                                                  : t.grow_counter("seats").read();
            });
        };
        p.a.writes(adds(80));
        p.b.writes(adds(70));
        p.sync();
        conflict seen = p.a.only().what;
        p.a.writes([&](transaction& t) { return t.resolve(seen, {.content = 100, .who = "Ada"}); });
        BOOST_TEST(read(p.a) == 100);
        BOOST_TEST(p.a.all().empty());
        p.b.writes([&](transaction& t) { return t.resolve(seen, {.content = 90, .who = "Bob"}); });
        BOOST_TEST(read(p.b) == 90);
        p.sync();
        BOOST_TEST(read(p.a) == 190);
        seen = p.a.only().what;
        BOOST_TEST((seen.kind == conflict_kind::bound));
        p.a.writes([&](transaction& t) { return t.resolve(seen, {.content = 95, .who = "Ada"}); });
        p.sync();
        BOOST_TEST(read(p.b) == 95);
        BOOST_TEST(p.b.all().empty());
    }
}

BOOST_AUTO_TEST_CASE(what_settles_a_conflict_lies_within_the_bound) {
    rule seats{"seats", {}, type_kind::counter, {}};
    seats.max = value(100);
    rule grows{"grows", {}, type_kind::grow_counter, {}};
    grows.max = value(10);
    rule places{"places", {}, type_kind::mv_register, *parse_resolver("sum")};
    places.max = value(10);
    pair p(rules_of({seats, grows, places}));
    for (member* each : {&p.a, &p.b}) {
        each->writes([&](transaction& t) {
            if (auto done = t.counter("seats").increment(80); !done) return done;
            if (auto done = t.grow_counter("grows").increment(8); !done) return done;
            return t.mv_register("places").set(each == &p.a ? 20 : 3);
        });
    }
    p.sync();
    auto all = p.a.all();
    BOOST_REQUIRE_EQUAL(all.size(), 3); // grows, places, seats
    auto refused = [&](std::size_t which, const resolution& how) {
        auto done = p.a.tries([&](transaction& t) { return t.resolve(all[which].what, how); });
        return done ? std::string("settled") : to_string(done.error());
    };
    BOOST_TEST(refused(0, {.content = -1}) ==
               "invalid_argument: grow_counter 'grows' is never below 0");
    BOOST_TEST(refused(0, {.content = 11}) ==
               "bound_exceeded: grow_counter 'grows' cannot be settled so: 11 is above 10");
    BOOST_TEST(refused(1, {.content = 99}) ==
               "bound_exceeded: mv_register 'places' cannot be settled so: 99 is above 10");
    BOOST_TEST(refused(1, {.take = all[1].what.siblings.front().at}) ==
               "bound_exceeded: mv_register 'places' cannot be settled so: 20 is above 10");
    BOOST_TEST(refused(2, {.content = 400}) ==
               "bound_exceeded: counter 'seats' cannot be settled so: 400 is above 100");
    BOOST_TEST(p.a.all().size() == 3);
    BOOST_TEST(refused(1, {.take = all[1].what.siblings.back().at}) == "settled");
    BOOST_TEST(refused(2, {.content = 100}) == "settled");
    BOOST_TEST(refused(0, {.content = 10}) == "settled");
    p.sync();
    BOOST_TEST(p.b.all().empty());
}

BOOST_AUTO_TEST_SUITE_END()
