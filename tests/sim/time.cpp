#include "tests/sim/time.hpp"

#include <algorithm>
#include <optional>

namespace weft {
namespace {

constexpr std::uint64_t wall_ms_at_start = 1'767'225'600'000; // the first of January 2026
constexpr std::int64_t turn_ns = 1'000;

} // namespace

sim_timeline::place sim_timeline::at(instant when, std::function<void()> task) {
    place where{next_++, tasks_.size()};
    if (free_.empty()) {
        tasks_.emplace_back();
    } else {
        where.slot = free_.back();
        free_.pop_back();
    }
    tasks_[where.slot] = {where.number, std::move(task)};
    heap_.push_back({std::max(when, now_), where});
    std::push_heap(heap_.begin(), heap_.end(), later);
    return where;
}

void sim_timeline::cancel(place which) {
    waiting& there = tasks_[which.slot];
    if (there.number != which.number) return;
    there.number = 0;
    auto task = std::exchange(there.task, nullptr); // what it holds may ask for more as it goes
    free_.push_back(which.slot);
}

bool sim_timeline::find_next() {
    while (!heap_.empty()) {
        place first = heap_.front().where;
        if (tasks_[first.slot].number == first.number) return true;
        std::pop_heap(heap_.begin(), heap_.end(), later);
        heap_.pop_back();
    }
    return false;
}

bool sim_timeline::run_one() {
    if (!find_next()) return false;
    std::pop_heap(heap_.begin(), heap_.end(), later);
    due next = heap_.back();
    heap_.pop_back();
    now_ = next.when;
    waiting& there = tasks_[next.where.slot];
    auto task = std::exchange(there.task, nullptr);
    there.number = 0;
    free_.push_back(next.where.slot);
    task();
    return true;
}

void sim_timeline::run_until(instant when) {
    until_ = when;
    while (find_next() && heap_.front().when <= when) run_one();
    until_ = {};
    now_ = std::max(now_, when);
}

bool sim_timeline::pass_to(instant when) {
    if (when > until_ || (find_next() && heap_.front().when <= when)) return false;
    now_ = when;
    return true;
}

std::uint64_t sim_time::wall_ms() {
    std::int64_t passed_ms = all_.now().ns / 1'000'000;
    std::int64_t off_ms = skew_ms_ + passed_ms * drift_ppm_ / 1'000'000;
    return wall_ms_at_start + static_cast<std::uint64_t>(passed_ms + off_ms);
}

instant sim_time::on_timeline(instant local) const {
    if (local == instant::never()) return local;
    return {local.ns - boot_ns_};
}

// Fires by posting, so that it keeps its place among the loop's tasks, and says nothing any more if
// it was set anew, cancelled or destroyed in between.
class sim_loop::one_timer final : public timer {
public:
    one_timer(sim_loop& owner, std::function<void()> task)
        : owner_(owner), task_(std::make_shared<const std::function<void()>>(std::move(task))) {}
    ~one_timer() override { one_timer::cancel(); }

    void set(instant when) override {
        one_timer::cancel();
        place_ = owner_.all_.at(owner_.time_.on_timeline(when), [this] { fire(); });
    }
    void cancel() override {
        ++*set_count_;
        if (place_) owner_.all_.cancel(*place_);
        place_.reset();
    }

private:
    void fire() {
        place_.reset();
        owner_.post([mine = std::weak_ptr(set_count_), count = *set_count_, task = task_] {
            auto counted = mine.lock();
            if (counted && *counted == count) (*task)();
        });
    }

    sim_loop& owner_;
    std::shared_ptr<const std::function<void()>> task_; // it may destroy the timer
    std::shared_ptr<std::uint64_t> set_count_ = std::make_shared<std::uint64_t>(0);
    std::optional<sim_timeline::place> place_;
};

sim_loop::~sim_loop() {
    if (scheduled_) all_.cancel(turn_at_);
}

void sim_loop::post(std::function<void()> task) {
    tasks_.push_back(std::move(task));
    schedule();
}

std::unique_ptr<timer> sim_loop::make_timer(std::function<void()> task) {
    return std::make_unique<one_timer>(*this, std::move(task));
}

void sim_loop::resume() {
    paused_ = false;
    schedule();
}

void sim_loop::schedule() {
    if (scheduled_ || paused_ || tasks_.empty()) return;
    scheduled_ = true;
    turn_at_ = all_.at({all_.now().ns + turn_ns}, [this] { turn(); });
}

void sim_loop::turn() {
    bool more = !paused_ && !tasks_.empty();
    while (more) { // what it posts meanwhile waits for no turn of its own
        auto task = std::move(tasks_.front());
        tasks_.pop_front();
        task();
        more = !paused_ && !tasks_.empty() && all_.pass_to({all_.now().ns + turn_ns});
    }
    scheduled_ = false;
    schedule();
}

} // namespace weft
