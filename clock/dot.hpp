#pragma once
#include "base/ids.hpp"

#include <compare>
#include <cstdint>
#include <string>

namespace weft {

// The globally unique name of one operation: the counter's value at one replica. Counters start
// at 1.
struct dot {
    replica_id replica{};
    std::uint64_t counter = 0;

    auto operator<=>(const dot&) const = default;
};

// "00c0ffee00c0ffee:42"
[[nodiscard]] inline std::string to_string(dot d) {
    return to_string(d.replica) + ":" + std::to_string(d.counter);
}

} // namespace weft
