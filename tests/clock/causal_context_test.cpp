#include "clock/causal_context.hpp"

#include <boost/test/unit_test.hpp>
#include <rapidcheck/boost_test.h>

#include <algorithm>
#include <set>
#include <vector>

namespace weft {
namespace {

constexpr replica_id a{1};
constexpr replica_id b{2};
constexpr std::uint64_t replicas = 4;
constexpr std::uint64_t counters = 12;

std::vector<dot> some_dots() {
    auto one =
        rc::gen::construct<dot>(rc::gen::map(rc::gen::inRange<std::uint64_t>(1, replicas + 1),
                                             [](std::uint64_t id) { return replica_id{id}; }),
                                rc::gen::inRange<std::uint64_t>(1, counters + 1));
    return *rc::gen::container<std::vector<dot>>(one);
}

causal_context context_of(const std::vector<dot>& dots) {
    causal_context context;
    for (dot d : dots) context.insert(d);
    return context;
}

// The context covers exactly `seen`, and no dot stands in the cloud that the vector could hold.
void check_means(const causal_context& context, const std::set<dot>& seen) {
    for (std::uint64_t id = 1; id <= replicas; ++id) {
        std::uint64_t highest = 0;
        for (std::uint64_t counter = 1; counter <= counters + 1; ++counter) {
            dot d{replica_id{id}, counter};
            RC_ASSERT(context.covers(d) == seen.contains(d));
            if (seen.contains(d)) highest = counter;
        }
        RC_ASSERT(context.next(replica_id{id}) == (dot{replica_id{id}, highest + 1}));
    }
    RC_ASSERT(std::is_sorted(context.cloud().begin(), context.cloud().end()));
    for (dot d : context.cloud()) RC_ASSERT(d.counter > context.vector().at(d.replica) + 1);
}

BOOST_AUTO_TEST_SUITE(causal_context_test)

BOOST_AUTO_TEST_CASE(a_dot_ahead_waits_in_the_cloud_until_the_gap_is_closed) {
    causal_context context;
    context.insert({a, 1});
    context.insert({a, 3});
    BOOST_TEST(context.cloud().size() == 1U);
    BOOST_TEST(!context.covers({a, 2}));
    context.insert({a, 2});
    BOOST_TEST(context.cloud().empty());
    BOOST_TEST((context.vector() == version_vector{{a, 3}}));
}

BOOST_AUTO_TEST_CASE(the_next_dot_is_above_everything_seen) {
    causal_context context(version_vector{{a, 4}});
    BOOST_TEST((context.next(a) == dot{a, 5}));
    BOOST_TEST((context.next(b) == dot{b, 1}));
    context.insert({a, 9});
    BOOST_TEST((context.next(a) == dot{a, 10}));
}

RC_BOOST_PROP(a_context_is_the_set_of_dots_put_in, ()) {
    std::vector<dot> dots = some_dots();
    check_means(context_of(dots), {dots.begin(), dots.end()});
}

RC_BOOST_PROP(a_join_is_the_union, ()) {
    std::vector<dot> left = some_dots();
    std::vector<dot> right = some_dots();
    std::set<dot> both(left.begin(), left.end());
    both.insert(right.begin(), right.end());
    causal_context context = context_of(left);
    context.join(context_of(right));
    check_means(context, both);
    RC_ASSERT(context == context_of({both.begin(), both.end()}));
}

RC_BOOST_PROP(join_is_idempotent_commutative_and_associative, ()) {
    auto joined = [](causal_context x, const causal_context& y) {
        x.join(y);
        return x;
    };
    causal_context x = context_of(some_dots());
    causal_context y = context_of(some_dots());
    causal_context z = context_of(some_dots());
    RC_ASSERT(joined(x, x) == x);
    RC_ASSERT(joined(x, y) == joined(y, x));
    RC_ASSERT(joined(joined(x, y), z) == joined(x, joined(y, z)));
}

BOOST_AUTO_TEST_SUITE_END()

} // namespace
} // namespace weft
