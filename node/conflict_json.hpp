#pragma once
#include "replica/conflicts.hpp"

#include <boost/json.hpp>

#include <string>
#include <string_view>

// What the HTTP interface says of conflicts, and of what was decided about them.
namespace weft {

// Names a conflict as it is now: with other siblings, or by other rules, it is another. 16 hex digits.
[[nodiscard]] std::string id_of(const open_conflict& one, std::uint64_t rules_version);

// `now_ms` for its age. At most limits::siblings_max siblings; where the values of one conflict are more than
// limits::http_keys_bytes_max together, large ones are given by their hash.
[[nodiscard]] boost::json::object json_of(const open_conflict& one, std::uint64_t rules_version,
                                          std::uint64_t now_ms);
// About how many bytes of text that has.
[[nodiscard]] std::size_t text_bytes(const open_conflict& one);
[[nodiscard]] boost::json::object json_of(const sibling& one);
[[nodiscard]] boost::json::object json_of(const audit_entry& entry);

// Where a page of conflicts ends: a JSON array of key, fields and type. parse_place reads what to_text
// writes.
[[nodiscard]] std::string to_text(const conflict_index::place& where);
[[nodiscard]] result<conflict_index::place> parse_place(std::string_view text);

// One line, with its newline, for who watches conflicts.
[[nodiscard]] std::string watch_line(const conflict_event& event, std::uint64_t rules_version);

} // namespace weft
