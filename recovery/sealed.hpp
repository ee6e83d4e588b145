#pragma once
#include "base/bytes.hpp"
#include "base/result.hpp"

#include <cstddef>
#include <cstdint>
#include <string_view>

namespace weft {

// The envelope that starts every file of a replica's directory, whatever its format: eight bytes
// of magic, u32 version, u32 body length, u32 CRC-32C of version, length and body; little-endian.
// So a reader tells "not ours", "newer than I am" and "damaged" apart before it trusts a field.
struct sealed {
    std::uint32_t version = 0;
    byte_view body;       // borrowed
    std::size_t size = 0; // of the whole envelope; what follows is the file's own business
};

inline constexpr std::size_t sealed_magic_bytes = 8;

// Ends each message about damage that stops a start.
inline constexpr std::string_view damage_remedy =
    ". Nothing was changed. 'weft repair' puts what is damaged aside and keeps what is good; peers "
    "bring "
    "the rest";

[[nodiscard]] bytes seal(std::string_view magic, std::uint32_t version, byte_view body);

// What `content` starts with. log_damaged, with what is wrong, if it is not a whole envelope with
// that magic and its checksum.
[[nodiscard]] result<sealed> unseal(std::string_view magic, byte_view content);

} // namespace weft
