#include "tests/sim/shrink.hpp"
#include "tests/sim/speed.hpp"
#include "tests/sim/world.hpp"

#include <cstdio>
#include <cstdlib>
#include <string>
#include <sys/wait.h>
#include <unistd.h>

// Simulated clusters from the command line: one seed, or one seed after the other. Each world
// runs in a process
// of its own, so that one that aborts is found, shrunk and told of like one that only fails.
namespace {

using namespace weft::sim;

constexpr unsigned world_seconds_max = 300;

struct totals {
    std::uint64_t worlds = 0, failed = 0, tried = 0, taken = 0, disk_full = 0, virtual_ms = 0;
};

// What a world's process tells the one that started it.
struct outcome {
    world::availability available;
    std::int64_t virtual_ms = 0;
    bool good = false;
};

outcome run_here(const world_options& options) {
    world world(options);
    std::printf("%s", world.describe().c_str());
    std::fflush(stdout);
    world.run();
    std::printf("  %s; trace %016llx\n", world.summary().c_str(),
                static_cast<unsigned long long>(world.trace_hash()));
    for (const std::string& problem : world.found()) std::printf("  WRONG: %s\n", problem.c_str());
    std::fflush(stdout);
    return {world.available(), world.virtual_ms(), world.converged()};
}

// `output` is where it prints; empty: as this process does.
outcome run_apart(const world_options& options, const char* output = "") {
    int ends[2];
    if (pipe(ends) != 0) std::abort();
    std::fflush(stdout);
    pid_t child = fork();
    if (child < 0) std::abort();
    if (child == 0) {
        alarm(world_seconds_max);
        bool quiet = *output != '\0';
        if (quiet && (!std::freopen(output, "w", stdout) || dup2(fileno(stdout), 2) < 0)) _exit(1);
        outcome told = run_here(options);
        bool written = write(ends[1], &told, sizeof told) == static_cast<ssize_t>(sizeof told);
        _exit(written ? 0 : 1);
    }
    close(ends[1]);
    outcome told;
    if (read(ends[0], &told, sizeof told) != static_cast<ssize_t>(sizeof told)) told = {};
    close(ends[0]);
    int status = 0;
    waitpid(child, &status, 0);
    if (WIFSIGNALED(status) && *output == '\0') {
        std::printf("  WRONG: %s\n", WTERMSIG(status) == SIGALRM ? "it does not end" : "aborted");
    }
    return told;
}

void explain(const world_options& failing) {
    std::printf("replay: ./dev sim %s\n", command_line(failing).c_str());
    std::fflush(stdout);
    auto fails = [](const world_options& smaller) { return !run_apart(smaller, "/dev/null").good; };
    world_options least = shrink(failing, fails);
    const char* place = std::getenv("TMPDIR");
    std::string trace = std::string(place != nullptr ? place : "/tmp") + "/weft-sim-" +
                        std::to_string(failing.seed) + ".trace";
    least.print = true;
    (void)run_apart(least, trace.c_str());
    std::printf("shrunk: ./dev sim %s\ntrace: %s\n", command_line(least).c_str(), trace.c_str());
    for (const fault_event& event : scenario::draw(least).events) {
        std::printf("  %s\n", scenario::draw(least).tell(event, least.replicas).c_str());
    }
}

int usage(const char* wrong) {
    if (wrong != nullptr) std::fprintf(stderr, "sim_main: %s\n", wrong);
    std::fprintf(wrong != nullptr ? stderr : stdout,
                 "usage: sim_main [SEED] [options]\n"
                 "  --seed N         the first seed (default 1); SEED alone runs that one\n"
                 "  --seeds N        how many, one after the other; 0 for ever (default 200)\n"
                 "  --replicas N     in each world, 2 to 26 (default 5)\n"
                 "  --ms N           virtual milliseconds with faults (default: drawn)\n"
                 "  --events LIST    only these of the drawn faults: 3,7-9 or none\n"
                 "  --until-failure  ends with the first seed that fails, as it is\n"
                 "  --lying-disks    disks that do not do their syncs: must fail\n"
                 "  --conflicts      rules of every strategy, and people who settle what waits\n"
                 "  --verbose        prints what replicas report\n"
                 "  --speed          how fast is simulated time under load and faults?\n"
                 "exit status: 0 all is well, 1 usage, 2 something is wrong\n");
    return wrong != nullptr ? 1 : 0;
}

} // namespace

int main(int count, char** words) {
    std::uint64_t first = 1;
    std::uint64_t seeds = 200;
    bool until_failure = false;
    world_options options;
    for (int i = 1; i < count; ++i) {
        std::string word = words[i];
        if (word == "--help" || word == "-h") return usage(nullptr);
        if (word == "--speed") return print_speed();
        if (word == "--verbose") {
            options.print = true;
            continue;
        }
        if (word == "--until-failure") {
            until_failure = true;
            continue;
        }
        if (word == "--lying-disks") {
            options.disks_lie = true;
            continue;
        }
        if (word == "--conflicts") {
            options.conflicts = true;
            continue;
        }
        bool named = word.starts_with("--");
        if (named && word != "--seed" && word != "--seeds" && word != "--replicas" &&
            word != "--ms" && word != "--events") {
            return usage(("unknown option " + word).c_str());
        }
        if (named && ++i == count) return usage((word + " wants a value").c_str());
        if (word == "--events") {
            options.events = parse_events(words[i]);
            if (!options.events) return usage((std::string(words[i]) + " is no list").c_str());
            continue;
        }
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
    totals all;
    while ((all.worlds < seeds || seeds == 0) && !(until_failure && all.failed > 0)) {
        options.seed = first + all.worlds++;
        outcome told = run_apart(options);
        all.tried += told.available.tried;
        all.taken += told.available.taken;
        all.disk_full += told.available.disk_full;
        all.virtual_ms += static_cast<std::uint64_t>(told.virtual_ms);
        if (told.good) continue;
        ++all.failed;
        if (!until_failure && !options.print) explain(options);
    }
    auto print = [](std::uint64_t n) { return static_cast<unsigned long long>(n); };
    double share = all.tried == 0
                       ? 100
                       : 100 * static_cast<double>(all.taken) / static_cast<double>(all.tried);
    std::printf("%llu worlds, %llu failed, %llu s of virtual time\n", print(all.worlds),
                print(all.failed), print(all.virtual_ms / 1'000));
    std::printf("availability: %.3f %% of %llu virtual seconds in which a replica lived, it took a "
                "local write; "
                "apart from %llu with a full disk\n",
                share, print(all.tried), print(all.disk_full));
    return all.failed == 0 ? 0 : 2;
}
