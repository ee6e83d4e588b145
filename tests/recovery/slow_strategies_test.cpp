#include "base/limits.hpp"
#include "recovery/slow_strategies.hpp"
#include "tests/recovery/test_loop.hpp"
#include "tests/sim/disk.hpp"

#include <boost/test/unit_test.hpp>

#include <stdexcept>
#include <string>
#include <vector>

// Time here is what a strategy says that it takes.
using namespace weft;

namespace {

struct no_chance final : random_source {
    std::uint64_t draw() override { return 4; }
};

struct watched_world {
    struct : time_source {
        instant at{1'000'000'000};
        instant now() override { return at; }
        std::uint64_t wall_ms() override { return 1'800'000'000'000; }
    } time;
    struct : event_sink {
        std::vector<std::string> all;
        void on(const log_event& e) override { all.push_back(e.what + ": " + e.text); }
    } events;
    no_chance random;
    test_loop run;
    sim_directory directory{directory_facts{"machine", 1, 2, 3}};
    sim_disk files{directory, run, run, [] { return 1; }};
    env doors{time, random, files, run, events};
    std::int64_t takes_ms = 0;
    bool throws = false;
    rules all;

    watched_world() {
        auto slow = custom("slow", [this](const conflict&) -> std::optional<value> {
            time.at = time.at.after_ms(takes_ms);
            if (throws) throw std::runtime_error("no idea");
            return value(7);
        });
        rule checked{.key = "c:*"};
        checked.check = {"late", [this](const value&) -> std::string {
                             time.at = time.at.after_ms(takes_ms);
                             if (throws) throw std::runtime_error("no idea");
                             return "no";
                         }};
        all = watched(*rules::make({{.key = "k", .how = resolver({slow})}, checked}), doors);
    }
    decision decides(std::int64_t ms) {
        takes_ms = ms;
        conflict what{conflict_kind::write_write, {"k"}, {type_kind::mv_register}, {}};
        what.siblings.push_back({{replica_id{1}, 1}, {}, value(1), "a", {}});
        what.siblings.push_back({{replica_id{2}, 1}, {}, value(2), "b", {}});
        decision out = all.all().front().how->resolve(what);
        run.run();
        return out;
    }
};

} // namespace

BOOST_AUTO_TEST_SUITE(recovery_slow_strategies)

BOOST_AUTO_TEST_CASE(a_slow_strategy_is_reported_and_decides_all_the_same) {
    watched_world w;
    BOOST_TEST((w.decides(limits::strategy_ms_slow - 1).read->values == std::vector{value(7)}));
    BOOST_TEST(w.events.all.empty());
    BOOST_TEST((w.decides(limits::strategy_ms_slow).read->values == std::vector{value(7)}));
    BOOST_REQUIRE_EQUAL(w.events.all.size(), 1);
    BOOST_TEST(w.events.all.front() ==
               "conflict.slow_strategy: slow took 20 ms for 2 siblings of 'k'");
}

BOOST_AUTO_TEST_CASE(it_is_said_again_only_after_a_while) {
    watched_world w;
    for (int i = 0; i < 5; ++i) (void)w.decides(50);
    BOOST_TEST(w.events.all.size() == 1U);
    w.time.at = w.time.at.after_ms(limits::strategy_slow_said_ms);
    (void)w.decides(50);
    BOOST_TEST(w.events.all.size() == 2U);
}

BOOST_AUTO_TEST_CASE(one_that_throws_late_is_reported_too) {
    watched_world w;
    w.throws = true;
    decision made = w.decides(60);
    BOOST_TEST(!made.read);
    BOOST_TEST(made.failed.front().detail.find("no idea") != std::string::npos);
    BOOST_REQUIRE_EQUAL(w.events.all.size(), 1);
    BOOST_TEST(w.events.all.front().find("slow took 60 ms") != std::string::npos);
}

BOOST_AUTO_TEST_CASE(so_is_a_slow_check) {
    watched_world w;
    auto says = [&](std::int64_t ms) {
        w.takes_ms = ms;
        std::string_view path[] = {"c:1"};
        std::string why = w.all.find(path, {type_kind::mv_register})->outside(value(1));
        w.run.run();
        return why;
    };
    BOOST_TEST(says(limits::strategy_ms_slow - 1) == "late: no");
    BOOST_TEST(w.events.all.empty());
    BOOST_TEST(says(limits::strategy_ms_slow) == "late: no");
    BOOST_REQUIRE_EQUAL(w.events.all.size(), 1);
    BOOST_TEST(w.events.all.front() ==
               "conflict.slow_strategy: the check late took 20 ms for a value of 'c:*'");
    w.throws = true;
    w.time.at = w.time.at.after_ms(limits::strategy_slow_said_ms);
    BOOST_TEST(says(60) == "late: the check threw: no idea");
    BOOST_TEST(w.events.all.size() == 2U);
}

BOOST_AUTO_TEST_CASE(the_rules_are_the_same_to_others) {
    watched_world w;
    auto same = custom("slow", [](const conflict&) { return std::optional<value>(); });
    rule checked{.key = "c:*"};
    checked.check = {"late", [](const value&) { return std::string(); }};
    auto others = rules::make({{.key = "k", .how = resolver({same})}, checked});
    BOOST_TEST(w.all.version() == others->version());
}

BOOST_AUTO_TEST_SUITE_END()
