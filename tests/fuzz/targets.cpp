#include "tests/fuzz/targets.hpp"

#include <array>

namespace weft::fuzz {

std::span<const target> targets() {
    static constexpr std::array all{
        target{"frame", frame},       target{"message", message}, target{"run", run},
        target{"unpack", unpack},     target{"segment", segment}, target{"snapshot", snapshot},
        target{"identity", identity}, target{"value", value},     target{"control", control},
        target{"import", import},     target{"session", session}, target{"config", config},
        target{"audit", audit},
    };
    return all;
}

} // namespace weft::fuzz
