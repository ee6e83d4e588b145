#include "base/limits.hpp"
#include "replica/core.hpp"

#include <algorithm>

// Those who wait for an acknowledgement, and those who are told what changed.
namespace weft {

object_change describe(const operation& op) {
    object_change out;
    out.key = op.path[0];
    for (std::string_view field : op.path.subspan(1)) out.fields.emplace_back(field);
    out.type = op.type;
    out.what = to_string(op.what);
    out.argument = op.argument;
    out.amount = op.amount;
    return out;
}

void core::wait(const committed& change, ack_level level, instant deadline,
                acknowledgements::callback whom) {
    if (waiting_.size() >= limits::waiters_max) {
        effects_.push_back(answer{
            std::move(whom), fail(errc::over_limit, "too many callers wait already: this one does "
                                                    "not; its change is made, unknown how far")});
        return;
    }
    bool at_once = level.what == ack_level::kind::memory || change.end == change.first.counter;
    if (at_once) {
        effects_.push_back(answer{std::move(whom), {}});
        return;
    }
    if (auto possible = check(level); !possible) {
        effects_.push_back(answer{std::move(whom), std::move(possible)});
        return;
    }
    dot last{change.first.replica, change.end - 1};
    // Where it is not durable yet, a sync is due, or asked for here, and its end is a step.
    sync_asked_ = true;
    if (options_.sync == sync_policy::none || durable_.covers(last) ||
        deadline < waiting_.deadline()) {
        call_asks_ = true;
    }
    waiting_.wait(last, members_for(level), deadline, std::move(whom));
}

std::size_t core::members_for(ack_level level) const {
    if (level.what == ack_level::kind::majority) return (peers_configured_ + 1) / 2 + 1;
    return std::max<std::size_t>(level.members, 1);
}

result<void> core::check(ack_level level) const {
    std::size_t members = members_for(level);
    if (members <= peers_configured_ + 1) return {};
    return fail(errc::invalid_argument, "replicated(" + std::to_string(members) + ") of " +
                                            std::to_string(peers_configured_ + 1) +
                                            " configured members can never be reached");
}

result<subscription_id> core::new_subscription() {
    std::size_t there = subscribers_.size() + conflict_subscribers_.size();
    if (there < limits::subscriptions_max) return subscription_id{next_subscription_++};
    return fail(errc::over_limit, "there are " + std::to_string(there) +
                                      " subscriptions already; end one of them first");
}

result<subscription_id> core::subscribe(subscription_filter filter, change_callback whom) {
    auto fresh = new_subscription();
    if (!fresh) return fresh;
    subscription_id id = *fresh;
    subscribers_[id] = {std::move(filter),
                        std::make_shared<const change_callback>(std::move(whom))};
    return id;
}

void core::unsubscribe(subscription_id id) {
    subscribers_.erase(id);
    conflict_subscribers_.erase(id);
}

void core::deliver(const change_event& what, std::span<const object_change> objects) {
    for (const auto& [id, who] : subscribers_) {
        change_event told = what;
        told.objects.reserve(objects.size());
        for (const object_change& o : objects) {
            if (who.filter.matches(o.key)) told.objects.push_back(o);
        }
        if (!told.objects.empty()) effects_.push_back(notify{who.whom, std::move(told)});
    }
}

void core::notify_local(const committed& change) {
    change_event what;
    what.first = change.first;
    what.stamp = change.stamp;
    what.member = options_.name;
    what.local = true;
    deliver(what, change_objects_);
    change_objects_.clear();
}

void core::notify_subscribers(const change_view& change, const run_header& run,
                              const std::string& member) {
    std::vector<object_change> objects;
    objects.reserve(change.operations.size());
    for (const operation& op : change.operations) objects.push_back(describe(op));
    change_event what;
    what.first = {run.origin, change.first};
    what.stamp = change.stamp;
    what.member = member;
    deliver(what, objects);
}

void core::collect_answers() {
    for (auto& due : waiting_.collect(durable_, durable_at_, now_)) {
        effects_.push_back(answer{std::move(due.whom), std::move(due.outcome)});
    }
}

} // namespace weft
