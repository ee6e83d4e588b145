#include "node/client.hpp"
#include "node/commands.hpp"

namespace weft {
namespace json = boost::json;
namespace {

// The replica id of a peer given by its name; anything else is taken for an id.
result<std::string> id_of(const transfer_command& given) {
    auto node = client::connect(given.to.dir);
    if (!node) return fail(node.error());
    auto status = node->ask("GET", target_of({"status"}));
    if (!status) return fail(status.error());
    for (const json::value& one : status->at("peers").as_array()) {
        const json::string* name = one.at("name").if_string(); // null until it said so
        if (name != nullptr && *name == given.member)
            return std::string(one.at("replica_id").as_string());
    }
    return given.member;
}

} // namespace

int run(const transfer_command& given) {
    auto id = id_of(given);
    if (!id) return complain(id.error());
    return run_operation(given.to, "transfer", {{"amount", given.amount}, {"to", *id}});
}

} // namespace weft
