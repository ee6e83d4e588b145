#pragma once
#include "base/env.hpp"
#include "base/random.hpp"

#include <deque>
#include <functional>
#include <memory>
#include <utility>
#include <vector>

// Time, chance and the loop of a simulated world: one thread, one queue, one seed.
namespace weft {

// All that will happen, by virtual time and, at one time, in the order in which it was asked for.
// Nothing here waits: time is what the next event says.
class sim_timeline {
public:
    struct place { // names one event
        std::uint64_t number = 0;
        std::size_t slot = 0;
    };

    [[nodiscard]] instant now() const { return now_; }
    // `task` runs at `when`, or now if that has passed.
    place at(instant when, std::function<void()> task);
    void cancel(place which); // does nothing if it ran already

    bool run_one(); // false if nothing will ever happen
    void run_until(instant when);
    // Of an event that goes on at `when`: true, and it is that time, if nothing else happens by then. Else it
    // has to ask for it.
    bool pass_to(instant when);

private:
    struct due {
        instant when;
        place where;
    };
    struct waiting {
        std::uint64_t number = 0; // 0: nothing waits here
        std::function<void()> task;
    };
    static bool later(const due& a, const due& b) {
        return std::pair(a.when, a.where.number) > std::pair(b.when, b.where.number);
    }
    bool find_next(); // leaves the next event at the top; false if there is none

    instant now_;
    instant until_;         // what run_until runs to
    std::vector<due> heap_; // the next one first; those cancelled go when they come to the top
    std::vector<waiting> tasks_;
    std::vector<std::size_t> free_; // of tasks_
    std::uint64_t next_ = 1;
};

// The clocks of one simulated machine.
class sim_time final : public time_source {
public:
    // Both clocks run with the timeline; the monotonic one starts at `boot_ns`, the wall clock is
    // off by `skew_ms` and gains `drift_ppm` microseconds a second since the timeline began.
    sim_time(const sim_timeline& all, std::int64_t boot_ns, std::int64_t skew_ms,
             std::int64_t drift_ppm = 0)
        : all_(all), boot_ns_(boot_ns), skew_ms_(skew_ms), drift_ppm_(drift_ppm) {}

    instant now() override { return {all_.now().ns + boot_ns_}; }
    std::uint64_t wall_ms() override;
    void set_skew_ms(std::int64_t skew_ms) { skew_ms_ = skew_ms; } // the wall clock jumps
    // When the timeline will be where this clock says `local`.
    [[nodiscard]] instant on_timeline(instant local) const;

private:
    const sim_timeline& all_;
    std::int64_t boot_ns_;
    std::int64_t skew_ms_;
    std::int64_t drift_ppm_;
};

class sim_random final : public random_source {
public:
    explicit sim_random(random_generator from) : from_(from) {}
    std::uint64_t draw() override { return from_.next(); }

private:
    random_generator from_;
};

// The loop of one simulated process. Its tasks run in order, each in a moment of its own, so that
// tasks that post tasks for ever cannot stop time.
class sim_loop final : public loop {
public:
    // Both outlive it, and it outlives its timers.
    sim_loop(sim_timeline& all, sim_time& time) : all_(all), time_(time) {}
    ~sim_loop() override;

    void post(std::function<void()> task) override;
    std::unique_ptr<timer> make_timer(std::function<void()> task) override;
    bool in_loop_thread() const override { return true; }

    // A process that gets no processor: nothing runs until `resume`, then all of it in order.
    void pause() { paused_ = true; }
    void resume();
    [[nodiscard]] bool paused() const { return paused_; }

private:
    class one_timer;
    void schedule();
    void turn();

    sim_timeline& all_;
    sim_time& time_;
    std::deque<std::function<void()>> tasks_;
    bool scheduled_ = false;
    sim_timeline::place turn_at_;
    bool paused_ = false;
};

} // namespace weft
