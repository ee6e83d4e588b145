#pragma once
#include "clock/hlc.hpp"
#include "clock/version_vector.hpp"
#include "crdt/object.hpp"
#include "resolve/conflict.hpp"

#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace weft {

// What an operation does to the object at its path. The numbers are part of the run format.
enum class action : std::uint8_t {
    write = 1,  // registers: argument
    enable = 2, // flags
    disable = 3,
    add = 4,            // sets: argument
    remove_element = 5, // sets: argument
    increment = 6,      // counters: amount (any sign; never negative for grow_counter)
    reset = 7,          // counter: rows
    create = 8,         // bounded_counter: spec
    transfer = 9,       // bounded_counter: spec, amount, to
    remove = 10,        // any type that can be removed: all that was seen at the path and below
    retract = 11,       // registers: a remove that is kept, where a rule of its writer says so
    // Who settled a conflict. Of a register also the write that does: argument, or absent; of others the
    // argument says what was given beside it: of a counter the number, of a clash the type that was taken.
    resolve = 12,
};

// What only few operations carry.
struct operation_extra {
    bounded_spec spec;
    replica_id to{};
    counter_store rows;
    std::string who;         // resolve …
    conflict_kind settles{}; // … and what kind of conflict
};

// One operation: where, on what type, what. Borrows its path. Its dot comes from its place in the run.
struct operation {
    std::span<const std::string_view> path; // the key, then fields of maps
    type_id type;                           // of the object at the path
    action what{};
    value argument; // may be lent, by the run that the operation is read from
    std::int64_t amount = 0;
    std::unique_ptr<operation_extra> extra;
};

// Whether that type knows that action.
[[nodiscard]] bool applies_to(action what, type_kind kind);
[[nodiscard]] std::string_view to_string(action what);

// Who stands behind a replica id; stated by the first run of each incarnation.
struct incarnation {
    std::string member;
    std::string region;
    replica_id predecessor{}; // the same directory's id before that wrote; 0 if none

    bool operator==(const incarnation&) const = default;
};

// A change as it is read from a run.
struct change_view {
    std::uint64_t first = 0; // op counters [first, end)
    std::uint64_t end = 0;
    hlc stamp;
    std::vector<version_vector::entry> dependencies; // what grew since the origin's previous change
    std::span<const operation> operations;
};

} // namespace weft
