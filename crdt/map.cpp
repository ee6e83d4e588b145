#include "crdt/map.hpp"

namespace weft {

map map::wrap(std::string_view field, type_id type, causal<object> part) {
    map out;
    out.state_.store = map_store::partial();
    object& child = out.state_.store.find_or_insert({field, type});
    child = std::move(part.store);
    out.state_.store.settle({field, type}, child, false);
    out.state_.context = std::move(part.context);
    return out;
}

map map::put(dot fresh, hlc at, std::string_view field, value content) const {
    return update<register_store<value>>(
        field, {type_kind::lww_register}, [&](const register_store<value>& there) {
            return causal<register_store<value>>{{fresh, {at, std::move(content)}},
                                                 seen_with(fresh, there)};
        });
}

map map::increment(dot fresh, std::string_view field, std::int64_t by) const {
    return update<counter_store>(field, {type_kind::counter}, [&](const counter_store& there) {
        return causal<counter_store>{there.increment(fresh, by), seen_with(fresh, dot_set())};
    });
}

map map::add(dot fresh, std::string_view field, const value& element) const {
    type_id type{type_kind::add_wins_set, element.kind() == value_kind::null
                                              ? element_kind::any
                                              : static_cast<element_kind>(element.kind())};
    return update<add_wins_store<value>>(field, type, [&](const add_wins_store<value>& there) {
        const dot_set* replaced = there.find(element);
        return causal<add_wins_store<value>>{
            add_wins_store<value>::partial(element, dot_set(fresh)),
            seen_with(fresh, replaced == nullptr ? dot_set() : *replaced)};
    });
}

map map::remove(std::string_view field) const {
    map out;
    out.state_.store = map_store::partial();
    for (auto at =
             state_.store.children().lower_bound(child_ref{field, {type_kind{}, element_kind{}}});
         at != state_.store.children().end() && at->key.name() == field; ++at) {
        causal<object> part = at->value.removal();
        if (part.store.empty() && part.context.empty()) continue;
        out.state_.store.find_or_insert({field, at->key.type()}) = std::move(part.store);
        out.state_.context.join(part.context);
    }
    return out;
}

map map::clear() const {
    causal<object> part = object(state_.store).removal();
    map out;
    out.state_.store = part.store.as<map_store>();
    out.state_.context = std::move(part.context);
    return out;
}

std::optional<value> map::get(std::string_view field) const {
    const object* there = child(field, {type_kind::lww_register});
    if (there == nullptr) return std::nullopt;
    return latest<value>(there->as<register_store<value>>())->payload.content;
}

std::int64_t map::count(std::string_view field) const {
    const object* there = child(field, {type_kind::counter});
    return there == nullptr ? 0 : there->as<counter_store>().read();
}

bool map::contains(std::string_view field) const {
    for (auto at =
             state_.store.children().lower_bound(child_ref{field, {type_kind{}, element_kind{}}});
         at != state_.store.children().end() && at->key.name() == field; ++at) {
        if (at->value.live()) return true;
    }
    return false;
}

const object* map::child(std::string_view field, type_id type) const {
    const object* there = state_.store.find({field, type});
    return there != nullptr && there->live() ? there : nullptr;
}

std::vector<std::string> map::fields() const {
    std::vector<std::string> out;
    for (const auto& child : state_.store.children()) {
        std::string_view name = child.key.name();
        if (child.value.live() && (out.empty() || out.back() != name)) out.emplace_back(name);
    }
    return out;
}

} // namespace weft
