#pragma once
#include "base/result.hpp"
#include "crdt/dot_store.hpp"

#include <cstdint>
#include <vector>

namespace weft {

// What a bounded counter is, for ever: part of its identity, so two replicas that create "stock"
// with different bounds at the same time have two counters (a conflict), never one with two bounds.
struct bounded_spec {
    replica_id creator{};
    std::int64_t bound = 0;
    std::int64_t initial = 0;
    bool at_most = false; // false: value >= bound; true: value <= bound

    // How far the value starts from its bound: the rights that the creator begins with.
    [[nodiscard]] std::uint64_t initial_rights() const;
    // It starts on the right side of its bound, and at most 2^62 away from it.
    [[nodiscard]] bool valid() const;
    auto operator<=>(const bounded_spec&) const = default;
};

// The data half of a bounded counter: per spec, a row per replica that only that replica writes,
// joined by its higher op. A right allows to move the value by one towards the bound. Moving away
// from the bound makes rights, moving towards it spends them, and a replica may send some of its
// own to another.
//
//   rights of i = initial (if creator) + gained by i - spent by i + sent to i - sent by i
//
// which never falls below 0.
//
//   cost    O(r) rows; a row holds 32 bytes and 16 for each replica it ever sent rights to
//   source  Balegas et al., "Extending eventually consistent cloud databases for enforcing numeric
//           invariants", SRDS 2015; escrow: O'Neil 1986
class bounded_store {
public:
    struct sent_rights {
        replica_id to{};
        std::uint64_t amount = 0; // in all
        bool operator==(const sent_rights&) const = default;
    };
    struct row {
        replica_id replica{};
        std::uint64_t last_op = 0;
        std::uint64_t gained = 0;
        std::uint64_t spent = 0;
        std::vector<sent_rights> sent; // sorted by replica
        bool operator==(const row&) const = default;
    };
    struct instance {
        bounded_spec spec;
        std::vector<row> rows; // sorted by replica

        [[nodiscard]] std::int64_t read() const; // saturates
        [[nodiscard]] std::uint64_t rights_of(replica_id replica) const;
        bool operator==(const instance&) const = default;
    };

    // Fragments. The caller has checked with `check_add` and `check_transfer`.
    [[nodiscard]] static bounded_store create(dot fresh, const bounded_spec& spec);
    [[nodiscard]] bounded_store add(dot fresh, const bounded_spec& spec, std::int64_t by) const;
    [[nodiscard]] bounded_store transfer(dot fresh, const bounded_spec& spec, replica_id to,
                                         std::uint64_t amount) const;

    // bound_exceeded, with the rights here and who holds more, if `self` may not do it.
    [[nodiscard]] result<void> check_add(replica_id self, const bounded_spec& spec,
                                         std::int64_t by) const;
    [[nodiscard]] result<void> check_transfer(replica_id self, const bounded_spec& spec,
                                              std::uint64_t amount) const;

    // The counter that reads give: of several specs under one key, the lowest. Null if there is
    // none.
    [[nodiscard]] const instance* chosen() const {
        return instances_.empty() ? nullptr : &instances_[0];
    }
    [[nodiscard]] const instance* find(const bounded_spec& spec) const;
    [[nodiscard]] const std::vector<instance>& instances() const { return instances_; }
    [[nodiscard]] bool empty() const { return instances_.empty(); }

    void join(const bounded_store& other);
    void join(const bounded_spec& spec, const row& theirs); // one row of another state
    template <seen Mine, seen Theirs>
    void join(const bounded_store& other, const Mine&, const Theirs&) {
        join(other);
    }

    template <class Visit>
    void for_each_dot(Visit visit) const {
        for (const instance& i : instances_) {
            for (const row& r : i.rows) visit(dot{r.replica, r.last_op});
        }
    }

    void encode_to(byte_writer& out) const;
    [[nodiscard]] static bounded_store decode_from(byte_reader& in);
    bool operator==(const bounded_store&) const = default;

private:
    [[nodiscard]] row own_row(dot fresh, const bounded_spec& spec) const;

    std::vector<instance> instances_; // sorted by spec
};

void encode(byte_writer& out, const bounded_spec& spec);
[[nodiscard]] bounded_spec decode_bounded_spec(byte_reader& in);

// Counter that never crosses its bound on any replica, even partitioned. Never removed.
//   state, cost, source  as bounded_store
//   errors  bound_exceeded: not enough rights here; ask a replica that has some for a transfer
class bounded_counter : public causal_type<bounded_counter, bounded_store> {
public:
    // The first state, made by one replica (`spec.creator`, which must be `fresh.replica`).
    [[nodiscard]] static bounded_counter create(dot fresh, const bounded_spec& spec);

    [[nodiscard]] result<bounded_counter> increment(dot fresh, std::int64_t by) const;
    [[nodiscard]] result<bounded_counter> decrement(dot fresh, std::int64_t by) const;
    [[nodiscard]] result<bounded_counter> transfer(dot fresh, replica_id to,
                                                   std::uint64_t amount) const;

    [[nodiscard]] std::int64_t read() const; // 0 before it was created
    [[nodiscard]] std::uint64_t rights_of(replica_id replica) const;
};

static_assert(join_semilattice<bounded_counter>);

} // namespace weft
