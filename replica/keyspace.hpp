#pragma once
#include "replica/change.hpp"
#include "replica/state_digest.hpp"

#include <array>
#include <optional>
#include <vector>

namespace weft {

// What one operation has seen: its change's dependencies, and everything of its origin before it.
struct operation_seen {
    const version_vector& dependencies; // without the origin's own entry
    dot at;

    [[nodiscard]] bool covers(dot d) const {
        return d.replica == at.replica ? d.counter < at.counter : dependencies.covers(d);
    }
};

// Where an operation may have opened, changed or closed a conflict.
struct contested {
    bool object =
        false; // the one at its path holds several writes, or a remove that is kept, or did
    std::uint32_t names =
        0; // bit d: one came or went under the first d + 1 parts of its path, and others live there

    explicit operator bool() const { return object || names != 0; }
};

// How to take back one operation of a local transaction.
struct undo_step {
    std::size_t path_at = 0; // its parts are names of the log
    std::size_t path_size = 0;
    type_id type;
    std::optional<value> element; // of a set
    std::variant<std::monostate, register_store<value>, flag_store, dot_set, counter_store::row,
                 object>
        before;
};
struct undo_log {
    std::vector<undo_step> steps;
    std::string names; // of all paths, one after the other …
    std::vector<std::size_t> name_ends;
    object_weight weight; // of the whole keyspace, before the first step

    void add(const operation& op);
    [[nodiscard]] std::string_view name(std::size_t index) const;
    void clear(); // keeps its space for the next transaction
};

// Named objects in one ordered keyspace, all under one context that the caller keeps: the replica's
// version vector. Also the digest of it all, kept as operations are applied.
//
//   cost    apply: O(depth * log n) and the size of the operation; reads O(log n)
class keyspace {
public:
    // Applies an operation that has not been applied yet and whose causes have. With `undo`, the
    // operation is local: it has seen everything here, and can be taken back.
    contested apply(const operation& op, dot at, hlc stamp, const version_vector& dependencies,
                    undo_log* undo) {
        return apply(op, value(op.argument), at, stamp, dependencies, undo, nullptr);
    }
    void roll_back(undo_log&& undo);
    class series;

    // Adds a fragment of an object of a state image to the fragments before it.
    void load(std::span<const std::string_view> path, type_id type, object&& fragment);

    // Puts a whole object, not empty, where there is none. Gives its weight.
    object_weight put(child_ref where, object&& whole);

    // The object at a path, if it has a live dot.
    [[nodiscard]] const object* find(std::span<const std::string_view> path, type_id type) const;
    // Also a counter's record without a live dot, or a set that holds only remove marks.
    // Of a register also one that holds only removes that are kept.
    [[nodiscard]] const object* find_record(std::span<const std::string_view> path,
                                            type_id type) const;
    // The live types under one name, in the order by which reads without a type choose: the first.
    [[nodiscard]] std::vector<type_id> types_at(std::span<const std::string_view> path) const;

    [[nodiscard]] const map_store& root() const { return root_; }
    [[nodiscard]] std::size_t objects() const { return root_.live_children(); }
    [[nodiscard]] const state_digest& digest() const { return weight_.digest; }
    [[nodiscard]] std::uint64_t state_bytes() const { return weight_.state_bytes; }

    // Frees about so many entries of a state that nobody needs any more: objects, elements of sets, fields of
    // maps. True once nothing is left; before, it is only to be released further.
    bool release(std::size_t entries) { return root_.release(entries); }

    // Recounts everything from the objects: digest, live counts. For tests; `weft verify` does it in slices.
    void check_invariants() const;

private:
    using glimpse = map_store::children_type::glimpse;

    // `argument` is that of `op`, which need not hold it any more; `found`, if any, of its key.
    contested apply(const operation& op, value&& argument, dot at, hlc stamp,
                    const version_vector& dependencies, undo_log* undo, const glimpse* found);
    void apply_at(map_store& parent, const path_hash& parent_hash, std::size_t depth,
                  const operation& op, value&& argument, const operation_seen& seen, hlc stamp,
                  undo_log* undo, const glimpse* found, contested& where);
    void apply_here(object& target, const path_hash& here, const operation& op, value&& argument,
                    const operation_seen& seen, hlc stamp, undo_step* undo);
    void load_at(map_store& parent, const path_hash& parent_hash,
                 std::span<const std::string_view> path, type_id type, object&& fragment);
    void restore(map_store& parent, std::size_t depth, undo_step& step, const undo_log& undo);

    map_store root_;
    object_weight weight_;
};

// Applies operations one after the other. It asks memory for what several of them will touch before it
// applies the first: most of the time that one takes is waiting for that, and so the waits overlap. Nothing
// but the series, and copies, touches the keyspace meanwhile.
class keyspace::series {
public:
    series(keyspace& into, std::span<operation> all) : into_(into), left_(all) {}

    [[nodiscard]] const operation& next() const { return left_.front(); }
    // Applies `next()`, as keyspace::apply does, but for the argument, which is moved away.
    contested take(dot at, hlc stamp, const version_vector& dependencies, undo_log* undo);

private:
    static constexpr std::size_t together = 16;

    void fetch();

    keyspace& into_;
    std::span<operation> left_;
    std::array<glimpse, together> places_;
    std::size_t fetched_ = 0;
    std::size_t next_ = together;
};

} // namespace weft
