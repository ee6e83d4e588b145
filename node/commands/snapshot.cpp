#include "node/client.hpp"
#include "node/commands.hpp"
#include "node/terminal.hpp"

namespace weft {

int run(const snapshot_command& given) {
    auto node = client::connect(given.dir);
    if (!node) return complain(node.error());
    auto answer = node->ask("POST", target_of({"snapshot"}));
    if (!answer) return complain(answer.error());
    const auto& written = answer->as_object();
    say("snapshot at log run " + plain(written.at("log_run")) + ", " + plain(written.at("bytes")) +
        " bytes");
    return done;
}

} // namespace weft
