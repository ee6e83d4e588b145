#include "recovery/slow_strategies.hpp"

#include "base/limits.hpp"

#include <map>
#include <memory>
#include <mutex>

namespace weft {
namespace {

class watch {
public:
    explicit watch(env& doors) : time_(doors.time), run_(doors.run), events_(doors.events) {}

    [[nodiscard]] instant now() const { return time_.now(); }
    void took(const std::string& name, const conflict& what, instant began) {
        instant ended = time_.now();
        std::int64_t took_ms = ended.ms_since(began);
        if (took_ms < limits::strategy_ms_slow) return;
        std::lock_guard hold(mutex_);
        auto [place, fresh] = said_.try_emplace(name, ended);
        if (!fresh && ended.ms_since(place->second) < limits::strategy_slow_said_ms) return;
        place->second = ended;
        std::string text = name + " took " + std::to_string(took_ms) + " ms for " +
                           std::to_string(what.siblings.size()) + " siblings of '" +
                           what.path.front() + "'";
        run_.post([&events = events_, text] {
            events.on({severity::warning, "conflict.slow_strategy", text});
        });
    }

private:
    time_source& time_;
    loop& run_;
    event_sink& events_;
    std::mutex mutex_; // reads come from any thread
    std::map<std::string, instant> said_;
};

} // namespace

rules watched(const rules& all, env& doors) {
    auto by = std::make_shared<watch>(doors);
    return all.with_strategies([&](const strategy& inner) {
        auto resolve = [by, inner](const conflict& what) {
            instant began = by->now();
            try {
                auto made = inner.resolve(what);
                by->took(inner.name, what, began);
                return made;
            } catch (...) {
                by->took(inner.name, what, began);
                throw;
            }
        };
        return strategy{inner.name, resolve};
    });
}

} // namespace weft
