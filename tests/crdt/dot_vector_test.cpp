#include "crdt/dot_vector.hpp"

#include <boost/test/unit_test.hpp>
#include <rapidcheck/boost_test.h>

#include <cstdint>
#include <string>
#include <vector>

namespace weft {
namespace {

// Owns heap memory, so that a lost, doubled or skipped destructor is seen by the sanitizer.
struct element {
    dot at;
    std::string text;
    bool operator==(const element&) const = default;
};

element element_of(std::uint32_t choice) {
    return {{replica_id{choice % 3}, 1 + choice % 10},
            "element that does not fit inside " + std::to_string(choice % 10)};
}

bool same(const dot_vector<element>& x, const std::vector<element>& y) {
    return x.size() == y.size() && x.empty() == y.empty() &&
           std::equal(x.begin(), x.end(), y.begin());
}

template <class Entry>
bool inside(const dot_vector<Entry>& all) {
    auto first = reinterpret_cast<std::uintptr_t>(&all);
    auto at = reinterpret_cast<std::uintptr_t>(all.begin());
    return at >= first && at < first + sizeof all;
}

BOOST_AUTO_TEST_SUITE(dot_vector_test)

BOOST_AUTO_TEST_CASE(it_does_what_a_vector_does) {
    rc::detail::checkBoostTest([] {
        auto program = *rc::gen::container<std::vector<std::uint32_t>>(
            rc::gen::inRange<std::uint32_t>(0, 1U << 24U));
        dot_vector<element> mine;
        std::vector<element> reference;
        for (std::uint32_t word : program) {
            std::uint32_t choice = word / 8;
            std::size_t at = reference.empty() ? 0 : choice % (reference.size() + 1);
            switch (word % 8) {
                case 0:
                case 1:
                    mine.push_back(element_of(choice)), reference.push_back(element_of(choice));
                    break;
                case 2:
                    RC_ASSERT(*mine.insert(mine.begin() + at, element_of(choice)) ==
                              element_of(choice));
                    reference.insert(reference.begin() + static_cast<std::ptrdiff_t>(at),
                                     element_of(choice));
                    break;
                case 3:
                    if (!reference.empty()) { // an element of its own
                        mine.push_back(mine[choice % mine.size()]);
                        reference.push_back(element(reference[choice % reference.size()]));
                    }
                    break;
                case 4: {
                    bool most = choice % 3 == 0;
                    auto drop = [&](const element& e) {
                        return most ? e.at.counter > 2 : e == element_of(choice);
                    };
                    RC_ASSERT(mine.erase_if(drop) == std::erase_if(reference, drop));
                    break;
                }
                case 5: {
                    dot_vector<element> copy = mine;
                    RC_ASSERT(copy == mine);
                    dot_vector<element> other;
                    for (std::uint32_t i = 0; i < choice % 4; ++i) other.push_back(element_of(i));
                    other = choice % 2 == 0 ? copy : dot_vector<element>(std::move(copy));
                    mine = std::move(other);
                    RC_ASSERT(other.empty());
                    // NOLINTNEXTLINE(bugprone-use-after-move): what was moved from is empty
                    other.push_back(element_of(7));
                    RC_ASSERT(other.size() == 1U);
                    break;
                }
                case 6: {
                    dot_vector<element>& self = mine;
                    mine = self;
                    mine = std::move(self);
                    break;
                }
                default:
                    if (choice % 8 == 0) mine.clear(), reference.clear();
            }
            RC_ASSERT(same(mine, reference));
            if (reference.size() == 1) RC_ASSERT(inside(mine));
        }
    });
}

struct bare {
    dot at;
    bool operator==(const bare&) const = default;
};

BOOST_AUTO_TEST_CASE(one_entry_lies_inside_and_two_outside) {
    dot_vector<bare> dots;
    dots.push_back({{replica_id{0}, 1}});
    BOOST_TEST(inside(dots));
    dots.push_back({{replica_id{0}, 2}});
    BOOST_TEST(!inside(dots));
    (void)dots.erase_if([](const bare& e) { return e.at.counter == 1; });
    BOOST_TEST(inside(dots), "it came back");
    BOOST_TEST(dots[0].at.counter == 2U);
    BOOST_TEST(sizeof dots == sizeof(dot));
}

BOOST_AUTO_TEST_SUITE_END()

} // namespace
} // namespace weft
