#pragma once
#include "tests/sim/host.hpp"

#include <initializer_list>
#include <map>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

// What must hold, checked from outside: by what went over the network, by what lies in the logs, and
// by what callers were promised. Each says in sentences what is wrong.
namespace weft::sim {

using problems = std::vector<std::string>;
using hosts = std::vector<std::unique_ptr<host>>;

// No dot has two contents, in any log and on any link. Keeps all runs that it was shown.
class dot_checker {
public:
    // `where` it was seen: parts of a text, put together only if there is something to say.
    void on_run(std::initializer_list<std::string_view> where, byte_view run);
    [[nodiscard]] const problems& found() const { return found_; }

    struct known_run {
        std::uint64_t end = 0;
        run_hash hash{};
        std::string where;
        bytes content;
    };
    using known_runs = std::map<replica_id, std::map<std::uint64_t, known_run>>; // by first counter
    [[nodiscard]] const known_runs& runs() const { return runs_; }

private:
    known_runs runs_;
    problems found_;
};

// What each host told others to be durable there, in acknowledgements that arrived.
class durability_checker {
public:
    void on_ack(const std::string& from, std::span<const version_vector::entry> durable);
    // Its disk was taken away. What it said before may still be under way, so from now on none of it counts.
    void forget(const std::string& host) { told_[host].reset(); }
    // All of it is there when it starts, whatever ended it.
    [[nodiscard]] problems check(const host& started) const;

private:
    std::map<std::string, std::optional<version_vector>> told_;
};

// A log is a linear extension of causality, each origin's chain of hashes is whole, its stamps rise, and,
// if no clock was too far ahead to be followed, they are above those of what it had seen. What `floor`
// covers may be missing.
[[nodiscard]] problems check_log_order(const std::string& name, std::span<const bytes> log,
                                       const version_vector& floor, bool near_clocks);

// What a caller was promised, until the end of the world.
struct promise {
    std::string host;
    dot first;
    std::uint64_t end = 0;
    hlc stamp; // tells the change from another under the same dots
    ack_level level;
    bool void_now = false;         // the disks that it stood on were taken away
    std::size_t losses_before = 0; // of disks in that world, when the change was made
};

// Every acknowledged change is everywhere, and is what it was. All hosts are up and quiet.
[[nodiscard]] problems check_promises(const hosts& all, std::span<const promise> given,
                                      const dot_checker& seen);

// What `one` acknowledged at `disk` is there as soon as it starts, without any help.
[[nodiscard]] problems check_kept(const host& one, std::span<const promise> given);

// Every configured peer is active, and none lags.
[[nodiscard]] bool all_active(const hosts& all);

// Equal vectors, digests that are what the state makes them; the invariants of each. All hosts
// are up and quiet.
[[nodiscard]] problems check_equal(const hosts& all);

// All replicas read what the reference model makes of the operations that their vectors cover. The hosts
// are up and equal.
[[nodiscard]] problems check_reference(const hosts& all, const dot_checker& seen);

// All replicas have the same conflicts, with equal siblings and decisions, and they are those that their
// state holds. The hosts are up and equal.
[[nodiscard]] problems check_conflicts(const hosts& all);

// `trail`, all of it, holds what `one` decided about each conflict that is there.
[[nodiscard]] problems check_decisions(const host& one, std::span<const audit_entry> trail);

// Subscribers were told of each change once, in log order, from where the process started.
[[nodiscard]] problems check_subscriptions(const host& one, const host::kept_runs& log);

// Nobody reported what must not happen; two lived under one name or id only if there was a clone.
[[nodiscard]] problems check_reports(const hosts& all, bool cloned = false);

} // namespace weft::sim
