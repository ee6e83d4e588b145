#include "tests/seeds.hpp"
#include "tests/sim/story.hpp"
#include "tests/sim/world.hpp"

#include <boost/test/data/monomorphic.hpp>
#include <boost/test/data/test_case.hpp>
#include <boost/test/unit_test.hpp>

using namespace weft;
using namespace weft::sim;
namespace data = boost::unit_test::data;

namespace {

void run_world(std::uint64_t seed) {
    BOOST_TEST_CONTEXT("replay: ./dev sim " << seed) {
        sim::world world({.seed = seed, .replicas = 5});
        world.run();
        for (const auto& problem : world.found()) BOOST_ERROR(problem);
        if (!world.converged()) BOOST_TEST_MESSAGE(world.describe() << world.summary());
    }
}

} // namespace

BOOST_AUTO_TEST_SUITE(simulated_worlds)

BOOST_DATA_TEST_CASE(replicas_converge_once_faults_stop, data::make(seeds::ci), seed) {
    run_world(seed);
}

// Under rules of every strategy, with people who settle what waits: equal readings, equal siblings and
// decisions of what is open, and a trail that knows of them.
BOOST_DATA_TEST_CASE(replicas_settle_conflicts_alike, data::make(seeds::conflicts), seed) {
    sim::world world({.seed = seed, .conflicts = true});
    world.run();
    for (const std::string& wrong : world.found())
        BOOST_ERROR(wrong << "; replay: ./dev sim " << seed << " --conflicts");
}

BOOST_AUTO_TEST_CASE(seeds_that_found_something_stay_good) {
    for (const auto& one : seeds::regressions) run_world(one.seed);
}

BOOST_AUTO_TEST_CASE(the_same_seed_gives_the_same_trace) {
    for (std::uint64_t seed : {seeds::unit, seeds::unit + 1, seeds::unit + 2}) {
        std::uint64_t hash[2];
        for (std::uint64_t& one : hash) {
            sim::world world({.seed = seed});
            world.run();
            one = world.trace_hash();
        }
        BOOST_TEST(hash[0] == hash[1], "seed " << seed);
    }
    sim::world other({.seed = seeds::unit + 3});
    other.run();
    sim::world again({.seed = seeds::unit});
    again.run();
    BOOST_TEST(other.trace_hash() != again.trace_hash());
}

BOOST_AUTO_TEST_SUITE_END()

BOOST_AUTO_TEST_SUITE(simulated_stories)

BOOST_AUTO_TEST_CASE(two_replicas_that_write_at_once_end_equal) {
    story s;
    auto& a = s.open("a", {"b"});
    auto& b = s.open("b", {"a"});
    for (int i = 0; i < 20; ++i) {
        add_to(a, "visits");
        add_to(b, "visits", 10);
        BOOST_REQUIRE(a->lww_register("name").set(i));
        BOOST_REQUIRE(b->lww_register("name").set(-i));
        s.run_ms(1);
    }
    s.expect_equal();
    BOOST_TEST(count_of(a, "visits") == 220);
    BOOST_TEST(s.network().links() == 1U, "both dialed; one link stays");
    s.expect_sound();
}

BOOST_AUTO_TEST_CASE(a_killed_replica_comes_back_under_its_id_with_all_it_had) {
    story s;
    auto& a = s.open("a", {"b"});
    auto& b = s.open("b", {"a"});
    add_to(a, "visits", 5);
    add_to(b, "visits", 7);
    s.expect_equal();
    replica_id id = b->id();
    b.kill(false);
    add_to(a, "visits", 100);
    s.run_ms(2'000);
    s.start(b);
    BOOST_TEST(b->id() == id);
    BOOST_TEST(count_of(b, "visits") == 12);
    s.expect_equal();
    BOOST_TEST(count_of(b, "visits") == 112);
    s.expect_sound();
}

BOOST_AUTO_TEST_CASE(a_power_cut_under_interval_takes_a_new_id) {
    story s;
    auto& a = s.open("a", {"b"});
    auto& b = s.open("b", {"a"}, sync_policy::interval);
    add_to(b, "before"); // with it the ceiling of the clock is on the disk
    s.expect_equal();
    s.run_ms(100);
    b.set_sync_ms(5'000, 5'000);
    replica_id id = b->id();
    add_to(b, "visits", 3);
    s.wait_until([&] { return count_of(a, "visits") == 3; }, 500); // left before it was durable
    b.kill(true);
    s.start(b);
    BOOST_TEST(b->id() != id);
    BOOST_TEST(b->status().value().predecessor == id);
    add_to(b, "visits", 4);
    s.expect_equal();
    BOOST_TEST(count_of(b, "visits") == 7, "what was lost came back, under its old dots");
    s.expect_sound();
}

BOOST_AUTO_TEST_CASE(a_change_does_not_leave_before_it_is_durable_under_commit) {
    story s;
    auto& a = s.open("a", {"b"});
    auto& b = s.open("b", {"a"});
    s.wait_until([&] { return peer_of(a, "b").state == peer_state::active; });
    b.set_sync_ms(5'000, 5'000);
    add_to(b, "visits");
    s.run_ms(1'000);
    BOOST_TEST(count_of(a, "visits") == 0);
    b.kill(true);
    s.run_ms(100);
    BOOST_TEST(count_of(a, "visits") == 0);
    s.start(b);
    add_to(b, "visits", 5);
    s.expect_equal();
    s.expect_sound();
}

// The disk went back in time and nothing on it says so: only the peers know.
BOOST_AUTO_TEST_CASE(a_lost_tail_gives_a_new_id_and_comes_back_from_a_peer) {
    story s;
    auto& a = s.open("a", {"b"});
    auto& b = s.open("b", {"a"});
    add_to(b, "visits", 1);
    s.expect_equal();
    BOOST_REQUIRE(b.stop());
    auto facts = sim::fresh_facts(77);
    auto then = b.directory().copy(facts);
    b.replace_directory(b.directory().copy(facts)); // moved: takes a new id now, not later
    s.start(b);
    add_to(b, "visits", 10);
    s.expect_equal();
    BOOST_REQUIRE(b.stop());
    then = b.directory().copy(facts);
    s.start(b);
    replica_id id = b->id();
    add_to(b, "visits", 100);
    s.expect_equal();
    BOOST_REQUIRE(b.stop());

    b.replace_directory(std::move(then));
    s.start(b);
    BOOST_TEST(b->id() == id, "nothing here shows the loss");
    BOOST_TEST(count_of(b, "visits") == 11);
    s.expect_equal();
    BOOST_TEST(b->id() != id);
    BOOST_TEST(b.count("identity.changed") == 1U);
    BOOST_TEST(count_of(b, "visits") == 111);
    add_to(b, "visits", 1000);
    s.expect_equal();
    BOOST_TEST(count_of(a, "visits") == 1111);
    s.expect_sound();
}

// As above, but it writes before it meets anybody: two histories under one id, and no way back.
BOOST_AUTO_TEST_CASE(a_lost_tail_that_was_written_over_is_a_fork_and_is_found) {
    story s;
    auto& a = s.open("a", {"b"});
    auto& b = s.open("b", {});
    auto facts = sim::fresh_facts(78);
    add_to(b, "visits", 1);
    s.expect_equal();
    BOOST_REQUIRE(b.stop());
    b.replace_directory(b.directory().copy(facts));
    s.start(b);
    add_to(b, "visits", 10);
    s.expect_equal();
    BOOST_REQUIRE(b.stop());
    auto then = b.directory().copy(facts);
    s.start(b);
    add_to(b, "visits", 100);
    s.expect_equal();
    BOOST_REQUIRE(b.stop());

    b.replace_directory(std::move(then));
    std::vector<std::string> alone{"b"};
    s.partition(alone, sim_partition::lose);
    s.start(b);
    add_to(b, "visits", 5'000);
    add_to(b, "other", 1);
    s.run_ms(100);
    s.network().heal_all();
    s.wait_until([&] { return a.count("session.blocked") > 0; });
    BOOST_TEST((peer_of(a, "b").state == peer_state::blocked));
    BOOST_TEST(count_of(a, "visits") == 111, "nothing of the second history was applied");
    BOOST_TEST(!s.dots().found().empty(), "the checker saw it too");
}

BOOST_AUTO_TEST_CASE(a_paused_peer_catches_up_when_it_is_resumed) {
    story s;
    auto& a = s.open("a", {"b"});
    auto& b = s.open("b", {"a"});
    s.expect_equal();
    s.run_ms(200);
    BOOST_REQUIRE(a->pause_peer("b"));
    s.run_ms(1'000);
    BOOST_TEST((peer_of(a, "b").state == peer_state::paused));
    add_to(a, "visits", 3);
    add_to(b, "visits", 4);
    s.run_ms(3'000);
    BOOST_TEST(count_of(a, "visits") == 3);
    BOOST_TEST(count_of(b, "visits") == 4);
    BOOST_REQUIRE(a->resume_peer("b"));
    s.expect_equal();
    BOOST_TEST(count_of(a, "visits") == 7);
    s.expect_sound();
}

BOOST_AUTO_TEST_CASE(a_process_without_processor_catches_up) {
    story s;
    auto& a = s.open("a", {"b"});
    auto& b = s.open("b", {"a"});
    s.run_ms(500);
    b.pause();
    for (int i = 0; i < 100; ++i) {
        add_to(a, "visits");
        s.run_ms(100);
    }
    BOOST_TEST((peer_of(a, "b").state == peer_state::failed));
    b.resume();
    s.expect_equal();
    BOOST_TEST(count_of(b, "visits") == 100);
    s.expect_sound();
}

BOOST_DATA_TEST_CASE(a_partition_heals, data::make({"stall", "lose"}), how) {
    BOOST_TEST_CONTEXT(how) {
        story s;
        auto& a = s.open("a", {"b", "c"});
        auto& b = s.open("b", {"a", "c"});
        auto& c = s.open("c", {"a", "b"});
        s.run_ms(500);
        std::vector<std::string> alone{"c"};
        s.partition(alone,
                    std::string_view(how) == "lose" ? sim_partition::lose : sim_partition::stall);
        for (int i = 0; i < 20; ++i) {
            add_to(a, "visits", 1);
            add_to(b, "visits", 100);
            add_to(c, "visits", 10'000);
            s.run_ms(400);
        }
        BOOST_TEST(count_of(a, "visits") == 2'020);
        BOOST_TEST(count_of(b, "visits") == 2'020);
        BOOST_TEST(count_of(c, "visits") == 200'000);
        BOOST_TEST((peer_of(a, "c").state == peer_state::failed));
        s.network().heal_all();
        s.expect_equal();
        BOOST_TEST(count_of(c, "visits") == 202'020);
        s.expect_sound();
    }
}

BOOST_AUTO_TEST_CASE(a_half_open_link_is_found_by_its_silence) {
    story s;
    auto& a = s.open("a", {"b"});
    auto& b = s.open("b", {});
    s.wait_until([&] { return peer_of(a, "b").state == peer_state::active; });
    // What b sends is lost from now on, and with it that way of the link.
    s.network().partition("b", "a", sim_partition::lose);
    add_to(b, "visits");
    s.run_ms(100);
    s.network().heal_all();
    add_to(b, "visits");
    s.run_ms(2'000);
    BOOST_TEST(count_of(a, "visits") == 0, "the link is dead and nobody was told");
    s.expect_equal(limits::silence_ms_max + 3'000);
    BOOST_TEST(count_of(a, "visits") == 2);
    BOOST_TEST(a.count("session.closed") > 0U);
    s.expect_sound();
}

BOOST_AUTO_TEST_CASE(a_third_replica_learns_through_the_one_between) {
    story s;
    auto& a = s.open("a", {"b"});
    auto& b = s.open("b", {});
    add_to(a, "visits", 1);
    auto& c = s.open("c", {"b"});
    s.expect_equal();
    BOOST_TEST(count_of(c, "visits") == 1);
    // Later changes take the same way, both ways, without waiting for a repair.
    s.run_ms(2'000);
    for (int i = 0; i < 5; ++i) {
        add_to(a, "visits", 10);
        add_to(c, "visits", 100);
        s.expect_equal(500);
    }
    BOOST_TEST(count_of(a, "visits") == 551);
    BOOST_TEST(count_of(b, "visits") == 551);
    s.expect_sound();
}

BOOST_AUTO_TEST_CASE(a_run_waits_for_its_causes_which_are_asked_for) {
    story s;
    auto& a = s.open("a", {"b", "c"});
    auto& b = s.open("b", {"a", "c"});
    auto& c = s.open("c", {"a", "b"});
    s.run_ms(2'000);
    s.network().partition("a", "c", sim_partition::stall);
    s.network().partition("c", "a", sim_partition::stall);
    add_to(a, "cause");
    s.wait_until([&] { return count_of(b, "cause") == 1; }, 1'000);
    add_to(b, "effect");
    bool held = false;
    bool seen_alone = false;
    s.wait_until(
        [&] {
            held = held || c->status().value().held_back_runs > 0;
            seen_alone = seen_alone || (count_of(c, "effect") == 1 && count_of(c, "cause") == 0);
            return count_of(c, "effect") == 1;
        },
        std::int64_t{4} * limits::repair_ms);
    BOOST_TEST(held);
    BOOST_TEST(!seen_alone);
    s.network().heal_all();
    s.expect_equal();
    s.expect_sound();
}

BOOST_AUTO_TEST_CASE(a_bounded_counter_keeps_its_bound_across_a_partition) {
    story s;
    auto& a = s.open("a", {"b"});
    auto& b = s.open("b", {"a"});
    BOOST_REQUIRE(a->bounded_counter("stock").create_at_least(0, 10));
    s.expect_equal();
    BOOST_REQUIRE(a->bounded_counter("stock").transfer(b->id(), 4));
    s.expect_equal();
    std::vector<std::string> alone{"a"};
    s.partition(alone, sim_partition::lose);
    int sold_a = 0;
    int sold_b = 0;
    for (int i = 0; i < 10; ++i) {
        sold_a += a->bounded_counter("stock").decrement(1) ? 1 : 0;
        sold_b += b->bounded_counter("stock").decrement(1) ? 1 : 0;
        s.run_ms(100);
    }
    BOOST_TEST(sold_a == 6);
    BOOST_TEST(sold_b == 4);
    s.network().heal_all();
    s.expect_equal();
    BOOST_TEST(a->bounded_counter("stock").read().value() == 0);
    s.expect_sound();
}

BOOST_AUTO_TEST_CASE(subscribers_are_told_in_log_order) {
    story s;
    auto& a = s.open("a", {"b"}, sync_policy::interval);
    auto& b = s.open("b", {"a"}, sync_policy::interval);
    for (int i = 0; i < 200; ++i) {
        add_to(i % 3 == 0 ? a : b, "visits");
        if (i % 4 == 0) s.run_ms(1);
    }
    s.expect_equal();
    BOOST_TEST(a.seen().size() == 200U);
    BOOST_TEST(b.seen().size() == 200U);
    s.expect_sound(); // compares with the logs
}

BOOST_AUTO_TEST_CASE(a_live_copy_of_a_directory_is_refused) {
    story s;
    auto& a = s.open("a", {});
    auto& b = s.open("b", {"a"});
    add_to(a, "visits");
    s.expect_equal();
    BOOST_REQUIRE(a.stop());
    auto facts = sim::fresh_facts(5);
    a.replace_directory(a.directory().copy(facts));
    s.start(a);
    s.expect_equal();
    auto& copy = s.add("copy", {"a"});
    copy.options().name = "a";
    BOOST_REQUIRE(a.stop());
    copy.replace_directory(a.directory().copy(facts));
    s.start(a);
    s.start(copy);
    BOOST_TEST(copy->id() == a->id());
    s.wait_until(
        [&] { return copy.count("session.refused") > 0 && a.count("session.refused") > 0; });
    auto named = [](const sim::host& one) {
        return std::any_of(one.events().begin(), one.events().end(), [](const log_event& e) {
            return e.what == "session.refused" &&
                   e.text.find("two live replicas") != std::string::npos;
        });
    };
    BOOST_TEST(named(a));
    BOOST_TEST(named(copy));
    add_to(a, "visits");
    s.wait_until([&] { return count_of(b, "visits") == 2; });
    BOOST_TEST(count_of(copy, "visits") == 1, "nothing passes between the two");
}

BOOST_AUTO_TEST_CASE(a_copy_that_writes_is_a_fork_which_the_hash_chain_shows) {
    story s;
    auto& c = s.open("c", {"a", "copy"});
    auto& a = s.open("a", {});
    auto facts = sim::fresh_facts(6);
    add_to(a, "visits", 1);
    s.expect_equal();
    BOOST_REQUIRE(a.stop());
    a.replace_directory(a.directory().copy(facts));
    s.start(a);
    s.expect_equal();
    BOOST_REQUIRE(a.stop());
    auto& copy = s.add("copy", {});
    copy.options().name = "a";
    copy.replace_directory(a.directory().copy(facts));
    s.start(a);
    add_to(a, "visits", 10);
    s.wait_until([&] { return count_of(c, "visits") == 11; });
    a.kill(true); // the two are never up together
    s.start(copy);
    add_to(copy, "visits", 100);
    add_to(copy, "visits", 100);
    s.wait_until([&] { return c.count("session.blocked") > 0; });
    BOOST_TEST(count_of(c, "visits") == 11);
    BOOST_TEST((peer_of(c, "a").state == peer_state::blocked));
    BOOST_TEST(!s.dots().found().empty());
    c.check_invariants();
}

BOOST_AUTO_TEST_CASE(an_acknowledgement_that_cannot_come_times_out_and_rolls_nothing_back) {
    story s;
    auto& a = s.open("a", {"b", "c"});
    auto done = a->transact([](transaction& t) { (void)t.counter("visits").increment(); });
    BOOST_REQUIRE(done.has_value());
    std::vector<std::string> outcomes;
    auto note = [&](result<void> outcome) {
        outcomes.push_back(outcome ? "acknowledged" : std::string(to_string(outcome.error().code)));
    };
    done->when(ack_level::majority(), 1'000, note);
    done->when(ack_level::disk(), 1'000, note);
    done->when(ack_level::replicated(2), 20'000, note);
    done->when(ack_level::replicated(4), 20'000, note);
    s.run_ms(2'000);
    std::vector<std::string> expected{"invalid_argument", "acknowledged", "timed_out"};
    BOOST_TEST(outcomes == expected, boost::test_tools::per_element());
    BOOST_TEST(count_of(a, "visits") == 1);
    s.open("b", {"a", "c"});
    s.wait_until([&] { return outcomes.size() == 4; }, 10'000);
    BOOST_TEST(outcomes.back() == "acknowledged");
}

BOOST_AUTO_TEST_CASE(a_clock_far_ahead_is_told_and_moves_nobody) {
    story s;
    auto& a = s.open("a", {"b"});
    auto& b = s.add("b", {"a"});
    b.set_skew_ms(300'000);
    s.start(b);
    s.run_ms(500);
    BOOST_REQUIRE(b->lww_register("name").set("late"));
    s.expect_equal();
    s.run_ms(100);
    BOOST_TEST(a.count("clock.ahead") == 1U);
    BOOST_TEST(b.count("clock.ahead_here") == 1U);
    BOOST_REQUIRE(a->lww_register("name").set("now"));
    s.expect_equal();
    auto stamp = [](sim::host& one) { return one.seen().back().stamp.ms(); };
    BOOST_TEST(stamp(a) < 1'767'225'600'000 + 10'000U, "a's clock did not follow");
    s.expect_sound();
}

BOOST_AUTO_TEST_SUITE_END()
