#include "recovery/log_format.hpp"

#include "base/frame.hpp"
#include "base/limits.hpp"
#include "recovery/sealed.hpp"

#include <algorithm>

namespace weft {
namespace {

constexpr std::string_view segment_magic = "weft-log";

std::uint32_t length_in(std::uint32_t kind_and_length) { return kind_and_length & 0x3FFF'FFFFU; }

std::uint32_t record_crc(std::uint64_t segment_first, std::uint64_t offset, byte_view fields,
                         byte_view payload) {
    byte_writer place;
    place.reserve(2 * sizeof(std::uint64_t));
    place.u64(segment_first);
    place.u64(offset);
    return crc32c(payload, crc32c(fields, crc32c(place.view())));
}

} // namespace

bytes encode(const segment_header& header) {
    byte_writer out;
    out.text(header.cluster);
    out.u64(header.first);
    out.u64(header.start);
    out.u64(header.durable);
    out.varint(header.origins.size());
    for (const auto& each : header.origins) {
        out.u64(static_cast<std::uint64_t>(each.id));
        out.u64(each.counter);
        out.u64(static_cast<std::uint64_t>(each.last));
    }
    return seal(segment_magic, header.version, out.view());
}

result<segment_header> parse_segment_header(byte_view content) {
    auto opened = unseal(segment_magic, content);
    if (!opened) return fail(opened.error());
    segment_header out;
    out.version = opened->version;
    out.size = opened->size;
    if (out.version != segment_version) return out;
    byte_reader in(opened->body);
    out.cluster = in.text(cluster_bytes_max);
    out.first = in.u64();
    out.start = in.u64();
    out.durable = in.u64();
    out.origins.resize(in.count(24));
    for (auto& each : out.origins) {
        each.id = replica_id{in.u64()};
        each.counter = in.u64();
        each.last = run_hash{in.u64()};
    }
    if (!in.at_end()) in.reject("bytes left over");
    if (!in.good()) return fail(errc::log_damaged, "its header does not decode: " + in.problem());
    return out;
}

void append_record(byte_writer& out, std::uint64_t segment_first, std::uint64_t offset,
                   const record& what) {
    byte_writer fields;
    fields.reserve(record_header_bytes);
    fields.u32(static_cast<std::uint32_t>(what.kind) << 30U |
               static_cast<std::uint32_t>(what.payload.size()));
    fields.u32(static_cast<std::uint32_t>(what.index - segment_first));
    fields.u64(what.durable);
    out.u32(record_crc(segment_first, offset, fields.view(), what.payload));
    out.raw(fields.view());
    out.raw(what.payload);
}

std::optional<record> parse_record(std::uint64_t segment_first, std::uint64_t offset,
                                   byte_view from) {
    byte_reader in(from);
    std::uint32_t crc = in.u32();
    std::uint32_t kind_and_length = in.u32();
    std::uint32_t kind = kind_and_length >> 30U;
    std::uint32_t length = length_in(kind_and_length);
    bool is_run = kind == static_cast<std::uint32_t>(record_kind::run);
    // So zeros are no record.
    bool sensible = is_run
                        ? length > 0 && length <= limits::run_bytes_max
                        : length == 0 && kind <= static_cast<std::uint32_t>(record_kind::end_mark);
    if (!sensible) return std::nullopt;
    record out;
    out.kind = static_cast<record_kind>(kind);
    out.index = segment_first + in.u32();
    out.durable = in.u64();
    out.payload = in.raw(length);
    if (!in.good()) return std::nullopt;
    out.size = in.position();
    byte_view fields = from.subspan(4, record_header_bytes - 4);
    if (record_crc(segment_first, offset, fields, out.payload) != crc) return std::nullopt;
    return out;
}

std::size_t claimed_bytes(byte_view record_header) {
    byte_reader in(record_header.subspan(4));
    return record_header_bytes + length_in(in.u32());
}

std::string problem_of(byte_view from) {
    auto is_zero = [](std::byte b) { return b == std::byte{0}; };
    if (std::all_of(from.begin(), from.end(), is_zero)) return "only zeros from there on";
    if (from.size() < record_header_bytes) return "the file ends inside a record's header";
    if (claimed_bytes(from) > from.size()) {
        return "a record of " + std::to_string(claimed_bytes(from)) + " bytes, but only " +
               std::to_string(from.size()) + " are left";
    }
    return "the checksum of a record does not match";
}

// Records may start anywhere, because the damage may hide where. Each one's mark is looked at
// first, so that few checksums are computed; the bound of 1 TiB ahead serves that too.
std::optional<std::uint64_t> mark_beyond(std::uint64_t position, std::uint64_t segment_first,
                                         byte_view content, std::size_t offset) {
    for (; offset + record_header_bytes <= content.size(); ++offset) {
        byte_reader mark(content.subspan(offset + 12, 8));
        if (mark.u64() - position - 1 >= 1ULL << 40U) continue; // wraps for marks up to `position`
        auto found = parse_record(segment_first, offset, content.subspan(offset));
        if (found) return found->durable;
    }
    return std::nullopt;
}

std::string segment_name(std::uint64_t first) { return "log-" + to_hex(first) + ".weft"; }

std::optional<std::uint64_t> parse_segment_name(std::string_view name) {
    if (name.size() != 25 || !name.starts_with("log-") || !name.ends_with(".weft")) return {};
    auto digits = parse_replica_id(name.substr(4, 16)); // the same 16 digits
    if (!digits) return std::nullopt;
    return static_cast<std::uint64_t>(*digits);
}

} // namespace weft
