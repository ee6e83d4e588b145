#pragma once
#include "crdt/dot_store.hpp"

#include <algorithm>
#include <map>
#include <set>
#include <vector>

namespace weft {

// Grow-only set: elements are added and never removed; no dots and no context, so it is the
// cheapest set. Inside a replica, where a whole object can be deleted, `grow_set` carries dots like
// add_wins_set.
//
//   state   the elements
//   cost    add, contains: O(log n); join: O(n + m)
//   source  Shapiro et al., "A comprehensive study of convergent and commutative replicated data
//           types", 2011
template <std::totally_ordered E>
class grow_set {
public:
    [[nodiscard]] grow_set add(const E& element) const { // the delta
        grow_set out;
        out.elements_.insert(element);
        return out;
    }
    [[nodiscard]] bool contains(const E& element) const { return elements_.contains(element); }
    [[nodiscard]] std::vector<E> elements() const { return {elements_.begin(), elements_.end()}; }

    void join(const grow_set& other) {
        elements_.insert(other.elements_.begin(), other.elements_.end());
    }

    [[nodiscard]] bytes encoded() const {
        byte_writer out;
        out.u8(1);
        out.varint(elements_.size());
        for (const E& e : elements_) encode_part(out, e);
        return out.take();
    }
    [[nodiscard]] static result<grow_set> decoded(byte_view data) {
        byte_reader in(data);
        grow_set out;
        if (in.u8() != 1) in.reject("unknown format version");
        for (std::size_t left = in.count(1); left > 0 && in.good(); --left) {
            E element = decode_part<E>(in);
            if (!out.elements_.empty() && !(*out.elements_.rbegin() < element)) {
                in.reject("elements out of order");
            }
            out.elements_.insert(out.elements_.end(), std::move(element));
        }
        if (in.good() && !in.at_end()) in.reject("bytes after the end");
        if (!in.good()) return fail(errc::bad_message, "encoded CRDT: " + in.problem());
        return out;
    }
    bool operator==(const grow_set&) const = default;

private:
    std::set<E> elements_;
};

// Grow-only counter: replica -> sum of its increments, joined by maximum.
//   cost    increment, value: O(n) replicas, 16 bytes each
//   errors  none; the value saturates at 2^64 - 1
//   source  Shapiro et al. 2011
class grow_counter {
public:
    [[nodiscard]] grow_counter increment(replica_id self, std::uint64_t by) const { // the delta
        grow_counter out;
        auto found = sums_.find(self);
        out.sums_[self] = saturated(found == sums_.end() ? 0 : found->second, by);
        return out;
    }
    [[nodiscard]] std::uint64_t read() const {
        std::uint64_t sum = 0;
        for (const auto& [replica, own] : sums_) sum = saturated(sum, own);
        return sum;
    }
    void join(const grow_counter& other) {
        for (const auto& [replica, sum] : other.sums_)
            sums_[replica] = std::max(sums_[replica], sum);
    }

    [[nodiscard]] bytes encoded() const;
    [[nodiscard]] static result<grow_counter> decoded(byte_view data);
    bool operator==(const grow_counter&) const = default;

private:
    static std::uint64_t saturated(std::uint64_t a, std::uint64_t b) {
        return a + b < a ? UINT64_MAX : a + b;
    }

    std::map<replica_id, std::uint64_t> sums_;
};

static_assert(join_semilattice<grow_set<int>>);
static_assert(join_semilattice<grow_counter>);

} // namespace weft
