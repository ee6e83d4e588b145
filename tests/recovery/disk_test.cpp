#include "recovery/posix_disk.hpp"
#include "tests/conformance/disk_suite.hpp"
#include "tests/recovery/temporary_directory.hpp"
#include "tests/recovery/test_loop.hpp"
#include "tests/seeds.hpp"
#include "tests/sim/disk.hpp"

#include <boost/mpl/list.hpp>
#include <boost/test/unit_test.hpp>

#include <set>
#include <unistd.h>

namespace weft {
namespace {

struct posix_place {
    std::unique_ptr<disk> open() {
        auto opened = open_posix_disk(root.path + "/deep/er", loop);
        BOOST_REQUIRE(opened.has_value());
        return std::move(*opened);
    }
    template <class Predicate>
    void run_until(Predicate reached) {
        loop.run_until(reached);
    }

    test_loop loop;
    temporary_directory root;
};

struct sim_place {
    std::unique_ptr<disk> open() {
        return std::make_unique<sim_disk>(directory, loop, loop, [] { return 3; });
    }
    template <class Predicate>
    void run_until(Predicate reached) {
        loop.run_until(reached);
    }

    test_loop loop;
    static inline std::uint64_t inodes = 0;
    sim_directory directory{{"machine", 1, ++inodes, 1}};
};

using places = boost::mpl::list<posix_place, sim_place>;

} // namespace

BOOST_AUTO_TEST_CASE_TEMPLATE(appends_are_read_back, P, places) {
    check_appends_are_read_back<P>();
}
BOOST_AUTO_TEST_CASE_TEMPLATE(appends_follow_a_truncation, P, places) {
    check_appends_follow_a_truncation<P>();
}
BOOST_AUTO_TEST_CASE_TEMPLATE(what_is_there_can_be_written_over, P, places) {
    check_what_is_there_can_be_written_over<P>();
}
BOOST_AUTO_TEST_CASE_TEMPLATE(names_come_and_go, P, places) { check_names_come_and_go<P>(); }
BOOST_AUTO_TEST_CASE_TEMPLATE(what_is_missing_or_there_is_said, P, places) {
    check_what_is_missing_or_there_is_said<P>();
}
BOOST_AUTO_TEST_CASE_TEMPLATE(only_plain_names_are_taken, P, places) {
    check_only_plain_names_are_taken<P>();
}
BOOST_AUTO_TEST_CASE_TEMPLATE(syncs_answer_once_and_on_the_loop, P, places) {
    check_syncs_answer_once_and_on_the_loop<P>();
}
BOOST_AUTO_TEST_CASE_TEMPLATE(a_file_may_go_while_its_sync_is_under_way, P, places) {
    check_a_file_may_go_while_its_sync_is_under_way<P>();
}
BOOST_AUTO_TEST_CASE_TEMPLATE(one_holds_the_lock, P, places) { check_one_holds_the_lock<P>(); }
BOOST_AUTO_TEST_CASE_TEMPLATE(the_facts_stay_while_the_directory_stays, P, places) {
    check_the_facts_stay_while_the_directory_stays<P>();
}

BOOST_AUTO_TEST_CASE(a_refused_lock_names_the_process_that_holds_it) {
    posix_place place;
    auto on = place.open();
    auto held = on->lock();
    auto refused = place.open()->lock();
    BOOST_REQUIRE(!refused.has_value());
    BOOST_TEST(refused.error().detail.find("process " + std::to_string(::getpid())) !=
               std::string::npos);
}

BOOST_AUTO_TEST_CASE(a_directory_that_cannot_be_made_is_named) {
    posix_place place;
    auto on = place.open();
    (void)made(*on, "plain", "1");
    auto refused = open_posix_disk(on->place() + "/plain/below", place.loop);
    BOOST_REQUIRE(!refused.has_value());
    BOOST_TEST(refused.error().detail.find(on->place() + "/plain") != std::string::npos);
}

BOOST_AUTO_TEST_CASE(closing_a_disk_answers_the_syncs_under_way) {
    posix_place place;
    auto on = place.open();
    auto open = made(*on, "a", "1");
    int answers = 0;
    for (int i = 0; i < 3; ++i) on->sync_directory_later([&](const result<void>&) { ++answers; });
    open.reset();
    on.reset();
    place.loop.run();
    BOOST_TEST(answers == 3);
}

BOOST_AUTO_TEST_CASE(a_power_cut_keeps_what_was_synced_and_a_beginning_of_the_rest) {
    std::set<std::string> outcomes;
    for (std::uint64_t seed : seeds::ci) {
        random_generator random(seed);
        sim_place place;
        auto on = place.open();
        auto open = made(*on, "a", "safe");
        BOOST_REQUIRE(open->sync().has_value());
        BOOST_REQUIRE(on->sync_directory().has_value());
        BOOST_REQUIRE(open->append(as_bytes("12")).has_value());
        (void)made(*on, "b", "");
        BOOST_REQUIRE(on->rename("a", "c").has_value());
        place.directory.crash(random);
        BOOST_CHECK(code_of(open->append({})) == errc::closed);
        BOOST_CHECK(code_of(on->list()) == errc::closed);

        auto names = place.directory.names();
        bool renamed = names == std::vector<std::string>{"b", "c"};
        bool legal = renamed || names == std::vector<std::string>{"a"} ||
                     names == (std::vector<std::string>{"a", "b"});
        BOOST_TEST(legal);
        std::string text(as_text(place.directory.contents(renamed ? "c" : "a")));
        BOOST_TEST(text.starts_with("safe"));
        BOOST_TEST(text.size() <= 6U);
        outcomes.insert(text.substr(4));
    }
    // All of it, a part of it, nothing, and zeros instead.
    for (const auto& seen :
         {std::string("12"), std::string("1"), std::string(), std::string(2, '\0')}) {
        BOOST_TEST(outcomes.contains(seen));
    }
}

BOOST_AUTO_TEST_CASE(a_kill_keeps_what_was_written_and_frees_the_lock) {
    sim_place place;
    auto on = place.open();
    auto held = on->lock();
    auto open = made(*on, "a", "1");
    bool answered = false;
    open->sync_later([&](const result<void>&) { answered = true; });
    place.directory.kill();
    place.loop.run();
    BOOST_TEST(!answered);
    auto again = place.open();
    auto relocked = again->lock();
    BOOST_TEST(relocked.has_value());
    held->reset(); // the dead process's lock is not the new one's
    BOOST_CHECK(code_of(place.open()->lock()) == errc::locked);
    BOOST_TEST(content_of(**again->open("a")) == "1");
}

BOOST_AUTO_TEST_CASE(faults_come_at_their_operation_once_or_from_then_on) {
    for (bool lasting : {false, true}) {
        sim_place place;
        auto on = place.open();
        auto open = made(*on, "a", "");
        place.directory.fail(sim_fault{1, errc::disk_full, lasting});
        BOOST_TEST(open->append(as_bytes("1")).has_value());
        BOOST_CHECK(code_of(open->append(as_bytes("22"))) == errc::disk_full);
        BOOST_TEST(open->append(as_bytes("3")).has_value() != lasting);
        place.directory.fail(std::nullopt);
        BOOST_TEST(content_of(*open) == (lasting ? "12" : "123")); // a failed write writes a part
    }
}

BOOST_AUTO_TEST_CASE(after_a_failed_sync_no_later_one_passes) {
    sim_place place;
    auto on = place.open();
    auto open = made(*on, "a", "1");
    place.directory.fail(sim_fault{0, errc::io_failed, false, sim_operations::syncs});
    BOOST_CHECK(code_of(open->sync()) == errc::io_failed);
    BOOST_CHECK(code_of(open->sync()) == errc::io_failed);
    place.directory.fail(sim_fault{0, errc::io_failed, false, sim_operations::syncs});
    BOOST_CHECK(code_of(on->sync_directory()) == errc::io_failed);
    BOOST_CHECK(code_of(on->sync_directory()) == errc::io_failed);
}

// As Linux does: the pages count as written.
BOOST_AUTO_TEST_CASE(what_a_failed_sync_lost_is_read_until_a_power_cut_unless_it_is_written_again) {
    for (bool again : {false, true}) {
        random_generator random(seeds::unit);
        sim_place place;
        auto before = place.open();
        auto lost = made(*before, "a", "lost");
        BOOST_REQUIRE(before->sync_directory().has_value());
        place.directory.fail(sim_fault{0, errc::io_failed, false, sim_operations::syncs});
        BOOST_CHECK(code_of(lost->sync()) == errc::io_failed);
        place.directory.kill();
        auto on = place.open();
        auto open = std::move(*on->open("a"));
        BOOST_TEST(content_of(*open) == "lost");
        if (again) BOOST_REQUIRE(open->overwrite(0, as_bytes("lost")).has_value());
        BOOST_REQUIRE(open->append(as_bytes(", kept")).has_value());
        BOOST_REQUIRE(open->sync().has_value());
        place.directory.crash(random);
        std::string left(as_text(place.directory.contents("a")));
        BOOST_TEST(left == (again ? "lost" : std::string(4, '\0')) + ", kept");
    }
}

} // namespace weft
