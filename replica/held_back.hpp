#pragma once
#include "base/env.hpp"
#include "replica/change_codec.hpp"

#include <functional>
#include <map>
#include <vector>

namespace weft {

// Runs whose causes are missing, within a bound of bytes and of runs. What does not fit is not taken.
class held_back {
public:
    explicit held_back(std::size_t bytes_max) : bytes_max_(bytes_max) {}

    struct waiting {
        shared_bytes run;
        session_id from{};
        instant since;
        dot missing; // a cause that was not there when it was last looked at
    };

    // False if it would not fit; true also if that run waits here already, which then counts as come from
    // there.
    [[nodiscard]] bool add(const run_header& header, waiting one);

    // The next candidate of each origin: the waiting run that starts lowest.
    [[nodiscard]] std::vector<std::pair<replica_id, std::uint64_t>> heads() const;
    [[nodiscard]] const waiting* find(replica_id origin, std::uint64_t first) const;
    void wait_for(replica_id origin, std::uint64_t first, dot missing);
    void remove(replica_id origin, std::uint64_t first);
    // Drops what `applied` covers by now.
    void drop_covered(replica_id origin, std::uint64_t applied);

    // Drops what came over links that `is_gone` says are gone, and is as old as that: who still has it
    // sends it again, and perhaps nobody has its causes any more.
    void drop_orphans(const std::function<bool(session_id)>& is_gone, instant since_before);

    [[nodiscard]] bool waits_for(session_id from,
                                 instant since_before) const; // anything as old as that
    [[nodiscard]] std::size_t runs() const { return runs_; }
    [[nodiscard]] std::size_t bytes() const { return bytes_; }

private:
    std::map<replica_id, std::map<std::uint64_t, waiting>> by_origin_;
    std::size_t bytes_max_;
    std::size_t runs_ = 0;
    std::size_t bytes_ = 0;
};

} // namespace weft
