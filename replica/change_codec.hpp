#pragma once
#include "base/bytes.hpp"
#include "base/compress.hpp"
#include "base/ids.hpp"
#include "base/result.hpp"
#include "clock/hlc.hpp"

#include <cstdint>

namespace weft {

// What can be read of a run without decompressing it.
struct run_header {
    replica_id origin{};
    std::uint64_t first = 0; // op counters [first, end)
    std::uint64_t end = 0;
    run_hash previous{}; // of the origin's run before this one; 0 for its first
    hlc newest{};        // stamp of its last change
    codec packed = codec::none;
    std::uint64_t raw_bytes = 0; // of the body, decompressed
    std::size_t body_at = 0;     // where the body starts in the run
};

// bad_run unless `run` starts with a whole, sensible header and is long enough. Does not check the
// body.
[[nodiscard]] result<run_header> read_run_header(byte_view run);

// XXH3-64 of the whole encoded run; never 0.
[[nodiscard]] run_hash hash_of(byte_view run);

} // namespace weft
