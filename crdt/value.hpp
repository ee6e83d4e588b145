#pragma once
#include "base/bytes.hpp"
#include "base/codec.hpp"

#include <atomic>
#include <compare>
#include <concepts>
#include <cstdint>
#include <cstring>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

namespace weft {

// The numbers are part of every format.
enum class value_kind : std::uint8_t {
    null = 0,
    boolean = 1,
    integer = 2, // 64 bits, signed
    real = 3,    // IEEE 754 double
    text = 4,    // UTF-8
    binary = 5,
    timestamp = 6, // Unix milliseconds, signed
    absent =
        7, // no value: what a remove that is kept leaves in a register; nowhere else is it read or taken
};
[[nodiscard]] std::string_view to_string(value_kind kind);

// Every number of I is a number of 64 signed bits.
template <class I>
inline constexpr bool fits_integer = sizeof(I) < sizeof(std::int64_t) ||
                                     (sizeof(I) == sizeof(std::int64_t) && std::signed_integral<I>);

// A scalar: a JSON scalar made precise. An immutable regular type of 16 bytes; text and binary of
// up to 14 bytes lie inside it, longer ones on the heap, where all copies share them.
//
//   cost    copy and move: O(1); a copy of a lent one: its content
//   threads each value belongs to one thread at a time; copies are independent
//   order   by kind, then by content; doubles by IEEE total order, with one NaN, so that every
//           replica sorts alike; 1 and 1.0 are two values
class value {
public:
    static constexpr bool trivially_relocatable = true; // see ordered_map
    value() = default;                                  // null
    value(bool b);
    template <std::integral I>
        requires(!std::same_as<I, bool> && fits_integer<I>)
    value(I number) : value(integer_tag{}, static_cast<std::int64_t>(number)) {}
    value(double number);
    value(std::string_view text);
    value(const char* text) : value(std::string_view(text)) {}
    value(const std::string& text) : value(std::string_view(text)) {}
    [[nodiscard]] static value of_bytes(byte_view data);
    [[nodiscard]] static value of_time_ms(std::int64_t unix_ms);
    [[nodiscard]] static value absent();
    // Text or binary that lies elsewhere, and must do so as long as this value and whatever it was moved to.
    // Copies have their own.
    [[nodiscard]] static value lent(value_kind kind, byte_view content);
    // Becomes `from`, in the memory that it has already where that fits and nobody shares it: what is written
    // over again and again asks for none. Of a lent value it takes a copy.
    void take(value&& from);

    value(const value& other) : size_(other.size_), kind_(other.kind_) {
        if (size_ == elsewhere) {
            hold(kind_, other.content());
            return;
        }
        std::memcpy(store_, other.store_, sizeof store_);
        if (size_ == on_heap) shared()->owners.fetch_add(1, std::memory_order_relaxed);
    }
    value(value&& other) noexcept
        : size_(std::exchange(other.size_, std::uint8_t{0})),
          kind_(std::exchange(other.kind_, value_kind::null)) {
        std::memcpy(store_, other.store_, sizeof store_);
    }
    value& operator=(value other) noexcept {
        std::swap(store_, other.store_);
        std::swap(size_, other.size_);
        std::swap(kind_, other.kind_);
        return *this;
    }
    ~value() {
        if (size_ == on_heap) release();
    }

    [[nodiscard]] value_kind kind() const { return kind_; }
    [[nodiscard]] bool is_absent() const { return kind_ == value_kind::absent; }

    // The content, if the kind is that one; else nothing.
    [[nodiscard]] std::optional<bool> as_bool() const;
    [[nodiscard]] std::optional<std::int64_t> as_int() const;
    [[nodiscard]] std::optional<double> as_double() const;
    [[nodiscard]] std::optional<std::string_view> as_text() const { // lives as long as this value
        if (kind_ != value_kind::text) return std::nullopt;
        return weft::as_text(content());
    }
    [[nodiscard]] std::optional<byte_view> as_binary() const { // lives as long as this value
        if (kind_ != value_kind::binary) return std::nullopt;
        return content();
    }
    [[nodiscard]] std::optional<std::int64_t> as_time_ms() const;

    // Asks memory for the content, if it is on the heap: of a long one the beginning, the rest follows.
    // Always inline: GCC takes a function that only prefetches for one that does nothing.
    [[gnu::always_inline]] void fetch() const {
        if (size_ != on_heap) return;
        const auto* part = reinterpret_cast<const std::byte*>(shared());
        __builtin_prefetch(part, 1);
        __builtin_prefetch(part + 64, 1);
        __builtin_prefetch(part + 64 + 39, 1);
    }

    // Bytes of text or binary; 0 for the others.
    [[nodiscard]] std::size_t content_bytes() const;
    // Of these the ones that it needs beyond itself.
    [[nodiscard]] std::size_t heap_bytes() const {
        return size_ > inside_max ? content_bytes() : 0;
    }

    bool operator==(const value& other) const;
    std::strong_ordering operator<=>(const value& other) const;

private:
    struct integer_tag {};
    static constexpr std::uint8_t on_heap = 0xFF;
    static constexpr std::uint8_t elsewhere = 0xFE; // and not its own
    static constexpr std::size_t inside_max = 14;
    // Of longer content it is not the memory that costs, but the copy.
    static constexpr std::size_t copied_max = 512;

    value(integer_tag, std::int64_t number);
    void hold(value_kind kind, byte_view content);
    struct heap_part { // the content follows
        std::atomic<std::uint32_t> owners{1};
    };
    struct heap_handle { // in store_, and the content's size behind it
        heap_part* part;
    };
    void release();
    template <class T>
    [[nodiscard]] T load(std::size_t at = 0) const {
        T out;
        std::memcpy(static_cast<void*>(&out), store_ + at, sizeof out);
        return out;
    }
    [[nodiscard]] heap_part* shared() const { return load<heap_handle>().part; }
    [[nodiscard]] byte_view content() const {
        if (size_ <= inside_max) return {store_, size_};
        const auto* first = size_ == on_heap ? reinterpret_cast<const std::byte*>(shared() + 1)
                                             : load<const std::byte*>();
        return {first, load<std::uint32_t>(sizeof(heap_handle))};
    }

    alignas(8) std::byte store_[inside_max] = {}; // or where it is outside, and its size
    std::uint8_t size_ = 0;
    value_kind kind_ = value_kind::null;
};
static_assert(sizeof(value) == 16);

// JSON text of `v`; binary as {"bytes":"hex"}, timestamp as {"time":Unix milliseconds}, what JSON
// cannot say of doubles as {"real":"nan"}.
[[nodiscard]] std::string to_string(const value& v);

void encode(byte_writer& out, const value& v);
[[nodiscard]] value
decode_value(byte_reader& in); // rejects unknown kinds, bad UTF-8, over-long content
[[nodiscard]] value lend_value(byte_reader& in);             // the same, lent by what is read
[[nodiscard]] value decode_value_or_absent(byte_reader& in); // of a register

// How a C++ type becomes a value and comes back. Specialise for types of your own.
template <class T>
struct value_traits;

template <>
struct value_traits<value> {
    static value wrap(const value& v) { return v; }
    static std::optional<value> unwrap(const value& v) { return v; }
};
template <>
struct value_traits<bool> {
    static constexpr auto kind = value_kind::boolean;
    static value wrap(bool b) { return b; }
    static std::optional<bool> unwrap(const value& v) { return v.as_bool(); }
};
template <std::integral I>
    requires fits_integer<I>
struct value_traits<I> {
    static constexpr auto kind = value_kind::integer;
    static value wrap(I number) { return number; }
    static std::optional<I> unwrap(const value& v) {
        auto wide = v.as_int();
        if (!wide || static_cast<std::int64_t>(static_cast<I>(*wide)) != *wide) return std::nullopt;
        return static_cast<I>(*wide);
    }
};
template <>
struct value_traits<double> {
    static constexpr auto kind = value_kind::real;
    static value wrap(double number) { return number; }
    static std::optional<double> unwrap(const value& v) {
        if (auto whole = v.as_int()) return static_cast<double>(*whole);
        return v.as_double();
    }
};
template <>
struct value_traits<std::string> {
    static constexpr auto kind = value_kind::text;
    static value wrap(const std::string& text) { return text; }
    static std::optional<std::string> unwrap(const value& v) {
        auto text = v.as_text();
        return text ? std::optional<std::string>(*text) : std::nullopt;
    }
};
template <>
struct value_traits<bytes> {
    static constexpr auto kind = value_kind::binary;
    static value wrap(const bytes& data) { return value::of_bytes(data); }
    static std::optional<bytes> unwrap(const value& v) {
        auto data = v.as_binary();
        return data ? std::optional<bytes>(std::in_place, data->begin(), data->end())
                    : std::nullopt;
    }
};

} // namespace weft
