#include "base/limits.hpp"
#include "crdt/map.hpp"

#include <boost/test/unit_test.hpp>

namespace weft {
namespace {

constexpr replica_id a{1};
constexpr replica_id b{2};

map with_address(const map& m, dot fresh, std::string_view field, const char* content) {
    return m.nested("address", [&](const map& address) {
        return address.put(fresh, hlc{fresh.counter}, field, content);
    });
}

value below(const map& m, std::string_view field) {
    const object* address = m.child("address", {type_kind::map});
    const object* child = address == nullptr ? nullptr : address->as<map_store>().find({field, {}});
    return child == nullptr ? value()
                            : latest<value>(child->as<register_store<value>>())->payload.content;
}

BOOST_AUTO_TEST_SUITE(map_test)

BOOST_AUTO_TEST_CASE(two_replicas_that_create_a_field_at_the_same_time_share_it) {
    map x = map().add({a, 1}, "tags", "red");
    map y = map().add({b, 1}, "tags", "blue");
    map both = joined(x, y);
    BOOST_TEST(both.fields() == std::vector<std::string>{"tags"}, boost::test_tools::per_element());
    const object* tags = both.child("tags", {type_kind::add_wins_set, element_kind::text});
    BOOST_REQUIRE(tags != nullptr);
    BOOST_TEST(tags->as<add_wins_store<value>>().size() == 2U);
    map counts = joined(map().increment({a, 1}, "n", 2), map().increment({b, 1}, "n", 3));
    BOOST_TEST(counts.count("n") == 5);
}

BOOST_AUTO_TEST_CASE(one_field_with_two_types_keeps_both) {
    map both = joined(map().put({a, 1}, hlc{1}, "x", "text"), map().increment({b, 1}, "x", 3));
    BOOST_TEST(both.fields().size() == 1U);
    BOOST_CHECK(both.get("x") == value("text"));
    BOOST_TEST(both.count("x") == 3);
    both.join(both.remove("x")); // whatever its types
    BOOST_TEST(!both.contains("x"));
}

BOOST_AUTO_TEST_CASE(an_update_survives_a_concurrent_removal_of_its_field) {
    map base = map().put({a, 1}, hlc{1}, "x", 1);
    map removal = base.remove("x");
    map update = base.put({b, 1}, hlc{2}, "x", 2);
    BOOST_CHECK(joined(joined(base, removal), update).get("x") == value(2));
    BOOST_CHECK(joined(joined(base, update), removal).get("x") == value(2));
    BOOST_CHECK(!joined(base, removal).contains("x"));
}

BOOST_AUTO_TEST_CASE(an_update_deep_inside_survives_the_removal_of_an_outer_map_alone) {
    map base = with_address(map(), {a, 1}, "street", "Elm");
    base.join(with_address(base, {a, 2}, "city", "Ulm"));
    map removal = base.remove("address");
    map update = with_address(base, {b, 1}, "street", "Oak");
    map after = joined(joined(base, removal), update);
    BOOST_CHECK(after == joined(joined(base, update), removal));
    BOOST_CHECK(below(after, "street") == value("Oak"));
    BOOST_CHECK(below(after, "city") == value());
}

BOOST_AUTO_TEST_CASE(concurrent_increments_below_a_removed_map_survive_whole) {
    auto incremented = [](const map& m, dot fresh, std::int64_t by) {
        return m.nested("stats",
                        [&](const map& stats) { return stats.increment(fresh, "hits", by); });
    };
    map base = incremented(map(), {a, 1}, 5);
    map removal = base.remove("stats");
    map more = incremented(base, {b, 1}, 2);
    map after = joined(joined(base, removal), more);
    BOOST_CHECK(after == joined(joined(base, more), removal));
    const object* hits = after.child("stats", {type_kind::map})
                             ->as<map_store>()
                             .find({"hits", {type_kind::counter}});
    BOOST_TEST(hits->as<counter_store>().read() == 2);
    BOOST_TEST(!joined(base, removal).contains("stats"));
}

BOOST_AUTO_TEST_CASE(clear_removes_what_it_saw_and_leaves_the_rest) {
    map base = map().put({a, 1}, hlc{1}, "x", 1);
    base.join(base.increment({a, 2}, "n", 4));
    map after = joined(joined(base, base.clear()), base.increment({b, 1}, "n", 1));
    BOOST_TEST(after.fields() == std::vector<std::string>{"n"}, boost::test_tools::per_element());
    BOOST_TEST(after.count("n") == 1);
}

BOOST_AUTO_TEST_CASE(a_field_with_nothing_live_is_not_there) {
    map m = map().increment({a, 1}, "n", 1);
    m.join(m.remove("n"));
    BOOST_TEST(!m.contains("n"));
    BOOST_TEST(m.fields().empty());
    BOOST_TEST(m.count("n") == 0);
    BOOST_TEST(!m.get("n").has_value());
    BOOST_TEST(m.child("n", {type_kind::counter}) == nullptr);
    BOOST_TEST(m.store().find({"n", {type_kind::counter}}) != nullptr); // its rows stay
}

BOOST_AUTO_TEST_CASE(a_removal_that_saw_only_the_remove_mark_lets_a_concurrent_add_appear) {
    type_id type{type_kind::remove_wins_set, element_kind::integer};
    auto mark = [&](const map& m, dot fresh, bool present) {
        return m.update<remove_wins_elements>("s", type, [&](const remove_wins_elements& there) {
            const flag_store* marks = there.marks().find(1);
            return causal<remove_wins_elements>{
                remove_wins_elements::of(
                    remove_wins_store<value>::partial(1, flag_store(fresh, present))),
                seen_with(fresh, marks == nullptr ? flag_store() : *marks)};
        });
    };
    map removed = joined(map(), mark(map(), {a, 1}, false)); // states, not deltas
    map added = joined(map(), mark(map(), {b, 1}, true));
    map both = joined(removed, added);
    BOOST_TEST(!both.contains("s"));
    map cleared = joined(removed, removed.remove("s")); // has seen the mark, and drops it
    BOOST_TEST(cleared.store().empty());
    for (const map& m : {joined(both, cleared), joined(cleared, both)}) {
        BOOST_TEST(m.contains("s"));
        BOOST_TEST(m.store().live_children() == 1U);
    }
}

BOOST_AUTO_TEST_CASE(a_nested_change_sees_the_context_of_the_whole_map) {
    map m = map().put({a, 1}, hlc{1}, "x", 1);
    m.join(m.nested("inner", [&](const map& inner) {
        return inner.put(inner.context().next(a), hlc{2}, "y", 2);
    }));
    BOOST_CHECK((m.context().next(a) == dot{a, 3}));
    BOOST_TEST(m.fields().size() == 2U);
}

BOOST_AUTO_TEST_CASE(maps_can_be_copied_moved_and_assigned_to_themselves) {
    map m = with_address(map(), {a, 1}, "street", "Elm");
    map copy = m;
    map moved = std::move(copy);
    BOOST_CHECK(moved == m);
    const map& same = m;
    m = same;
    BOOST_CHECK(moved == m);
    map_store store = moved.store();
    map_store taken = std::move(store);
    BOOST_CHECK(taken == moved.store());
    store = taken; // what was moved from takes a new value
    BOOST_CHECK(store == taken);
    BOOST_TEST(store.live_children() == 1U);
}

BOOST_AUTO_TEST_CASE(maps_nest_to_the_limit_and_not_beyond) {
    auto nested = [](std::size_t depth) {
        auto change = [](auto&& self, const map& m, std::size_t left) -> map {
            if (left == 0) return m.put({a, 1}, hlc{1}, "x", 1);
            return m.nested("m", [&](const map& inner) { return self(self, inner, left - 1); });
        };
        return joined(map(), change(change, map(), depth));
    };
    map deepest = nested(limits::map_depth_max);
    BOOST_CHECK(map::decoded(deepest.encoded()).value() == deepest);
    BOOST_TEST(!map::decoded(nested(limits::map_depth_max + 1).encoded()).has_value());
}

BOOST_AUTO_TEST_SUITE_END()

} // namespace
} // namespace weft
