#pragma once
#include "replica/conflicts.hpp"
#include "replica/status.hpp"
#include "replica/subscription.hpp"

#include <boost/json.hpp>

#include <optional>
#include <string>
#include <string_view>
#include <vector>

// What the HTTP interface says in JSON, and back. docs/operations.md describes it.
namespace weft {

// JSON text; doubles in their shortest form that is still a double ("2.0").
[[nodiscard]] std::string to_text(const boost::json::value& content);

// invalid_argument, with the place, if `text` is not one JSON value.
[[nodiscard]] result<boost::json::value> parse_json(std::string_view text,
                                                    boost::json::storage_ptr where = {});

// A scalar. Also {"bytes":"hex"}, {"time":Unix milliseconds} and {"real":"nan"}, for what JSON lacks.
// invalid_argument for arrays, other objects, and integers beyond 64 signed bits.
[[nodiscard]] result<value> value_of(const boost::json::value& content);
// A JSON scalar alone: the same without the objects.
[[nodiscard]] result<value> scalar_of(const boost::json::value& content);
[[nodiscard]] boost::json::value json_of(const value& content);

// What a reader sees of an object: a scalar, a number, a bool, an array (sets, mv_register) or an
// object (map). Where a map has two objects under one field, the one that reads without a type give.
// Registers read as the rules of the replica say; nothing if they say that it is not there.
[[nodiscard]] std::optional<boost::json::value> json_of(const object& there, type_id type,
                                                        std::vector<std::string_view> path,
                                                        const conflict_index& conflicts);

[[nodiscard]] boost::json::object json_of(const snapshot_info& snapshot);
[[nodiscard]] boost::json::object json_of(const replica_status& status);
[[nodiscard]] boost::json::object json_of(const peer_verification& one);
[[nodiscard]] boost::json::object json_of(const error& failure); // {"error":{"code","detail"}}

// What the change did from its object `at` on, which moves: a line for each key, each with its newline; more
// where one would be long. At least one line, and no more once there are limits::watch_slice_bytes.
[[nodiscard]] std::string watch_lines(const change_event& change, std::size_t& at);

// How many bytes of text json_of(content) has, with a comma behind it.
[[nodiscard]] std::size_t text_bytes(const value& content);
// About how many bytes of text json_of(there, type) has, counted no further than to what is above `most`.
[[nodiscard]] std::size_t text_bytes(const object& there, type_id type, std::size_t most);

} // namespace weft
