#include "base/codec.hpp"

#include <span>

namespace weft {

void byte_writer::u32(std::uint32_t number) {
    number = little_endian(number);
    raw(std::as_bytes(std::span(&number, 1)));
}

void byte_writer::u64(std::uint64_t number) {
    number = little_endian(number);
    raw(std::as_bytes(std::span(&number, 1)));
}

void byte_writer::long_varint(std::uint64_t number) {
    while (number >= 0x80) {
        u8(static_cast<std::uint8_t>(number | 0x80U));
        number >>= 7U;
    }
    u8(static_cast<std::uint8_t>(number));
}

void byte_writer::zigzag(std::int64_t number) {
    auto bits = static_cast<std::uint64_t>(number);
    varint(bits << 1U ^ (number < 0 ? ~std::uint64_t{0} : 0));
}

void byte_writer::text(std::string_view data) {
    varint(data.size());
    raw(as_bytes(data));
}

std::uint64_t byte_reader::long_varint() {
    std::uint64_t number = 0;
    for (unsigned shift = 0; shift < 64; shift += 7) {
        if (at_ == data_.size() || !good()) {
            reject("ends inside a number");
            return 0;
        }
        auto b = std::to_integer<std::uint64_t>(data_[at_++]);
        number |= (b & 0x7FU) << shift;
        if (b < 0x80) {
            if (b == 0 && shift > 0) {
                reject("number not in its shortest form");
                return 0;
            }
            if (shift == 63 && b > 1) break;
            return number;
        }
    }
    reject("number of more than 64 bits");
    return 0;
}

std::int64_t byte_reader::zigzag() {
    std::uint64_t bits = varint();
    return static_cast<std::int64_t>(bits >> 1U ^ (~(bits & 1U) + 1));
}

byte_view byte_reader::raw(std::uint64_t size) {
    if (size > left()) { // also after an error
        reject("ends inside a field");
        return {};
    }
    byte_view out = data_.subspan(at_, static_cast<std::size_t>(size));
    at_ += out.size();
    return out;
}

std::string_view byte_reader::text(std::size_t bytes_max) {
    std::uint64_t size = varint();
    if (size > bytes_max) {
        reject("text over its limit");
        return {};
    }
    std::string_view out = as_text(raw(size));
    if (!is_utf8(out)) {
        reject("text that is not UTF-8");
        return {};
    }
    return out;
}

std::size_t byte_reader::count(std::size_t bytes_each) {
    std::uint64_t number = varint();
    if (number > left() / (bytes_each == 0 ? 1 : bytes_each)) {
        reject("count larger than what follows");
        return 0;
    }
    return static_cast<std::size_t>(number);
}

void byte_reader::reject(std::string_view why) {
    if (!good()) return;
    why_ = why;
    failed_at_ = at_;
    at_ = data_.size();
}

std::string byte_reader::problem() const {
    return std::string(why_) + " at byte " + std::to_string(failed_at_);
}

} // namespace weft
