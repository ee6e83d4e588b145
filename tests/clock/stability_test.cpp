#include "base/random.hpp"
#include "clock/stability.hpp"
#include "tests/seeds.hpp"

#include <boost/test/unit_test.hpp>

#include <algorithm>
#include <map>
#include <set>
#include <string>

namespace weft {
namespace {

constexpr replica_id a{1};
constexpr replica_id b{2};

BOOST_AUTO_TEST_SUITE(stability_test)

BOOST_AUTO_TEST_CASE(nothing_is_stable_before_every_member_has_spoken) {
    stability seen;
    BOOST_TEST(seen.frontier().empty());
    seen.add_member("berlin");
    seen.add_member("oslo");
    seen.seen_by("berlin", {{a, 5}});
    BOOST_TEST(seen.frontier().empty());
    seen.seen_by("oslo", {{a, 3}, {b, 1}});
    BOOST_TEST((seen.frontier() == version_vector{{a, 3}}));
}

BOOST_AUTO_TEST_CASE(who_leaves_no_longer_holds_the_frontier_back) {
    stability seen;
    seen.add_member("berlin");
    seen.add_member("oslo");
    seen.seen_by("berlin", {{a, 5}});
    seen.remove_member("oslo");
    BOOST_TEST((seen.frontier() == version_vector{{a, 5}}));
    BOOST_TEST(seen.members() == 1U);
}

BOOST_AUTO_TEST_CASE(late_news_and_strangers_change_nothing) {
    stability seen;
    seen.add_member("berlin");
    seen.seen_by("berlin", {{a, 5}});
    seen.seen_by("berlin", {{a, 2}});
    seen.seen_by("paris", {{a, 9}});
    seen.add_member("berlin"); // again
    BOOST_TEST((seen.frontier() == version_vector{{a, 5}}));
    BOOST_TEST(seen.members_with({a, 5}) == 1U);
    BOOST_TEST(seen.members_with({a, 6}) == 0U);
}

// The reference keeps every dot that each member has, one by one.
BOOST_AUTO_TEST_CASE(a_dot_is_stable_exactly_when_every_member_has_it) {
    random_generator draw(seeds::unit);
    for (int round = 0; round < 200; ++round) {
        stability seen;
        std::map<std::string, std::set<dot>> dots;
        for (std::uint64_t member = 0; member <= draw.below(5); ++member) {
            std::string name = "m" + std::to_string(member);
            seen.add_member(name);
            dots[name];
        }
        for (int step = 0; step < 30; ++step) {
            std::string name = "m" + std::to_string(draw.below(6));
            if (draw.chance(0.05)) {
                seen.remove_member(name);
                dots.erase(name);
                continue;
            }
            version_vector durable;
            for (std::uint64_t id = 1; id <= 3; ++id)
                durable.advance(replica_id{id}, draw.below(8));
            seen.seen_by(name, durable);
            if (!dots.contains(name)) continue;
            for (const auto& e : durable.entries()) {
                for (std::uint64_t n = 1; n <= e.counter; ++n) dots[name].insert({e.replica, n});
            }
        }
        version_vector frontier = seen.frontier();
        for (std::uint64_t id = 1; id <= 3; ++id) {
            for (std::uint64_t counter = 1; counter <= 8; ++counter) {
                dot d{replica_id{id}, counter};
                auto with = static_cast<std::size_t>(std::count_if(
                    dots.begin(), dots.end(), [d](const auto& m) { return m.second.contains(d); }));
                BOOST_REQUIRE_EQUAL(seen.members_with(d), with);
                BOOST_REQUIRE_EQUAL(frontier.covers(d), !dots.empty() && with == dots.size());
            }
        }
    }
}

BOOST_AUTO_TEST_SUITE_END()

} // namespace
} // namespace weft
