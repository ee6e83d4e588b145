#pragma once
#include "base/bytes.hpp"
#include "base/result.hpp"

#include <cstdint>
#include <optional>
#include <string_view>

namespace weft {

// The codecs that every member reads. The numbers are part of every format.
enum class codec : std::uint8_t { none = 0, lz4 = 1, zstd = 2, gzip = 3 };

[[nodiscard]] std::string_view to_string(codec which);
[[nodiscard]] std::optional<codec> parse_codec(std::string_view name);

// `data` in that codec, at its fast level.
[[nodiscard]] bytes compress(codec which, byte_view data);

// The `raw_bytes` bytes that `data` stands for. Never writes more than that, nor more than
// limits::run_bytes_max; a stream that would give more or fewer, or that wants a larger window, is
// bad_run.
[[nodiscard]] result<bytes> decompress(codec which, byte_view data, std::uint64_t raw_bytes);

} // namespace weft
