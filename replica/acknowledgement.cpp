#include "replica/acknowledgement.hpp"

#include <algorithm>
#include <utility>

namespace weft {

void acknowledgements::wait(dot last, std::size_t members, instant deadline, callback whom) {
    waiting_[members].emplace(last, waiter{deadline, std::move(whom)});
    ++size_;
    if (deadline != instant::never()) deadlines_.emplace(deadline, std::pair(members, last));
}

std::vector<acknowledgements::due> acknowledgements::collect(const version_vector& own_durable,
                                                             const stability& seen, instant now) {
    std::vector<due> out;
    for (auto& [members, queue] : waiting_) {
        for (auto at = queue.begin(); at != queue.end();) {
            if (own_durable.covers(at->first) && seen.members_with(at->first) >= members) {
                out.push_back({std::move(at->second.whom), {}});
                forget_deadline(at->second.deadline, {members, at->first});
                at = queue.erase(at);
            } else {
                // No later change of that replica is durable either: on to the next replica's.
                at = queue.upper_bound(dot{at->first.replica, UINT64_MAX});
            }
        }
    }
    while (!deadlines_.empty() && deadlines_.begin()->first <= now) {
        auto [deadline, what] = *deadlines_.begin();
        auto [members, last] = what;
        deadlines_.erase(deadlines_.begin());
        auto [at, end] = waiting_[members].equal_range(last);
        while (at != end) {
            if (at->second.deadline != deadline) {
                ++at;
                continue;
            }
            out.push_back(
                {std::move(at->second.whom),
                 fail(errc::timed_out,
                      "change " + to_string(last) + " is not known to be durable at " +
                          std::to_string(members) + " members yet; unknown, not rolled back")});
            at = waiting_[members].erase(at);
        }
    }
    size_ -= out.size();
    return out;
}

void acknowledgements::forget_deadline(instant when, std::pair<std::size_t, dot> whose) {
    auto [at, end] = deadlines_.equal_range(when);
    at = std::find_if(at, end, [&](const auto& e) { return e.second == whose; });
    if (at != end) deadlines_.erase(at);
}

std::vector<acknowledgements::due> acknowledgements::cancel(const error& why) {
    std::vector<due> out;
    for (auto& [members, queue] : waiting_) {
        for (auto& [last, w] : queue) out.push_back({std::move(w.whom), fail(why)});
    }
    waiting_.clear();
    deadlines_.clear();
    size_ = 0;
    return out;
}

bool acknowledgements::for_others() const {
    return std::any_of(waiting_.upper_bound(1), waiting_.end(),
                       [](const auto& queue) { return !queue.second.empty(); });
}

instant acknowledgements::deadline() const {
    return deadlines_.empty() ? instant::never() : deadlines_.begin()->first;
}

} // namespace weft
