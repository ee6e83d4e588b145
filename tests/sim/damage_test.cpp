#include "tests/sim/story.hpp"

#include <algorithm>
#include <map>

// Files of a directory that change, shrink, vanish or come from elsewhere: found, named, never served, and
// repaired.
using namespace weft;
using namespace weft::sim;

namespace {

using contents = std::map<std::string, bytes>;

contents all_of(const sim_directory& directory) {
    contents out;
    for (const auto& name : directory.names()) out[name] = directory.contents(name);
    return out;
}

host& open_small(story& s, const std::string& name, const std::vector<std::string>& peers,
                 const std::string& cluster = "sim") {
    host& fresh = s.add(name, peers);
    fresh.options().cluster = cluster;
    fresh.options().snapshot_log_bytes = 0;
    fresh.options().log_segment_bytes = 300;
    s.start(fresh);
    return fresh;
}

void snapshot(story& s, host& of) {
    bool written = false;
    of->snapshot([&written](const result<snapshot_info>& done) { written = done.has_value(); });
    s.wait_until([&written] { return written; });
}

// A replica by itself whose log was cut: it begins behind two snapshots.
host& open_cut(story& s) {
    auto& a = open_small(s, "a", {});
    a.options().log_bytes_max = 1'200;
    BOOST_REQUIRE(a.stop());
    s.start(a);
    for (int i = 0; i < 30; ++i) {
        add_to(a, "visits");
        s.run_ms(20);
        if (i % 10 == 9) snapshot(s, a);
    }
    s.wait_until([&] { return a->status().value().log_first > 0; });
    return a;
}

std::vector<std::string> snapshots_of(host& where) {
    auto names = where.directory().names();
    std::erase_if(names, [](const std::string& name) { return !name.starts_with("snapshot-"); });
    return names;
}

// A bit in the middle of that file.
void flip(host& where, const std::string& name) {
    bytes content = where.directory().contents(name);
    content[content.size() / 2] ^= std::byte{1};
    where.directory().alter(name, std::move(content));
}

// A replica by itself: a few segments, two snapshots, and log behind them; stopped.
host& make_directory(story& s, const std::string& name, const std::string& cluster = "sim") {
    host& a = open_small(s, name, {}, cluster);
    for (int i = 0; i < 9; ++i) {
        add_to(a, "visits");
        s.run_ms(20);
        if (i == 2 || i == 5) snapshot(s, a);
    }
    BOOST_REQUIRE(a.stop());
    return a;
}

bool warned(const host& one, const std::string& words) {
    return std::any_of(one.events().begin(), one.events().end(), [&](const log_event& e) {
        return e.level >= severity::warning && e.text.find(words) != std::string::npos;
    });
}

// One damaged directory, opened by itself, and repaired if it does not open.
struct patient : cluster {
    patient(const host& like, std::unique_ptr<sim_directory> directory)
        : cluster({.seed = seeds::unit + 1}), a(add(like.name(), {})) { // so that new ids are new
        a.options() = like.options();
        a.options().listen = {};
        a.replace_directory(std::move(directory));
    }

    // It does not open, and is left as it was.
    void expect_refused(const std::string& words, bool with_offset = true) {
        auto before = all_of(a.directory());
        auto started = a.start();
        BOOST_REQUIRE(!started.has_value());
        const std::string& text = started.error().detail;
        BOOST_TEST(text.find(words) != std::string::npos, text);
        if (with_offset) BOOST_TEST(text.find("byte ") != std::string::npos, text);
        if (with_offset) BOOST_TEST(text.find("weft repair") != std::string::npos, text);
        BOOST_CHECK(all_of(a.directory()) == before);
    }
    // What was there is still there, under other names; what is good is read, under a new id; what is not
    // is named.
    repair_report expect_repaired(replica_id id, std::uint64_t changes) {
        auto before = all_of(a.directory());
        auto planned = a.repair(true);
        BOOST_REQUIRE(planned.has_value());
        BOOST_CHECK(all_of(a.directory()) == before);
        auto done = a.repair();
        BOOST_REQUIRE_MESSAGE(done.has_value(), (done ? "" : done.error().detail));
        BOOST_TEST(done->needed);
        BOOST_TEST(!done->found.empty());
        BOOST_CHECK(done->found == planned->found);
        auto after = all_of(a.directory());
        for (const auto& [name, content] : before) {
            bool kept = std::any_of(after.begin(), after.end(),
                                    [&](const auto& e) { return e.second == content; });
            BOOST_TEST((kept || name.starts_with("identity.weft")), name);
        }
        story::start(a);
        BOOST_TEST((a->id() != id));
        auto visits = static_cast<std::uint64_t>(count_of(a, "visits"));
        BOOST_TEST(a.applied().at(id) == visits);
        BOOST_TEST(done->kept.at(id) == visits);
        auto own = std::find_if(done->gaps.begin(), done->gaps.end(),
                                [&](const auto& g) { return g.origin == id; });
        if (own != done->gaps.end()) {
            BOOST_TEST(own->own);
            BOOST_TEST(own->first == visits + 1);
            BOOST_TEST((own->end == changes + 1 || !done->end_known));
        } else {
            BOOST_TEST((visits == changes || !done->end_known));
        }
        add_to(a, "visits");
        BOOST_REQUIRE(a.stop());
        story::start(a);
        BOOST_TEST(static_cast<std::uint64_t>(count_of(a, "visits")) == visits + 1);
        return *done;
    }

    host& a;
};

struct sample {
    // The same disk, but for one file.
    [[nodiscard]] std::unique_ptr<patient> with(const std::string& name,
                                                std::optional<bytes> content) const {
        auto copy = a.directory().copy(a.directory().facts());
        if (content) {
            copy->alter(name, std::move(*content));
        } else {
            copy->erase(name);
        }
        return std::make_unique<patient>(a, std::move(copy));
    }
    [[nodiscard]] std::vector<std::string> names(std::string_view prefix) const {
        std::vector<std::string> out = a.directory().names();
        std::erase_if(out, [&](const std::string& name) { return !name.starts_with(prefix); });
        return out;
    }

    story s;
    host& a = make_directory(s, "a");
    replica_id id = parse_replica_id(a.events().front().text.substr(0, 16)).value(); // identity.new
};

// Every way in which one file may be wrong: each byte flipped, each length, not there.
template <class Check>
void for_each_damage(const sample& good, const std::string& name, Check check) {
    const bytes& whole = good.a.directory().contents(name);
    for (std::size_t i = 0; i < whole.size(); ++i) {
        bytes flipped = whole;
        flipped[i] ^= std::byte{0x41};
        BOOST_TEST_CONTEXT(name << " byte " << i) { check(*good.with(name, flipped), i); }
        bytes part(whole.begin(), whole.begin() + static_cast<std::ptrdiff_t>(i));
        BOOST_TEST_CONTEXT(name << " cut to " << i) { check(*good.with(name, part), i); }
    }
}

} // namespace

BOOST_AUTO_TEST_SUITE(simulated_damage)

// After a clean stop all is known to be durable, so nothing may be taken for a torn tail.
BOOST_AUTO_TEST_CASE(a_damaged_segment_is_refused_and_repaired) {
    sample good;
    auto segments = good.names("log-");
    BOOST_TEST(segments.size() >= 3U);
    for (const std::string& name : segments) {
        for_each_damage(good, name, [&](patient& one, std::size_t) {
            one.expect_refused(name);
            auto report = one.expect_repaired(good.id, 9);
            BOOST_TEST(report.found.front().find(name) != std::string::npos);
        });
        auto missing = good.with(name, std::nullopt);
        if (name == segments.front()) { // a snapshot has it all
            story::start(missing->a);
            BOOST_TEST(warned(missing->a, name + " is missing"));
            BOOST_TEST(count_of(missing->a, "visits") == 9);
            BOOST_REQUIRE(missing->a.stop());
            story::start(missing->a);
            BOOST_TEST(missing->a.count("file.missing") == 1U, "said once");
            continue;
        }
        missing->expect_refused(name + " is missing", false);
        missing->expect_repaired(good.id, 9);
    }
}

BOOST_AUTO_TEST_CASE(a_damaged_snapshot_is_named_and_kept_and_an_older_one_read) {
    sample good;
    auto snapshots = good.names("snapshot-");
    BOOST_REQUIRE(snapshots.size() == 2U);
    for_each_damage(good, snapshots.back(), [&](patient& one, std::size_t) {
        auto before = one.a.directory().contents(snapshots.back());
        story::start(one.a);
        BOOST_TEST((one.a->id() == good.id));
        BOOST_TEST(count_of(one.a, "visits") == 9);
        BOOST_TEST(warned(one.a, snapshots.back() + ": damaged at byte "));
        BOOST_CHECK(one.a.directory().contents(snapshots.back() + ".damaged") == before);
    });
    for (const std::string& name : snapshots) {
        auto missing = good.with(name, std::nullopt); // the log has it all
        story::start(missing->a);
        BOOST_TEST(warned(missing->a, name + " is missing"));
        BOOST_TEST((missing->a->id() == good.id));
        BOOST_TEST(count_of(missing->a, "visits") == 9);
    }
}

// Nothing reads it unless the newest is damaged: so it is looked at while the replica runs.
BOOST_AUTO_TEST_CASE(a_damaged_older_snapshot_is_named_and_kept_and_another_taken) {
    sample good;
    std::string older = good.names("snapshot-").front();
    for_each_damage(good, older, [&](patient& one, std::size_t) {
        auto before = one.a.directory().contents(older);
        story::start(one.a);
        BOOST_TEST((one.a->id() == good.id));
        BOOST_TEST(count_of(one.a, "visits") == 9);
        one.run_ms(50);
        add_to(one.a, "visits");
        BOOST_REQUIRE(one.run_until(
            [&] {
                return one.a.count("snapshot.damaged") == 1 && one.a.count("snapshot.written") > 0;
            },
            1'000));
        BOOST_TEST(warned(one.a, older + ": damaged at byte "));
        BOOST_CHECK(one.a.directory().contents(older + ".damaged") == before);
        BOOST_TEST(one.a->status().value().snapshots.size() == 2U);
    });
}

// Where nothing was written since the newest, there is nothing to write yet.
BOOST_AUTO_TEST_CASE(a_damaged_older_snapshot_of_a_quiet_replica_is_replaced_with_the_next_change) {
    story s;
    auto& a = open_small(s, "a", {});
    for (int i = 0; i < 2; ++i) {
        add_to(a, "visits");
        snapshot(s, a);
    }
    BOOST_REQUIRE(a.stop());
    std::string older = snapshots_of(a).front();
    flip(a, older);
    s.start(a);
    s.wait_until([&] { return a.count("snapshot.damaged") == 1; });
    snapshot(s, a);
    s.run_ms(5'000);
    BOOST_TEST(a->status().value().snapshots.size() == 1U);
    add_to(a, "visits");
    s.wait_until([&] { return a->status().value().snapshots.size() == 2U; });
}

// The log does not reach back before them any more.
BOOST_AUTO_TEST_CASE(damaged_snapshots_that_a_cut_log_needs_are_named_in_the_refusal) {
    story s;
    auto& a = open_cut(s);
    BOOST_REQUIRE(a.stop());
    auto names = snapshots_of(a);
    BOOST_TEST(names.size() == 2U);
    for (const std::string& name : names) flip(a, name);
    auto refused = a.start();
    BOOST_REQUIRE(!refused.has_value());
    const std::string& text = refused.error().detail;
    BOOST_CHECK(refused.error().code == errc::log_damaged);
    for (const std::string& name : names)
        BOOST_TEST(text.find(name + ": damaged at byte ") != std::string::npos, text);
    BOOST_TEST(text.find("'weft repair'") != std::string::npos, text);
    BOOST_REQUIRE(a.repair().has_value());
    s.start(a);
}

// The snapshot that the log's beginning needs, and the segment that it needs: each is named.
BOOST_AUTO_TEST_CASE(what_is_missing_and_needed_is_named_in_the_refusal) {
    story s;
    auto& a = open_cut(s);
    BOOST_REQUIRE(a.stop());
    auto names = snapshots_of(a);
    BOOST_TEST(names.size() == 2U);
    for (const std::string& name : names) a.directory().erase(name);
    auto refused = a.start();
    BOOST_REQUIRE(!refused.has_value());
    for (const std::string& name : names)
        BOOST_TEST(refused.error().detail.find(name + " is missing") != std::string::npos,
                   refused.error().detail);
    auto report = a.repair();
    BOOST_REQUIRE(report.has_value());
    BOOST_TEST(report->found.front().find(names.front()) != std::string::npos);
}

BOOST_AUTO_TEST_CASE(a_damaged_or_missing_identity_is_named_and_replaced) {
    sample good;
    for_each_damage(good, "identity.weft", [&](patient& one, std::size_t) {
        story::start(one.a);
        BOOST_TEST(warned(one.a, "identity.weft: damaged at byte "));
        BOOST_TEST((one.a->id() != good.id));
        BOOST_TEST(count_of(one.a, "visits") == 9);
    });
    auto missing = good.with("identity.weft", std::nullopt);
    story::start(missing->a);
    BOOST_TEST(warned(missing->a, "no readable identity file"));
    BOOST_TEST((missing->a->id() != good.id));
    BOOST_TEST(count_of(missing->a, "visits") == 9);
}

BOOST_AUTO_TEST_CASE(a_file_of_another_cluster_is_refused_and_repaired) {
    sample good;
    story other;
    auto& foreign = make_directory(other, "a", "another");
    for (const std::string& name : good.names("")) {
        BOOST_TEST_CONTEXT(name) {
            auto swapped = good.with(name, foreign.directory().contents(name));
            swapped->expect_refused("'another'", false);
            swapped->expect_repaired(good.id, 9);
        }
    }
    // All of it: then nothing is damaged, but the option is wrong.
    patient all(good.a, foreign.directory().copy(foreign.directory().facts()));
    all.expect_refused("'another'", false);
    auto before = all_of(all.a.directory());
    auto refused = all.a.repair();
    BOOST_REQUIRE(!refused.has_value());
    BOOST_TEST((refused.error().code == errc::wrong_cluster));
    BOOST_CHECK(all_of(all.a.directory()) == before);
}

BOOST_AUTO_TEST_CASE(a_directory_without_its_log_is_no_fresh_start) {
    sample good;
    for (bool snapshots_too : {false, true}) {
        auto one = good.with("identity.weft", good.a.directory().contents("identity.weft"));
        for (const std::string& name : good.names("log-")) one->a.directory().erase(name);
        if (snapshots_too)
            for (const std::string& name : good.names("snapshot-")) one->a.directory().erase(name);
        one->expect_refused("log", false);
        auto report = one->expect_repaired(good.id, 9);
        BOOST_TEST(!report.end_known);
        BOOST_TEST(count_of(one->a, "visits") == (snapshots_too ? 1 : 7));
    }
}

BOOST_AUTO_TEST_CASE(a_good_directory_is_not_repaired) {
    sample good;
    auto one = good.with("identity.weft", good.a.directory().contents("identity.weft"));
    auto before = all_of(one->a.directory());
    auto report = one->a.repair();
    BOOST_REQUIRE(report.has_value());
    BOOST_TEST(!report->needed);
    BOOST_TEST(describe(*report).empty());
    BOOST_CHECK(all_of(one->a.directory()) == before);
    story::start(one->a);
    BOOST_TEST((one->a->id() == good.id));
}

// A crash during a repair, at any of its operations: what is left does not open, or is repaired.
BOOST_AUTO_TEST_CASE(a_repair_that_was_cut_short_is_done_again) {
    sample good;
    auto segment = good.names("log-")[1];
    bytes flipped = good.a.directory().contents(segment);
    flipped[flipped.size() / 2] ^= std::byte{1};
    random_generator random(seeds::unit);
    for (std::uint64_t at = 0, passed = 0; passed == 0; ++at) {
        BOOST_TEST_INFO_SCOPE("operation " << at);
        auto one = good.with(segment, flipped);
        one->a.set_disk_fault(sim_fault{at, errc::io_failed, true});
        auto report = one->a.repair();
        passed = report.has_value() ? 1 : 0;
        one->a.set_disk_fault(std::nullopt);
        one->a.directory().crash(random);
        if (auto started = one->a.start(); !started) {
            BOOST_TEST(passed == 0U);
            BOOST_TEST((started.error().code == errc::log_damaged));
            one->expect_repaired(good.id, 9);
        } else { // all was done, though the last sync may not have said so
            BOOST_TEST((one->a->id() != good.id));
            BOOST_TEST(count_of(one->a, "visits") == 9);
        }
    }
}

// What only this replica had is lost; what a peer has comes back, and both end equal.
BOOST_AUTO_TEST_CASE(a_repaired_replica_gets_from_its_peer_what_the_damage_took) {
    story s;
    auto& a = open_small(s, "a", {"b"});
    auto& b = open_small(s, "b", {"a"});
    for (int i = 0; i < 6; ++i) {
        add_to(a, "of a");
        add_to(b, "of b");
        s.run_ms(50);
        if (i == 1) snapshot(s, a);
    }
    s.expect_equal();
    std::vector<std::string> alone{"a"};
    s.partition(alone, sim_partition::lose);
    for (int i = 0; i < 4; ++i) { // nobody else has these
        add_to(a, "of a");
        s.run_ms(50);
    }
    replica_id id = a->id();
    a.kill(true);
    auto names = a.directory().names();
    auto last = std::find_if(names.rbegin(), names.rend(),
                             [](const std::string& name) { return name.starts_with("log-"); });
    auto damaged = *std::prev(last.base(), 3); // what b has of it, too
    bytes content = a.directory().contents(damaged);
    content[content.size() - 30] ^= std::byte{1};
    a.directory().alter(damaged, content);
    auto refused = a.start();
    BOOST_REQUIRE(!refused.has_value());
    BOOST_TEST(refused.error().detail.find(damaged) != std::string::npos);

    auto report = a.repair();
    BOOST_REQUIRE_MESSAGE(report.has_value(), (report ? "" : report.error().detail));
    BOOST_REQUIRE(!report->gaps.empty());
    auto own = std::find_if(report->gaps.begin(), report->gaps.end(),
                            [](const auto& gap) { return gap.own; });
    BOOST_REQUIRE(own != report->gaps.end());
    BOOST_TEST((own->origin == id));
    BOOST_TEST(own->end == 11U);
    s.start(a);
    BOOST_TEST((a->id() != id));
    s.network().heal_all();
    s.expect_equal(60'000);
    BOOST_TEST(count_of(b, "of b") == 6);
    BOOST_TEST(count_of(a, "of b") == 6);
    BOOST_TEST(count_of(a, "of a") >= 6, "what b had");
    BOOST_TEST(count_of(a, "of a") == static_cast<std::int64_t>(a.applied().at(id)));
    // Intact runs behind the damage continue what came back.
    BOOST_REQUIRE(a.stop());
    auto again = a.repair();
    BOOST_REQUIRE(again.has_value());
    BOOST_TEST(!again->needed);
    BOOST_REQUIRE(again->regained.size() == 1U);
    BOOST_TEST((again->regained[0].origin == id));
    BOOST_TEST(again->regained[0].end == 11U);
    BOOST_TEST(a.repair()->regained.empty());
    s.start(a);
    add_to(a, "of a", 100);
    add_to(b, "of b", 100);
    s.expect_equal();
    BOOST_TEST(count_of(b, "of a") == 110);
    for (const auto& problem : check_equal(s.all())) BOOST_ERROR(problem);
}

// A peer's state is in one snapshot and in no log. Without it an older one would be a start in the past.
BOOST_AUTO_TEST_CASE(a_damaged_snapshot_that_holds_a_peers_state_is_refused) {
    story s;
    auto& a = open_small(s, "a", {"b"});
    auto& b = open_small(s, "b", {"a"});
    for (host* one : {&a, &b}) one->options().log_bytes_max = 2'400;
    BOOST_REQUIRE(a.stop());
    s.start(a);
    add_to(a, "visits");
    s.expect_equal();
    snapshot(s, a);
    b.kill(true);
    b.replace_directory(std::make_unique<sim_directory>(fresh_facts(99), "b"));
    for (int i = 0; i < 40; ++i) {
        add_to(a, "visits");
        s.run_ms(20);
        if (i % 15 == 14) snapshot(s, a);
    }
    s.wait_until([&] { return a->status().value().log_first > 0; });
    s.run_ms(2'000);
    s.start(b);
    s.wait_until([&] { return b.count("transfer.done") > 0; });
    s.expect_equal();
    add_to(b, "visits");
    BOOST_REQUIRE(b.stop());
    auto names = b.directory().names();
    auto snapshot_of_a = std::find_if(names.rbegin(), names.rend(), [](const std::string& name) {
        return name.starts_with("snapshot-");
    });
    BOOST_REQUIRE(snapshot_of_a != names.rend());
    auto good = b.directory().copy(b.directory().facts());
    for (bool missing : {false, true}) {
        auto disk = good->copy(good->facts());
        bytes content = disk->contents(*snapshot_of_a);
        content[content.size() / 2] ^= std::byte{1};
        if (missing) {
            disk->erase(*snapshot_of_a);
        } else {
            disk->alter(*snapshot_of_a, content);
        }
        b.replace_directory(std::move(disk));
        auto refused = b.start();
        BOOST_REQUIRE(!refused.has_value());
        BOOST_TEST((refused.error().code == errc::log_damaged));
        BOOST_TEST(refused.error().detail.find(*snapshot_of_a) != std::string::npos,
                   refused.error().detail);
        auto report = b.repair();
        BOOST_REQUIRE(report.has_value());
        s.start(b);
        s.expect_equal(60'000);
        BOOST_TEST(count_of(b, "visits") >= 41);
        BOOST_REQUIRE(b.stop());
    }
}

BOOST_AUTO_TEST_SUITE_END()
