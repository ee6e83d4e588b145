#include "base/bytes.hpp"

#include <algorithm>

namespace weft {

std::string to_hex(byte_view data) {
    static constexpr char digits[] = "0123456789abcdef";
    std::string out;
    out.reserve(data.size() * 2);
    for (std::byte b : data) {
        auto value = std::to_integer<unsigned>(b);
        out += digits[value >> 4U];
        out += digits[value & 15U];
    }
    return out;
}

std::string to_hex(std::uint64_t number) {
    bytes big_endian(8);
    for (std::size_t i = 0; i < 8; ++i) {
        big_endian[7 - i] = static_cast<std::byte>(number >> (8 * i));
    }
    return to_hex(byte_view(big_endian));
}

bool is_utf8(std::string_view text) {
    auto at = [&](std::size_t i) -> unsigned { return static_cast<unsigned char>(text[i]); };
    std::size_t i = 0;
    while (i < text.size()) {
        unsigned lead = at(i++);
        if (lead < 0x80) continue;
        std::size_t more = 0;
        unsigned low = 0x80; // bounds of the first continuation byte
        unsigned high = 0xBF;
        if (lead >= 0xC2 && lead <= 0xDF) {
            more = 1;
        } else if (lead >= 0xE0 && lead <= 0xEF) {
            more = 2;
            if (lead == 0xE0) low = 0xA0;
            if (lead == 0xED) high = 0x9F;
        } else if (lead >= 0xF0 && lead <= 0xF4) {
            more = 3;
            if (lead == 0xF0) low = 0x90;
            if (lead == 0xF4) high = 0x8F;
        } else {
            return false;
        }
        if (text.size() - i < more) return false;
        for (; more > 0; --more, ++i) {
            if (at(i) < low || at(i) > high) return false;
            low = 0x80;
            high = 0xBF;
        }
    }
    return true;
}

std::string presentable(std::string text, std::size_t bytes_max) {
    if (text.size() > bytes_max) {
        text.resize(bytes_max);
        for (int cut = 0; cut < 3 && !text.empty() && !is_utf8(text); ++cut) text.pop_back();
    }
    if (!is_utf8(text)) {
        auto beyond_ascii = [](char c) { return static_cast<unsigned char>(c) >= 0x80; };
        std::replace_if(text.begin(), text.end(), beyond_ascii, '?');
    }
    return text;
}

} // namespace weft
