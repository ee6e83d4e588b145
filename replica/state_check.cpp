#include "replica/state_check.hpp"

#include "base/check.hpp"

namespace weft {

std::vector<version_vector::entry> state_check::meet(const version_vector& theirs_applied) {
    version_vector mine = copy.header.vector();
    point = mine;
    point->join(theirs_applied);
    point_hash = hash_of_vector(*point);
    auto lacked = point->above(mine);
    behind = lacked.size();
    return lacked;
}

// Both vectors are causally closed, so their join is: what a run up to there depends on is up to there, too,
// and before it in the log.
result<void> state_check::take(const shared_bytes& run) {
    auto header = read_run_header(run.view);
    WEFT_CHECK(header.has_value());
    cursor = next(cursor);
    std::uint64_t last = header->end - 1;
    std::uint64_t wanted = point->at(header->origin);
    if (last > wanted) return {};
    if (auto added = apply_run(copy, *header, run); !added) return added;
    if (last == wanted) --behind;
    return {};
}

} // namespace weft
