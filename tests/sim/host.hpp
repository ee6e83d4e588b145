#pragma once
#include "recovery/repair.hpp"
#include "replica/replica.hpp"
#include "tests/sim/disk.hpp"
#include "tests/sim/network.hpp"
#include "tests/sim/time.hpp"

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

namespace weft::sim {

// A running hash of all that happens, so that two runs of one seed can be compared.
class trace {
public:
    void add(std::uint64_t number);
    void add(byte_view data);
    [[nodiscard]] std::uint64_t hash() const { return hash_; }

private:
    std::uint64_t hash_ = 0;
};

// What all machines of a world share.
struct surroundings {
    sim_timeline& all;
    sim_network& net;
    random_generator& random;
    trace& happened;
    bool print = false; // every event
};

// What a change looked like to a subscriber of everything.
struct seen_change {
    dot first;
    hlc stamp;
    bool local = false;
};

// One machine with a disk, on which a replica runs, dies and starts again: production code above the
// doors. Everything outside a process (its directory, its clock's error) outlives it.
class host {
public:
    // `machine` is its name in the network, which need not be the member's.
    host(surroundings& around, std::string machine, replica_options options);
    ~host();
    host(const host&) = delete;
    host& operator=(const host&) = delete;

    result<void> start();
    result<void> stop();                                // a clean stop
    result<repair_report> repair(bool dry_run = false); // while nothing runs
    void kill(bool power_lost);                         // never from inside one of its own tasks

    void pause();
    void resume();
    [[nodiscard]] bool up() const { return process_ != nullptr; }
    [[nodiscard]] bool paused() const;
    [[nodiscard]] bool active() const { return up() && !paused() && !failed_; }

    [[nodiscard]] replica& operator*() const;
    [[nodiscard]] replica* operator->() const { return &**this; }

    [[nodiscard]] const std::string& name() const { return machine_; }
    [[nodiscard]] replica_options& options() { return options_; } // for the next start
    [[nodiscard]] const replica_options& options() const { return options_; }
    [[nodiscard]] sim_directory& directory() { return *directory_; }
    // Puts another disk in its place; the process is not up.
    void replace_directory(std::unique_ptr<sim_directory> other);
    void set_skew_ms(std::int64_t skew_ms);
    void set_drift_ppm(std::int64_t drift_ppm) { drift_ppm_ = drift_ppm; } // from the next start
    void set_disk_fault(std::optional<sim_fault> fault);
    [[nodiscard]] bool disk_fault() const { return disk_fault_; }
    void set_sync_ms(std::int64_t least, std::int64_t most) { // of each sync that is waited for
        sync_ms_min_ = least;
        sync_ms_max_ = most;
    }

    [[nodiscard]] version_vector applied() const;
    [[nodiscard]] version_vector durable() const; // as it believes
    [[nodiscard]] state_digest digest() const;
    void check_invariants() const;
    // The runs of its log from the first on, in order, with those that it dropped since; also while nothing
    // runs. Changes nothing.
    struct kept_runs {
        std::uint64_t first = 0; // index of the first of them
        std::vector<bytes> all;
    };
    [[nodiscard]] result<kept_runs> read_log();

    // All that its processes reported, in order.
    [[nodiscard]] const std::vector<log_event>& events() const { return events_; }
    [[nodiscard]] std::size_t count(std::string_view what) const;
    std::function<void(const log_event&)> on_event;       // called for each, from inside its tasks
    [[nodiscard]] bool failed() const { return failed_; } // its disk failed: kill it

    // Of the process that is up: where its log stood when it started, and what subscribers were told of,
    // change by change.
    [[nodiscard]] std::uint64_t runs_at_start() const { return runs_at_start_; }
    [[nodiscard]] const std::vector<seen_change>& seen() const { return seen_; }

private:
    struct process;

    surroundings& around_;
    std::string machine_;
    replica_options options_;
    random_generator random_;
    std::unique_ptr<sim_directory> directory_;
    std::unique_ptr<process> process_;
    std::vector<log_event> events_;
    std::vector<seen_change> seen_;
    std::uint64_t runs_at_start_ = 0;
    std::int64_t skew_ms_ = 0;
    std::int64_t drift_ppm_ = 0;
    std::int64_t sync_ms_min_ = 0;
    std::int64_t sync_ms_max_ = 3;
    bool failed_ = false;
    bool disk_fault_ = false;
};

[[nodiscard]] directory_facts fresh_facts(std::uint64_t inode);

} // namespace weft::sim
