#include "clock/version_vector.hpp"

#include <algorithm>
#include <utility>

namespace weft {
namespace {

template <class Entries>
auto place_of(Entries& entries, replica_id replica) {
    return std::lower_bound(
        entries.begin(), entries.end(), replica,
        [](const version_vector::entry& e, replica_id id) { return e.replica < id; });
}

} // namespace

version_vector::version_vector(std::initializer_list<entry> entries) {
    for (const entry& e : entries) advance(e.replica, e.counter);
}

std::uint64_t version_vector::at(replica_id replica) const {
    auto found = place_of(entries_, replica);
    return found != entries_.end() && found->replica == replica ? found->counter : 0;
}

bool version_vector::covers(const version_vector& other) const {
    auto mine = entries_.begin();
    for (const entry& theirs : other.entries_) {
        while (mine != entries_.end() && mine->replica < theirs.replica) ++mine;
        if (mine == entries_.end() || mine->replica != theirs.replica) return false;
        if (mine->counter < theirs.counter) return false;
    }
    return true;
}

bool version_vector::concurrent_with(const version_vector& other) const {
    return !covers(other) && !other.covers(*this);
}

void version_vector::advance(replica_id replica, std::uint64_t counter) {
    if (counter == 0) return;
    auto found = place_of(entries_, replica);
    if (found == entries_.end() || found->replica != replica) {
        entries_.insert(found, entry{replica, counter});
    } else {
        found->counter = std::max(found->counter, counter);
    }
}

void version_vector::set(replica_id replica, std::uint64_t counter) {
    auto found = place_of(entries_, replica);
    bool there = found != entries_.end() && found->replica == replica;
    if (counter == 0) {
        if (there) entries_.erase(found);
    } else if (there) {
        found->counter = counter;
    } else {
        entries_.insert(found, entry{replica, counter});
    }
}

void version_vector::join(const version_vector& other) {
    bool all_here = true; // then nothing moves
    auto here = entries_.begin();
    for (const entry& theirs : other.entries_) {
        while (here != entries_.end() && here->replica < theirs.replica) ++here;
        all_here = here != entries_.end() && here->replica == theirs.replica;
        if (!all_here) break;
        here->counter = std::max(here->counter, theirs.counter);
    }
    if (all_here) return;
    std::vector<entry> both;
    both.reserve(entries_.size() + other.entries_.size());
    auto mine = entries_.begin();
    for (const entry& theirs : other.entries_) {
        while (mine != entries_.end() && mine->replica < theirs.replica) both.push_back(*mine++);
        std::uint64_t counter = theirs.counter;
        if (mine != entries_.end() && mine->replica == theirs.replica) {
            counter = std::max(counter, mine++->counter);
        }
        both.push_back({theirs.replica, counter});
    }
    both.insert(both.end(), mine, entries_.end());
    entries_ = std::move(both);
}

void version_vector::meet(const version_vector& other) {
    auto theirs = other.entries_.begin();
    auto kept = entries_.begin();
    for (const entry& mine : entries_) {
        while (theirs != other.entries_.end() && theirs->replica < mine.replica) ++theirs;
        if (theirs == other.entries_.end() || theirs->replica != mine.replica) continue;
        *kept++ = {mine.replica, std::min(mine.counter, theirs->counter)};
    }
    entries_.erase(kept, entries_.end());
}

std::vector<version_vector::entry> version_vector::above(const version_vector& other) const {
    std::vector<entry> out;
    auto theirs = other.entries_.begin();
    for (const entry& mine : entries_) {
        while (theirs != other.entries_.end() && theirs->replica < mine.replica) ++theirs;
        bool known = theirs != other.entries_.end() && theirs->replica == mine.replica;
        if (known && theirs->counter >= mine.counter) continue;
        if (out.empty()) out.reserve(4); // mostly few
        out.push_back(mine);
    }
    return out;
}

std::uint64_t version_vector::operations_beyond(const version_vector& other) const {
    std::uint64_t sum = 0;
    auto theirs = other.entries_.begin();
    for (const entry& mine : entries_) {
        while (theirs != other.entries_.end() && theirs->replica < mine.replica) ++theirs;
        bool known = theirs != other.entries_.end() && theirs->replica == mine.replica;
        std::uint64_t seen = known ? theirs->counter : 0;
        if (mine.counter > seen) sum += mine.counter - seen;
    }
    return sum;
}

std::string to_string(const version_vector& vector) {
    std::string out = "{";
    for (const auto& e : vector.entries()) {
        if (out.size() > 1) out += ", ";
        out += to_string(dot{e.replica, e.counter});
    }
    return out + "}";
}

} // namespace weft
