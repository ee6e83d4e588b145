#pragma once
#include "clock/hlc.hpp"
#include "crdt/object.hpp"

#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace weft {

// Why concurrent writes do not settle by themselves. The numbers are part of the audit trail's format.
enum class conflict_kind : std::uint8_t {
    write_write = 1,  // several values
    delete_write = 2, // a value and a remove, where removes are kept
    type_clash = 3,   // objects of several types under one name
    bound = 4,        // what is read lies outside the bounds that a rule states
};
[[nodiscard]] std::string_view to_string(conflict_kind kind);

// One of several writes that did not see each other. A write that saw another has removed it, so siblings are
// concurrent, each with each; that is why they carry no version vector.
//
//   of a bound       a register's writes, perhaps only one; of a counter, what each replica has added
//   of a type clash  the types, by name, in the order in which reads choose; who made them is not known
struct sibling {
    dot at;                       // names the write; of a type, {0, its place}
    hlc stamp;                    // when, by its writer's clock
    std::optional<value> content; // nothing: a remove that is kept
    std::string member = {};      // who wrote it; empty if that is not known
    std::string region = {};
    // Of a type, where somebody is shown the clash or settles it: a digest of what the object holds.
    std::uint64_t holds = 0;

    bool operator==(const sibling&) const = default;
};

// What a resolver is given. Its siblings stand in the order of their dots, each once, so that a resolver
// cannot depend on how they came.
struct conflict {
    conflict_kind kind = conflict_kind::write_write;
    std::vector<std::string> path; // the key, then fields of maps
    type_id type;
    std::vector<sibling> siblings;

    bool operator==(const conflict&) const = default;
};

// Puts them into that order, and drops what is there twice.
void arrange(std::vector<sibling>& siblings);

// Whether both are of one kind and between the same siblings. A write's dot names what it wrote; what a
// replica added to a counter changes under one dot, when a part of it is reset, and the objects
// of a clash by what they hold, if both are as they are shown.
[[nodiscard]] bool same_siblings(const conflict& a, const conflict& b);

} // namespace weft
