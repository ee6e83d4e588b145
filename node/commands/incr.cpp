#include "node/commands.hpp"
#include "node/json.hpp"
#include "node/terminal.hpp"

#include <cstdio>

namespace weft {

int run(const incr_command& given) {
    boost::json::object operation{{"by", given.by}};
    if (!given.at_least.empty()) operation["at_least"] = std::stoll(given.at_least);
    if (!given.at_most.empty()) operation["at_most"] = std::stoll(given.at_most);
    auto value = commit_operation(given.to, "incr", std::move(operation));
    if (!value) return complain(value.error());
    std::puts(to_text(*value).c_str());
    return done;
}

} // namespace weft
