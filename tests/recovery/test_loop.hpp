#pragma once
#include "base/env.hpp"

#include <algorithm>
#include <condition_variable>
#include <deque>
#include <map>
#include <mutex>
#include <utility>

namespace weft {

// A loop whose time stands still until nothing else is left to do.
class test_loop final : public loop, public time_source {
public:
    void post(std::function<void()> task) override {
        std::lock_guard hold(mutex_);
        tasks_.push_back(std::move(task));
        posted_.notify_one();
    }
    std::unique_ptr<timer> make_timer(std::function<void()> task) override {
        return std::make_unique<test_timer>(*this, std::move(task));
    }
    bool in_loop_thread() const override { return true; }
    instant now() override { return now_; }
    std::uint64_t wall_ms() override {
        return 1'700'000'000'000U + static_cast<std::uint64_t>(now_.ms_since({}));
    }

    // One task, or else the next timer. False if there is neither.
    bool run_one() {
        std::function<void()> task;
        {
            std::lock_guard hold(mutex_);
            if (!tasks_.empty()) {
                task = std::move(tasks_.front());
                tasks_.pop_front();
            }
        }
        if (!task && !timers_.empty()) {
            auto due = timers_.begin();
            now_ = std::max(now_, due->first.first);
            task = due->second->task;
            due->second->number = 0;
            timers_.erase(due);
        }
        if (task) task();
        return task != nullptr;
    }
    void run() {
        while (run_one()) {
        }
    }
    // Waits for other threads if there is nothing to do.
    template <class Predicate>
    void run_until(Predicate reached) {
        while (!reached()) {
            if (run_one()) continue;
            std::unique_lock hold(mutex_);
            posted_.wait(hold, [this] { return !tasks_.empty(); });
        }
    }

private:
    struct test_timer final : timer {
        test_timer(test_loop& of, std::function<void()> what) : owner(of), task(std::move(what)) {}
        ~test_timer() override { test_timer::cancel(); }
        void set(instant when) override {
            test_timer::cancel();
            at = when;
            number = ++owner.numbers_;
            owner.timers_[{at, number}] = this;
        }
        void cancel() override {
            if (number != 0) owner.timers_.erase({at, number});
            number = 0;
        }

        test_loop& owner;
        std::function<void()> task;
        instant at;
        std::uint64_t number = 0; // 0: not set
    };

    instant now_;
    std::map<std::pair<instant, std::uint64_t>, test_timer*> timers_;
    std::uint64_t numbers_ = 0;
    std::mutex mutex_;
    std::condition_variable posted_;
    std::deque<std::function<void()>> tasks_;
};

struct event_list final : event_sink {
    void on(const log_event& event) override { seen.push_back(event); }
    std::vector<log_event> seen;
};

} // namespace weft
