#include "tests/sim/story.hpp"

// What goes wrong around a replica and must not go wrong in it: disks put back, members mistaken for each
// other, disks without space, peers far behind. Each was once a defect, found by reading.
using namespace weft;
using namespace weft::sim;

BOOST_AUTO_TEST_SUITE(simulated_trouble)

// A machine's snapshot is put back, which nothing on its disk shows. The peer that it meets knows no more
// than it does, at first; what was lost comes to light later.
BOOST_AUTO_TEST_CASE(a_lost_tail_that_a_peer_learns_of_later_takes_a_new_id) {
    story s;
    auto& a = s.open("a", {"b", "c"});
    auto& b = s.open("b", {"a", "c"});
    auto facts = fresh_facts(7);
    BOOST_REQUIRE(a.stop());
    a.replace_directory(a.directory().copy(facts));
    s.start(a);
    add_to(a, "visits", 1);
    auto& c = s.open("c", {"a", "b"});
    s.expect_equal();
    replica_id id = a->id();
    auto before = a.directory().copy(facts);
    b.kill(true);
    add_to(a, "visits", 10);
    add_to(a, "visits", 10);
    s.wait_until([&] { return count_of(c, "visits") == 21; });
    c.kill(true);
    a.kill(true);
    a.replace_directory(std::move(before));
    s.start(a);
    BOOST_TEST(a->id() == id, "nothing shows yet");
    s.start(b);
    s.wait_until([&] { return peer_of(a, "b").state == peer_state::active; });
    // c must come to a through b only: what a learns is not in c's Hello.
    s.network().partition("a", "c", sim_partition::stall);
    s.network().partition("c", "a", sim_partition::stall);
    s.start(c);
    s.expect_equal();
    BOOST_TEST(a->id() != id);
    s.network().heal_all();
    add_to(a, "visits", 100);
    s.expect_equal();
    BOOST_TEST(count_of(b, "visits") == 121);
    s.expect_sound();
}

// Only the files were put back, into the directory where they were.
BOOST_AUTO_TEST_CASE(files_restored_in_place_take_a_new_id) {
    story s;
    auto& a = s.open("a", {"b"});
    auto& b = s.open("b", {"a"});
    add_to(a, "visits", 1);
    s.expect_equal();
    BOOST_REQUIRE(a.stop());
    auto backup = a.directory().copy(fresh_facts(1));
    s.start(a);
    replica_id id = a->id();
    add_to(a, "visits", 10);
    s.expect_equal();
    BOOST_REQUIRE(a.stop());
    for (const std::string& name : a.directory().names()) a.directory().erase(name);
    for (const std::string& name : backup->names()) {
        a.directory().overwrite(name, backup->contents(name));
    }
    s.start(a);
    BOOST_TEST(a->id() != id);
    BOOST_TEST(reported(a, "identity.new", "restored"));
    add_to(a, "visits", 100);
    s.expect_equal();
    BOOST_TEST(count_of(b, "visits") == 111);
    s.expect_sound();
}

BOOST_AUTO_TEST_CASE(a_member_that_moves_to_another_region_says_so_under_a_new_id) {
    story s;
    auto& a = s.open("a", {});
    replica_id id = a->id();
    BOOST_REQUIRE(a.stop());
    a.options().region = "north";
    s.start(a);
    BOOST_TEST(a->id() != id);
    BOOST_REQUIRE(a.stop());
    id = {};
    s.start(a);
    id = a->id();
    BOOST_REQUIRE(a.stop());
    s.start(a);
    BOOST_TEST(a->id() == id);
}

BOOST_AUTO_TEST_CASE(two_live_members_of_one_name_are_told_apart) {
    story s;
    auto& a = s.open("a", {"b", "copycat"});
    auto& b = s.open("b", {});
    s.wait_until([&] { return peer_of(a, "b").state == peer_state::active; });
    auto& copycat = s.add("copycat", {});
    copycat.options().name = "b";
    s.start(copycat);
    s.wait_until([&] { return a.count("session.refused") > 0; });
    BOOST_TEST(reported(a, "session.refused", "two live replicas call themselves 'b'"));
    std::size_t closed = a.count("session.closed");
    s.run_ms(60'000);
    BOOST_TEST(a.count("session.refused") == 1U, "said once");
    BOOST_TEST(a.count("session.closed") == closed, "the first one stays");
    add_to(b, "visits");
    s.wait_until([&] { return count_of(a, "visits") == 1; });
}

// A whole disk was copied, so that nothing shows at the start, and both know only a third one.
BOOST_AUTO_TEST_CASE(two_live_replicas_of_one_id_are_both_kept_off) {
    story s;
    auto facts = fresh_facts(7);
    auto& hub = s.open("hub", {});
    auto& a = s.open("a", {"hub"});
    BOOST_REQUIRE(a.stop());
    a.replace_directory(a.directory().copy(facts));
    s.start(a);
    add_to(a, "visits", 1);
    s.expect_equal();
    auto& copy = s.add("copy", {"hub"});
    copy.options().name = "a";
    copy.replace_directory(a.directory().copy(facts));
    s.start(copy);
    BOOST_TEST(copy->id() == a->id(), "nothing shows yet");
    auto refused = "two live replicas have the id " + to_string(a->id());
    s.wait_until([&] {
        return reported(a, "session.notice", refused) && reported(copy, "session.notice", refused);
    });
    BOOST_TEST(reported(hub, "session.refused", "remove the file identity.weft"));
    std::size_t opened = hub.count("session.open");
    s.run_ms(120'000);
    BOOST_TEST(hub.count("session.open") == opened, "they do not take turns");
    BOOST_REQUIRE(copy.stop());
    copy.directory().erase("identity.weft");
    s.start(copy);
    BOOST_TEST(copy->id() != a->id());
    copy.options().name = "copy";
    BOOST_REQUIRE(copy.stop());
    s.start(copy);
    s.expect_equal(120'000);
    add_to(a, "visits", 10);
    add_to(copy, "visits", 100);
    s.expect_equal();
    BOOST_TEST(count_of(hub, "visits") == 111);
    for (const auto& problem : s.check()) BOOST_ERROR(problem);
}

BOOST_AUTO_TEST_CASE(a_directory_is_locked_by_its_process) {
    story s;
    auto& a = s.open("a", {});
    sim_timeline all;
    sim_time time(all, 0, 0);
    sim_loop run(all, time);
    auto second = [&] { // a process
        return sim_disk(a.directory(), run, time, [] { return 0; }).lock();
    };
    auto refused = second();
    BOOST_REQUIRE(!refused);
    BOOST_TEST((refused.error().code == errc::locked));
    BOOST_TEST(refused.error().detail.find("in use by another process") != std::string::npos);
    a.kill(false);
    BOOST_TEST(second().has_value(), "by nothing that outlives it");
    s.start(a);
    BOOST_TEST(!second().has_value());
    BOOST_REQUIRE(a.stop());
    BOOST_TEST(second().has_value());
}

// It takes a minute to cross, twice as long as a peer may take nothing.
BOOST_AUTO_TEST_CASE(a_large_change_crosses_a_slow_link) {
    story s({.latency_us_min = 1'000,
             .latency_us_max = 1'000,
             .bytes_per_ms_min = 10,
             .bytes_per_ms_max = 10});
    auto& a = s.open("a", {"b"});
    auto& b = s.open("b", {});
    add_to(a, "visits");
    s.expect_equal();
    std::string noise;
    while (noise.size() < 600'000) noise += static_cast<char>('!' + s.random().below(90));
    BOOST_REQUIRE(a->lww_register<std::string>("noise").set(noise).has_value());
    add_to(b, "visits");
    s.expect_equal(120'000);
    BOOST_TEST(a.count("session.closed") + b.count("session.closed") == 0U);
    BOOST_TEST(peer_of(b, "a").bytes_in < 800'000U, "once");
    s.expect_sound();
}

BOOST_AUTO_TEST_CASE(a_full_disk_refuses_writes_until_there_is_space) {
    for (auto policy : {sync_policy::commit, sync_policy::interval, sync_policy::none}) {
        story s;
        auto& a = s.open("a", {"b"}, policy);
        auto& b = s.open("b", {"a"}, policy);
        add_to(a, "visits", 1);
        s.expect_equal();
        s.run_ms(20'000); // so that the next stamp needs a new ceiling in the identity file
        a.set_disk_fault(sim_fault{0, errc::disk_full, true});
        add_to(a, "visits", 10); // taken before anybody knew
        s.run_ms(500);
        BOOST_TEST(!a.failed());
        BOOST_TEST(a->status().value().disk_full);
        BOOST_TEST(count_of(b, "visits") == 1, "nothing is sent before it is logged");
        auto refused = a->transact([](transaction& t) { (void)t.counter("visits").increment(); });
        BOOST_REQUIRE(!refused.has_value());
        BOOST_TEST((refused.error().code == errc::disk_full));
        std::optional<errc> snapshot;
        a->snapshot([&](const result<snapshot_info>& done) {
            snapshot = done ? std::optional<errc>() : done.error().code;
        });
        add_to(b, "visits", 100);
        s.run_ms(2'000);
        BOOST_TEST((snapshot == errc::disk_full), "it does not wait for space");
        BOOST_TEST(count_of(a, "visits") == 11, "nothing is taken that cannot be logged");
        auto& c = s.open("c", {"a"}, policy);
        s.wait_until([&] { return count_of(c, "visits") == 1; }); // sending goes on
        a.set_disk_fault(std::nullopt);
        s.expect_equal();
        BOOST_TEST(count_of(b, "visits") == 111);
        BOOST_TEST(count_of(c, "visits") == 111);
        BOOST_TEST(!a->status().value().disk_full);
        s.expect_sound();
    }
}

BOOST_AUTO_TEST_CASE(a_start_on_a_full_disk_reads_and_sends_and_writes_once_there_is_space) {
    for (auto policy : {sync_policy::commit, sync_policy::interval}) {
        for (bool clean : {false, true}) {
            story s;
            auto& a = s.open("a", {"b"}, policy);
            auto& b = s.open("b", {"a"}, policy);
            add_to(a, "visits", 1);
            s.expect_equal();
            auto end_it = [&] {
                if (clean) {
                    (void)a.stop();
                } else {
                    a.kill(false);
                }
            };
            end_it();
            a.set_disk_fault(sim_fault{0, errc::disk_full, true, sim_operations::growth});
            for (int start = 0; start < 2; ++start) {
                if (start > 0) end_it();
                s.start(a);
                BOOST_TEST(a->status().value().disk_full);
                BOOST_TEST(count_of(a, "visits") == 1);
                auto refused =
                    a->transact([](transaction& t) { (void)t.counter("visits").increment(); });
                BOOST_REQUIRE(!refused.has_value());
                BOOST_TEST((refused.error().code == errc::disk_full));
            }
            add_to(b, "visits", 100);
            auto& c = s.open("c", {"a"}, policy);
            s.wait_until([&] { return count_of(c, "visits") == 1; }); // sending goes on
            s.run_ms(2'000);
            BOOST_TEST(count_of(a, "visits") == 1, "nothing is taken that cannot be logged");
            a.set_disk_fault(std::nullopt);
            s.wait_until([&] { return !a->status().value().disk_full; });
            add_to(a, "visits", 10);
            s.expect_equal();
            BOOST_TEST(count_of(c, "visits") == 111);
            a.kill(true);
            s.start(a);
            s.expect_equal();
            BOOST_TEST(count_of(a, "visits") == 111);
            s.expect_sound();
        }
    }
}

// Ceilings of the clock, snapshots and cuts of the log all need the identity file to be written again.
BOOST_AUTO_TEST_CASE(a_replica_at_work_waits_for_no_sync) {
    for (auto policy : {sync_policy::commit, sync_policy::interval}) {
        story s;
        host& a = s.add("a", {"b"}, policy);
        a.options().snapshot_log_bytes = 2'000;
        a.options().log_segment_bytes = 1'000;
        s.start(a);
        s.open("b", {"a"}, policy);
        s.expect_equal();
        std::uint64_t before = a.directory().waits();
        for (int i = 0; i < 200; ++i) {
            add_to(a, "visits");
            s.run_ms(100);
        }
        s.expect_equal();
        BOOST_TEST(a.count("snapshot.written") > 1U);
        BOOST_TEST(a->status().value().log_first > 0U);
        BOOST_TEST(a.directory().waits() == before);
        a.kill(true);
        s.start(a);
        add_to(a, "visits");
        s.expect_equal();
        s.expect_sound();
    }
}

BOOST_AUTO_TEST_CASE(a_member_that_syncs_rarely_still_says_what_is_durable) {
    story s;
    auto& a = s.open("a", {"b"});
    s.open("b", {"a"}, sync_policy::none);
    auto done = a->transact([](transaction& t) { (void)t.counter("visits").increment(); });
    BOOST_REQUIRE(done.has_value());
    std::optional<result<void>> outcome;
    done->when(ack_level::majority(), 20'000, [&](result<void> o) { outcome = std::move(o); });
    s.wait_until([&] { return outcome.has_value(); });
    BOOST_TEST(outcome->has_value());
}

// More than the tail that is kept in memory: the log is read from the disk, while more is asked for.
BOOST_AUTO_TEST_CASE(a_peer_far_behind_is_served_from_the_disk) {
    story s({.latency_us_min = 1'000,
             .latency_us_max = 1'000,
             .bytes_per_ms_min = 50'000,
             .bytes_per_ms_max = 50'000});
    auto& a = s.open("a", {"b", "c"});
    auto& b = s.open("b", {"a", "c"});
    s.expect_equal();
    std::string filler(limits::value_bytes_max / 2, 'x');
    std::size_t writes = 2 * (limits::log_tail_bytes_max / filler.size()) + 4;
    for (std::size_t i = 0; i < writes; ++i) {
        host& writer = i % 2 == 0 ? a : b;
        BOOST_REQUIRE(writer->lww_register("r" + std::to_string(i % 4)).set(filler));
        add_to(writer, "visits");
        s.run_ms(20);
    }
    s.expect_equal(120'000);
    auto& c = s.open("c", {"a", "b"});
    for (int cut = 0; cut < 4; ++cut) { // what c asks of whom changes again and again
        s.run_ms(40);
        s.network().cut("c", cut % 2 == 0 ? "b" : "a");
    }
    s.expect_equal(120'000);
    BOOST_TEST(count_of(c, "visits") == static_cast<std::int64_t>(writes));
    s.expect_sound();
}

BOOST_AUTO_TEST_CASE(runs_do_not_go_back_to_who_sent_them) {
    story s;
    auto& a = s.open("a", {"b"}, sync_policy::interval);
    auto& b = s.open("b", {"a"}, sync_policy::interval);
    s.wait_until([&] { return peer_of(a, "b").state == peer_state::active; });
    for (int i = 0; i < 50; ++i) {
        add_to(a, "visits");
        s.run_ms(7);
    }
    s.expect_equal();
    BOOST_TEST(peer_of(a, "b").duplicate_runs == 0U);
    BOOST_TEST(peer_of(b, "a").changes_out == 0U);
}

BOOST_AUTO_TEST_CASE(two_urls_of_one_member_do_not_take_turns) {
    story s;
    auto& a = s.add("a", {"b"});
    a.options().peers.push_back("sim:other");
    auto& b = s.add("b", {});
    b.options().listen.push_back("sim:other");
    s.start(b);
    s.start(a);
    s.run_ms(30'000);
    BOOST_TEST(a.count("session.closed") == 0U);
    BOOST_TEST(reported(a, "session.refused", "is linked as"));
    add_to(a, "visits");
    s.wait_until([&] { return count_of(b, "visits") == 1; });
}

BOOST_AUTO_TEST_SUITE_END()
