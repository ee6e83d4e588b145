#include "base/small_vector.hpp"

#include <boost/test/unit_test.hpp>
#include <rapidcheck/boost_test.h>

#include <cstdint>
#include <string>
#include <vector>

namespace weft {
namespace {

// Owns heap memory, so that a lost, doubled or skipped destructor is seen by the sanitizer.
using element = std::string;

element element_of(std::uint32_t choice) {
    return "element that does not fit inside " + std::to_string(choice % 10);
}

bool same(const small_vector<element>& x, const std::vector<element>& y) {
    return x.size() == y.size() && x.empty() == y.empty() &&
           std::equal(x.begin(), x.end(), y.begin());
}

BOOST_AUTO_TEST_SUITE(small_vector_test)

BOOST_AUTO_TEST_CASE(it_does_what_a_vector_does) {
    rc::detail::checkBoostTest([] {
        auto program = *rc::gen::container<std::vector<std::uint32_t>>(
            rc::gen::inRange<std::uint32_t>(0, 1U << 24U));
        small_vector<element> mine;
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
                    auto drop = [&](const element& e) { return e == element_of(choice); };
                    RC_ASSERT(mine.erase_if(drop) == std::erase_if(reference, drop));
                    break;
                }
                case 5: {
                    small_vector<element> copy = mine;
                    RC_ASSERT(copy == mine);
                    small_vector<element> other{"to be", "overwritten"};
                    other = choice % 2 == 0 ? copy : small_vector<element>(std::move(copy));
                    mine = std::move(other);
                    RC_ASSERT(other.empty());
                    // NOLINTNEXTLINE(bugprone-use-after-move): what was moved from is empty
                    other.push_back("usable again");
                    RC_ASSERT(other.size() == 1U);
                    break;
                }
                case 6: {
                    small_vector<element>& self = mine;
                    mine = self;
                    mine = std::move(self);
                    break;
                }
                default:
                    if (choice % 8 == 0) mine.clear(), reference.clear();
            }
            RC_ASSERT(same(mine, reference));
        }
    });
}

BOOST_AUTO_TEST_CASE(one_element_lies_inside_and_two_outside) {
    small_vector<std::uint64_t> numbers;
    auto inside = [&] {
        auto first = reinterpret_cast<std::uintptr_t>(&numbers);
        auto at = reinterpret_cast<std::uintptr_t>(numbers.begin());
        return at >= first && at < first + sizeof numbers;
    };
    numbers.push_back(1);
    BOOST_TEST(inside());
    numbers.push_back(2);
    BOOST_TEST(!inside());
    numbers.clear();
    numbers.push_back(3);
    BOOST_TEST(inside());
    BOOST_TEST(sizeof numbers == 16U);
}

BOOST_AUTO_TEST_CASE(vectors_are_equal_by_content) {
    small_vector<int> shrunk{1, 2};
    (void)shrunk.erase_if([](int n) { return n == 2; });
    BOOST_CHECK((shrunk == small_vector<int>{1}));
    BOOST_CHECK(!(shrunk == small_vector<int>{2}));
    BOOST_CHECK(!(shrunk == small_vector<int>{}));
}

BOOST_AUTO_TEST_SUITE_END()

} // namespace
} // namespace weft
