#include "crdt/counter.hpp"
#include "crdt/grow.hpp"
#include "crdt/map.hpp"

#include <boost/test/unit_test.hpp>

#include <limits>

namespace weft {
namespace {

constexpr replica_id a{1};
constexpr replica_id b{2};
constexpr auto lowest = std::numeric_limits<std::int64_t>::min();
constexpr auto highest = std::numeric_limits<std::int64_t>::max();

BOOST_AUTO_TEST_SUITE(counter_test)

BOOST_AUTO_TEST_CASE(a_reset_takes_back_what_it_saw_and_concurrent_increments_survive_whole) {
    counter base = counter().increment({a, 1}, 5);
    base.join(base.increment({b, 1}, 7));
    counter reset = base.reset();
    counter more = base.increment({a, 2}, 10); // has not seen the reset, nor the reset it
    BOOST_TEST(joined(joined(base, reset), more).read() == 10);
    BOOST_TEST(joined(joined(base, more), reset).read() == 10);
}

BOOST_AUTO_TEST_CASE(two_concurrent_resets_take_back_an_increment_once) {
    counter base = counter().increment({a, 1}, 5);
    counter first = base.reset();
    counter grown = joined(base, base.increment({a, 2}, 3));
    counter second = grown.reset();
    BOOST_TEST(joined(joined(grown, first), second).read() == 0);
    BOOST_TEST(joined(joined(grown, second), first).read() == 0);
}

BOOST_AUTO_TEST_CASE(a_counter_counts_on_after_a_reset) {
    counter c = counter().increment({a, 1}, 5);
    c.join(c.reset());
    BOOST_TEST(c.read() == 0);
    BOOST_TEST(!c.store().live());
    c.join(c.increment({a, 2}, 2));
    BOOST_TEST(c.read() == 2);
    c.join(c.reset());
    BOOST_TEST(c.read() == 0);
}

BOOST_AUTO_TEST_CASE(
    an_embedded_counter_removed_and_made_again_does_not_bring_old_increments_back) {
    // The anomaly of Baquero et al. 2016: one replica removes the field and counts anew while
    // another goes on counting. Each increment counts once, and none that was removed returns.
    map base = map().increment({a, 1}, "visits", 4);
    map at_a = joined(base, base.remove("visits"));
    at_a.join(at_a.increment({a, 2}, "visits", 1));
    map at_b = joined(base, base.increment({b, 1}, "visits", 2));
    BOOST_TEST(at_a.count("visits") == 1);
    BOOST_TEST(at_b.count("visits") == 6);
    BOOST_TEST(joined(at_a, at_b).count("visits") == 3);
    BOOST_TEST(joined(at_b, at_a).count("visits") == 3);
}

BOOST_AUTO_TEST_CASE(readings_saturate_and_writers_can_ask_first) {
    counter c = counter().increment({a, 1}, highest);
    BOOST_TEST(c.store().would_overflow(a, 1));
    BOOST_TEST(!c.store().would_overflow(b, 1));
    BOOST_TEST(!c.store().would_overflow(a, -1));
    BOOST_TEST(joined(c, c.increment({b, 1}, highest)).read() == highest);
    counter down = counter().increment({a, 1}, lowest);
    BOOST_TEST(joined(down, down.increment({b, 1}, lowest)).read() == lowest);
}

BOOST_AUTO_TEST_CASE(decrementing_by_the_lowest_number_is_defined) {
    counter c = counter().increment({a, 1}, -1);
    c.join(c.decrement({a, 2}, lowest));
    BOOST_TEST(c.read() == highest);
}

BOOST_AUTO_TEST_CASE(a_sum_without_its_operation_is_refused) {
    byte_writer out;
    out.u8(1);     // format
    out.varint(0); // context: vector
    out.varint(0); // and cloud
    out.varint(1); // one row
    out.u64(1);
    out.varint(0);
    out.zigzag(7); // a sum of no operation
    out.varint(1);
    out.zigzag(3);
    BOOST_TEST(!counter::decoded(out.view()).has_value());
}

BOOST_AUTO_TEST_CASE(a_grow_counter_adds_up_and_saturates) {
    grow_counter c = grow_counter().increment(a, 3);
    c.join(c.increment(a, 4));
    c.join(grow_counter().increment(b, 5));
    BOOST_TEST(c.read() == 12U);
    c.join(c.increment(a, UINT64_MAX));
    BOOST_TEST(c.read() == UINT64_MAX);
}

BOOST_AUTO_TEST_SUITE_END()

} // namespace
} // namespace weft
