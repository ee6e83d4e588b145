#include "clock/system_time.hpp"

#include <boost/test/unit_test.hpp>

namespace weft {
namespace {

BOOST_AUTO_TEST_SUITE(system_time_test)

BOOST_AUTO_TEST_CASE(the_monotonic_clock_does_not_go_back) {
    system_time time;
    instant last = time.now();
    for (int i = 0; i < 1'000; ++i) {
        instant reading = time.now();
        BOOST_REQUIRE((reading >= last));
        last = reading;
    }
}

BOOST_AUTO_TEST_CASE(the_wall_clock_counts_unix_milliseconds) {
    system_time time;
    BOOST_TEST(time.wall_ms() > 1'600'000'000'000U); // after 2020
    BOOST_TEST(time.wall_ms() < 1ULL << 48U);        // fits a stamp
}

BOOST_AUTO_TEST_CASE(instants_add_and_subtract_in_milliseconds) {
    instant start{1'000'000};
    BOOST_TEST(start.after_ms(250).ms_since(start) == 250);
    BOOST_TEST((start < start.after_ms(1)));
    BOOST_TEST((start.after_ms(1'000'000'000) < instant::never()));
}

BOOST_AUTO_TEST_CASE(two_random_numbers_differ) {
    system_random random;
    BOOST_TEST(random.draw() != random.draw());
}

BOOST_AUTO_TEST_SUITE_END()

} // namespace
} // namespace weft
