#include "tests/recovery/log_world.hpp"
#include "tests/seeds.hpp"

#include <boost/test/data/test_case.hpp>
#include <boost/test/unit_test.hpp>

namespace weft {
namespace {

// A life of a log with everything that touches the disk. Ends at the first error but for a full
// disk, which is tried again once.
result<void> live(log_world& world) {
    if (auto opened = world.open_and_start(); !opened) return opened;
    for (std::size_t step = 0; step < 12; ++step) {
        std::vector<shared_bytes> batch{world.runs.make(), world.runs.make(2, 60)};
        auto appended = world.append(batch);
        if (!appended && appended.error().code == errc::disk_full) appended = world.append(batch);
        if (!appended) return appended;
        if (step % 3 == 0) world.sync_later();
        if (step % 3 == 2) world.loop.run();
    }
    return world.log->close_clean();
}

} // namespace

BOOST_AUTO_TEST_CASE(whatever_operation_fails_nothing_acknowledged_is_lost) {
    random_generator random(seeds::unit);
    for (auto code : {errc::io_failed, errc::disk_full}) {
        for (int mode = 0; mode < 4; ++mode) {
            sim_fault fault{0, code, mode % 2 == 1,
                            mode / 2 == 1 ? sim_operations::syncs : sim_operations::all};
            for (bool passed = false; !passed; ++fault.at) {
                for (bool power : {false, true}) {
                    log_world world;
                    world.directory.fail(fault);
                    auto outcome = live(world);
                    BOOST_TEST_INFO_SCOPE("operation " << fault.at << " of mode " << mode << ", "
                                                       << to_string(code));
                    passed = world.directory.operations() <= fault.at;
                    if (passed) REQUIRE_GOOD(outcome);
                    world.directory.fail(std::nullopt);
                    if (power) {
                        world.power_cut(random);
                    } else {
                        world.kill();
                    }

                    REQUIRE_GOOD(world.open_and_start());
                    BOOST_TEST(world.recovered.size() >= world.acknowledged);
                    BOOST_TEST(world.recovered_a_prefix());
                    bool clean = world.log->report().clean; // also if only the mark's sync failed
                    BOOST_TEST((clean || !outcome));
                    if (clean) BOOST_CHECK(world.recovered == world.attempted);
                    auto expected = world.recovered;
                    auto more = run_maker().make(9);
                    REQUIRE_GOOD(world.log->append(std::vector{more}));
                    expected.emplace_back(more.view.begin(), more.view.end());
                    REQUIRE_GOOD(world.log->close_clean());
                    world.stop();
                    REQUIRE_GOOD(world.open());
                    BOOST_CHECK(world.recovered == expected);
                    BOOST_TEST(world.log->report().clean);
                }
            }
            BOOST_TEST(fault.at > 5U);
        }
    }
}

// Several lives on one disk, each ended by a power cut or a kill at any moment: what was
// acknowledged was recovered, what was recovered was attempted, and no power cut looks like damage.
BOOST_DATA_TEST_CASE(what_comes_back_is_between_acknowledged_and_attempted, seeds::ci, seed) {
    random_generator random(seed);
    log_world world;
    world.options.segment_bytes_target = 200 + random.below(2'000);
    bool syncs = random.chance(0.8); // else like the sync policy `none`
    for (int life = 0; life < 6; ++life) {
        REQUIRE_GOOD(world.open());
        BOOST_TEST(world.recovered.size() >= world.acknowledged);
        BOOST_TEST(world.recovered_a_prefix());
        BOOST_CHECK(world.read_all() == world.recovered);
        world.attempted = world.recovered;
        if (random.chance(0.1)) continue; // only looked
        bool crash_in_start = random.chance(0.1);
        if (crash_in_start)
            world.directory.fail(sim_fault{random.below(12), errc::io_failed, true});
        auto started = world.log->start();
        world.directory.fail(std::nullopt);
        bool syncing = false;
        run_maker runs; // the log does not mind that they start over
        for (std::uint64_t step = random.below(40); started && step > 0; --step) {
            if (random.chance(0.7)) {
                std::vector<shared_bytes> batch;
                for (std::uint64_t n = random.below(4); n > 0; --n) {
                    batch.push_back(runs.make(1 + random.below(3),
                                              static_cast<std::size_t>(random.below(200))));
                }
                REQUIRE_GOOD(world.append(batch));
            } else if (syncs && !syncing) {
                syncing = true;
                world.log->sync_later([&](result<log_index> durable) {
                    syncing = false;
                    BOOST_REQUIRE(durable.has_value());
                    world.acknowledged = static_cast<std::size_t>(*durable);
                });
            } else {
                (void)world.loop.run_one();
            }
            auto durable = static_cast<std::size_t>(world.log->durable_end());
            BOOST_TEST(durable >= world.acknowledged);
            world.acknowledged = durable;
        }
        if (random.chance(0.7)) {
            world.power_cut(random);
        } else {
            if (started && random.chance(0.3)) {
                REQUIRE_GOOD(world.log->close_clean());
                world.acknowledged = world.attempted.size();
            }
            world.kill();
        }
    }
}

} // namespace weft
