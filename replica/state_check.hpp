#pragma once
#include "base/env.hpp"
#include "replica/digest_ranges.hpp"
#include "replica/state_image.hpp"
#include "replica/status.hpp"

#include <functional>
#include <memory>
#include <optional>
#include <vector>

namespace weft {

using comparison_callback = std::function<void(result<comparison>)>;

// One side of a check: a copy of the state, on its way to the version vector at which both are compared, and
// what is known there. docs/protocol.md, "Check".
struct state_check {
    std::uint64_t number = 0; // chosen by who began it
    bool began = false;       // here
    instant deadline;
    std::vector<comparison_callback> whose;

    state_image copy;
    log_index cursor{};                  // of our log: the run that comes next for the copy
    bool reading = false;                // a read_log is under way
    std::optional<version_vector> point; // the common one, once the other's vector is known …
    std::uint64_t point_hash = 0;
    std::size_t behind = 0; // … and of how many origins the copy lacks something up to there

    std::unique_ptr<digest_count> counting;
    std::vector<range_digest> parts; // of the whole copy
    std::optional<check_digest> ours;
    std::optional<check_digest> theirs;
    bool differs = false;            // as the two say; from here on it is asked where
    std::vector<range_digest> asked; // theirs, of which ours are being counted
    unsigned narrowing_steps = 0;

    // The other side stands there: so the point is the join of the two. Gives what the copy lacks.
    std::vector<version_vector::entry> meet(const version_vector& theirs_applied);
    [[nodiscard]] bool there() const { return point && behind == 0; }
    // Takes the run at `cursor`: to the copy, unless it is beyond the point.
    [[nodiscard]] result<void> take(const shared_bytes& run);
};

} // namespace weft
