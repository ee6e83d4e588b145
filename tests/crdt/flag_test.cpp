#include "crdt/flag.hpp"

#include <boost/test/unit_test.hpp>

namespace weft {
namespace {

constexpr replica_id a{1};
constexpr replica_id b{2};

template <class Flag>
Flag concurrently_on_and_off() {
    Flag first = Flag().enable({a, 1});
    return joined(joined(first, first.enable({a, 2})), first.disable({b, 1}));
}

BOOST_AUTO_TEST_SUITE(flag_test)

BOOST_AUTO_TEST_CASE(a_concurrent_enable_and_disable_go_as_the_name_says) {
    BOOST_TEST(concurrently_on_and_off<enable_wins_flag>().enabled());
    BOOST_TEST(!concurrently_on_and_off<disable_wins_flag>().enabled());
}

BOOST_AUTO_TEST_CASE(a_later_disable_turns_both_off_and_a_later_enable_both_on) {
    auto enable_wins = concurrently_on_and_off<enable_wins_flag>();
    auto disable_wins = concurrently_on_and_off<disable_wins_flag>();
    BOOST_TEST(!joined(enable_wins, enable_wins.disable({b, 2})).enabled());
    BOOST_TEST(joined(disable_wins, disable_wins.enable({b, 2})).enabled());
}

BOOST_AUTO_TEST_CASE(a_flag_never_set_or_cleared_is_off) {
    BOOST_TEST(!enable_wins_flag().enabled());
    BOOST_TEST(!disable_wins_flag().enabled());
    auto flag = concurrently_on_and_off<enable_wins_flag>();
    flag.join(flag.clear());
    BOOST_TEST(!flag.enabled());
    BOOST_TEST(flag.store().empty());
}

BOOST_AUTO_TEST_SUITE_END()

} // namespace
} // namespace weft
