#include "recovery/repair.hpp"

#include "recovery/log_format.hpp"
#include "recovery/replay.hpp"
#include "recovery/sealed.hpp"
#include "recovery/snapshot.hpp"
#include "replica/change_codec.hpp"

#include <algorithm>
#include <map>

namespace weft {
namespace {

constexpr std::string_view aside_suffix = ".damaged";

bool is_damage(errc code) {
    return code == errc::log_damaged || code == errc::wrong_cluster || code == errc::dot_reused ||
           code == errc::bad_run;
}

// Asked before a checksum is computed over what may be megabytes of a value. A record costs 20 bytes, so
// few numbers can follow; and no log is a pebibyte long.
bool may_follow(byte_view from, std::uint64_t runs_before, std::size_t offset) {
    if (from.size() < record_header_bytes) return false;
    byte_reader in(from.subspan(8));
    std::uint64_t number = in.u32();
    std::uint64_t durable = in.u64();
    return number >= runs_before && number - runs_before <= offset / record_header_bytes + 1 &&
           durable < std::uint64_t{1} << 50U;
}

// One repair of one directory.
class salvage {
public:
    salvage(env& doors, const replica_options& options, repair_report& report)
        : doors_(doors), options_(options), report_(report) {}

    result<void> read(const std::optional<identity>& known);
    // The intact runs of segments put aside that continue this state.
    result<std::vector<shared_bytes>> read_aside(std::unique_ptr<core> state);
    result<void> write(const std::optional<identity>& known);

private:
    result<void> read_snapshots();
    result<void> read_segment(const std::string& name);
    void take(const shared_bytes& run);
    void note_gaps();
    result<void> begin_log(const image_header& header);

    void damaged(const std::string& name, std::uint64_t at, const std::string& why) {
        report_.found.push_back(doors_.files.place() + "/" + name + ": damaged at byte " +
                                std::to_string(at) + ": " + why);
    }
    void beyond(std::uint64_t index) { at_ = std::max(at_, index + 1); }

    env& doors_;
    const replica_options& options_;
    repair_report& report_;
    std::unique_ptr<core> state_;
    std::uint64_t at_ = 0; // log run beyond all that is there
    std::vector<std::string> replaced_;
    std::vector<shared_bytes> taken_;          // runs that continued the state
    std::map<replica_id, std::uint64_t> seen_; // the highest operation of each that was ever here
    replica_id own_{};
    bool unread_ =
        false; // a run was lost that may be of this replica, and none of its later ones seen
    std::uint64_t position_ = 0; // where the log ends, if its end is intact
};

result<void> salvage::read(const std::optional<identity>& known) {
    if (known) own_ = known->id;
    if (auto loaded = read_snapshots(); !loaded) return loaded;
    auto names = doors_.files.list();
    if (!names) return fail(names.error());
    for (const std::string& name : *names) {
        if (!parse_segment_name(name)) continue;
        replaced_.push_back(name);
        if (auto taken = read_segment(name); !taken) return taken;
    }
    report_.kept = state_->applied();
    report_.end_known = known && !unread_ && position_ > 0 && position_ >= known->durable;
    note_gaps();
    return {};
}

// The newest good one is what all begins with; the others are looked at to be named.
result<void> salvage::read_snapshots() {
    auto kept = list_snapshots(doors_.files);
    if (!kept) return fail(kept.error());
    for (std::size_t i = kept->size(); i-- > 0;) {
        log_index at = (*kept)[i].at;
        beyond(static_cast<std::uint64_t>(at));
        auto one = load_newest(doors_, std::span(*kept).subspan(i, 1), options_, std::nullopt,
                               std::nullopt);
        if (!one && !is_damage(one.error().code)) return fail(one.error());
        if (one && one->damaged.empty()) {
            if (!state_) state_ = std::move(one->state);
            continue;
        }
        report_.found.push_back(one ? one->damaged.front().why.detail : one.error().detail);
        replaced_.push_back(snapshot_name(at));
    }
    if (!state_) state_ = std::make_unique<core>(options_, doors_.random.draw());
    return {};
}

result<void> salvage::read_segment(const std::string& name) {
    auto opened = doors_.files.open(name);
    if (!opened) return fail(opened.error());
    auto size = (*opened)->size();
    if (!size) return fail(size.error());
    auto whole = (*opened)->read(0, static_cast<std::size_t>(*size));
    if (!whole) return fail(whole.error());
    shared_bytes content(std::move(*whole));

    position_ = 0;
    std::uint64_t first = *parse_segment_name(name.substr(0, segment_name(0).size()));
    std::uint64_t index = first;
    std::size_t offset = 0;
    beyond(first);
    auto header = parse_segment_header(content.view);
    if (header && header->version != segment_version) {
        return fail(errc::incompatible, doors_.files.place() + "/" + name + ": log format " +
                                            std::to_string(header->version) +
                                            ", this release reads " +
                                            std::to_string(segment_version));
    }
    if (header && (header->cluster != options_.cluster || header->first != first)) {
        damaged(name, 0,
                "it is not of this log, but of that of cluster '" + header->cluster +
                    "' from run " + std::to_string(header->first) + " on");
        return {};
    }
    if (header) {
        offset = header->size;
        for (const auto& e : header->origins) seen_[e.id] = std::max(seen_[e.id], e.counter);
        unread_ = false;
    } else {
        damaged(name, 0, header.error().detail);
    }
    bool lost = !header; // the place: the next record may begin anywhere
    unread_ = unread_ || lost;
    while (offset < content.view.size()) {
        byte_view rest = content.view.subspan(offset);
        std::optional<record> found;
        if (may_follow(rest, index - first, offset)) found = parse_record(first, offset, rest);
        bool is_run = found && found->kind == record_kind::run;
        if (!found || (is_run && !read_run_header(found->payload))) {
            if (!lost) damaged(name, offset, problem_of(rest));
            lost = unread_ = true;
            ++offset;
            continue;
        }
        lost = false;
        index = found->index;
        if (is_run) {
            take(content.part(offset + record_header_bytes, found->payload.size()));
            beyond(index++);
        }
        offset += found->size;
    }
    if (header && !lost) position_ = header->start + content.view.size();
    return {};
}

// A run that continues its origin's chain and whose causes are here is good, whatever is around it.
void salvage::take(const shared_bytes& run) {
    auto header = read_run_header(run.view);
    seen_[header->origin] = std::max(seen_[header->origin], header->end - 1);
    if (header->origin == own_) unread_ = false;
    if (state_->applied().covers({header->origin, header->end - 1})) return;
    if (state_->replay(run, doors_.time.wall_ms())) taken_.push_back(run);
}

result<std::vector<shared_bytes>> salvage::read_aside(std::unique_ptr<core> state) {
    state_ = std::move(state);
    auto names = doors_.files.list();
    if (!names) return fail(names.error());
    for (const std::string& name : *names) {
        std::size_t whole = segment_name(0).size();
        if (name.size() <= whole || !parse_segment_name(name.substr(0, whole)) ||
            !name.substr(whole).starts_with(aside_suffix))
            continue;
        if (auto taken = read_segment(name); !taken) return fail(taken.error());
    }
    return std::move(taken_);
}

// Appends what an earlier repair could not use yet.
result<void> regain(env& doors, const replica_options& options, replayed_state there,
                    repair_report& report, bool dry_run) {
    repair_report unheard; // what is damaged there was said when it was put aside
    auto runs = salvage(doors, options, unheard).read_aside(std::move(there.start.state));
    if (!runs) return fail(runs.error());
    if (runs->empty()) return {};
    for (const shared_bytes& run : *runs) {
        auto header = read_run_header(run.view);
        bool follows = !report.regained.empty() && report.regained.back().origin == header->origin;
        if (follows) {
            report.regained.back().end = header->end;
        } else {
            report.regained.push_back({header->origin, header->first, header->end, false});
        }
    }
    if (dry_run) return {};
    if (!there.log->report().clean) {
        return fail(errc::invalid_argument,
                    doors.files.place() +
                        ": segments put aside hold runs that can be taken back, but "
                        "the last stop was not clean; start it, stop it, then "
                        "repair again");
    }
    if (auto ready = there.log->start(); !ready) return ready;
    if (auto appended = there.log->append(*runs); !appended) return appended;
    return there.log->close_clean();
}

void salvage::note_gaps() {
    for (const auto& [id, last] : seen_) {
        std::uint64_t kept = report_.kept.at(id);
        if (last > kept) report_.gaps.push_back({id, kept + 1, last + 1, id == own_});
    }
}

// In an order in which a crash leaves what does not open and can be repaired again: the new snapshot stands
// beyond the end of the old log, until the new one begins there.
result<void> salvage::write(const std::optional<identity>& known) {
    state_image image = state_->image();
    image.header.at = log_index{at_};
    image.header.floor = image.header.vector();
    image_header header = image.header;
    if (auto written = write_snapshot_now(doors_.files, std::move(image)); !written) return written;

    identity who = known.value_or(identity{});
    who.cluster = options_.cluster;
    who.where = {}; // as a copy's: the next start takes a new id
    who.durable = 0;
    who.base = header.at;
    who.log_first = header.at;
    who.snapshots = {header.at};
    if (auto kept = store_identity(doors_.files, who); !kept) return kept;

    for (const std::string& name : replaced_) {
        auto aside = put_aside(doors_.files, name);
        if (!aside) return fail(aside.error());
        report_.aside.push_back(*aside);
    }
    return begin_log(header);
}

result<void> salvage::begin_log(const image_header& header) {
    segment_header first;
    first.cluster = options_.cluster;
    first.first = at_;
    for (const image_origin& o : header.origins) first.origins.push_back({o.id, o.counter, o.last});
    auto made = doors_.files.create(segment_name(at_));
    if (!made) return fail(made.error());
    if (auto written = (*made)->append(encode(first)); !written) return written;
    if (auto synced = (*made)->sync(); !synced) return synced;
    return doors_.files.sync_directory();
}

// Whether a segment or snapshot there is of that cluster.
bool holds_files_of(disk& files, const std::string& cluster) {
    auto names = files.list();
    for (const std::string& name : names.value_or(std::vector<std::string>{})) {
        if (!parse_segment_name(name)) continue;
        auto opened = files.open(name);
        auto size = opened ? (*opened)->size() : fail(opened.error());
        auto content =
            size ? (*opened)->read(0, static_cast<std::size_t>(*size)) : fail(size.error());
        if (!content) continue;
        auto header = parse_segment_header(*content);
        if (header && header->cluster == cluster) return true;
    }
    auto kept = list_snapshots(files).value_or(std::vector<snapshot_info>{});
    return std::any_of(kept.begin(), kept.end(), [&](const snapshot_info& one) {
        return read_snapshot(files, one.at, cluster, [](image_part&&) { return result<void>{}; })
            .has_value();
    });
}

std::string range_of(const repair_report::gap& gap) {
    return to_string(gap.origin) + ":" + std::to_string(gap.first) +
           (gap.end > gap.first + 1 ? " to " + std::to_string(gap.end - 1) : "");
}

} // namespace

std::vector<std::string> describe(const repair_report& report) {
    std::vector<std::string> out = report.found;
    for (const std::string& name : report.aside) out.push_back("put aside: " + name);
    for (const auto& gap : report.gaps) {
        out.push_back("operations " + range_of(gap) +
                      (gap.own ? " of this replica are lost but for what a peer has of them"
                               : " of another replica are to come from a peer"));
    }
    for (const auto& gap : report.regained)
        out.push_back("operations " + range_of(gap) + " are taken back from segments put aside");
    if (report.needed && !report.end_known)
        out.push_back(
            "the end of the log is not known: this replica may have made more changes, which "
            "only peers can have");
    return out;
}

result<repair_report> repair_replica(env doors, const replica_options& options, bool dry_run) {
    auto lock = doors.files.lock();
    if (!lock) return fail(lock.error());
    repair_report report;
    std::string stopped; // why it does not open
    auto stored = load_identity(doors.files);
    std::optional<identity> known;
    bool bad_identity = !stored;
    if (stored) {
        known = *stored;
    } else if (stored.error().code == errc::log_damaged) {
        report.found.push_back(stored.error().detail);
    } else {
        return fail(stored.error());
    }
    if (known && known->cluster != options.cluster) {
        std::string what = doors.files.place() + "/identity.weft: of cluster '" + known->cluster +
                           "', not of '" + options.cluster + "'";
        if (!holds_files_of(doors.files, options.cluster)) return fail(errc::wrong_cluster, what);
        report.found.push_back(what);
        known.reset();
        bad_identity = report.needed = true;
    }
    auto kept = list_snapshots(doors.files);
    if (!kept) return fail(kept.error());
    if (!report.needed) {
        auto there = replay_directory(doors, *kept, options, known);
        if (there) {
            for (const auto& one : there->start.damaged) report.found.push_back(one.why.detail);
            for (const std::string& one : there->missing) report.found.push_back(one);
            auto regained = regain(doors, options, std::move(*there), report, dry_run);
            if (!regained) return fail(regained.error());
            return report; // a start copes with the rest
        }
        if (!is_damage(there.error().code)) return fail(there.error());
        if (there.error().code == errc::wrong_cluster && !known &&
            !holds_files_of(doors.files, options.cluster))
            return fail(there.error());
        report.needed = true;
        stopped = there.error().detail;
    }
    std::size_t said = report.found.size();
    salvage work(doors, options, report);
    if (auto read = work.read(known); !read) return fail(read.error());
    if (report.found.size() == said) // every file is whole, but not all of them are there
        report.found.push_back(stopped.substr(0, stopped.find(damage_remedy)));
    if (dry_run) return report;
    if (bad_identity) {
        auto aside = put_aside(doors.files, "identity.weft");
        if (!aside) return fail(aside.error());
        report.aside.push_back(*aside);
    }
    if (auto written = work.write(known); !written) return fail(written.error());
    return report;
}

result<std::string> put_aside(disk& files, const std::string& name) {
    auto names = files.list();
    if (!names) return fail(names.error());
    std::string aside = name + std::string(aside_suffix);
    for (int more = 2; std::find(names->begin(), names->end(), aside) != names->end(); ++more)
        aside = name + std::string(aside_suffix) + "-" + std::to_string(more);
    if (auto moved = files.rename(name, aside); !moved) return fail(moved.error());
    if (auto synced = files.sync_directory(); !synced) return fail(synced.error());
    return aside;
}

} // namespace weft
