#include "clock/version_vector.hpp"

#include <boost/test/unit_test.hpp>
#include <rapidcheck/boost_test.h>

#include <algorithm>
#include <map>
#include <vector>

namespace weft {
namespace {

constexpr replica_id a{1};
constexpr replica_id b{2};
constexpr replica_id c{3};

// The reference: what a version vector means, said with std::map. Absent is 0.
using model = std::map<std::uint64_t, std::uint64_t>;

std::uint64_t at(const model& m, std::uint64_t replica) {
    auto found = m.find(replica);
    return found == m.end() ? 0 : found->second;
}

bool covers(const model& m, const model& other) {
    return std::all_of(other.begin(), other.end(),
                       [&](const auto& e) { return at(m, e.first) >= e.second; });
}

model combined(const model& x, const model& y, auto choose) {
    model out;
    for (const model* side : {&x, &y}) {
        for (const auto& [replica, counter] : *side) {
            if (std::uint64_t both = choose(at(x, replica), at(y, replica)); both > 0)
                out[replica] = both;
        }
    }
    return out;
}

version_vector vector_of(const model& m) {
    version_vector out;
    for (const auto& [replica, counter] : m) out.advance(replica_id{replica}, counter);
    return out;
}

model model_of(const version_vector& vector) {
    model out;
    for (const auto& e : vector.entries()) out[static_cast<std::uint64_t>(e.replica)] = e.counter;
    return out;
}

// Few replicas and small counters, so that any two are often equal, ordered or concurrent.
rc::Gen<model> models() {
    auto entry =
        rc::gen::pair(rc::gen::inRange<std::uint64_t>(1, 6), rc::gen::inRange<std::uint64_t>(1, 4));
    return rc::gen::map(
        rc::gen::container<std::vector<std::pair<std::uint64_t, std::uint64_t>>>(entry),
        [](const auto& entries) { return model(entries.begin(), entries.end()); });
}

version_vector joined(version_vector x, const version_vector& y) {
    x.join(y);
    return x;
}

version_vector met(version_vector x, const version_vector& y) {
    x.meet(y);
    return x;
}

BOOST_AUTO_TEST_SUITE(version_vector_test)

BOOST_AUTO_TEST_CASE(absent_replicas_have_seen_nothing) {
    version_vector vector{{a, 3}};
    BOOST_TEST(vector.at(a) == 3U);
    BOOST_TEST(vector.at(b) == 0U);
    BOOST_TEST(vector.covers(dot{a, 3}));
    BOOST_TEST(!vector.covers(dot{a, 4}));
    BOOST_TEST(!vector.covers(dot{b, 1}));
}

BOOST_AUTO_TEST_CASE(two_vectors_are_before_after_equal_or_concurrent) {
    version_vector left{{a, 2}, {b, 1}};
    version_vector right{{a, 1}, {c, 1}};
    BOOST_TEST(left.concurrent_with(right));
    BOOST_TEST(!left.concurrent_with(left));
    BOOST_TEST(left.covers({{a, 1}}));
    BOOST_TEST(!version_vector({{a, 1}}).covers(left));
    BOOST_TEST(left.covers(version_vector{}));
}

BOOST_AUTO_TEST_CASE(advance_only_raises_and_set_also_lowers) {
    version_vector vector{{b, 5}};
    vector.advance(b, 3);
    BOOST_TEST(vector.at(b) == 5U);
    vector.set(b, 3);
    BOOST_TEST(vector.at(b) == 3U);
    vector.set(a, 1);
    vector.set(b, 0);
    BOOST_TEST((vector == version_vector{{a, 1}}));
    vector.advance(c, 0);
    BOOST_TEST(vector.size() == 1U);
}

BOOST_AUTO_TEST_CASE(a_vector_prints_its_dots) {
    BOOST_TEST(to_string(version_vector({{b, 7}, {a, 1}})) ==
               "{0000000000000001:1, 0000000000000002:7}");
    BOOST_TEST(to_string(version_vector{}) == "{}");
}

RC_BOOST_PROP(every_operation_means_what_the_model_says, ()) {
    model x = *models();
    model y = *models();
    version_vector vx = vector_of(x);
    version_vector vy = vector_of(y);
    RC_ASSERT(model_of(vx) == x);
    RC_ASSERT(vx.covers(vy) == covers(x, y));
    RC_ASSERT(vx.concurrent_with(vy) == (!covers(x, y) && !covers(y, x)));
    RC_ASSERT(model_of(joined(vx, vy)) ==
              combined(x, y, [](auto m, auto n) { return std::max(m, n); }));
    RC_ASSERT(model_of(met(vx, vy)) ==
              combined(x, y, [](auto m, auto n) { return std::min(m, n); }));

    model above;
    std::uint64_t operations = 0;
    for (const auto& [replica, counter] : x) {
        if (counter <= at(y, replica)) continue;
        above[replica] = counter;
        operations += counter - at(y, replica);
    }
    model found;
    for (const auto& e : vx.above(vy)) found[static_cast<std::uint64_t>(e.replica)] = e.counter;
    RC_ASSERT(found == above);
    RC_ASSERT(vx.operations_beyond(vy) == operations);
}

RC_BOOST_PROP(join_and_meet_make_a_lattice, ()) {
    version_vector x = vector_of(*models());
    version_vector y = vector_of(*models());
    version_vector z = vector_of(*models());
    RC_ASSERT(joined(x, x) == x);
    RC_ASSERT(joined(x, y) == joined(y, x));
    RC_ASSERT(joined(joined(x, y), z) == joined(x, joined(y, z)));
    RC_ASSERT(met(x, y) == met(y, x));
    RC_ASSERT(met(x, joined(x, y)) == x);
    RC_ASSERT(joined(x, met(x, y)) == x);
    RC_ASSERT(x.covers(y) == (joined(x, y) == x));
}

RC_BOOST_PROP(setting_entries_in_any_order_gives_the_same_vector, ()) {
    auto steps =
        *rc::gen::container<std::vector<std::pair<std::uint64_t, std::uint64_t>>>(rc::gen::pair(
            rc::gen::inRange<std::uint64_t>(1, 6), rc::gen::inRange<std::uint64_t>(0, 4)));
    model expected;
    version_vector vector;
    for (const auto& [replica, counter] : steps) {
        vector.set(replica_id{replica}, counter);
        expected[replica] = counter;
    }
    std::erase_if(expected, [](const auto& e) { return e.second == 0; });
    RC_ASSERT(model_of(vector) == expected);
    RC_ASSERT(vector == vector_of(expected));
}

RC_BOOST_PROP(what_is_above_is_exactly_what_the_other_lacks, ()) {
    version_vector x = vector_of(*models());
    version_vector y = vector_of(*models());
    version_vector caught_up = y;
    for (const auto& e : x.above(y)) caught_up.advance(e.replica, e.counter);
    RC_ASSERT(caught_up == joined(x, y));
}

BOOST_AUTO_TEST_SUITE_END()

} // namespace
} // namespace weft
