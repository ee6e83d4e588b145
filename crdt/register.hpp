#pragma once
#include "clock/hlc.hpp"
#include "crdt/dot_store.hpp"

#include <optional>
#include <vector>

namespace weft {

// Whether a write left a value: a remove that is kept (value::absent) did not.
template <class T>
[[nodiscard]] bool is_present(const T& content) {
    if constexpr (std::same_as<T, value>) {
        return !content.is_absent();
    } else {
        return true;
    }
}

// What a register write leaves behind: its value and when it was written.
template <class T>
struct stamped {
    hlc at;
    T content;
    static constexpr bool trivially_relocatable = weft::trivially_relocatable<T>;

    void encode_to(byte_writer& out) const {
        out.u64(at.raw);
        encode_part(out, content);
    }
    [[nodiscard]] static stamped decode_from(byte_reader& in) {
        hlc at{in.u64()};
        if constexpr (std::same_as<T, value>) {
            return {at, decode_value_or_absent(in)};
        } else {
            return {at, decode_part<T>(in)};
        }
    }
    bool operator==(const stamped&) const = default;
};

template <class T>
using register_store = dot_fun<stamped<T>>;

// Whether a reader sees it: a register that holds nothing but removes is not there.
template <class T>
[[nodiscard]] bool any_present(const register_store<T>& siblings) {
    for (const auto& e : siblings) {
        if (is_present(e.payload.content)) return true;
    }
    return false;
}

// The value that last writer wins gives: of the highest (HLC, replica id, counter). Removes that are kept
// do not count: a remove takes only what it has seen. Null if there is none.
template <class T>
[[nodiscard]] const typename register_store<T>::entry* latest(const register_store<T>& siblings) {
    const typename register_store<T>::entry* best = nullptr;
    for (const auto& e : siblings) {
        if (!is_present(e.payload.content)) continue;
        if (best == nullptr ||
            std::tie(best->payload.at, best->at) < std::tie(e.payload.at, e.at)) {
            best = &e;
        }
    }
    return best;
}

// Last-writer-wins register. Concurrent writes are all kept until a later write has seen them, so
// that deleting the winner alone does not lose the loser; reads give the highest (HLC, replica id).
//
//   state   dot -> (HLC, value), one dot per concurrent write
//   cost    write, remove, read: O(k), k concurrent writes
//   errors  none: limits are checked where bytes and callers come in
//   source  Shapiro et al. 2011 for the reading; dots as in Almeida, Shoker, Baquero 2018
template <class T>
class lww_register : public causal_type<lww_register<T>, register_store<T>> {
public:
    // The delta that writes `content` under `fresh`, which must not be in the context yet.
    [[nodiscard]] lww_register write(dot fresh, hlc at, T content) const {
        return this->delta({fresh, {at, std::move(content)}}, fresh, this->state_.store);
    }
    // The delta that removes the writes seen here.
    [[nodiscard]] lww_register remove() const { return this->delta({}, {}, this->state_.store); }
    // The same, but the remove is kept: beside a write that it did not see it stays, as a sibling.
    [[nodiscard]] lww_register retract(dot fresh, hlc at) const
        requires std::same_as<T, value>
    {
        return write(fresh, at, value::absent());
    }

    [[nodiscard]] std::optional<T> read() const {
        const auto* best = latest<T>(this->state_.store);
        return best == nullptr ? std::nullopt : std::optional<T>(best->payload.content);
    }
};

// Multi-value register: reads give every concurrent value, in dot order; a resolver may fold them.
//   state, cost, errors, source as lww_register
template <class T>
class mv_register : public causal_type<mv_register<T>, register_store<T>> {
public:
    [[nodiscard]] mv_register write(dot fresh, hlc at, T content) const {
        return this->delta({fresh, {at, std::move(content)}}, fresh, this->state_.store);
    }
    [[nodiscard]] mv_register remove() const { return this->delta({}, {}, this->state_.store); }
    [[nodiscard]] mv_register retract(dot fresh, hlc at) const
        requires std::same_as<T, value>
    {
        return write(fresh, at, value::absent());
    }

    [[nodiscard]] std::vector<T> read() const {
        std::vector<T> out;
        for (const auto& e : this->state_.store) {
            if (is_present(e.payload.content)) out.push_back(e.payload.content);
        }
        return out;
    }
};

static_assert(join_semilattice<lww_register<int>>);
static_assert(join_semilattice<mv_register<std::string>>);

} // namespace weft
