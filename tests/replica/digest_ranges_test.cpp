#include "base/limits.hpp"
#include "base/random.hpp"
#include "replica/digest_ranges.hpp"

#include <boost/test/unit_test.hpp>

#include <algorithm>
#include <map>

// Two states that should be one: the parts that differ are found and named.
using namespace weft;

namespace {

constexpr std::uint64_t wall_ms = 1'800'000'000'000;

// What makes a state wrong, as only a fault can: other content under the same dots.
keyspace with_keys(const std::map<std::string, std::int64_t>& content) {
    keyspace out;
    std::uint64_t counter = 0;
    for (const auto& [key, number] : content) {
        std::string_view path = key;
        operation op;
        op.path = {&path, 1};
        op.what = action::write;
        op.argument = value(number);
        out.apply(op, {replica_id{10}, ++counter}, hlc::at_ms(wall_ms), {}, nullptr);
    }
    return out;
}

std::map<std::string, std::int64_t> numbered(int keys) {
    std::map<std::string, std::int64_t> out;
    for (int i = 0; i < keys; ++i) out["key:" + std::to_string(1'000'000 + i)] = i;
    return out;
}

bool within(const range_digest& range, const std::string& key) {
    return range.first <= key && (range.end.empty() || key < range.end);
}

// Lets two sides answer each other until the ranges are found.
std::vector<range_digest> search(const keyspace& one, const keyspace& other, int& messages) {
    narrowed_ranges sent{digest_ranges(one, "", "", limits::digest_ranges_max), false};
    for (messages = 1; !sent.found && !sent.ranges.empty(); ++messages) {
        BOOST_REQUIRE(messages < 60);
        sent = narrow(messages % 2 == 1 ? other : one, sent.ranges);
        BOOST_REQUIRE(sent.ranges.size() <= limits::digest_ranges_max);
    }
    return sent.ranges;
}

} // namespace

BOOST_AUTO_TEST_CASE(parts_cover_a_range_and_sum_to_its_digest) {
    keyspace state = with_keys(numbered(1'000));
    for (std::size_t parts : {1U, 2U, 7U, 16U}) {
        auto ranges = digest_ranges(state, "", "", parts);
        BOOST_REQUIRE(ranges.size() == parts);
        BOOST_TEST(ranges.front().first.empty());
        BOOST_TEST(ranges.back().end.empty());
        state_digest sum;
        for (std::size_t i = 0; i < parts; ++i) {
            sum.add(state_digest{ranges[i].digest});
            if (i > 0) BOOST_TEST(ranges[i].first == ranges[i - 1].end);
        }
        BOOST_TEST((sum == state.digest()));
    }
    BOOST_TEST(digest_ranges(state, "key:1000500", "key:1000501", 16).size() == 1U);
    auto none = digest_ranges(keyspace{}, "", "", 16);
    BOOST_TEST(none.size() == 1U);
    BOOST_TEST((state_digest{none.front().digest} == state_digest{}));
}

BOOST_AUTO_TEST_CASE(the_lowest_and_the_highest_key_that_differ_are_found) {
    random_generator random(4);
    for (int round = 0; round < 60; ++round) {
        auto content = numbered(static_cast<int>(random.between(1, 3'000)));
        auto wrong = content;
        std::vector<std::string> differing;
        for (auto i = random.between(1, 3); i > 0; --i) {
            auto at = std::next(wrong.begin(),
                                random.between(0, static_cast<std::int64_t>(wrong.size()) - 1));
            if (std::find(differing.begin(), differing.end(), at->first) != differing.end())
                continue;
            differing.push_back(at->first);
            at->second += 1'000'000;
        }
        std::sort(differing.begin(), differing.end());
        int messages = 0;
        auto found = search(with_keys(content), with_keys(wrong), messages);
        BOOST_REQUIRE(found.size() == (differing.size() == 1 ? 1U : 2U));
        BOOST_TEST(within(found.front(), differing.front()));
        BOOST_TEST(within(found.back(), differing.back()));
        for (const range_digest& range : found) {
            auto keys = std::count_if(content.begin(), content.end(),
                                      [&](const auto& e) { return within(range, e.first); });
            BOOST_TEST(keys == 1, "exact");
        }
        BOOST_TEST(messages <= 6);
    }
}

BOOST_AUTO_TEST_CASE(a_stretch_that_one_side_lacks_is_found) {
    auto content = numbered(2'000);
    auto wrong = content;
    wrong.erase(wrong.find("key:1000500"), wrong.find("key:1000600"));
    // The dots are numbered by place, so all behind the stretch differ too: give them what they had.
    keyspace lacking;
    std::uint64_t counter = 0;
    for (const auto& [key, number] : content) {
        ++counter;
        if (!wrong.contains(key)) continue;
        std::string_view path = key;
        operation op;
        op.path = {&path, 1};
        op.what = action::write;
        op.argument = value(number);
        lacking.apply(op, {replica_id{10}, counter}, hlc::at_ms(wall_ms), {}, nullptr);
    }
    int messages = 0;
    auto found = search(with_keys(content), lacking, messages);
    BOOST_REQUIRE(!found.empty());
    BOOST_TEST(found.front().first <= "key:1000500");
    BOOST_TEST(found.back().end >= "key:1000600");
    BOOST_TEST(found.front().first >= "key:1000400");
    BOOST_TEST(found.back().end <= "key:1000700");
}
