#include "tests/sim/story.hpp"

#include <set>

// Two histories of one replica id: a directory was put back without a trace, and written to before it met who
// knows what was lost. Everybody stops at the fork, and what the replica writes afterwards, under other ids,
// takes nothing of the other history, though it names operations that are others there.
using namespace weft;
using namespace weft::sim;

namespace {

using words = std::set<std::string>;

void add_word(host& where, const std::string& what) {
    auto done = where->transact([&](transaction& t) { (void)t.set<std::string>("s").add(what); });
    BOOST_REQUIRE(done.has_value());
}

// It takes what it saw, by their dots.
void remove_all(host& where) {
    BOOST_REQUIRE(where->transact([](transaction& t) { return t.remove("s"); }).has_value());
}

words members(host& where) {
    words out;
    auto all = where->set<std::string>("s").elements().value();
    out.insert(all.begin(), all.end());
    return out;
}

void start_in(host& where, const std::string& region) {
    BOOST_REQUIRE(where.stop());
    where.options().region = region;
    story::start(where);
}

// It does that, and then its directory is put back to before, which nothing shows. It is stopped.
template <class F>
void lose(host& where, const F& something) {
    BOOST_REQUIRE(where.stop());
    auto old = where.directory().copy(fresh_facts(7));
    story::start(where);
    something();
    BOOST_REQUIRE(where.stop());
    where.directory().restore_in_place(*old);
}

// What b has, and a wrote before its directory was put back to where it had only the seed.
const words kept{"seed", "lost 1", "lost 2", "lost 3"};

// So much that a forgetful replica cuts its log.
void fill(story& s, host& where) {
    for (int i = 0; i < 300; ++i) {
        auto done = where->transact([](transaction& t) {
            (void)t.lww_register<std::string>("last").set(std::string(200, 'x'));
        });
        BOOST_REQUIRE(done.has_value());
        s.run_ms(5);
    }
}

std::string noise(story& s, std::size_t size) {
    std::string out;
    while (out.size() < size) out += static_cast<char>('!' + s.random().below(90));
    return out;
}

struct put_back_how {
    bool a_forgets = false;
    bool c_is_away = false; // while the three were written
};

// a does not reach the others, has lost three changes, and has written `own` ones over them.
struct put_back : story {
    explicit put_back(int own, put_back_how how = {}) {
        a = how.a_forgets ? &open_forgetful(*this, "a", {"b", "c"}) : &open("a", {"b", "c"});
        b = &open("b", {"a", "c"});
        c = &open("c", {"a", "b"});
        add_word(*a, "seed");
        expect_equal();
        if (how.c_is_away) BOOST_REQUIRE(c->stop());
        lose(*a, [&] {
            for (const std::string& one : kept) {
                if (one != "seed") add_word(*a, one);
            }
            wait_until([this] { return members(*b) == kept; });
            if (!how.c_is_away) expect_equal();
        });
        cut("a", "b");
        cut("a", "c");
        start(*a);
        for (int i = 0; i < own; ++i) add_word(*a, "mine " + std::to_string(i));
        run_ms(100);
    }
    void expect_kept() {
        BOOST_TEST((members(*b) == kept));
        BOOST_TEST((members(*c) == kept));
    }

    host* a = nullptr;
    host* b = nullptr;
    host* c = nullptr;
};

} // namespace

BOOST_AUTO_TEST_SUITE(simulated_forks)

BOOST_AUTO_TEST_CASE(what_follows_a_fork_takes_nothing_of_the_other_history) {
    for (int own : {2, 3}) { // fewer than were lost, and as many
        put_back s(own);
        host& a = *s.a;
        start_in(a, ""); // under the same id
        s.network().heal_all();
        s.wait_until([&] { return reported(a, "session.blocked", "two histories"); }, 60'000);
        remove_all(a);
        s.run_ms(30'000);
        s.expect_kept();
        BOOST_TEST(members(a).empty());
        // Also after starts that know of no fork yet, and take other ids, and another name.
        for (const char* region : {"", "north", "south"}) start_in(a, region);
        add_word(a, "more");
        a.options().name = "renamed";
        start_in(a, "south");
        remove_all(a);
        s.run_ms(30'000);
        s.expect_kept();
        BOOST_TEST(a.count("identity.forked") > 0U);
        // The others go on, and give their state to who is new.
        auto& d = s.open("d", {"b", "c"});
        add_word(*s.b, "later");
        words now = kept;
        now.insert("later");
        s.wait_until([&] { return members(d) == now; });
    }
}

// Nobody is met before the id changes, once or more, for a reason that has nothing to do with the loss.
BOOST_AUTO_TEST_CASE(an_id_that_changes_before_a_fork_is_found_hides_nothing) {
    for (int own : {1, 2, 3, 5}) {
        for (bool renamed : {false, true}) {
            put_back s(own);
            host& a = *s.a;
            if (renamed) a.options().name = "other";
            start_in(a, "north");
            start_in(a, "south"); // the one between wrote nothing
            remove_all(a);
            start_in(a, "west");
            add_word(a, "more");
            s.network().heal_all();
            s.run_ms(60'000);
            s.expect_kept();
            BOOST_TEST((members(a) == words{"more"}), own);
        }
    }
}

// Nothing was written over what was lost, which takes half a minute to come back: what follows waits for it.
BOOST_AUTO_TEST_CASE(what_was_lost_comes_back_before_what_follows_goes_out) {
    story s({.latency_us_min = 1'000,
             .latency_us_max = 1'000,
             .bytes_per_ms_min = 10,
             .bytes_per_ms_max = 10});
    auto& a = s.open("a", {"b"});
    auto& b = s.open("b", {});
    add_word(a, "seed");
    s.expect_equal();
    lose(a, [&] {
        for (int i = 0; i < 5; ++i) add_word(a, "lost " + noise(s, 60'000));
        s.expect_equal(120'000);
    });
    s.cut("a", "b");
    s.start(a);
    start_in(a, "north");
    remove_all(a); // the seed
    add_word(a, "more");
    s.network().heal_all();
    s.wait_until([&] { return members(b).contains("more"); }, 120'000);
    BOOST_TEST(members(a).size() == 6U);
    s.expect_equal(120'000);
    BOOST_TEST(!members(b).contains("seed"));
    BOOST_TEST(a.count("identity.forked") == 0U);
    s.expect_sound();
}

// What follows is in the log on the disk, and the lost end comes while that is read.
BOOST_AUTO_TEST_CASE(what_was_passed_over_on_the_disk_goes_out_when_the_lost_end_came) {
    story s;
    auto& a = s.add("a", {"b"});
    a.options().packed = codec::none;
    s.start(a);
    auto& b = s.open("b", {});
    add_word(a, "seed");
    s.expect_equal();
    lose(a, [&] {
        add_word(a, "lost 1");
        s.expect_equal();
    });
    s.cut("a", "b");
    s.start(a);
    start_in(a, "north");
    for (int i = 0; i < 40; ++i) add_word(a, std::to_string(i) + std::string(60'000, 'x'));
    bool written = false;
    a->snapshot([&](const result<snapshot_info>& done) { written = done.has_value(); });
    s.wait_until([&] { return written; });
    start_in(a, "north"); // so that nothing of it is in memory
    s.network().heal_all();
    s.expect_equal();
    BOOST_TEST(members(b).size() == 42U);
    s.expect_sound();
}

// It has less than both histories, takes a's, and passes on what a wrote after it.
BOOST_AUTO_TEST_CASE(a_third_that_was_away_passes_nothing_on_that_takes_the_other_history) {
    for (int own : {1, 2, 3, 4}) {
        for (bool first : {false, true}) {
            put_back s(own, {.c_is_away = true});
            BOOST_REQUIRE(s.b->stop());
            s.network().heal_all();
            start_in(*s.a, "north");
            remove_all(*s.a);
            s.start(*s.c);
            if (first) s.run_ms(20'000);
            s.start(*s.b);
            s.run_ms(60'000);
            BOOST_TEST((members(*s.b) == kept));
            BOOST_TEST(reported(*s.b, "session.blocked", "two histories"));
        }
    }
}

// Each has an end that the other lost, and one of the two comes only after the other's state.
BOOST_AUTO_TEST_CASE(two_that_lost_ends_of_each_other_do_not_wait_for_ever) {
    story s;
    auto& a = s.open("a", {"b", "c"});
    auto& b = open_forgetful(s, "b", {"a", "c"});
    auto& c = s.open("c", {"a", "b"});
    add_word(a, "of a");
    add_word(b, "of b");
    s.expect_equal();
    BOOST_REQUIRE(a.stop());
    auto old_a = a.directory().copy(fresh_facts(7));
    s.cut("b", "c");
    s.cut("a", "b");
    s.start(a);
    add_word(a, "a's end");
    s.wait_until([&] { return members(c).contains("a's end"); });
    BOOST_REQUIRE(a.stop());
    a.directory().restore_in_place(*old_a);
    BOOST_REQUIRE(b.stop());
    auto old_b = b.directory().copy(fresh_facts(8));
    s.start(b);
    s.network().heal_all();
    s.cut("a", "c");
    s.cut("b", "c");
    s.start(a);
    start_in(a, "north");
    add_word(a, "a, later");
    s.wait_until([&] { return members(b).contains("a, later"); });
    add_word(b, "b's end");
    s.wait_until([&] { return members(a).contains("b's end"); });
    BOOST_REQUIRE(b.stop());
    b.directory().restore_in_place(*old_b);
    s.network().heal_all();
    s.cut("a", "b");
    s.cut("a", "c");
    s.start(b);
    start_in(b, "north");
    s.wait_until([&] { return members(b).contains("a's end"); });
    fill(s, b);
    s.wait_until([&] { return !b->status().value().floor.empty(); });
    BOOST_REQUIRE(c.stop());
    s.network().heal_all();
    s.wait_until([&] { return a.applied() == b.applied(); }, 120'000);
    BOOST_TEST((members(a) == words{"of a", "of b", "a's end", "a, later", "b's end"}));
    BOOST_TEST((members(a) == members(b)));
}

// Of those whom a new replica asks some never give their state.
BOOST_AUTO_TEST_CASE(a_state_is_fetched_from_who_gives_it) {
    story s;
    auto& good = open_forgetful(s, "good", {});
    for (std::string name : {"bad 1", "bad 2"}) {
        auto& bad = open_forgetful(s, name, {"good"});
        auto at_good = [&](const std::string& word) {
            add_word(bad, word);
            s.wait_until([&] { return members(good).contains(word); });
        };
        at_good("seed of " + name);
        lose(bad, [&] { at_good("lost of " + name); });
        s.cut("good", name);
        s.start(bad);
        add_word(bad, "mine");
        s.network().heal_all();
        s.wait_until([&] { return bad.count("identity.forked") > 0; });
        fill(s, bad);
        BOOST_TEST(!bad->status().value().floor.empty());
        s.cut("good", name);
    }
    fill(s, good);
    s.wait_until([&] { return !good->status().value().floor.empty(); });
    auto& fresh = s.open("fresh", {"bad 1", "bad 2", "good"});
    s.wait_until([&] { return reported(fresh, "transfer.done"); });
    BOOST_TEST((members(fresh) == members(good)));
}

// A peer that needs the state, for its log was cut meanwhile, gets none that has the other history in it.
BOOST_AUTO_TEST_CASE(a_state_takes_nothing_of_the_other_history) {
    for (int own : {0, 2, 3, 4}) {
        put_back s(own, {.a_forgets = true});
        host& a = *s.a;
        auto& d = s.open("d", {"a"});
        fill(s, d);
        s.wait_until([&] { return !a->status().value().floor.empty(); });
        d.kill(true);
        s.network().heal_all();
        if (own > 0) {
            s.run_ms(60'000);
            s.expect_kept();
            BOOST_TEST(!reported(*s.b, "transfer.done"), own);
            BOOST_TEST(reported(a, "transfer.refused") == (own == 4), own);
            continue;
        }
        s.expect_equal();
        s.expect_kept();
        BOOST_TEST((*s.b)->lww_register<std::string>("last").get().value().has_value());
    }
}

// A directory was copied, and both go on: that one of them always has more under the old id holds up nothing.
BOOST_AUTO_TEST_CASE(a_copy_is_heard_while_its_original_writes) {
    story s({.latency_us_min = 40'000, .latency_us_max = 40'000});
    auto& a = s.open("a", {"b"});
    auto& b = s.open("b", {});
    add_word(a, "seed");
    s.expect_equal();
    auto& copy = s.add("copy", {"b"});
    BOOST_REQUIRE(a.stop());
    copy.replace_directory(a.directory().copy(fresh_facts(8)));
    s.start(a);
    add_word(a, "first");
    s.start(copy);
    add_word(copy, "of the copy");
    for (int i = 0; i < 400 && !members(b).contains("of the copy"); ++i) {
        add_word(a, "a " + std::to_string(i));
        s.run_ms(5);
    }
    BOOST_TEST(members(b).contains("of the copy"));
    s.expect_equal();
    s.expect_sound();
}

// A whole disk was copied, and the copy had written before anybody met it: at the same dots.
BOOST_AUTO_TEST_CASE(where_both_live_replicas_of_one_id_wrote_everybody_stops_at_the_fork) {
    story s;
    auto facts = fresh_facts(7);
    auto& hub = s.open("hub", {});
    auto& late = s.open("late", {"hub"});
    auto& a = s.open("a", {"hub"});
    BOOST_REQUIRE(a.stop());
    a.replace_directory(a.directory().copy(facts));
    s.start(a);
    add_to(a, "visits", 1);
    s.expect_equal();
    auto& copy = s.add("copy", {"hub"});
    copy.options().name = "a";
    copy.replace_directory(a.directory().copy(facts));
    replica_id id = a->id();
    dot of_a = add_to(a, "visits", 10);
    s.expect_equal();
    s.start(copy);
    dot of_copy = add_to(copy, "visits", 100);
    BOOST_TEST(copy->id() == id);
    BOOST_TEST((of_a == of_copy), "one dot, two contents");

    s.wait_until([&] { return reported(hub, "session.blocked", "Remedy: stop the copy"); });
    // Both go on, and nobody takes any of it.
    if (a->id() == id) add_to(a, "visits", 1'000);
    if (copy->id() == id) add_to(copy, "visits", 10'000);
    s.run_ms(60'000);
    for (host* one : {&hub, &late}) {
        BOOST_TEST(one->applied().at(id) == of_a.counter, one->name());
        BOOST_TEST(count_of(*one, "visits") == 11, one->name());
    }
    BOOST_TEST(count_of(a, "visits") % 1'000 == 11);
    BOOST_TEST(count_of(copy, "visits") % 1'000 == 101);

    // The remedy, as operations.md has it.
    BOOST_REQUIRE(copy.stop());
    copy.options().name = "copy";
    copy.replace_directory(std::make_unique<sim_directory>(fresh_facts(8), "copy"));
    s.start(copy);
    BOOST_REQUIRE(hub->pause_peer("a").has_value());
    s.run_ms(100);
    BOOST_REQUIRE(hub->resume_peer("a").has_value());
    s.expect_equal(120'000);
    BOOST_TEST(count_of(copy, "visits") == count_of(a, "visits"));
    BOOST_TEST(count_of(hub, "visits") % 1'000 == 11);
}

BOOST_AUTO_TEST_SUITE_END()
