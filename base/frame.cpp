#include "base/frame.hpp"

#include "base/check.hpp"
#include "base/limits.hpp"

#include <boost/crc.hpp>

#include <array>
#include <cstring>
#if defined(__x86_64__)
#include <nmmintrin.h>
#endif

namespace weft {
namespace {

#if defined(__x86_64__)
__attribute__((target("sse4.2"))) std::uint32_t crc32c_sse42(byte_view data, std::uint32_t before) {
    std::uint64_t crc = ~before;
    const std::byte* at = data.data();
    std::size_t left = data.size();
    for (; left >= 8; left -= 8, at += 8) {
        std::uint64_t word = 0;
        std::memcpy(&word, at, 8);
        crc = _mm_crc32_u64(crc, word);
    }
    auto crc32 = static_cast<std::uint32_t>(crc);
    for (; left > 0; --left, ++at) crc32 = _mm_crc32_u8(crc32, std::to_integer<unsigned char>(*at));
    return ~crc32;
}
#endif

std::uint32_t load_u32(const std::byte* at) {
    std::uint32_t number = 0;
    for (int i = 3; i >= 0; --i) number = number << 8U | std::to_integer<std::uint32_t>(at[i]);
    return number;
}

void store_u32(std::byte* at, std::uint32_t number) {
    for (int i = 0; i < 4; ++i) at[i] = static_cast<std::byte>(number >> (8 * i));
}

} // namespace

// Boost keeps the register uninverted between calls only inside its object, so a continued checksum
// starts from the bit-reflected register that the earlier one ended with.
std::uint32_t crc32c_portable(byte_view data, std::uint32_t before) {
    auto reflect = [](std::uint32_t bits) {
        std::uint32_t out = 0;
        for (int i = 0; i < 32; ++i) out |= (bits >> i & 1U) << (31 - i);
        return out;
    };
    boost::crc_optimal<32, 0x1EDC6F41, 0xFFFFFFFF, 0xFFFFFFFF, true, true> crc(reflect(~before));
    crc.process_bytes(data.data(), data.size());
    return crc.checksum();
}

std::uint32_t crc32c(byte_view data, std::uint32_t before) {
#if defined(__x86_64__)
    static const bool has_sse42 = __builtin_cpu_supports("sse4.2") != 0;
    if (has_sse42) return crc32c_sse42(data, before);
#endif
    return crc32c_portable(data, before);
}

void append_frame(bytes& out, byte_view body) {
    WEFT_CHECK(body.size() <= limits::frame_bytes_max);
    std::array<std::byte, limits::frame_header_bytes> header{};
    store_u32(header.data(), static_cast<std::uint32_t>(body.size()));
    std::uint32_t crc = crc32c(body, crc32c(byte_view(header).first(4)));
    store_u32(header.data() + 4, crc);
    out.insert(out.end(), header.begin(), header.end());
    out.insert(out.end(), body.begin(), body.end());
}

void frame_decoder::add(byte_view arrived) {
    if (read_ == buffer_.size()) {
        if (buffer_.capacity() > limits::batch_bytes_target) buffer_ = {}; // of one that was large
        buffer_.clear();
        read_ = 0;
    } else if (read_ > buffer_.size() / 2) {
        buffer_.erase(buffer_.begin(), buffer_.begin() + static_cast<std::ptrdiff_t>(read_));
        read_ = 0;
    }
    buffer_.insert(buffer_.end(), arrived.begin(), arrived.end());
}

std::size_t frame_decoder::frame_bytes() const {
    std::size_t body = held_bytes() < limits::frame_header_bytes ? 0 : load_u32(&buffer_[read_]);
    return limits::frame_header_bytes + body;
}

result<std::optional<bytes>> frame_decoder::next() {
    std::size_t left = buffer_.size() - read_;
    if (left < limits::frame_header_bytes) return std::nullopt;
    const std::byte* header = buffer_.data() + read_;
    std::uint32_t size = load_u32(header);
    if (size > limits::frame_bytes_max) {
        return fail(errc::over_limit, "frame of " + std::to_string(size) + " bytes, limit " +
                                          std::to_string(limits::frame_bytes_max));
    }
    if (left < limits::frame_header_bytes + size) return std::nullopt;
    byte_view body(header + limits::frame_header_bytes, size);
    if (crc32c(body, crc32c(byte_view(header, 4))) != load_u32(header + 4)) {
        return fail(errc::bad_frame, "checksum of a frame of " + std::to_string(size) + " bytes");
    }
    read_ += limits::frame_header_bytes + size;
    return bytes(body.begin(), body.end());
}

} // namespace weft
