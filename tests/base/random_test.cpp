#include "base/random.hpp"
#include "tests/seeds.hpp"

#include <boost/test/unit_test.hpp>

#include <array>
#include <cstdint>

namespace weft {
namespace {

BOOST_AUTO_TEST_SUITE(random_test)

// Computed from the authors' description: SplitMix64 fills the state, xoshiro256** draws.
BOOST_AUTO_TEST_CASE(a_seed_gives_the_same_numbers_on_every_machine) {
    random_generator draw(1);
    for (std::uint64_t number : {0xB3F2AF6D0FC710C5U, 0x853B559647364CEAU, 0x92F89756082A4514U,
                                 0x642E1C7BC266A3A7U, 0xB27A48E29A233673U}) {
        BOOST_TEST(draw.next() == number);
    }
}

BOOST_AUTO_TEST_CASE(draws_stay_in_their_range_and_reach_its_ends) {
    random_generator draw(seeds::unit);
    std::array<int, 6> seen{};
    for (int i = 0; i < 1'000; ++i) {
        ++seen[draw.below(6)];
        std::int64_t number = draw.between(-3, 2);
        BOOST_REQUIRE((number >= -3 && number <= 2));
        ++seen[static_cast<std::size_t>(number + 3)];
    }
    for (int times : seen) BOOST_TEST((times > 200 && times < 500), times);
    BOOST_TEST(draw.below(1) == 0U);
    BOOST_TEST(draw.between(7, 7) == 7);
}

BOOST_AUTO_TEST_CASE(the_whole_range_of_64_bits_can_be_drawn) {
    random_generator draw(seeds::unit);
    bool negative = false;
    bool positive = false;
    for (int i = 0; i < 100; ++i) {
        std::int64_t number = draw.between(INT64_MIN, INT64_MAX);
        negative |= number < 0;
        positive |= number > 0;
    }
    BOOST_TEST((negative && positive));
    BOOST_TEST(draw.below(UINT64_MAX) < UINT64_MAX);
}

BOOST_AUTO_TEST_CASE(a_chance_comes_as_often_as_it_says) {
    random_generator draw(seeds::unit);
    int quarter = 0;
    for (int i = 0; i < 10'000; ++i) {
        BOOST_REQUIRE(!draw.chance(0));
        BOOST_REQUIRE(draw.chance(1));
        quarter += draw.chance(0.25) ? 1 : 0;
    }
    BOOST_TEST((quarter > 2'300 && quarter < 2'700), quarter);
}

BOOST_AUTO_TEST_CASE(a_fork_does_not_follow_its_parent) {
    random_generator parent(seeds::unit);
    random_generator child = parent.fork();
    int same = 0;
    for (int i = 0; i < 100; ++i) same += parent.next() == child.next() ? 1 : 0;
    BOOST_TEST(same == 0);
}

BOOST_AUTO_TEST_SUITE_END()

} // namespace
} // namespace weft
