#pragma once
#include "base/env.hpp"
#include "replica/conflicts.hpp"
#include "replica/options.hpp"
#include "replica/state_image.hpp"
#include "replica/subscription.hpp"
#include "replica/transfer_store.hpp"
#include "transport/message.hpp"

#include <functional>
#include <memory>
#include <optional>
#include <variant>
#include <vector>

namespace weft {

// All that a replica can ask for. Performed in order, and runs are in the log before they are sent. An
// identity is written while other effects are performed, but for what needs it: those wait.

struct persist_identity {
    replica_identity who;
    bool before_runs =
        false; // runs that are appended from here on need it; what is removed always does
};
struct append_log { // they are the log's next runs
    std::vector<shared_bytes> runs;
    hlc newest; // of own stamps in them: a ceiling that is as high is on the disk before them
};
struct sync_log {}; // answered with log_synced
struct
    read_log { // answered with log_read; may start later than `first` if `known` covers what is before
    session_id session{};
    log_index first{};
    version_vector known;
    std::size_t bytes_max = 0; // but one run at least
    bool for_check = false;    // of that session; else to be sent there, or for a transfer
};
struct write_snapshot { // answered with snapshot_written
    state_image image;
};
struct remove_snapshot {
    log_index at{};
};
struct verify_snapshot { // reads all of it; answered with snapshot_verified
    log_index at{};
};
struct set_aside_snapshot { // a damaged one: kept, and read no more
    log_index at{};
    error why;
};
struct find_log_cut { // answered with log_cut_found
    log_index before{};
    version_vector seen; // by everybody
};
struct drop_log { // runs before it, as far as whole segments go; a little later
    log_index before{};
};
struct read_state { // answered with state_read
    session_id session{};
    snapshot_ref snapshot;
    std::uint64_t offset = 0;
    std::size_t size = 0;
};
struct
    stage_state { // bytes of a peer's state; answered, if they cannot be kept, with staging_failed
    transfer_ref what;
    std::uint64_t offset = 0;
    shared_bytes data;
};
struct join_state { // what is staged is whole; answered with state_joined
    state_image mine;
};
struct discard_staged {};
struct release_state { // a state that nobody needs any more: not all of it at once
    keyspace old;
};
struct dial { // answered with link_up or dial_failed
    peer_id peer{};
    std::string url;
};
struct send_message {
    session_id session{};
    message what;
};
struct close_link { // sends what is queued; no more events for this session
    session_id session{};
    std::optional<notice_message> instead = {}; // of what is queued: the peer does not read
};
struct notify {
    std::shared_ptr<const subscriber> whom;
    change_event what;
};
struct notify_conflict {
    std::shared_ptr<const conflict_callback> whom;
    conflict_event what;
};
struct record_audit { // what was decided; in the trail before a snapshot holds it
    std::vector<audit_entry> entries;
};
struct answer { // somebody's acknowledgement
    std::function<void(result<void>)> whom;
    result<void> outcome;
};
struct report {
    log_event what;
};

using effect =
    std::variant<persist_identity, append_log, sync_log, read_log, write_snapshot, remove_snapshot,
                 verify_snapshot, set_aside_snapshot, find_log_cut, drop_log, read_state,
                 stage_state, join_state, discard_staged, release_state, dial, send_message,
                 close_link, notify, notify_conflict, record_audit, answer, report>;

} // namespace weft
