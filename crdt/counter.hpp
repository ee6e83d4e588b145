#pragma once
#include "crdt/dot_store.hpp"

#include <cstdint>
#include <vector>

namespace weft {

// The data half of a PN counter. One row per replica that ever wrote it:
//
//   (last op, sum of its increments) and (reset op, sum at that op)
//
// The second pair is the newest state of the row that some reset has seen. Each pair is joined by
// its higher op, and the value is the sum of the differences: a reset removes exactly the
// increments it saw, and concurrent ones survive whole. Rows stay after a reset.
//
//   cost    increment: O(log n), value and reset: O(n), n replicas; 40 bytes a row
//   source  Baquero, Almeida, Lerche, "The problem with embedded CRDT counters and a solution",
//           2016
class counter_store {
public:
    struct row {
        replica_id replica{};
        std::uint64_t last_op = 0;
        std::int64_t sum = 0;
        std::uint64_t reset_op = 0;
        std::int64_t reset_sum = 0;

        [[nodiscard]] bool live() const { return last_op > reset_op; }
        bool operator==(const row&) const = default;
    };

    counter_store() = default;
    explicit counter_store(row only) { rows_.push_back(only); }

    // The fragment that adds `by` under `fresh`; joins of it touch only that row.
    [[nodiscard]] counter_store increment(dot fresh, std::int64_t by) const;
    // The fragment that takes back all that is seen here.
    [[nodiscard]] counter_store reset() const;
    // True if the replica's own sum would leave the range of 64 bits.
    [[nodiscard]] bool would_overflow(replica_id replica, std::int64_t by) const;

    [[nodiscard]] std::int64_t read() const; // saturates
    [[nodiscard]] const row* find(replica_id replica) const;
    [[nodiscard]] const std::vector<row>& rows() const { return rows_; }
    [[nodiscard]] bool live() const;
    [[nodiscard]] bool empty() const { return rows_.empty(); }

    void join(const counter_store& other);
    template <seen Mine, seen Theirs>
    void join(const counter_store& other, const Mine&, const Theirs&) {
        join(other); // rows say themselves what they have seen
    }
    void put(row known); // replaces or erases (if all zero) one row; for undoing a transaction

    template <class Visit>
    void for_each_dot(Visit visit) const {
        for (const row& r : rows_) {
            if (r.live()) visit(dot{r.replica, r.last_op});
        }
    }

    void encode_to(byte_writer& out) const;
    [[nodiscard]] static counter_store decode_from(byte_reader& in);
    bool operator==(const counter_store&) const = default;

private:
    std::vector<row> rows_; // sorted by replica
};

// Counter that goes up and down.
//   state, cost, source  as counter_store
//   errors  none; `read` saturates at the ends of 64 bits; check `store().would_overflow` before
//           writing
class counter : public causal_type<counter, counter_store> {
public:
    [[nodiscard]] counter increment(dot fresh, std::int64_t by = 1) const {
        return delta(state_.store.increment(fresh, by), fresh, dot_set());
    }
    [[nodiscard]] counter decrement(dot fresh, std::int64_t by = 1) const {
        return increment(fresh, static_cast<std::int64_t>(0 - static_cast<std::uint64_t>(by)));
    }
    // The delta that takes back exactly the increments seen here.
    [[nodiscard]] counter reset() const { return delta(state_.store.reset(), {}, dot_set()); }

    [[nodiscard]] std::int64_t read() const { return state_.store.read(); }
};

static_assert(join_semilattice<counter>);

} // namespace weft
