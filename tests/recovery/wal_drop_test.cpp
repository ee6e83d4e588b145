#include "tests/recovery/log_world.hpp"
#include "tests/seeds.hpp"

#include <boost/test/unit_test.hpp>

// The front of the log goes, a whole segment at a time, and never so that a crash leaves a gap.
namespace weft {
namespace {

// 30 runs of one origin, in about ten segments.
void fill(log_world& world) {
    REQUIRE_GOOD(world.open_and_start());
    for (int i = 0; i < 30; ++i) {
        REQUIRE_GOOD(world.append({world.runs.make(1, 60)}));
        world.loop.run();
    }
    REQUIRE_GOOD(world.sync());
}

version_vector up_to(std::uint64_t counter) {
    version_vector out;
    out.advance(replica_id{1}, counter);
    return out;
}

std::uint64_t number(log_index at) { return static_cast<std::uint64_t>(at); }

// What was recovered stands in the log at `at`, and is what was put there.
bool recovered_from(const log_world& world, log_index at) {
    std::size_t from = number(at);
    return from + world.recovered.size() <= world.attempted.size() &&
           std::equal(world.recovered.begin(), world.recovered.end(),
                      world.attempted.begin() + static_cast<std::ptrdiff_t>(from));
}

} // namespace

BOOST_AUTO_TEST_CASE(what_may_go_ends_where_a_segment_starts_that_everybody_saw) {
    log_world world;
    fill(world);
    auto nothing = world.log->find_cut(log_index{30}, {}, UINT64_MAX);
    BOOST_CHECK(nothing.first == log_index{0});
    BOOST_TEST(!nothing.by_limit);
    BOOST_TEST(nothing.lacked.at(replica_id{1}) > 0U);
    BOOST_CHECK(nothing.needed > log_index{20} && nothing.needed <= log_index{30});
    BOOST_TEST(nothing.held_bytes > world.log->size_bytes() / 2);
    BOOST_TEST(nothing.held_bytes < world.log->size_bytes(), "the last segment is needed");
    BOOST_TEST(nothing.going_bytes == 0U);

    auto some = world.log->find_cut(log_index{30}, up_to(14), UINT64_MAX);
    BOOST_TEST(number(some.first) > 8U);
    BOOST_TEST(number(some.first) <= 14U);
    BOOST_TEST(some.floor.at(replica_id{1}) == number(some.first), "one operation a run");
    BOOST_TEST(some.lacked.at(replica_id{1}) > 14U);
    BOOST_TEST(some.going_bytes + some.held_bytes == nothing.held_bytes);

    auto all = world.log->find_cut(log_index{20}, up_to(30), UINT64_MAX);
    BOOST_TEST(number(all.first) <= 20U);
    BOOST_TEST(number(all.first) > 15U);
    BOOST_TEST(all.lacked.empty());

    std::uint64_t half = world.log->size_bytes() / 2;
    auto forced = world.log->find_cut(log_index{30}, {}, half);
    BOOST_TEST(forced.by_limit);
    BOOST_TEST(number(forced.first) > 10U);
    BOOST_TEST(number(forced.first) < 20U, "no more than the limit asks for");
}

BOOST_AUTO_TEST_CASE(what_was_dropped_is_gone_and_the_rest_goes_on) {
    log_world world;
    fill(world);
    std::uint64_t size = world.log->size_bytes();
    (void)world.log->read(log_index{2}, 1); // has that segment open
    world.log->drop_later(log_index{20});
    world.loop.run();
    log_index first = world.log->first();
    BOOST_TEST(number(first) <= 20U);
    BOOST_TEST(number(first) > 15U);
    BOOST_TEST(world.log->floor().at(replica_id{1}) == number(first));
    BOOST_TEST(world.log->size_bytes() < size / 2);
    BOOST_TEST(!world.log->read(log_index{2}, 1).has_value());
    BOOST_TEST(world.read_all().size() == 30U - number(first));

    REQUIRE_GOOD(world.append(5));
    REQUIRE_GOOD(world.sync());
    REQUIRE_GOOD(world.log->close_clean());
    world.stop();
    world.options.from = log_index{20};
    REQUIRE_GOOD(world.open_and_start());
    BOOST_TEST(world.recovered.size() == 15U);
    BOOST_TEST(recovered_from(world, log_index{20}));
    BOOST_CHECK(world.log->first() == first);
    BOOST_TEST(world.log->floor().at(replica_id{1}) == number(first));
}

// A start that waits for space reads the log before it may write to it.
BOOST_AUTO_TEST_CASE(what_is_to_go_before_the_start_goes_after_it) {
    log_world world;
    fill(world);
    REQUIRE_GOOD(world.log->close_clean());
    world.stop();
    REQUIRE_GOOD(world.open());
    world.log->drop_later(log_index{20});
    REQUIRE_GOOD(world.log->settle());
    world.loop.run();
    BOOST_CHECK(world.log->first() == log_index{0});
    REQUIRE_GOOD(world.log->start());
    REQUIRE_GOOD(world.append(1));
    REQUIRE_GOOD(world.sync());
    world.loop.run();
    BOOST_TEST(number(world.log->first()) > 15U);
    REQUIRE_GOOD(world.log->close_clean());
    world.stop();
    world.options.from = log_index{20};
    REQUIRE_GOOD(world.open_and_start());
    BOOST_TEST(recovered_from(world, log_index{20}));
}

BOOST_AUTO_TEST_CASE(the_last_segment_stays_whatever_is_asked) {
    log_world world;
    fill(world);
    world.log->drop_later(log_index{1'000});
    world.loop.run();
    BOOST_TEST(number(world.log->first()) < 30U);
    REQUIRE_GOOD(world.append(3));
    REQUIRE_GOOD(world.sync());
    BOOST_TEST(world.read_all().size() == 33U - number(world.log->first()));
}

// Dropping while syncs are under way, each operation failing in turn, with and without power.
BOOST_AUTO_TEST_CASE(wherever_dropping_ends_no_gap_is_left) {
    random_generator random(seeds::unit);
    for (int mode = 0; mode < 4; ++mode) {
        sim_fault fault{0, errc::io_failed, mode % 2 == 1,
                        mode / 2 == 1 ? sim_operations::syncs : sim_operations::all};
        for (bool passed = false; !passed; ++fault.at) {
            for (bool power : {false, true}) {
                log_world world;
                fill(world);
                world.directory.fail(fault);
                world.log->drop_later(log_index{11});
                for (int step = 0; step < 6; ++step) {
                    if (!world.append(1)) break;
                    if (step == 1) world.sync_later();
                    if (step == 3) world.log->drop_later(log_index{20});
                    (void)world.loop.run_one();
                }
                world.loop.run();
                BOOST_TEST_INFO_SCOPE("operation " << fault.at << " of mode " << mode);
                passed = world.directory.operations() <= fault.at;
                if (passed) BOOST_TEST(number(world.log->first()) > 15U);
                world.directory.fail(std::nullopt);
                if (power) {
                    world.power_cut(random);
                } else {
                    world.kill();
                }
                world.options.from = log_index{20};
                REQUIRE_GOOD(world.open_and_start());
                BOOST_TEST(number(world.log->end()) >= world.acknowledged);
                BOOST_TEST(recovered_from(world, log_index{20}));
                BOOST_TEST(world.read_all().size() ==
                           number(world.log->end()) - number(world.log->first()));
            }
        }
        BOOST_TEST(fault.at > 3U);
    }
}

} // namespace weft
