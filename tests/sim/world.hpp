#pragma once
#include "tests/sim/cluster.hpp"
#include "tests/sim/scenario.hpp"

#include <functional>
#include <memory>
#include <optional>
#include <string>

namespace weft::sim {

// A cluster whose shape, load and faults are drawn from a seed. First everything goes wrong that
// can; then all is healed, and then it must become whole within a minute of virtual time: nothing
// acknowledged lost, all equal.
class world {
public:
    explicit world(world_options options);

    // What was drawn, one line each.
    [[nodiscard]] std::string describe() const;

    void run_with_faults();
    void heal();
    // Until all replicas are equal and nobody waits for an acknowledgement.
    void run_until_quiet();
    // Then each replica writes once more and is acknowledged, and starts again from its log.
    void check();

    // All of the above.
    void run();

    [[nodiscard]] bool converged() const { return problems_.empty(); }
    [[nodiscard]] const problems& found() const { return problems_; }
    [[nodiscard]] const scenario& drawn() const { return drawn_; }
    [[nodiscard]] std::uint64_t trace_hash() const { return cluster_.trace_hash(); }
    [[nodiscard]] std::string summary() const;
    [[nodiscard]] std::int64_t virtual_ms() const { return cluster_.now_ms(); }

    // How often in the faulty phase, once a virtual second, a live replica took a local write;
    // apart from those
    // whose disk was full. `tried` must be `taken`.
    struct availability {
        std::uint64_t tried = 0, taken = 0, disk_full = 0;
    };
    [[nodiscard]] const availability& available() const { return available_; }

private:
    struct waiting {
        std::size_t host = 0;
        std::uint64_t life = 0;
        bool answered = false;
        result<void> outcome;
    };
    struct machine {            // beside its host
        std::uint64_t life = 0; // processes so far
        bool restart_planned = false;
        bool disk_full = false;
        instant full_until; // and the time to find that out
        // It was put back and does not know: what it wrote now could be under dots that were used before.
        bool mute = false;
        std::string rotten;                 // the file in which a byte flipped
        std::optional<fault_event> at_news; // a power cut that waits for its moment
        std::unique_ptr<host> clone;
    };

    void build();
    void write();
    void write_at(std::size_t index, ack_level level, std::int64_t timeout_ms,
                  std::optional<commit> made);
    void check_members(const promise& given);
    void check_trails();
    void try_writes();
    void compare(std::size_t index);
    void compare_all();
    void expect_equal(host& one, const std::string& peer, const std::shared_ptr<int>& open);
    void after_ms(std::int64_t ms, std::function<void()> then);
    void tend(); // failed disks kill their process
    void start(std::size_t index);
    void plan_start(std::size_t index, std::int64_t after_ms);
    void on_news(std::size_t index, const log_event& event);
    void take_down(std::size_t index, bool power_lost, std::int64_t start_after_ms,
                   random_generator& random);

    // Faults.
    void perform(const fault_event& event);
    void fail_disk(std::size_t index, std::optional<sim_fault> fault);
    void fill_disk(std::size_t index, std::int64_t for_ms);
    void pause(std::size_t index, std::int64_t for_ms);
    void rot(std::size_t index, std::int64_t for_ms, random_generator& random);
    void mend(std::size_t index, const error& refused);
    void wipe(std::size_t index, std::int64_t for_ms, random_generator& random);
    void roll_back(std::size_t index, std::int64_t for_ms, bool in_place, random_generator& random);
    void clone(std::size_t index, std::int64_t for_ms);
    void end_clone(std::size_t index);
    void partition(const fault_event& event, random_generator& random);
    void block(const std::string& from, const std::string& to, sim_partition how,
               std::int64_t for_ms);
    void flap(const std::string& a, const std::string& b, instant end, std::int64_t gap_ms);
    void command(std::size_t index, std::int64_t for_ms, random_generator& random);
    void count_as_lost(
        std::size_t index); // what was promised on the strength of that disk alone is void
    // For the checkers, for it may live on elsewhere as state only: `all` of it, or what others have.
    void keep_log_of(std::size_t index, bool all);
    void find_space(std::size_t index);
    [[nodiscard]] bool is_void(const promise& given) const;

    [[nodiscard]] host& at(std::size_t index) const { return *cluster_.all()[index]; }
    [[nodiscard]] std::optional<std::size_t> pick_writer();
    [[nodiscard]] bool settled() const;
    [[nodiscard]] bool check_fork();
    [[nodiscard]] ack_level reachable_level(const host& one);
    void note(const std::string& what) const;
    void problem(std::string what) { problems_.push_back(std::move(what)); }

    world_options options_;
    scenario drawn_;
    random_generator random_;
    cluster cluster_;
    workload load_;
    std::vector<machine> machines_;
    std::vector<replica_id> ids_; // all that a replica ever had
    std::vector<std::shared_ptr<waiting>> waits_;
    std::vector<promise> promises_;
    std::vector<std::size_t> losses_; // of disks: whose
    problems problems_;
    std::array<std::uint64_t, fault_kinds> faults_{}; // performed
    availability available_;
    std::uint64_t transactions_ = 0;
    std::uint64_t compared_ = 0;                // states of two, while others wrote
    std::int64_t healed_ms_ = 0, equal_ms_ = 0; // when
    bool cloned_ = false;                       // two lived under one name or id
    bool may_fork_ = false;                     // one was put back, and could not know
    bool wrote_unaware_ = false;                // and wrote before it had met the others
    bool forked_ = false;
};

} // namespace weft::sim
