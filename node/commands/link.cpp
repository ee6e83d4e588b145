#include "node/client.hpp"
#include "node/commands.hpp"
#include "node/terminal.hpp"

namespace weft {

int run(const link_command& given) {
    auto node = client::connect(given.dir);
    if (!node) return complain(node.error());
    auto answer =
        node->ask("POST", target_of({"link", given.peer, given.pause ? "pause" : "resume"}));
    if (!answer) return complain(answer.error());
    say((given.pause ? "paused " : "resumed ") + given.peer);
    return done;
}

} // namespace weft
