#include "transport/arrivals.hpp"

#include <boost/test/unit_test.hpp>

#include <array>

using namespace weft;

namespace {

constexpr std::size_t mib = 1U << 20U;
constexpr std::size_t step = 256U << 10U;
// Of the share, the rest is what every link may hold all the same.
constexpr std::size_t full = limits::buffer_share(limits::buffer_bytes_min) -
                             limits::peers_max * limits::link_arriving_bytes_min;

struct scene {
    arrivals all;
    instant now{1'000'000'000};

    scene() { all.set_limit(limits::buffer_share(limits::buffer_bytes_min)); }
    void takes(arrivals::part& of, std::size_t more, std::size_t frame_bytes) {
        all.arrived(of, of.bytes + more, frame_bytes, false, now);
    }
};

} // namespace

BOOST_AUTO_TEST_SUITE(arriving)

BOOST_AUTO_TEST_CASE(at_the_bound_one_large_frame_goes_on_and_small_ones_do) {
    scene s;
    std::array<arrivals::part, 3> large;
    while (s.all.bytes() < full) s.takes(large[0], step, 20 * mib);
    s.takes(large[1], step, 20 * mib);
    BOOST_TEST(s.all.room(large[0], step, s.now) == step, "it is the one");
    BOOST_TEST(s.all.room(large[1], step, s.now) == 0U);
    // A heartbeat finds its way, and so does the beginning of a third large frame, but no more.
    BOOST_TEST(s.all.room(large[2], step, s.now) == limits::link_arriving_bytes_min);
    s.takes(large[2], limits::link_arriving_bytes_min, 20 * mib);
    BOOST_TEST(s.all.room(large[2], step, s.now) == 0U);
    // When it is whole the next may go on.
    s.all.arrived(large[0], 0, 8, true, s.now);
    BOOST_TEST(s.all.room(large[1], step, s.now) == step);
    for (auto& one : large) s.all.forget(one);
    BOOST_TEST(s.all.bytes() == 0U);
}

BOOST_AUTO_TEST_CASE(who_dribbles_while_others_wait_is_given_up) {
    scene s;
    arrivals::part dribbles;
    arrivals::part waits;
    while (s.all.bytes() < full) s.takes(dribbles, step, 20 * mib);
    s.takes(waits, step, 20 * mib);
    BOOST_TEST(s.all.room(dribbles, step, s.now) > 0U);
    for (int ms = 0; ms < static_cast<int>(limits::favored_ms_max); ms += 1'000) {
        BOOST_TEST(s.all.room(waits, step, s.now) == 0U);
        s.takes(dribbles, 1, 20 * mib);
        BOOST_TEST(!s.all.overdue(dribbles, s.now).has_value());
        s.now = s.now.after_ms(1'000);
    }
    BOOST_TEST(s.all.overdue(dribbles, s.now).value_or("").find("others waited") !=
               std::string::npos);
    s.all.forget(dribbles);
    BOOST_TEST(s.all.room(waits, step, s.now) == step);
    BOOST_TEST(!s.all.overdue(waits, s.now).has_value());
}

BOOST_AUTO_TEST_CASE(a_frame_has_a_deadline_by_its_size_in_which_waiting_does_not_count) {
    scene s;
    for (std::size_t size : {std::size_t{100}, 20 * mib}) {
        arrivals::part one;
        s.takes(one, 9, size);
        instant due = s.now.after_ms(limits::frame_ms_max(size));
        BOOST_TEST(!s.all.overdue(one, due.after_ms(-1)).has_value());
        BOOST_TEST(s.all.overdue(one, due).has_value());
        s.all.arrived(one, 9, size, true, due); // the next has a time of its own
        BOOST_TEST(!s.all.overdue(one, due).has_value());
        s.all.forget(one);
    }
    BOOST_TEST(limits::frame_ms_max(20 * mib) == 30'000 + 640'000);

    arrivals::part favored;
    arrivals::part waits;
    s.takes(waits, step, step + 1);
    instant begun = s.now;
    while (s.all.bytes() < full) s.takes(favored, step, 20 * mib);
    BOOST_TEST(s.all.room(favored, step, s.now) == step);
    BOOST_TEST(s.all.room(waits, step, s.now) == 0U);
    s.now = begun.after_ms(limits::frame_ms_max(step + 1));
    s.all.forget(favored);
    BOOST_TEST(s.all.room(waits, step, s.now) == step);
    BOOST_TEST(!s.all.overdue(waits, s.now).has_value());
}

BOOST_AUTO_TEST_SUITE_END()
