#include "transport/arrivals.hpp"

namespace weft {

std::size_t arrivals::room(part& of, std::size_t wanted, instant now) {
    constexpr std::size_t small = limits::link_arriving_bytes_min;
    std::size_t out = wanted;
    bool full = bytes_ + wanted + limits::peers_max * small > bytes_max_;
    if (full && favored_ != &of) {
        if (of.bytes < small) {
            out = small - of.bytes;
        } else if (favored_ == nullptr) {
            favored_ = &of;
            favored_since_ = now;
        } else {
            if (!of.waits_since) of.waits_since = now;
            return 0;
        }
    }
    if (of.waits_since) of.begun.ns += now.ns - of.waits_since->ns;
    of.waits_since.reset();
    return std::min(out, wanted);
}

void arrivals::arrived(part& of, std::size_t bytes, std::size_t frame_bytes, bool whole_ones,
                       instant now) {
    if (of.bytes == 0 || whole_ones) of.begun = now;
    if (whole_ones && favored_ == &of) favored_ = nullptr;
    bytes_ += bytes - of.bytes;
    of.bytes = bytes;
    of.frame_bytes = frame_bytes;
}

void arrivals::forget(part& of) {
    bytes_ -= of.bytes;
    of.bytes = 0;
    if (favored_ == &of) favored_ = nullptr;
}

std::optional<std::string> arrivals::overdue(const part& of, instant now) const {
    if (of.bytes == 0) return std::nullopt;
    auto told = [&](std::int64_t ms) {
        return "of a frame of " + std::to_string(of.frame_bytes) + " bytes only " +
               std::to_string(of.bytes) + " came within " + std::to_string(ms / 1'000) + " s";
    };
    std::int64_t takes_ms = now.ms_since(of.begun);
    if (takes_ms >= limits::frame_ms_max(of.frame_bytes)) return told(takes_ms);
    std::int64_t favored_ms = now.ms_since(favored_since_);
    if (favored_ != &of || favored_ms < limits::favored_ms_max) return std::nullopt;
    return told(favored_ms) + ", while others waited for it: the budget for buffers is at its end";
}

} // namespace weft
