#include "base/limits.hpp"
#include "base/random.hpp"
#include "replica/digest_ranges.hpp"
#include "tests/replica/operations.hpp"

#include <boost/test/unit_test.hpp>

#include <algorithm>
#include <list>
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

using parts = std::vector<range_digest>;

std::vector<parts> counted(const keyspace& state, std::vector<digest_count::range> ranges,
                           std::size_t parts_max, std::size_t step) {
    digest_count all(state, std::move(ranges), parts_max);
    while (!all.done()) all.step(step);
    return all.take();
}

narrowed_ranges answered(const keyspace& state, const parts& theirs) {
    std::vector<digest_count::range> ranges;
    for (const range_digest& r : theirs) ranges.push_back({r.first, r.end});
    return narrow(theirs, counted(state, ranges, limits::digest_ranges_max / 2, 100));
}

// Lets two sides answer each other until the ranges are found.
std::vector<range_digest> search(const keyspace& one, const keyspace& other, int& messages) {
    narrowed_ranges sent{counted(one, {{}}, limits::digest_ranges_max, 100).front(), false};
    for (messages = 1; !sent.found && !sent.ranges.empty(); ++messages) {
        BOOST_REQUIRE(messages < 60);
        sent = answered(messages % 2 == 1 ? other : one, sent.ranges);
        BOOST_REQUIRE(sent.ranges.size() <= limits::digest_ranges_max);
    }
    return sent.ranges;
}

} // namespace

BOOST_AUTO_TEST_CASE(parts_cover_a_range_in_equal_shares_and_sum_to_its_digest) {
    for (int keys : {0, 1, 2, 15, 16, 17, 33, 1'000}) {
        keyspace state = with_keys(numbered(keys));
        for (std::size_t parts_max : {2U, 8U, 16U}) {
            auto all = counted(state, {{}}, parts_max, 7).front();
            BOOST_TEST(all.front().first.empty());
            BOOST_TEST(all.back().end.empty());
            BOOST_TEST((sum_of(all) == state.digest()));
            auto n = static_cast<std::size_t>(keys);
            BOOST_TEST(all.size() <= parts_max);
            BOOST_TEST(all.size() >= std::min(std::max<std::size_t>(n, 1), parts_max / 2));
            if (n <= parts_max) BOOST_TEST(all.size() == std::max<std::size_t>(n, 1));
            for (std::size_t i = 1; i < all.size(); ++i) BOOST_TEST(all[i].first == all[i - 1].end);
        }
    }
}

BOOST_AUTO_TEST_CASE(each_range_is_counted_by_itself) {
    keyspace state = with_keys(numbered(1'000));
    auto found = counted(state,
                         {{"key:1000500", "key:1000501"},
                          {"a", "b"},
                          {"", "key:1000010"},
                          {"key:1000990", ""},
                          {"", ""}},
                         16, 1);
    BOOST_REQUIRE(found.size() == 5U);
    BOOST_TEST(found[0].size() == 1U);
    BOOST_TEST(!(sum_of(found[0]) == state_digest{}));
    BOOST_TEST(found[1].size() == 1U);
    BOOST_TEST((sum_of(found[1]) == state_digest{}));
    BOOST_TEST(found[2].size() == 10U);
    BOOST_TEST(found[3].size() == 10U);
    BOOST_TEST((sum_of(found[4]) == state.digest()));
    BOOST_TEST(counted(state, {}, 16, 1).empty());
}

// Objects of every type, nested, of several types under one key; sets that no step holds.
BOOST_AUTO_TEST_CASE(the_digest_of_any_state_is_counted_in_steps_of_any_size) {
    for (std::uint64_t seed = 1; seed <= 20; ++seed) {
        tests::operation_source source(seed);
        tests::author a(1);
        std::list<operation> operations;
        for (std::uint64_t stamp = 1; stamp <= 200; ++stamp) {
            operation& op = operations.emplace_back(source.next(a.id));
            if (!tests::allowed(a, op)) continue;
            (void)a.write(op, stamp, nullptr);
            a.seen.advance(a.id, a.next - 1);
        }
        for (std::size_t step : {1U, 3U, 1'000U}) {
            auto all = counted(a.state, {{}}, 16, step).front();
            BOOST_TEST((sum_of(all) == a.state.digest()));
        }
    }
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
        BOOST_TEST(messages <= 8);
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
