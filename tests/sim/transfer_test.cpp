#include "recovery/snapshot.hpp"
#include "replica/driver.hpp"
#include "tests/sim/story.hpp"

#include <algorithm>

// State transfer: a replica that no log reaches any more gets the state, and then the log from there on.
using namespace weft;
using namespace weft::sim;

namespace {

void write_many(story& s, host& where, int changes) {
    for (int i = 0; i < changes; ++i) {
        auto done = where->transact([&](transaction& t) {
            (void)t.counter("visits").increment(1);
            (void)t.set<std::string>("tags").add("tag " + std::to_string(i % 40));
            (void)t.lww_register<std::string>("last of " + where.name()).set(std::string(200, 'x'));
        });
        BOOST_REQUIRE(done.has_value());
        s.run_ms(5);
    }
}

// About `kib` KiB that do not compress.
void write_noise(story& s, host& where, int kib) {
    for (int i = 0; i < kib / 4; ++i) {
        std::string noise;
        while (noise.size() < 4'096) noise += static_cast<char>('!' + s.random().below(90));
        auto done = where->transact([&](transaction& t) {
            (void)t.lww_register<std::string>("noise " + std::to_string(i)).set(noise);
        });
        BOOST_REQUIRE(done.has_value());
    }
}

std::uint64_t floor_of(host& where) {
    replica_status status = where->status().value();
    std::uint64_t sum = 0;
    for (const auto& e : status.floor.entries()) sum += e.counter;
    return sum;
}

// `a` has dropped what `b`, which was down meanwhile, would need.
void leave_behind(story& s, host& a) {
    write_many(s, a, 150);
    s.wait_until([&] { return floor_of(a) > 0; });
    s.run_ms(2'000);
    BOOST_TEST(a->status().value().log_first > 0U);
    BOOST_TEST(reported(a, "log.limit", "b'"));
}

} // namespace

BOOST_AUTO_TEST_SUITE(simulated_state_transfer)

BOOST_AUTO_TEST_CASE(what_every_member_confirmed_is_dropped_from_the_log) {
    story s;
    auto& a = open_forgetful(s, "a", {"b"});
    auto& b = open_forgetful(s, "b", {"a"});
    a.options().log_bytes_max = b.options().log_bytes_max = std::uint64_t{1} << 30U;
    write_many(s, a, 200);
    s.expect_equal();
    s.run_ms(3'000);
    for (host* one : {&a, &b}) {
        replica_status status = (*one)->status().value();
        BOOST_TEST(status.log_first > 0U);
        BOOST_TEST(status.log_bytes < 15'000U);
        BOOST_TEST(!reported(*one, "log.limit"));
    }
    for (host* one : {&a, &b}) { // from snapshot and the rest of the log
        BOOST_REQUIRE(one->stop());
        s.start(*one);
    }
    s.expect_equal();
    BOOST_TEST(count_of(b, "visits") == 200);
    BOOST_TEST(!reported(b, "transfer.begin"));
    s.expect_sound();
}

BOOST_AUTO_TEST_CASE(a_member_that_confirmed_nothing_holds_the_log_and_status_says_so) {
    story s;
    host& a = s.add("a", {"b"});
    a.options().snapshot_log_bytes = 4'000;
    a.options().log_segment_bytes = 1'000;
    s.start(a);
    write_many(s, a, 150);
    s.run_ms(2'000);
    replica_status status = a->status().value();
    BOOST_TEST(status.log_first == 0U);
    BOOST_REQUIRE(status.log_held.size() == 2U);
    const held_log& unconfirmed = status.log_held[0];
    const held_log& needed = status.log_held[1];
    BOOST_TEST(unconfirmed.why == "not confirmed by 'sim:b'");
    BOOST_TEST(unconfirmed.first == 0U);
    BOOST_TEST(unconfirmed.end == needed.first);
    BOOST_TEST(unconfirmed.bytes > 1'000U);
    BOOST_TEST(needed.why == "what follows the oldest snapshot");
    BOOST_TEST(needed.first <= static_cast<std::uint64_t>(status.snapshots[0].what.at));
    BOOST_TEST(needed.end == status.log_runs);
    BOOST_TEST(unconfirmed.bytes + needed.bytes == status.log_bytes);
}

BOOST_AUTO_TEST_CASE(the_log_is_held_until_there_is_a_snapshot_to_fall_back_on_and_goes_then) {
    story s;
    host& a = s.add("a", {});
    a.options().log_segment_bytes = 1'000;
    s.start(a);
    for (std::size_t snapshots = 0; snapshots < limits::snapshots_kept; ++snapshots) {
        write_many(s, a, 50);
        replica_status before = a->status().value();
        BOOST_TEST(before.snapshots.size() == snapshots);
        BOOST_REQUIRE(before.log_held.size() == 1U);
        BOOST_TEST(before.log_held[0].why == "until there are two snapshots");
        BOOST_TEST(before.log_held[0].bytes == before.log_bytes);
        a->snapshot([](const result<snapshot_info>&) {});
        s.wait_until([&] { return a->status()->snapshots.size() > snapshots; });
    }
    s.run_ms(2'000);
    replica_status after = a->status().value();
    BOOST_REQUIRE(after.log_held.size() == 1U);
    BOOST_TEST(after.log_held[0].why == "what follows the oldest snapshot");
    BOOST_TEST(after.log_held[0].first > 0U);
    BOOST_TEST(after.snapshots[0].why == "to fall back on if the newest is damaged");
    BOOST_TEST(after.snapshots[1].why == "what a start reads");
}

BOOST_AUTO_TEST_CASE(a_replica_without_its_disk_gets_the_state) {
    story s;
    auto& a = open_forgetful(s, "a", {"b"});
    auto& b = open_forgetful(s, "b", {"a"});
    write_many(s, a, 10);
    s.expect_equal();
    b.kill(true);
    leave_behind(s, a);
    b.replace_directory(std::make_unique<sim_directory>(fresh_facts(99), "b"));
    s.start(b);
    add_to(b, "visits", 1'000);
    s.wait_until([&] { return reported(b, "transfer.done"); });
    write_many(s, b, 5);
    s.expect_equal();
    BOOST_TEST(count_of(b, "visits") == 1'165);
    BOOST_TEST(floor_of(b) > 0U);
    BOOST_REQUIRE(b.stop());
    s.start(b);
    BOOST_TEST(count_of(b, "visits") == 1'165, "the joined state was its snapshot");
    s.expect_equal();
    s.expect_sound();
}

BOOST_AUTO_TEST_CASE(what_was_removed_stays_removed_and_what_was_not_sent_survives) {
    story s;
    auto& a = open_forgetful(s, "a", {"b"});
    auto& b = open_forgetful(s, "b", {"a"});
    (void)a->transact([](transaction& t) {
        (void)t.set<std::string>("set").add("removed by a");
        (void)t.set<std::string>("set").add("removed by b");
        (void)t.set<std::string>("set").add("kept");
        (void)t.lww_register<std::string>("deleted").set("once");
    });
    s.expect_equal();
    std::vector<std::string> alone{"b"};
    s.partition(alone, sim_partition::lose);
    (void)a->transact([](transaction& t) {
        (void)t.set<std::string>("set").remove_element("removed by a");
        (void)t.remove("deleted");
    });
    (void)b->transact([](transaction& t) {
        (void)t.set<std::string>("set").remove_element("removed by b");
        (void)t.set<std::string>("set").add("of b");
        (void)t.counter("visits").increment(7);
    });
    leave_behind(s, a);
    s.network().heal_all();
    s.wait_until([&] { return reported(b, "transfer.done"); }, 60'000);
    s.expect_equal();
    for (host* one : {&a, &b}) {
        auto set = (*one)->set<std::string>("set").elements().value();
        BOOST_TEST(set.size() == 2U);
        BOOST_TEST(count_of(*one, "visits") == 157);
        BOOST_TEST(!(*one)->lww_register<std::string>("deleted").get().value().has_value());
    }
    s.expect_sound();
}

// Both kept so little that neither log reaches the other.
BOOST_AUTO_TEST_CASE(two_that_left_each_other_behind_fetch_both_states) {
    story s;
    auto& a = open_forgetful(s, "a", {"b"});
    auto& b = open_forgetful(s, "b", {"a"});
    s.expect_equal();
    std::vector<std::string> alone{"b"};
    s.partition(alone, sim_partition::lose);
    write_many(s, a, 150);
    write_many(s, b, 150);
    s.run_ms(2'000);
    s.network().heal_all();
    s.wait_until([&] { return reported(a, "transfer.done") && reported(b, "transfer.done"); });
    write_many(s, a, 3);
    s.expect_equal();
    BOOST_TEST(count_of(a, "visits") == 303);
    s.expect_sound();
}

// A link that is cut again and again: the transfer goes on where it was.
BOOST_AUTO_TEST_CASE(a_transfer_goes_on_where_its_link_was_cut) {
    story s({.latency_us_min = 1'000,
             .latency_us_max = 1'000,
             .bytes_per_ms_min = 200,
             .bytes_per_ms_max = 200});
    auto& a = open_forgetful(s, "a", {"b"});
    auto& b = open_forgetful(s, "b", {"a"});
    write_noise(s, a, 1'600);
    b.kill(true);
    leave_behind(s, a);
    b.replace_directory(std::make_unique<sim_directory>(fresh_facts(99), "b"));
    s.start(b);
    bool killed = false;
    int cuts = 0;
    std::uint64_t most = 0, least_after_cut = UINT64_MAX;
    for (; !reported(b, "transfer.done") && cuts < 60; ++cuts) {
        s.run_ms(1'500);
        if (reported(b, "transfer.done")) break;
        if (auto now = b->status().value().transfer) {
            if (cuts > 0 && most > 0) least_after_cut = std::min(least_after_cut, now->bytes);
            most = std::max(most, now->bytes);
        }
        add_to(a, "visits");
        if (cuts == 3) { // a process's death is such a cut too
            b.kill(false);
            s.start(b);
            killed = true;
            continue;
        }
        s.network().cut("a", "b");
    }
    BOOST_TEST(killed);
    BOOST_TEST(cuts < 60);
    BOOST_TEST(least_after_cut > 0U);
    BOOST_TEST(!reported(b, "transfer.anew"));
    BOOST_TEST(reported(b, "transfer.begin", "from where it was cut"));
    BOOST_TEST(b.count("transfer.begin") == 2U, "once in each life");
    s.expect_equal(60'000);
    s.expect_sound();
}

namespace {

// A state of some 320 KiB at `a`, ten pieces and more, on a link that takes a second and more for it; `b` has
// nothing.
struct small_transfer : story {
    small_transfer()
        : story({.latency_us_min = 1'000,
                 .latency_us_max = 1'000,
                 .bytes_per_ms_min = 200,
                 .bytes_per_ms_max = 200}) {
        write_noise(*this, a, 320);
        b.kill(true);
        leave_behind(*this, a);
        b.replace_directory(std::make_unique<sim_directory>(fresh_facts(99), "b"));
    }
    [[nodiscard]] std::uint64_t came() const {
        auto now = b->status().value().transfer;
        return now ? now->bytes : 0;
    }

    host& a = open_forgetful(*this, "a", {"b"});
    host& b = open_forgetful(*this, "b", {"a"});
};

} // namespace

// Meanwhile newer snapshots are taken; the one that is fetched stays.
BOOST_AUTO_TEST_CASE(a_transfer_that_is_cut_at_every_piece_goes_on_with_the_same_snapshot) {
    small_transfer s;
    s.start(s.b);
    int cuts = 0;
    std::uint64_t most = 0;
    std::size_t before = s.a.count("snapshot.written");
    while (!reported(s.b, "transfer.done") && cuts < 60) {
        s.wait_until([&] { return s.came() > most || reported(s.b, "transfer.done"); }, 60'000);
        if (s.came() <= most) break;
        most = s.came();
        s.network().cut("a", "b");
        ++cuts;
        BOOST_TEST(s.came() == most);
        write_many(s, s.a, 30); // two snapshots
        BOOST_TEST(s.came() >= most);
    }
    BOOST_TEST(cuts >= 10);
    s.wait_until([&] { return reported(s.b, "transfer.done"); }, 60'000);
    BOOST_TEST(s.a.count("snapshot.written") >= before + 4);
    BOOST_TEST(s.b.count("transfer.begin") == 1U);
    BOOST_TEST(!reported(s.b, "transfer.anew"));
    s.expect_equal(60'000);
    s.wait_until([&] { return s.a->status().value().snapshots.size() == 2; }, 60'000);
    s.expect_sound();
}

// Most of a transfer is to verify and to join: a process that ends there has all that it needs.
BOOST_AUTO_TEST_CASE(a_state_that_came_whole_is_not_fetched_again_after_a_kill) {
    for (bool torn : {false, true}) { // also of a power cut, which may take what was not synced
        small_transfer s;
        s.start(s.b);
        s.b.set_sync_ms(200, 200); // so that the joined state is still being written
        std::uint64_t total = 0;
        s.wait_until(
            [&] {
                auto now = s.b->status().value().transfer;
                total = now ? now->bytes_total : total;
                return total > 0 && now && now->bytes == total;
            },
            60'000);
        s.b.kill(torn);
        std::uint64_t sent = peer_of(s.a, "b").bytes_out;
        s.start(s.b);
        s.wait_until([&] { return reported(s.b, "transfer.done"); }, 60'000);
        if (!torn) BOOST_TEST(peer_of(s.a, "b").bytes_out - sent < total / 2);
        if (!torn) BOOST_TEST(reported(s.b, "transfer.begin", "from where it was cut"));
        s.expect_equal(60'000);
        s.expect_sound();
    }
}

// The joined state was a snapshot already, and what came of the other was still there.
BOOST_AUTO_TEST_CASE(a_state_that_was_joined_before_a_kill_is_removed) {
    small_transfer s;
    auto staged = [&] {
        auto names = s.b.directory().names();
        return std::any_of(names.begin(), names.end(),
                           [](const auto& name) { return name.starts_with("transfer-"); });
    };
    auto joined = [&] {
        auto names = s.b.directory().names();
        return std::any_of(names.begin(), names.end(), [](const auto& name) {
            return name.starts_with("snapshot-") && name.ends_with(".weft");
        });
    };
    s.start(s.b);
    s.b.set_sync_ms(50, 50);
    s.wait_until(joined, 60'000);
    BOOST_TEST(staged());
    s.b.kill(false);
    s.start(s.b);
    s.expect_equal(60'000);
    BOOST_TEST(!staged());
    s.expect_sound();
}

BOOST_AUTO_TEST_CASE(a_snapshot_waits_so_long_for_who_was_fetching_it_and_then_another_is_fetched) {
    small_transfer s;
    s.start(s.b);
    s.wait_until([&] { return s.came() > 100'000; });
    s.partition(std::vector<std::string>{"a"}, sim_partition::lose);
    write_many(s, s.a, 60);
    s.run_ms(limits::transfer_return_ms_max / 2);
    write_many(s, s.a, 60);
    BOOST_TEST(s.a->status().value().snapshots.size() == 3U);
    BOOST_TEST(s.a->status().value().snapshots[0].why == "fetched by 'b'");
    s.run_ms(limits::transfer_return_ms_max / 2 + 10'000);
    write_many(s, s.a, 1);
    BOOST_TEST(s.a->status().value().snapshots.size() == 2U);
    s.network().heal_all();
    s.wait_until([&] { return reported(s.b, "transfer.done"); }, 60'000);
    BOOST_TEST(s.b.count("transfer.anew") == 1U);
    s.expect_equal(60'000);
    s.expect_sound();
}

// A byte flips while the replica runs. It is not sent; the file is put aside, and a good one sent.
BOOST_AUTO_TEST_CASE(a_snapshot_that_rots_is_not_served_but_replaced) {
    small_transfer s;
    auto newest = s.a->status().value().snapshots.back().what.at;
    std::string name = snapshot_name(newest);
    bytes content = s.a.directory().contents(name);
    content[content.size() / 2] ^= std::byte{1};
    s.a.directory().alter(name, content);
    s.start(s.b);
    s.wait_until([&] { return reported(s.b, "transfer.done"); }, 60'000);
    BOOST_TEST(s.a.count("snapshot.damaged") == 1U);
    BOOST_TEST(reported(s.a, "snapshot.damaged", name + ": damaged at byte "));
    BOOST_CHECK(s.a.directory().contents(name + ".damaged") == content);
    BOOST_TEST(!reported(s.b, "transfer.failed"));
    s.expect_equal(60'000);
    BOOST_REQUIRE(s.a.stop());
    s.start(s.a);
    BOOST_TEST(!reported(s.a, "file.missing"));
    s.expect_equal(60'000);
    s.expect_sound();
}

// What came is not what was sent: it is thrown away, and another attempt brings it.
BOOST_AUTO_TEST_CASE(a_state_that_was_damaged_on_its_way_is_thrown_away) {
    story s({.latency_us_min = 1'000,
             .latency_us_max = 1'000,
             .bytes_per_ms_min = 100,
             .bytes_per_ms_max = 100});
    auto& a = open_forgetful(s, "a", {"b"});
    auto& b = open_forgetful(s, "b", {"a"});
    write_noise(s, a, 200);
    b.kill(true);
    leave_behind(s, a);
    b.replace_directory(std::make_unique<sim_directory>(fresh_facts(99), "b"));
    s.start(b);
    auto staged = [&]() -> std::optional<std::string> {
        for (const std::string& name : b.directory().names()) {
            if (name.starts_with("transfer-") && b.directory().contents(name).size() > 1'000)
                return name;
        }
        return std::nullopt;
    };
    s.wait_until([&] { return staged().has_value(); });
    b.kill(false);
    auto name = staged();
    bytes content = b.directory().contents(*name);
    content[content.size() / 2] ^= std::byte{1};
    b.directory().overwrite(*name, content);
    s.start(b);
    s.wait_until([&] { return reported(b, "transfer.failed", "damaged at byte"); }, 60'000);
    BOOST_TEST(count_of(b, "visits") == 0, "nothing of it was taken");
    BOOST_TEST(!reported(b, "session.blocked"), "this disk may have done it, not the peer");
    s.wait_until([&] { return reported(b, "transfer.done"); }, 60'000);
    s.expect_equal();
    BOOST_TEST(!staged().has_value());
}

// One change of 1.2 MB takes twelve seconds, and nothing else arrives meanwhile.
BOOST_AUTO_TEST_CASE(a_large_frame_on_a_slow_link_is_no_silence) {
    story s({.latency_us_min = 1'000,
             .latency_us_max = 1'000,
             .bytes_per_ms_min = 100,
             .bytes_per_ms_max = 100});
    auto& a = s.open("a", {"b"});
    auto& b = s.open("b", {});
    s.expect_equal();
    auto done = a->transact([&](transaction& t) {
        for (int i = 0; i < 300; ++i) {
            std::string noise;
            while (noise.size() < 4'096) noise += static_cast<char>('!' + s.random().below(90));
            (void)t.lww_register<std::string>("noise " + std::to_string(i)).set(noise);
        }
    });
    BOOST_REQUIRE(done.has_value());
    s.expect_equal();
    BOOST_TEST(!reported(b, "session.closed"));
    s.expect_sound();
}

// While the state is under way, a third one's log brings the same.
BOOST_AUTO_TEST_CASE(a_transfer_that_another_log_made_needless_ends) {
    story s({.latency_us_min = 1'000,
             .latency_us_max = 1'000,
             .bytes_per_ms_min = 20,
             .bytes_per_ms_max = 20});
    auto& a = open_forgetful(s, "a", {"b", "c"});
    auto& c = s.open("c", {"a", "b"});
    auto& b = open_forgetful(s, "b", {});
    write_noise(s, a, 800);
    s.expect_equal(120'000);
    b.kill(true);
    leave_behind(s, a);
    s.wait_until([&] { return c.applied() == a.applied(); }, 120'000);
    std::vector<std::string> alone{"c"};
    s.partition(alone, sim_partition::lose);
    b.replace_directory(std::make_unique<sim_directory>(fresh_facts(99), "b"));
    s.start(b);
    s.wait_until([&] { return reported(b, "transfer.begin"); });
    s.run_ms(1'000);
    s.network().heal_all();
    s.partition(std::vector<std::string>{"a"}, sim_partition::lose);
    s.wait_until([&] { return b.applied() == c.applied(); }, 300'000);
    s.network().heal_all();
    s.wait_until([&] { return reported(b, "transfer.needless"); });
    BOOST_TEST(!reported(b, "transfer.done"));
    for (const std::string& name : b.directory().names())
        BOOST_TEST(!name.starts_with("transfer-"), name);
    s.expect_equal(120'000);
    s.expect_sound();
}

// The state's stamps are an hour ahead: they are taken, but here the clock stays, also over a restart.
BOOST_AUTO_TEST_CASE(a_state_does_not_bring_the_clock_of_its_peer) {
    story s;
    auto& a = open_forgetful(s, "a", {"b"});
    auto& b = open_forgetful(s, "b", {"a"});
    s.expect_equal();
    b.kill(true);
    BOOST_REQUIRE(a.stop());
    a.set_skew_ms(3'600'000);
    s.start(a);
    leave_behind(s, a);
    b.replace_directory(std::make_unique<sim_directory>(fresh_facts(99), "b"));
    s.start(b);
    s.wait_until([&] { return reported(b, "transfer.done"); });
    for (bool again : {false, true}) {
        if (again) {
            BOOST_REQUIRE(b.stop());
            s.start(b);
        }
        BOOST_REQUIRE(b->lww_register("name").set("now"));
        s.expect_equal();
        BOOST_TEST(b.seen().back().stamp.ms() < 1'767'225'600'000 + 120'000U);
    }
    s.expect_sound();
}

// It dials, so nobody is configured here who would know of it after a restart.
BOOST_AUTO_TEST_CASE(a_member_that_dials_finds_its_log_after_the_hub_restarted) {
    story s;
    auto& hub = open_forgetful(s, "hub", {});
    hub.options().log_bytes_max = std::uint64_t{1} << 30U;
    auto& b = s.open("b", {"hub"});
    add_to(b, "visits");
    s.expect_equal();
    BOOST_REQUIRE(b.stop());
    BOOST_REQUIRE(hub.stop());
    s.start(hub);
    write_many(s, hub, 150);
    s.run_ms(10'000);
    write_many(s, hub, 1);
    BOOST_TEST(hub->status().value().log_first == 0U);
    std::string held = hub->status().value().log_held.at(0).why;
    BOOST_TEST(held.find("did not come back") != std::string::npos, held);
    s.start(b);
    s.expect_equal();
    BOOST_TEST(!reported(b, "transfer.begin"));
    write_many(s, hub, 5);
    s.wait_until([&] { return hub->status().value().log_first > 0U; });

    BOOST_REQUIRE(b.stop());
    BOOST_REQUIRE(hub.stop());
    s.start(hub);
    write_many(s, hub, 150);
    auto before = hub->status().value().log_first;
    s.run_ms(limits::members_return_ms);
    write_many(s, hub, 1);
    s.wait_until([&] { return hub->status().value().log_first > before; });
    s.start(b);
    s.expect_equal();
    BOOST_TEST(b.count("transfer.done") == 1U);
    s.expect_sound();
}

// What a state would look like that was joined and written just before the process died, and that our own
// log turns out not to continue: two histories under one id.
BOOST_AUTO_TEST_CASE(a_snapshot_that_the_log_does_not_continue_goes_if_nothing_relies_on_it) {
    story s;
    host& a = s.add("a", {});
    s.start(a);
    write_many(s, a, 20);
    auto take = [&] {
        bool written = false;
        a->snapshot([&](const result<snapshot_info>& done) { written = done.has_value(); });
        s.wait_until([&] { return written; });
    };
    take();
    write_many(s, a, 20);
    take();
    write_many(s, a, 20);
    BOOST_REQUIRE(a.stop());

    sim_timeline all;
    sim_time time(all, 0, 0);
    sim_loop run(all, time);
    {
        sim_disk files(a.directory(), run, time, [] { return 0; });
        auto kept = list_snapshots(files);
        BOOST_REQUIRE((kept && kept->size() == 2U));
        state_image forged;
        auto header =
            read_snapshot(files, kept->back().at, a.options().cluster, [&](image_part&& part) {
                forged.objects.load(part.path, part.type, std::move(part.fragment));
                return result<void>{};
            });
        BOOST_REQUIRE(header.has_value());
        forged.header = *header;
        forged.header.origins.at(0).last = run_hash{4711};
        BOOST_REQUIRE(write_snapshot_now(files, forged));
    }
    s.start(a);
    BOOST_TEST(reported(a, "snapshot.damaged", "two histories"));
    BOOST_TEST(count_of(a, "visits") == 60);
    add_to(a, "visits");
    BOOST_REQUIRE(a.stop());
    s.start(a);
    BOOST_TEST(count_of(a, "visits") == 61);
    BOOST_TEST(a.count("snapshot.damaged") == 1U);
}

BOOST_AUTO_TEST_CASE(subscribers_are_told_once_which_keys_read_otherwise) {
    story s;
    auto& a = open_forgetful(s, "a", {"b"});
    auto& b = open_forgetful(s, "b", {});
    b.kill(true);
    leave_behind(s, a);
    b.replace_directory(std::make_unique<sim_directory>(fresh_facts(99), "b"));
    s.start(b);
    (void)b->transact([](transaction& t) { (void)t.lww_register<std::string>("own").set("b's"); });
    std::vector<std::vector<std::string>> told;
    auto subscribed = b->subscribe_prefix("", [&](const change_event& change) {
        if (change.first.counter > 0) return;
        told.emplace_back();
        for (const object_change& o : change.objects) told.back().push_back(o.key + " " + o.what);
    });
    BOOST_REQUIRE(subscribed.has_value());
    s.wait_until([&] { return reported(b, "transfer.done"); });
    BOOST_REQUIRE(told.size() == 1U);
    BOOST_TEST(told[0] ==
                   (std::vector<std::string>{"last of a state", "tags state", "visits state"}),
               boost::test_tools::per_element());
    s.expect_equal();
    s.expect_sound();
}

BOOST_AUTO_TEST_CASE(of_a_large_state_subscribers_are_told_a_slice_at_a_time) {
    story s;
    auto& a = open_forgetful(s, "a", {"b"});
    auto& b = open_forgetful(s, "b", {});
    b.kill(true);
    constexpr int keys = 2'500;
    (void)a->transact([&](transaction& t) {
        for (int i = 0; i < keys; ++i) (void)t.counter("k" + std::to_string(i)).increment();
    });
    leave_behind(s, a);
    b.replace_directory(std::make_unique<sim_directory>(fresh_facts(99), "b"));
    s.start(b);
    std::vector<std::string> told;
    std::vector<instant> when;
    auto subscribed = b->subscribe_prefix("k", [&](const change_event& change) {
        if (change.first.counter > 0) return;
        BOOST_TEST(change.objects.size() <= limits::state_keys_told_max);
        for (const object_change& o : change.objects) told.push_back(o.key);
        when.push_back(b->engine().now());
    });
    BOOST_REQUIRE(subscribed.has_value());
    s.wait_until([&] { return told.size() == keys; });
    std::sort(told.begin(), told.end());
    BOOST_TEST((std::unique(told.begin(), told.end()) == told.end()));
    BOOST_REQUIRE(when.size() == 3U);
    for (std::size_t i = 1; i < when.size(); ++i)
        BOOST_TEST(when[i].ms_since(when[i - 1]) >= limits::state_keys_ms);
    s.expect_equal();
    s.expect_sound();
}

BOOST_AUTO_TEST_SUITE_END()
