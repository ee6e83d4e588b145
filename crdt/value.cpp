#include "crdt/value.hpp"

#include "base/check.hpp"
#include "base/limits.hpp"

#include <bit>
#include <charconv>
#include <cmath>
#include <cstring>
#include <limits>

namespace weft {
namespace {

std::string quoted(std::string_view text) {
    static constexpr char digits[] = "0123456789abcdef";
    std::string out = "\"";
    for (char c : text) {
        auto code = static_cast<unsigned char>(c);
        if (c == '"' || c == '\\') {
            out += '\\';
            out += c;
        } else if (c == '\n') {
            out += "\\n";
        } else if (c == '\t') {
            out += "\\t";
        } else if (code < 0x20) {
            out += "\\u00";
            out += digits[code >> 4U];
            out += digits[code & 15U];
        } else {
            out += c;
        }
    }
    return out + '"';
}

std::string text_of(double number) {
    if (std::isnan(number)) return R"({"real":"nan"})";
    if (std::isinf(number)) return number > 0 ? R"({"real":"inf"})" : R"({"real":"-inf"})";
    char buffer[32];
    auto done = std::to_chars(buffer, buffer + sizeof buffer, number);
    std::string out(buffer, done.ptr);
    // A double stays a double when it is read back.
    if (out.find_first_of(".e") == std::string::npos) out += ".0";
    return out;
}

} // namespace

std::string_view to_string(value_kind kind) {
    switch (kind) {
        case value_kind::null: return "null";
        case value_kind::boolean: return "bool";
        case value_kind::integer: return "int";
        case value_kind::real: return "double";
        case value_kind::text: return "string";
        case value_kind::binary: return "bytes";
        case value_kind::timestamp: return "timestamp";
        case value_kind::absent: return "absent";
    }
    return "unknown";
}

value::value(bool b) : size_(1), kind_(value_kind::boolean) { store_[0] = std::byte{b}; }

value::value(integer_tag, std::int64_t number) : size_(8), kind_(value_kind::integer) {
    std::memcpy(store_, &number, sizeof number);
}

value::value(double number) : size_(8), kind_(value_kind::real) {
    if (std::isnan(number)) number = std::numeric_limits<double>::quiet_NaN();
    std::memcpy(store_, &number, sizeof number);
}

value::value(std::string_view text) { hold(value_kind::text, as_bytes(text)); }

value value::of_bytes(byte_view data) {
    value out;
    out.hold(value_kind::binary, data);
    return out;
}

value value::of_time_ms(std::int64_t unix_ms) {
    value out(integer_tag{}, unix_ms);
    out.kind_ = value_kind::timestamp;
    return out;
}

value value::absent() {
    value out;
    out.kind_ = value_kind::absent;
    return out;
}

value value::lent(value_kind kind, byte_view content) {
    value out;
    out.kind_ = kind;
    if (content.size() <= inside_max) {
        out.hold(kind, content);
        return out;
    }
    WEFT_CHECK(content.size() <= UINT32_MAX);
    out.size_ = elsewhere;
    const std::byte* first = content.data();
    auto size = static_cast<std::uint32_t>(content.size());
    std::memcpy(out.store_, &first, sizeof first);
    std::memcpy(out.store_ + sizeof first, &size, sizeof size);
    return out;
}

void value::take(value&& from) {
    byte_view content = from.content();
    bool outside =
        from.size_ == elsewhere || (from.size_ == on_heap && content.size() <= copied_max);
    // Acquire: what the last other owner read, it read before we write.
    bool fits = outside && size_ == on_heap && this->content().size() == content.size() &&
                shared()->owners.load(std::memory_order_acquire) == 1;
    if (fits) {
        kind_ = from.kind_;
        std::memcpy(static_cast<void*>(shared() + 1), content.data(), content.size());
    } else if (from.size_ == elsewhere) {
        *this = std::as_const(from);
    } else {
        *this = std::move(from);
    }
}

void value::hold(value_kind kind, byte_view content) {
    kind_ = kind;
    if (content.size() <= inside_max) {
        size_ = static_cast<std::uint8_t>(content.size());
        if (!content.empty()) std::memcpy(store_, content.data(), content.size());
        return;
    }
    WEFT_CHECK(content.size() <= UINT32_MAX);
    size_ = on_heap;
    auto size = static_cast<std::uint32_t>(content.size());
    auto* part = ::new (::operator new(sizeof(heap_part) + size)) heap_part;
    std::memcpy(static_cast<void*>(part + 1), content.data(), size);
    heap_handle handle{part};
    std::memcpy(store_, &handle, sizeof handle);
    std::memcpy(store_ + sizeof handle, &size, sizeof size);
}

void value::release() {
    heap_part* part = shared();
    if (part->owners.fetch_sub(1, std::memory_order_acq_rel) != 1) return;
    part->~heap_part();
    ::operator delete(part);
}

std::optional<bool> value::as_bool() const {
    if (kind_ != value_kind::boolean) return std::nullopt;
    return store_[0] != std::byte{0};
}

std::optional<std::int64_t> value::as_int() const {
    if (kind_ != value_kind::integer) return std::nullopt;
    return load<std::int64_t>();
}

std::optional<double> value::as_double() const {
    if (kind_ != value_kind::real) return std::nullopt;
    return load<double>();
}

std::optional<std::int64_t> value::as_time_ms() const {
    if (kind_ != value_kind::timestamp) return std::nullopt;
    return load<std::int64_t>();
}

std::size_t value::content_bytes() const {
    return kind_ == value_kind::text || kind_ == value_kind::binary ? content().size() : 0;
}

bool value::operator==(const value& other) const { return (*this <=> other) == 0; }

std::strong_ordering value::operator<=>(const value& other) const {
    if (kind_ != other.kind_) return kind_ <=> other.kind_;
    switch (kind_) {
        case value_kind::null:
        case value_kind::absent: return std::strong_ordering::equal;
        case value_kind::boolean: return store_[0] <=> other.store_[0];
        case value_kind::integer:
        case value_kind::timestamp: return load<std::int64_t>() <=> other.load<std::int64_t>();
        case value_kind::real: return std::strong_order(load<double>(), other.load<double>());
        case value_kind::text:
        case value_kind::binary:
            return weft::as_text(content()).compare(weft::as_text(other.content())) <=> 0;
    }
    return std::strong_ordering::equal;
}

std::string to_string(const value& v) {
    switch (v.kind()) {
        case value_kind::null:
        case value_kind::absent: return "null";
        case value_kind::boolean: return *v.as_bool() ? "true" : "false";
        case value_kind::integer: return std::to_string(*v.as_int());
        case value_kind::real: return text_of(*v.as_double());
        case value_kind::text: return quoted(*v.as_text());
        case value_kind::binary: return R"({"bytes":")" + to_hex(*v.as_binary()) + "\"}";
        case value_kind::timestamp: return R"({"time":)" + std::to_string(*v.as_time_ms()) + "}";
    }
    return "null";
}

void encode(byte_writer& out, const value& v) {
    out.u8(static_cast<std::uint8_t>(v.kind()));
    switch (v.kind()) {
        case value_kind::null:
        case value_kind::absent: break;
        case value_kind::boolean: out.u8(*v.as_bool() ? 1 : 0); break;
        case value_kind::integer: out.zigzag(*v.as_int()); break;
        case value_kind::real: out.u64(std::bit_cast<std::uint64_t>(*v.as_double())); break;
        case value_kind::text: out.text(*v.as_text()); break;
        case value_kind::binary: out.text(as_text(*v.as_binary())); break;
        case value_kind::timestamp: out.zigzag(*v.as_time_ms()); break;
    }
}

namespace {

byte_view decode_text(byte_reader& in) { return as_bytes(in.text(limits::value_bytes_max)); }

byte_view decode_binary(byte_reader& in) {
    std::uint64_t size = in.varint();
    if (size > limits::value_bytes_max) in.reject("bytes over their limit");
    return in.raw(size);
}

value decode_content(byte_reader& in, value_kind kind) {
    switch (kind) {
        case value_kind::null: return {};
        case value_kind::boolean: {
            std::uint8_t b = in.u8();
            if (b > 1) in.reject("bool that is neither 0 nor 1");
            return b == 1;
        }
        case value_kind::integer: return in.zigzag();
        case value_kind::real: {
            auto number = std::bit_cast<double>(in.u64());
            // One NaN only: a second bit pattern would be a second encoding of an equal value.
            if (std::isnan(number) &&
                std::bit_cast<std::uint64_t>(number) !=
                    std::bit_cast<std::uint64_t>(std::numeric_limits<double>::quiet_NaN())) {
                in.reject("NaN with a payload");
            }
            return number;
        }
        case value_kind::text: return as_text(decode_text(in));
        case value_kind::binary: return value::of_bytes(decode_binary(in));
        case value_kind::timestamp: return value::of_time_ms(in.zigzag());
        case value_kind::absent: break;
    }
    in.reject("unknown kind of value");
    return {};
}

} // namespace

value decode_value(byte_reader& in) { return decode_content(in, static_cast<value_kind>(in.u8())); }

value lend_value(byte_reader& in) {
    auto kind = static_cast<value_kind>(in.u8());
    if (kind == value_kind::text) return value::lent(kind, decode_text(in));
    if (kind == value_kind::binary) return value::lent(kind, decode_binary(in));
    return decode_content(in, kind);
}

value decode_value_or_absent(byte_reader& in) {
    auto kind = static_cast<value_kind>(in.u8());
    return kind == value_kind::absent ? value::absent() : decode_content(in, kind);
}

} // namespace weft
