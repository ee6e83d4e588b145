#pragma once
#include "tests/sim/cluster.hpp"
#include "tests/sim/workload.hpp"

#include <memory>
#include <optional>
#include <string>

namespace weft::sim {

struct world_options {
    std::uint64_t seed = 1;
    std::size_t replicas = 5;
    std::int64_t fault_ms = 0; // of virtual time, before all is healed; 0: drawn too
    bool print = false;
};

// A cluster whose shape, load and faults are drawn from a seed. First everything goes wrong that
// can; then all is healed, and then it must become whole: nothing acknowledged lost, all equal.
class world {
public:
    explicit world(world_options options);

    // What was drawn, one line each.
    [[nodiscard]] std::string describe() const;

    void run_with_faults(std::int64_t ms);
    void heal();
    // Until all replicas are equal and nobody waits for an acknowledgement.
    void run_until_quiet();
    // Then each replica writes once more and is acknowledged, and starts again from its log.
    void check();

    // All of the above.
    void run();

    [[nodiscard]] bool converged() const { return problems_.empty(); }
    [[nodiscard]] const problems& found() const { return problems_; }
    [[nodiscard]] std::uint64_t trace_hash() const { return cluster_.trace_hash(); }
    [[nodiscard]] std::string summary() const;

private:
    enum class shape : std::uint8_t { mesh, one_way_mesh, line, star, ring, tree };
    struct drawn {
        sim_network_options network;
        shape links{};
        std::int64_t fault_ms = 0;
        std::int64_t write_gap_us = 0; // between transactions, on average
        std::int64_t fault_gap_ms = 0; // between faults, on average; 0: none
        bool clock_far_ahead = false;  // of one host, beyond the drift bound
        bool loses_a_disk = false;     // one host, once
        bool heavy = false;            // large values, uncompressed
        std::int64_t sync_ms_max = 0;
        std::uint64_t snapshot_log_bytes = 0, snapshot_interval_ms = 0;
        std::uint64_t segment_bytes = 0, log_bytes_max = limits::log_bytes_max;
        workload_options load;
        // How likely a fault is which.
        std::uint64_t kill = 0, power_cut = 0, stop = 0, disk_fails = 0, pause = 0, partition = 0,
                      cut = 0, command = 0, clock = 0;
    };
    struct waiting {
        std::size_t host = 0;
        std::uint64_t life = 0;
        bool answered = false;
        result<void> outcome;
    };
    struct machine {            // beside its host
        std::uint64_t life = 0; // processes so far
        bool restart_planned = false;
    };

    static drawn draw(random_generator& random, const world_options& options);
    void build();
    void write();
    void write_at(std::size_t index, ack_level level, std::int64_t timeout_ms,
                  std::optional<commit> made);
    void fault();
    void tend(); // failed disks kill their process
    void take_down(std::size_t index, bool power_lost);
    void plan_start(std::size_t index, std::int64_t after_ms);
    void start(std::size_t index);
    void lose_disk(std::size_t index);
    void partition();
    void command(std::size_t index);
    [[nodiscard]] std::optional<std::size_t> pick_active();
    [[nodiscard]] bool settled() const;
    [[nodiscard]] ack_level reachable_level(const host& one);
    void note(const std::string& what) const;
    void problem(std::string what) { problems_.push_back(std::move(what)); }

    world_options options_;
    random_generator random_;
    drawn drawn_;
    cluster cluster_;
    workload load_;
    std::vector<machine> machines_;
    std::vector<replica_id> ids_; // all that a replica ever had
    std::vector<std::shared_ptr<waiting>> waits_;
    std::vector<promise> promises_;
    std::unique_ptr<sim_directory> old_copy_; // of the disk that will be lost
    std::optional<std::size_t> old_copy_of_;
    problems problems_;
    std::uint64_t faults_[9] = {};
    std::uint64_t transactions_ = 0;
    bool healed_ = false;
};

} // namespace weft::sim
