#include "base/compress.hpp"
#include "base/limits.hpp"
#include "base/random.hpp"
#include "tests/seeds.hpp"

#include <boost/test/data/monomorphic.hpp>
#include <boost/test/data/test_case.hpp>
#include <boost/test/unit_test.hpp>

#include <array>
#include <ostream>
#include <string>

namespace weft {

std::ostream& operator<<(std::ostream& out, codec which) { return out << to_string(which); }

namespace {

constexpr std::array every_codec{codec::none, codec::lz4, codec::zstd, codec::gzip};
constexpr std::array real_codecs{codec::lz4, codec::zstd, codec::gzip};

// Compressible, but not everywhere.
bytes sample(std::size_t size) {
    random_generator draw(seeds::unit);
    bytes out;
    out.reserve(size);
    while (out.size() < size) {
        auto b = static_cast<std::byte>(draw.next());
        std::size_t run = draw.chance(0.5) ? 1 : draw.below(50);
        for (; run > 0 && out.size() < size; --run) out.push_back(b);
    }
    return out;
}

bool fails_as(errc code, const result<bytes>& got) { return !got && got.error().code == code; }

BOOST_AUTO_TEST_SUITE(compress_test)

BOOST_DATA_TEST_CASE(what_goes_in_comes_out, every_codec, which) {
    for (std::size_t size : {0U, 1U, 2U, 100U, 70'000U, 300'000U}) {
        bytes raw = sample(size);
        auto got = decompress(which, compress(which, raw), raw.size());
        BOOST_REQUIRE_MESSAGE(got, "of " << size << " bytes");
        BOOST_TEST(equal(*got, raw));
    }
}

BOOST_DATA_TEST_CASE(the_largest_run_comes_out, every_codec, which) {
    bytes raw = sample(limits::run_bytes_max);
    auto got = decompress(which, compress(which, raw), raw.size());
    BOOST_REQUIRE(got);
    BOOST_TEST(equal(*got, raw));
}

BOOST_DATA_TEST_CASE(repeated_bytes_become_fewer, real_codecs, which) {
    BOOST_TEST(compress(which, bytes(10'000, std::byte{'w'})).size() < 200U);
}

BOOST_DATA_TEST_CASE(a_size_that_lies_is_refused, every_codec, which) {
    for (std::size_t size : {1U, 100U, 70'000U}) {
        bytes packed = compress(which, sample(size));
        for (std::uint64_t lie : {std::uint64_t{0}, size - 1UL, size + 1UL, size * 2UL}) {
            BOOST_TEST(fails_as(errc::bad_run, decompress(which, packed, lie)),
                       size << " as " << lie);
        }
    }
    BOOST_TEST(fails_as(errc::bad_run, decompress(which, compress(which, {}), 1)));
}

BOOST_DATA_TEST_CASE(a_bomb_stops_at_what_it_declares, real_codecs, which) {
    bytes packed = compress(which, bytes(limits::run_bytes_max, std::byte{0}));
    BOOST_TEST(packed.size() < limits::run_bytes_max / 100);
    BOOST_TEST(fails_as(errc::bad_run, decompress(which, packed, 1'000)));
}

BOOST_DATA_TEST_CASE(more_than_a_run_is_refused_unread, every_codec, which) {
    BOOST_TEST(fails_as(errc::over_limit, decompress(which, {}, limits::run_bytes_max + 1)));
    BOOST_TEST(fails_as(errc::over_limit, decompress(which, {}, UINT64_MAX)));
    BOOST_TEST(
        fails_as(errc::over_limit, decompress(which, bytes(limits::frame_bytes_max + 1), 1)));
}

BOOST_DATA_TEST_CASE(what_is_cut_short_is_refused, every_codec, which) {
    bytes packed = compress(which, sample(2'000));
    for (std::size_t size = 0; size < packed.size(); ++size) {
        bytes cut(packed.begin(), packed.begin() + static_cast<std::ptrdiff_t>(size));
        BOOST_TEST(fails_as(errc::bad_run, decompress(which, cut, 2'000)), "cut to " << size);
    }
}

BOOST_DATA_TEST_CASE(what_follows_the_end_is_refused, every_codec, which) {
    bytes packed = compress(which, sample(2'000));
    packed.push_back(std::byte{0});
    BOOST_TEST(fails_as(errc::bad_run, decompress(which, packed, 2'000)));
}

// Not every codec has a checksum, so the damage may give other bytes: the frame and the log find
// it.
BOOST_DATA_TEST_CASE(flipped_bits_never_give_another_size, real_codecs, which) {
    bytes packed = compress(which, sample(500));
    for (std::size_t bit = 0; bit < packed.size() * 8; ++bit) {
        bytes flipped = packed;
        flipped[bit / 8] ^= static_cast<std::byte>(1U << bit % 8);
        auto got = decompress(which, flipped, 500);
        BOOST_TEST((got ? got->size() == 500 : got.error().code == errc::bad_run), "bit " << bit);
    }
}

BOOST_AUTO_TEST_CASE(a_window_larger_than_a_run_is_refused) {
    // A Zstd frame header (RFC 8878, 3.1.1.1) that asks for a window of 2 GiB; then one raw block.
    const std::string frame("\x28\xB5\x2F\xFD\x00\xA8\x09\x00\x00w", 10);
    BOOST_TEST(fails_as(errc::bad_run, decompress(codec::zstd, as_bytes(frame), 1)));
    std::string small = frame;
    small[5] = '\x40'; // 256 KiB: then it is a good frame
    BOOST_TEST(decompress(codec::zstd, as_bytes(small), 1).has_value());
}

BOOST_AUTO_TEST_CASE(an_unknown_codec_is_an_error_value) {
    BOOST_TEST(fails_as(errc::incompatible, decompress(codec{200}, as_bytes("w"), 1)));
    BOOST_TEST(to_string(codec{200}) == "unknown");
}

BOOST_AUTO_TEST_CASE(codecs_are_parsed_by_the_name_they_print) {
    for (codec which : every_codec) BOOST_TEST((parse_codec(to_string(which)) == which));
    BOOST_TEST(!parse_codec("brotli").has_value());
    BOOST_TEST(!parse_codec("").has_value());
}

BOOST_AUTO_TEST_SUITE_END()

} // namespace
} // namespace weft
