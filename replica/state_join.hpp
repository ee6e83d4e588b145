#pragma once
#include "replica/state_image.hpp"

#include <string>
#include <vector>

namespace weft {

// Joins two states of one cluster, each under the version vector that it stands at: what a state transfer
// does with the state that came. A dot stays if both sides hold it, or if one does and the other has not seen
// it; so what was removed on one side stays removed, and what only one side knows survives.
//
//   cost    one pass over both, top-level object by top-level object, in as many steps as the caller likes;
//           memory of the result
//   source  Almeida, Shoker, Baquero, "Delta state replicated data types", JPDC 2018, section 7
class state_join {
public:
    struct side {
        keyspace objects;
        version_vector seen;
    };
    state_join(side mine, side theirs);
    state_join(const state_join&) = delete; // its places point into its own states
    state_join& operator=(const state_join&) = delete;
    ~state_join() = default;

    [[nodiscard]] bool done() const { return mine_at_ == mine_end_ && theirs_at_ == theirs_end_; }
    void step(std::size_t objects); // joins that many objects, or what is left of them
    [[nodiscard]] keyspace take() { return std::move(joined_); }
    // The keys of what differs between the result so far and the state of this side, in order.
    [[nodiscard]] const std::vector<std::string>& changed() const { return changed_; }

private:
    using iterator = map_store::children_type::const_iterator;
    void join_one();

    side mine_;
    side theirs_;
    bool strangers_; // neither side has seen an origin of the other
    iterator mine_at_, mine_end_;
    iterator theirs_at_, theirs_end_;
    keyspace joined_;
    std::vector<std::string> changed_;
};

// The header of that join, but for its objects and digest: it stands at the log index of `mine`, whose log
// lacks what only `theirs` has seen, so the floor rises to that. dot_reused if both stand at one operation of
// an origin with two histories of it; over_limit if they know too many origins together.
[[nodiscard]] result<image_header> join_headers(const image_header& mine,
                                                const image_header& theirs);

[[nodiscard]] error too_many_origins();

} // namespace weft
