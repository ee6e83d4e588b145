#include "base/bytes.hpp"
#include "base/ids.hpp"

#include <boost/test/unit_test.hpp>

#include <array>
#include <set>
#include <string>

namespace weft {
namespace {

// Well-formed UTF-8 the other way round: every scalar value is encoded, and a string is well formed
// if it is made of such encodings.
std::string encoded(std::uint32_t scalar) {
    auto tail = [scalar](unsigned shift) {
        return static_cast<char>(0x80U | (scalar >> shift & 0x3FU));
    };
    if (scalar < 0x80) return {static_cast<char>(scalar)};
    if (scalar < 0x800) return {static_cast<char>(0xC0U | scalar >> 6U), tail(0)};
    if (scalar < 0x10000) return {static_cast<char>(0xE0U | scalar >> 12U), tail(6), tail(0)};
    return {static_cast<char>(0xF0U | scalar >> 18U), tail(12), tail(6), tail(0)};
}

std::uint32_t number_of(std::string_view text) {
    std::uint32_t number = 0;
    for (char c : text) number = number << 8U | static_cast<unsigned char>(c);
    return number;
}

struct utf8_table {
    std::array<std::set<std::uint32_t>, 5> by_size;

    utf8_table() {
        for (std::uint32_t scalar = 0; scalar <= 0x10FFFF; ++scalar) {
            if (scalar >= 0xD800 && scalar <= 0xDFFF) continue;
            std::string text = encoded(scalar);
            auto& same_size = by_size[text.size()];
            same_size.insert(same_size.end(), number_of(text));
        }
    }

    [[nodiscard]] bool well_formed(std::string_view text) const {
        if (text.empty()) return true;
        for (std::size_t size = 1; size <= 4 && size <= text.size(); ++size) {
            if (by_size[size].contains(number_of(text.substr(0, size)))) {
                return well_formed(text.substr(size));
            }
        }
        return false;
    }
};

// How many strings of `size` bytes over `alphabet` is_utf8 and the table see differently.
std::size_t differences(const utf8_table& table, const std::string& alphabet, std::size_t size,
                        std::string& text) {
    if (text.size() == size) return is_utf8(text) != table.well_formed(text) ? 1 : 0;
    std::size_t found = 0;
    for (char c : alphabet) {
        text.push_back(c);
        found += differences(table, alphabet, size, text);
        text.pop_back();
    }
    return found;
}

BOOST_AUTO_TEST_SUITE(bytes_test)

BOOST_AUTO_TEST_CASE(utf8_is_what_table_3_7_of_unicode_says) {
    utf8_table table;
    std::string every_byte;
    for (int c = 0; c < 256; ++c) every_byte.push_back(static_cast<char>(c));
    const std::string edges =
        "\x01\x7F\x80\x8F\x90\x9F\xA0\xBF\xC0\xC1\xC2\xDF\xE0\xED\xEF\xF0\xF4\xF5\xFF";
    std::string text;
    for (std::size_t size = 0; size <= 2; ++size) {
        BOOST_TEST(differences(table, every_byte, size, text) == 0U);
    }
    for (std::size_t size = 3; size <= 5; ++size) {
        BOOST_TEST(differences(table, edges, size, text) == 0U);
    }
}

BOOST_AUTO_TEST_CASE(every_scalar_value_is_utf8_and_no_surrogate_is) {
    std::size_t wrong = 0;
    for (std::uint32_t scalar = 0; scalar <= 0x110000; ++scalar) {
        bool surrogate = scalar >= 0xD800 && scalar <= 0xDFFF;
        if (is_utf8(encoded(scalar)) == (surrogate || scalar > 0x10FFFF)) ++wrong;
    }
    BOOST_TEST(wrong == 0U);
}

BOOST_AUTO_TEST_CASE(hexadecimal_has_two_lower_case_digits_a_byte) {
    BOOST_TEST(to_hex(as_bytes("\x01\xAB\xFF")) == "01abff");
    BOOST_TEST(to_hex(byte_view{}).empty());
    BOOST_TEST(to_hex(std::uint64_t{0xC0FFEE}) == "0000000000c0ffee");
}

BOOST_AUTO_TEST_CASE(a_part_keeps_the_whole_buffer_alive) {
    shared_bytes part;
    {
        byte_view text = as_bytes("one buffer, several holders");
        shared_bytes whole(bytes(text.begin(), text.end()));
        part = whole.part(4, 6);
    }
    BOOST_TEST(as_text(part.view) == "buffer");
}

BOOST_AUTO_TEST_CASE(a_replica_id_reads_back_as_it_was_written) {
    for (std::uint64_t number : {std::uint64_t{0}, std::uint64_t{0x0123456789ABCDEF}, UINT64_MAX}) {
        BOOST_TEST((parse_replica_id(to_string(replica_id{number})) == replica_id{number}));
    }
}

BOOST_AUTO_TEST_CASE(a_replica_id_is_sixteen_lower_case_digits_and_nothing_else) {
    for (const char* text :
         {"", "c0ffee", "00C0FFEE00C0FFEE", "00c0ffee00c0ffeg", "00c0ffee00c0ffee0"}) {
        BOOST_TEST(!parse_replica_id(text).has_value(), text);
    }
}

BOOST_AUTO_TEST_CASE(first_bytes_are_in_the_order_of_texts) {
    const std::string_view ordered[] = {"", "a", "ab", "abcdefgh", "b"};
    for (std::size_t i = 1; i < std::size(ordered); ++i) {
        BOOST_TEST((ordered[i - 1] < ordered[i]));
        BOOST_TEST(first_bytes(ordered[i - 1]) < first_bytes(ordered[i]));
    }
    BOOST_TEST(first_bytes({}) == 0U);
    BOOST_TEST(first_bytes("abcdefgh1") == first_bytes("abcdefgh2"));
}

BOOST_AUTO_TEST_SUITE_END()

} // namespace
} // namespace weft
