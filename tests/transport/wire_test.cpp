#include "base/check.hpp"
#include "base/limits.hpp"
#include "base/random.hpp"
#include "transport/message.hpp"

#include <boost/test/unit_test.hpp>
#include <rapidcheck.h>

#include <algorithm>
#include <cstring>

using namespace weft;

namespace {

// ---- Generators ------------------------------------------------------------------------------

rc::Gen<std::string> any_name(std::size_t bytes_max) {
    auto letters = rc::gen::elementOf(std::vector<std::string>{"a", "Z", "0", "-", "é", "猫", "𝄞"});
    return rc::gen::map(rc::gen::container<std::vector<std::string>>(letters),
                        [bytes_max](const std::vector<std::string>& parts) {
                            std::string out;
                            for (const std::string& part : parts) {
                                if (out.size() + part.size() <= bytes_max) out += part;
                            }
                            return out;
                        });
}

version_vector any_vector() {
    version_vector out;
    auto pairs = *rc::gen::arbitrary<std::vector<std::pair<std::uint64_t, std::uint64_t>>>();
    for (auto [id, counter] : pairs) out.advance(replica_id{id}, counter);
    return out;
}

std::vector<version_vector::entry> any_entries() {
    version_vector vector = any_vector();
    return {vector.entries().begin(), vector.entries().end()};
}

template <class Number>
Number any() {
    return *rc::gen::arbitrary<Number>();
}

hello_message any_hello() {
    hello_message m;
    m.protocol_min = any<std::uint16_t>();
    m.protocol_max = any<std::uint16_t>();
    m.cluster = *any_name(limits::name_bytes_max);
    m.id = replica_id{any<std::uint64_t>()};
    m.name = *any_name(limits::name_bytes_max);
    m.process_nonce = any<std::uint64_t>();
    for (const auto& e : any_entries()) {
        m.applied.push_back({e.replica, e.counter, run_hash{any<std::uint64_t>()}});
    }
    m.codecs = any<std::uint32_t>();
    m.features = any<std::uint64_t>();
    m.clock = hlc{any<std::uint64_t>()};
    m.floor = any_vector();
    return m;
}

interest_message any_interest() {
    interest_message m;
    m.only_own = any<bool>();
    if (!m.only_own) {
        for (auto id : any<std::vector<std::uint64_t>>()) m.except.push_back(replica_id{id});
    }
    m.applied = any_vector();
    m.resend = any<bool>();
    return m;
}

heartbeat_message any_heartbeat() {
    return {any<std::uint64_t>(),
            any<std::uint64_t>(),
            hlc{any<std::uint64_t>()},
            any<std::uint64_t>(),
            any_vector(),
            any<std::uint64_t>(),
            {any<std::uint64_t>(), any<std::uint64_t>()}};
}

digests_message any_digests() {
    digests_message m{any<std::uint64_t>(), {}, any<bool>()};
    for (auto digest : *rc::gen::resize(limits::digest_ranges_max,
                                        rc::gen::arbitrary<std::vector<std::uint64_t>>())) {
        if (m.ranges.size() == limits::digest_ranges_max) break;
        std::string first = *any_name(limits::key_bytes_max - 1);
        m.ranges.push_back({first, any<bool>() ? first + "x" : "", {digest, ~digest}});
    }
    return m;
}

check_message any_check() {
    check_message m;
    m.number = any<std::uint64_t>();
    switch (*rc::gen::inRange(0, 4)) {
        case 0: m.step = check_begin{any_vector()}; break;
        case 1: m.step = check_answer{any_vector()}; break;
        case 2:
            m.step = check_digest{any<std::uint64_t>(),
                                  {any<std::uint64_t>(), any<std::uint64_t>()},
                                  {any<std::uint64_t>(), any<std::uint64_t>()}};
            break;
        default: {
            auto code = static_cast<errc>(*rc::gen::inRange(0, static_cast<int>(errc::locked) + 1));
            m.step = error{code, *any_name(notice_bytes_max)};
        }
    }
    return m;
}

runs_message runs_of(const std::vector<bytes>& contents) {
    runs_message m;
    for (const bytes& one : contents) m.runs.emplace_back(one);
    return m;
}

std::vector<bytes> any_runs() {
    std::vector<bytes> out;
    for (const auto& one : any<std::vector<std::string>>()) {
        out.emplace_back(as_bytes(one).begin(), as_bytes(one).end());
    }
    return out;
}

// ---- What a decoder gave ---------------------------------------------------------------------

// Sees every byte, so that a sanitizer sees a part outside its buffer.
void touch(const message& got) {
    std::vector<shared_bytes> parts;
    if (const auto* m = std::get_if<runs_message>(&got)) parts = m->runs;
    if (const auto* m = std::get_if<state_chunk>(&got)) parts = {m->data};
    std::uint8_t sum = 0;
    for (const shared_bytes& part : parts) {
        for (std::byte one : part.view) sum ^= std::to_integer<std::uint8_t>(one);
    }
    WEFT_CHECK(sum <= 0xFF);
}

// A value within the limits, or bad_message that says something.
void check_decodes(byte_view body) {
    auto got = decode_message(shared_bytes(bytes(body.begin(), body.end())));
    if (got) {
        touch(*got);
        return;
    }
    BOOST_TEST((got.error().code == errc::bad_message), to_string(got.error()));
    BOOST_TEST(!got.error().detail.empty());
}

template <class Message>
void check_round_trip(const Message& sent) {
    auto got = decode_message(shared_bytes(encode_message(sent)));
    RC_ASSERT(got.has_value());
    RC_ASSERT(std::get<Message>(*got) == sent);
}

version_vector small_vector_of(std::uint64_t seed) {
    return {{replica_id{seed}, 3}, {replica_id{seed + 5}, 9}, {replica_id{~seed}, 1}};
}

std::vector<bytes> samples() {
    hello_message hello;
    hello.cluster = "paris";
    hello.id = replica_id{77};
    hello.name = "été";
    hello.applied = {{replica_id{1}, 5, run_hash{6}}, {replica_id{2}, 1, run_hash{9}}};
    hello.floor = {{replica_id{1}, 4}};
    interest_message interest{false, {replica_id{4}, replica_id{3}}, small_vector_of(1), true};
    ack_message ack;
    ack.applied = {{replica_id{1}, 2}, {replica_id{2}, 2}};
    ack.durable = {{replica_id{1}, 1}};
    ack.taken_bytes = 12'345;
    ack.waiting = true;
    heartbeat_message heartbeat{1, 2, hlc{3}, 4, small_vector_of(2), 5, {6, 7}};
    std::vector<bytes> out;
    for (const message& m :
         {message(hello), message(interest), message(runs_of({bytes(13, std::byte{1})})),
          message(runs_of({bytes(3), bytes(), bytes(9)})), message(ack), message(heartbeat),
          message(notice_message{errc::dot_reused, "why", true}),
          message(digests_message{7, {{"", "b", {1, 2}}, {"b", "", {3, 4}}}, true}),
          message(check_message{3, check_begin{small_vector_of(2)}}),
          message(check_message{3, check_answer{small_vector_of(1)}}),
          message(check_message{3, check_digest{7, {1, 2}, {3, 4}}}),
          message(check_message{3, error{errc::outdated, "why"}}),
          message(state_request{{log_index{9}, 100}, 10, 20}),
          message(state_chunk{{log_index{9}, 100}, 10, shared_bytes(bytes(7, std::byte{3}))}),
          message(unknown_message{9, true})}) {
        out.push_back(encode_message(m));
    }
    return out;
}

// ---- Messages by hand, word by word (capnproto.org/encoding.html) ----------------------------

using words = std::vector<std::uint64_t>;

std::uint64_t struct_pointer(std::int32_t offset, std::uint16_t data, std::uint16_t pointers) {
    return (static_cast<std::uint64_t>(static_cast<std::uint32_t>(offset)) << 2U & 0xFFFFFFFFU) |
           std::uint64_t{data} << 32U | std::uint64_t{pointers} << 48U;
}

enum : std::uint8_t { of_nothing = 0, of_bytes = 2, of_words = 5, of_pointers = 6, of_structs = 7 };

std::uint64_t list_pointer(std::int32_t offset, std::uint64_t kind, std::uint64_t size) {
    return 1U |
           (static_cast<std::uint64_t>(static_cast<std::uint32_t>(offset)) << 2U & 0xFFFFFFFFU) |
           kind << 32U | size << 35U;
}

bytes body_of(std::uint32_t segments_less_one, std::vector<std::uint32_t> sizes,
              const words& rest) {
    std::vector<std::uint32_t> table{segments_less_one};
    table.insert(table.end(), sizes.begin(), sizes.end());
    if (table.size() % 2 == 1) table.push_back(0);
    bytes out(4 * table.size() + 8 * rest.size());
    std::memcpy(out.data(), table.data(), 4 * table.size());
    if (!rest.empty()) std::memcpy(out.data() + 4 * table.size(), rest.data(), 8 * rest.size());
    return out;
}

bytes one_segment(const words& rest) {
    return body_of(0, {static_cast<std::uint32_t>(rest.size())}, rest);
}

enum : std::uint8_t { runs_member = 4, interest_member = 2 };

// A Message with that member, whose number stands in the second 16 bits; its pointer is the last
// word, and what comes next follows it.
words message_with(std::uint64_t discriminant, std::uint64_t pointer) {
    return {struct_pointer(0, 1, 1), discriminant << 16U, pointer};
}

void check_refused(const bytes& body, std::string_view why) {
    auto got = decode_message(shared_bytes(body));
    BOOST_REQUIRE(!got);
    BOOST_TEST((got.error().code == errc::bad_message));
    BOOST_TEST(got.error().detail.find(why) != std::string::npos, got.error().detail);
}

} // namespace

BOOST_AUTO_TEST_SUITE(wire)

// A chunk lies inside its snapshot, and a request asks for no more than a window.
BOOST_AUTO_TEST_CASE(parts_of_a_snapshot_keep_to_their_limits) {
    auto refused = [](const message& what, std::string_view why) {
        check_refused(encode_message(what), why);
    };
    refused(state_request{{}, 7, 6}, "until before from");
    refused(state_request{{}, 7, 8 + limits::transfer_window_bytes}, "state request: bytes");
    snapshot_ref whole{log_index{1}, 100};
    refused(state_chunk{whole, 99, shared_bytes(bytes(2))}, "not in its snapshot");
    refused(state_chunk{whole, UINT64_MAX, shared_bytes(bytes(2))}, "not in its snapshot");
    refused(state_chunk{whole, 5, {}}, "not in its snapshot");
    whole.size = 100'000'000;
    refused(state_chunk{whole, 5, shared_bytes(bytes(limits::transfer_chunk_bytes + 1))},
            "state chunk: bytes");
}

BOOST_AUTO_TEST_CASE(every_message_comes_back_as_it_was) {
    BOOST_TEST(rc::check("hello", [] { check_round_trip(any_hello()); }));
    BOOST_TEST(rc::check("interest", [] { check_round_trip(any_interest()); }));
    BOOST_TEST(rc::check("ack", [] {
        check_round_trip(
            ack_message{any_entries(), any_entries(), any<std::uint64_t>(), any<bool>()});
    }));
    BOOST_TEST(rc::check("heartbeat", [] { check_round_trip(any_heartbeat()); }));
    BOOST_TEST(rc::check("notice", [] {
        auto code = static_cast<errc>(*rc::gen::inRange(0, static_cast<int>(errc::locked) + 1));
        check_round_trip(notice_message{code, *any_name(notice_bytes_max), any<bool>()});
    }));
    BOOST_TEST(rc::check("digests", [] { check_round_trip(any_digests()); }));
    BOOST_TEST(rc::check("check", [] { check_round_trip(any_check()); }));
    BOOST_TEST(rc::check("state request", [] {
        std::uint64_t from = *rc::gen::inRange<std::uint64_t>(0, UINT64_MAX / 2);
        std::uint64_t size = *rc::gen::inRange<std::uint64_t>(0, limits::transfer_window_bytes + 1);
        check_round_trip(state_request{
            {log_index{any<std::uint64_t>()}, any<std::uint64_t>()}, from, from + size});
    }));
    BOOST_TEST(rc::check("state chunk", [] {
        auto data = *rc::gen::nonEmpty<std::vector<std::uint8_t>>();
        bytes content;
        for (std::uint8_t one : data) content.push_back(std::byte{one});
        state_chunk sent{{log_index{3}, 5'000 + content.size()}, 5'000, shared_bytes(content)};
        auto got = decode_message(shared_bytes(encode_message(sent)));
        RC_ASSERT(got.has_value());
        const auto& chunk = std::get<state_chunk>(*got);
        RC_ASSERT(chunk.snapshot == sent.snapshot && chunk.offset == sent.offset);
        RC_ASSERT(equal(chunk.data.view, content));
    }));
    BOOST_TEST(rc::check("unknown",
                         [] { check_round_trip(unknown_message{any<std::uint16_t>(), true}); }));
    BOOST_TEST(rc::check("runs", [] {
        std::vector<bytes> sent = any_runs();
        auto got = decode_message(shared_bytes(encode_message(runs_of(sent))));
        RC_ASSERT(got.has_value());
        const auto& runs = std::get<runs_message>(*got).runs;
        RC_ASSERT(runs.size() == sent.size());
        for (std::size_t i = 0; i < sent.size(); ++i) RC_ASSERT(equal(runs[i].view, sent[i]));
    }));
}

BOOST_AUTO_TEST_CASE(runs_are_parts_of_the_body) {
    shared_bytes body(encode_message(runs_of({bytes(100), bytes(200)})));
    const bytes* owner = body.owner.get();
    auto got = decode_message(body);
    for (const shared_bytes& run : std::get<runs_message>(*got).runs) {
        BOOST_TEST(run.owner.get() == owner);
    }
}

BOOST_AUTO_TEST_CASE(a_body_may_lie_at_any_address) {
    for (const bytes& sample : samples()) {
        for (std::size_t shift = 0; shift < 8; ++shift) {
            bytes shifted(shift + sample.size());
            std::copy(sample.begin(), sample.end(), shifted.begin() + static_cast<long>(shift));
            auto got = decode_message(shared_bytes(shifted).part(shift, sample.size()));
            BOOST_REQUIRE(got.has_value());
            BOOST_TEST((encode_message(*got) == sample));
            touch(*got);
        }
    }
}

BOOST_AUTO_TEST_CASE(one_run_costs_at_most_40_bytes_around_it) {
    std::size_t worst = 0;
    for (std::size_t size = 1; size < 600; ++size) {
        worst = std::max(worst, encode_message(runs_of({bytes(size)})).size() - size);
    }
    BOOST_TEST(worst == 39U);
}

BOOST_AUTO_TEST_CASE(the_largest_run_fits_one_frame) {
    bytes body = encode_message(runs_of({bytes(limits::run_bytes_max)}));
    BOOST_TEST(body.size() <= limits::frame_bytes_max);
    BOOST_TEST(decode_message(shared_bytes(body)).has_value());
}

BOOST_AUTO_TEST_CASE(the_largest_hello_comes_back) {
    hello_message sent;
    for (std::uint64_t id = 1; id <= limits::vector_entries_max; ++id) {
        sent.applied.push_back({replica_id{id}, id, run_hash{id}});
    }
    auto got = decode_message(shared_bytes(encode_message(sent)));
    BOOST_REQUIRE(got.has_value());
    BOOST_TEST((std::get<hello_message>(*got) == sent));
}

BOOST_AUTO_TEST_CASE(an_unknown_member_is_a_value) {
    auto got = decode_message(shared_bytes(one_segment(message_with(99, 0))));
    BOOST_REQUIRE(got.has_value());
    BOOST_TEST((std::get<unknown_message>(*got) == unknown_message{99, false}));
}

BOOST_AUTO_TEST_CASE(a_newer_message_with_more_fields_is_read) {
    // An Interest of two data words and three pointers; only the first of each is known.
    words newer = message_with(interest_member, struct_pointer(0, 2, 3));
    newer.insert(newer.end(), {1, ~std::uint64_t{0}, 0, 0, list_pointer(0, of_words, 1), 5});
    auto got = decode_message(shared_bytes(one_segment(newer)));
    BOOST_REQUIRE(got.has_value());
    BOOST_TEST(std::get<interest_message>(*got).only_own);
}

BOOST_AUTO_TEST_CASE(an_unknown_notice_code_keeps_its_name) {
    bytes body = encode_message(notice_message{errc::dot_reused, "why", true});
    std::string name = "dot_reused";
    auto at = std::search(body.begin(), body.end(), as_bytes(name).begin(), as_bytes(name).end());
    BOOST_REQUIRE((at != body.end()));
    *at = std::byte{'n'};
    auto got = decode_message(shared_bytes(body));
    BOOST_REQUIRE(got.has_value());
    BOOST_TEST((std::get<notice_message>(*got) ==
                notice_message{errc::incompatible, "not_reused: why", true}));
}

BOOST_AUTO_TEST_CASE(a_notice_is_made_presentable) {
    auto sent_as = [](const std::string& detail) {
        auto got = decode_message(shared_bytes(encode_message(notice_message{{}, detail, false})));
        return got ? std::get<notice_message>(*got).detail : to_string(got.error());
    };
    BOOST_TEST(sent_as("/tmp/\xFF\xFE: gone") == "/tmp/??: gone");
    std::string cats;
    while (cats.size() <= notice_bytes_max) cats += "猫"; // 3 bytes, which do not divide the limit
    BOOST_TEST(sent_as(cats) == cats.substr(0, notice_bytes_max / 3 * 3));
}

BOOST_AUTO_TEST_CASE(what_breaks_a_rule_is_bad_message) {
    auto name_of = [](std::size_t size) { return std::string(size, 'n'); };
    hello_message long_name;
    long_name.name = name_of(limits::name_bytes_max + 1);
    check_refused(encode_message(long_name), "name of 65, limit 64");
    hello_message no_utf8;
    no_utf8.cluster = "\xC0\xAF";
    check_refused(encode_message(no_utf8), "cluster is not UTF-8");
    hello_message twice;
    twice.applied = {{replica_id{1}, 1, {}}, {replica_id{1}, 2, {}}};
    check_refused(encode_message(twice), "not strictly sorted");
    ack_message unsorted;
    unsorted.durable = {{replica_id{2}, 1}, {replica_id{1}, 1}};
    check_refused(encode_message(unsorted), "durable is not strictly sorted");
    ack_message zero;
    zero.applied = {{replica_id{2}, 0}};
    check_refused(encode_message(zero), "counter of 0");
    check_refused(encode_message(interest_message{true, {replica_id{1}}, {}, false}), "onlyOwn");
}

BOOST_AUTO_TEST_CASE(every_truncation_is_refused) {
    for (const bytes& sample : samples()) {
        for (std::size_t size = 0; size < sample.size(); ++size) {
            auto got = decode_message(
                shared_bytes(bytes(sample.begin(), sample.begin() + static_cast<long>(size))));
            BOOST_REQUIRE(!got);
            BOOST_TEST((got.error().code == errc::bad_message));
        }
    }
}

BOOST_AUTO_TEST_CASE(every_changed_byte_gives_a_value_or_bad_message) {
    for (const bytes& sample : samples()) {
        for (std::size_t at = 0; at < sample.size(); ++at) {
            for (unsigned flip : {1U, 2U, 4U, 8U, 16U, 32U, 64U, 128U, 255U}) {
                bytes changed = sample;
                changed[at] ^= static_cast<std::byte>(flip);
                check_decodes(changed);
            }
        }
    }
}

BOOST_AUTO_TEST_CASE(random_words_give_a_value_or_bad_message) {
    random_generator random(20'240'607);
    auto sample = samples();
    for (int round = 0; round < 20'000; ++round) {
        // Few values, so that pointers often make sense: into, across and around each other.
        words soup(2 + random.below(12));
        for (std::uint64_t& word : soup) {
            auto offset = static_cast<std::int32_t>(random.between(-4, 8));
            switch (random.below(6)) {
                case 0:
                    word = struct_pointer(offset, static_cast<std::uint16_t>(random.below(4)),
                                          static_cast<std::uint16_t>(random.below(4)));
                    break;
                case 1: word = list_pointer(offset, random.below(8), random.below(64)); break;
                case 2: word = 2U | random.below(2) << 2U | random.below(16) << 3U; break; // far
                case 3: word = random.below(10); break;
                case 4: word = random.next(); break;
                default: word = 0;
            }
        }
        soup[0] = struct_pointer(0, 1, 1);
        soup[1] = random.below(9) << 16U;
        auto first = static_cast<std::uint32_t>(random.below(soup.size() + 1));
        check_decodes(
            random.chance(0.5)
                ? one_segment(soup)
                : body_of(1, {first, static_cast<std::uint32_t>(soup.size()) - first}, soup));
    }
}

BOOST_AUTO_TEST_CASE(a_segment_table_is_checked_before_anything_trusts_it) {
    words message = message_with(99, 0);
    BOOST_TEST(decode_message(shared_bytes(body_of(0, {3}, message))).has_value());
    BOOST_TEST(decode_message(shared_bytes(body_of(1, {3, 0}, message))).has_value());

    check_refused({}, "body of 0 bytes");
    check_refused(bytes(8), "body of 8 bytes");
    check_refused(bytes(23), "body of 23 bytes");
    check_refused(body_of(0xFFFFFFFF, {3}, message), "4294967296 segments");
    check_refused(body_of(limits::message_segments_max, std::vector<std::uint32_t>(65), message),
                  "65 segments, limit 64");
    check_refused(body_of(0, {2}, message), "does not add up");
    check_refused(body_of(0, {4}, message), "does not add up");
    check_refused(body_of(0, {0xFFFFFFFF}, message), "does not add up");
    check_refused(body_of(2, {0xFFFFFFFF, 4, 0}, message), "does not add up");
    check_refused(body_of(1, {2, 2}, message), "does not add up");
    check_refused(body_of(63, {}, {1}), "does not add up"); // a table beyond the end
    std::vector<std::uint32_t> most(limits::message_segments_max);
    most[0] = 3;
    BOOST_TEST(decode_message(shared_bytes(body_of(63, most, message))).has_value());
}

BOOST_AUTO_TEST_CASE(a_list_longer_than_its_limit_is_refused_before_it_is_read) {
    // 2^29 - 1 elements of no size at all fit into no bytes.
    check_decodes(
        one_segment(message_with(runs_member, list_pointer(0, of_nothing, (1U << 29U) - 1))));
    words entries = message_with(interest_member, struct_pointer(0, 1, 2));
    entries.insert(entries.end(), {0, 0, list_pointer(0, of_structs, 0),
                                   std::uint64_t{limits::vector_entries_max + 1} << 2U});
    check_refused(one_segment(entries), "limit 65536");
    words nothing = message_with(interest_member, struct_pointer(0, 1, 2));
    nothing.insert(nothing.end(), {0, list_pointer(1, of_nothing, (1U << 29U) - 1), 0});
    check_decodes(one_segment(nothing));

    words runs =
        message_with(runs_member, list_pointer(0, of_pointers, limits::vector_entries_max + 1));
    runs.resize(runs.size() + limits::vector_entries_max + 1);
    check_refused(one_segment(runs), "runs of 65537, limit 65536");
}

BOOST_AUTO_TEST_CASE(overlapping_runs_cost_no_more_than_the_traversal_limit) {
    constexpr std::uint32_t copies = 1'000;
    constexpr std::uint32_t size = 1U << 20U;
    words body = message_with(runs_member, list_pointer(0, of_pointers, copies));
    for (std::uint32_t i = 0; i < copies; ++i) {
        body.push_back(list_pointer(static_cast<std::int32_t>(copies - i - 1), of_bytes, size));
    }
    body.resize(body.size() + size / 8);
    check_refused(one_segment(body), "malformed");
}

BOOST_AUTO_TEST_CASE(pointers_that_go_in_circles_end) {
    // The list of runs is its own first run; the root is its own member; far pointers meet.
    words own_element = message_with(runs_member, list_pointer(0, of_pointers, 1));
    own_element.push_back(list_pointer(-1, of_bytes, 8));
    check_decodes(one_segment(own_element));
    check_decodes(one_segment({struct_pointer(-1, 0, 1)}));
    check_decodes(one_segment(message_with(1, struct_pointer(-2, 1, 1))));
    check_decodes(one_segment({2U, 2U}));
    check_decodes(one_segment({2U | 4U, 2U | 4U, 2U | 4U}));
}

BOOST_AUTO_TEST_SUITE_END()
