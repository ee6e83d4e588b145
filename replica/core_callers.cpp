#include "base/limits.hpp"
#include "replica/core.hpp"

#include <algorithm>
#include <iterator>

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
    std::size_t members = members_for(level);
    bool asks_others = members > 1 && !waiting_.for_others();
    // Where it is not durable yet, a sync is due, or asked for here, and its end is a step.
    sync_asked_ = true;
    if (options_.sync == sync_policy::none || durable_.covers(last) || asks_others ||
        deadline < waiting_.deadline()) {
        call_asks_ = true;
    }
    waiting_.wait(last, members, deadline, std::move(whom));
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
    subscribers_[id] =
        std::make_shared<const subscriber>(subscriber{std::move(filter), std::move(whom)});
    return id;
}

void core::unsubscribe(subscription_id id) {
    subscribers_.erase(id);
    conflict_subscribers_.erase(id);
}

object_changes::object_changes(std::vector<object_change> all)
    : all_(std::make_shared<const std::vector<object_change>>(std::move(all))) {
    for (const object_change& o : *all_) {
        bytes_ += sizeof o + o.key.size() + o.argument.content_bytes();
        for (const std::string& field : o.fields) bytes_ += sizeof field + field.size();
    }
}

bool subscriber::wants(const object_changes& some) const {
    return std::any_of(some.begin(), some.end(),
                       [this](const object_change& o) { return filter.matches(o.key); });
}

void subscriber::tell(const change_event& what) const {
    auto asked_for = [this](const object_change& o) { return filter.matches(o.key); };
    if (std::all_of(what.objects.begin(), what.objects.end(), asked_for)) return whom(what);
    std::vector<object_change> some;
    std::copy_if(what.objects.begin(), what.objects.end(), std::back_inserter(some), asked_for);
    change_event told = what;
    told.objects = object_changes(std::move(some));
    whom(told);
}

void core::deliver(const change_event& what) {
    untold_bytes_ += what.objects.memory_bytes();
    for (const auto& [id, who] : subscribers_) {
        if (who->wants(what.objects)) effects_.push_back(notify{who, what});
    }
}

// A slice at a time, with a pause behind it: whoever passes it on to somebody else keeps up, or the keys of a
// large state would all wait there.
void core::tell_states() {
    if (subscribers_.empty()) changed_states_.clear();
    if (changed_states_.empty() || now_ < next_telling_) return;
    changed_state& from = changed_states_.front();
    std::size_t end = std::min(from.keys.size(), from.next + limits::state_keys_told_max);
    std::vector<object_change> keys(end - from.next);
    for (object_change& one : keys) {
        one.key = std::move(from.keys[from.next++]);
        one.what = "state";
    }
    change_event what;
    what.member = from.member;
    what.objects = object_changes(std::move(keys));
    deliver(what);
    if (from.next == from.keys.size()) changed_states_.pop_front();
    next_telling_ = now_.after_ms(limits::state_keys_ms);
}

void core::notify_local(const committed& change) {
    change_event what;
    what.first = change.first;
    what.stamp = change.stamp;
    what.member = options_.name;
    what.local = true;
    what.objects = object_changes(std::exchange(change_objects_, {}));
    deliver(what);
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
    what.objects = object_changes(std::move(objects));
    deliver(what);
}

void core::collect_answers() {
    for (auto& due : waiting_.collect(durable_, durable_at_, now_)) {
        if (!due.outcome && disk_full_)
            due.outcome.error().detail += ". The disk is full here: it waits for space";
        effects_.push_back(answer{std::move(due.whom), std::move(due.outcome)});
    }
}

} // namespace weft
