#include "clock/stability.hpp"

#include <algorithm>

namespace weft {

void stability::add_member(const std::string& name) { seen_.try_emplace(name); }

void stability::remove_member(const std::string& name) { seen_.erase(name); }

void stability::seen_by(const std::string& name, const version_vector& durable) {
    auto member = seen_.find(name);
    if (member != seen_.end()) member->second.join(durable);
}

void stability::has_at_most(const std::string& name, const version_vector& applied) {
    auto member = seen_.find(name);
    if (member != seen_.end()) member->second.meet(applied);
}

version_vector stability::frontier() const {
    version_vector out;
    bool first = true;
    for (const auto& [name, seen] : seen_) {
        if (first) {
            out = seen;
        } else {
            out.meet(seen);
        }
        first = false;
    }
    return out;
}

std::size_t stability::members_with(dot d) const {
    return static_cast<std::size_t>(std::count_if(
        seen_.begin(), seen_.end(), [d](const auto& member) { return member.second.covers(d); }));
}

} // namespace weft
