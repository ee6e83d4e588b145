#pragma once
#include "replica/keyspace.hpp"
#include "transport/message.hpp"

#include <string>
#include <variant>
#include <vector>

namespace weft {

// Where two states with one version vector differ: each side compares digests of parts of the keyspace
// and answers with finer parts, so a few messages name the keys among millions.

// Of an applied vector, as heartbeats carry it: digests are comparable only where it is equal.
[[nodiscard]] std::uint64_t hash_of_vector(const version_vector& vector);

// Digests of ranges of a frozen state, counted anew from the objects, a little at a time. Each is divided
// into at most `parts_max` parts, an even number, that hold about equally many keys: one key each if there
// are no more; one part if it holds no key.
//
//   cost    one pass over each range, in steps of as many entries as the caller likes: elements of sets,
//           fields of maps, or other objects; a large one counts as one more for each 512 bytes
class digest_count {
public:
    struct range { // the keys from `first` on and before `end`; an empty `end` is no end
        std::string first;
        std::string end;
    };
    digest_count(keyspace frozen, std::vector<range> ranges, std::size_t parts_max);
    digest_count(const digest_count&) = delete; // its places point into its own state
    digest_count& operator=(const digest_count&) = delete;
    ~digest_count() = default;

    [[nodiscard]] bool done() const { return parts_.size() > ranges_.size(); }
    void step(std::size_t entries); // counts about that many, or what is left of them
    // When done: the parts of each range, in order.
    [[nodiscard]] std::vector<std::vector<range_digest>> take();

private:
    struct level { // a map, and where in it
        map_store::children_type::const_iterator at;
        map_store::children_type::const_iterator end;
        path_hash path;
    };
    // Where to go on in a set that one step did not finish.
    using place = std::variant<std::monostate, add_wins_store<value>::map_type::const_iterator,
                               remove_wins_store<value>::map_type::const_iterator>;

    void begin_range();
    void count_next();
    void leave();
    template <class Store>
    void count_elements(const Store& elements, const path_hash& path);
    void begin_key(std::string_view name);
    void count(const object_weight& one);
    void add(const state_digest& digest);

    keyspace frozen_;
    std::vector<range> ranges_;
    std::size_t parts_max_;
    std::size_t left_ = 0; // of the step
    std::vector<level> levels_;
    place inside_;
    std::vector<std::vector<range_digest>>
        parts_;                    // the last are of the range that is being counted
    std::string_view key_;         // counted last …
    std::size_t keys_in_last_ = 0; // … into the last part …
    std::size_t keys_a_part_ = 1;  // … which holds no more than that
};

[[nodiscard]] state_digest sum_of(const std::vector<range_digest>& parts);

struct narrowed_ranges {
    std::vector<range_digest>
        ranges;         // ours, in the lowest and the highest of theirs that differ; may be none
    bool found = false; // they cannot be divided further
};
// `ours` are the parts of each of their ranges.
[[nodiscard]] narrowed_ranges narrow(const std::vector<range_digest>& theirs,
                                     std::vector<std::vector<range_digest>> ours);

} // namespace weft
