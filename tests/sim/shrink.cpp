#include "tests/sim/shrink.hpp"

#include <algorithm>

namespace weft::sim {
namespace {

class shrinker {
public:
    shrinker(world_options failing, const std::function<bool(const world_options&)>& fails,
             std::size_t tries_max)
        : best_(std::move(failing)), fails_(fails), left_(tries_max) {
        scenario drawn = scenario::draw(best_);
        best_.fault_ms = drawn.fault_ms;
        best_.events.emplace();
        for (const fault_event& event : drawn.events) best_.events->insert(event.number);
    }

    world_options run() {
        world_options before;
        do {
            before = best_;
            leave_out_events();
            take_fewer_replicas();
            take_less_time();
        } while (best_ != before && left_ > 0);
        return best_;
    }

private:
    bool try_instead(world_options smaller) {
        if (left_ == 0) return false;
        --left_;
        if (!fails_(smaller)) return false;
        best_ = std::move(smaller);
        return true;
    }

    void leave_out_events() {
        for (std::size_t size = (best_.events->size() + 1) / 2; size > 0 && left_ > 0; size /= 2) {
            std::size_t first = 0;
            while (first < best_.events->size() && left_ > 0) {
                world_options smaller = best_;
                auto from = std::next(smaller.events->begin(), static_cast<std::ptrdiff_t>(first));
                std::size_t gone = std::min(size, smaller.events->size() - first);
                smaller.events->erase(from, std::next(from, static_cast<std::ptrdiff_t>(gone)));
                if (!try_instead(std::move(smaller))) first += gone;
            }
        }
    }

    void take_fewer_replicas() {
        for (std::size_t n = 2; n < best_.replicas && left_ > 0; ++n) {
            world_options smaller = best_;
            smaller.replicas = n;
            if (try_instead(std::move(smaller))) return;
        }
    }

    void take_less_time() {
        for (std::int64_t step = best_.fault_ms / 2; step >= 50 && left_ > 0; step /= 2) {
            world_options smaller = best_;
            smaller.fault_ms -= step;
            (void)try_instead(std::move(smaller));
        }
    }

    world_options best_;
    const std::function<bool(const world_options&)>& fails_;
    std::size_t left_;
};

} // namespace

world_options shrink(const world_options& failing,
                     const std::function<bool(const world_options&)>& fails,
                     std::size_t tries_max) {
    return shrinker(failing, fails, tries_max).run();
}

} // namespace weft::sim
