#include "clock/system_time.hpp"
#include "transport/asio_loop.hpp"

#include <boost/test/unit_test.hpp>

#include <array>
#include <atomic>
#include <future>
#include <thread>
#include <vector>

using namespace weft;

namespace {

// Runs the loop in this thread until `stop` was called in it.
struct looping {
    void run() { loop.run(); }

    asio_loop loop;
    system_time time;
};

} // namespace

BOOST_AUTO_TEST_SUITE(real_loop)

BOOST_AUTO_TEST_CASE(tasks_run_in_the_order_posted) {
    looping here;
    std::vector<int> ran;
    for (int i = 0; i < 1'000; ++i) {
        here.loop.post([&, i] {
            ran.push_back(i);
            if (i == 0) here.loop.post([&] { ran.push_back(1'000); });
        });
    }
    here.loop.post([&] { here.loop.post([&] { here.loop.stop(); }); });
    here.run();
    BOOST_REQUIRE(ran.size() == 1'001U);
    for (int i = 0; i <= 1'000; ++i) BOOST_TEST(ran[static_cast<std::size_t>(i)] == i);
}

BOOST_AUTO_TEST_CASE(each_thread_s_tasks_stay_in_order) {
    constexpr int threads = 4;
    constexpr int tasks = 5'000;
    asio_loop loop;
    loop.start();
    std::array<std::vector<int>, threads> ran;
    std::vector<std::thread> posting;
    posting.reserve(threads);
    for (std::size_t t = 0; t < threads; ++t) {
        posting.emplace_back([&, t] {
            for (int i = 0; i < tasks; ++i) loop.post([&ran, t, i] { ran[t].push_back(i); });
        });
    }
    for (std::thread& one : posting) one.join();
    loop.stop();
    for (const std::vector<int>& of_thread : ran) {
        BOOST_TEST(of_thread.size() == static_cast<std::size_t>(tasks));
        BOOST_TEST(std::is_sorted(of_thread.begin(), of_thread.end()));
    }
}

BOOST_AUTO_TEST_CASE(stop_runs_what_was_posted_before) {
    std::atomic<int> ran = 0;
    asio_loop loop;
    for (int i = 0; i < 100; ++i) loop.post([&] { ++ran; });
    loop.start();
    loop.stop();
    BOOST_TEST(ran == 100);
    loop.stop();
}

BOOST_AUTO_TEST_CASE(the_loop_knows_its_thread) {
    asio_loop loop;
    std::promise<bool> inside;
    loop.start();
    loop.post([&] { inside.set_value(loop.in_loop_thread()); });
    BOOST_TEST(inside.get_future().get());
    BOOST_TEST(!loop.in_loop_thread());
}

BOOST_AUTO_TEST_CASE(a_timer_calls_once_and_not_early) {
    looping here;
    int calls = 0;
    instant due = here.time.now().after_ms(20);
    auto alarm = here.loop.make_timer([&] {
        ++calls;
        BOOST_TEST((here.time.now() >= due));
    });
    alarm->set(due);
    auto later = here.loop.make_timer([&] { here.loop.stop(); });
    later->set(due.after_ms(20));
    here.run();
    BOOST_TEST(calls == 1);
}

BOOST_AUTO_TEST_CASE(timers_fire_in_order_of_time) {
    looping here;
    std::vector<int> fired;
    instant now = here.time.now();
    std::vector<std::unique_ptr<timer>> alarms;
    for (int ms : {30, 10, 20, -5}) {
        alarms.push_back(here.loop.make_timer([&fired, ms] { fired.push_back(ms); }));
        alarms.back()->set(now.after_ms(ms));
    }
    auto end = here.loop.make_timer([&] { here.loop.stop(); });
    end->set(now.after_ms(40));
    here.run();
    BOOST_TEST(fired == (std::vector<int>{-5, 10, 20, 30}), boost::test_tools::per_element());
}

BOOST_AUTO_TEST_CASE(setting_again_replaces_and_never_cancels) {
    looping here;
    int calls = 0;
    auto alarm = here.loop.make_timer([&] { ++calls; });
    instant now = here.time.now();
    alarm->set(now);
    alarm->set(now.after_ms(1));
    alarm->set(instant::never());
    auto other = here.loop.make_timer([&] { ++calls; });
    other->set(now.after_ms(3'600'000));
    other->set(now.after_ms(2)); // earlier than before
    auto end = here.loop.make_timer([&] { here.loop.stop(); });
    end->set(now.after_ms(30));
    here.run();
    BOOST_TEST(calls == 1);
}

// Its time has come and its call is due, but something else runs first.
BOOST_AUTO_TEST_CASE(a_due_timer_can_still_be_cancelled_or_destroyed) {
    looping here;
    int calls = 0;
    auto first = here.loop.make_timer([&] { ++calls; });
    auto second = here.loop.make_timer([&] { ++calls; });
    std::unique_ptr<timer> killer = here.loop.make_timer([&] {
        first->cancel();
        second.reset();
    });
    instant past = here.time.now().after_ms(-10);
    killer->set(past.after_ms(-10));
    first->set(past);
    second->set(past);
    auto end = here.loop.make_timer([&] { here.loop.stop(); });
    end->set(here.time.now().after_ms(30));
    here.run();
    BOOST_TEST(calls == 0);
}

BOOST_AUTO_TEST_CASE(a_timer_may_be_set_or_destroyed_in_its_own_task) {
    looping here;
    auto witness = std::make_shared<int>(7);
    int calls = 0;
    std::unique_ptr<timer> alarm;
    alarm = here.loop.make_timer([&, witness] {
        if (++calls < 3) {
            alarm->set(here.time.now());
            return;
        }
        alarm.reset();
        BOOST_TEST(*witness == 7);
        here.loop.stop();
    });
    alarm->set(here.time.now());
    here.run();
    BOOST_TEST(calls == 3);
}

BOOST_AUTO_TEST_SUITE_END()
