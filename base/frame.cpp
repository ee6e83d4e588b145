#include "base/frame.hpp"

#include "base/check.hpp"
#include "base/limits.hpp"

#include <boost/crc.hpp>

#include <algorithm>
#include <array>
#include <cstring>
#include <utility>
#if defined(__x86_64__)
#include <nmmintrin.h>
#endif

namespace weft {
namespace {

#if defined(__x86_64__)
#define WEFT_SSE42 __attribute__((target("sse4.2")))

WEFT_SSE42 std::uint64_t crc32c_word(std::uint64_t crc, const std::byte* at) {
    std::uint64_t word = 0;
    std::memcpy(&word, at, sizeof word);
    return _mm_crc32_u64(crc, word);
}

// What a register becomes over a lane of zeros. That is linear in its bits, so four looks into tables.
//   source  Adler, "crc32c.c", 2013; Gopal et al., "Fast CRC computation for iSCSI polynomial", 2011
constexpr std::size_t lane_bytes = 1024;
class over_a_lane {
public:
    WEFT_SSE42 over_a_lane() {
        for (unsigned bit = 0; bit < 32; ++bit) {
            std::uint64_t crc = std::uint64_t{1} << bit;
            for (std::size_t i = 0; i < lane_bytes; i += 8) crc = _mm_crc32_u64(crc, 0);
            auto& table = tables_[bit / 8];
            for (std::size_t b = 0; b < table.size(); ++b) {
                if ((b >> bit % 8 & 1U) != 0) table[b] ^= static_cast<std::uint32_t>(crc);
            }
        }
    }
    std::uint64_t operator()(std::uint64_t crc) const {
        return tables_[0][crc & 255U] ^ tables_[1][crc >> 8U & 255U] ^
               tables_[2][crc >> 16U & 255U] ^ tables_[3][crc >> 24U & 255U];
    }

private:
    std::array<std::array<std::uint32_t, 256>, 4> tables_{};
};

// The instruction takes three cycles and can begin each cycle: three lanes at once.
WEFT_SSE42 std::uint32_t crc32c_sse42(byte_view data, std::uint32_t before) {
    static const over_a_lane shift;
    std::uint64_t crc = ~before;
    const std::byte* at = data.data();
    std::size_t left = data.size();
    for (; left >= 3 * lane_bytes; left -= 3 * lane_bytes, at += 3 * lane_bytes) {
        std::uint64_t second = 0;
        std::uint64_t third = 0;
        for (std::size_t i = 0; i < lane_bytes; i += 8) {
            crc = crc32c_word(crc, at + i);
            second = crc32c_word(second, at + lane_bytes + i);
            third = crc32c_word(third, at + 2 * lane_bytes + i);
        }
        crc = shift(shift(crc) ^ second) ^ third;
    }
    for (; left >= 8; left -= 8, at += 8) crc = crc32c_word(crc, at);
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

void append_frame_header(bytes& out, byte_view body) {
    WEFT_CHECK(body.size() <= limits::frame_bytes_max);
    std::array<std::byte, limits::frame_header_bytes> header{};
    store_u32(header.data(), static_cast<std::uint32_t>(body.size()));
    std::uint32_t crc = crc32c(body, crc32c(byte_view(header).first(4)));
    store_u32(header.data() + 4, crc);
    out.insert(out.end(), header.begin(), header.end());
}

void append_frame(bytes& out, byte_view body) {
    append_frame_header(out, body);
    out.insert(out.end(), body.begin(), body.end());
}

void frame_decoder::add(byte_view arrived) {
    WEFT_CHECK(arrived_.empty());
    arrived_ = arrived;
}

byte_view frame_decoder::take(std::size_t most) {
    byte_view out = arrived_.first(std::min(most, arrived_.size()));
    arrived_ = arrived_.subspan(out.size());
    return out;
}

std::size_t frame_decoder::frame_bytes() const {
    std::size_t body = header_size_ < header_.size() ? 0 : load_u32(header_.data());
    return limits::frame_header_bytes + body;
}

result<std::optional<bytes>> frame_decoder::next() {
    byte_view of_header = take(header_.size() - header_size_);
    std::copy(of_header.begin(), of_header.end(), header_.begin() + header_size_);
    header_size_ += of_header.size();
    if (header_size_ < header_.size()) return std::nullopt;
    std::uint32_t size = load_u32(header_.data());
    if (size > limits::frame_bytes_max) {
        return fail(errc::over_limit, "frame of " + std::to_string(size) + " bytes, limit " +
                                          std::to_string(limits::frame_bytes_max));
    }
    // No more room than for twice what came, whatever the header promises.
    byte_view of_body = take(size - body_.size());
    std::size_t have = body_.size() + of_body.size();
    if (body_.capacity() < have) body_.reserve(std::min<std::size_t>(size, 2 * have));
    body_.insert(body_.end(), of_body.begin(), of_body.end());
    if (have < size) return std::nullopt;
    if (crc32c(body_, crc32c(byte_view(header_).first(4))) != load_u32(header_.data() + 4)) {
        return fail(errc::bad_frame, "checksum of a frame of " + std::to_string(size) + " bytes");
    }
    header_size_ = 0;
    return std::exchange(body_, {});
}

} // namespace weft
