#pragma once
#include "base/result.hpp"
#include "node/config.hpp"

#include <boost/json.hpp>

#include <string>
#include <string_view>

// One file per command, in node/commands/. Each answers the program's exit status.
namespace weft {

enum exit_status : std::uint8_t { done = 0, wrong_usage = 1, data_problem = 2, no_node = 3 };

int run(const serve_command& given);
int run(const repair_command& given);
int run(const link_command& given);
int run(const snapshot_command& given);
int run(const status_command& given);
int run(const set_command& given);
int run(const incr_command& given);
int run(const transfer_command& given);
int run(const add_command& given);
int run(const remove_command& given);
int run(const put_command& given);
int run(const delete_command& given);
int run(const get_command& given);
int run(const keys_command& given);
int run(const watch_command& given);
int run(const import_command& given);
int run(const completion_command& given);
int run(const conflicts_command& given);
int run(const audit_command& given);
int run(const verify_command& given);

// Says what went wrong on standard error; gives the exit status for it.
int complain(const error& why);

// A command-line value: a JSON scalar if it is one and `as_string` does not forbid it, else text.
[[nodiscard]] boost::json::value value_given(const std::string& text, bool as_string);
[[nodiscard]] boost::json::array values_given(const std::vector<std::string>& texts,
                                              bool as_string);

// A sibling for people: its value, who wrote it, when, and its dot.
[[nodiscard]] std::string sibling_line(const boost::json::object& one);

// As people read it: text as it is, all else as JSON; the other gives "-" for null, where that says nothing.
[[nodiscard]] std::string plain(const boost::json::value& content);
[[nodiscard]] std::string plain_or_dash(const boost::json::value& content);

// Has the node commit one operation of POST /v1/ops, to which key and type are added; gives its result.
[[nodiscard]] result<boost::json::value>
commit_operation(const write_options& to, std::string_view op, boost::json::object operation);
// The same for operations that answer nothing: gives the exit status.
int run_operation(const write_options& to, std::string_view op, boost::json::object operation);

} // namespace weft
