#include "base/check.hpp"
#include "base/limits.hpp"
#include "replica/core.hpp"

#include <algorithm>

// Conflicts: where the state may hold another one since an operation, what rules decide, who settles them.
namespace weft {
namespace {

bool counts(type_kind kind) {
    return kind == type_kind::counter || kind == type_kind::grow_counter;
}

} // namespace

// What a resolution gave. A write's content is in the state by now.
std::optional<value> core::given_by(const operation& op, dot at) const {
    auto present = [](const value& v) { return is_present(v) ? std::optional(v) : std::nullopt; };
    if (!is_register(op.type.kind)) return present(op.argument);
    const object* there = state_.find_record(op.path, op.type);
    if (there == nullptr) return std::nullopt;
    for (const auto& e : there->as<register_store<value>>()) {
        if (e.at == at) return present(e.payload.content);
    }
    return std::nullopt;
}

void core::touch(const operation& op, dot at, hlc stamp, contested where) {
    if (op.what == action::resolve) {
        // Of a map it says who settled a clash of types: what is under the name, not what is in it.
        bool clash = op.type.kind == type_kind::map;
        touched_.push_back({{owned_path(op.path), clash ? conflict_index::whole_name : op.type},
                            op.extra->who,
                            op.extra->settles,
                            {at, stamp, std::nullopt}});
        touched_.back().given.content = given_by(op, at);
    } else if (where.object || conflicts_.rules().may_bound(op.path, op.type)) {
        touched_.push_back({{owned_path(op.path), op.type}});
    }
    for (std::size_t depth = 0; depth < op.path.size() && where.names >> depth != 0; ++depth) {
        if ((where.names >> depth & 1U) != 0)
            touched_.push_back(
                {{owned_path(op.path.first(depth + 1)), conflict_index::whole_name}});
    }
    if (op.what != action::remove) return;
    for (conflict_index::place& gone : conflicts_.at_and_below(op.path))
        touched_.push_back({std::move(gone)});
}

void core::settle_touched(std::uint64_t at_ms) {
    // One place may have been touched several times; who resolved it counts.
    std::sort(touched_.begin(), touched_.end(), [](const auto& a, const auto& b) {
        return std::tie(a.where, b.who) < std::tie(b.where, a.who);
    });
    touched_.erase(std::unique(touched_.begin(), touched_.end(),
                               [](const auto& a, const auto& b) { return a.where == b.where; }),
                   touched_.end());
    std::size_t before = begin_decisions();
    conflicts_.update(state_, touched_, at_ms, decided_);
    touched_.clear();
    end_decisions(before, hlc::at_ms(at_ms));
}

void core::rebuild_conflicts(std::uint64_t at_ms) {
    std::size_t before = begin_decisions();
    conflicts_.rebuild(state_, at_ms, decided_);
    end_decisions(before, hlc::at_ms(at_ms));
}

void core::had_rules_since(std::optional<log_index> at) {
    rules_since_ = at;
    decided_.records = at == log_index{};
}

// From here on this replica has had the rules that it has now.
void core::decide_anew(std::uint64_t at_ms) {
    std::size_t before = begin_decisions();
    for (audit_entry& entry : conflicts_.decisions()) decided_.entries.push_back(std::move(entry));
    end_decisions(before, hlc::at_ms(at_ms));
    decided_.records = true;
}

std::vector<audit_entry> core::open_audits() const {
    std::vector<audit_entry> out = conflicts_.decisions();
    for (audit_entry& entry : out) entry.run = tail_.end();
    return out;
}

void core::date_conflicts(std::span<const audit_entry> open) { conflicts_.date(open); }

// Gives how many entries there are already.
std::size_t core::begin_decisions() {
    decided_.tells = !conflict_subscribers_.empty();
    return decided_.entries.size();
}

void core::end_decisions(std::size_t before, hlc stamp) {
    for (audit_entry& entry : std::span(decided_.entries).subspan(before)) {
        entry.at = std::max(clock_.last(), stamp);
        entry.run =
            tail_.end(); // the one that is applied, or, of a local change, the one that is open
    }
    for (const conflict_event& event : decided_.events) {
        for (const auto& [id, whom] : conflict_subscribers_)
            effects_.push_back(notify_conflict{whom, event});
    }
    decided_.events.clear();
}

void core::hand_out_audits() {
    if (decided_.entries.empty()) return;
    for (audit_entry& entry : decided_.entries) {
        entry.replica = id_;
        entry.member = options_.name;
        if (entry.failed.empty()) continue;
        std::string where;
        for (const std::string& part : entry.path) where += (where.empty() ? "" : "/") + part;
        std::string what = to_string(entry.type) + " '" + where + "'";
        bool bound = entry.kind == conflict_kind::bound; // which is the last reason
        if (bound)
            report_seldom(severity::warning, "conflict.bound_crossed", what, entry.failed.back());
        if (!bound || entry.failed.size() > 1) {
            report_seldom(severity::warning, "conflict.strategy_failed", what,
                          entry.failed.front());
        }
    }
    effects_.push_back(record_audit{std::exchange(decided_.entries, {})});
}

result<subscription_id> core::subscribe_conflicts(conflict_callback whom) {
    auto fresh = new_subscription();
    if (fresh) {
        if (conflict_subscribers_.empty()) conflicts_.show(state_);
        conflict_subscribers_[*fresh] = std::make_shared<const conflict_callback>(std::move(whom));
    }
    return fresh;
}

// ---- removes that are kept

bool core::keeps_removes(std::span<const std::string_view> path, type_id type) const {
    if (!is_register(type.kind)) return false;
    const rule* by = conflicts_.rules().find_how(path, type);
    return by != nullptr && by->keeps_removes;
}

void core::find_kept(const object& here, type_id type, std::vector<std::string>& path,
                     std::vector<owned_place>& out) const {
    if (const auto* map = std::get_if<map_store>(&here.data())) {
        for (const auto& child : map->children()) {
            path.emplace_back(child.key.name());
            find_kept(child.value, child.key.type(), path, out);
            path.pop_back();
        }
    } else if (here.live() && keeps_removes(path_views(path), type)) {
        out.emplace_back(path, type);
    }
}

result<void> core::retract(std::span<const owned_place> kept) {
    for (const auto& [at, type] : kept) {
        std::vector<std::string_view> path = path_views(at);
        operation one;
        one.path = path;
        one.type = type;
        one.what = action::retract;
        if (auto done = apply(std::move(one)); !done) return done;
    }
    return {};
}

// ---- settled by a person

result<void> core::resolve(const conflict& seen, const resolution& how) {
    WEFT_CHECK(in_change_);
    if (seen.path.empty()) return fail(errc::invalid_argument, "a conflict has a key");
    if (how.take && how.content)
        return fail(errc::invalid_argument, "take a sibling, or give a value: not both");
    bool clash = seen.kind == conflict_kind::type_clash;
    std::vector<std::string_view> path = path_views(seen.path);
    apply_pending(&undo_);
    auto now = conflicts_.look(state_, path, clash ? conflict_index::whole_name : seen.type);
    if (now) now = conflict_index::shown(state_, std::move(*now));
    if (!now || !same_siblings(now->what, seen)) {
        return fail(errc::outdated,
                    to_string(seen.type) + " '" + seen.path.back() +
                        (now ? "' has other siblings by now" : "' is in no conflict any more") +
                        "; look again");
    }
    const sibling* taken = nullptr;
    for (const sibling& s : now->what.siblings) {
        if (how.take && s.at == *how.take) taken = &s;
    }
    if (how.take && taken == nullptr)
        return fail(errc::not_found, "no sibling " + to_string(*how.take) + "; look again");
    if (clash) return resolve_clash(now->what, how);

    operation settles;
    settles.path = path;
    settles.type = seen.type;
    settles.what = action::resolve;
    settles.extra = std::make_unique<operation_extra>();
    settles.extra->who = how.who.empty() ? options_.name : how.who;
    settles.extra->settles = seen.kind;
    if (counts(seen.type.kind)) {
        auto wanted = how.content ? how.content->as_int() : std::nullopt;
        if (!wanted) {
            return fail(errc::invalid_argument,
                        "a counter beyond its bound is settled with a whole number");
        }
        if (auto within = check_bound(path, seen.type, *wanted); !within) return within;
        if (auto done = set_counter(path, seen.type, *wanted); !done) return done;
        settles.argument = *how.content;
        return apply(std::move(settles));
    }
    settles.argument = value::absent();
    if (taken != nullptr && taken->content) settles.argument = *taken->content;
    if (how.content) settles.argument = *how.content;
    if (is_present(settles.argument)) {
        if (auto within = check_bound(path, seen.type, settles.argument); !within) return within;
    }
    return apply(std::move(settles));
}

// What settles a conflict must not be the next one.
result<void> core::check_bound(std::span<const std::string_view> path, type_id type,
                               const value& chosen) const {
    const rule* by = conflicts_.rules().find(path, type);
    std::string why = by == nullptr ? std::string() : by->outside(chosen);
    if (why.empty()) return {};
    return fail(errc::bound_exceeded, to_string(type) + " '" + std::string(path.back()) +
                                          "' cannot be settled so: " + why);
}

// Takes back what is seen of a counter, and adds what it shall be. Of two who do that at once neither takes
// back what the other adds.
result<void> core::set_counter(std::span<const std::string_view> path, type_id type,
                               std::int64_t amount) {
    const object* there = state_.find_record(path, type);
    std::string where = to_string(type) + " '" + std::string(path.back()) + "' ";
    if (type.kind == type_kind::grow_counter && amount < 0)
        return fail(errc::invalid_argument, where + "is never below 0");
    if (there != nullptr && there->as<counter_store>().would_overflow(id_, amount))
        return fail(errc::over_limit, where + "would take this replica's sum beyond 64 bits");
    operation one;
    one.path = path;
    one.type = type;
    one.what = action::reset;
    if (auto done = apply(std::move(one)); !done) return done;
    one = {};
    one.path = path;
    one.type = type;
    one.what = action::increment;
    one.amount = amount;
    return apply(std::move(one));
}

// What writes again all that is read of an object and of what is below it.
result<void> core::find_content(const object& here, type_id type, std::vector<std::string>& path,
                                std::vector<piece>& out) const {
    result<void> fits; // no more of what is too much is gathered
    auto add = [&](action what, value content, std::int64_t amount = 0) {
        if (fits && out.size() == limits::change_operations_max) {
            fits =
                fail(errc::over_limit, "what is taken holds more than a change can write again, " +
                                           std::to_string(limits::change_operations_max) +
                                           " parts; remove the other types instead");
        }
        if (fits) out.push_back({path, type, what, std::move(content), amount});
    };
    if (const auto* map = std::get_if<map_store>(&here.data())) {
        for (const auto& child : map->children()) {
            if (!child.value.live()) continue;
            path.emplace_back(child.key.name());
            auto done = find_content(child.value, child.key.type(), path, out);
            path.pop_back();
            if (!done) return done;
        }
    } else if (const auto* writes = std::get_if<register_store<value>>(&here.data())) {
        auto views = path_views(path);
        auto open = writes->size() > 1 ? conflicts_.look(state_, views, type) : std::nullopt;
        auto ruled = conflicts_.read(views, type, *writes);
        bool several = ruled && ruled->values.size() > 1 && type.kind == type_kind::mv_register;
        if (several || (open && open->waits())) {
            return fail(errc::invalid_argument, to_string(type) + " '" + path.back() +
                                                    "' has several values itself: settle those "
                                                    "first");
        }
        bool as_plain = !ruled || ruled->values.size() > 1;
        const auto* newest = latest<value>(*writes);
        if (as_plain && newest != nullptr) add(action::write, newest->payload.content);
        if (!as_plain && !ruled->values.empty()) add(action::write, ruled->values.front());
    } else if (const auto* rows = std::get_if<counter_store>(&here.data())) {
        add(action::increment, {}, rows->read());
    } else if (const auto* marks = std::get_if<flag_store>(&here.data())) {
        bool on =
            type.kind == type_kind::enable_wins_flag ? any_enabled(*marks) : all_enabled(*marks);
        add(on ? action::enable : action::disable, {});
    } else if (const auto* adds = std::get_if<add_wins_store<value>>(&here.data())) {
        for (const auto& e : *adds) {
            if (!fits) break;
            add(action::add, e.key);
        }
    } else if (const auto* both = std::get_if<remove_wins_elements>(&here.data())) {
        for (const auto& e : both->marks()) {
            if (!fits) break;
            if (all_enabled(e.value)) add(action::add, e.key);
        }
    }
    return fits;
}

// The type that is taken is written again, so that it outlives the removal by somebody who takes another one
// at the same time; the others are removed.
result<void> core::resolve_clash(const conflict& seen, const resolution& how) {
    if (!how.take) {
        return fail(errc::invalid_argument,
                    "of several types one is taken; its content can be written afterwards");
    }
    std::vector<std::string_view> path = path_views(seen.path);
    std::vector<type_id> types = state_.types_at(path);
    type_id chosen = types.at(static_cast<std::size_t>(how.take->counter) - 1);
    std::vector<piece> content;
    std::vector<std::string> at = seen.path;
    if (auto found = find_content(*state_.find(path, chosen), chosen, at, content); !found)
        return found;
    for (piece& each : content) {
        std::vector<std::string_view> where = path_views(each.path);
        if (counts(each.type.kind)) {
            if (auto done = set_counter(where, each.type, each.amount); !done) return done;
            continue;
        }
        operation again;
        again.path = where;
        again.type = each.type;
        again.what = each.what;
        again.argument = std::move(each.content);
        if (auto done = apply(std::move(again)); !done) return done;
    }
    for (type_id other : types) {
        if (other == chosen) continue;
        operation removal;
        removal.path = path;
        removal.type = other;
        removal.what = action::remove;
        if (auto done = apply(std::move(removal)); !done) return done;
    }
    // Who it was, and what they took. Of a map that changes nothing, so what the register of that name holds
    // stays as it is.
    operation settles;
    settles.path = path;
    settles.type = {type_kind::map};
    settles.what = action::resolve;
    settles.argument = value(to_string(chosen));
    settles.extra = std::make_unique<operation_extra>();
    settles.extra->who = how.who.empty() ? options_.name : how.who;
    settles.extra->settles = conflict_kind::type_clash;
    return apply(std::move(settles));
}

} // namespace weft
