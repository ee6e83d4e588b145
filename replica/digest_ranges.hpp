#pragma once
#include "replica/keyspace.hpp"
#include "transport/message.hpp"

#include <vector>

namespace weft {

// Where two states with one version vector differ: each side compares digests of parts of the keyspace
// and answers with finer parts, so a few messages name the keys among millions.

// Of an applied vector, as heartbeats carry it: digests are comparable only where it is equal.
[[nodiscard]] std::uint64_t hash_of_vector(const version_vector& vector);

// Digests of at most `parts` parts of [first, end) with equally many keys each, recounted from the
// objects. An empty `end` is no end. One part if the range has no key or one.
//
//   cost    one pass over the range
[[nodiscard]] std::vector<range_digest> digest_ranges(const keyspace& state, std::string_view first,
                                                      std::string_view end, std::size_t parts);

struct narrowed_ranges {
    std::vector<range_digest>
        ranges;         // ours, in the lowest and the highest of theirs that differ; may be none
    bool found = false; // they cannot be divided further
};
[[nodiscard]] narrowed_ranges narrow(const keyspace& state,
                                     const std::vector<range_digest>& theirs);

} // namespace weft
