#include "base/limits.hpp"
#include "recovery/audit_log.hpp"
#include "tests/recovery/test_loop.hpp"
#include "tests/sim/disk.hpp"

#include <boost/test/unit_test.hpp>

#include <algorithm>

// The audit trail on a disk that may be cut, filled, damaged and lose its tail.
using namespace weft;

namespace {

struct seeded final : random_source {
    std::uint64_t draw() override { return 4; }
};

struct trail_world {
    sim_directory directory{directory_facts{"machine", 1, 2, 3}};
    test_loop loop;
    seeded random;
    struct : event_sink {
        std::vector<log_event> all;
        void on(const log_event& e) override { all.push_back(e); }
        [[nodiscard]] std::size_t count(std::string_view what) const {
            return static_cast<std::size_t>(std::count_if(
                all.begin(), all.end(), [&](const log_event& e) { return e.what == what; }));
        }
    } events;
    audit_log_options options{.segment_bytes = 400};
    std::unique_ptr<sim_disk> disk;
    std::optional<env> doors;
    std::unique_ptr<audit_log> trail;
    std::uint64_t made = 0;

    trail_world() { open(); }

    result<void> try_open() {
        trail.reset();
        disk = std::make_unique<sim_disk>(directory, loop, loop, [] { return 1; });
        doors.emplace(env{loop, random, *disk, loop, events});
        auto opened = audit_log::open(*doors, options);
        if (!opened) return fail(opened.error());
        trail = std::move(*opened);
        return {};
    }
    void open() {
        auto done = try_open();
        BOOST_REQUIRE_MESSAGE(done, (done ? "" : to_string(done.error())));
    }
    audit_entry next() {
        conflict what{conflict_kind::write_write, {"k" + std::to_string(made)}, {}, {}};
        what.siblings.push_back({{replica_id{1}, ++made}, {}, value("x"), "berlin", {}});
        audit_entry out = audit_of(what, {reading{{value("x")}, {}}, "max", {}}, 1);
        out.at = hlc::at_ms(loop.wall_ms() + made);
        out.run = log_index{made};
        return out;
    }
    result<void> add() {
        std::vector fresh{next()};
        return trail->append(fresh);
    }
    void add(std::size_t count) {
        for (std::size_t i = 0; i < count; ++i) BOOST_REQUIRE(add());
    }
    bool sync() {
        std::optional<bool> done;
        trail->sync_later([&](const result<void>& outcome) { done = outcome.has_value(); });
        loop.run_until([&] { return done.has_value(); });
        return *done;
    }
    // All of it, page by page.
    std::vector<std::string> keys(audit_query asked = {}, std::size_t* damaged = nullptr) {
        std::vector<std::string> out;
        for (;;) {
            auto page = trail->find(asked);
            BOOST_REQUIRE(page);
            for (const audit_entry& e : page->entries) out.push_back(e.path.front());
            if (damaged != nullptr) *damaged += page->damaged.size();
            if (!page->next) return out;
            BOOST_REQUIRE(*page->next > asked.from);
            asked.from = *page->next;
        }
    }
};

} // namespace

BOOST_AUTO_TEST_SUITE(recovery_audit_log)

BOOST_AUTO_TEST_CASE(nothing_is_written_before_there_is_something_to_say) {
    trail_world w;
    BOOST_TEST(w.directory.names().empty());
    BOOST_TEST(w.keys().empty());
    BOOST_TEST(w.sync());
}

BOOST_AUTO_TEST_CASE(entries_come_back_in_order_over_segments_and_restarts) {
    trail_world w;
    w.add(30);
    BOOST_TEST(w.directory.names().size() > 5U);
    auto before = w.keys();
    BOOST_TEST(before.size() == 30U);
    BOOST_TEST(before.back() == "k29");
    w.directory.kill();
    w.open();
    BOOST_TEST(w.keys() == before);
    w.add(1);
    BOOST_TEST(w.keys().size() == 31U);
    BOOST_TEST(w.keys({.entries_max = 4}) == w.keys());
    BOOST_TEST(w.keys({.key = "k7"}) == std::vector<std::string>{"k7"});
    BOOST_TEST(w.events.all.empty());
}

BOOST_AUTO_TEST_CASE(a_page_begins_with_an_entry_and_nowhere_else) {
    trail_world w;
    w.options.segment_bytes = 4'000;
    w.open();
    w.add(4);
    auto first = w.trail->find({.entries_max = 1});
    BOOST_REQUIRE((first && first->next));
    for (std::uint64_t from = 29; from <= w.trail->size_bytes(); ++from) {
        auto page = w.trail->find({.from = from});
        if (page) BOOST_TEST(page->damaged.empty());
        bool begins = from == *first->next || from == w.trail->size_bytes();
        if (begins) BOOST_TEST(page.has_value());
        if (from < *first->next) {
            BOOST_REQUIRE(!page);
            BOOST_TEST((page.error().code == errc::invalid_argument));
        }
    }
}

BOOST_AUTO_TEST_CASE(what_was_synced_survives_every_power_cut) {
    for (std::uint64_t seed = 0; seed < 200; ++seed) {
        trail_world w;
        random_generator random(seed);
        w.add(3 + seed % 7);
        BOOST_REQUIRE(w.sync());
        auto synced = w.keys();
        w.add(seed % 5);
        w.directory.crash(random);
        w.open();
        auto after = w.keys();
        BOOST_REQUIRE(after.size() >= synced.size());
        BOOST_TEST(std::equal(synced.begin(), synced.end(), after.begin()), "seed " << seed);
        w.add(2); // and it goes on
        BOOST_TEST(w.keys().size() == after.size() + 2);
    }
}

BOOST_AUTO_TEST_CASE(any_operation_of_the_disk_may_fail) {
    for (std::uint64_t at = 0;; ++at) {
        trail_world w;
        w.add(2);
        BOOST_REQUIRE(w.sync());
        w.directory.fail(sim_fault{.at = at, .code = errc::disk_full});
        std::vector<audit_entry> waiting;
        for (int i = 0; i < 8; ++i) { // as the driver does it: what failed is tried again
            waiting.push_back(w.next());
            (void)w.trail->append(waiting);
        }
        (void)w.sync();
        bool reached = w.directory.operations() > at;
        w.directory.fail(std::nullopt);
        if (!waiting.empty()) BOOST_REQUIRE(w.trail->append(waiting));
        auto there = w.keys();
        BOOST_TEST(waiting.empty());
        BOOST_TEST(there.size() == 10U, "operation " << at);
        w.directory.kill();
        w.open();
        if (!reached) break;
    }
}

BOOST_AUTO_TEST_CASE(a_flipped_byte_anywhere_costs_one_entry_at_most_and_is_named) {
    trail_world w;
    w.options.segment_bytes = 4'000;
    w.open();
    w.add(6);
    BOOST_REQUIRE(w.sync());
    auto before = w.keys();
    std::string name = w.directory.names().front();
    bytes good = w.directory.contents(name);
    for (std::size_t at = 0; at < good.size(); ++at) {
        bytes bad = good;
        bad[at] ^= std::byte{0x40};
        w.directory.overwrite(name, bad);
        w.events.all.clear();
        w.open();
        bool header = at < 28;
        std::size_t damaged = 0;
        auto after = w.keys({}, &damaged);
        BOOST_TEST(after.size() >= before.size() - (header ? 0 : 1), "byte " << at);
        for (const std::string& key : after)
            BOOST_TEST(std::count(before.begin(), before.end(), key) == 1);
        BOOST_TEST(w.events.all.size() == 1U);
        BOOST_TEST(w.events.all.front().text.find(name) != std::string::npos);
        bool torn = w.events.count("audit.torn_tail") == 1;
        BOOST_TEST((torn || damaged == 1));
        w.add(1);
        BOOST_TEST(w.keys().size() == after.size() + 1);
        for (const std::string& left : w.directory.names()) w.directory.erase(left);
    }
}

BOOST_AUTO_TEST_CASE(a_segment_of_which_nothing_can_be_read_stays_and_is_named) {
    trail_world w;
    w.add(12);
    BOOST_REQUIRE(w.sync());
    std::string name = w.directory.names().front();
    bytes bad = w.directory.contents(name);
    for (std::size_t at = 0; at < bad.size(); at += 8) bad[at] ^= std::byte{0x40};
    auto all = w.keys();
    w.directory.overwrite(name, bad);
    w.open();
    std::vector<audit_entry> none;
    BOOST_REQUIRE(w.trail->take_replayed(none, {}));
    BOOST_TEST(w.directory.contents(name) == bad);
    std::size_t damaged = 0;
    auto left = w.keys({.since = hlc::at_ms(1)}, &damaged);
    BOOST_TEST(damaged == 2U); // its header, and what is behind it
    BOOST_TEST(left.size() < all.size());
    BOOST_TEST(std::equal(left.begin(), left.end(), all.end() - static_cast<long>(left.size())));
}

// Retention took segments before it, so a replay passes over what is older than the trail: which is told by
// its entries, not by the header.
BOOST_AUTO_TEST_CASE(a_replay_adds_what_is_missing_where_the_oldest_header_is_damaged) {
    trail_world w;
    w.options.bytes_max = 1'200;
    w.open();
    std::vector<audit_entry> all;
    for (int i = 0; i < 30; ++i) all.push_back(w.next());
    std::vector<audit_entry> most(all.begin(), all.end() - 2);
    BOOST_REQUIRE(w.trail->append(most));
    auto before = w.keys();
    std::string oldest = w.directory.names().front();
    bytes bad = w.directory.contents(oldest);
    bad[9] ^= std::byte{0x40};
    w.directory.overwrite(oldest, bad);
    w.options.bytes_max = 1U << 20U;
    w.open();
    BOOST_REQUIRE(w.trail->take_replayed(all, {})); // the process died before it wrote the last two
    auto after = w.keys();
    BOOST_TEST(after.size() == before.size() + 2);
    BOOST_TEST(after.back() == "k29");
}

BOOST_AUTO_TEST_CASE(what_is_old_or_too_much_goes_by_segments) {
    trail_world w;
    w.options.bytes_max = 2'000;
    w.open();
    w.add(60);
    BOOST_TEST(w.trail->size_bytes() <= 2'400U);
    auto left = w.keys();
    BOOST_TEST(left.back() == "k59");
    BOOST_TEST(left.front() != "k0");
    w.options.bytes_max = 1U << 20U;
    w.options.age_ms_max = 0;
    w.loop.run_one(); // some time passes
    w.open();
    std::vector<audit_entry> none;
    BOOST_REQUIRE(w.trail->take_replayed(none, {}));
    BOOST_TEST(w.keys().empty());
}

// Without another decision, and without a restart.
BOOST_AUTO_TEST_CASE(what_is_too_old_goes_within_a_bounded_time) {
    trail_world w;
    w.options = {.age_ms_max = 10 * limits::audit_look_ms};
    w.open();
    std::uint64_t last_ms = 0;
    for (int i = 0; i < 25; ++i) {
        BOOST_REQUIRE(w.add());
        last_ms = w.loop.wall_ms();
        BOOST_REQUIRE(w.loop.run_one()); // the next look
    }
    auto left = w.keys();
    BOOST_TEST(left.size() >= 10U);
    BOOST_TEST(left.size() <= 14U);
    BOOST_TEST(left.back() == "k24");
    w.loop.run();
    BOOST_TEST(w.keys().empty());
    BOOST_TEST(w.loop.wall_ms() - last_ms <= w.options.age_ms_max + 2 * limits::audit_look_ms);
    // What is left says where the trail goes on, also after a power cut.
    BOOST_TEST(w.directory.names().size() == 1U);
    BOOST_REQUIRE(w.sync());
    random_generator random(1);
    w.directory.crash(random);
    w.open();
    BOOST_REQUIRE(w.add());
    auto page = w.trail->find({.from = *parse_audit_name(w.directory.names().front())});
    BOOST_REQUIRE(page);
    BOOST_TEST(page->entries.size() == 1U);
    BOOST_TEST(*parse_audit_name(w.directory.names().front()) > 0U);
    BOOST_TEST(w.events.all.empty());
}

BOOST_AUTO_TEST_CASE(what_cannot_be_read_does_not_keep_what_is_behind_it) {
    trail_world w;
    w.options.age_ms_max = 2 * limits::audit_look_ms;
    w.add(12);
    BOOST_REQUIRE(w.sync());
    std::string name = w.directory.names().front();
    bytes bad = w.directory.contents(name);
    for (std::size_t at = 0; at < bad.size(); at += 8) bad[at] ^= std::byte{0x40};
    w.directory.overwrite(name, bad);
    w.open();
    w.loop.run();
    BOOST_TEST(w.keys().empty());
    BOOST_TEST(w.directory.names().size() == 1U);
}

BOOST_AUTO_TEST_CASE(a_replay_adds_only_what_is_missing) {
    trail_world w;
    std::vector<audit_entry> all;
    for (int i = 0; i < 10; ++i) all.push_back(w.next());
    std::vector<audit_entry> some(all.begin(), all.begin() + 4);
    BOOST_REQUIRE(w.trail->append(some));
    w.directory.kill();
    w.open();
    auto replayed = all;
    BOOST_REQUIRE(
        w.trail->take_replayed(replayed, {})); // the process died before it wrote the others
    BOOST_TEST(w.keys().size() == 10U);
    w.directory.kill();
    w.open();
    replayed = all;
    BOOST_REQUIRE(w.trail->take_replayed(replayed, {}));
    BOOST_TEST(w.keys().size() == 10U);
}

// A clash has no dots, so it comes back under the same id; the run of the log tells which is meant.
BOOST_AUTO_TEST_CASE(what_came_back_after_what_the_trail_has_is_missing) {
    trail_world w;
    audit_entry first = w.next();
    first.run = log_index{5};
    audit_entry again = first;
    again.run = log_index{9};
    std::vector fresh{first};
    BOOST_REQUIRE(w.trail->append(fresh));
    for (int i = 0; i < 2; ++i) {
        w.directory.kill();
        w.open();
        std::vector replayed{first, again};
        BOOST_REQUIRE(w.trail->take_replayed(replayed, {}));
        BOOST_TEST(w.keys().size() == 2U);
    }
}

// A snapshot does not tell which write crossed it: what is found after a start has other siblings.
BOOST_AUTO_TEST_CASE(a_bound_that_is_known_to_be_crossed_is_dated_by_the_entry_about_that) {
    trail_world w;
    auto at_bound = [&](std::uint64_t counter, bool settled) {
        conflict what{conflict_kind::bound, {"stock"}, {type_kind::counter}, {}};
        what.siblings.push_back({{replica_id{1}, counter}, {}, value(-1), "berlin", {}});
        audit_entry out = settled ? audit_of_settled(what, {}, settled_by_write, 1)
                                  : audit_of(what, {std::nullopt, "manual", {}}, 1);
        out.at = hlc::at_ms(w.loop.wall_ms() + counter);
        out.run = log_index{counter};
        return out;
    };
    std::vector<audit_entry> before{at_bound(1, false), at_bound(3, true), at_bound(4, false)};
    hlc crossed = before.back().at;
    BOOST_REQUIRE(w.trail->append(before));
    auto replay = [&](std::vector<audit_entry> entries, audit_entry open) {
        w.directory.kill();
        w.open();
        BOOST_REQUIRE(w.trail->take_replayed(entries, std::span(&open, 1)));
        return std::pair(w.keys().size(), open.at);
    };
    BOOST_TEST((replay({}, at_bound(7, false)) == std::pair(std::size_t{3}, crossed)));
    BOOST_TEST((replay({at_bound(1, false), at_bound(3, true), at_bound(4, false)},
                       at_bound(7, false)) == std::pair(std::size_t{3}, crossed)));
    // The process died before it wrote that it was settled, and crossed again.
    audit_entry again = at_bound(9, false);
    BOOST_TEST((replay({at_bound(4, false), at_bound(8, true), again}, at_bound(11, false)) ==
                std::pair(std::size_t{5}, again.at)));
}

BOOST_AUTO_TEST_CASE(a_replay_does_not_bring_back_what_retention_took) {
    trail_world w;
    w.options.bytes_max = 1'000;
    w.open();
    std::vector<audit_entry> all;
    for (int i = 0; i < 30; ++i) all.push_back(w.next());
    // What a start finds in a snapshot: a moment of its own, and writes that are older than any decision.
    auto open = all;
    std::vector<hlc> written;
    for (audit_entry& e : open) {
        written.push_back(e.at);
        e.at = all.back().at;
        e.run = log_index{40};
    }
    auto fresh = all;
    BOOST_REQUIRE(w.trail->append(fresh));
    auto left = w.keys();
    BOOST_TEST(left.size() < 15U);
    w.directory.kill();
    w.open();
    BOOST_REQUIRE(w.trail->take_replayed(all, {}));
    auto again = w.keys(); // the newest of them: a start takes what is too much by then
    BOOST_REQUIRE(again.size() <= left.size());
    BOOST_TEST(std::equal(again.rbegin(), again.rend(), left.rbegin()));
    left = again;
    w.directory.kill();
    w.open();
    std::vector<audit_entry> none;
    BOOST_REQUIRE(w.trail->take_replayed(none, open));
    BOOST_TEST(w.keys() == left);
    BOOST_TEST((open.back().at == written.back())); // of what is there, when that was decided
}

BOOST_AUTO_TEST_CASE(what_became_too_old_stays_away_though_no_write_dates_it) {
    trail_world w;
    w.add(3);
    audit_entry clash = w.next();
    clash.siblings.front().stamp = {};
    w.options.age_ms_max = 0;
    w.loop.run_one(); // some time passes
    std::vector<audit_entry> none;
    w.open();
    BOOST_REQUIRE(w.trail->take_replayed(none, {}));
    BOOST_TEST(w.keys().empty());
    w.options.age_ms_max = limits::audit_age_ms_max;
    w.open();
    BOOST_REQUIRE(w.trail->take_replayed(none, std::span(&clash, 1)));
    BOOST_TEST(w.keys().empty());
}

// Whole, of which no write is known, too; in order, so that retention takes the oldest first.
BOOST_AUTO_TEST_CASE(a_lost_trail_has_what_is_open) {
    trail_world w;
    std::vector<audit_entry> open;
    for (int i = 0; i < 3; ++i) open.push_back(w.next());
    open[1].siblings.front().stamp = {};
    std::swap(open[0].at, open[2].at);
    std::vector<audit_entry> none;
    BOOST_REQUIRE(w.trail->take_replayed(none, open));
    BOOST_TEST((w.keys() == std::vector<std::string>{"k2", "k1", "k0"}));
}

BOOST_AUTO_TEST_CASE(a_trail_that_is_destroyed_answers_no_sync) {
    trail_world w;
    w.add(1);
    bool answered = false;
    w.trail->sync_later([&](const result<void>&) { answered = true; });
    w.trail.reset();
    w.loop.run();
    BOOST_TEST(!answered);
}

BOOST_AUTO_TEST_SUITE_END()
