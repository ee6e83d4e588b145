#include "replica/keyspace.hpp"
#include "tests/replica/operations.hpp"

#include <boost/test/unit_test.hpp>

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

// Three authors write concurrently; a fourth and a fifth apply everything in two different causal orders.
BOOST_AUTO_TEST_CASE(state_and_digest_are_a_function_of_the_set_of_operations) {
    for (std::uint64_t seed = 1; seed <= 100; ++seed) {
        tests::operation_source source(seed);
        std::vector<author> authors;
        for (std::uint64_t i = 1; i <= 3; ++i) authors.emplace_back(i);
        std::list<operation> operations;
        std::vector<std::vector<author::change>> logs(3);
        std::vector<std::array<std::size_t, 3>> taken(3, {0, 0, 0});
        std::uint64_t stamp = 1;
        for (int step = 0; step < 60; ++step) {
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
        std::vector<keyspace> readers(2);
        for (std::size_t r = 0; r < 2; ++r) {
            author reader(9);
            std::array<std::size_t, 3> at{0, 0, 0};
            std::size_t left = logs[0].size() + logs[1].size() + logs[2].size();
            while (left > 0) {
                std::size_t from = source.random().below(3);
                if (at[from] == logs[from].size()) continue;
                const author::change& c = logs[from][at[from]];
                if (!reader.seen.covers(c.dependencies)) continue;
                reader.read(c);
                ++at[from];
                --left;
            }
            reader.state.check_invariants();
            readers[r] = std::move(reader.state);
        }
        BOOST_TEST((readers[0].root() == readers[1].root()));
        BOOST_TEST_CONTEXT("seed " << seed)
        BOOST_TEST((readers[0].digest() == readers[1].digest()));
        BOOST_TEST(readers[0].objects() == readers[1].objects());
    }
}
