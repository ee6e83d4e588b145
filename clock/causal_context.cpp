#include "clock/causal_context.hpp"

#include <algorithm>
#include <iterator>

namespace weft {

bool causal_context::covers(dot d) const {
    return vector_.covers(d) || std::binary_search(cloud_.begin(), cloud_.end(), d);
}

dot causal_context::next(replica_id replica) const {
    std::uint64_t highest = vector_.at(replica);
    auto after = std::upper_bound(cloud_.begin(), cloud_.end(), dot{replica, UINT64_MAX});
    if (after != cloud_.begin() && std::prev(after)->replica == replica) {
        highest = std::max(highest, std::prev(after)->counter);
    }
    return {replica, highest + 1};
}

void causal_context::insert(dot d) {
    if (covers(d)) return;
    if (d.counter == vector_.at(d.replica) + 1) {
        vector_.advance(d.replica, d.counter);
        if (!cloud_.empty()) compact();
        return;
    }
    cloud_.insert(std::lower_bound(cloud_.begin(), cloud_.end(), d), d);
}

void causal_context::join(const causal_context& other) {
    vector_.join(other.vector_);
    std::vector<dot> both;
    both.reserve(cloud_.size() + other.cloud_.size());
    std::set_union(cloud_.begin(), cloud_.end(), other.cloud_.begin(), other.cloud_.end(),
                   std::back_inserter(both));
    cloud_ = std::move(both);
    compact();
}

void causal_context::compact() {
    // Sorted by replica, then counter: each dot either continues its replica's entry, is inside it,
    // or stays.
    std::erase_if(cloud_, [this](dot d) {
        std::uint64_t seen = vector_.at(d.replica);
        if (d.counter == seen + 1) vector_.advance(d.replica, d.counter);
        return d.counter <= seen + 1;
    });
}

} // namespace weft
