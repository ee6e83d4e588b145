#include "base/limits.hpp"
#include "replica/change_codec.hpp"
#include "tests/replica/operations.hpp"

#include <boost/test/unit_test.hpp>

using namespace weft;

namespace {

constexpr replica_id origin{0xA1};

struct made_run {
    bytes encoded;
    std::vector<std::vector<std::string>> described; // by change
};

std::string describe(const operation& op) {
    std::string out;
    for (std::string_view part : op.path) out += std::string(part) + "/";
    out += " " + to_string(op.type) + " " + std::string(to_string(op.what)) + " " +
           to_string(op.argument) + " " + std::to_string(op.amount);
    if (op.extra) {
        out += " " + to_string(op.extra->spec.creator) + " " +
               std::to_string(op.extra->spec.initial) + " " +
               std::to_string(op.extra->rows.rows().size());
    }
    return out;
}

made_run make_run(std::uint64_t seed, codec packed, bool with_roll_backs) {
    tests::operation_source source(seed);
    run_encoder encoder;
    made_run out;
    std::uint64_t stamp = 1'000'000;
    std::size_t changes = 1 + source.random().below(6);
    for (std::size_t i = 0; i < changes; ++i) {
        stamp += source.random().below(3) == 0 ? 1 : source.random().below(1 << 20);
        std::vector<version_vector::entry> dependencies;
        if (source.random().chance(0.5))
            dependencies = {{replica_id{0xB2}, i + 1}, {replica_id{0xC3}, 7}};
        std::vector<operation> operations;
        for (std::size_t n = 1 + source.random().below(8); n > 0; --n)
            operations.push_back(source.next(origin));
        if (with_roll_backs) {
            encoder.begin_change({stamp + 99}, {});
            for (const operation& op : operations) encoder.add(op);
            encoder.roll_back_change();
        }
        encoder.begin_change({stamp}, dependencies);
        out.described.emplace_back();
        for (const operation& op : operations) {
            encoder.add(op);
            out.described.back().push_back(describe(op));
        }
        encoder.end_change();
    }
    out.encoded = encoder.seal(origin, 1, {}, {"berlin", "eu", replica_id{9}}, packed);
    BOOST_TEST(encoder.empty());
    return out;
}

} // namespace

BOOST_AUTO_TEST_CASE(what_was_encoded_is_decoded) {
    for (std::uint64_t seed = 1; seed <= 200; ++seed) {
        auto packed = static_cast<codec>(seed % 4);
        made_run made = make_run(seed, packed, false);
        auto decoded = decode_run(made.encoded);
        BOOST_REQUIRE_MESSAGE(decoded, (decoded ? "" : to_string(decoded.error())));
        const decoded_run& run = **decoded;
        BOOST_TEST((run.header.origin == origin));
        BOOST_TEST(run.header.who->member == "berlin");
        BOOST_TEST(run.header.who->region == "eu");
        BOOST_TEST((run.header.who->predecessor == replica_id{9}));
        BOOST_REQUIRE_EQUAL(run.changes.size(), made.described.size());
        BOOST_TEST(run.header.changes == made.described.size());
        std::uint64_t counter = 1;
        for (std::size_t i = 0; i < run.changes.size(); ++i) {
            BOOST_TEST(run.changes[i].first == counter);
            BOOST_REQUIRE_EQUAL(run.changes[i].operations.size(), made.described[i].size());
            for (std::size_t n = 0; n < made.described[i].size(); ++n) {
                BOOST_TEST(describe(run.changes[i].operations[n]) == made.described[i][n]);
            }
            counter = run.changes[i].end;
        }
        BOOST_TEST(run.header.end == counter);
    }
}

BOOST_AUTO_TEST_CASE(a_change_that_was_rolled_back_leaves_no_byte) {
    for (std::uint64_t seed = 1; seed <= 50; ++seed) {
        BOOST_TEST((make_run(seed, codec::none, true).encoded ==
                    make_run(seed, codec::none, false).encoded));
    }
}

BOOST_AUTO_TEST_CASE(a_run_cut_anywhere_is_refused) {
    for (codec packed : {codec::none, codec::lz4, codec::zstd, codec::gzip}) {
        bytes whole = make_run(7, packed, false).encoded;
        for (std::size_t size = 0; size < whole.size(); ++size) {
            BOOST_TEST(!decode_run(byte_view(whole).first(size)));
        }
    }
}

BOOST_AUTO_TEST_CASE(a_damaged_run_is_refused_or_is_another_run_but_never_more) {
    for (std::uint64_t seed = 1; seed <= 20; ++seed) {
        bytes whole = make_run(seed, static_cast<codec>(seed % 4), false).encoded;
        for (std::size_t at = 0; at < whole.size(); ++at) {
            for (unsigned bit : {0U, 3U, 7U}) {
                bytes damaged = whole;
                damaged[at] ^= static_cast<std::byte>(1U << bit);
                auto decoded = decode_run(damaged);
                if (!decoded) continue;
                BOOST_TEST((*decoded)->operations.size() ==
                           (*decoded)->header.end - (*decoded)->header.first);
            }
        }
    }
}

BOOST_AUTO_TEST_CASE(a_header_that_declares_too_much_is_refused_before_memory_is_taken) {
    byte_writer lying;
    lying.u8(1);
    lying.u8(static_cast<std::uint8_t>(codec::zstd));
    lying.u64(1);
    lying.varint(2);
    lying.varint(limits::run_operations_max + 1);
    lying.varint(1);
    lying.u64(1);
    lying.u64(1);
    lying.varint(100);
    BOOST_TEST(!read_run_header(lying.view()));
    byte_writer bomb;
    bomb.u8(1);
    bomb.u8(static_cast<std::uint8_t>(codec::zstd));
    bomb.u64(1);
    bomb.varint(2);
    bomb.varint(1);
    bomb.varint(1);
    bomb.u64(1);
    bomb.u64(1);
    bomb.varint(limits::run_bytes_max + 1);
    BOOST_TEST(!read_run_header(bomb.view()));
}

// What no replica of ours would write: it would speak for others.
BOOST_AUTO_TEST_CASE(an_operation_beyond_its_origin_is_refused) {
    static constexpr std::string_view key = "k";
    auto decodes = [](const operation& op) {
        run_encoder encoder;
        encoder.begin_change({1}, {});
        encoder.add(op);
        encoder.end_change();
        return decode_run(encoder.seal(origin, 1, {}, {"m", "", {}}, codec::none)).has_value();
    };
    operation reset;
    reset.path = {&key, 1};
    reset.type = {type_kind::counter};
    reset.what = action::reset;
    reset.extra = std::make_unique<operation_extra>();
    reset.extra->rows = counter_store(counter_store::row{replica_id{7}, 0, 0, 3, 30});
    BOOST_TEST(decodes(reset));
    reset.extra->rows = counter_store(counter_store::row{replica_id{7}, 9, 1'000, 3, 30});
    BOOST_TEST(!decodes(reset), "a reset that increments");
    operation create;
    create.path = {&key, 1};
    create.type = {type_kind::bounded_counter};
    create.what = action::create;
    create.extra = std::make_unique<operation_extra>();
    create.extra->spec = {origin, 0, 10};
    BOOST_TEST(decodes(create));
    create.extra->spec.creator = replica_id{7};
    BOOST_TEST(!decodes(create), "a counter whose rights begin with another");
}

BOOST_AUTO_TEST_CASE(one_increment_alone_and_in_a_run_stays_small) {
    std::string key = "visits";
    std::vector<std::string_view> path = {key};
    auto increment = [&](run_encoder& encoder, std::uint64_t stamp) {
        operation op;
        op.path = path;
        op.type = {type_kind::counter};
        op.what = action::increment;
        op.amount = 1;
        encoder.begin_change({stamp}, {});
        encoder.add(op);
        encoder.end_change();
    };
    run_encoder one;
    increment(one, 1);
    BOOST_TEST(one.seal(origin, 100'000, run_hash{1}, {}, codec::none).size() <= 48U);
    run_encoder hundred;
    for (std::uint64_t i = 0; i < 100; ++i) increment(hundred, i << 16U); // one each millisecond
    BOOST_TEST(hundred.seal(origin, 100'000, run_hash{1}, {}, codec::none).size() <= 100 * 12U);
}
