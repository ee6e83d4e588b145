#include "crdt/bounded_counter.hpp"

#include <boost/test/unit_test.hpp>

#include <limits>

namespace weft {
namespace {

constexpr replica_id a{1};
constexpr replica_id b{2};
constexpr bounded_spec stock{a, 0, 10, false};

struct two_replicas {
    bounded_counter at_a = bounded_counter::create({a, 1}, stock);
    bounded_counter at_b = at_a;
};

BOOST_AUTO_TEST_SUITE(bounded_counter_test)

BOOST_FIXTURE_TEST_CASE(partitioned_replicas_together_never_spend_more_than_there_is,
                        two_replicas) {
    at_a.join(at_a.transfer({a, 2}, b, 4).value());
    at_b.join(at_a);
    // From here on they do not hear of each other.
    at_a.join(at_a.decrement({a, 3}, 6).value());
    at_b.join(at_b.decrement({b, 1}, 4).value());
    BOOST_TEST(!at_a.decrement({a, 4}, 1).has_value());
    BOOST_TEST(!at_b.decrement({b, 2}, 1).has_value());
    BOOST_TEST(at_a.read() == 4);
    BOOST_TEST(at_b.read() == 6);
    at_a.join(at_b);
    BOOST_TEST(at_a.read() == 0);
}

BOOST_FIXTURE_TEST_CASE(a_refusal_says_who_has_the_rights, two_replicas) {
    auto refused = at_b.decrement({b, 1}, 1);
    BOOST_REQUIRE(!refused.has_value());
    BOOST_CHECK(refused.error().code == errc::bound_exceeded);
    BOOST_TEST(refused.error().detail.find(to_string(a) + " has 10") != std::string::npos);
    BOOST_TEST(at_b.read() == 10);
}

BOOST_FIXTURE_TEST_CASE(moving_away_from_the_bound_makes_rights_where_it_happens, two_replicas) {
    at_b.join(at_b.increment({b, 1}, 3).value());
    BOOST_TEST(at_b.rights_of(b) == 3U);
    BOOST_TEST(at_b.decrement({b, 2}, 3).has_value());
    BOOST_TEST(!at_b.decrement({b, 2}, 4).has_value());
}

BOOST_FIXTURE_TEST_CASE(rights_that_were_sent_are_gone_at_once_and_usable_once_they_arrive,
                        two_replicas) {
    auto sent = at_a.transfer({a, 2}, b, 10).value();
    at_a.join(sent);
    BOOST_TEST(at_a.rights_of(a) == 0U);
    BOOST_TEST(at_b.rights_of(b) == 0U);
    at_b.join(sent);
    BOOST_TEST(at_b.rights_of(b) == 10U);
    BOOST_TEST(!at_a.transfer({a, 3}, b, 1).has_value());
    BOOST_TEST(!at_b.transfer({b, 1}, a, 0).has_value());
}

BOOST_AUTO_TEST_CASE(an_upper_bound_works_the_other_way_round) {
    bounded_counter seats = bounded_counter::create({a, 1}, {a, 5, 3, true});
    BOOST_TEST(!seats.increment({a, 2}, 3).has_value());
    seats.join(seats.increment({a, 2}, 2).value());
    BOOST_TEST(seats.read() == 5);
    seats.join(seats.decrement({a, 3}, 4).value());
    BOOST_TEST(seats.rights_of(a) == 4U);
}

BOOST_AUTO_TEST_CASE(two_bounds_for_one_counter_are_two_counters_and_all_replicas_read_the_same) {
    bounded_counter x = bounded_counter::create({a, 1}, {a, 0, 10, false});
    bounded_counter y = bounded_counter::create({b, 1}, {b, 5, 10, false});
    bounded_counter both = joined(x, y);
    BOOST_TEST(both.store().instances().size() == 2U);
    BOOST_CHECK(both == joined(y, x));
    BOOST_CHECK(both.store().chosen()->spec == x.store().chosen()->spec);
}

BOOST_AUTO_TEST_CASE(a_counter_that_was_never_created_refuses_everything) {
    bounded_counter none;
    BOOST_TEST(none.read() == 0);
    BOOST_CHECK(none.increment({a, 1}, 1).error().code == errc::not_found);
    BOOST_CHECK(none.decrement({a, 1}, 1).error().code == errc::not_found);
    BOOST_CHECK(none.transfer({a, 1}, b, 1).error().code == errc::not_found);
}

BOOST_AUTO_TEST_CASE(a_value_never_leaves_64_bits_nor_a_counter_its_range) {
    constexpr auto top = std::numeric_limits<std::int64_t>::max();
    bounded_counter high = bounded_counter::create({a, 1}, {a, top - 5, top - 2, false});
    BOOST_CHECK(high.increment({a, 2}, 3).error().code == errc::over_limit);
    BOOST_CHECK(high.decrement({a, 2}, INT64_MIN).error().code == errc::over_limit);
    // Concurrent moves away from the bound may pass the end of 64 bits together: it saturates.
    bounded_counter both = joined(high, high.increment({a, 2}, 2).value());
    both.join(high.increment({b, 1}, 2).value());
    BOOST_TEST(both.read() == top);
    BOOST_TEST(!(bounded_spec{a, INT64_MIN, top, false}.valid()));
    BOOST_TEST(!(bounded_spec{a, 1, 0, false}.valid()));
    BOOST_TEST((bounded_spec{a, 0, std::int64_t{1} << 62U, false}.valid()));
}

BOOST_AUTO_TEST_SUITE_END()

} // namespace
} // namespace weft
