#include "base/bytes.hpp"
#include "base/ordered_map.hpp"

#include <boost/test/unit_test.hpp>
#include <rapidcheck/boost_test.h>

#include <array>
#include <atomic>
#include <concepts>
#include <cstdint>
#include <iterator>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

namespace weft {
namespace {

// Entries of 256 bytes and more, so that a page holds 16 of them and splits come soon.
struct wide {
    std::string text;
    std::array<std::uint64_t, 32> padding{};
};
using untagged = ordered_map<std::string, wide>;
struct with_tags : std::less<> { // few different ones, so that they are often the same
    static std::uint64_t head(std::string_view key) { return first_bytes(key.substr(0, 6)); }
    static std::uint8_t tag(std::string_view key) {
        return static_cast<std::uint8_t>(key.empty() ? 0 : key.back() % 4);
    }
    static bool equal(std::string_view a, std::string_view b) { return a == b; }
};
using tagged = ordered_map<std::string, wide, with_tags>;
using reference_map = std::map<std::string, std::string, std::less<>>;

std::string key_of(std::uint32_t choice) { return "key " + std::to_string(choice % 97 + 1'000); }

// The same entries in the same order, found by every way there is.
template <class Tested>
bool same(const Tested& mine, const reference_map& reference) {
    if (mine.size() != reference.size() || mine.empty() != reference.empty()) return false;
    auto at = mine.begin();
    for (const auto& [key, text] : reference) {
        if (at == mine.end() || at->key != key || at->value.text != text) return false;
        const wide* found = mine.find(std::string_view(key));
        if (found != &at->value) return false;
        if (!(mine.lower_bound(key) == at)) return false;
        if constexpr (std::same_as<Tested, tagged>) {
            std::string_view name = key;
            const auto* sighted = mine.sight(mine.approach(name), name);
            if (sighted == nullptr || with_tags::tag(sighted->key) != with_tags::tag(name))
                return false;
        }
        ++at;
    }
    return at == mine.end();
}

template <class Tested>
void put(Tested& mine, reference_map& reference, const std::string& key, std::uint32_t choice,
         const typename Tested::glimpse* from = nullptr) {
    bool fresh = !reference.contains(key);
    bool made = false;
    auto make = [&] {
        made = true;
        return wide{"made", {}};
    };
    auto untold = [](const std::string*, const std::string*) {};
    wide& there = mine.find_or_insert(std::string_view(key), make, untold, from);
    RC_ASSERT(made == fresh);
    RC_ASSERT(there.text == (fresh ? "made" : reference[key]));
    there.text = reference[key] = std::to_string(choice);
}

template <class Tested>
void does_what_a_map_does() {
    rc::detail::checkBoostTest([] {
        auto program = *rc::gen::container<std::vector<std::uint32_t>>(
            rc::gen::inRange<std::uint32_t>(0, 1U << 28U));
        Tested mine;
        reference_map reference;
        std::vector<std::pair<Tested, reference_map>> copies; // they stay as they were
        for (std::uint32_t word : program) {
            std::uint32_t choice = word / 8;
            std::string key = key_of(choice);
            switch (word % 8) {
                case 0:
                case 1:
                    for (std::uint32_t i = 0; i < choice / 97 % 40; ++i) { // rising, in steps
                        put(mine, reference, key_of(choice + i), choice);
                    }
                    break;
                case 2: { // scattered
                    std::vector<std::string> keys;
                    for (std::uint32_t i = 0; i < 10; ++i)
                        keys.push_back(key_of(choice * (2 * i + 1)));
                    if constexpr (std::same_as<Tested, tagged>) { // looked for together, some twice
                        std::vector<typename Tested::glimpse> seen;
                        for (std::string_view k : keys) seen.push_back(mine.approach(k));
                        for (std::size_t i = 0; i < keys.size(); ++i) {
                            if (choice / 97 % 16 == i) reference.erase(keys.back());
                            if (choice / 97 % 16 == i) mine.erase(std::string_view(keys.back()));
                            put(mine, reference, keys[i], choice, &seen[i]);
                        }
                    } else {
                        for (const std::string& k : keys) put(mine, reference, k, choice);
                    }
                    break;
                }
                case 3:
                    RC_ASSERT(mine.erase(std::string_view(key)) == (reference.erase(key) == 1));
                    break;
                case 4: { // a whole stretch, and so whole pages
                    std::string end = key_of(choice / 97);
                    auto drop = [&](const auto& k) { return k >= key && k < end; };
                    mine.erase_if([&](auto& e) { return drop(e.key); });
                    std::erase_if(reference, [&](const auto& e) { return drop(e.first); });
                    break;
                }
                case 5: {
                    Tested copy = mine;
                    RC_ASSERT(same(copy, reference));
                    copy.clear();
                    RC_ASSERT(copy.empty() && copy.begin() == copy.end());
                    Tested moved = std::move(mine);
                    // NOLINTNEXTLINE(bugprone-use-after-move): what was moved from is empty
                    RC_ASSERT(mine.empty() && mine.begin() == mine.end());
                    mine = moved;
                    Tested& self = mine;
                    mine = self;
                    copies.emplace_back(mine, reference);
                    break;
                }
                case 6: { // between the keys, and beyond both ends
                    for (const std::string& bound : {key + "+", std::string(), std::string("z")}) {
                        auto at = std::as_const(mine).lower_bound(bound);
                        auto expected = reference.lower_bound(bound);
                        RC_ASSERT((at == std::as_const(mine).end()) ==
                                  (expected == reference.end()));
                        if (expected != reference.end()) RC_ASSERT(at->key == expected->first);
                        RC_ASSERT(mine.find(bound) == nullptr);
                        RC_ASSERT(!mine.erase(bound));
                    }
                    break;
                }
                default:
                    for (std::uint32_t i = 0; i < 20; ++i) { // one by one, until pages are empty
                        std::string next = key_of(choice + i);
                        RC_ASSERT(mine.erase(next) == (reference.erase(next) == 1));
                    }
            }
            RC_ASSERT(same(mine, reference));
        }
        // What one lets go of piece by piece the others still have.
        for (std::size_t turns = 0;; ++turns) {
            std::size_t left = 5;
            if (mine.release(left, [](wide&, std::size_t&) { return true; })) break;
            RC_ASSERT(left == 0U);
            RC_ASSERT(turns <= reference.size() / 5);
        }
        for (const auto& [copy, then] : copies) RC_ASSERT(same(copy, then));
    });
}

BOOST_AUTO_TEST_SUITE(ordered_map_test)

BOOST_AUTO_TEST_CASE(it_does_what_a_map_does) { does_what_a_map_does<untagged>(); }
BOOST_AUTO_TEST_CASE(with_tags_it_does_the_same) { does_what_a_map_does<tagged>(); }

BOOST_AUTO_TEST_CASE(entries_that_cannot_be_copied_leave_both_as_they_were) {
    struct fragile {
        int number = 0;
        explicit fragile(int n) : number(n) {}
        fragile(const fragile&) { throw std::bad_alloc(); }
        fragile(fragile&&) = default;
        fragile& operator=(const fragile&) = default;
        fragile& operator=(fragile&&) = default;
        ~fragile() = default;
    };
    ordered_map<int, fragile> one;
    one.find_or_insert(1, [] { return fragile(7); });
    auto two = one;
    BOOST_CHECK_THROW((void)two.find(1), std::bad_alloc);
    BOOST_CHECK_THROW((void)two.find_or_insert(2, [] { return fragile(8); }), std::bad_alloc);
    BOOST_TEST(std::as_const(two).find(1)->number == 7);
    BOOST_TEST(two.size() == 1U);
    BOOST_TEST(std::as_const(one).find(1)->number == 7);
}

// Run under ThreadSanitizer: what a copy reads in another thread, the original no longer changes.
BOOST_AUTO_TEST_CASE(a_copy_is_read_by_another_thread_while_the_original_goes_on) {
    ordered_map<int, int> original;
    constexpr int many = 2'000;
    for (int i = 0; i < many; ++i) original.find_or_insert(i, [] { return 0; });
    for (int round = 1; round <= 20; ++round) {
        auto copy = std::make_unique<ordered_map<int, int>>(original);
        std::atomic<bool> same = true;
        std::thread reader([&same, round, copy = std::move(copy)]() mutable {
            for (const auto& e : *copy) same = same && e.value == round - 1;
            copy.reset();
        });
        for (int i = 0; i < many; ++i) *original.find(i) = round;
        reader.join();
        BOOST_TEST(same);
    }
}

BOOST_AUTO_TEST_CASE(keys_that_come_in_order_or_in_reverse_are_all_there) {
    ordered_map<int, int> up;
    ordered_map<int, int> down;
    constexpr int many = 5'000;
    for (int i = 0; i < many; ++i) {
        up.find_or_insert(i, [&] { return i; });
        down.find_or_insert(many - 1 - i, [&] { return many - 1 - i; });
    }
    for (const auto& m : {up, down}) {
        BOOST_TEST(m.size() == static_cast<std::size_t>(many));
        int next = 0;
        for (const auto& e : m) {
            BOOST_REQUIRE_EQUAL(e.key, next);
            BOOST_REQUIRE_EQUAL(e.value, next++);
        }
        BOOST_TEST(next == many);
    }
}

BOOST_AUTO_TEST_CASE(a_new_entry_is_told_what_comes_before_and_after_it_if_that_is_at_hand) {
    ordered_map<int, int> m;
    std::map<int, int> reference;
    int told = 0;
    constexpr int many = 5'000;
    for (int i = 0; i < many; ++i) {
        int key = i < many / 2 ? i : static_cast<int>(i * 7'919LL % 100'003); // in order, then not
        auto after = reference.lower_bound(key);
        bool fresh = after == reference.end() || after->first != key;
        bool called = false;
        m.find_or_insert(
            key, [] { return 0; },
            [&](const int* before, const int* behind) {
                called = true;
                BOOST_REQUIRE(fresh);
                BOOST_REQUIRE((behind == nullptr) == (after == reference.end()));
                if (behind != nullptr) BOOST_REQUIRE_EQUAL(*behind, after->first);
                BOOST_REQUIRE((before == nullptr) == (after == reference.begin()));
                if (before != nullptr) BOOST_REQUIRE_EQUAL(*before, std::prev(after)->first);
            });
        if (i < many / 2)
            BOOST_REQUIRE(called); // at the end of all there is always a leaf to look in
        told += called ? 1 : 0;
        reference.emplace(key, 0);
    }
    BOOST_TEST(told > static_cast<int>(reference.size()) * 19 / 20);
}

BOOST_AUTO_TEST_CASE(finding_among_many_compares_few) {
    static std::size_t comparisons = 0;
    struct counting {
        bool operator()(int x, int y) const {
            ++comparisons;
            return x < y;
        }
    };
    ordered_map<int, int, counting> m;
    for (int i = 0; i < 100'000; ++i) m.find_or_insert(i * 2, [] { return 0; });
    comparisons = 0;
    BOOST_TEST(m.find(77'776) != nullptr);
    BOOST_TEST(m.find(77'777) == nullptr);
    BOOST_TEST(comparisons < 60U);
}

BOOST_AUTO_TEST_SUITE_END()

} // namespace
} // namespace weft
