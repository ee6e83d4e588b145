#pragma once
#include "base/result.hpp"
#include "node/config.hpp"

#include <string>
#include <string_view>

namespace weft {

// What a node's configuration file says, in TOML: the options of 'weft serve' by their names, and the rules
// for conflicts. docs/operations.md, "Configuration file".
//
//   errors  invalid_argument: file, line, what is wrong and what belongs there. not_found: no such file
[[nodiscard]] result<void> parse_config(std::string_view text, const std::string& file_name,
                                        serve_command& into);
[[nodiscard]] result<void> read_config_file(const std::string& file_name, serve_command& into);

} // namespace weft
