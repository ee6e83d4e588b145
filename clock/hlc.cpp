#include "clock/hlc.hpp"

#include "base/limits.hpp"

#include <algorithm>
#include <cstdio>
#include <ctime>

namespace weft {

std::string to_string(hlc stamp) {
    auto seconds = static_cast<std::time_t>(stamp.ms() / 1000);
    std::tm utc{};
    gmtime_r(&seconds, &utc);
    char text[64];
    std::snprintf(text, sizeof text, "%04d-%02d-%02dT%02d:%02d:%02d.%03uZ+%u", utc.tm_year + 1900,
                  utc.tm_mon + 1, utc.tm_mday, utc.tm_hour, utc.tm_min, utc.tm_sec,
                  static_cast<unsigned>(stamp.ms() % 1000), static_cast<unsigned>(stamp.logical()));
    return text;
}

hlc hybrid_clock::stamp(std::uint64_t wall_ms) {
    // A full logical counter carries into the milliseconds: raw + 1 is the next stamp either way.
    hlc next{last_.raw + 1};
    last_ = wall_distrusted_ ? next : std::max(next, hlc::at_ms(wall_ms));
    return last_;
}

bool hybrid_clock::observe(hlc seen, std::uint64_t wall_ms) {
    if (seen.ms() > wall_ms + limits::clock_drift_ms_max) return false;
    last_ = std::max(last_, seen);
    return true;
}

void hybrid_clock::advance_to(hlc seen) { last_ = std::max(last_, seen); }

hlc hybrid_clock::ceiling_needed() const {
    if (last_ == hlc{}) return {};
    if (last_.ms() + limits::clock_ceiling_left_ms <= ceiling_.ms()) return {};
    return hlc::at_ms(last_.ms() + limits::clock_ceiling_ms);
}

} // namespace weft
