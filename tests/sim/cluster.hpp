#pragma once
#include "tests/sim/checkers.hpp"

#include <array>
#include <functional>
#include <string>

namespace weft::sim {

struct cluster_options {
    std::uint64_t seed = 1;
    sim_network_options network = {};
    bool print = false; // what replicas report
};

// Hosts on one network, in one thread, in virtual time; with the checkers that watch all of it.
class cluster {
public:
    explicit cluster(cluster_options options);
    ~cluster();
    cluster(const cluster&) = delete;
    cluster& operator=(const cluster&) = delete;

    // A host that listens at `sim:name` and dials `peers`, by name. Not started yet.
    host& add(const std::string& name, const std::vector<std::string>& peers,
              sync_policy sync = sync_policy::commit);
    [[nodiscard]] host& at(std::string_view name) const;
    [[nodiscard]] const hosts& all() const { return hosts_; }

    [[nodiscard]] sim_network& network() { return network_; }
    [[nodiscard]] sim_timeline& timeline() { return timeline_; }
    [[nodiscard]] const sim_timeline& timeline() const { return timeline_; }
    [[nodiscard]] random_generator& random() { return random_; }
    [[nodiscard]] surroundings& around() { return around_; } // for a machine of its own
    [[nodiscard]] dot_checker& dots() { return dots_; }
    [[nodiscard]] durability_checker& durability() { return durability_; }
    [[nodiscard]] std::int64_t now_ms() const { return timeline_.now().ms_since({}); }

    void run_ms(std::int64_t ms);
    // Until `reached`, looked at every 10 ms; false if it is not within the bound.
    bool run_until(const std::function<bool()>& reached, std::int64_t ms_max = 60'000);

    // Both ways between the two groups.
    void partition(std::span<const std::string> group, sim_partition how);
    // Every host that is up has the same vector and the same digest, and none else waits.
    [[nodiscard]] bool equal() const;
    // All that the checkers say at a quiet point; all hosts are up.
    [[nodiscard]] problems check();
    // What is wrong with the audit trail of a host that is up; nothing if it says itself that it is damaged.
    [[nodiscard]] problems check_trail(host& of);

    [[nodiscard]] std::uint64_t trace_hash() const { return trace_.hash(); }

private:
    void watch(const std::string& from, const std::string& to, byte_view body);

    random_generator random_;
    sim_timeline timeline_;
    trace trace_;
    std::array<std::uint64_t, 1024> watched_{}; // hashes of frames, each with who sent it
    sim_network network_;
    dot_checker dots_;
    durability_checker durability_;
    problems wrong_frames_;
    surroundings around_;
    hosts hosts_;
};

} // namespace weft::sim
