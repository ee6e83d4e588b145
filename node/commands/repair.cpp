#include "node/commands.hpp"
#include "node/terminal.hpp"
#include "recovery/restart.hpp"

namespace weft {

int run(const repair_command& given) {
    replica_options options;
    options.cluster = given.cluster;
    auto report = repair_replica(given.dir, options, given.dry_run);
    if (!report) return complain(report.error());
    for (const std::string& line : describe(*report)) say(line);
    if (!report->needed && !report->regained.empty()) {
        say(given.dir + " opens");
    } else if (!report->needed) {
        say("nothing to repair: " + given.dir + " opens");
    } else if (given.dry_run) {
        say("nothing was changed; what is good would be kept, and the rest put aside");
        return data_problem;
    } else {
        say("repaired: 'weft serve' starts it under a new replica id, and peers bring what they "
            "have");
    }
    return done;
}

} // namespace weft
