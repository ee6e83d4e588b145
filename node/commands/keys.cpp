#include "node/client.hpp"
#include "node/commands.hpp"
#include "node/json.hpp"
#include "node/terminal.hpp"

#include <cstdio>

namespace weft {

int run(const keys_command& given) {
    auto node = client::connect(given.dir);
    if (!node) return complain(node.error());
    if (given.count) {
        auto answer =
            node->ask("GET", target_of({"keys"}, {{"prefix", given.prefix}, {"count", "true"}}));
        if (!answer) return complain(answer.error());
        std::puts(to_text(answer->at("count")).c_str());
        return done;
    }
    for (std::string after;;) {
        auto answer =
            node->ask("GET", target_of({"keys"}, {{"prefix", given.prefix}, {"after", after}}));
        if (!answer) return complain(answer.error());
        for (const auto& key : answer->at("keys").as_array()) say(key.as_string());
        if (answer->at("next").is_null()) return done;
        after = answer->at("next").as_string();
    }
}

} // namespace weft
