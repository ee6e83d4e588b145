#include "tests/sim/shrink.hpp"
#include "tests/sim/world.hpp"

#include <boost/test/unit_test.hpp>

#include <algorithm>

using namespace weft::sim;

BOOST_AUTO_TEST_SUITE(shrinking)

BOOST_AUTO_TEST_CASE(a_list_of_events_is_read_as_it_is_told) {
    using set = std::set<std::size_t>;
    BOOST_TEST((parse_events("3,7-9") == set{3, 7, 8, 9}));
    BOOST_TEST((parse_events("none") == set{}));
    for (const char* wrong : {"", "3,", "9-7", "-", "x", "1,,2", "4294967296000"}) {
        BOOST_TEST(!parse_events(wrong).has_value(), wrong);
    }
    BOOST_TEST(tell_events({3, 7, 8, 9, 11}) == "3,7-9,11");
    BOOST_TEST(tell_events({}) == "none");
}

BOOST_AUTO_TEST_CASE(what_is_left_out_changes_nothing_of_the_rest) {
    scenario whole = scenario::draw({.seed = 5});
    BOOST_REQUIRE(whole.events.size() > 5);
    scenario part = scenario::draw({.seed = 5, .events = std::set<std::size_t>{2, 5}});
    BOOST_REQUIRE(part.events.size() == 2U);
    BOOST_TEST(part.events[1].number == 5U);
    BOOST_TEST(part.events[1].at_ms == whole.events[4].at_ms);
    BOOST_TEST(part.events[1].seed == whole.events[4].seed);
    scenario shorter = scenario::draw({.seed = 5, .replicas = 2, .fault_ms = 300});
    for (std::size_t i = 0; i < shorter.events.size(); ++i) {
        BOOST_TEST(shorter.events[i].seed == whole.events[i].seed);
    }
}

BOOST_AUTO_TEST_CASE(a_failure_shrinks_to_what_it_takes) {
    std::size_t tries = 0;
    auto fails = [&tries](const world_options& options) {
        ++tries;
        return options.replicas >= 3 && options.events->contains(2) && options.events->contains(7);
    };
    world_options least = shrink({.seed = 5}, fails);
    BOOST_TEST(tell_events(*least.events) == "2,7");
    BOOST_TEST(least.replicas == 3U);
    BOOST_TEST(tries < 100U);
    BOOST_TEST(command_line(least).starts_with("5 --replicas 3 --ms "));
    BOOST_TEST(command_line(least).ends_with(" --events 2,7"));
}

// A bug that is planted in the disk: it says that it synced and did not, so what takes the unsynced away
// takes what was promised. Which world fails first changes with the code, so what is left of it is not
// named here: it fails, it can lose nothing more, and it has a fault that stops a replica.
BOOST_AUTO_TEST_CASE(disks_that_lie_shrink_to_what_it_takes) {
    auto fails = [](const world_options& options) {
        world one(options);
        one.run();
        return !one.converged();
    };
    world_options failing{.seed = 1, .disks_lie = true};
    while (!fails(failing)) BOOST_REQUIRE(++failing.seed < 20);
    scenario whole = scenario::draw(failing);
    world_options least = shrink(failing, fails, 200);
    BOOST_TEST(fails(least));
    scenario left = scenario::draw(least);
    BOOST_REQUIRE(!left.events.empty());
    BOOST_TEST(left.events.size() < whole.events.size());
    for (const fault_event& event : left.events) {
        world_options smaller = least;
        smaller.events->erase(event.number);
        BOOST_TEST(!fails(smaller), "fails without fault " << event.number << " too");
    }
    BOOST_TEST(std::any_of(left.events.begin(), left.events.end(), [](const fault_event& event) {
        return event.kind == fault_kind::power_cut || event.kind == fault_kind::cut_at_news ||
               event.kind == fault_kind::io_error || event.kind == fault_kind::sync_fails;
    }));
}

BOOST_AUTO_TEST_SUITE_END()
