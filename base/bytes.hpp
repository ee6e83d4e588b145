#pragma once
#include <algorithm>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace weft {

using byte_view = std::span<const std::byte>; // borrowed
using bytes = std::vector<std::byte>;         // owned

// A part of a buffer that several holders keep alive: the log, the sessions, the frame it came in.
struct shared_bytes {
    std::shared_ptr<const bytes> owner;
    byte_view view; // into *owner

    shared_bytes() = default;
    explicit shared_bytes(bytes whole)
        : owner(std::make_shared<const bytes>(std::move(whole))), view(*owner) {}

    // The part [first, first + size) of the same buffer.
    [[nodiscard]] shared_bytes part(std::size_t first, std::size_t size) const {
        shared_bytes out;
        out.owner = owner;
        out.view = view.subspan(first, size);
        return out;
    }
    // For whoever keeps it: a copy where it would keep alive much more than it shows.
    [[nodiscard]] shared_bytes compact() const {
        if (!owner || owner->size() <= 2 * view.size()) return *this;
        return shared_bytes(bytes(view.begin(), view.end()));
    }
};

[[nodiscard]] inline byte_view as_bytes(std::string_view text) {
    return {reinterpret_cast<const std::byte*>(text.data()), text.size()};
}

[[nodiscard]] inline std::string_view as_text(byte_view data) {
    return {reinterpret_cast<const char*>(data.data()), data.size()};
}

// The first eight bytes as a number, zeros where there are fewer: it is not greater for what is less.
[[nodiscard]] inline std::uint64_t first_bytes(std::string_view text) {
    std::uint64_t out = 0;
    if (!text.empty()) std::memcpy(&out, text.data(), std::min(text.size(), sizeof out));
    return std::endian::native == std::endian::little ? __builtin_bswap64(out) : out;
}

[[nodiscard]] inline bool equal(byte_view a, byte_view b) { return as_text(a) == as_text(b); }

// Lower-case hexadecimal, two digits a byte.
[[nodiscard]] std::string to_hex(byte_view data);
[[nodiscard]] std::string to_hex(std::uint64_t number); // 16 digits

// True if `text` is well-formed UTF-8 (Unicode 15, table 3-7: no surrogates, no overlong forms).
[[nodiscard]] bool is_utf8(std::string_view text);

// Text for people that may quote anything: cut to `bytes_max` between two characters, and, if it is no UTF-8,
// with '?' for every byte beyond ASCII.
[[nodiscard]] std::string presentable(std::string text, std::size_t bytes_max);

} // namespace weft
