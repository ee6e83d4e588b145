#include "base/copy_on_write.hpp"

#include <boost/test/unit_test.hpp>

#include <atomic>
#include <memory>
#include <string>
#include <thread>
#include <vector>

namespace weft {
namespace {

BOOST_AUTO_TEST_SUITE(copy_on_write_test)

BOOST_AUTO_TEST_CASE(copies_share_until_one_changes) {
    copy_on_write<std::string> one(std::string(100, 'a'));
    const std::string* before = &*one;
    one.change() += 'b';
    BOOST_TEST(&*one == before, "nobody else has it");
    copy_on_write<std::string> two = one;
    BOOST_TEST(&*two == &*one);
    two.change() += 'c';
    BOOST_TEST(&*one == before);
    BOOST_TEST(one->size() == 101U);
    BOOST_TEST(two->size() == 102U);
    one = two;
    BOOST_TEST(&*one == &*two);
    two = copy_on_write<std::string>("moved");
    BOOST_TEST(*two == "moved");
    const std::string* left = &*one;
    one.change() += 'd';
    BOOST_TEST(&*one == left, "the other let go of it");
}

BOOST_AUTO_TEST_CASE(a_copy_that_does_not_come_about_changes_nothing) {
    struct fragile {
        int number = 0;
        explicit fragile(int n) : number(n) {}
        fragile(const fragile&) { throw std::bad_alloc(); }
        fragile(fragile&&) = default;
        fragile& operator=(const fragile&) = default;
        fragile& operator=(fragile&&) = default;
        ~fragile() = default;
    };
    copy_on_write<fragile> one(fragile(7));
    copy_on_write<fragile> two = one;
    BOOST_CHECK_THROW((void)two.change(), std::bad_alloc);
    BOOST_TEST(two->number == 7);
    BOOST_TEST(&*one == &*two);
}

// Run under ThreadSanitizer: what a copy reads in another thread, the original no longer changes.
BOOST_AUTO_TEST_CASE(a_copy_is_read_by_another_thread_while_the_original_goes_on) {
    std::vector<copy_on_write<std::vector<int>>> pages;
    for (int i = 0; i < 50; ++i) pages.emplace_back(std::vector<int>(10, 0));
    for (int round = 1; round <= 50; ++round) {
        auto copy = std::make_unique<std::vector<copy_on_write<std::vector<int>>>>(pages);
        std::atomic<bool> same = true;
        std::thread reader([&same, round, copy = std::move(copy)]() mutable {
            for (const auto& page : *copy) {
                for (int n : *page) same = same && n == round - 1;
            }
            copy.reset();
        });
        for (auto& page : pages) {
            for (int& n : page.change()) n = round;
        }
        reader.join();
        BOOST_TEST(same);
    }
}

BOOST_AUTO_TEST_SUITE_END()

} // namespace
} // namespace weft
