#pragma once
#include "replica/conflicts.hpp"

#include <boost/json.hpp>

#include <string>

// What the HTTP interface says of conflicts, and of what was decided about them.
namespace weft {

// Names a conflict as it is now: with other siblings, or by other rules, it is another. 16 hex digits.
[[nodiscard]] std::string id_of(const open_conflict& one, std::uint64_t rules_version);

// `now_ms` for its age.
[[nodiscard]] boost::json::object json_of(const open_conflict& one, std::uint64_t rules_version,
                                          std::uint64_t now_ms);
[[nodiscard]] boost::json::object json_of(const sibling& one);
[[nodiscard]] boost::json::object json_of(const audit_entry& entry);

// One line, with its newline, for who watches conflicts.
[[nodiscard]] std::string watch_line(const conflict_event& event, std::uint64_t rules_version);

} // namespace weft
