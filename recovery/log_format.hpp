#pragma once
#include "base/bytes.hpp"
#include "base/codec.hpp"
#include "base/ids.hpp"
#include "base/result.hpp"

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

// The bytes of a log segment: a header, then records. docs/formats.md, "Log".
namespace weft {

inline constexpr std::uint32_t segment_version = 1;
inline constexpr std::size_t cluster_bytes_max = 1024;
inline constexpr std::size_t record_header_bytes = 20;

struct segment_header {
    struct origin { // of runs before this segment
        replica_id id{};
        std::uint64_t counter = 0; // of its last operation there
        run_hash last{};           // of its last run there
    };
    std::uint32_t version = segment_version;
    std::string cluster;
    std::uint64_t first = 0;   // index of its first run
    std::uint64_t start = 0;   // log position: the bytes of all segments before it
    std::uint64_t durable = 0; // log position up to which the log was durable when it was made
    std::vector<origin> origins;
    std::size_t size = 0; // of the header; only when read
};

[[nodiscard]] bytes encode(const segment_header& header);
// log_damaged if `content` does not start with an intact header. Of another version only `version`
// and `size` are read.
[[nodiscard]] result<segment_header> parse_segment_header(byte_view content);

enum class record_kind : std::uint8_t { run = 0, start_mark = 1, end_mark = 2 };

struct record {
    record_kind kind = record_kind::run;
    std::uint64_t index = 0;   // of the run, or of the next one behind a mark
    std::uint64_t durable = 0; // log position up to which the log was durable
    byte_view payload;         // borrowed; empty for marks
    std::size_t size = 0;      // of all of it; only when read
};

void append_record(byte_writer& out, std::uint64_t segment_first, std::uint64_t offset,
                   const record& what);
// The intact record that `from` starts with, `offset` bytes into the segment whose first run is
// `segment_first`. Both are under its checksum, so that an intact record that stands elsewhere
// (left over, copied, or inside a run) is not taken for one that belongs here.
[[nodiscard]] std::optional<record> parse_record(std::uint64_t segment_first, std::uint64_t offset,
                                                 byte_view from);
// How long a record with that header claims to be.
[[nodiscard]] std::size_t claimed_bytes(byte_view record_header);
// Why parse_record found nothing, for people.
[[nodiscard]] std::string problem_of(byte_view from);

// The log position up to which some intact record at or after `offset` of a segment says that the
// log was durable, if that is beyond `position`.
[[nodiscard]] std::optional<std::uint64_t> mark_beyond(std::uint64_t position,
                                                       std::uint64_t segment_first,
                                                       byte_view content, std::size_t offset);

// "log-00000000000003e8.weft" for the segment that starts with run 1,000.
[[nodiscard]] std::string segment_name(std::uint64_t first);
[[nodiscard]] std::optional<std::uint64_t> parse_segment_name(std::string_view name);

} // namespace weft
