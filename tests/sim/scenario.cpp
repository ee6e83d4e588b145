#include "tests/sim/scenario.hpp"

#include <algorithm>
#include <charconv>

namespace weft::sim {
namespace {

constexpr std::array<std::string_view, 6> shape_names = {"mesh", "one-way mesh", "line",
                                                         "star", "ring",         "tree"};
constexpr std::size_t events_max = 100'000;

std::optional<std::size_t> parse_number(std::string_view text) {
    std::size_t out = 0;
    auto [end, wrong] = std::from_chars(text.data(), text.data() + text.size(), out);
    if (wrong != std::errc() || end != text.data() + text.size() || out > events_max) {
        return std::nullopt;
    }
    return out;
}

// How likely each kind is where a world has it at all, and how likely a world has it. What takes a disk
// away is rare: it voids promises, and a world in which nothing was promised shows little.
struct frequency {
    double in_world;
    std::uint64_t weight_max;
};
constexpr std::array<frequency, fault_kinds> frequencies = {{
    {0.7, 4},  // kill
    {0.7, 4},  // power cut
    {0.7, 4},  // stop
    {0.6, 3},  // I/O error
    {0.3, 2},  // failed sync
    {0.25, 3}, // disk full
    {0.2, 1},  // bit rot
    {0.7, 4},  // pause
    {0.2, 2},  // wipe
    {0.12, 2}, // rollback
    {0.16, 1}, // rollback in place
    {0.06, 1}, // clone
    {0.7, 4},  // partition
    {0.4, 3},  // one way
    {0.4, 3},  // half-open
    {0.3, 2},  // slow link
    {0.25, 2}, // flapping
    {0.7, 4},  // cut
    {0.5, 3},  // late close
    {0.6, 3},  // command
    {0.6, 3},  // clock jump
    {0.4, 3},  // cut at news
}};

// How long it takes, where it ends by itself.
std::int64_t draw_length(random_generator& random, fault_kind kind) {
    switch (kind) {
        case fault_kind::pause:
            return random.chance(0.05) ? random.between(9'000, 60'000) : random.between(10, 9'000);
        case fault_kind::disk_full: return random.between(100, 4'000);
        case fault_kind::clone: return random.between(500, 8'000);
        case fault_kind::half_open: return random.between(1, 200);
        case fault_kind::slow_link: return random.between(500, 9'000);
        case fault_kind::flapping: return random.between(500, 5'000);
        case fault_kind::late_close: return random.between(1, 4'000);
        case fault_kind::command: return random.between(10, 5'000);
        case fault_kind::partition:
        case fault_kind::one_way: return random.between(10, 9'000);
        default: return random.between(0, 3'000); // until the process starts again
    }
}

std::vector<fault_event> draw_events(random_generator random, const scenario& from,
                                     std::int64_t ms) {
    std::vector<fault_event> out;
    std::uint64_t sum = 0;
    for (std::uint64_t weight : from.weights) sum += weight;
    if (sum == 0 || from.fault_gap_ms == 0) return out;
    std::int64_t at_ms = random.between(0, 500);
    for (; at_ms < ms && out.size() < events_max;
         at_ms += random.between(0, 2 * from.fault_gap_ms)) {
        fault_event fresh;
        fresh.number = out.size() + 1;
        fresh.at_ms = at_ms;
        std::size_t which = 0;
        for (std::uint64_t left = random.below(sum); left >= from.weights[which]; ++which) {
            left -= from.weights[which];
        }
        fresh.kind = static_cast<fault_kind>(which);
        fresh.host = static_cast<std::size_t>(random.below(26));
        fresh.other = static_cast<std::size_t>(random.below(26));
        fresh.for_ms = draw_length(random, fresh.kind);
        fresh.seed = random.next();
        out.push_back(fresh);
    }
    return out;
}

} // namespace

std::string host_name(std::size_t index) { return std::string(1, static_cast<char>('a' + index)); }

std::optional<std::set<std::size_t>> parse_events(std::string_view text) {
    std::set<std::size_t> out;
    if (text == "none") return out;
    while (true) {
        std::string_view part = text.substr(0, text.find(','));
        std::size_t dash = part.find('-');
        auto first = parse_number(part.substr(0, dash));
        auto last = dash == std::string_view::npos ? first : parse_number(part.substr(dash + 1));
        if (!first || !last || *last < *first) return std::nullopt;
        for (std::size_t n = *first; n <= *last; ++n) out.insert(n);
        if (part.size() == text.size()) return out;
        text.remove_prefix(part.size() + 1);
    }
}

std::string tell_events(const std::set<std::size_t>& events) {
    std::string out;
    for (auto at = events.begin(); at != events.end();) {
        std::size_t first = *at;
        std::size_t last = first;
        for (++at; at != events.end() && *at == last + 1; ++at) last = *at;
        out += (out.empty() ? "" : ",") + std::to_string(first);
        if (last > first) out += "-" + std::to_string(last);
    }
    return out.empty() ? "none" : out;
}

std::string command_line(const world_options& options) {
    std::string out = std::to_string(options.seed);
    if (options.replicas != world_options{}.replicas) {
        out += " --replicas " + std::to_string(options.replicas);
    }
    if (options.fault_ms > 0) out += " --ms " + std::to_string(options.fault_ms);
    if (options.events) out += " --events " + tell_events(*options.events);
    if (options.disks_lie) out += " --lying-disks";
    if (options.conflicts) out += " --conflicts";
    return out;
}

scenario scenario::draw(const world_options& options) {
    random_generator random(options.seed);
    scenario out;
    out.build_seed = random.next();
    out.load_seed = random.next();
    out.run_seed = random.next();
    out.cluster_seed = random.next();
    random_generator of_events = random.fork();
    auto up_to = [&](std::int64_t most) { return random.between(0, most); };
    bool far = random.chance(0.3);
    out.network.latency_us_min = far ? 5'000 : 50;
    out.network.latency_us_max = out.network.latency_us_min + up_to(far ? 80'000 : 2'000);
    out.network.jitter_us_max = random.chance(0.5) ? 0 : up_to(out.network.latency_us_max);
    bool narrow = random.chance(0.2);
    out.network.bytes_per_ms_min = narrow ? 100 : 10'000;
    out.network.bytes_per_ms_max = narrow ? 2'000 : 200'000;
    out.network.window_bytes = std::size_t{1} << static_cast<unsigned>(random.between(10, 18));
    if (random.chance(0.3)) out.network.duplicates = 0.05;
    out.links = static_cast<shape>(random.chance(0.5) ? 0 : random.below(6));
    // Mostly short, for many seeds in little time; some long enough for every timeout to pass.
    out.fault_ms = random.chance(0.1) ? random.between(5'000, 12'000) : random.between(800, 2'500);
    out.write_gap_us = random.between(8'000, 40'000);
    out.fault_gap_ms =
        random.chance(0.1) ? 0 : random.between(50, out.fault_ms > 4'000 ? 700 : 300);
    double clocks = random.chance(0.15) ? 2 : random.chance(0.15) ? 1 : 0;
    out.skew_ms_max = clocks == 2 ? 3'600'000 : clocks == 1 ? 100'000 : 20'000;
    out.drift_ppm_max = random.chance(0.3) ? 50'000 : 100;
    out.sync_ms_max = random.chance(0.5) ? 3 : up_to(random.chance(0.2) ? 1'500 : 60);
    if (random.chance(0.6)) out.snapshot_log_bytes = 1'000 + random.below(60'000);
    if (random.chance(0.3)) out.snapshot_interval_ms = 200 + random.below(5'000);
    out.segment_bytes =
        random.chance(0.5) ? 500 + random.below(5'000) : limits::segment_bytes_target;
    if (random.chance(0.5)) out.log_bytes_max = 2'000 + random.below(50'000);
    if (random.chance(0.25)) { // so little log that who was away needs the state
        out.snapshot_log_bytes = 200 + random.below(2'000);
        out.segment_bytes = 100 + random.below(500);
        out.log_bytes_max = random.below(2'000);
    }
    out.load.keys = 1 + random.below(4);
    out.load.large = random.chance(0.2) ? 0.2 : 0.01;
    out.load.burst = random.chance(0.2) ? 0.03 : 0.002;
    // Segments are synced one after the other, so many small ones on a slow disk never end.
    if (out.sync_ms_max > 60) {
        out.segment_bytes = std::max<std::uint64_t>(out.segment_bytes, 3'000);
        out.log_bytes_max = std::max<std::uint64_t>(out.log_bytes_max, 24'000);
    }
    // A draw of its own, so that all others stay what they were.
    out.heavy = narrow ? random_generator(out.load_seed).chance(0.1) : random.chance(0.03);
    if (out.heavy) { // more than the credit of a session, or frames that take seconds
        out.load.large = narrow ? 0.01 : 0.4;
        out.load.large_bytes = 150'000;
        out.load.burst = 0;
        out.fault_ms = std::max<std::int64_t>(out.fault_ms, 6'000);
    }
    for (std::size_t i = 0; i < fault_kinds; ++i) {
        std::uint64_t weight = 1 + random.below(frequencies[i].weight_max);
        out.weights[i] = random.chance(frequencies[i].in_world) ? weight : 0;
    }
    if (options.fault_ms > 0) out.fault_ms = options.fault_ms;
    out.events = draw_events(of_events, out, out.fault_ms);
    if (options.events) {
        std::erase_if(out.events,
                      [&](const fault_event& e) { return !options.events->contains(e.number); });
    }
    return out;
}

std::string scenario::describe(const world_options& options) const {
    auto number = [](auto n) { return std::to_string(n); };
    std::string out = "seed " + number(options.seed) + ": " + number(options.replicas) +
                      " replicas, " + std::string(shape_names[static_cast<std::size_t>(links)]) +
                      (options.disks_lie ? ", disks that lie\n" : "\n");
    out += "  latency " + number(network.latency_us_min) + " to " + number(network.latency_us_max) +
           " us, jitter " + number(network.jitter_us_max) + " us, " +
           number(network.bytes_per_ms_min) + " to " + number(network.bytes_per_ms_max) +
           " bytes/ms, window " + number(network.window_bytes) + " bytes, " +
           number(network.duplicates) + " arrive twice\n";
    out += "  a transaction every " + number(write_gap_us) + " us, " + number(load.keys) +
           " keys of a type, large " + number(load.large) + (heavy ? " (heavy)" : "") + ", burst " +
           number(load.burst) + "\n";
    out += "  a snapshot every " + number(snapshot_log_bytes) + " bytes of log and every " +
           number(snapshot_interval_ms) + " ms; 0 for never; segments of " + number(segment_bytes) +
           " bytes, log of at most " + number(log_bytes_max) + "\n";
    out += "  a sync takes up to " + number(sync_ms_max) + " ms; clocks are wrong by up to " +
           number(skew_ms_max) + " ms and drift by up to " + number(drift_ppm_max) + " ppm\n";
    out += "  for " + number(fault_ms) + " ms " + number(events.size()) + " faults, one every " +
           number(fault_gap_ms) + " ms:";
    for (std::size_t i = 0; i < fault_kinds; ++i) {
        if (weights[i] > 0)
            out += " " + std::string(fault_names[i]) + " " + number(weights[i]) + ",";
    }
    out.back() = '\n';
    if (!options.events && !options.print) return out;
    for (const fault_event& event : events) out += "  " + tell(event, options.replicas) + "\n";
    return out;
}

std::string scenario::tell(const fault_event& event, std::size_t replicas) const {
    return "fault " + std::to_string(event.number) + " at " + std::to_string(event.at_ms) +
           " ms: " + std::string(fault_names[static_cast<std::size_t>(event.kind)]) + ", " +
           host_name(event.host % replicas) + " (" + host_name(event.other % replicas) + "), " +
           std::to_string(event.for_ms) + " ms";
}

} // namespace weft::sim
