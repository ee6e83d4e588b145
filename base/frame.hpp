#pragma once
#include "base/bytes.hpp"
#include "base/result.hpp"

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

// Cuts a byte stream back into frames. Give it whatever arrived; take bodies until there are none.
// An error is final: the stream cannot be trusted any more.
class frame_decoder {
public:
    void add(byte_view arrived);
    // The next whole body; nullopt if more bytes are needed; bad_frame for a wrong checksum and
    // over_limit for a body above limits::frame_bytes_max.
    [[nodiscard]] result<std::optional<bytes>> next();
    [[nodiscard]] std::size_t held_bytes() const { return buffer_.size() - read_; }
    // Of the frame that is held in part, once its header is there; else that of a header.
    [[nodiscard]] std::size_t frame_bytes() const;

private:
    bytes buffer_;
    std::size_t read_ = 0;
};

} // namespace weft
