#include "recovery/posix_disk.hpp"
#include "recovery/wal.hpp"
#include "tests/recovery/log_world.hpp"
#include "tests/recovery/temporary_directory.hpp"
#include "tests/seeds.hpp"

#include <boost/test/unit_test.hpp>
#include <rapidcheck.h>

namespace weft {

BOOST_AUTO_TEST_CASE(a_new_log_is_empty_and_durable) {
    log_world world;
    REQUIRE_GOOD(world.open());
    BOOST_TEST(!world.log->report().exists);
    REQUIRE_GOOD(world.log->start());
    BOOST_CHECK(world.log->end() == log_index{0});
    BOOST_CHECK(world.log->durable_end() == log_index{0});
    BOOST_TEST(world.read_all().empty());
    random_generator random(seeds::unit);
    world.power_cut(random);
    REQUIRE_GOOD(world.open());
    BOOST_TEST(world.log->report().exists);
    BOOST_TEST(!world.log->report().cut.has_value());
}

BOOST_AUTO_TEST_CASE(runs_come_back_as_they_went_in_over_many_segments) {
    log_world world;
    REQUIRE_GOOD(world.open_and_start());
    for (std::size_t i = 0; i < 40; ++i) REQUIRE_GOOD(world.append(1 + i % 3));
    BOOST_TEST(world.directory.names().size() > 5U);
    BOOST_CHECK(world.read_all() == world.attempted);
    REQUIRE_GOOD(world.log->close_clean());
    world.stop();
    REQUIRE_GOOD(world.open());
    BOOST_CHECK(world.recovered == world.attempted);
    BOOST_CHECK(world.read_all() == world.attempted);
    BOOST_TEST(world.log->report().clean);
    BOOST_TEST(world.log->report().runs == world.attempted.size());
    std::uint64_t on_disk = 0;
    for (const auto& name : world.directory.names()) {
        on_disk += world.directory.contents(name).size();
    }
    BOOST_TEST(world.log->size_bytes() == on_disk);
    BOOST_TEST(world.log->report().bytes == on_disk);
}

BOOST_AUTO_TEST_CASE(a_stop_is_clean_until_the_log_is_started_again) {
    log_world world;
    REQUIRE_GOOD(world.open_and_start());
    REQUIRE_GOOD(world.append());
    REQUIRE_GOOD(world.log->close_clean());
    BOOST_TEST(world.log->append({}).error().detail.find("closed") != std::string::npos);
    for (int i = 0; i < 2; ++i) { // looking changes nothing
        world.stop();
        REQUIRE_GOOD(world.open());
        BOOST_TEST(world.log->report().clean);
    }
    REQUIRE_GOOD(world.log->start());
    random_generator random(seeds::unit);
    world.power_cut(random); // nothing was appended, but it might have been sent
    REQUIRE_GOOD(world.open());
    BOOST_TEST(!world.log->report().clean);
    BOOST_TEST(!world.log->report().cut.has_value());
}

BOOST_AUTO_TEST_CASE(a_run_costs_twenty_bytes_more_than_itself) {
    log_world world;
    REQUIRE_GOOD(world.open_and_start());
    REQUIRE_GOOD(world.append());
    std::uint64_t before = world.log->size_bytes();
    auto run = world.runs.make();
    REQUIRE_GOOD(world.append({run}));
    BOOST_TEST(world.log->size_bytes() == before + run.view.size() + 20);
}

BOOST_AUTO_TEST_CASE(many_runs_are_one_write) {
    log_world world;
    world.options.segment_bytes_target = 1U << 20U;
    REQUIRE_GOOD(world.open_and_start());
    world.directory.fail(std::nullopt);
    REQUIRE_GOOD(world.append(100));
    BOOST_TEST(world.directory.operations() == 1U);
}

BOOST_AUTO_TEST_CASE(a_sync_covers_what_was_appended_when_it_started) {
    log_world world;
    REQUIRE_GOOD(world.open_and_start());
    REQUIRE_GOOD(world.append(2));
    world.sync_later();
    REQUIRE_GOOD(world.append(1));
    BOOST_TEST(world.acknowledged == 0U);
    BOOST_CHECK(world.log->durable_end() == log_index{0});
    world.loop.run();
    BOOST_TEST(world.acknowledged == 2U);
    BOOST_CHECK(world.log->durable_end() == log_index{2});
    REQUIRE_GOOD(world.sync());
    BOOST_CHECK(world.log->durable_end() == log_index{3});
    world.directory.fail(sim_fault{UINT64_MAX, errc::io_failed, false, sim_operations::syncs});
    REQUIRE_GOOD(world.sync()); // nothing new, nothing to sync
    BOOST_TEST(world.directory.operations() == 0U);
}

BOOST_AUTO_TEST_CASE(a_full_segment_becomes_durable_though_nobody_syncs) {
    log_world world;
    REQUIRE_GOOD(world.open_and_start());
    while (world.directory.names().size() < 4) REQUIRE_GOOD(world.append());
    BOOST_CHECK(world.log->durable_end() == log_index{0});
    world.loop.run();
    BOOST_CHECK(world.log->durable_end() > log_index{0});
    std::size_t durable = static_cast<std::size_t>(world.log->durable_end());
    random_generator random(seeds::unit);
    world.power_cut(random);
    REQUIRE_GOOD(world.open());
    BOOST_TEST(world.recovered.size() >= durable);
}

BOOST_AUTO_TEST_CASE(a_caller_during_a_background_sync_gets_its_own) {
    log_world world;
    REQUIRE_GOOD(world.open_and_start());
    while (world.directory.names().size() < 2) REQUIRE_GOOD(world.append()); // starts one
    REQUIRE_GOOD(world.append(3));
    REQUIRE_GOOD(world.sync());
    BOOST_TEST(world.acknowledged == world.attempted.size());
}

// A directory sync under way had counted as done: the newest segments could vanish.
BOOST_AUTO_TEST_CASE(a_clean_stop_during_a_sync_waits_for_what_that_sync_has_not_done) {
    for (int tasks = 0; tasks < 12; ++tasks) {
        for (std::uint64_t seed = 0; seed < 20; ++seed) {
            random_generator random(seed);
            log_world world;
            REQUIRE_GOOD(world.open_and_start());
            while (world.directory.names().size() < 2) REQUIRE_GOOD(world.append());
            for (int i = 0; i < tasks; ++i) (void)world.loop.run_one();
            REQUIRE_GOOD(world.log->close_clean());
            world.power_cut(random);
            REQUIRE_GOOD(world.open());
            BOOST_TEST(world.log->report().clean);
            BOOST_CHECK(world.recovered == world.attempted);
        }
    }
}

BOOST_AUTO_TEST_CASE(after_a_failed_sync_nothing_works_any_more) {
    log_world world;
    REQUIRE_GOOD(world.open_and_start());
    REQUIRE_GOOD(world.append());
    for (auto code : {errc::disk_full, errc::io_failed}) { // once, and it stays so
        world.directory.fail(sim_fault{0, code, false, sim_operations::syncs});
        auto failed = world.sync();
        BOOST_REQUIRE(!failed.has_value());
        BOOST_CHECK(failed.error().code == errc::io_failed);
    }
    BOOST_CHECK(world.log->append(std::vector{world.runs.make()}).error().code == errc::io_failed);
    BOOST_CHECK(world.log->close_clean().error().code == errc::io_failed);
    BOOST_TEST(world.acknowledged == 0U);
    BOOST_CHECK(world.read_all() == world.attempted); // what is there can still be read
}

// The sync of the next start succeeds, and does not bring to the disk what the failed one took for written.
BOOST_AUTO_TEST_CASE(
    what_a_failed_sync_left_in_memory_is_written_again_before_it_counts_as_durable) {
    for (std::size_t before : {0U, 3U, 12U}) { // in several segments
        for (std::size_t lost : {1U, 9U}) {
            BOOST_TEST_INFO_SCOPE(before << " durable, " << lost << " lost");
            random_generator random(seeds::unit);
            log_world world;
            REQUIRE_GOOD(world.open_and_start());
            for (std::size_t i = 0; i < before; ++i) REQUIRE_GOOD(world.append());
            REQUIRE_GOOD(world.sync());
            world.directory.fail(sim_fault{0, errc::io_failed, true, sim_operations::syncs});
            for (std::size_t i = 0; i < lost; ++i) REQUIRE_GOOD(world.append());
            BOOST_TEST(!world.sync().has_value());
            BOOST_TEST(world.acknowledged == before);
            world.kill();
            world.directory.fail(std::nullopt);
            REQUIRE_GOOD(world.open_and_start());
            BOOST_TEST(world.recovered.size() == before + lost);
            BOOST_TEST((world.log->durable_end() == log_index{before + lost}));
            world.power_cut(random);
            REQUIRE_GOOD(world.open());
            BOOST_CHECK(world.recovered == world.attempted);
        }
    }
}

BOOST_AUTO_TEST_CASE(a_full_disk_refuses_and_works_again_when_there_is_space) {
    log_world world;
    REQUIRE_GOOD(world.open_and_start());
    REQUIRE_GOOD(world.append());
    world.directory.fail(sim_fault{0, errc::disk_full, false});
    std::vector<shared_bytes> batch{world.runs.make(), world.runs.make()};
    BOOST_CHECK(world.append(batch).error().code == errc::disk_full);
    BOOST_CHECK(world.log->end() == log_index{1});
    REQUIRE_GOOD(world.append(batch));
    REQUIRE_GOOD(world.sync());
    world.kill();
    REQUIRE_GOOD(world.open());
    BOOST_CHECK(world.recovered == world.attempted);
    BOOST_TEST(!world.log->report().cut.has_value());
}

BOOST_AUTO_TEST_CASE(a_disk_that_is_full_when_a_segment_begins_works_again_too) {
    for (std::uint64_t at : {0U, 1U}) { // its creation, its header
        log_world world;
        REQUIRE_GOOD(world.open_and_start());
        while (world.log->size_bytes() < world.options.segment_bytes_target) {
            REQUIRE_GOOD(world.append());
        }
        world.directory.fail(sim_fault{at, errc::disk_full, false});
        std::vector<shared_bytes> batch{world.runs.make()};
        BOOST_CHECK(world.append(batch).error().code == errc::disk_full);
        BOOST_TEST(world.directory.names().size() == 1U);
        REQUIRE_GOOD(world.append(batch));
        BOOST_TEST(world.directory.names().size() == 2U);
        REQUIRE_GOOD(world.sync());
        world.kill();
        REQUIRE_GOOD(world.open());
        BOOST_CHECK(world.recovered == world.attempted);
    }
}

BOOST_AUTO_TEST_CASE(a_run_that_is_none_is_refused_and_the_log_stays) {
    log_world world;
    REQUIRE_GOOD(world.open_and_start());
    std::vector<shared_bytes> batch{world.runs.make(), shared_bytes(bytes(3))};
    BOOST_TEST(!world.log->append(batch).has_value());
    BOOST_CHECK(world.log->end() == log_index{0});
    BOOST_TEST(world.log->append({}).has_value());
}

BOOST_AUTO_TEST_CASE(another_clusters_log_is_refused) {
    log_world world;
    REQUIRE_GOOD(world.open_and_start());
    world.stop();
    world.options.cluster = "other";
    auto refused = world.open();
    BOOST_REQUIRE(!refused.has_value());
    BOOST_CHECK(refused.error().code == errc::wrong_cluster);
}

BOOST_AUTO_TEST_CASE(an_answer_under_way_outlives_the_log) {
    log_world world;
    REQUIRE_GOOD(world.open_and_start());
    REQUIRE_GOOD(world.append());
    world.sync_later();
    world.log.reset();
    world.loop.run();
    BOOST_TEST(world.acknowledged == 0U);
}

BOOST_AUTO_TEST_CASE(a_real_directory_keeps_a_log) {
    temporary_directory home_of_it;
    test_loop loop;
    event_list events;
    run_maker runs;
    std::vector<bytes> attempted;
    std::vector<bytes> recovered;
    auto files = open_posix_disk(home_of_it.path, loop);
    REQUIRE_GOOD(files);
    for (int life = 0; life < 3; ++life) {
        recovered.clear();
        auto log = open_wal(**files, loop, events, {"cluster", 500},
                            [&](log_index, const shared_bytes& run) {
                                recovered.emplace_back(run.view.begin(), run.view.end());
                                return result<void>{};
                            });
        REQUIRE_GOOD(log);
        BOOST_CHECK(recovered == attempted);
        BOOST_TEST((*log)->report().clean == (life == 1));
        REQUIRE_GOOD((*log)->start());
        bool syncing = false;
        for (int i = 0; i < 40; ++i) {
            auto run = runs.make();
            attempted.emplace_back(run.view.begin(), run.view.end());
            REQUIRE_GOOD((*log)->append(std::vector{run}));
            if (i % 8 == 0) loop.run_until([&] { return !syncing; });
            if (syncing) continue;
            syncing = true;
            (*log)->sync_later([&](const result<log_index>& durable) {
                BOOST_TEST(durable.has_value());
                syncing = false;
            });
        }
        loop.run_until([&] { return !syncing; });
        auto all = (*log)->read(log_index{0}, SIZE_MAX);
        REQUIRE_GOOD(all);
        BOOST_TEST(all->size() == attempted.size());
        if (life == 0) REQUIRE_GOOD((*log)->close_clean());
    }
}

BOOST_AUTO_TEST_CASE(any_log_reads_back_from_any_place_in_any_portions) {
    rc::check([] {
        log_world world;
        world.options.segment_bytes_target = *rc::gen::inRange<std::uint64_t>(1, 300'000);
        REQUIRE_GOOD(world.open_and_start());
        auto batches = *rc::gen::resize(12, rc::gen::arbitrary<std::vector<std::uint8_t>>());
        for (auto count : batches) {
            std::vector<shared_bytes> batch;
            for (int i = 0; i < count % 16; ++i) {
                auto size =
                    *rc::gen::weightedElement<std::size_t>({{20, 1}, {3, 9'000}, {1, 90'000}});
                batch.push_back(world.runs.make(*rc::gen::inRange<std::uint64_t>(1, 4), size));
            }
            REQUIRE_GOOD(world.append(batch));
            if (count % 3 == 0) REQUIRE_GOOD(world.sync());
        }
        if (*rc::gen::arbitrary<bool>()) {
            world.kill();
            REQUIRE_GOOD(world.open());
            RC_ASSERT(world.recovered == world.attempted);
        }
        RC_ASSERT(world.read_all(*rc::gen::inRange<std::size_t>(0, 400'000)) == world.attempted);
        RC_ASSERT(world.log->end() == log_index{world.attempted.size()});
        if (world.attempted.empty()) return;
        auto at = *rc::gen::inRange<std::size_t>(0, world.attempted.size());
        auto most = *rc::gen::inRange<std::size_t>(0, 50'000);
        auto some = world.log->read(log_index{at}, most);
        RC_ASSERT(some.has_value() && !some->empty());
        std::size_t total = 0;
        for (std::size_t i = 0; i < some->size(); ++i) {
            RC_ASSERT(total < most || i == 0);
            RC_ASSERT(equal((*some)[i].view, world.attempted[at + i]));
            total += (*some)[i].view.size();
        }
        RC_ASSERT(total >= most || at + some->size() == world.attempted.size());
    });
}

BOOST_AUTO_TEST_CASE(seek_passes_over_nothing_that_is_needed) {
    rc::check([] {
        log_world world;
        REQUIRE_GOOD(world.open_and_start());
        for (int i = 0; i < 40; ++i) {
            REQUIRE_GOOD(world.append({world.runs.make(*rc::gen::inRange<std::uint64_t>(1, 4))}));
        }
        if (*rc::gen::arbitrary<bool>()) {
            world.kill();
            REQUIRE_GOOD(world.open());
        }
        version_vector have;
        for (std::uint64_t id = 1; id < 4; ++id) {
            have.set(replica_id{id}, *rc::gen::inRange<std::uint64_t>(0, 40));
        }
        auto found = static_cast<std::size_t>(world.log->seek(have));
        bool all = true;
        for (std::size_t i = 0; i < world.attempted.size(); ++i) {
            auto header = *read_run_header(world.attempted[i]);
            bool covered = have.covers(dot{header.origin, header.end - 1});
            RC_ASSERT(covered || i >= found);
            all = all && covered;
        }
        RC_ASSERT(!all || world.log->seek(have) == world.log->end());
        RC_ASSERT(world.log->seek({}) == world.log->first());
    });
}

BOOST_AUTO_TEST_CASE(seek_skips_the_segments_that_a_peer_has) {
    log_world world;
    REQUIRE_GOOD(world.open_and_start());
    while (world.directory.names().size() < 5) REQUIRE_GOOD(world.append());
    auto half = static_cast<std::uint64_t>(world.attempted.size() / 2);
    auto found = world.log->seek({{replica_id{1}, half}});
    BOOST_CHECK(found > log_index{0});
    BOOST_CHECK(found <= log_index{half});
}

} // namespace weft
