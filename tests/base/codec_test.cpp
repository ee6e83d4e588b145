#include "base/codec.hpp"
#include "base/random.hpp"
#include "tests/seeds.hpp"

#include <boost/test/unit_test.hpp>

#include <array>
#include <limits>
#include <string>

namespace weft {
namespace {

constexpr std::array<std::uint64_t, 11> varints{
    0, 1, 127, 128, 300, 16'383, 16'384, 0xFFFF'FFFF, 1ULL << 56U, UINT64_MAX >> 1U, UINT64_MAX};
constexpr std::array<std::int64_t, 9> signed_numbers{0,
                                                     -1,
                                                     1,
                                                     -64,
                                                     64,
                                                     -65,
                                                     1'000'000,
                                                     std::numeric_limits<std::int64_t>::min(),
                                                     std::numeric_limits<std::int64_t>::max()};

bytes of(std::initializer_list<unsigned> values) {
    bytes out;
    for (unsigned value : values) out.push_back(static_cast<std::byte>(value));
    return out;
}

bytes everything() {
    byte_writer out;
    out.u8(7);
    out.u32(0xDEADBEEF);
    out.u64(0x0123456789ABCDEF);
    out.varint(300);
    out.zigzag(-300);
    out.text("grüße");
    out.varint(2); // a count
    out.raw(as_bytes("ab"));
    return out.take();
}

void read_everything(byte_reader& in) {
    (void)in.u8();
    (void)in.u32();
    (void)in.u64();
    (void)in.varint();
    (void)in.zigzag();
    (void)in.text(10);
    (void)in.raw(in.count(1));
}

bool rejects_varint(const bytes& data, std::string_view why) {
    byte_reader in(data);
    std::uint64_t number = in.varint();
    return number == 0 && !in.good() && in.problem().starts_with(why);
}

BOOST_AUTO_TEST_SUITE(codec_test)

BOOST_AUTO_TEST_CASE(every_number_reads_back_as_it_was_written) {
    byte_writer out;
    for (std::uint64_t number : varints) out.varint(number);
    for (std::int64_t number : signed_numbers) out.zigzag(number);
    for (std::uint64_t number : varints) out.u64(number);
    for (std::uint64_t number : varints) out.u32(static_cast<std::uint32_t>(number));
    byte_reader in(out.view());
    for (std::uint64_t number : varints) BOOST_TEST(in.varint() == number);
    for (std::int64_t number : signed_numbers) BOOST_TEST(in.zigzag() == number);
    for (std::uint64_t number : varints) BOOST_TEST(in.u64() == number);
    for (std::uint64_t number : varints) BOOST_TEST(in.u32() == static_cast<std::uint32_t>(number));
    BOOST_TEST(in.good());
    BOOST_TEST(in.at_end());
}

BOOST_AUTO_TEST_CASE(the_bytes_are_little_endian_leb128_and_zigzag) {
    byte_writer out;
    out.u32(0x01020304);
    out.varint(300);
    out.zigzag(-2);
    out.text("ab");
    BOOST_TEST(to_hex(out.view()) == "04030201"
                                     "ac02"
                                     "03"
                                     "026162");
}

BOOST_AUTO_TEST_CASE(whatever_is_cut_short_is_an_error_and_never_read_beyond) {
    bytes whole = everything();
    for (std::size_t size = 0; size < whole.size(); ++size) {
        bytes cut(whole.begin(), whole.begin() + static_cast<std::ptrdiff_t>(size)); // its own end
        byte_reader in(cut);
        read_everything(in);
        BOOST_TEST(!in.good(), "cut to " << size);
        BOOST_TEST(in.left() == 0U);
    }
    byte_reader in(whole);
    read_everything(in);
    BOOST_TEST((in.good() && in.at_end()));
}

BOOST_AUTO_TEST_CASE(random_bytes_are_values_or_an_error) {
    random_generator draw(seeds::unit);
    for (int round = 0; round < 20'000; ++round) {
        bytes data(draw.below(40));
        for (auto& b : data) b = static_cast<std::byte>(draw.next());
        byte_reader in(data);
        read_everything(in);
        BOOST_REQUIRE(in.position() <= data.size());
        BOOST_REQUIRE(in.good() || in.problem() != " at byte 0");
    }
}

BOOST_AUTO_TEST_CASE(a_number_has_one_form_the_shortest) {
    BOOST_TEST(rejects_varint(of({0x80, 0x00}), "number not in its shortest form at byte 2"));
    BOOST_TEST(rejects_varint(of({0xAC, 0x82, 0x00}), "number not in its shortest form"));
    for (unsigned more = 1; more <= 9; ++more) {
        bytes padded(more, std::byte{0x81});
        padded.push_back(std::byte{0});
        BOOST_TEST(rejects_varint(padded, "number not in its shortest form"));
    }
}

BOOST_AUTO_TEST_CASE(a_number_of_more_than_64_bits_is_refused) {
    bytes ten(9, std::byte{0xFF});
    ten.push_back(std::byte{0x02});
    BOOST_TEST(rejects_varint(ten, "number of more than 64 bits"));
    BOOST_TEST(rejects_varint(bytes(11, std::byte{0xFF}), "number of more than 64 bits"));
    ten.back() = std::byte{0x01};
    byte_reader in(ten);
    BOOST_TEST(in.varint() == UINT64_MAX);
}

BOOST_AUTO_TEST_CASE(text_keeps_its_limit_and_is_utf8) {
    byte_writer out;
    out.text("twelve bytes");
    byte_reader fits(out.view());
    BOOST_TEST(fits.text(12) == "twelve bytes");
    byte_reader over(out.view());
    BOOST_TEST(over.text(11).empty());
    BOOST_TEST(over.problem() == "text over its limit at byte 1");
    bytes latin = of({1, 0xFC});
    byte_reader broken(latin);
    BOOST_TEST(broken.text(12).empty());
    BOOST_TEST(broken.problem() == "text that is not UTF-8 at byte 2");
}

BOOST_AUTO_TEST_CASE(a_count_of_what_cannot_be_there_is_refused) {
    bytes data = of({3, 0, 0, 0, 0, 0});
    byte_reader fits(data);
    BOOST_TEST(fits.count(1) == 3U);
    byte_reader over(data);
    BOOST_TEST(over.count(2) == 0U);
    BOOST_TEST(over.problem() == "count larger than what follows at byte 1");
}

BOOST_AUTO_TEST_CASE(the_first_error_is_the_one_that_stays) {
    byte_reader in(as_bytes("ab"));
    in.reject("first");
    in.reject("second");
    BOOST_TEST(in.raw(1).empty());
    BOOST_TEST(in.problem() == "first at byte 0");
}

BOOST_AUTO_TEST_CASE(a_writer_rolls_back) {
    byte_writer out;
    out.text("kept");
    std::size_t before = out.size();
    out.u64(1);
    out.shrink_to(before);
    BOOST_TEST(as_text(out.view()) == "\x04kept");
}

BOOST_AUTO_TEST_SUITE_END()

} // namespace
} // namespace weft
