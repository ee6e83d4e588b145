#include "node/client.hpp"
#include "node/commands.hpp"

#include <cstdio>

namespace weft {

int run(const watch_command& given) {
    auto node = client::connect(given.dir);
    if (!node) return complain(node.error());
    bool dropped = false;
    auto ended =
        node->stream(target_of({"watch"}, {{"prefix", given.prefix}}), [&](std::string_view line) {
            dropped = line.starts_with(R"({"error":)");
            std::fprintf(dropped ? stderr : stdout, "%.*s\n", static_cast<int>(line.size()),
                         line.data());
            std::fflush(stdout);
            return !dropped;
        });
    if (dropped) return data_problem;
    return ended ? complain({errc::unreachable, "the node stopped"}) : complain(ended.error());
}

} // namespace weft
