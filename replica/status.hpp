#pragma once
#include "base/ids.hpp"
#include "base/result.hpp"
#include "clock/version_vector.hpp"
#include "replica/options.hpp"
#include "replica/snapshot_store.hpp"
#include "replica/state_digest.hpp"

#include <optional>
#include <string>
#include <vector>

namespace weft {

enum class peer_state : std::uint8_t {
    initializing, // not reached yet, or shaking hands
    catching_up,  // one side still lacks what the other had when they met
    active,       // streaming
    paused,       // by an operator
    blocked,      // a run of its cannot be applied; see `error`
    failed,       // not reachable now; tried again with a growing delay
};
[[nodiscard]] std::string_view to_string(peer_state state);

struct peer_status {
    std::string name; // empty until it said so
    replica_id id{};  // 0 until it said so
    std::string url;  // as configured, or where it came from
    bool configured = false;
    peer_state state = peer_state::initializing;
    std::string error;          // why it is blocked or failed
    std::int64_t lag_ms = 0;    // how long it has lacked something that is here
    std::uint64_t lag_ops = 0;  // operations that are here and it has not acknowledged
    std::int64_t rtt_us = 0;    // of the last heartbeat; 0 if none yet
    std::uint64_t bytes_in = 0; // frames of all sessions with it
    std::uint64_t bytes_out = 0;
    std::uint64_t changes_in = 0;         // applied from it
    std::uint64_t changes_out = 0;        // sent to it
    std::uint64_t duplicate_runs = 0;     // arrived again
    std::int64_t digest_compared_ms = -1; // since digests were last compared; -1 for never
    bool digest_mismatch = false;         // it holds another state though it saw the same
    std::string digest_mismatch_keys;     // where, for people, once that is known
    bool other_rules =
        false; // it settles conflicts by other rules than this replica: readings may differ
    std::uint64_t state_bytes_sent = 0;  // of a state transfer to it that is under way …
    std::uint64_t state_bytes_total = 0; // … of so many; 0 if none is
};

// Of two states at one version vector.
struct comparison {
    bool equal = false;
    std::string keys; // where they differ, for people; empty if that was not found in time

    bool operator==(const comparison&) const = default;
};

// One peer's, with this replica's; or why they could not be compared.
struct peer_verification {
    std::string peer; // its name, or its URL while that is not known
    replica_id id{};
    result<comparison> outcome;
};

enum class transfer_phase : std::uint8_t {
    receiving,
    waiting,     // for a snapshot of ours that is being written
    joining,     // with our state
    writing,     // the result, as a snapshot
    catching_up, // with what was written here meanwhile
};
[[nodiscard]] std::string_view to_string(transfer_phase phase);

// A peer's state on its way here, because no log reaches this replica any more.
struct transfer_status {
    std::string peer;
    transfer_phase phase{};
    std::uint64_t bytes = 0;
    std::uint64_t bytes_total = 0; // 0 until it is known
};

// A snapshot that is kept, or consecutive runs of the log, and why; for people.
struct held_snapshot {
    snapshot_info what;
    std::string why;
};
struct held_log {
    std::uint64_t first = 0;
    std::uint64_t end = 0;
    std::uint64_t bytes = 0;
    std::string why;
};

struct replica_status {
    std::string name;
    replica_id id{};
    replica_id predecessor{};
    std::string cluster;
    std::string region;
    sync_policy sync{};
    std::uint64_t objects = 0;
    version_vector vector; // applied
    version_vector durable;
    state_digest digest;
    std::uint64_t state_bytes = 0;
    std::uint64_t state_bytes_max = 0;
    std::uint64_t buffer_bytes_max = 0; // the budget for …
    std::uint64_t log_tail_bytes = 0;   // … the newest runs of the log,
    std::uint64_t sending_bytes = 0;    // what links have not sent yet,
    std::uint64_t vector_bytes = 0;     // what peers state of themselves,
    std::uint64_t arriving_bytes = 0;   // frames that are not whole yet, and held_back_bytes
    std::uint64_t log_bytes = 0;
    std::uint64_t log_runs = 0;
    std::vector<held_snapshot> snapshots; // oldest first
    bool snapshot_under_way = false;
    std::uint64_t snapshot_bytes_written = 0; // of that
    std::uint64_t log_bytes_since_snapshot = 0;
    std::uint64_t log_first = 0; // the oldest run kept
    std::uint64_t log_bytes_max = 0;
    std::vector<held_log> log_held;          // all of it, oldest first
    version_vector floor;                    // operations up to it may be missing in the log
    std::optional<transfer_status> transfer; // under way
    std::uint64_t held_back_runs = 0;
    std::uint64_t held_back_bytes = 0;
    std::uint64_t known_ids = 0;     // replica ids: none is retired yet …
    std::uint64_t known_ids_max = 0; // … and no more are taken
    std::int64_t digest_compared_ms = -1;
    bool digest_mismatch = false;
    std::uint64_t writers_waiting = 0;         // callers of transact, for the log to keep up
    bool disk_full = false;                    // local writes are refused until there is space
    bool clock_ahead = false;                  // a peer says that our clock is
    std::uint64_t conflicts = 0;               // that are there now …
    std::uint64_t conflicts_waiting = 0;       // … for a person
    std::uint64_t conflicts_failing = 0;       // … though a rule applies: a strategy could not say
    std::uint64_t conflicts_out_of_bounds = 0; // … for what is read is not what a rule allows
    std::uint64_t rules = 0;
    std::uint64_t rules_version = 0; // 0: there are none
    std::uint64_t audit_bytes = 0;
    std::vector<peer_status> peers;
};

} // namespace weft
