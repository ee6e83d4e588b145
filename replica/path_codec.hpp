#pragma once
#include "base/codec.hpp"
#include "base/limits.hpp"

#include <string_view>

// Paths in runs and in state images: what is kept of the path before, then new names.
namespace weft {

inline constexpr std::size_t path_parts_max = 1 + limits::map_depth_max;

struct path_lead {
    std::size_t kept = 0; // names of the path before
    std::size_t size = 0; // of the path
};

inline void encode_path_lead(byte_writer& out, path_lead lead) {
    out.varint(lead.kept + (path_parts_max + 1) * (lead.size - lead.kept));
}

// Rejects what keeps more than `before` names, is too short or too deep; its size is then 0.
[[nodiscard]] inline path_lead decode_path_lead(byte_reader& in, std::size_t before) {
    std::uint64_t packed = in.varint();
    std::size_t kept = packed % (path_parts_max + 1);
    std::uint64_t more = packed / (path_parts_max + 1);
    if (kept > before || kept + more == 0 || more > path_parts_max ||
        kept + more > path_parts_max) {
        in.reject("path that is too short or too deep");
        return {};
    }
    return {kept, kept + static_cast<std::size_t>(more)};
}

// The name at `depth`: a key, or a field below it.
[[nodiscard]] inline std::string_view decode_path_name(byte_reader& in, std::size_t depth) {
    std::string_view name = in.text(depth == 0 ? limits::key_bytes_max : limits::field_bytes_max);
    if (name.empty()) in.reject("empty name in a path");
    return name;
}

} // namespace weft
