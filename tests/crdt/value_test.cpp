#include "base/limits.hpp"
#include "crdt/value.hpp"

#include <boost/test/unit_test.hpp>

#include <bit>
#include <cmath>
#include <limits>
#include <memory>
#include <vector>

namespace weft {
namespace {

constexpr double nan = std::numeric_limits<double>::quiet_NaN();
constexpr double infinity = std::numeric_limits<double>::infinity();
constexpr auto lowest = std::numeric_limits<std::int64_t>::min();
constexpr auto highest = std::numeric_limits<std::int64_t>::max();

value binary(std::string_view content) { return value::of_bytes(as_bytes(content)); }

// Some of every kind, in the order that they must have.
std::vector<value> in_order() {
    return {value(),
            value(false),
            value(true),
            value(lowest),
            value(-1),
            value(0),
            value(1),
            value(highest),
            value(-infinity),
            value(-1e300),
            value(-5e-324),
            value(-0.0),
            value(0.0),
            value(5e-324),
            value(1.0),
            value(1e300),
            value(infinity),
            value(nan),
            value(""),
            value(std::string_view("\0", 1)),
            value("a"),
            value(std::string(14, 'b')),
            value(std::string(15, 'b')),
            value(std::string(16, 'b')),
            value("c"),
            value("\xC3\xA9"),
            binary(""),
            binary("a"),
            binary("bbbbbbbbbbbbbbb"),
            binary("\xFF"),
            value::of_time_ms(lowest),
            value::of_time_ms(-1),
            value::of_time_ms(0),
            value::of_time_ms(highest)};
}

value round_trip(const value& v) {
    byte_writer out;
    encode(out, v);
    byte_reader in(out.view());
    value back = decode_value(in);
    BOOST_TEST(in.good());
    BOOST_TEST(in.at_end());
    return back;
}

bool refused(const bytes& data) {
    byte_reader in(data);
    (void)decode_value(in);
    return !in.good();
}

bytes raw(std::initializer_list<int> numbers) {
    bytes out;
    for (int n : numbers) out.push_back(static_cast<std::byte>(n));
    return out;
}

BOOST_AUTO_TEST_SUITE(value_test)

BOOST_AUTO_TEST_CASE(values_of_all_kinds_are_in_one_strict_total_order) {
    std::vector<value> all = in_order();
    for (std::size_t i = 0; i < all.size(); ++i) {
        for (std::size_t k = 0; k < all.size(); ++k) {
            BOOST_CHECK_MESSAGE((all[i] < all[k]) == (i < k), to_string(all[i])
                                                                  << " < " << to_string(all[k]));
            BOOST_CHECK_MESSAGE((all[i] == all[k]) == (i == k), to_string(all[i])
                                                                    << " == " << to_string(all[k]));
            BOOST_TEST(((all[i] <=> all[k]) == (i <=> k)));
        }
    }
}

BOOST_AUTO_TEST_CASE(there_is_one_nan) {
    auto other = std::bit_cast<double>(std::bit_cast<std::uint64_t>(nan) | 42U);
    BOOST_CHECK(value(other) == value(nan));
    BOOST_CHECK(value(-nan) == value(nan));
    BOOST_CHECK(round_trip(value(-nan)) == value(nan));
}

BOOST_AUTO_TEST_CASE(every_value_encodes_and_decodes) {
    for (const value& v : in_order()) {
        BOOST_CHECK_MESSAGE(round_trip(v) == v, to_string(v));
        BOOST_CHECK(round_trip(v).kind() == v.kind());
    }
    std::string largest(limits::value_bytes_max, 'x');
    BOOST_CHECK(round_trip(value(largest)) == value(largest));
    BOOST_CHECK(round_trip(binary(largest)) == binary(largest));
}

BOOST_AUTO_TEST_CASE(every_prefix_of_an_encoding_is_refused) {
    for (const value& v : in_order()) {
        byte_writer out;
        encode(out, v);
        for (std::size_t size = 0; size < out.size(); ++size) {
            byte_view part = out.view().first(size);
            BOOST_TEST(refused(bytes(part.begin(), part.end())));
        }
    }
}

BOOST_AUTO_TEST_CASE(bytes_that_no_writer_writes_are_refused) {
    BOOST_TEST(refused(raw({7}))); // kind
    BOOST_TEST(refused(raw({255})));
    BOOST_TEST(refused(raw({1, 2})));                            // bool
    BOOST_TEST(refused(raw({4, 1, 0xFF})));                      // UTF-8
    BOOST_TEST(refused(raw({4, 0x81, 0})));                      // length not in its shortest form
    BOOST_TEST(refused(raw({3, 1, 0, 0, 0, 0, 0, 0xF8, 0x7F}))); // NaN with a payload
    BOOST_TEST(refused(raw({3, 0, 0, 0, 0, 0, 0, 0xF8, 0xFF}))); // negative NaN
    for (int kind : {4, 5}) {
        byte_writer out;
        out.u8(static_cast<std::uint8_t>(kind));
        out.text(std::string(limits::value_bytes_max + 1, 'x'));
        BOOST_TEST(refused(out.take()));
    }
}

BOOST_AUTO_TEST_CASE(content_of_up_to_14_bytes_lies_inside) {
    for (std::size_t size : {0U, 1U, 13U, 14U, 15U, 16U, 1000U}) {
        std::string content(size, 'x');
        for (const value& v : {value(content), binary(content)}) {
            BOOST_TEST(v.content_bytes() == size);
            BOOST_TEST(v.heap_bytes() == (size > 14 ? size : 0));
            BOOST_CHECK(round_trip(v) == v);
        }
        BOOST_TEST(*value(content).as_text() == content);
    }
    BOOST_TEST(value(7).content_bytes() == 0U);
}

BOOST_AUTO_TEST_CASE(values_are_copied_moved_swapped_and_assigned_to_themselves) {
    for (const value& v : in_order()) {
        for (const value& w : in_order()) {
            value copy = v;
            copy = w;
            BOOST_CHECK(copy == w);
            value moved = std::move(copy);
            BOOST_CHECK(moved == w);
            BOOST_CHECK(copy == value()); // NOLINT(bugprone-use-after-move): null, as promised
            copy = v;
            std::swap(copy, moved);
            BOOST_CHECK(copy == w);
            BOOST_CHECK(moved == v);
        }
        value self = v;
        const value& same = self;
        self = same;
        BOOST_CHECK(self == v);
        value& me = self;
        self = std::move(me);
        BOOST_CHECK(self == v);
    }
}

// ASan tells if a copy looks at what was lent.
BOOST_AUTO_TEST_CASE(a_copy_of_what_was_lent_has_its_own) {
    for (std::size_t size : {0U, 14U, 15U, 100U, 1'000U}) {
        std::string content(size, 'x');
        auto from = std::make_unique<bytes>(size, std::byte{'x'});
        value lent = value::lent(value_kind::text, *from);
        BOOST_TEST(*lent.as_text() == content);
        BOOST_TEST(lent.heap_bytes() == value(content).heap_bytes());
        BOOST_CHECK(lent == value(content));
        value copy = lent;
        value moved = std::move(lent);
        BOOST_CHECK(moved == copy);
        value taken;
        taken.take(std::move(moved));
        from.reset();
        BOOST_TEST(*copy.as_text() == content);
        BOOST_TEST(*taken.as_text() == content);
    }
}

BOOST_AUTO_TEST_CASE(a_value_becomes_another_where_it_is_and_its_copies_stay) {
    std::string old_content(100, 'o');
    bytes elsewhere(100, std::byte{'l'});
    std::vector<value> others = in_order();
    for (std::size_t size : {15U, 99U, 100U, 101U, 512U, 513U}) {
        others.emplace_back(std::string(size, 'n'));
        others.push_back(value::of_bytes(bytes(size, std::byte{'b'})));
        others.push_back(value::of_bytes(bytes(size, std::byte{'o'})));
    }
    others.push_back(value::lent(value_kind::text, elsewhere));
    others.push_back(value::lent(value_kind::binary, byte_view(elsewhere).first(50)));
    for (const value& other : others) {
        for (bool shared : {false, true}) {
            value old(old_content);
            value held;
            if (shared) held = old;
            value fresh = other;
            old.take(std::move(fresh));
            BOOST_CHECK(old == other);
            if (shared) BOOST_TEST(*held.as_text() == old_content);
            value again = old;
            old.take(value(old_content)); // and what it was is not written over in its copies
            BOOST_CHECK(again == other);
        }
    }
    value written(old_content);
    const char* where = written.as_text()->data();
    written.take(value(std::string(100, 'w')));
    written.take(value::lent(value_kind::binary, elsewhere));
    BOOST_CHECK(written == value::of_bytes(elsewhere));
    BOOST_TEST(static_cast<const void*>(written.as_binary()->data()) ==
               static_cast<const void*>(where));
}

BOOST_AUTO_TEST_CASE(content_is_given_as_its_own_kind_only) {
    BOOST_TEST(value(true).as_bool().value());
    BOOST_TEST(value(-7).as_int().value() == -7);
    BOOST_TEST(value(std::uint32_t{4'000'000'000U}).as_int().value() == 4'000'000'000);
    BOOST_TEST(value(1.5).as_double().value() == 1.5);
    BOOST_TEST(value("x").as_text().value() == "x");
    BOOST_TEST(binary("x").as_binary()->size() == 1U);
    BOOST_TEST(value::of_time_ms(9).as_time_ms().value() == 9);
    BOOST_TEST(!value(1).as_double().has_value());
    BOOST_TEST(!value(1).as_bool().has_value());
    BOOST_TEST(!value(1).as_time_ms().has_value());
    BOOST_TEST(!value("x").as_binary().has_value());
    BOOST_TEST(!binary("x").as_text().has_value());
    BOOST_TEST(!value().as_int().has_value());
    // What 64 signed bits cannot hold does not become a value by accident.
    BOOST_TEST((!std::constructible_from<value, std::uint64_t>));
    BOOST_TEST((!std::constructible_from<value, unsigned long long>));
}

BOOST_AUTO_TEST_CASE(types_of_cpp_become_values_and_come_back) {
    auto back = []<class T>(const T& original) {
        return value_traits<T>::unwrap(value_traits<T>::wrap(original)) == original;
    };
    BOOST_TEST(back(true));
    BOOST_TEST(back(std::int8_t{-128}));
    BOOST_TEST(back(highest));
    BOOST_TEST(back(1.5));
    BOOST_TEST(back(std::string("a text of more than fourteen bytes")));
    BOOST_TEST(back(bytes(20, std::byte{1})));
    BOOST_TEST(back(value("x")));
    BOOST_TEST(!value_traits<std::int8_t>::unwrap(value(128)).has_value());
    BOOST_TEST(!value_traits<unsigned>::unwrap(value(-1)).has_value());
    BOOST_TEST(!value_traits<std::string>::unwrap(value(1)).has_value());
    BOOST_TEST(value_traits<double>::unwrap(value(2)).value() == 2.0);
}

BOOST_AUTO_TEST_CASE(values_print_as_json) {
    BOOST_TEST(to_string(value()) == "null");
    BOOST_TEST(to_string(value(true)) == "true");
    BOOST_TEST(to_string(value(lowest)) == "-9223372036854775808");
    BOOST_TEST(to_string(value(1.0)) == "1.0");
    BOOST_TEST(to_string(value(-0.0)) == "-0.0");
    BOOST_TEST(to_string(value(0.1)) == "0.1");
    BOOST_TEST(to_string(value(1e300)) == "1e+300");
    BOOST_TEST(to_string(value(nan)) == R"({"real":"nan"})");
    BOOST_TEST(to_string(value(-infinity)) == R"({"real":"-inf"})");
    BOOST_TEST(to_string(value("a\"b\\c\n\t\x01")) == "\"a\\\"b\\\\c\\n\\t\\u0001\"");
    BOOST_TEST(to_string(value("gr\xC3\xBC\xC3\x9F")) == "\"gr\xC3\xBC\xC3\x9F\"");
    BOOST_TEST(to_string(binary("\x01\xFF")) == R"({"bytes":"01ff"})");
    BOOST_TEST(to_string(value::of_time_ms(-5)) == R"({"time":-5})");
}

BOOST_AUTO_TEST_SUITE_END()

} // namespace
} // namespace weft
