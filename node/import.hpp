#pragma once
#include "replica/replica.hpp"

#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace weft {

// JSON lines that become maps: one object a line, its key `prefix` and what `key_field` holds.
struct import_batch {
    std::string_view lines;
    std::string prefix;
    std::string key_field = "id";
    std::uint64_t first_line = 1; // the number of the first of them, for errors
};

struct import_outcome {
    struct refused_line {
        std::uint64_t line = 0;
        error why;
    };
    std::uint64_t applied = 0; // lines
    std::vector<refused_line> refused;
    std::optional<commit> last;   // of the changes that were made
    std::optional<error> stopped; // the replica takes no more writes now: not a fault of a line
};

// Applies the lines as one transaction. A line that is refused splits it: what stands before and
// after that line is applied all the same. So does a batch that is too large for one transaction.
[[nodiscard]] import_outcome import_lines(replica& into, const import_batch& batch);

} // namespace weft
