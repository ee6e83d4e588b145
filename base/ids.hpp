#pragma once
#include "base/bytes.hpp"

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace weft {

// Distinct types, so that mixing them up does not compile.

enum class replica_id : std::uint64_t {}; // 64 random bits; names one incarnation of a replica
enum class session_id : std::uint32_t {}; // one session of one process
enum class peer_id : std::uint32_t {};    // index of a peer in the peer table, stable in a process
enum class log_index : std::uint64_t {};  // place of a run in one replica's log: 0, 1, 2 …
enum class run_hash : std::uint64_t {};   // XXH3-64 of an encoded run; 0 before the first

[[nodiscard]] inline log_index next(log_index index) {
    return log_index{static_cast<std::uint64_t>(index) + 1};
}
[[nodiscard]] inline log_index previous(log_index index) {
    return log_index{static_cast<std::uint64_t>(index) - 1};
}

[[nodiscard]] inline std::string to_string(replica_id id) {
    return to_hex(static_cast<std::uint64_t>(id));
}

// Reads the 16 hexadecimal digits that to_string writes.
[[nodiscard]] inline std::optional<replica_id> parse_replica_id(std::string_view text) {
    if (text.size() != 16) return std::nullopt;
    std::uint64_t number = 0;
    for (char c : text) {
        unsigned digit = 0;
        if (c >= '0' && c <= '9') {
            digit = static_cast<unsigned>(c - '0');
        } else if (c >= 'a' && c <= 'f') {
            digit = static_cast<unsigned>(c - 'a') + 10;
        } else {
            return std::nullopt;
        }
        number = number << 4U | digit;
    }
    return replica_id{number};
}

} // namespace weft
