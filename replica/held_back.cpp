#include "replica/held_back.hpp"

#include "base/limits.hpp"

namespace weft {

bool held_back::add(const run_header& header, waiting one) {
    auto& waiting_here = by_origin_[header.origin];
    if (auto known = waiting_here.find(header.first); known != waiting_here.end()) {
        known->second.from = one.from; // which sent it, and will not again
        return true;
    }
    if (runs_ >= limits::held_back_runs_max || bytes_ + one.run.view.size() > bytes_max_) {
        if (waiting_here.empty()) by_origin_.erase(header.origin);
        return false;
    }
    one.run = one.run.compact();
    bytes_ += one.run.view.size();
    ++runs_;
    waiting_here.emplace(header.first, std::move(one));
    return true;
}

std::vector<std::pair<replica_id, std::uint64_t>> held_back::heads() const {
    std::vector<std::pair<replica_id, std::uint64_t>> out;
    for (const auto& [origin, runs] : by_origin_) out.emplace_back(origin, runs.begin()->first);
    return out;
}

const held_back::waiting* held_back::find(replica_id origin, std::uint64_t first) const {
    auto here = by_origin_.find(origin);
    if (here == by_origin_.end()) return nullptr;
    auto found = here->second.find(first);
    return found == here->second.end() ? nullptr : &found->second;
}

void held_back::wait_for(replica_id origin, std::uint64_t first, dot missing) {
    auto here = by_origin_.find(origin);
    if (here == by_origin_.end()) return;
    auto found = here->second.find(first);
    if (found != here->second.end()) found->second.missing = missing;
}

void held_back::remove(replica_id origin, std::uint64_t first) {
    auto here = by_origin_.find(origin);
    if (here == by_origin_.end()) return;
    auto found = here->second.find(first);
    if (found == here->second.end()) return;
    bytes_ -= found->second.run.view.size();
    --runs_;
    here->second.erase(found);
    if (here->second.empty()) by_origin_.erase(here);
}

void held_back::drop_covered(replica_id origin, std::uint64_t applied) {
    for (auto here = by_origin_.find(origin);
         here != by_origin_.end() && here->second.begin()->first <= applied;
         here = by_origin_.find(origin)) {
        remove(origin, here->second.begin()->first);
    }
}

void held_back::drop_orphans(const std::function<bool(session_id)>& is_gone, instant since_before) {
    std::vector<std::pair<replica_id, std::uint64_t>> orphans;
    for (const auto& [origin, runs] : by_origin_) {
        for (const auto& [first, run] : runs) {
            if (run.since <= since_before && is_gone(run.from)) orphans.emplace_back(origin, first);
        }
    }
    for (auto [origin, first] : orphans) remove(origin, first);
}

bool held_back::waits_for(session_id from, instant since_before) const {
    for (const auto& [origin, runs] : by_origin_) {
        for (const auto& [first, run] : runs) {
            if (run.from == from && run.since <= since_before) return true;
        }
    }
    return false;
}

} // namespace weft
