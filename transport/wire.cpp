#include "base/check.hpp"
#include "base/limits.hpp"
#include "transport/kj_clang.hpp" // NOLINT(misc-include-cleaner): for the headers below
#include "transport/message.hpp"
// The schema's tables; here and not a source by itself, so that clang sees kj_clang.hpp before it.
#include "transport/wire.capnp.c++"

#include <capnp/message.h>

#include <algorithm>
#include <cstring>
#include <optional>

namespace weft {
namespace {

constexpr std::size_t word_bytes = sizeof(capnp::word);
static_assert(word_bytes == 8);

// ---- Encoding --------------------------------------------------------------------------------

std::size_t words_for(std::size_t size_bytes) { return (size_bytes + word_bytes - 1) / word_bytes; }

// Enough for the fixed parts of any message. What is asked for too much is zeroed in vain, and a frame that
// waits in a queue keeps it.
constexpr std::size_t fixed_words = 32;

std::size_t variable_words(const hello_message& m) {
    return 3 * m.applied.size() + 2 * m.floor.size() + words_for(m.cluster.size() + 1) +
           words_for(m.name.size() + 1);
}
std::size_t variable_words(const interest_message& m) {
    return m.except.size() + 2 * m.applied.size();
}
std::size_t variable_words(const runs_message& m) {
    std::size_t words = 0;
    for (const shared_bytes& run : m.runs) words += 1 + words_for(run.view.size());
    return words;
}
std::size_t variable_words(const ack_message& m) {
    return 2 * (m.applied.size() + m.durable.size());
}
std::size_t variable_words(const heartbeat_message& m) { return 2 * m.applied.size(); }
std::size_t
variable_words(const notice_message& m) { // its code is a text, too, of one or two words
    return 4 + words_for(std::min(m.detail.size(), notice_bytes_max) + 1);
}
std::size_t variable_words(const digests_message& m) {
    std::size_t words = 0;
    for (const range_digest& r : m.ranges) {
        words += 4 + words_for(r.first.size() + 1) + words_for(r.end.size() + 1);
    }
    return words;
}
std::size_t variable_words(const check_message& m) {
    if (const auto* begin = std::get_if<check_begin>(&m.step)) return 2 * begin->applied.size();
    if (const auto* answer = std::get_if<check_answer>(&m.step)) return 2 * answer->applied.size();
    const auto* why = std::get_if<error>(&m.step);
    return why == nullptr ? 0 : 4 + words_for(std::min(why->detail.size(), notice_bytes_max) + 1);
}
std::size_t variable_words(const state_request&) { return 0; }
std::size_t variable_words(const state_chunk& m) { return words_for(m.data.view.size()); }
std::size_t variable_words(const unknown_message&) { return 0; }

// Builds a message of one segment in place, behind its segment table, so that runs are copied once.
class body_builder final : public capnp::MessageBuilder {
public:
    explicit body_builder(std::size_t words) : body_((1 + words) * word_bytes) {}

    kj::ArrayPtr<capnp::word> allocateSegment(capnp::uint minimum) override {
        std::size_t words = body_.size() / word_bytes - 1;
        WEFT_CHECK(!given_ && minimum <= words);
        given_ = true;
        return {reinterpret_cast<capnp::word*>(body_.data() + word_bytes), words};
    }

    bytes take() {
        std::size_t words = getSegmentsForOutput()[0].size();
        for (std::size_t i = 0; i < 4; ++i) { // bytes 0 to 3: segments - 1 = 0; then the words
            body_[4 + i] = static_cast<std::byte>(words >> (8 * i));
        }
        body_.resize((1 + words) * word_bytes);
        return std::move(body_);
    }

private:
    bytes body_;
    bool given_ = false;
};

template <class Number>
auto raw(Number id) {
    return static_cast<std::uint64_t>(id);
}

capnp::Text::Reader text_of(const std::string& text) { return {text.c_str(), text.size()}; }

template <class List>
void write_entries(List to, std::span<const version_vector::entry> from) {
    for (capnp::uint i = 0; i < to.size(); ++i) {
        to[i].setReplica(raw(from[i].replica));
        to[i].setCounter(from[i].counter);
    }
}

capnp::uint count(std::size_t size) {
    WEFT_CHECK(size <= limits::vector_entries_max);
    return static_cast<capnp::uint>(size);
}

void write(wire::Message::Builder out, const hello_message& m) {
    auto to = out.initHello();
    to.setProtocolMin(m.protocol_min);
    to.setProtocolMax(m.protocol_max);
    to.setCluster(text_of(m.cluster));
    to.setId(raw(m.id));
    to.setName(text_of(m.name));
    to.setProcessNonce(m.process_nonce);
    auto applied = to.initApplied(count(m.applied.size()));
    for (capnp::uint i = 0; i < applied.size(); ++i) {
        applied[i].setOrigin(raw(m.applied[i].origin));
        applied[i].setCounter(m.applied[i].counter);
        applied[i].setLast(raw(m.applied[i].last));
    }
    to.setCodecs(m.codecs);
    to.setFeatures(m.features);
    to.setClock(m.clock.raw);
    write_entries(to.initFloor(count(m.floor.size())), m.floor.entries());
    to.setRulesVersion(m.rules_version);
}

void write(wire::Message::Builder out, const interest_message& m) {
    auto to = out.initInterest();
    to.setOnlyOwn(m.only_own);
    auto except = to.initExcept(count(m.except.size()));
    for (capnp::uint i = 0; i < except.size(); ++i) except.set(i, raw(m.except[i]));
    write_entries(to.initApplied(count(m.applied.size())), m.applied.entries());
    to.setResend(m.resend);
}

capnp::Data::Reader data_of(const shared_bytes& run) {
    return {reinterpret_cast<const capnp::byte*>(run.view.data()), run.view.size()};
}

void write(wire::Message::Builder out, const runs_message& m) {
    if (m.runs.size() == 1) {
        out.setRun(data_of(m.runs.front()));
        return;
    }
    auto runs = out.initRuns(count(m.runs.size()));
    for (capnp::uint i = 0; i < runs.size(); ++i) runs.set(i, data_of(m.runs[i]));
}

void write(wire::Message::Builder out, const ack_message& m) {
    auto to = out.initAck();
    write_entries(to.initApplied(count(m.applied.size())), m.applied);
    write_entries(to.initDurable(count(m.durable.size())), m.durable);
    to.setTakenBytes(m.taken_bytes);
    to.setWaiting(m.waiting);
}

void write(wire::Message::Builder out, const heartbeat_message& m) {
    auto to = out.initHeartbeat();
    to.setPing(m.ping);
    to.setPong(m.pong);
    to.setClock(m.clock.raw);
    to.setWallMs(m.wall_ms);
    write_entries(to.initApplied(count(m.applied.size())), m.applied.entries());
    to.setAppliedHash(m.applied_hash);
    to.setDigestLow(m.digest[0]);
    to.setDigestHigh(m.digest[1]);
}

void write(wire::Message::Builder out, const notice_message& m) {
    auto to = out.initNotice();
    to.setCode(text_of(std::string(to_string(m.code))));
    to.setDetail(text_of(presentable(m.detail, notice_bytes_max)));
    to.setFatal(m.fatal);
}

void write(wire::Message::Builder out, const digests_message& m) {
    auto to = out.initDigests();
    to.setAppliedHash(m.applied_hash);
    WEFT_CHECK(m.ranges.size() <= limits::digest_ranges_max);
    auto ranges = to.initRanges(static_cast<capnp::uint>(m.ranges.size()));
    for (capnp::uint i = 0; i < ranges.size(); ++i) {
        ranges[i].setFirst(text_of(m.ranges[i].first));
        ranges[i].setEnd(text_of(m.ranges[i].end));
        ranges[i].setDigestLow(m.ranges[i].digest[0]);
        ranges[i].setDigestHigh(m.ranges[i].digest[1]);
    }
    to.setFound(m.found);
}

void write(wire::Check::Builder to, const check_begin& m) {
    write_entries(to.initBegin(count(m.applied.size())), m.applied.entries());
}

void write(wire::Check::Builder to, const check_answer& m) {
    write_entries(to.initAnswer(count(m.applied.size())), m.applied.entries());
}

void write(wire::Check::Builder to, const check_digest& m) {
    auto digest = to.initDigest();
    digest.setAppliedHash(m.applied_hash);
    digest.setCountedLow(m.counted[0]);
    digest.setCountedHigh(m.counted[1]);
    digest.setKeptLow(m.kept[0]);
    digest.setKeptHigh(m.kept[1]);
}

void write(wire::Check::Builder to, const error& why) {
    auto ended = to.initEnded();
    ended.setCode(text_of(std::string(to_string(why.code))));
    ended.setDetail(text_of(presentable(why.detail, notice_bytes_max)));
}

void write(wire::Message::Builder out, const check_message& m) {
    auto to = out.initCheck();
    to.setNumber(m.number);
    std::visit([&](const auto& step) { write(to, step); }, m.step);
}

void write(wire::Snapshot::Builder to, const snapshot_ref& name) {
    to.setAt(raw(name.at));
    to.setSize(name.size);
}

void write(wire::Message::Builder out, const state_request& m) {
    auto to = out.initStateRequest();
    write(to.initSnapshot(), m.snapshot);
    to.setFrom(m.from);
    to.setUntil(m.until);
}

void write(wire::Message::Builder out, const state_chunk& m) {
    auto to = out.initStateChunk();
    write(to.initSnapshot(), m.snapshot);
    to.setOffset(m.offset);
    to.setData(data_of(m.data));
}

void write(wire::Message::Builder out, const unknown_message& m) {
    out.setUnimplemented(m.discriminant);
}

// ---- Decoding --------------------------------------------------------------------------------

// Remembers the first rule that a message breaks.
class rules {
public:
    // `size`, or 0 and a broken rule if it is above `size_max`.
    std::size_t bounded(std::size_t size, std::size_t size_max, std::string_view what) {
        if (size <= size_max) return size;
        broken(std::string(what) + " of " + std::to_string(size) + ", limit " +
               std::to_string(size_max));
        return 0;
    }

    std::string text(capnp::Text::Reader from, std::size_t bytes_max, std::string_view what) {
        std::string out(from.begin(), bounded(from.size(), bytes_max, what));
        if (!is_utf8(out)) broken(std::string(what) + " is not UTF-8");
        return out;
    }

    // The elements that `read` makes; they are in strict order of `id`, and none has counter 0.
    template <class Element, class List, class Read, class Id>
    std::vector<Element> sorted(List from, std::string_view what, Read read, Id id) {
        std::vector<Element> out;
        std::size_t size = bounded(from.size(), limits::vector_entries_max, what);
        out.reserve(size);
        for (std::size_t i = 0; i < size; ++i) {
            out.push_back(read(from[static_cast<capnp::uint>(i)]));
            if (out.back().counter == 0) broken(std::string(what) + " has a counter of 0");
            if (i > 0 && !(id(out[i - 1]) < id(out[i]))) {
                broken(std::string(what) + " is not strictly sorted");
            }
        }
        return out;
    }

    std::vector<version_vector::entry> entries(capnp::List<wire::Entry>::Reader from,
                                               std::string_view what) {
        return sorted<version_vector::entry>(
            from, what,
            [](wire::Entry::Reader e) {
                return version_vector::entry{replica_id{e.getReplica()}, e.getCounter()};
            },
            [](const version_vector::entry& e) { return e.replica; });
    }

    version_vector vector(capnp::List<wire::Entry>::Reader from, std::string_view what) {
        auto sorted_entries = entries(from, what);
        version_vector out;
        if (broken_) return out; // out of order, each insertion would move what is there
        for (const auto& e : sorted_entries) out.advance(e.replica, e.counter);
        return out;
    }

    void broken(std::string rule) {
        if (!broken_) broken_ = std::move(rule);
    }
    [[nodiscard]] const std::optional<std::string>& first_broken() const { return broken_; }

private:
    std::optional<std::string> broken_;
};

message read(wire::Hello::Reader from, rules& keep) {
    hello_message m;
    m.protocol_min = from.getProtocolMin();
    m.protocol_max = from.getProtocolMax();
    m.cluster = keep.text(from.getCluster(), limits::name_bytes_max, "hello: cluster");
    m.id = replica_id{from.getId()};
    m.name = keep.text(from.getName(), limits::name_bytes_max, "hello: name");
    m.process_nonce = from.getProcessNonce();
    m.applied = keep.sorted<origin_state>(
        from.getApplied(), "hello: applied",
        [](wire::OriginState::Reader o) {
            return origin_state{replica_id{o.getOrigin()}, o.getCounter(), run_hash{o.getLast()}};
        },
        [](const origin_state& o) { return o.origin; });
    m.codecs = from.getCodecs();
    m.features = from.getFeatures();
    m.clock = hlc{from.getClock()};
    m.floor = keep.vector(from.getFloor(), "hello: floor");
    m.rules_version = from.getRulesVersion();
    return m;
}

message read(wire::Interest::Reader from, rules& keep) {
    interest_message m;
    m.only_own = from.getOnlyOwn();
    auto except = from.getExcept();
    std::size_t ids = keep.bounded(except.size(), limits::vector_entries_max, "interest: except");
    m.except.reserve(ids);
    for (std::size_t i = 0; i < ids; ++i) {
        m.except.push_back(replica_id{except[static_cast<capnp::uint>(i)]});
    }
    if (m.only_own && ids > 0) keep.broken("interest: onlyOwn with exceptions");
    m.applied = keep.vector(from.getApplied(), "interest: applied");
    m.resend = from.getResend();
    return m;
}

shared_bytes part_of(const shared_bytes& body, capnp::Data::Reader run) {
    if (run.size() == 0) return {};
    auto* first = reinterpret_cast<const std::byte*>(run.begin());
    return body.part(static_cast<std::size_t>(first - body.view.data()), run.size());
}

message read(capnp::List<capnp::Data>::Reader from, const shared_bytes& body, rules& keep) {
    runs_message m;
    std::size_t runs = keep.bounded(from.size(), limits::vector_entries_max, "runs");
    m.runs.reserve(runs);
    for (std::size_t i = 0; i < runs; ++i) {
        m.runs.push_back(part_of(body, from[static_cast<capnp::uint>(i)]));
    }
    return m;
}

message read(wire::Ack::Reader from, rules& keep) {
    ack_message m;
    m.applied = keep.entries(from.getApplied(), "ack: applied");
    m.durable = keep.entries(from.getDurable(), "ack: durable");
    m.taken_bytes = from.getTakenBytes();
    m.waiting = from.getWaiting();
    return m;
}

message read(wire::Heartbeat::Reader from, rules& keep) {
    heartbeat_message m;
    m.ping = from.getPing();
    m.pong = from.getPong();
    m.clock = hlc{from.getClock()};
    m.wall_ms = from.getWallMs();
    m.applied = keep.vector(from.getApplied(), "heartbeat: applied");
    m.applied_hash = from.getAppliedHash();
    m.digest = {from.getDigestLow(), from.getDigestHigh()};
    return m;
}

std::optional<errc> code_named(std::string_view name) {
    for (std::uint8_t i = 0; to_string(errc{i}) != "unknown"; ++i) {
        if (to_string(errc{i}) == name) return errc{i};
    }
    return std::nullopt;
}

error read_error(capnp::Text::Reader code, capnp::Text::Reader detail, rules& keep) {
    std::string name = keep.text(code, limits::name_bytes_max, "notice: code");
    error out{errc::incompatible, keep.text(detail, notice_bytes_max, "notice: detail")};
    if (auto known = code_named(name)) {
        out.code = *known;
    } else {
        out.detail = name + ": " + out.detail;
    }
    return out;
}

message read(wire::Notice::Reader from, rules& keep) {
    error why = read_error(from.getCode(), from.getDetail(), keep);
    return notice_message{why.code, std::move(why.detail), from.getFatal()};
}

message read(wire::Digests::Reader from, rules& keep) {
    digests_message m;
    m.applied_hash = from.getAppliedHash();
    auto ranges = from.getRanges();
    std::size_t count = keep.bounded(ranges.size(), limits::digest_ranges_max, "digests: ranges");
    for (std::size_t i = 0; i < count; ++i) {
        auto range = ranges[static_cast<capnp::uint>(i)];
        range_digest r;
        r.first = keep.text(range.getFirst(), limits::key_bytes_max, "digests: first");
        r.end = keep.text(range.getEnd(), limits::key_bytes_max, "digests: end");
        r.digest = {range.getDigestLow(), range.getDigestHigh()};
        if (!r.end.empty() && r.end <= r.first) keep.broken("digests: a range without keys");
        m.ranges.push_back(std::move(r));
    }
    m.found = from.getFound();
    return m;
}

message read(wire::Check::Reader from, rules& keep) {
    check_message m;
    m.number = from.getNumber();
    switch (from.which()) {
        case wire::Check::BEGIN:
            m.step = check_begin{keep.vector(from.getBegin(), "check: begin")};
            break;
        case wire::Check::ANSWER:
            m.step = check_answer{keep.vector(from.getAnswer(), "check: answer")};
            break;
        case wire::Check::DIGEST: {
            auto digest = from.getDigest();
            m.step = check_digest{digest.getAppliedHash(),
                                  {digest.getCountedLow(), digest.getCountedHigh()},
                                  {digest.getKeptLow(), digest.getKeptHigh()}};
            break;
        }
        case wire::Check::ENDED:
            m.step = read_error(from.getEnded().getCode(), from.getEnded().getDetail(), keep);
            break;
        default: m.step = error{errc::incompatible, "a step of a check that is not known here"};
    }
    return m;
}

snapshot_ref read(wire::Snapshot::Reader from) { return {log_index{from.getAt()}, from.getSize()}; }

message read(wire::StateRequest::Reader from, rules& keep) {
    state_request m{read(from.getSnapshot()), from.getFrom(), from.getUntil()};
    if (m.until < m.from) {
        keep.broken("state request: until before from");
    } else {
        keep.bounded(m.until - m.from, limits::transfer_window_bytes, "state request: bytes");
    }
    return m;
}

message read(wire::StateChunk::Reader from, const shared_bytes& body, rules& keep) {
    state_chunk m{read(from.getSnapshot()), from.getOffset(), part_of(body, from.getData())};
    keep.bounded(m.data.view.size(), limits::transfer_chunk_bytes, "state chunk: bytes");
    bool inside = m.offset <= m.snapshot.size && m.data.view.size() <= m.snapshot.size - m.offset &&
                  !m.data.view.empty();
    if (!inside) keep.broken("state chunk: not in its snapshot");
    return m;
}

message read(wire::Message::Reader from, const shared_bytes& body, rules& keep) {
    switch (from.which()) {
        case wire::Message::UNIMPLEMENTED: return unknown_message{from.getUnimplemented(), true};
        case wire::Message::HELLO: return read(from.getHello(), keep);
        case wire::Message::INTEREST: return read(from.getInterest(), keep);
        case wire::Message::RUN: return runs_message{{part_of(body, from.getRun())}};
        case wire::Message::RUNS: return read(from.getRuns(), body, keep);
        case wire::Message::ACK: return read(from.getAck(), keep);
        case wire::Message::HEARTBEAT: return read(from.getHeartbeat(), keep);
        case wire::Message::NOTICE: return read(from.getNotice(), keep);
        case wire::Message::DIGESTS: return read(from.getDigests(), keep);
        case wire::Message::CHECK: return read(from.getCheck(), keep);
        case wire::Message::STATE_REQUEST: return read(from.getStateRequest(), keep);
        case wire::Message::STATE_CHUNK: return read(from.getStateChunk(), body, keep);
        default: return unknown_message{static_cast<std::uint16_t>(from.which()), false};
    }
}

std::uint32_t load_u32(const std::byte* at) {
    std::uint32_t number = 0;
    for (int i = 3; i >= 0; --i) number = number << 8U | std::to_integer<std::uint32_t>(at[i]);
    return number;
}

// The segments of an aligned body. Cap'n Proto 0.9.2 trusts the table's count, which wraps to 0 for
// 0xFFFFFFFF, and adds up sizes that may overflow; so it never sees the table.
result<std::vector<kj::ArrayPtr<const capnp::word>>> segments_of(byte_view body) {
    if (body.size() < 2 * word_bytes || body.size() % word_bytes != 0) {
        return fail(errc::bad_message, "body of " + std::to_string(body.size()) +
                                           " bytes is not a segment table and whole words");
    }
    std::uint64_t count = std::uint64_t{load_u32(body.data())} + 1;
    if (count > limits::message_segments_max) {
        return fail(errc::bad_message, std::to_string(count) + " segments, limit " +
                                           std::to_string(limits::message_segments_max));
    }
    std::uint64_t at = words_for(4 * (1 + static_cast<std::size_t>(count)));
    std::uint64_t words = body.size() / word_bytes;
    std::vector<kj::ArrayPtr<const capnp::word>> segments;
    for (std::uint64_t i = 0; i < count && at <= words; ++i) {
        std::uint64_t size = load_u32(body.data() + 4 * (1 + i));
        auto* first = reinterpret_cast<const capnp::word*>(body.data()) + at;
        at += size;
        if (at <= words) segments.emplace_back(first, size);
    }
    if (at != words || segments.size() != count) {
        return fail(errc::bad_message, "the segment table does not add up to the body's " +
                                           std::to_string(words) + " words");
    }
    return segments;
}

shared_bytes aligned(shared_bytes body) {
    if (reinterpret_cast<std::uintptr_t>(body.view.data()) % word_bytes == 0) return body;
    return shared_bytes(bytes(body.view.begin(), body.view.end()));
}

} // namespace

bytes encode_message(const message& what) {
    return std::visit(
        [](const auto& m) {
            body_builder builder(fixed_words + variable_words(m));
            write(builder.initRoot<wire::Message>(), m);
            return builder.take();
        },
        what);
}

result<message> decode_message(shared_bytes body) {
    body = aligned(std::move(body));
    auto segments = segments_of(body.view);
    if (!segments) return fail(segments.error());

    capnp::ReaderOptions options;
    options.traversalLimitInWords = limits::message_words_max;
    options.nestingLimit = limits::message_nesting_max;
    try {
        capnp::SegmentArrayMessageReader reader({segments->data(), segments->size()}, options);
        rules keep;
        message out = read(reader.getRoot<wire::Message>(), body, keep);
        if (const auto& rule = keep.first_broken()) return fail(errc::bad_message, *rule);
        return out;
    } catch (const kj::Exception& thrown) {
        return fail(errc::bad_message, std::string("malformed: ") + thrown.getDescription().cStr());
    }
}

} // namespace weft
