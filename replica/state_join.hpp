#pragma once
#include "replica/state_image.hpp"

#include <array>
#include <string>
#include <variant>
#include <vector>

namespace weft {

// Joins two states of one cluster, each under the version vector that it stands at: what a state transfer
// does with the state that came. A dot stays if both sides hold it, or if one does and the other has not seen
// it; so what was removed on one side stays removed, and what only one side knows survives.
//
//   cost    one pass over both, in steps of as many entries as the caller likes: elements of sets, fields of
//           maps, or other objects; memory of the result
//   source  Almeida, Shoker, Baquero, "Delta state replicated data types", JPDC 2018, section 7
class state_join {
public:
    struct side {
        keyspace objects;
        version_vector seen;
    };
    // Objects of more entries than `large` do not go at once.
    state_join(side mine, side theirs, std::size_t large = 1'000);
    state_join(const state_join&) = delete; // its places point into its own states
    state_join& operator=(const state_join&) = delete;
    ~state_join() = default;

    [[nodiscard]] bool done() const { return levels_.empty(); }
    void step(std::size_t entries); // joins about that many, or what is left of them
    [[nodiscard]] keyspace take() { return std::move(joined_); }
    // The two states, for who frees them; nothing else may follow.
    [[nodiscard]] std::array<keyspace, 2> take_sides() {
        levels_.clear();
        return {std::move(mine_.objects), std::move(theirs_.objects)};
    }
    // The keys of what differs between the result so far and the state of this side, in order.
    [[nodiscard]] const std::vector<std::string>& changed() const { return changed_; }

private:
    // Where the join of two ordered maps stands: at the lower of two keys, or at one that both hold.
    template <class Map, class Less>
    struct place {
        typename Map::const_iterator mine, theirs;
        bool here = false, there = false; // who holds the key that is next

        void begin(typename Map::const_iterator my_first,
                   typename Map::const_iterator their_first) {
            mine = my_first;
            theirs = their_first;
            look();
        }
        void advance() {
            if (here) ++mine;
            if (there) ++theirs;
            look();
        }
        [[nodiscard]] bool done() const { return !here && !there; }
        [[nodiscard]] const auto& key() const { return here ? mine->key : theirs->key; }

    private:
        void look() {
            typename Map::const_iterator end;
            here = mine != end && (theirs == end || !Less()(theirs->key, mine->key));
            there = theirs != end && (mine == end || !Less()(mine->key, theirs->key));
        }
    };
    struct level : place<map_store::children_type, child_less> { // a map, and its path
        path_hash path;
    };
    template <class Store>
    using elements = place<typename Store::map_type, std::less<value>>;
    using adds_place = elements<add_wins_store<value>>;
    using marks_place = elements<remove_wins_store<value>>;

    void join_next();
    void leave();
    void open(const level& at, const object* mine, const object* theirs);
    void join_whole(const level& at, const object* mine, const object* theirs);
    template <class Place>
    void join_elements(Place& at);
    void note_changed();
    [[nodiscard]] std::vector<std::string_view> path() const;

    side mine_;
    side theirs_;
    std::size_t large_;
    bool strangers_; // neither side has seen an origin of the other
    std::vector<level> levels_;
    std::variant<std::monostate, adds_place, marks_place> set_; // a large one, at the last level
    std::size_t left_ = 0;                                      // of the step
    keyspace joined_;
    std::vector<std::string> changed_;
};

// The header of that join, but for its objects and digest: it stands at the log index of `mine`, whose log
// lacks what only `theirs` has seen, so the floor rises to that. dot_reused if both stand at one operation of
// an origin with two histories of it; over_limit if they know too many origins together.
[[nodiscard]] result<image_header> join_headers(const image_header& mine,
                                                const image_header& theirs);

} // namespace weft
