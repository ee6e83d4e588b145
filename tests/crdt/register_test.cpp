#include "crdt/register.hpp"

#include <boost/test/unit_test.hpp>

namespace weft {
namespace {

constexpr replica_id a{1};
constexpr replica_id b{2};

using lww = lww_register<std::string>;
using mv = mv_register<std::string>;

BOOST_AUTO_TEST_SUITE(register_test)

BOOST_AUTO_TEST_CASE(deleting_the_winner_leaves_the_loser_in_whatever_order_things_arrive) {
    lww w = lww().write({a, 1}, hlc{9}, "w");
    lww l = lww().write({b, 1}, hlc{5}, "l"); // concurrent, loses by its stamp
    lww delete_w = w.remove();                // has seen w only

    BOOST_TEST(joined(w, l).read().value() == "w");
    BOOST_TEST(joined(joined(w, l), delete_w).read().value() == "l");
    BOOST_TEST(joined(joined(w, delete_w), l).read().value() == "l");
    BOOST_CHECK(joined(joined(w, l), delete_w) == joined(joined(w, delete_w), l));
}

BOOST_AUTO_TEST_CASE(a_later_write_wins_although_its_clock_is_behind) {
    lww first = lww().write({a, 1}, hlc{1'000}, "first");
    lww both = joined(first, first.write({b, 1}, hlc{1}, "second"));
    BOOST_TEST(both.read().value() == "second");
    BOOST_TEST(both.store().size() == 1U);
}

BOOST_AUTO_TEST_CASE(the_replica_id_decides_between_equal_stamps) {
    lww x = lww().write({a, 1}, hlc{5}, "of a");
    lww y = lww().write({b, 1}, hlc{5}, "of b");
    BOOST_TEST(joined(x, y).read().value() == "of b");
    BOOST_TEST(joined(y, x).read().value() == "of b");
}

BOOST_AUTO_TEST_CASE(a_register_that_was_never_written_or_was_removed_reads_as_nothing) {
    BOOST_TEST(!lww().read().has_value());
    lww written = lww().write({a, 1}, hlc{1}, "x");
    BOOST_TEST(!joined(written, written.remove()).read().has_value());
}

BOOST_AUTO_TEST_CASE(a_multi_value_register_gives_all_concurrent_values_until_one_write_saw_them) {
    mv both = joined(mv().write({a, 1}, hlc{9}, "x"), mv().write({b, 1}, hlc{5}, "y"));
    BOOST_TEST(both.read() == (std::vector<std::string>{"x", "y"}),
               boost::test_tools::per_element());
    both.join(both.write({a, 2}, hlc{10}, "settled"));
    BOOST_TEST(both.read() == std::vector<std::string>{"settled"},
               boost::test_tools::per_element());
}

BOOST_AUTO_TEST_CASE(a_write_that_was_removed_does_not_come_back_when_it_arrives_late) {
    lww w = lww().write({a, 1}, hlc{1}, "x");
    lww removed = w.remove();
    BOOST_TEST(!joined(removed, w).read().has_value());
}

BOOST_AUTO_TEST_SUITE_END()

} // namespace
} // namespace weft
