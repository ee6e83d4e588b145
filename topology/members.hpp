#pragma once
#include <cstdint>
#include <string>

namespace weft {

// A configured member of the cluster: what a plan needs to know about it.
struct member {
    std::string name{};     // unique in the cluster
    std::string url{};      // where it listens; empty if it only dials
    std::string region{};   // empty: the one region there is
    std::uint32_t cost = 1; // of its links, relative to others

    bool operator==(const member&) const = default;
};

} // namespace weft
