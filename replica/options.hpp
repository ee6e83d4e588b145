#pragma once
#include "base/compress.hpp"
#include "base/ids.hpp"
#include "base/limits.hpp"
#include "clock/hlc.hpp"
#include "resolve/rules.hpp"

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace weft {

// When the log is made durable (fdatasync).
enum class sync_policy : std::uint8_t {
    commit,   // at once; own changes leave the replica only when durable
    interval, // every limits::sync_interval_ms; own changes leave at once
    none, // every limits::lazy_sync_interval_ms, when an acknowledgement of this replica asks for it,
          // and at a clean stop; own changes leave at once
};
[[nodiscard]] std::string_view to_string(sync_policy policy);

struct replica_options {
    std::string name = {};                // of this member; 1 to 64 bytes
    std::string cluster = "weft";         // replicas of other clusters are refused
    std::string region = {};              // free text
    std::vector<std::string> listen = {}; // URLs
    std::vector<std::string> peers = {};  // URLs; with this replica the configured members
    sync_policy sync = sync_policy::commit;
    codec packed = codec::lz4; // for own runs of 128 bytes and more, where it pays
    std::uint64_t state_bytes_max = limits::state_bytes_max;
    // Memory for what is on its way: limits::buffer_bytes_min at least. At its bound writers and peers wait.
    std::uint64_t buffer_bytes_max = limits::buffer_bytes_max;
    // A snapshot is taken when the log grew by so much since the last one, or after so long, if it grew
    // at all; 0 for never.
    std::uint64_t snapshot_log_bytes = limits::snapshot_log_bytes;
    std::uint64_t snapshot_interval_ms = limits::snapshot_interval_ms;
    // What snapshots made superfluous is kept for members that did not confirm it until the log is this
    // large; who lacks it then fetches the state.
    std::uint64_t log_bytes_max = limits::log_bytes_max;
    std::uint64_t log_segment_bytes = limits::segment_bytes_target;
    // What settles concurrent writes, and where. The same on every replica: they compare.
    rules conflict_rules = {};
    // Of the audit trail, what is older or more than that goes, by segments: limits::audit_age_ms_min and
    // limits::audit_bytes_min at least.
    std::uint64_t audit_age_ms_max = limits::audit_age_ms_max;
    std::uint64_t audit_bytes_max = limits::audit_bytes_max;
};

// What an acknowledgement of a change means.
struct ack_level {
    enum class kind : std::uint8_t { memory, disk, replicated, majority };
    kind what = kind::disk;
    std::uint32_t members = 1; // for replicated: disks that hold it, this replica's among them

    static constexpr ack_level memory() { return {kind::memory, 0}; } // lost with the process
    static constexpr ack_level disk() { return {kind::disk, 1}; }     // survives a power cut
    static constexpr ack_level replicated(std::uint32_t k) { return {kind::replicated, k}; }
    static constexpr ack_level majority() {
        return {kind::majority, 0};
    } // of the configured members
};

// Who a replica is in this life of its process.
struct replica_identity {
    replica_id id{};
    replica_id predecessor{}; // the last id before under which it wrote, 0 if none
    hlc ceiling;              // no stamp above it has left the replica
    // If given, a start needs a snapshot of at least the runs before it: a peer's state is in that, and in
    // no log.
    std::optional<log_index> base = {};
    // What is beside it, so that what is gone is missed: where the log begins, and the snapshots that are
    // kept, oldest first. There may be more.
    log_index log_first{};
    std::vector<log_index> snapshots = {};
    replica_id forked{}; // the first id before of which peers have another history, 0 if none
};

} // namespace weft
