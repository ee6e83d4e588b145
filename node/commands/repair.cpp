#include "node/commands.hpp"
#include "recovery/restart.hpp"

#include <cstdio>

namespace weft {

int run(const repair_command& given) {
    replica_options options;
    options.cluster = given.cluster;
    auto report = repair_replica(given.dir, options, given.dry_run);
    if (!report) return complain(report.error());
    for (const std::string& line : describe(*report)) std::printf("%s\n", line.c_str());
    if (!report->needed && !report->regained.empty()) {
        std::printf("%s opens\n", given.dir.c_str());
    } else if (!report->needed) {
        std::printf("nothing to repair: %s opens\n", given.dir.c_str());
    } else if (given.dry_run) {
        std::printf("nothing was changed; what is good would be kept, and the rest put aside\n");
        return data_problem;
    } else {
        std::printf(
            "repaired: 'weft serve' starts it under a new replica id, and peers bring what they "
            "have\n");
    }
    return done;
}

} // namespace weft
