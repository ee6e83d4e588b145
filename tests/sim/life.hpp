#pragma once
#include "tests/sim/cluster.hpp"

#include <map>
#include <string>

namespace weft::sim {

// A scripted life of replica `a`, with `b` beside it, that does everything that touches a disk: starts,
// writes, segments that fill and are dropped, snapshots, a kill, a power cut, a clean stop, a new region and
// so a new id, and a state that is fetched from `b` and joined. What fails on the way is taken as it comes,
// and the next thing is done.
class life : public cluster {
public:
    life(std::uint64_t seed, sync_policy sync);

    void run();
    // Mends what the script left broken, and lets the two become equal.
    void settle();

    [[nodiscard]] host& a() { return a_; }
    [[nodiscard]] host& b() { return b_; }

    // What the disk of `a` was said to hold, what it may hold, and what of it `b` has: changes of `a` that
    // left it.
    [[nodiscard]] const version_vector& acknowledged() const { return acknowledged_; }
    [[nodiscard]] const version_vector& attempted() const { return attempted_; }
    [[nodiscard]] version_vector left();

    // What is wrong with a replica that was opened from the disk of `a` as it was at some moment since those
    // were `acknowledged` and `left`, when `a` had that id.
    [[nodiscard]] problems compare(host& recovered, const version_vector& acknowledged,
                                   const version_vector& left, replica_id id) const;

private:
    void start(host& one);
    void tend(); // a replica whose disk failed stops, and starts again
    void write(host& where, int changes, std::int64_t gap_ms);
    void snapshot(host& of);
    void wait(const std::function<bool()>& reached, std::int64_t ms_max);

    host& a_;
    host& b_;
    version_vector acknowledged_;
    version_vector attempted_;
    version_vector left_;
    std::size_t changes_ = 0;                                      // tried
    std::map<dot, std::pair<std::uint64_t, std::string>> written_; // first dot -> end, element
};

} // namespace weft::sim
