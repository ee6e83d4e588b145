#pragma once
#include "crdt/dot_store.hpp"

#include <algorithm>

namespace weft {

using flag_store = dot_fun<bool>;

[[nodiscard]] inline bool any_enabled(const flag_store& marks) {
    return std::any_of(marks.begin(), marks.end(), [](const auto& e) { return e.payload; });
}
[[nodiscard]] inline bool all_enabled(const flag_store& marks) {
    return !marks.empty() &&
           std::all_of(marks.begin(), marks.end(), [](const auto& e) { return e.payload; });
}

// What both flags share; reads are theirs.
template <class Self>
class flag_type : public causal_type<Self, flag_store> {
public:
    [[nodiscard]] Self enable(dot fresh) const {
        return this->delta({fresh, true}, fresh, this->state_.store);
    }
    [[nodiscard]] Self disable(dot fresh) const {
        return this->delta({fresh, false}, fresh, this->state_.store);
    }
    // The delta that removes what was seen: the flag is as if never set.
    [[nodiscard]] Self clear() const { return this->delta({}, {}, this->state_.store); }
};

// A boolean where a concurrent enable and disable leave it enabled. Never set reads as disabled.
//
//   state   dot -> bool, one dot per concurrent write
//   cost    O(k), k concurrent writes
//   source  Almeida, Shoker, Baquero 2018, section 7.4; both marks are kept, so that a flag exists
//           once set
class enable_wins_flag : public flag_type<enable_wins_flag> {
public:
    [[nodiscard]] bool enabled() const { return any_enabled(state_.store); }
};

// The same, where a concurrent enable and disable leave it disabled.
class disable_wins_flag : public flag_type<disable_wins_flag> {
public:
    [[nodiscard]] bool enabled() const { return all_enabled(state_.store); }
};

static_assert(join_semilattice<enable_wins_flag>);
static_assert(join_semilattice<disable_wins_flag>);

} // namespace weft
