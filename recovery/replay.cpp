#include "recovery/replay.hpp"

#include "recovery/sealed.hpp"
#include "recovery/snapshot.hpp"

#include <algorithm>

namespace weft {
namespace {

// A log is dropped by whole segments, so a small limit needs small ones.
std::uint64_t segment_bytes(const replica_options& options) {
    return std::min(options.log_segment_bytes, options.log_bytes_max / 8);
}

result<std::unique_ptr<core>> load_one(env& doors, log_index at, const replica_options& options,
                                       std::optional<log_index> rules_since, std::uint64_t seed,
                                       version_vector& floor) {
    state_image image;
    auto header = read_snapshot(doors.files, at, options.cluster, [&](image_part&& part) {
        image.objects.load(part.path, part.type, std::move(part.fragment));
        return result<void>{};
    });
    if (!header) return fail(header.error());
    floor = header->floor;
    image.header = std::move(*header);
    auto out = std::make_unique<core>(options, seed);
    out->had_rules_since(rules_since);
    if (auto good = out->load(std::move(image)); !good) {
        return fail(good.error().code, doors.files.place() + "/" + snapshot_name(at) +
                                           ": damaged at byte 0: " + good.error().detail);
    }
    return out;
}

// Those to fall back on are read by the running replica, a little at a time; but one of another cluster is no
// accident of a disk.
result<void> look_at_older(env& doors, std::span<const snapshot_info> older,
                           const replica_options& options, starting_state& out) {
    for (const snapshot_info& one : older) {
        auto header = read_snapshot_header(doors.files, one.at, options.cluster);
        if (header) continue;
        if (header.error().code != errc::log_damaged) return fail(header.error());
        out.damaged.push_back({one.at, header.error()});
    }
    return {};
}

std::string what_is_missing(const std::string& path, log_index state, const wal& log) {
    auto number = [](log_index at) { return std::to_string(static_cast<std::uint64_t>(at)); };
    return path + " is missing: it was there, and nothing of weft removed it. What was read: " +
           (state > log_index{} ? "the snapshot at log run " + number(state) + ", and " : "") +
           "the log from run " + number(log.first()) + " on";
}

// Before what the log lacks: what is not there at all, or is damaged, and would make up for it.
error with_causes(const std::string& place, const std::vector<std::string>& missing,
                  const std::vector<damaged_snapshot>& damaged, error why) {
    if (missing.empty() && damaged.empty()) return why;
    std::string causes;
    for (const std::string& name : missing) causes += place + "/" + name + " is missing; ";
    for (const damaged_snapshot& one : damaged) causes += one.why.detail + "; ";
    bool helps =
        why.code == errc::log_damaged && why.detail.find(damage_remedy) == std::string::npos;
    return {why.code, causes + why.detail + (helps ? std::string(damage_remedy) : "")};
}

} // namespace

result<starting_state> load_newest(env& doors, std::span<const snapshot_info> kept,
                                   const replica_options& options, std::optional<log_index> base,
                                   std::optional<log_index> rules_since) {
    starting_state out;
    std::uint64_t seed = doors.random.draw();
    for (std::size_t i = kept.size(); i-- > 0;) {
        if (base && kept[i].at < *base) break;
        auto loaded = load_one(doors, kept[i].at, options, rules_since, seed, out.floor);
        if (loaded) {
            out.state = std::move(*loaded);
            out.at = kept[i].at;
            if (auto told = look_at_older(doors, kept.first(i), options, out); !told)
                return fail(told.error());
            return out;
        }
        if (loaded.error().code != errc::log_damaged) return fail(loaded.error());
        out.damaged.push_back({kept[i].at, loaded.error()});
    }
    if (base) {
        std::string what = out.damaged.empty() ? doors.files.place() + "/" + snapshot_name(*base) +
                                                     " is missing, and so is every later snapshot"
                                               : out.damaged.front().why.detail;
        return fail(errc::log_damaged,
                    what + "; a peer's state is in it, which the log does not have" +
                        std::string(damage_remedy));
    }
    out.floor = {};
    out.state = std::make_unique<core>(options, seed);
    out.state->had_rules_since(rules_since);
    return out;
}

std::optional<log_index> rules_since(const std::optional<identity>& known,
                                     const replica_options& options) {
    if (!known || known->rules_version != options.conflict_rules.version()) return std::nullopt;
    return known->rules_since;
}

result<replayed_state> replay_directory(env& doors, std::span<const snapshot_info> kept,
                                        const replica_options& options,
                                        const std::optional<identity>& known) {
    std::optional<log_index> base = known ? known->base : std::nullopt;
    std::vector<damaged_snapshot> forked;
    std::vector<std::string> missing;
    if (known) {
        auto found = missing_files(doors.files, *known);
        if (!found) return fail(found.error());
        missing = std::move(*found);
    }
    for (;;) {
        auto start = load_newest(doors, kept, options, base, rules_since(known, options));
        if (!start) return fail(with_causes(doors.files.place(), missing, {}, start.error()));
        std::uint64_t wall_ms = doors.time.wall_ms();
        auto log = open_wal(
            doors.files, doors.run, doors.events,
            {.cluster = options.cluster,
             .segment_bytes_target = segment_bytes(options),
             .from = start->at,
             .durable = known ? known->durable : 0},
            [&](log_index, const shared_bytes& run) { return start->state->replay(run, wall_ms); });
        if (log) {
            start->damaged.insert(start->damaged.end(), forked.begin(), forked.end());
            for (std::string& name : missing)
                name = what_is_missing(doors.files.place() + "/" + name, start->at, **log);
            return replayed_state{std::move(*start), std::move(*log), std::move(missing)};
        }
        // A peer's state that the log does not continue, joined just before the process died and not relied
        // on yet: it goes.
        auto used = std::find_if(kept.begin(), kept.end(),
                                 [&](const snapshot_info& s) { return s.at == start->at; });
        bool goes = log.error().code == errc::dot_reused && used != kept.end() &&
                    (!base || *base < start->at);
        if (!goes) {
            return fail(with_causes(doors.files.place(), missing, start->damaged, log.error()));
        }
        forked.push_back({start->at, log.error()});
        kept = kept.first(static_cast<std::size_t>(used - kept.begin()));
    }
}

} // namespace weft
