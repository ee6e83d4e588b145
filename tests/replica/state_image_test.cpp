#include "replica/state_image.hpp"
#include "tests/replica/engine.hpp"
#include "tests/replica/operations.hpp"

#include <boost/test/unit_test.hpp>

#include <algorithm>

using namespace weft;
using tests::allowed;
using tests::author;

namespace {

std::vector<bytes> chunks_of(const keyspace& state, std::size_t bytes_target) {
    std::vector<bytes> out;
    image_chunks chunks(state, bytes_target);
    while (!chunks.done()) {
        out.push_back(chunks.next());
        BOOST_REQUIRE(!out.back().empty());
    }
    return out;
}

result<keyspace> loaded(const std::vector<bytes>& chunks) {
    keyspace out;
    for (const bytes& chunk : chunks) {
        auto read = read_image_chunk(chunk, [&](image_part&& part) -> result<void> {
            out.load(part.path, part.type, std::move(part.fragment));
            return {};
        });
        if (!read) return fail(read.error());
    }
    return out;
}

// What three authors who read each other left behind, with concurrent values everywhere.
keyspace busy_state(std::uint64_t seed) {
    tests::operation_source source(seed);
    std::list<operation> operations;
    std::vector<author> authors;
    for (std::uint64_t i = 1; i <= 3; ++i) authors.emplace_back(i);
    author all(9);
    std::uint64_t stamp = 1;
    for (std::size_t rounds = source.random().below(6); rounds > 0; --rounds) {
        std::vector<author::change> written;
        for (author& a : authors) {
            for (int i = 0; i < 8; ++i) {
                operation& op = operations.emplace_back(source.next(a.id));
                if (!allowed(a, op)) continue;
                written.push_back(a.write(op, stamp++, nullptr));
                a.seen.advance(a.id, a.next - 1);
            }
        }
        for (const auto& c : written) all.read(c);
        for (author& a : authors) {
            a.state = all.state;
            a.seen = all.seen;
        }
    }
    return all.state;
}

} // namespace

BOOST_AUTO_TEST_CASE(a_state_comes_back_from_its_image) {
    for (std::uint64_t seed = 1; seed <= 200; ++seed) {
        keyspace state = busy_state(seed);
        for (std::size_t target : {1U, 100U, 1U << 18U}) {
            auto back = loaded(chunks_of(state, target));
            BOOST_REQUIRE_MESSAGE(back, "seed " << seed);
            BOOST_REQUIRE_MESSAGE(back->root() == state.root(), "seed " << seed);
            BOOST_TEST((back->digest() == state.digest()));
            BOOST_TEST(back->state_bytes() == state.state_bytes());
            BOOST_TEST(back->objects() == state.objects());
            back->check_invariants();
        }
    }
}

BOOST_AUTO_TEST_CASE(an_image_is_of_the_moment_it_was_taken) {
    tests::operation_source source(5);
    author a(1);
    std::list<operation> kept;
    auto write_some = [&] {
        for (int i = 0; i < 200; ++i) {
            operation& op = kept.emplace_back(source.next(a.id));
            if (allowed(a, op)) (void)a.write(op, a.next, nullptr);
        }
    };
    write_some();
    auto before = chunks_of(a.state, 64);
    image_chunks slow(a.state, 64);
    std::vector<bytes> after;
    while (!slow.done()) {
        write_some();
        after.push_back(slow.next());
    }
    BOOST_TEST((before == after));
    BOOST_TEST((chunks_of(a.state, 64) != before));
}

BOOST_AUTO_TEST_CASE(a_large_object_goes_over_many_chunks) {
    keyspace state;
    static constexpr std::string_view key = "big";
    std::uint64_t counter = 0;
    auto apply = [&](type_id type, action what, value argument, replica_id by) {
        operation op;
        op.path = {&key, 1};
        op.type = type;
        op.what = what;
        op.argument = std::move(argument);
        ++counter;
        state.apply(op, {by, counter}, {counter}, {}, nullptr);
    };
    for (std::int64_t i = 0; i < 5'000; ++i) {
        apply({type_kind::add_wins_set, element_kind::integer}, action::add, i, replica_id{1});
        apply({type_kind::remove_wins_set, element_kind::integer},
              i % 3 == 0 ? action::remove_element : action::add, i, replica_id{1});
    }
    for (std::uint64_t by = 1; by <= 40; ++by) // none of them saw another
        apply({type_kind::mv_register}, action::write, std::string(10'000, 'x'), replica_id{by});
    for (std::uint64_t creator :
         {1U, 2U}) { // one counter under two specs, rights sent by each to each
        bounded_spec spec{replica_id{creator}, 0, 1'000'000};
        for (std::uint64_t by = 1; by <= 60; ++by) {
            operation op;
            op.path = {&key, 1};
            op.type = {type_kind::bounded_counter};
            op.what = action::transfer;
            op.amount = 1;
            op.extra = std::make_unique<operation_extra>();
            op.extra->spec = spec;
            for (std::uint64_t to = 1; to <= 60; ++to) {
                op.extra->to = replica_id{to};
                ++counter;
                state.apply(op, {replica_id{by}, counter}, {counter}, {}, nullptr);
            }
        }
    }
    auto chunks = chunks_of(state, 4'096);
    BOOST_TEST(chunks.size() > 40U);
    for (const bytes& chunk : chunks) BOOST_TEST(chunk.size() < 4'096U + 12'000U);
    auto back = loaded(chunks);
    BOOST_REQUIRE(back.has_value());
    BOOST_TEST((back->root() == state.root()));
    back->check_invariants();
}

BOOST_AUTO_TEST_CASE(a_damaged_chunk_is_refused_or_another_state_but_never_more) {
    keyspace state = busy_state(3);
    auto chunks = chunks_of(state, 1U << 18U);
    BOOST_REQUIRE(chunks.size() == 1U);
    const bytes& whole = chunks[0];
    std::size_t refused = 0;
    for (std::size_t i = 0; i < whole.size(); ++i) {
        for (unsigned flip : {0x01U, 0x80U, 0xFFU}) {
            bytes bad = whole;
            bad[i] ^= static_cast<std::byte>(flip);
            auto back = loaded({bad});
            refused += back ? 0 : 1;
            if (back) back->check_invariants();
        }
    }
    BOOST_TEST(refused > 0U);
    for (std::size_t size = 0; size < whole.size(); ++size) {
        auto back =
            loaded({bytes(whole.begin(), whole.begin() + static_cast<std::ptrdiff_t>(size))});
        if (back) back->check_invariants();
    }
}

BOOST_AUTO_TEST_CASE(a_header_comes_back) {
    image_header header;
    header.cluster = "paris";
    header.at = log_index{77};
    header.newest = hlc::at_ms(1'800'000'000'000);
    header.objects = 5;
    header.digest.words = {1, 2};
    header.origins = {
        {replica_id{3}, 9, run_hash{4}, {"a", "eu", replica_id{2}}, {{replica_id{7}, 1}}},
        {replica_id{7}, 1, run_hash{5}, {"b", "", {}}, {}}};
    bytes whole = encode(header);
    auto back = decode_image_header(whole);
    BOOST_REQUIRE(back.has_value());
    BOOST_TEST((*back == header));
    BOOST_TEST((back->vector() == version_vector{{replica_id{3}, 9}, {replica_id{7}, 1}}));
    for (std::size_t size = 0; size < whole.size(); ++size)
        BOOST_TEST(!decode_image_header(byte_view(whole).first(size)).has_value());
    bytes longer = whole;
    longer.push_back(std::byte{0});
    BOOST_TEST(!decode_image_header(longer).has_value());
    std::swap(header.origins[0], header.origins[1]);
    BOOST_TEST(!decode_image_header(encode(header)).has_value());
}

BOOST_AUTO_TEST_CASE(a_state_that_is_given_the_runs_of_the_log_is_the_one_that_went_on) {
    constexpr replica_id x{30};
    constexpr replica_id y{40};
    tests::engine a;
    a.meets("b", replica_id{20});
    shared_bytes first = tests::run_of(x);
    a.receives(first);
    state_image beside = a.decisions.image();
    shared_bytes second = tests::run_of(x, 2, hash_of(first.view), {}, 5);
    shared_bytes other = tests::run_of(y, 1, {}, {{x, 2}});
    for (const shared_bytes& run : {second, other}) a.receives(run);
    auto give = [&](const shared_bytes& run) {
        return apply_run(beside, *read_run_header(run.view), run);
    };
    BOOST_TEST(!give(tests::run_of(x, 3)).has_value(), "one is missing before it");
    BOOST_TEST(!give(tests::run_of(x, 2, run_hash{1})).has_value(), "another history");
    for (const shared_bytes& run : {first, second, other}) BOOST_TEST(give(run).has_value());
    state_image whole = a.decisions.image();
    BOOST_TEST((beside.header.origins == whole.header.origins));
    BOOST_TEST((beside.objects.digest() == whole.header.digest));
    BOOST_TEST(beside.objects.objects() == whole.header.objects);
    beside.objects.check_invariants();
}
