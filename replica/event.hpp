#pragma once
#include "base/env.hpp"
#include "replica/log.hpp"
#include "replica/snapshot_store.hpp"
#include "replica/transfer_store.hpp"
#include "transport/message.hpp"

#include <optional>
#include <variant>
#include <vector>

namespace weft {

// All that can happen to a replica, beside calls of the application.

struct link_up { // dialed, if there is a peer, or accepted
    session_id session{};
    std::optional<peer_id> peer;
    std::string url;
};
struct dial_failed {
    peer_id peer{};
    error why;
};
struct received {
    session_id session{};
    message what;
    std::size_t frame_bytes = 0;
};
struct link_down {
    session_id session{};
    error why;
};
struct log_synced { // answers sync_log
    log_index durable_end{};
};
struct log_read { // answers read_log
    session_id session{};
    log_index first{};
    std::vector<shared_bytes> runs;
    bool for_check = false;
};
struct snapshot_written { // answers write_snapshot
    snapshot_info what;
    std::optional<error> failed; // then nothing is left of it
};
struct snapshot_verified { // answers verify_snapshot
    log_index at{};
    std::optional<error> failed; // not_found if it is not there any more
};
struct log_cut_found { // answers find_log_cut
    run_log::droppable what;
};
struct state_read { // answers read_state
    session_id session{};
    snapshot_ref snapshot;
    std::uint64_t offset = 0;
    result<shared_bytes> data;
};
struct staging_failed {
    error why;
};
struct state_joined { // answers join_state
    result<joined_state> outcome;
};
struct disk_state { // an append was refused for lack of space, or works again
    bool full = false;
};
struct peer_command { // an operator's
    peer_id peer{};
    bool pause = false;
};
struct woken {
}; // the deadline passed, local changes wait in the open run, or a link has room again

struct event {
    instant now;
    std::uint64_t wall_ms = 0;
    std::variant<woken, link_up, dial_failed, received, link_down, log_synced, log_read,
                 snapshot_written, snapshot_verified, log_cut_found, state_read, staging_failed,
                 state_joined, disk_state, peer_command>
        what;
};

} // namespace weft
