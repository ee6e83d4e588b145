#pragma once
#include "crdt/object.hpp"

#include <string>
#include <vector>

namespace weft {

// Observed-remove map from string to any replicated type, nested. An update of a child that is
// concurrent with its removal survives.
//
//   state   (field, type) -> the child's dot store; all share the map's context
//   cost    O(log n) to find a child, plus the child's own cost
//   errors  none: names, values and depth are checked where callers come in
//   source  Almeida, Shoker, Baquero 2018, section 7.4 (ORMap); counters in it: Baquero et al. 2016
class map : public causal_type<map, map_store> {
public:
    // The delta that changes one child. `change` takes the child's store (an empty one if it is not
    // there) and gives the child's delta, store and seen dots:
    //
    //   m.update<counter_store>("visits", {type_kind::counter}, [&](const counter_store& c) {
    //       return causal{c.increment(fresh, 1), seen(fresh)};
    //   });
    template <class Store, class Change>
    [[nodiscard]] map update(std::string_view field, type_id type, Change change) const {
        const object* there = state_.store.find({field, type});
        static const Store nothing;
        causal<Store> part = change(there == nullptr ? nothing : there->as<Store>());
        return wrap(field, type, {object(std::move(part.store)), std::move(part.context)});
    }

    // The delta that writes a last-writer-wins register.
    [[nodiscard]] map put(dot fresh, hlc at, std::string_view field, value content) const;
    // The delta that adds to a counter.
    [[nodiscard]] map increment(dot fresh, std::string_view field, std::int64_t by) const;
    // The delta that adds to an add-wins set of the element's kind.
    [[nodiscard]] map add(dot fresh, std::string_view field, const value& element) const;
    // The delta that changes a map below: `change` takes a copy of that map, with the same context,
    // and gives its delta.
    template <class Change>
    [[nodiscard]] map nested(std::string_view field, Change change) const {
        map child;
        child.state_.context = state_.context;
        if (const object* there = state_.store.find({field, {type_kind::map}})) {
            child.state_.store = there->as<map_store>();
        }
        map part = change(std::as_const(child));
        return wrap(field, {type_kind::map}, {object(part.state_.store), part.state_.context});
    }
    // The delta that removes what is seen under `field`, whatever its types.
    [[nodiscard]] map remove(std::string_view field) const;
    [[nodiscard]] map clear() const;

    [[nodiscard]] std::optional<value> get(std::string_view field) const; // of a register
    [[nodiscard]] std::int64_t count(std::string_view field) const; // of a counter; 0 if absent
    [[nodiscard]] bool contains(std::string_view field) const;      // of any type, with a live dot
    [[nodiscard]] const object* child(std::string_view field,
                                      type_id type) const; // null if not live
    [[nodiscard]] std::vector<std::string> fields() const; // with a live dot, in order

private:
    [[nodiscard]] static map wrap(std::string_view field, type_id type, causal<object> part);
};

// A context that has seen `fresh` and the dots of `replaced`, for the deltas of children.
template <class Store>
[[nodiscard]] causal_context seen_with(dot fresh, const Store& replaced) {
    causal_context out = context_of(dots_of(replaced));
    out.insert(fresh);
    return out;
}

static_assert(join_semilattice<map>);

} // namespace weft
