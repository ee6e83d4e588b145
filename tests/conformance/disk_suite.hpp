#pragma once
#include "base/env.hpp"

#include <boost/test/unit_test.hpp>

#include <memory>
#include <string>

// What every disk must do. `Place` owns a fresh directory and offers
//   std::unique_ptr<disk> open()      another opener of the same directory
//   void run_until(predicate)         runs the loop
namespace weft {

inline std::string content_of(file& from) {
    auto read = from.read(0, 1U << 20U);
    BOOST_REQUIRE(read.has_value());
    return std::string(as_text(*read));
}

inline std::unique_ptr<file> made(disk& on, std::string_view name, std::string_view text) {
    auto fresh = on.create(name);
    BOOST_REQUIRE(fresh.has_value());
    BOOST_REQUIRE((*fresh)->append(as_bytes(text)).has_value());
    return std::move(*fresh);
}

template <class Outcome>
errc code_of(const Outcome& outcome) {
    BOOST_REQUIRE(!outcome.has_value());
    BOOST_TEST(!outcome.error().detail.empty());
    return outcome.error().code;
}

template <class Place>
void check_appends_are_read_back() {
    Place place;
    auto on = place.open();
    auto open = made(*on, "a", "one ");
    BOOST_REQUIRE(open->append(as_bytes("two")).has_value());
    BOOST_REQUIRE(open->append({}).has_value());
    BOOST_TEST(content_of(*open) == "one two");
    BOOST_TEST(open->size().value() == 7U);
    BOOST_TEST(as_text(open->read(4, 2).value()) == "tw");
    BOOST_TEST(as_text(open->read(4, 100).value()) == "two");
    BOOST_TEST(open->read(7, 1).value().empty());
    BOOST_TEST(open->read(1'000, 1).value().empty());
    auto again = on->open("a");
    BOOST_REQUIRE(again.has_value());
    BOOST_TEST(content_of(**again) == "one two");
}

template <class Place>
void check_appends_follow_a_truncation() {
    Place place;
    auto on = place.open();
    auto open = made(*on, "a", "one two");
    BOOST_REQUIRE(open->truncate(4).has_value());
    BOOST_REQUIRE(open->append(as_bytes("three")).has_value());
    BOOST_TEST(content_of(*open) == "one three");
}

template <class Place>
void check_what_is_there_can_be_written_over() {
    Place place;
    auto on = place.open();
    auto open = made(*on, "a", "one two three");
    BOOST_REQUIRE(open->overwrite(4, as_bytes("TWO")).has_value());
    BOOST_REQUIRE(open->overwrite(0, {}).has_value());
    BOOST_REQUIRE(open->append(as_bytes(" four")).has_value());
    BOOST_TEST(content_of(*open) == "one TWO three four");
    BOOST_TEST(open->sync().has_value());
    BOOST_TEST(content_of(**on->open("a")) == "one TWO three four");
}

template <class Place>
void check_names_come_and_go() {
    Place place;
    auto on = place.open();
    BOOST_TEST(on->list().value().empty());
    (void)made(*on, "b", "1");
    (void)made(*on, "a", "2");
    BOOST_TEST(on->list().value() == (std::vector<std::string>{"a", "b"}));
    BOOST_REQUIRE(on->rename("a", "b").has_value()); // replaces
    BOOST_TEST(on->list().value() == std::vector<std::string>{"b"});
    BOOST_TEST(content_of(**on->open("b")) == "2");
    BOOST_REQUIRE(on->remove("b").has_value());
    BOOST_TEST(on->list().value().empty());
    BOOST_TEST(on->sync_directory().has_value());
}

template <class Place>
void check_what_is_missing_or_there_is_said() {
    Place place;
    auto on = place.open();
    BOOST_CHECK(code_of(on->open("a")) == errc::not_found);
    BOOST_CHECK(code_of(on->remove("a")) == errc::not_found);
    BOOST_CHECK(code_of(on->rename("a", "b")) == errc::not_found);
    (void)made(*on, "a", "1");
    auto twice = on->create("a");
    BOOST_CHECK(code_of(twice) == errc::io_failed);
    BOOST_TEST(twice.error().detail.find(on->place() + "/a") != std::string::npos);
    BOOST_TEST(content_of(**on->open("a")) == "1");
}

template <class Place>
void check_only_plain_names_are_taken() {
    Place place;
    auto on = place.open();
    (void)made(*on, "a", "1");
    for (std::string name : {"", ".", "..", "/a", "../a", "b/a", "a/"}) {
        BOOST_CHECK(code_of(on->create(name)) == errc::invalid_argument);
        BOOST_CHECK(code_of(on->open(name)) == errc::invalid_argument);
        BOOST_CHECK(code_of(on->remove(name)) == errc::invalid_argument);
        BOOST_CHECK(code_of(on->rename(name, "c")) == errc::invalid_argument);
        BOOST_CHECK(code_of(on->rename("a", name)) == errc::invalid_argument);
    }
    BOOST_TEST(on->list().value() == std::vector<std::string>{"a"});
}

template <class Place>
void check_syncs_answer_once_and_on_the_loop() {
    Place place;
    auto on = place.open();
    auto open = made(*on, "a", "1");
    BOOST_TEST(open->sync().has_value());
    int answers = 0;
    open->sync_later([&](const result<void>& done) {
        BOOST_TEST(done.has_value());
        ++answers;
    });
    on->sync_directory_later([&](const result<void>& done) {
        BOOST_TEST(done.has_value());
        ++answers;
    });
    BOOST_TEST(answers == 0); // never inside the call
    place.run_until([&] { return answers == 2; });
    // Appending goes on while a sync is under way, and a new one covers it.
    open->sync_later([&](const result<void>&) { ++answers; });
    BOOST_TEST(open->append(as_bytes("2")).has_value());
    place.run_until([&] { return answers == 3; });
    open->sync_later([&](const result<void>&) { ++answers; });
    place.run_until([&] { return answers == 4; });
    BOOST_TEST(content_of(*open) == "12");
}

template <class Place>
void check_a_file_may_go_while_its_sync_is_under_way() {
    Place place;
    auto on = place.open();
    auto open = made(*on, "a", "1");
    bool answered = false;
    open->sync_later([&](const result<void>& done) {
        BOOST_TEST(done.has_value());
        answered = true;
    });
    open.reset();
    place.run_until([&] { return answered; });
}

template <class Place>
void check_one_holds_the_lock() {
    Place place;
    auto on = place.open();
    auto other = place.open();
    auto held = on->lock();
    BOOST_REQUIRE(held.has_value());
    auto refused = other->lock();
    BOOST_CHECK(code_of(refused) == errc::locked);
    BOOST_TEST(refused.error().detail.find(on->place()) != std::string::npos);
    BOOST_TEST(on->list().value().empty()); // the lock is not a file of the replica
    held->reset();
    BOOST_TEST(other->lock().has_value());
}

template <class Place>
void check_the_facts_stay_while_the_directory_stays() {
    Place place;
    auto before = place.open()->facts();
    BOOST_REQUIRE(before.has_value());
    (void)made(*place.open(), "a", "1");
    BOOST_CHECK(place.open()->facts().value() == *before);
    Place elsewhere;
    BOOST_CHECK(elsewhere.open()->facts().value() != *before);
}

} // namespace weft
