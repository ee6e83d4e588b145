#include "tests/sim/world.hpp"

#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <string>

// Simulated clusters from the command line: one seed, or one seed after the other.
namespace {

std::uint64_t running_seed = 0;

void say_seed(int which) {
    std::fprintf(stderr, "seed %llu aborted\nreplay: ./dev sim %llu\n",
                 static_cast<unsigned long long>(running_seed),
                 static_cast<unsigned long long>(running_seed));
    std::signal(which, SIG_DFL);
    std::raise(which);
}

int usage(const char* wrong) {
    if (wrong != nullptr) std::fprintf(stderr, "sim_main: %s\n", wrong);
    std::fprintf(
        stderr,
        "usage: sim_main [SEED] [--seed N] [--seeds N] [--replicas N] [--ms N] [--until-failure] "
        "[--verbose]\n"
        "  --seed N      the first seed (default 1); SEED alone runs that one\n"
        "  --seeds N     how many, one after the other; 0 for ever (default 200)\n"
        "  --replicas N  in each world, 2 to 26 (default 5)\n"
        "  --ms N        virtual milliseconds with faults (default: drawn)\n"
        "  --until-failure  ends with the first seed that fails\n"
        "  --verbose     prints what replicas report\n"
        "exit status: 0 all is well, 1 usage, 2 something is wrong\n");
    return 1;
}

} // namespace

int main(int count, char** words) {
    std::uint64_t first = 1;
    std::uint64_t seeds = 200;
    bool until_failure = false;
    weft::sim::world_options options;
    for (int i = 1; i < count; ++i) {
        std::string word = words[i];
        if (word == "--verbose") {
            options.print = true;
            continue;
        }
        if (word == "--until-failure") {
            until_failure = true;
            continue;
        }
        bool named = word.starts_with("--");
        if (named && word != "--seed" && word != "--seeds" && word != "--replicas" &&
            word != "--ms") {
            return usage(("unknown option " + word).c_str());
        }
        if (named && ++i == count) return usage((word + " wants a number").c_str());
        char* end = nullptr;
        std::uint64_t number = std::strtoull(words[i], &end, 10);
        if (*words[i] == '\0' || *end != '\0') {
            return usage((std::string(words[i]) + " is no number").c_str());
        }
        if (word == "--seeds") {
            seeds = number;
        } else if (word == "--replicas") {
            if (number < 2 || number > 26) return usage("2 to 26 replicas");
            options.replicas = static_cast<std::size_t>(number);
        } else if (word == "--ms") {
            options.fault_ms = static_cast<std::int64_t>(number);
        } else {
            first = number;
            if (!named) seeds = 1;
        }
    }
    std::signal(SIGABRT, say_seed);
    std::uint64_t failed = 0;
    for (std::uint64_t n = 0; (n < seeds || seeds == 0) && !(until_failure && failed > 0); ++n) {
        options.seed = running_seed = first + n;
        weft::sim::world world(options);
        std::printf("%s", world.describe().c_str());
        std::fflush(stdout);
        world.run();
        std::printf("  %s; trace %016llx\n", world.summary().c_str(),
                    static_cast<unsigned long long>(world.trace_hash()));
        for (const std::string& problem : world.found())
            std::printf("  WRONG: %s\n", problem.c_str());
        if (!world.converged()) {
            ++failed;
            std::printf("replay: ./dev sim %llu\n", static_cast<unsigned long long>(options.seed));
        }
        std::fflush(stdout);
    }
    std::printf("%llu worlds, %llu failed\n", static_cast<unsigned long long>(seeds),
                static_cast<unsigned long long>(failed));
    return failed == 0 ? 0 : 2;
}
