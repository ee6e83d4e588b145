#include "replica/conflicts.hpp"

#include "base/check.hpp"

#include <algorithm>

namespace weft {
namespace {

// Whether a write of somebody else has come to stand beside those that crossed a bound.
bool is_joined(const conflict& was, const conflict& now) {
    auto wrote = [&](replica_id who) {
        return std::any_of(was.siblings.begin(), was.siblings.end(),
                           [&](const sibling& s) { return s.at.replica == who; });
    };
    return now.siblings.size() > 1 &&
           !std::all_of(now.siblings.begin(), now.siblings.end(),
                        [&](const sibling& s) { return wrote(s.at.replica); });
}

// The dots of what was written to a register, or to each replica's part of a counter.
std::vector<dot> writes_at(const keyspace& state, const conflict_index::place& where) {
    std::vector<dot> out;
    const object* there = state.find_record(path_views(where.path), where.type);
    if (there == nullptr) return out;
    if (const auto* writes = std::get_if<register_store<value>>(&there->data())) {
        for (const auto& e : *writes) out.push_back(e.at);
    } else if (const auto* rows = std::get_if<counter_store>(&there->data())) {
        for (const auto& row : rows->rows()) {
            if (row.live()) out.push_back({row.replica, row.last_op});
        }
    }
    return out;
}

} // namespace

std::vector<std::string> owned_path(std::span<const std::string_view> path) {
    return {path.begin(), path.end()};
}

std::vector<std::string_view> path_views(const std::vector<std::string>& path) {
    return {path.begin(), path.end()};
}

std::string_view to_string(conflict_event::kind what) {
    switch (what) {
        case conflict_event::kind::opened: return "opened";
        case conflict_event::kind::changed: return "changed";
        case conflict_event::kind::closed: return "closed";
    }
    return "unknown";
}

std::vector<sibling> conflict_index::siblings(const register_store<value>& writes) const {
    std::vector<sibling> out;
    out.reserve(writes.size());
    for (const auto& e : writes) {
        out.push_back(written_by(e.at));
        out.back().stamp = e.payload.at;
        if (is_present(e.payload.content)) out.back().content = e.payload.content;
    }
    return out; // a store is in that order
}

sibling conflict_index::written_by(dot at) const {
    sibling out{at, {}, std::nullopt};
    if (auto who = known_.find(at.replica); who != known_.end()) {
        out.member = who->second.member;
        out.region = who->second.region;
    }
    return out;
}

std::optional<open_conflict> conflict_index::look(path_view path, type_id type,
                                                  const register_store<value>& writes) const {
    if (!any_present(writes)) return std::nullopt;
    const rule* by = rules_.find(path, type);
    const rule* how = by != nullptr && !by->how ? rules_.find_how(path, type) : by;
    bool several = writes.size() > 1;
    bool settles_itself = how == nullptr && (type.kind == type_kind::lww_register || !several);
    std::string refused; // what everybody reads, and why
    if (settles_itself || !several) {
        const value& newest = latest<value>(writes)->payload.content;
        if (by != nullptr && is_present(newest)) refused = by->outside(newest);
        if (refused.empty()) return std::nullopt;
    }

    open_conflict out;
    out.what = {conflict_kind::write_write, owned_path(path), type, siblings(writes)};
    bool removed = std::any_of(out.what.siblings.begin(), out.what.siblings.end(),
                               [](const sibling& s) { return !s.content; });
    if (removed) out.what.kind = conflict_kind::delete_write;
    if (!refused.empty()) out.what.kind = conflict_kind::bound;
    out.made.strategy = "manual";
    if (how != nullptr) out.made = how->how->resolve(out.what);
    if (!out.made.read && !refused.empty())
        out.made.failed.push_back({errc::bound_exceeded, refused});
    if (!out.made.read) return out;
    for (const value& v : out.made.read->values) {
        std::string why = by->outside(v);
        if (why.empty()) continue;
        out.what.kind = conflict_kind::bound;
        out.made.failed.push_back({errc::bound_exceeded, out.made.strategy + ": " + why});
        out.made.read.reset();
        out.made.strategy = "manual";
        break;
    }
    return out;
}

std::optional<open_conflict> conflict_index::look(path_view path, type_id type,
                                                  const counter_store& rows) const {
    const rule* by = rules_.find(path, type);
    if (by == nullptr || !rows.live() || by->outside(rows.read()).empty()) return std::nullopt;
    open_conflict out;
    out.what = {conflict_kind::bound, owned_path(path), type, {}};
    for (const auto& row : rows.rows()) {
        if (!row.live()) continue;
        out.what.siblings.push_back(written_by({row.replica, row.last_op}));
        out.what.siblings.back().content = value(row.sum - row.reset_sum);
    }
    arrange(out.what.siblings);
    out.made.strategy = "manual";
    out.made.failed.push_back({errc::bound_exceeded, by->outside(rows.read())});
    return out;
}

std::optional<open_conflict> conflict_index::look(const keyspace& state, path_view path,
                                                  type_id type) const {
    if (type == conflict_index::whole_name) {
        std::vector<type_id> types = state.types_at(path);
        if (types.size() < 2) return std::nullopt;
        open_conflict out;
        out.what = {conflict_kind::type_clash, owned_path(path), types.front(), {}};
        std::uint64_t number = 0;
        for (type_id each : types)
            out.what.siblings.push_back({{replica_id{}, ++number}, {}, value(to_string(each))});
        out.made.strategy = "manual";
        return out;
    }
    const object* there = state.find(path, type);
    if (there == nullptr) return std::nullopt;
    if (const auto* writes = std::get_if<register_store<value>>(&there->data()))
        return look(path, type, *writes);
    if (const auto* rows = std::get_if<counter_store>(&there->data()))
        return look(path, type, *rows);
    return std::nullopt;
}

open_conflict conflict_index::shown(const keyspace& state, open_conflict one) {
    if (one.what.kind != conflict_kind::type_clash) return one;
    for (sibling& s : one.what.siblings) {
        auto type = parse_type(s.content->as_text().value_or(std::string_view()));
        const object* there = type ? state.find(path_views(one.what.path), *type) : nullptr;
        if (there != nullptr) s.holds = weigh(path_hash(), *there).digest.words[0];
    }
    return one;
}

std::optional<reading> conflict_index::read(path_view path, type_id type,
                                            const register_store<value>& writes) const {
    bool plain = rules_.empty() || (writes.size() < 2 && !rules_.may_bound(path, type));
    if (plain) return std::nullopt;
    auto found = look(path, type, writes);
    return found ? std::move(found->made.read) : std::nullopt;
}

void conflict_index::count(const open_conflict& one, bool comes) {
    std::size_t step = comes ? 1 : std::size_t{0} - 1;
    if (one.waits()) waiting_ += step;
    bool bound = one.what.kind == conflict_kind::bound; // which is the last reason
    if (bound) out_of_bounds_ += step;
    if (one.made.failed.size() > (bound ? 1U : 0U)) failing_ += step;
}

// What a resolution was about: what it took away of a conflict that was here. Where some of that is left, or
// nothing was here, it had seen something else: of that only what the person gave is known.
conflict conflict_index::settled(const touched& at, const conflict* was,
                                 const keyspace& state) const {
    conflict out{at.settles, at.where.path, at.where.type, {}};
    bool clash = at.where.type == whole_name;
    if (clash) out.type = {type_kind::map};
    bool saw_all = was != nullptr;
    if (was != nullptr) {
        std::vector<dot> left = writes_at(state, at.where);
        std::vector<type_id> types;
        if (clash) types = state.types_at(path_views(at.where.path));
        if (types.size() == 1) types.clear(); // what was taken, and nothing beside it
        for (const sibling& s : was->siblings) {
            bool stays = std::find(left.begin(), left.end(), s.at) != left.end() ||
                         std::any_of(types.begin(), types.end(), [&](type_id each) {
                             return *s.content == value(to_string(each));
                         });
            if (stays) {
                saw_all = false;
            } else {
                out.siblings.push_back(s);
            }
        }
    }
    if (saw_all) return *was;
    sibling given = written_by(at.given.at);
    given.stamp = at.given.stamp;
    given.content = at.given.content;
    out.siblings.push_back(std::move(given));
    arrange(out.siblings);
    return out;
}

// What everybody reads there.
reading conflict_index::read(const keyspace& state, const place& where) const {
    reading out;
    auto path = path_views(where.path);
    if (where.type == whole_name) {
        for (type_id each : state.types_at(path)) out.values.emplace_back(to_string(each));
        return out;
    }
    const object* there = state.find(path, where.type);
    if (there == nullptr) return out;
    if (const auto* writes = std::get_if<register_store<value>>(&there->data())) {
        if (auto ruled = read(path, where.type, *writes)) return *ruled;
        bool one = where.type.kind == type_kind::lww_register;
        for (const auto& e : *writes) {
            bool shown = is_present(e.payload.content) && (!one || &e == latest<value>(*writes));
            if (shown) out.values.push_back(e.payload.content);
        }
    } else if (const auto* rows = std::get_if<counter_store>(&there->data())) {
        out.values.emplace_back(rows->read());
    }
    return out;
}

// `settles` is how, if nobody is named.
void conflict_index::note(touched&& at, std::optional<open_conflict> now, const keyspace& state,
                          std::string_view settles, std::uint64_t stamp_ms, outcome& out) {
    auto known = open_.find(at.where);
    bool was = known != open_.end();
    bool resolved = !at.who.empty();
    bool unchanged = was && now && same_siblings(known->second.what, now->what);
    // Who settled what looks as before, a clash of which each type was written again, is told all the same.
    if (!resolved && (unchanged || (!was && !now))) return;
    // A bound that stays crossed was decided when it was crossed: more by who is in it decides nothing.
    bool stays_crossed = was && now && !resolved &&
                         known->second.what.kind == conflict_kind::bound &&
                         now->what.kind == conflict_kind::bound;
    if (out.records && (resolved || (was && known->second.waits() && !now))) {
        const conflict* known_as = was ? &known->second.what : nullptr;
        reading left = read(state, at.where);
        out.entries.push_back(resolved
                                  ? audit_of_resolution(settled(at, known_as, state), left, at.who,
                                                        at.given.at, rules_.version())
                                  : audit_of_settled(*known_as, left, settles, rules_.version()));
    }
    if (out.records && now && !(stays_crossed && !is_joined(known->second.what, now->what)))
        out.entries.push_back(audit_of(now->what, now->made, rules_.version()));
    if (was) count(known->second, false);
    if (now) count(*now, true);
    if (!now) {
        if (!was) return;
        auto told = shown_.extract(at.where);
        if (!told.empty()) known->second.what = std::move(told.mapped());
        if (out.tells) {
            out.events.push_back(
                {conflict_event::kind::closed, std::move(known->second), std::move(at.who)});
        }
        open_.erase(known);
        return;
    }
    now->since_ms = unchanged || stays_crossed ? known->second.since_ms : stamp_ms;
    if (out.tells) {
        out.events.push_back({was ? conflict_event::kind::changed : conflict_event::kind::opened,
                              shown(state, *now), std::move(at.who)});
        if (at.where.type == whole_name) shown_[at.where] = out.events.back().now.what;
    }
    if (was) {
        known->second = std::move(*now);
    } else {
        open_.emplace(std::move(at.where), std::move(*now));
    }
}

void conflict_index::update(const keyspace& state, std::span<touched> where, std::uint64_t stamp_ms,
                            outcome& out) {
    for (touched& each : where) {
        auto now = look(state, path_views(each.where.path), each.where.type);
        note(std::move(each), std::move(now), state, settled_by_write, stamp_ms, out);
    }
}

void conflict_index::show(const keyspace& state) {
    shown_.clear();
    for (const auto& [where, one] : open_) {
        if (where.type == whole_name) shown_[where] = shown(state, one).what;
    }
}

std::vector<audit_entry> conflict_index::decisions() const {
    std::vector<audit_entry> out;
    out.reserve(open_.size());
    for (const auto& [where, one] : open_) {
        out.push_back(audit_of(one.what, one.made, rules_.version()));
        out.back().at = hlc::at_ms(one.since_ms);
    }
    return out;
}

void conflict_index::date(std::span<const audit_entry> all) {
    WEFT_CHECK(all.size() == open_.size());
    for (auto& [where, one] : open_) {
        one.since_ms = all.front().at.ms();
        all = all.subspan(1);
    }
}

void conflict_index::walk(const map_store& parent, std::vector<std::string_view>& path,
                          const std::function<void(type_id)>& visit) const {
    std::string_view name;
    std::size_t live = 0; // under that name
    for (const auto& child : parent.children()) {
        if (child.key.name() != name) live = 0;
        name = child.key.name();
        path.push_back(name);
        if (child.value.live() && ++live == 2) visit(whole_name);
        if (const auto* writes = std::get_if<register_store<value>>(&child.value.data())) {
            if (writes->size() > 1 || rules_.may_bound(path, child.key.type()))
                visit(child.key.type());
        } else if (const auto* map = std::get_if<map_store>(&child.value.data())) {
            walk(*map, path, visit);
        } else if (std::holds_alternative<counter_store>(child.value.data())) {
            if (rules_.may_bound(path, child.key.type())) visit(child.key.type());
        }
        path.pop_back();
    }
}

void conflict_index::rebuild(const keyspace& state, std::uint64_t stamp_ms, outcome& out) {
    std::vector<place> before;
    for (const auto& [where, one] : open_) before.push_back(where);
    for (place& where : before) {
        auto now = look(state, path_views(where.path), where.type);
        note({std::move(where)}, std::move(now), state, settled_within_state, stamp_ms, out);
    }
    std::vector<std::string_view> path;
    walk(state.root(), path, [&](type_id type) {
        auto now = look(state, path, type);
        if (!now) return;
        note({{owned_path(path), type}}, std::move(now), state, settled_within_state, stamp_ms,
             out);
    });
}

void conflict_index::load(const keyspace& state, std::uint64_t newest_ms) {
    std::vector<std::string_view> path;
    walk(state.root(), path, [&](type_id type) {
        auto found = look(state, path, type);
        if (!found) return;
        for (const sibling& s : found->what.siblings)
            found->since_ms = std::max(found->since_ms, s.stamp.ms());
        if (found->since_ms == 0) found->since_ms = newest_ms;
        count(*found, true);
        open_.emplace(place{owned_path(path), type}, std::move(*found));
    });
}

std::vector<conflict_index::place>
conflict_index::at_and_below(std::span<const std::string_view> path) const {
    std::vector<place> out;
    std::vector<std::string> prefix = owned_path(path);
    for (auto at = open_.lower_bound(place{prefix, whole_name}); at != open_.end(); ++at) {
        const auto& there = at->first.path;
        bool below = there.size() >= prefix.size() &&
                     std::equal(prefix.begin(), prefix.end(), there.begin());
        if (!below) break;
        out.push_back(at->first);
    }
    return out;
}

} // namespace weft
