#include "crdt/grow.hpp"
#include "crdt/set.hpp"

#include <boost/test/unit_test.hpp>

namespace weft {
namespace {

constexpr replica_id a{1};
constexpr replica_id b{2};

using add_wins = add_wins_set<std::string>;
using remove_wins = remove_wins_set<std::string>;

BOOST_AUTO_TEST_SUITE(set_test)

BOOST_AUTO_TEST_CASE(a_remove_leaves_adds_it_has_not_seen) {
    add_wins base = add_wins().add({a, 1}, "red");
    add_wins remove = base.remove("red");
    add_wins again = base.add({b, 1}, "red");
    BOOST_TEST(joined(joined(base, remove), again).contains("red"));
    BOOST_TEST(joined(joined(base, again), remove).contains("red"));
    BOOST_TEST(!joined(base, remove).contains("red"));
}

BOOST_AUTO_TEST_CASE(removing_the_winning_add_leaves_the_concurrent_one) {
    add_wins w = add_wins().add({a, 1}, "red");
    add_wins l = add_wins().add({b, 1}, "red");
    add_wins delete_w = w.remove("red");
    BOOST_TEST(joined(joined(w, l), delete_w).contains("red"));
    BOOST_TEST(joined(joined(w, delete_w), l).contains("red"));
}

BOOST_AUTO_TEST_CASE(an_add_replaces_the_adds_it_saw_so_an_element_costs_one_dot) {
    add_wins set;
    for (std::uint64_t n = 1; n <= 50; ++n)
        set.join(set.add({n % 2 == 0 ? a : b, (n + 1) / 2}, "x"));
    BOOST_TEST(set.store().find("x")->size() == 1U);
}

BOOST_AUTO_TEST_CASE(removes_leave_no_tombstones) {
    add_wins set;
    for (std::uint64_t n = 1; n <= 50; ++n) set.join(set.add({a, n}, std::to_string(n)));
    set.join(set.clear());
    BOOST_TEST(set.store().size() == 0U);
    BOOST_TEST(set.context().cloud().empty());
    BOOST_TEST(set.context().vector().size() == 1U);
}

BOOST_AUTO_TEST_CASE(removing_what_is_not_there_is_an_empty_delta) {
    add_wins set = add_wins().add({a, 1}, "x");
    add_wins nothing = set.remove("y");
    BOOST_TEST(nothing.context().empty());
    BOOST_TEST(nothing.store().empty());
    BOOST_CHECK(joined(set, nothing) == set);
}

BOOST_AUTO_TEST_CASE(clear_leaves_concurrent_adds) {
    add_wins base = joined(add_wins().add({a, 1}, "x"), add_wins().add({a, 2}, "y"));
    add_wins both = joined(joined(base, base.clear()), base.add({b, 1}, "z"));
    BOOST_TEST(both.elements() == std::vector<std::string>{"z"}, boost::test_tools::per_element());
}

BOOST_AUTO_TEST_CASE(in_a_remove_wins_set_a_remove_beats_a_concurrent_add) {
    remove_wins base = remove_wins().add({a, 1}, "red");
    remove_wins remove = base.remove({a, 2}, "red");
    remove_wins again = base.add({b, 1}, "red");
    BOOST_TEST(!joined(joined(base, remove), again).contains("red"));
    BOOST_TEST(!joined(joined(base, again), remove).contains("red"));
}

BOOST_AUTO_TEST_CASE(in_a_remove_wins_set_a_remove_beats_an_add_it_never_saw) {
    remove_wins ahead = remove_wins().remove({a, 1}, "red");
    BOOST_TEST(!joined(ahead, remove_wins().add({b, 1}, "red")).contains("red"));
}

BOOST_AUTO_TEST_CASE(in_a_remove_wins_set_a_later_add_brings_the_element_back_without_its_marks) {
    remove_wins set = remove_wins().remove({a, 1}, "red");
    set.join(set.add({b, 1}, "red"));
    BOOST_TEST(set.contains("red"));
    BOOST_TEST(set.store().find("red")->size() == 1U);
}

BOOST_AUTO_TEST_CASE(stable_remove_marks_are_forgotten_and_unstable_ones_kept) {
    remove_wins set;
    set.join(set.remove({a, 1}, "old"));
    set.join(set.remove({b, 1}, "new"));
    set.join(set.add({a, 2}, "present"));
    set.join(set.forget_stable(version_vector{{a, 2}}));
    BOOST_TEST(set.store().find("old") == nullptr);
    BOOST_TEST(set.store().find("new") != nullptr);
    BOOST_TEST(set.contains("present"));
}

BOOST_AUTO_TEST_CASE(a_grow_set_holds_the_union) {
    grow_set<int> x = grow_set<int>().add(1);
    grow_set<int> y = grow_set<int>().add(2);
    BOOST_TEST(joined(x, y).elements() == (std::vector<int>{1, 2}),
               boost::test_tools::per_element());
}

BOOST_AUTO_TEST_CASE(elements_of_another_kind_and_keys_out_of_order_are_refused) {
    add_wins_set<int> numbers =
        joined(add_wins_set<int>().add({a, 1}, 1), add_wins_set<int>().add({a, 2}, 2));
    BOOST_TEST(!add_wins::decoded(numbers.encoded()).has_value());
    BOOST_TEST(
        !add_wins_set<std::int8_t>::decoded(joined(numbers, numbers.add({a, 3}, 1'000)).encoded())
             .has_value());
    BOOST_TEST(add_wins_set<std::int8_t>::decoded(numbers.encoded()).has_value());
    BOOST_TEST(!add_wins_set<double>::decoded(numbers.encoded()).has_value());
}

BOOST_AUTO_TEST_SUITE_END()

} // namespace
} // namespace weft
