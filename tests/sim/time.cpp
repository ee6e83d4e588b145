#include "tests/sim/time.hpp"

#include <optional>

namespace weft {
namespace {

constexpr std::uint64_t wall_ms_at_start = 1'767'225'600'000; // the first of January 2026
constexpr std::int64_t turn_ns = 1'000;

} // namespace

sim_timeline::place sim_timeline::at(instant when, std::function<void()> task) {
    place where{std::max(when, now_), next_++};
    events_.emplace(where, std::move(task));
    return where;
}

void sim_timeline::cancel(place which) { events_.erase(which); }

bool sim_timeline::run_one() {
    if (events_.empty()) return false;
    auto first = events_.extract(events_.begin());
    now_ = first.key().first;
    first.mapped()();
    return true;
}

void sim_timeline::run_until(instant when) {
    while (!events_.empty() && events_.begin()->first.first <= when) run_one();
    now_ = std::max(now_, when);
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
        auto fired = [this, mine = std::weak_ptr<std::uint64_t>(set_count_), count = *set_count_] {
            auto still = [mine, count] {
                auto counted = mine.lock();
                return counted && *counted == count;
            };
            if (!still()) return;
            owner_.post([still, task = task_] {
                if (still()) (*task)();
            });
        };
        place_ = owner_.all_.at(owner_.time_.on_timeline(when), std::move(fired));
    }
    void cancel() override {
        ++*set_count_;
        if (place_) owner_.all_.cancel(*place_);
        place_.reset();
    }

private:
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
    scheduled_ = false;
    if (paused_ || tasks_.empty()) return;
    auto task = std::move(tasks_.front());
    tasks_.pop_front();
    task();
    schedule();
}

} // namespace weft
