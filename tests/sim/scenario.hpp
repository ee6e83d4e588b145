#pragma once
#include "base/limits.hpp"
#include "tests/sim/network.hpp"
#include "tests/sim/workload.hpp"

#include <array>
#include <cstdint>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <vector>

namespace weft::sim {

// What a command line says of a world. Everything else is drawn from the seed.
struct world_options {
    std::uint64_t seed = 1;
    std::size_t replicas = 5;
    std::int64_t fault_ms = 0; // of virtual time, before all is healed; 0: drawn too
    bool print = false;
    std::optional<std::set<std::size_t>> events =
        {};                 // only these fault events, by number; else all
    bool disks_lie = false; // say that they synced and did not: a fault that must be found
    bool conflicts = false; // rules of every strategy, and people who settle what waits

    bool operator==(const world_options&) const = default;
};

// "3,7-9" or "none"; nothing if it is neither. And back.
[[nodiscard]] std::optional<std::set<std::size_t>> parse_events(std::string_view text);
[[nodiscard]] std::string tell_events(const std::set<std::size_t>& events);
// The words that give these options to `./dev sim`.
[[nodiscard]] std::string command_line(const world_options& options);

enum class fault_kind : std::uint8_t {
    kill,
    power_cut,
    stop,
    io_error,   // of the disk, lasting; the process ends, and starts again with a disk that works
    sync_fails, // the next sync, and all after it
    disk_full,  // for a while
    bit_rot,    // a byte of a file flips while nothing runs
    pause,      // up to a minute
    wipe,       // the directory is empty, the name stays
    rollback,   // an older copy of the directory is there, as a restore makes it
    rollback_in_place, // the same, by a file system that gives every file its old identity back
    clone,             // a running directory is copied with its disk, and started beside it
    partition,
    one_way, // a partition of one direction between two
    half_open,
    slow_link,
    flapping,
    cut,
    late_close, // one side is told at once, the other after what was under way came late
    command,    // an operator pauses a peer
    clock_jump, // both ways, of a machine that may be down
    cut_at_news, // a power cut just after what it has on disk became another: a state, a snapshot, an id
};
inline constexpr std::array<std::string_view, 22> fault_names = {
    "kill",       "power cut", "stop",       "I/O error",  "failed sync",       "disk full",
    "bit rot",    "pause",     "wipe",       "rollback",   "rollback in place", "clone",
    "partition",  "one way",   "half-open",  "slow link",  "flapping",          "cut",
    "late close", "command",   "clock jump", "cut at news"};
inline constexpr std::size_t fault_kinds = fault_names.size();

// One thing that goes wrong, all of it drawn beforehand: to leave another out changes nothing here.
struct fault_event {
    std::size_t number = 0;
    std::int64_t at_ms = 0;
    fault_kind kind{};
    std::size_t host = 0, other = 0; // of so many replicas as there are
    std::int64_t for_ms = 0;
    std::uint64_t seed = 0; // of what else it draws
};

enum class shape : std::uint8_t { mesh, one_way_mesh, line, star, ring, tree };

// What a seed makes of a world: its options, and the list of all that will go wrong.
struct scenario {
    sim_network_options network;
    shape links{};
    std::int64_t fault_ms = 0;
    std::int64_t write_gap_us = 0;  // between transactions, on average
    std::int64_t fault_gap_ms = 0;  // between faults, on average; 0: none
    std::int64_t skew_ms_max = 0;   // of a clock, either way
    std::int64_t drift_ppm_max = 0; // likewise
    bool heavy = false;             // large values, uncompressed
    std::int64_t sync_ms_max = 0;
    std::uint64_t snapshot_log_bytes = 0, snapshot_interval_ms = 0;
    std::uint64_t segment_bytes = 0, log_bytes_max = limits::log_bytes_max;
    workload_options load;
    std::array<std::uint64_t, fault_kinds> weights{}; // how likely a fault is which
    std::vector<fault_event> events;
    std::uint64_t build_seed = 0, load_seed = 0, run_seed = 0, cluster_seed = 0;

    // It depends on nothing but the seed, the replicas and for how long there are faults.
    [[nodiscard]] static scenario draw(const world_options& options);
    // One line each; the events only if asked for.
    [[nodiscard]] std::string describe(const world_options& options) const;
    [[nodiscard]] std::string tell(const fault_event& event, std::size_t replicas) const;
};

[[nodiscard]] std::string host_name(std::size_t index);

} // namespace weft::sim
