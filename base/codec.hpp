#pragma once
#include "base/bytes.hpp"
#include "base/result.hpp" // IWYU pragma: export (whoever decodes answers a result)

#include <bit>
#include <concepts>
#include <cstdint>
#include <cstring>
#include <string>
#include <string_view>

namespace weft {

// To the order in which bytes of numbers are written, and back.
template <std::unsigned_integral Number>
[[nodiscard]] Number little_endian(Number number) {
    if constexpr (std::endian::native == std::endian::little) {
        return number;
    } else {
        return sizeof(Number) == 4 ? __builtin_bswap32(number) : __builtin_bswap64(number);
    }
}

// Appends weft's own binary encoding: fixed integers little-endian, varints LEB128, signed numbers
// zigzag, strings as varint length and bytes.
class byte_writer {
public:
    void u8(std::uint8_t number) { out_.push_back(static_cast<std::byte>(number)); }
    void u32(std::uint32_t number);
    void u64(std::uint64_t number);
    void varint(std::uint64_t number) {
        if (number < 0x80) {
            u8(static_cast<std::uint8_t>(number));
        } else {
            long_varint(number);
        }
    }
    void zigzag(std::int64_t number);
    void raw(byte_view data) { out_.insert(out_.end(), data.begin(), data.end()); }
    void text(std::string_view data);

    [[nodiscard]] std::size_t size() const { return out_.size(); }
    [[nodiscard]] byte_view view() const { return out_; }
    [[nodiscard]] bytes take() { return std::move(out_); }
    void shrink_to(std::size_t size) { out_.resize(size); } // rolls back to an earlier size
    void clear() { out_.clear(); }
    void reserve(std::size_t size) { out_.reserve(size); }

private:
    void long_varint(std::uint64_t number);

    bytes out_;
};

// Reads the same. It remembers the first error and from then on gives zeros and empty views, so a
// decoder of many fields asks once, at the end. Never reads outside `data`, which it borrows.
class byte_reader {
public:
    explicit byte_reader(byte_view data) : data_(data) {}

    [[nodiscard]] std::uint8_t u8() {
        if (at_ == data_.size()) { // also after an error
            (void)raw(1);
            return 0;
        }
        return std::to_integer<std::uint8_t>(data_[at_++]);
    }
    [[nodiscard]] std::uint32_t u32() { return fixed<std::uint32_t>(); }
    [[nodiscard]] std::uint64_t u64() { return fixed<std::uint64_t>(); }
    [[nodiscard]] std::uint64_t varint() { // at most 10 bytes, shortest form only
        if (at_ < data_.size() && data_[at_] < std::byte{0x80})
            return std::to_integer<std::uint64_t>(data_[at_++]);
        return long_varint();
    }
    [[nodiscard]] std::int64_t zigzag();
    [[nodiscard]] byte_view raw(std::uint64_t size);
    [[nodiscard]] std::string_view text(std::size_t bytes_max);
    // A count of things that take at least `bytes_each` bytes: refused if they cannot be there.
    [[nodiscard]] std::size_t count(std::size_t bytes_each);

    // Records a decoding error at the current place, unless there is one already.
    void reject(std::string_view why);

    [[nodiscard]] bool good() const { return why_.empty(); }
    [[nodiscard]] bool at_end() const { return at_ == data_.size(); }
    [[nodiscard]] std::size_t position() const { return at_; }
    [[nodiscard]] std::size_t left() const { return data_.size() - at_; }
    // Why and at which byte; only meaningful if not good().
    [[nodiscard]] std::string problem() const;

private:
    template <class Number>
    [[nodiscard]] Number fixed() {
        Number number{};
        if (left() < sizeof number) {
            (void)raw(sizeof number);
            return number;
        }
        std::memcpy(&number, data_.data() + at_, sizeof number);
        at_ += sizeof number;
        return little_endian(number);
    }
    [[nodiscard]] std::uint64_t long_varint();

    byte_view data_;
    std::size_t at_ = 0;
    std::size_t failed_at_ = 0;
    std::string_view why_;
};

} // namespace weft
