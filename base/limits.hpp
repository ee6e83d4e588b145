#pragma once
#include <cstddef>
#include <cstdint>

// Every bound of weft. Bounds on keys, values and depth bind single operations where a caller makes
// them; a join of legal operations is always legal.
namespace weft::limits {

// One operation, at the writer.
inline constexpr std::size_t key_bytes_max = 1024;
inline constexpr std::size_t field_bytes_max = 1024;
inline constexpr std::size_t value_bytes_max = 1U << 20U; // 1 MiB
inline constexpr std::size_t map_depth_max = 16;          // maps below the top-level one
inline constexpr std::size_t name_bytes_max = 64;         // member, cluster and region names

// One transaction.
inline constexpr std::size_t change_operations_max = 100'000;
inline constexpr std::size_t change_bytes_max = 8U << 20U;

// One run: closed at the first of these, but always holds at least one change.
inline constexpr std::size_t run_bytes_target = 256U << 10U;
inline constexpr std::uint64_t run_operations_target = 65'536;
inline constexpr std::uint64_t run_operations_max = 200'000;
inline constexpr std::size_t run_bytes_max = 16U << 20U; // encoded or decoded

// Frames and messages.
inline constexpr std::size_t frame_header_bytes = 8;
inline constexpr std::size_t frame_bytes_max = 20U << 20U; // body
inline constexpr std::size_t batch_bytes_target = 256U << 10U;
inline constexpr std::uint64_t message_words_max = frame_bytes_max / 8 + 1024; // traversal limit
inline constexpr int message_nesting_max = 16;
inline constexpr std::uint32_t message_segments_max = 64;
inline constexpr std::size_t vector_entries_max = 65'536; // replica ids in one vector

// Sessions.
inline constexpr std::size_t peers_max = 1'000;        // sessions at once, dialed and accepted
inline constexpr std::size_t credit_bytes = 4U << 20U; // sent and not yet taken by the peer
inline constexpr std::size_t link_queue_bytes_max = 2 * credit_bytes + frame_bytes_max;
inline constexpr std::size_t held_back_runs_max = 100'000;
inline constexpr std::size_t log_tail_bytes_max = 32U << 20U; // newest runs, kept in memory
inline constexpr std::uint32_t handshake_ms_max = 5'000;
inline constexpr std::uint32_t stall_ms_max =
    30'000; // of a peer that takes nothing of what it was sent
// A frame that comes more slowly is given up, so that none holds its place in the budget for ever.
inline constexpr std::size_t link_bytes_per_s_min = 32U << 10U;
constexpr std::int64_t frame_ms_max(std::size_t frame_bytes) {
    return stall_ms_max + static_cast<std::int64_t>(frame_bytes * 1'000 / link_bytes_per_s_min);
}
// Where what arrives is at its budget: what every link may hold of a frame all the same, and how long the one
// that alone goes on reading may keep the others waiting.
inline constexpr std::size_t link_arriving_bytes_min = 16U << 10U;
inline constexpr std::uint32_t favored_ms_max = 10'000;
inline constexpr std::uint32_t heartbeat_ms = 1'000;
inline constexpr std::uint32_t silence_ms_max = 5'000; // then a link counts as lost
inline constexpr std::uint32_t backoff_ms_min = 50;
inline constexpr std::uint32_t backoff_ms_max = 5'000;
// What was applied and what is durable is acknowledged to everybody after this, or when enough credit can be
// returned; and at once for so long after a peer said that somebody there waits for it.
inline constexpr std::uint32_t ack_delay_ms = 250;
inline constexpr std::uint32_t ack_at_once_ms = 1'000;
inline constexpr std::uint32_t repair_ms = 300; // a missing cause is asked for again
// Checks of two states: at once, each with a copy of the state; how long one may take, or wait for its turn;
// how often one is begun because heartbeats showed a mismatch. Where they differ: parts compared at once,
// and messages of the search.
inline constexpr std::size_t checks_max = 4;
inline constexpr std::uint32_t check_ms_max = 60'000;
inline constexpr std::uint32_t mismatch_check_ms = 10'000;
inline constexpr std::size_t digest_ranges_max = 16;
inline constexpr unsigned digest_narrow_steps_max = 64;

// Conflicts: what a resolver is given. More, and it waits for a person.
inline constexpr std::size_t siblings_max = 1'000;
inline constexpr std::size_t sibling_bytes_max = 8U << 20U;
inline constexpr std::size_t strategies_max = 16;             // in a chain
inline constexpr std::size_t strategy_says_bytes_max = 1'024; // of why it could not
inline constexpr std::size_t rules_max = 1'000;
inline constexpr std::size_t who_bytes_max = 256; // of who settled a conflict
// The audit trail: larger values are kept as their hash, and what is old or too much goes, by segments.
inline constexpr std::size_t audit_value_bytes_max = 256;
inline constexpr std::size_t audit_siblings_max = 64; // kept with an entry; the others are counted
inline constexpr std::size_t audit_entry_bytes_max = 1U << 20U;
inline constexpr std::size_t audit_segment_bytes = 1U << 20U;
inline constexpr std::uint64_t audit_bytes_max = 64U << 20U; // what a replica starts with
inline constexpr std::uint64_t audit_age_ms_max = 90ULL * 24 * 3'600'000;
// The least that can be asked for: two segments; and an age that the steps below divide well.
inline constexpr std::uint64_t audit_bytes_min = 2 * audit_segment_bytes;
inline constexpr std::uint64_t audit_age_ms_min = 3'600'000;
inline constexpr std::uint64_t audit_segments_an_age = 8; // at least, where there are entries
inline constexpr std::uint64_t audit_look_ms = 600'000;   // what is too old is looked for so often
static_assert(audit_look_ms < audit_age_ms_min && audit_age_ms_min <= audit_age_ms_max &&
              audit_bytes_min <= audit_bytes_max);
inline constexpr std::size_t audit_page_entries = 1'000; // in one answer
inline constexpr std::size_t audit_waiting_max = 10'000; // in memory, for a disk that takes nothing
inline constexpr std::int64_t strategy_ms_slow = 20;     // reported, once in …
inline constexpr std::int64_t strategy_slow_said_ms = 600'000;

// Clocks.
inline constexpr std::uint64_t clock_drift_ms_max = 60'000;
inline constexpr std::uint64_t clock_ceiling_ms = 5'000;      // persisted ahead of use …
inline constexpr std::uint64_t clock_ceiling_left_ms = 1'000; // … and the next when so much is left

// The log.
inline constexpr std::size_t segment_bytes_target = 64U << 20U;
inline constexpr std::uint32_t sync_interval_ms = 20;         // sync policy `interval`
inline constexpr std::uint32_t lazy_sync_interval_ms = 5'000; // sync policy `none`

// Snapshots.
inline constexpr std::size_t snapshot_chunk_bytes = 256U << 10U; // of objects, before compression
inline constexpr std::size_t snapshots_kept = 2;           // the newest, and one to fall back on
inline constexpr std::uint32_t snapshot_retry_ms = 60'000; // after one that failed
inline constexpr std::uint32_t log_cut_ms = 1'000; // how often to look what of the log may go
// After a start the log waits so long for members that wrote once and have not come yet.
inline constexpr std::int64_t members_return_ms = 600'000;
// State transfer: bytes asked for ahead of what came; a transfer that does not move for so long is asked
// for elsewhere, and a snapshot that nobody asked for that long is not kept for it.
inline constexpr std::uint64_t transfer_window_bytes = 4U << 20U;
inline constexpr std::size_t transfer_chunk_bytes = 32U << 10U; // so that slow links stay alive
inline constexpr std::uint32_t transfer_stall_ms = 10'000;
// A snapshot that was sent, and the log after it, wait so long for the peer to join it …
inline constexpr std::int64_t transfer_pin_ms_max = 600'000;
// … and one that was being sent when the link was lost waits so long for the peer to come back for the rest.
inline constexpr std::int64_t transfer_return_ms_max = 600'000;
// A replica that lost the end of its log gives its state to who has that end only once nothing came from
// there for so long.
inline constexpr std::int64_t lost_end_wait_ms = 30'000;
// A peer whose state was no good is not asked again for so long.
inline constexpr std::int64_t bad_state_ms = 60'000;
// What a replica starts with; the application may choose others.
inline constexpr std::uint64_t snapshot_log_bytes = 128U << 20U;
inline constexpr std::uint64_t snapshot_interval_ms = 3'600'000;
inline constexpr std::uint64_t log_bytes_max = std::uint64_t{1} << 30U;

// Subscriptions and callers.
inline constexpr std::size_t waiters_max = 1'000'000;
inline constexpr std::size_t unlogged_bytes_max = 10U
                                                  << 20U; // then transactions wait for the log …
// … and on the loop, where none may wait for it, they are refused.
inline constexpr std::size_t unlogged_on_loop_bytes_max = 2 * unlogged_bytes_max;
inline constexpr std::size_t subscriptions_max = 10'000;
// Of the keys that a peer's state changed, subscribers are told so many at once, and so often.
inline constexpr std::size_t state_keys_told_max = 1'000;
inline constexpr std::int64_t state_keys_ms = 10;

// The memory budget for all that is on its way: what a replica starts with, and the least that lets a
// frame, a run and a transaction of every legal size pass. The newest runs of the log have theirs, and five
// others an equal share of the rest: a share that is full never takes from what another needs to go on.
inline constexpr std::uint64_t buffer_bytes_max = 352U << 20U;
inline constexpr std::uint64_t buffer_bytes_min = 160U << 20U;
constexpr std::size_t buffer_share(std::uint64_t of_bytes) {
    return static_cast<std::size_t>((of_bytes - log_tail_bytes_max) / 5);
}

// The node's HTTP interface.
inline constexpr std::size_t http_connections_max = 64;
inline constexpr std::size_t http_header_bytes_max = 16U << 10U;
inline constexpr std::size_t http_body_bytes_max = change_bytes_max; // a body is one transaction
inline constexpr std::uint32_t http_idle_ms_max = 60'000;            // then a connection is closed
inline constexpr std::uint32_t http_silence_ms_max = 5'000;          // before its first request
inline constexpr std::uint32_t http_stall_ms_max = 10'000; // of a watcher that takes nothing
inline constexpr std::size_t http_keys_max = 100'000;      // in one answer
inline constexpr std::size_t http_keys_bytes_max = 4U << 20U;
inline constexpr std::size_t http_large_body_bytes = 64U << 10U;   // these wait for each other
inline constexpr std::size_t http_large_answer_bytes = 64U << 10U; // these share a budget
inline constexpr std::size_t http_answer_bytes_max = 8U << 20U;    // of one object
inline constexpr std::size_t watch_bytes_max = 8U << 20U;          // told and not yet taken
inline constexpr std::size_t watch_slice_bytes = 64U << 10U;       // made text of at once
inline constexpr std::size_t import_line_bytes_max = 4U << 20U;

// The state budget that a replica starts with; the application may choose another.
inline constexpr std::uint64_t state_bytes_max = 8ULL << 30U;

static_assert(change_bytes_max <= run_bytes_max);
static_assert(value_bytes_max + key_bytes_max + map_depth_max * field_bytes_max < change_bytes_max);
static_assert(run_bytes_target + change_bytes_max <= run_bytes_max);
static_assert(run_operations_target + change_operations_max <= run_operations_max);
static_assert(run_bytes_max + (1U << 20U) < frame_bytes_max, "a run fits one frame");
static_assert(credit_bytes >= 4 * batch_bytes_target);
static_assert(heartbeat_ms * 3 < silence_ms_max, "three lost heartbeats, then the link");
static_assert(clock_ceiling_ms < clock_drift_ms_max, "a restarted clock stays inside the bound");
static_assert(clock_ceiling_left_ms < clock_ceiling_ms);
static_assert(message_nesting_max < 64);
static_assert(unlogged_bytes_max >= change_bytes_max + run_bytes_target);
static_assert(unlogged_on_loop_bytes_max + change_bytes_max <= log_tail_bytes_max,
              "all of it is sent from memory");
static_assert(import_line_bytes_max < http_body_bytes_max);
static_assert(buffer_share(buffer_bytes_min) > frame_bytes_max + frame_header_bytes);
static_assert(buffer_share(buffer_bytes_min) > peers_max * link_arriving_bytes_min);
static_assert(favored_ms_max < stall_ms_max, "or who waits for it counts as stalled");
// Of the share of HTTP a third each: bodies, answers, watchers.
static_assert(buffer_share(buffer_bytes_min) / 3 >= http_body_bytes_max);
static_assert(buffer_share(buffer_bytes_min) / 3 >= http_answer_bytes_max);
static_assert(buffer_share(buffer_bytes_min) / 3 >= watch_bytes_max);

} // namespace weft::limits
