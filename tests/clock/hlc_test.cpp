#include "base/limits.hpp"
#include "base/random.hpp"
#include "clock/hlc.hpp"
#include "tests/seeds.hpp"

#include <boost/test/unit_test.hpp>

namespace weft {
namespace {

constexpr std::uint64_t noon_ms = 1'795'387'200'000;

BOOST_AUTO_TEST_SUITE(hlc_test)

BOOST_AUTO_TEST_CASE(a_stamp_prints_as_utc_with_its_logical_counter) {
    hlc stamp{hlc::at_ms(951'827'696'789).raw + 7};
    BOOST_TEST(to_string(stamp) == "2000-02-29T12:34:56.789Z+7");
    BOOST_TEST(to_string(hlc{}) == "1970-01-01T00:00:00.000Z+0");
}

BOOST_AUTO_TEST_CASE(stamps_follow_the_wall_clock_while_it_moves) {
    hybrid_clock clock;
    BOOST_TEST((clock.stamp(noon_ms) == hlc::at_ms(noon_ms)));
    BOOST_TEST((clock.stamp(noon_ms + 5) == hlc::at_ms(noon_ms + 5)));
}

BOOST_AUTO_TEST_CASE(stamps_count_up_while_the_wall_clock_stands_or_goes_back) {
    hybrid_clock clock;
    hlc first = clock.stamp(noon_ms);
    BOOST_TEST(clock.stamp(noon_ms).raw == first.raw + 1);
    BOOST_TEST(clock.stamp(noon_ms - 60'000).raw == first.raw + 2);
}

BOOST_AUTO_TEST_CASE(a_full_logical_counter_carries_into_the_milliseconds) {
    hybrid_clock clock;
    hlc stamp = clock.stamp(noon_ms);
    for (int i = 0; i < 65'535; ++i) stamp = clock.stamp(noon_ms);
    BOOST_TEST(stamp.logical() == 65'535);
    stamp = clock.stamp(noon_ms);
    BOOST_TEST(stamp.ms() == noon_ms + 1);
    BOOST_TEST(stamp.logical() == 0);
}

BOOST_AUTO_TEST_CASE(a_stamp_is_above_all_that_was_observed) {
    hybrid_clock clock;
    BOOST_TEST(clock.observe(hlc::at_ms(noon_ms + 1'000), noon_ms));
    BOOST_TEST((clock.stamp(noon_ms) > hlc::at_ms(noon_ms + 1'000)));
    hlc last = clock.last();
    BOOST_TEST(clock.observe(hlc::at_ms(noon_ms), noon_ms)); // an old one moves nothing
    BOOST_TEST((clock.last() == last));
}

BOOST_AUTO_TEST_CASE(a_clock_too_far_ahead_does_not_move_ours) {
    hybrid_clock clock;
    hlc ours = clock.stamp(noon_ms);
    BOOST_TEST(!clock.observe(hlc::at_ms(noon_ms + limits::clock_drift_ms_max + 1), noon_ms));
    BOOST_TEST(!clock.observe(hlc{UINT64_MAX}, noon_ms));
    BOOST_TEST((clock.last() == ours));
    BOOST_TEST(clock.observe(hlc::at_ms(noon_ms + limits::clock_drift_ms_max), noon_ms));
}

BOOST_AUTO_TEST_CASE(a_clock_told_to_advance_follows_however_far) {
    hybrid_clock clock;
    (void)clock.stamp(noon_ms);
    hlc far = hlc::at_ms(noon_ms + 10 * limits::clock_drift_ms_max);
    clock.advance_to(far);
    BOOST_TEST(clock.stamp(noon_ms).raw == far.raw + 1);
    clock.advance_to(hlc{});
    BOOST_TEST(clock.stamp(noon_ms).raw == far.raw + 2);
}

BOOST_AUTO_TEST_CASE(a_distrusted_wall_clock_is_not_used) {
    hybrid_clock clock;
    hlc before = clock.stamp(noon_ms);
    clock.distrust_wall(true);
    BOOST_TEST(clock.stamp(noon_ms + 3'600'000).raw == before.raw + 1);
    clock.distrust_wall(false);
    BOOST_TEST((clock.stamp(noon_ms + 10) == hlc::at_ms(noon_ms + 10)));
}

BOOST_AUTO_TEST_CASE(a_ceiling_is_asked_for_ahead_of_use) {
    hybrid_clock clock;
    BOOST_TEST((clock.ceiling_needed() == hlc{}));
    hlc stamp = clock.stamp(noon_ms);
    hlc ceiling = clock.ceiling_needed();
    BOOST_TEST((ceiling == hlc::at_ms(noon_ms + limits::clock_ceiling_ms)));
    BOOST_TEST((ceiling > stamp));
    clock.ceiling_persisted(ceiling);
    BOOST_TEST((clock.ceiling_needed() == hlc{}));
    std::uint64_t soon_ms = noon_ms + limits::clock_ceiling_ms - limits::clock_ceiling_left_ms;
    (void)clock.stamp(soon_ms);
    BOOST_TEST((clock.ceiling_needed() == hlc{}));
    BOOST_TEST((clock.stamp(soon_ms + 1) < ceiling));
    BOOST_TEST((clock.ceiling_needed() > ceiling));
}

BOOST_AUTO_TEST_CASE(a_restarted_clock_stamps_above_everything_before) {
    hybrid_clock before;
    hlc ceiling;
    hlc last;
    for (std::uint64_t ms = 0; ms < 20'000; ms += 700) {
        last = before.stamp(noon_ms + ms);
        if (before.ceiling_needed() > ceiling) {
            ceiling = before.ceiling_needed();
            before.ceiling_persisted(ceiling);
        }
    }
    hybrid_clock after(ceiling);
    BOOST_TEST((after.stamp(noon_ms - 1'000'000) > last)); // its wall clock went back
}

BOOST_AUTO_TEST_CASE(stamps_only_grow_and_stay_within_the_drift_bound) {
    random_generator draw(seeds::unit);
    hybrid_clock clock;
    std::uint64_t wall_ms = noon_ms;
    hlc last;
    for (int step = 0; step < 100'000; ++step) {
        wall_ms += draw.below(3);
        if (draw.chance(0.3)) {
            (void)clock.observe(hlc{hlc::at_ms(wall_ms).raw + draw.below(10'000'000'000)}, wall_ms);
        }
        hlc stamp = clock.stamp(wall_ms);
        BOOST_REQUIRE((stamp > last));
        BOOST_REQUIRE((stamp >= hlc::at_ms(wall_ms)));
        // One more where a full logical counter carries.
        BOOST_REQUIRE(stamp.ms() <= wall_ms + limits::clock_drift_ms_max + 1);
        last = stamp;
    }
}

BOOST_AUTO_TEST_SUITE_END()

} // namespace
} // namespace weft
