#pragma once
#include "crdt/dot_store.hpp"
#include "crdt/flag.hpp"

#include <vector>

namespace weft {

template <class E>
using add_wins_store = dot_map<E, dot_set>;

template <class E>
using remove_wins_store = dot_map<E, flag_store>;

// Add-wins set: an add survives a concurrent remove of the same element.
//
//   state   element -> the dots of the adds that keep it alive; no tombstones
//   cost    add, remove, contains: O(log n + k), k live dots of that element; 16 bytes per live add
//   errors  none: the limits of base/limits.hpp are checked where bytes and callers come in
//   source  Almeida, Shoker, Baquero, "Delta state replicated data types", JPDC 2018
template <std::totally_ordered E>
class add_wins_set : public causal_type<add_wins_set<E>, add_wins_store<E>> {
public:
    using store_type = add_wins_store<E>;

    // The delta that adds `element` under `fresh`, which must not be in the context yet.
    [[nodiscard]] add_wins_set add(dot fresh, const E& element) const {
        return this->delta(store_type::partial(element, dot_set(fresh)), fresh, dots_of(element));
    }
    // The delta that removes the adds of `element` seen here; empty if there are none.
    [[nodiscard]] add_wins_set remove(const E& element) const {
        const dot_set* there = this->state_.store.find(element);
        if (there == nullptr) return this->delta(store_type::partial(), {}, dot_set());
        return this->delta(store_type::partial(element, {}), {}, *there);
    }
    // The delta that removes every add seen here.
    [[nodiscard]] add_wins_set clear() const { return this->delta({}, {}, this->state_.store); }

    [[nodiscard]] bool contains(const E& element) const {
        const dot_set* there = this->state_.store.find(element);
        return there != nullptr && !there->empty();
    }
    [[nodiscard]] std::vector<E> elements() const { // in order
        std::vector<E> out;
        for (const auto& e : this->state_.store) {
            if (!e.value.empty()) out.push_back(e.key);
        }
        return out;
    }

private:
    [[nodiscard]] dot_set dots_of(const E& element) const {
        const dot_set* there = this->state_.store.find(element);
        return there == nullptr ? dot_set() : *there;
    }
};

// Remove-wins set: a remove beats a concurrent add of the same element, also of one it has not
// seen.
//
//   state   element -> (dot -> added or removed); a remove leaves a mark, which a later add of the
//           same element removes, or causal stability (`forget_stable`)
//   cost    as add_wins_set
//   source  Bieniusa et al., "An optimized conflict-free replicated set", 2012, for the semantics
template <std::totally_ordered E>
class remove_wins_set : public causal_type<remove_wins_set<E>, remove_wins_store<E>> {
public:
    using store_type = remove_wins_store<E>;

    [[nodiscard]] remove_wins_set add(dot fresh, const E& element) const {
        return mark(fresh, element, true);
    }
    [[nodiscard]] remove_wins_set remove(dot fresh, const E& element) const {
        return mark(fresh, element, false);
    }
    [[nodiscard]] remove_wins_set clear() const { return this->delta({}, {}, this->state_.store); }

    [[nodiscard]] bool contains(const E& element) const {
        const flag_store* there = this->state_.store.find(element);
        return there != nullptr && all_enabled(*there);
    }
    [[nodiscard]] std::vector<E> elements() const {
        std::vector<E> out;
        for (const auto& e : this->state_.store) {
            if (all_enabled(e.value)) out.push_back(e.key);
        }
        return out;
    }

    // The delta that drops removed elements all of whose dots are stable: every operation that is
    // not joined here yet has seen them. Changes no reading, here or at any replica: whatever comes
    // later has seen those dots, and so would have removed them itself.
    [[nodiscard]] remove_wins_set forget_stable(const version_vector& stable) const {
        store_type forgotten = store_type::partial();
        std::vector<dot> dots;
        for (const auto& e : this->state_.store) {
            bool settled =
                !all_enabled(e.value) && std::all_of(e.value.begin(), e.value.end(),
                                                     [&](auto& s) { return stable.covers(s.at); });
            if (!settled) continue;
            forgotten.put(e.key, {});
            e.value.for_each_dot([&](dot d) { dots.push_back(d); });
        }
        remove_wins_set out;
        out.state_.store = std::move(forgotten);
        out.state_.context = context_of(std::move(dots));
        return out;
    }

private:
    [[nodiscard]] remove_wins_set mark(dot fresh, const E& element, bool present) const {
        const flag_store* there = this->state_.store.find(element);
        return this->delta(store_type::partial(element, flag_store(fresh, present)), fresh,
                           there == nullptr ? flag_store() : *there);
    }
};

static_assert(join_semilattice<add_wins_set<int>>);
static_assert(join_semilattice<remove_wins_set<std::string>>);

} // namespace weft
