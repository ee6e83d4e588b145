#pragma once
#include "replica/state_image.hpp"
#include "transport/message.hpp"

#include <functional>
#include <optional>
#include <string>
#include <vector>

namespace weft {

// Whose snapshot is on its way here.
struct transfer_ref {
    replica_id from{};
    snapshot_ref snapshot;

    bool operator==(const transfer_ref&) const = default;
};

struct staged_transfer {
    transfer_ref what;
    std::uint64_t bytes = 0; // from the first on

    bool operator==(const staged_transfer&) const = default;
};

// This replica's state joined with the one that came.
struct joined_state {
    state_image image;                // at the log index that this replica's state stood at
    std::vector<std::string> changed; // keys that read otherwise than before, in order
    hlc newest;                       // stamp that the other side had seen
};

// A peer's state on its way here. recovery/transfer fulfils it on a disk. Loop thread only.
class transfer_store {
public:
    virtual ~transfer_store() = default;

    // What an earlier life of the process left, if it can go on.
    [[nodiscard]] virtual std::optional<staged_transfer> staged() const = 0;
    // Adds the next bytes. From offset 0 it begins anew, and what was there goes.
    [[nodiscard]] virtual result<void> append(const transfer_ref& what, std::uint64_t offset,
                                              byte_view data) = 0;
    // Verifies what is staged, which must be whole, and joins it with `mine`, a little at a time, so that the
    // loop goes on meanwhile. `done` is called once, on the loop. One at a time.
    //
    //   log_damaged   what came is not a whole snapshot
    //   dot_reused    the two sides hold two histories of one origin
    virtual void join_later(state_image mine, std::function<void(result<joined_state>)> done) = 0;
    [[nodiscard]] virtual result<void> discard() = 0;
};

} // namespace weft
