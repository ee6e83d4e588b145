#include "replica/keyspace.hpp"
#include "replica/state_join.hpp"
#include "replica/state_release.hpp"
#include "tests/recovery/test_loop.hpp"
#include "tests/replica/operations.hpp"

#include <boost/test/unit_test.hpp>

#include <algorithm>
#include <array>

using namespace weft;
using tests::allowed;
using tests::author;

BOOST_AUTO_TEST_CASE(rolling_back_restores_state_and_digest) {
    for (std::uint64_t seed = 1; seed <= 100; ++seed) {
        tests::operation_source source(seed);
        author a(1);
        std::list<operation> kept;
        for (int round = 0; round < 20; ++round) {
            for (int i = 0; i < 5; ++i) {
                operation& op = kept.emplace_back(source.next(a.id));
                if (allowed(a, op)) (void)a.write(op, 100 + a.next, nullptr);
            }
            map_store before = a.state.root();
            state_digest digest = a.state.digest();
            std::uint64_t next = a.next;
            undo_log undo;
            for (std::size_t n = source.random().below(10); n > 0; --n) {
                operation& op = kept.emplace_back(source.next(a.id));
                if (allowed(a, op)) (void)a.write(op, 100 + a.next, &undo);
            }
            a.state.roll_back(std::move(undo));
            a.next = next;
            BOOST_REQUIRE_MESSAGE(a.state.root() == before, "seed " << seed);
            BOOST_TEST((a.state.digest() == digest));
            a.state.check_invariants();
        }
    }
}

namespace {

// Three authors write concurrently and read each other now and then.
struct history {
    std::list<operation> operations;
    std::vector<author> authors;
    std::vector<std::vector<author::change>> logs{3};

    explicit history(tests::operation_source& source, int steps = 60) {
        std::vector<std::array<std::size_t, 3>> taken(3, {0, 0, 0});
        for (std::uint64_t i = 1; i <= 3; ++i) authors.emplace_back(i);
        std::uint64_t stamp = 1;
        for (int step = 0; step < steps; ++step) {
            std::size_t who = source.random().below(3);
            author& a = authors[who];
            if (source.random().chance(0.6)) {
                operation& op = operations.emplace_back(source.next(a.id));
                if (allowed(a, op)) logs[who].push_back(a.write(op, stamp++, nullptr));
            } else {
                // Reads what another wrote next, if its causes are here.
                std::size_t from = source.random().below(3);
                if (from == who || taken[who][from] == logs[from].size()) continue;
                const author::change& c = logs[from][taken[who][from]];
                version_vector causes = c.dependencies;
                causes.set(a.id, 0);
                if (!a.seen.covers(causes)) continue;
                a.read(c);
                ++taken[who][from];
            }
        }
    }

    // Reads up to `changes` more, in some causal order.
    void read(author& reader, std::size_t changes, random_generator& random) const {
        for (std::size_t tries = 100 * changes; changes > 0 && tries > 0; --tries) {
            std::size_t from = random.below(3);
            auto at = static_cast<std::size_t>(reader.seen.at(replica_id{from + 1}));
            if (at == logs[from].size()) continue;
            const author::change& c = logs[from][at];
            if (!reader.seen.covers(c.dependencies)) continue;
            reader.read(c);
            --changes;
        }
    }
    [[nodiscard]] std::size_t changes() const {
        return logs[0].size() + logs[1].size() + logs[2].size();
    }
};

} // namespace

// A fourth and a fifth author apply everything in two different causal orders.
BOOST_AUTO_TEST_CASE(state_and_digest_are_a_function_of_the_set_of_operations) {
    for (std::uint64_t seed = 1; seed <= 100; ++seed) {
        tests::operation_source source(seed);
        history all(source);
        author one(9);
        author other(9);
        for (author* reader : {&one, &other}) {
            all.read(*reader, all.changes(), source.random());
            reader->state.check_invariants();
        }
        BOOST_TEST_CONTEXT("seed " << seed) {
            BOOST_REQUIRE((one.seen == other.seen));
            BOOST_TEST((one.state.root() == other.state.root()));
            BOOST_TEST((one.state.digest() == other.state.digest()));
            BOOST_TEST(one.state.objects() == other.state.objects());
        }
    }
}

// However large an object is, a step of a join takes no more time for it.
BOOST_AUTO_TEST_CASE(a_large_object_is_joined_in_slices) {
    constexpr std::uint64_t count = 3'000;
    for (bool in_a_map : {false, true}) {
        std::vector<std::string_view> path{"large"};
        if (in_a_map) path.push_back("set");
        std::vector<state_join::side> sides(2);
        for (std::uint64_t n = 0; n < 2 * count; ++n) {
            operation op;
            op.path = path;
            op.type = {type_kind::add_wins_set};
            op.what = action::add;
            op.argument = value(static_cast<std::int64_t>(n));
            state_join::side& one = sides[n % 2];
            dot at{replica_id{1 + n % 2}, 1 + n / 2};
            (void)one.objects.apply(op, at, hlc::at_ms(1), {}, nullptr);
            one.seen.advance(at.replica, at.counter);
        }
        state_join join(sides[0], sides[1]);
        std::size_t steps = 0;
        for (; !join.done(); ++steps) join.step(100);
        BOOST_TEST(steps >= 2 * count / 100);
        keyspace joined = join.take();
        const object* set = joined.find(path, {type_kind::add_wins_set});
        BOOST_REQUIRE(set != nullptr);
        BOOST_TEST(set->as<add_wins_store<value>>().size() == 2 * count);
        BOOST_TEST(join.changed() == std::vector<std::string>{"large"});
        joined.check_invariants();
    }
}

// Nor does a turn in which one is freed; and what a copy holds stays.
BOOST_AUTO_TEST_CASE(a_large_state_is_freed_in_slices) {
    constexpr std::uint64_t count = 3'000;
    std::vector<std::vector<std::string_view>> paths{{"set"}, {"map", "set"}};
    keyspace state;
    keyspace half; // as it was when half of it was there
    version_vector seen;
    for (std::uint64_t n = 0; n < 2 * count; ++n) {
        if (n == count) half = state;
        operation op;
        op.path = paths[n % 2];
        op.type = {n % 4 < 2 ? type_kind::add_wins_set : type_kind::remove_wins_set};
        op.what = action::add;
        op.argument = value(static_cast<std::int64_t>(n));
        (void)state.apply(op, dot{replica_id{1}, n + 1}, hlc::at_ms(1), seen, nullptr);
        seen.advance(replica_id{1}, n + 1);
    }
    state_digest then = half.digest();
    std::size_t turns = 1;
    for (; !state.release(100); ++turns) BOOST_REQUIRE(turns <= 2 * count / 100 + 1);
    BOOST_TEST(turns >= count / 100, "at least what nobody else holds");
    half.check_invariants();
    BOOST_TEST((half.digest() == then));
    turns = 1;
    for (; !half.release(100); ++turns) BOOST_REQUIRE(turns <= count / 100 + 1);
    BOOST_TEST(turns >= count / 100);

    test_loop run;
    std::size_t others = 0; // what the loop does between the slices
    release_later(run, [] {
        keyspace large;
        for (std::uint64_t n = 1; n <= 10'000; ++n) {
            std::string key = std::to_string(n);
            std::string_view name = key;
            operation op;
            op.path = {&name, 1};
            op.type = {type_kind::counter};
            op.what = action::increment;
            op.amount = 1;
            (void)large.apply(op, dot{replica_id{1}, n}, hlc::at_ms(1), {}, nullptr);
        }
        return large;
    }());
    while (run.run_one()) ++others;
    BOOST_TEST(others == 2U);
}

// Joining two states gives what applying the operations of both would: nothing removed comes back, nothing
// that one side alone knows is lost.
BOOST_AUTO_TEST_CASE(a_join_of_states_is_the_state_of_all_their_operations) {
    for (std::uint64_t seed = 1; seed <= 300; ++seed) {
        tests::operation_source source(seed);
        history all(source);
        random_generator& random = source.random();
        author common(9);
        if (random.chance(0.7)) all.read(common, random.below(all.changes()), random);
        author mine = common;
        author theirs = common;
        all.read(mine, random.below(20), random);
        all.read(theirs, random.below(20), random);
        author both = mine;
        for (bool progress = true; progress;) {
            progress = false;
            for (std::size_t from = 0; from < 3; ++from) {
                auto at = both.seen.at(replica_id{from + 1});
                if (at >= theirs.seen.at(replica_id{from + 1})) continue;
                const author::change& c = all.logs[from][static_cast<std::size_t>(at)];
                if (!both.seen.covers(c.dependencies)) continue;
                both.read(c);
                progress = true;
            }
        }
        state_join join({mine.state, mine.seen}, {theirs.state, theirs.seen}, random.below(6));
        while (!join.done()) join.step(1 + random.below(3));
        std::vector<std::string> changed = join.changed();
        keyspace joined = join.take();
        BOOST_TEST_CONTEXT("seed " << seed) {
            BOOST_REQUIRE((both.seen.covers(theirs.seen)));
            BOOST_TEST((joined.root() == both.state.root()));
            BOOST_TEST((joined.digest() == both.state.digest()));
            joined.check_invariants();
            for (const auto& child : joined.root().children()) {
                std::string_view name = child.key.name();
                const object* before = mine.state.root().find({name, child.key.type()});
                bool told = std::find(changed.begin(), changed.end(), name) != changed.end();
                path_hash path = path_hash{}.child(name, child.key.type());
                bool same = weigh(path, child.value).digest ==
                            (before == nullptr ? state_digest{} : weigh(path, *before).digest);
                BOOST_TEST((told || same), "silent change of " << name);
            }
            BOOST_TEST(std::is_sorted(changed.begin(), changed.end()));
        }
    }
}

// Over so many keys that what comes next is fetched, with copies that must stay as they were.
BOOST_AUTO_TEST_CASE(a_series_does_what_its_operations_do_one_by_one) {
    constexpr std::size_t keys = 3'000;
    std::vector<std::string> names;
    for (std::size_t i = 0; i < keys; ++i) names.push_back("key " + std::to_string(i));
    const std::string content(2'000, 'v');
    for (std::uint64_t seed = 1; seed <= 10; ++seed) {
        BOOST_TEST_CONTEXT("seed " << seed) {
            // The same operations for both: a few keys of all types, many registers, what is written lent.
            std::list<std::string_view> paths;
            auto made = [&](tests::operation_source& source) {
                operation op = source.next(replica_id{1});
                if (source.random().chance(0.2)) return op;
                op = {};
                std::size_t key = source.random().below(keys);
                op.path = std::span(&paths.emplace_back(names[key]), 1);
                op.type = {type_kind::lww_register};
                op.what = action::write;
                std::size_t size = source.random().chance(0.5) ? 100 : source.random().below(2'000);
                std::string_view part = std::string_view(content).substr(0, size);
                op.argument = value::lent(value_kind::text, as_bytes(part));
                return op;
            };
            tests::operation_source mine(seed);
            tests::operation_source theirs(seed);
            random_generator random(seed);
            keyspace one;
            keyspace other;
            std::vector<std::pair<keyspace, map_store>> copies;
            version_vector nothing;
            dot at{replica_id{1}, 1};
            for (int round = 0; round < 300; ++round) {
                std::vector<operation> all;
                for (std::size_t n = 1 + random.below(60); n > 0; --n) {
                    operation op = made(mine);
                    operation again = made(theirs);
                    bool counts = op.type.kind == type_kind::counter ||
                                  op.type.kind == type_kind::grow_counter;
                    if (op.what == action::remove && counts) continue;
                    (void)one.apply(op, {at.replica, at.counter + all.size()}, {1}, nothing,
                                    nullptr);
                    all.push_back(std::move(again));
                }
                keyspace::series left(other, all);
                for (std::size_t i = 0; i < all.size(); ++i, ++at.counter) {
                    BOOST_REQUIRE(&left.next() == &all[i]);
                    (void)left.take(at, {1}, nothing, nullptr);
                }
                if (round % 50 == 20) copies.emplace_back(other, one.root());
            }
            BOOST_TEST((one.root() == other.root()));
            BOOST_TEST((one.digest() == other.digest()));
            other.check_invariants();
            for (const auto& [copy, as_it_was] : copies) {
                BOOST_TEST((copy.root() == as_it_was));
                copy.check_invariants();
            }
        }
    }
}
