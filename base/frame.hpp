#pragma once
#include "base/bytes.hpp"
#include "base/limits.hpp"
#include "base/result.hpp"

#include <array>
#include <cstdint>
#include <optional>

namespace weft {

// CRC-32C (Castagnoli, RFC 3720 B.4) of `data`, going on from `before`.
[[nodiscard]] std::uint32_t crc32c(byte_view data, std::uint32_t before = 0);

// The same on a processor without the instruction for it; crc32c chooses.
[[nodiscard]] std::uint32_t crc32c_portable(byte_view data, std::uint32_t before = 0);

// A frame on a link: u32 body length, u32 CRC-32C of length and body, body; little-endian. The body
// is at most limits::frame_bytes_max.
void append_frame(bytes& out, byte_view body);
void append_frame_header(bytes& out, byte_view body); // the body is to follow

// Cuts a byte stream back into frames. Give it whatever arrived; take bodies until there are none, so long
// it is borrowed. An error is final: the stream cannot be trusted any more.
class frame_decoder {
public:
    void add(byte_view arrived);
    // The next whole body; nullopt if more bytes are needed; bad_frame for a wrong checksum and
    // over_limit for a body above limits::frame_bytes_max.
    [[nodiscard]] result<std::optional<bytes>> next();
    // Of a frame that is not whole yet.
    [[nodiscard]] std::size_t held_bytes() const { return header_size_ + body_.size(); }
    // Of that frame once its header is there; else those of a header.
    [[nodiscard]] std::size_t frame_bytes() const;

private:
    byte_view take(std::size_t most); // of what arrived

    byte_view arrived_; // what is left of it
    std::array<std::byte, limits::frame_header_bytes> header_{};
    std::size_t header_size_ = 0; // as far as it came
    bytes body_;
};

} // namespace weft
