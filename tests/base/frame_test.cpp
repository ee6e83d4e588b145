#include "base/frame.hpp"
#include "base/limits.hpp"
#include "base/random.hpp"
#include "tests/seeds.hpp"

#include <boost/test/unit_test.hpp>

#include <optional>
#include <string>
#include <vector>

namespace weft {
namespace {

bytes frames_of(const std::vector<std::string>& bodies) {
    bytes out;
    for (const std::string& body : bodies) append_frame(out, as_bytes(body));
    return out;
}

// The bodies of `stream`, given to a decoder in pieces of `piece` bytes; "!" for an error.
std::vector<std::string> decoded(byte_view stream, std::size_t piece) {
    frame_decoder decoder;
    std::vector<std::string> bodies;
    while (!stream.empty()) {
        byte_view arrived = stream.first(std::min(piece, stream.size()));
        decoder.add(arrived);
        stream = stream.subspan(arrived.size());
        for (;;) {
            auto body = decoder.next();
            if (!body) {
                bodies.push_back("!" + std::string(to_string(body.error().code)));
                return bodies;
            }
            std::optional<bytes> whole = *std::move(body);
            if (!whole) break;
            bodies.emplace_back(as_text(*whole));
        }
    }
    return bodies;
}

bytes random_bytes(random_generator& draw, std::size_t size) {
    bytes out(size);
    for (auto& b : out) b = static_cast<std::byte>(draw.next());
    return out;
}

BOOST_AUTO_TEST_SUITE(frame_test)

BOOST_AUTO_TEST_CASE(crc32c_gives_the_published_values) {
    BOOST_TEST(crc32c({}) == 0U);
    BOOST_TEST(crc32c(as_bytes("123456789")) == 0xE3069283U);
    bytes block(32, std::byte{0}); // RFC 3720, B.4
    BOOST_TEST(crc32c(block) == 0x8A9136AAU);
    block.assign(32, std::byte{0xFF});
    BOOST_TEST(crc32c(block) == 0x62A8AB43U);
    for (std::size_t i = 0; i < 32; ++i) block[i] = static_cast<std::byte>(i);
    BOOST_TEST(crc32c(block) == 0x46DD794EU);
    for (std::size_t i = 0; i < 32; ++i) block[i] = static_cast<std::byte>(31 - i);
    BOOST_TEST(crc32c(block) == 0x113FDB5CU);
}

BOOST_AUTO_TEST_CASE(crc32c_is_the_same_with_and_without_the_instruction) {
    random_generator draw(seeds::unit);
    std::vector<std::size_t> sizes{3'071, 3'072, 3'073, 6'143, 6'144, 6'145, 10'000, 100'001};
    for (std::size_t size = 0; size < 100; ++size) sizes.push_back(size);
    for (std::size_t size : sizes) {
        bytes data = random_bytes(draw, size);
        auto before = static_cast<std::uint32_t>(draw.next());
        BOOST_TEST(crc32c(data) == crc32c_portable(data));
        BOOST_TEST(crc32c(data, before) == crc32c_portable(data, before));
    }
}

BOOST_AUTO_TEST_CASE(crc32c_goes_on_from_where_it_stopped) {
    random_generator draw(seeds::unit);
    bytes data = random_bytes(draw, 40);
    for (std::size_t split = 0; split <= data.size(); ++split) {
        byte_view head = byte_view(data).first(split);
        byte_view tail = byte_view(data).subspan(split);
        BOOST_TEST(crc32c(tail, crc32c(head)) == crc32c(data));
        BOOST_TEST(crc32c_portable(tail, crc32c_portable(head)) == crc32c(data));
    }
}

BOOST_AUTO_TEST_CASE(a_stream_may_be_cut_anywhere) {
    const std::vector<std::string> bodies{"hello", "", std::string(300, 'x'), "bye"};
    bytes stream = frames_of(bodies);
    for (std::size_t piece = 1; piece <= stream.size(); ++piece) {
        BOOST_TEST(decoded(stream, piece) == bodies, "in pieces of " << piece);
    }
}

BOOST_AUTO_TEST_CASE(an_unfinished_frame_is_waited_for) {
    bytes stream = frames_of({"hello"});
    for (std::size_t size = 0; size < stream.size(); ++size) {
        BOOST_TEST(decoded(byte_view(stream).first(size), 1).empty());
    }
}

BOOST_AUTO_TEST_CASE(no_flipped_bit_gets_through) {
    bytes whole = frames_of({"first", "second"});
    for (std::size_t bit = 0; bit < whole.size() * 8; ++bit) {
        bytes flipped = whole;
        flipped[bit / 8] ^= static_cast<std::byte>(1U << bit % 8);
        bool in_first = bit / 8 < limits::frame_header_bytes + 5;
        std::vector<std::string> bodies = decoded(flipped, flipped.size());
        // What stood before the damage arrives; a length that grew may only be waited for.
        std::size_t good = in_first ? 0 : 1;
        BOOST_TEST(bodies.size() <= good + 1, "bit " << bit);
        if (bodies.size() > good) BOOST_TEST(bodies[good].starts_with("!"), "bit " << bit);
        if (good == 1) BOOST_TEST(bodies.at(0) == "first");
    }
}

BOOST_AUTO_TEST_CASE(a_length_over_the_limit_is_refused_before_anything_is_kept_for_it) {
    bytes header(limits::frame_header_bytes, std::byte{0});
    header[3] = std::byte{0xFF};
    frame_decoder decoder;
    decoder.add(header);
    auto body = decoder.next();
    BOOST_REQUIRE(!body);
    BOOST_TEST((body.error().code == errc::over_limit));
}

BOOST_AUTO_TEST_CASE(a_body_of_exactly_the_limit_passes) {
    bytes body(limits::frame_bytes_max, std::byte{'w'});
    bytes stream;
    append_frame(stream, body);
    frame_decoder decoder;
    decoder.add(stream);
    auto got = decoder.next();
    BOOST_REQUIRE(got);
    BOOST_TEST(equal(got->value_or(bytes{}), body));
}

BOOST_AUTO_TEST_CASE(an_error_is_final) {
    bytes damaged = frames_of({"hello"});
    damaged.back() ^= std::byte{1};
    frame_decoder decoder;
    decoder.add(damaged);
    BOOST_TEST(!decoder.next());
    decoder.add(frames_of({"good"}));
    BOOST_TEST(!decoder.next());
}

BOOST_AUTO_TEST_SUITE_END()

} // namespace
} // namespace weft
