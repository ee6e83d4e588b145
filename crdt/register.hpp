#pragma once
#include "clock/hlc.hpp"
#include "crdt/dot_store.hpp"

#include <optional>
#include <vector>

namespace weft {

// What a register write leaves behind: its value and when it was written.
template <class T>
struct stamped {
    hlc at;
    T content;

    void encode_to(byte_writer& out) const {
        out.u64(at.raw);
        encode_part(out, content);
    }
    [[nodiscard]] static stamped decode_from(byte_reader& in) {
        hlc at{in.u64()};
        return {at, decode_part<T>(in)};
    }
    bool operator==(const stamped&) const = default;
};

template <class T>
using register_store = dot_fun<stamped<T>>;

// The sibling that last writer wins gives: the highest (HLC, replica id, counter). Null if there is
// none.
template <class T>
[[nodiscard]] const typename register_store<T>::entry* latest(const register_store<T>& siblings) {
    const typename register_store<T>::entry* best = nullptr;
    for (const auto& e : siblings) {
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

    [[nodiscard]] std::vector<T> read() const {
        std::vector<T> out;
        for (const auto& e : this->state_.store) out.push_back(e.payload.content);
        return out;
    }
};

static_assert(join_semilattice<lww_register<int>>);
static_assert(join_semilattice<mv_register<std::string>>);

} // namespace weft
