#include "recovery/slow_strategies.hpp"

#include "base/limits.hpp"

#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <string>

namespace weft {
namespace {

class watch {
public:
    explicit watch(env& doors) : time_(doors.time), run_(doors.run), events_(doors.events) {}

    [[nodiscard]] instant now() const { return time_.now(); }
    // `of` is what it was asked about.
    void took(const std::string& name, instant began, const std::function<std::string()>& of) {
        instant ended = time_.now();
        std::int64_t took_ms = ended.ms_since(began);
        if (took_ms < limits::strategy_ms_slow) return;
        std::lock_guard hold(mutex_);
        auto [place, fresh] = said_.try_emplace(name, ended);
        if (!fresh && ended.ms_since(place->second) < limits::strategy_slow_said_ms) return;
        place->second = ended;
        std::string text = name + " took " + std::to_string(took_ms) + " ms for " + of();
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

// Calls it under the watch, which is told also if it throws.
template <class Function>
auto timed(watch& by, const std::string& name, const std::function<std::string()>& of,
           const Function& asked) {
    instant began = by.now();
    try {
        auto made = asked();
        by.took(name, began, of);
        return made;
    } catch (...) {
        by.took(name, began, of);
        throw;
    }
}

} // namespace

rules watched(const rules& all, env& doors) {
    auto by = std::make_shared<watch>(doors);
    auto strategy_of = [&](const strategy& inner) {
        auto resolve = [by, inner](const conflict& what) {
            auto of = [&what] {
                return std::to_string(what.siblings.size()) + " siblings of '" + what.path.front() +
                       "'";
            };
            return timed(*by, inner.name, of, [&] { return inner.resolve(what); });
        };
        return strategy{inner.name, resolve};
    };
    auto check_of = [&](const rule& one) {
        auto violated = [by, inner = *one.check, key = one.key](const value& read) {
            auto of = [&key] { return "a value of '" + (key.empty() ? "*" : key) + "'"; };
            return timed(*by, "the check " + inner.name, of, [&] { return inner.violated(read); });
        };
        return bound_check{one.check->name, violated};
    };
    return all.with_functions(strategy_of, check_of);
}

} // namespace weft
