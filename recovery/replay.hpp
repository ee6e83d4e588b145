#pragma once
#include "base/env.hpp"
#include "recovery/identity.hpp"
#include "recovery/wal.hpp"
#include "replica/core.hpp"
#include "replica/snapshot_store.hpp"

#include <memory>
#include <span>
#include <vector>

namespace weft {

// A snapshot that cannot be used.
struct damaged_snapshot {
    log_index at{};
    error why; // names file and offset
};

// The newest snapshot that is good and not before `base`, in a core that has replayed nothing else; an empty
// core if there is none and none is needed.
struct starting_state {
    std::unique_ptr<core> state;
    log_index at{};                        // the runs before it are in it
    version_vector floor;                  // operations up to it may be missing in the log
    std::vector<damaged_snapshot> damaged; // newer ones, and older ones whose header cannot be read
};

//   rules_since   as in core::had_rules_since
//   log_damaged   every snapshot from `base` on is damaged or missing, and the log cannot stand in for them
[[nodiscard]] result<starting_state> load_newest(env& doors, std::span<const snapshot_info> kept,
                                                 const replica_options& options,
                                                 std::optional<log_index> base,
                                                 std::optional<log_index> rules_since);
// The run from which on a directory of that identity has had the rules of these options, if it has.
[[nodiscard]] std::optional<log_index> rules_since(const std::optional<identity>& known,
                                                   const replica_options& options);

// What a directory holds: that state, and the log behind it replayed. Changes nothing on the disk. What the
// identity states to be there and is not, and is not needed, is named in `missing`.
//
//   errors   of load_newest and of open_wal; what a run is refused for, with file and offset
struct replayed_state {
    starting_state start;
    std::unique_ptr<wal> log;
    std::vector<std::string> missing; // each: file, and what its loss means
};
[[nodiscard]] result<replayed_state> replay_directory(env& doors,
                                                      std::span<const snapshot_info> kept,
                                                      const replica_options& options,
                                                      const std::optional<identity>& known);

} // namespace weft
