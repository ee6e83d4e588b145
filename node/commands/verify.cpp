#include "node/client.hpp"
#include "node/commands.hpp"
#include "node/json.hpp"
#include "node/terminal.hpp"

#include <algorithm>
#include <cstdio>

namespace weft {
namespace json = boost::json;

namespace {

std::string line_of(const json::object& peer) {
    std::string_view outcome = peer.at("outcome").as_string();
    if (outcome == "equal") return "equal";
    if (outcome == "differs") {
        std::string keys = plain_or_dash(peer.at("keys"));
        return "differs in: " + (keys == "-" ? "keys that were not found in time" : keys);
    }
    const json::object& why = peer.at("error").as_object();
    return "not compared: " + plain(why.at("code")) + ": " + plain(why.at("detail"));
}

} // namespace

int run(const verify_command& given) {
    auto node = client::connect(given.dir);
    if (!node) return complain(node.error());
    auto answer = node->ask("POST", target_of({"verify"}, {{"peer", given.peer}}));
    if (!answer) return complain(answer.error());
    const json::array& peers = answer->at("peers").as_array();
    if (given.json) {
        std::puts(to_text(*answer).c_str());
    } else {
        for (const json::value& one : peers) {
            const json::object& peer = one.as_object();
            say(plain(peer.at("peer")) + ": " + line_of(peer));
        }
        if (peers.empty()) say_error("weft: there is no peer to compare with");
    }
    auto any = [&](std::string_view outcome) {
        return std::any_of(peers.begin(), peers.end(), [&](const json::value& one) {
            return one.at("outcome").as_string() == outcome;
        });
    };
    if (any("differs")) return data_problem;
    return peers.empty() || any("not_compared") ? no_node : done;
}

} // namespace weft
