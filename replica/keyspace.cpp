#include "replica/keyspace.hpp"

#include "base/check.hpp"

#include <algorithm>
#include <array>

namespace weft {
namespace {

struct all_seen {
    static bool covers(dot) { return true; }
};

// Writes one entry into a leaf store. Its dot is new, and a local operation has seen all that is here: the
// old store is moved to `undo` instead of being joined away.
template <class Store>
void write_leaf(Store& mine, typename Store::entry fresh, const operation_seen& seen,
                undo_step* undo) {
    if (undo != nullptr) {
        undo->before = std::move(mine);
        mine = Store();
        mine.insert(std::move(fresh));
    } else {
        mine.write(std::move(fresh), seen);
    }
}

// Of a register.
bool is_contested(const object& there) {
    const auto& writes = there.as<register_store<value>>();
    std::size_t count = writes.size();
    return count > 1 || (count == 1 && writes.begin()->payload.content.is_absent());
}

// Of fewer objects than this most lie in a cache anyway.
constexpr std::size_t worth_fetching = 2'000;

type_id type_at(const operation& op, std::size_t depth) {
    return depth + 1 == op.path.size() ? op.type : type_id{type_kind::map};
}

} // namespace

void undo_log::add(const operation& op) {
    steps.push_back({name_ends.size(), op.path.size(), op.type, {}, {}});
    for (std::string_view part : op.path) {
        names += part;
        name_ends.push_back(names.size());
    }
}

std::string_view undo_log::name(std::size_t index) const {
    std::size_t begin = index == 0 ? 0 : name_ends[index - 1];
    return std::string_view(names).substr(begin, name_ends[index] - begin);
}

void undo_log::clear() {
    steps.clear();
    names.clear();
    name_ends.clear();
}

contested keyspace::apply(const operation& op, value&& argument, dot at, hlc stamp,
                          const version_vector& dependencies, undo_log* undo,
                          const glimpse* found) {
    if (undo != nullptr) {
        if (undo->steps.empty()) undo->weight = weight_;
        undo->add(op);
    }
    contested where;
    apply_at(root_, {}, 0, op, std::move(argument), {dependencies, at}, stamp, undo, found, where);
    return where;
}

void keyspace::series::fetch() {
    const map_store::children_type& all = into_.root_.children();
    std::size_t count = std::min(left_.size(), together);
    next_ = 0;
    fetched_ = count < 2 || all.size() < worth_fetching ? 0 : count;
    std::array<const object*, together> objects;
    auto name = [&](std::size_t i) { return child_ref{left_[i].path[0], type_at(left_[i], 0)}; };
    for (std::size_t i = 0; i < fetched_; ++i) places_[i] = all.approach(name(i));
    for (std::size_t i = 0; i < fetched_; ++i) {
        const auto* entry = all.sight(places_[i], name(i));
        objects[i] = entry == nullptr ? nullptr : &entry->value;
    }
    for (std::size_t i = 0; i < fetched_; ++i) {
        if (objects[i] != nullptr) objects[i]->fetch();
    }
}

contested keyspace::series::take(dot at, hlc stamp, const version_vector& dependencies,
                                 undo_log* undo) {
    if (next_ == together) fetch();
    const auto* where = next_ < fetched_ ? &places_[next_] : nullptr;
    ++next_;
    operation& op = left_.front();
    left_ = left_.subspan(1);
    return into_.apply(op, std::move(op.argument), at, stamp, dependencies, undo, where);
}

void keyspace::apply_at(map_store& parent, const path_hash& parent_hash, std::size_t depth,
                        const operation& op, value&& argument, const operation_seen& seen,
                        hlc stamp, undo_log* undo, const glimpse* found, contested& where) {
    bool last = depth + 1 == op.path.size();
    child_ref name{op.path[depth], type_at(op, depth)};
    if (op.what == action::remove && std::as_const(parent).find(name) == nullptr) return;
    bool alone = false;
    object& child = parent.find_or_insert(name, &alone, found);
    bool was_live = child.live();
    path_hash here = parent_hash.child(name.name, name.type);
    if (last) {
        bool writes = is_register(op.type.kind);
        bool before = writes && is_contested(child);
        apply_here(child, here, op, std::move(argument), seen, stamp,
                   undo == nullptr ? nullptr : &undo->steps.back());
        where.object = before || (writes && is_contested(child)) || op.what == action::resolve;
    } else {
        apply_at(child.as<map_store>(), here, depth + 1, op, std::move(argument), seen, stamp, undo,
                 nullptr, where);
    }
    bool came_or_went = parent.settle(name, child, was_live);
    if (came_or_went && !alone && parent.lives_beside(name)) where.names |= 1U << depth;
}

void keyspace::apply_here(object& target, const path_hash& here, const operation& op,
                          value&& argument, const operation_seen& seen, hlc stamp,
                          undo_step* undo) {
    auto write_flag = [&](flag_store& store, bool enabled) {
        weight_.subtract(weigh(here, store));
        write_leaf(store, {seen.at, enabled}, seen, undo);
        weight_.add(weigh(here, store));
    };
    auto write_register = [&](register_store<value>& store) {
        weight_.subtract(weigh(here, store));
        stamped<value>* old = undo != nullptr ? nullptr : store.write_over(seen.at, seen);
        if (old != nullptr) {
            old->at = stamp;
            old->content.take(std::move(argument));
        } else {
            stamped<value> fresh{stamp, {}};
            fresh.content.take(std::move(argument));
            write_leaf(store, {seen.at, std::move(fresh)}, seen, undo);
        }
        weight_.add(weigh(here, store));
    };
    auto change_element = [&](auto& set, const auto* before, const auto& fragment) {
        weight_.subtract(weigh_element(here, argument, before));
        if (undo != nullptr) {
            undo->element = argument;
            if (before != nullptr) {
                undo->before = *before;
            } else {
                undo->before = std::decay_t<decltype(fragment)>();
            }
        }
        weight_.add(
            weigh_element(here, argument, set.join_at(argument, fragment, nothing_seen{}, seen)));
    };
    switch (op.what) {
        case action::resolve:
            if (!is_register(op.type.kind)) break; // it names who; what settles is beside it
            [[fallthrough]];
        case action::write:
        case action::retract:
            if (op.what == action::retract) argument = value::absent();
            write_register(target.as<register_store<value>>());
            break;
        case action::enable:
        case action::disable: write_flag(target.as<flag_store>(), op.what == action::enable); break;
        case action::add:
        case action::remove_element:
            if (op.type.kind == type_kind::remove_wins_set) {
                auto& set = target.as<remove_wins_elements>();
                change_element(set, set.marks().find(argument),
                               flag_store(seen.at, op.what == action::add));
            } else {
                auto& set = target.as<add_wins_store<value>>();
                change_element(set, std::as_const(set).find(argument),
                               op.what == action::add ? dot_set(seen.at) : dot_set());
            }
            break;
        case action::increment:
            if (op.type.kind == type_kind::bounded_counter) {
                auto& store = target.as<bounded_store>();
                if (undo != nullptr) undo->before = target;
                weight_.subtract(weigh(here, store));
                store.join(store.add(seen.at, op.extra->spec, op.amount));
                weight_.add(weigh(here, store));
            } else {
                auto& store = target.as<counter_store>();
                const auto* row = store.find(seen.at.replica);
                if (undo != nullptr) {
                    undo->before =
                        row == nullptr ? counter_store::row{seen.at.replica, 0, 0, 0, 0} : *row;
                }
                weight_.subtract(weigh(here, store));
                store.join(store.increment(seen.at, op.amount));
                weight_.add(weigh(here, store));
            }
            break;
        case action::reset: {
            auto& store = target.as<counter_store>();
            if (undo != nullptr) undo->before = target;
            weight_.subtract(weigh(here, store));
            store.join(op.extra->rows);
            weight_.add(weigh(here, store));
            break;
        }
        case action::create:
        case action::transfer: {
            auto& store = target.as<bounded_store>();
            if (undo != nullptr) undo->before = target;
            weight_.subtract(weigh(here, store));
            store.join(op.what == action::create
                           ? bounded_store::create(seen.at, op.extra->spec)
                           : store.transfer(seen.at, op.extra->spec, op.extra->to,
                                            static_cast<std::uint64_t>(op.amount)));
            weight_.add(weigh(here, store));
            break;
        }
        case action::remove:
            if (undo != nullptr) undo->before = target;
            weight_.subtract(weigh(here, target));
            target.join(object::of_type(op.type.kind), nothing_seen{}, seen);
            weight_.add(weigh(here, target));
            break;
    }
}

void keyspace::load(std::span<const std::string_view> path, type_id type, object&& fragment) {
    load_at(root_, {}, path, type, std::move(fragment));
}

void keyspace::load_at(map_store& parent, const path_hash& parent_hash,
                       std::span<const std::string_view> path, type_id type, object&& fragment) {
    bool last = path.size() == 1;
    child_ref name{path.front(), last ? type : type_id{type_kind::map}};
    object& child = parent.find_or_insert(name);
    bool was_live = child.live();
    path_hash here = parent_hash.child(name.name, name.type);
    if (!last) {
        load_at(child.as<map_store>(), here, path.subspan(1), type, std::move(fragment));
    } else if (auto* adds = std::get_if<add_wins_store<value>>(&fragment.data())) {
        auto& set = child.as<add_wins_store<value>>();
        for (const auto& e : *adds) {
            weight_.subtract(weigh_element(here, e.key, std::as_const(set).find(e.key)));
            weight_.add(weigh_element(here, e.key,
                                      set.join_at(e.key, e.value, nothing_seen{}, nothing_seen{})));
        }
    } else if (auto* marks = std::get_if<remove_wins_elements>(&fragment.data())) {
        auto& set = child.as<remove_wins_elements>();
        for (const auto& e : marks->marks()) {
            weight_.subtract(weigh_element(here, e.key, set.marks().find(e.key)));
            weight_.add(weigh_element(here, e.key,
                                      set.join_at(e.key, e.value, nothing_seen{}, nothing_seen{})));
        }
    } else if (child.empty()) {
        child = std::move(fragment);
        weight_.add(weigh(here, child));
    } else {
        weight_.subtract(weigh(here, child));
        child.join(fragment, nothing_seen{}, nothing_seen{});
        weight_.add(weigh(here, child));
    }
    parent.settle(name, child, was_live);
}

object_weight keyspace::put(child_ref where, object&& whole) {
    object_weight weight = weigh(path_hash{}.child(where.name, where.type), whole);
    object& child = root_.find_or_insert(where);
    WEFT_CHECK(child.empty() && !whole.empty());
    child = std::move(whole);
    weight_.add(weight);
    root_.settle(where, child, false);
    return weight;
}

void keyspace::roll_back(undo_log&& undo) {
    if (undo.steps.empty()) return;
    for (auto step = undo.steps.rbegin(); step != undo.steps.rend(); ++step)
        restore(root_, 0, *step, undo);
    weight_ = undo.weight;
}

void keyspace::restore(map_store& parent, std::size_t depth, undo_step& step,
                       const undo_log& undo) {
    bool last = depth + 1 == step.path_size;
    child_ref name{undo.name(step.path_at + depth), last ? step.type : type_id{type_kind::map}};
    object& child = parent.find_or_insert(name);
    bool was_live = child.live();
    if (!last) {
        restore(child.as<map_store>(), depth + 1, step, undo);
    } else if (auto* whole = std::get_if<object>(&step.before)) {
        child = std::move(*whole);
    } else if (auto* writes = std::get_if<register_store<value>>(&step.before)) {
        child.as<register_store<value>>() = std::move(*writes);
    } else if (auto* row = std::get_if<counter_store::row>(&step.before)) {
        child.as<counter_store>().put(*row);
    } else if (auto* adds = std::get_if<dot_set>(&step.before)) {
        auto& set = child.as<add_wins_store<value>>();
        set.join_at(*step.element, {}, nothing_seen{}, all_seen{});
        if (!adds->empty()) set.put(*step.element, std::move(*adds));
    } else if (auto* marks = std::get_if<flag_store>(&step.before)) {
        if (step.element) {
            child.as<remove_wins_elements>().put(*step.element, std::move(*marks));
        } else {
            child.as<flag_store>() = std::move(*marks);
        }
    }
    parent.settle(name, child, was_live);
}

const object* keyspace::find_record(std::span<const std::string_view> path, type_id type) const {
    const map_store* parent = &root_;
    for (std::size_t depth = 0; depth < path.size(); ++depth) {
        bool last = depth + 1 == path.size();
        const object* child = parent->find({path[depth], last ? type : type_id{type_kind::map}});
        if (child == nullptr || last) return child;
        parent = &child->as<map_store>();
    }
    return nullptr;
}

const object* keyspace::find(std::span<const std::string_view> path, type_id type) const {
    const object* found = find_record(path, type);
    return found != nullptr && found->live() ? found : nullptr;
}

std::vector<type_id> keyspace::types_at(std::span<const std::string_view> path) const {
    std::vector<type_id> out;
    const map_store* parent = &root_;
    if (path.size() > 1) {
        const object* above = find(path.first(path.size() - 1), {type_kind::map});
        if (above == nullptr) return out;
        parent = &above->as<map_store>();
    }
    for (auto at =
             parent->children().lower_bound(child_ref{path.back(), {type_kind{}, element_kind{}}});
         at != parent->children().end() && at->key.name() == path.back(); ++at) {
        if (at->value.live()) out.push_back(at->key.type());
    }
    return out;
}

void keyspace::check_invariants() const {
    object_weight recounted;
    std::size_t live = 0;
    for (const auto& child : root_.children()) {
        recounted.add(weigh(path_hash{}.child(child.key.name(), child.key.type()), child.value));
        live += child.value.live() ? 1 : 0;
        WEFT_CHECK(!child.value.empty());
    }
    WEFT_CHECK(live == root_.live_children());
    WEFT_CHECK(recounted == weight_);
}

} // namespace weft
