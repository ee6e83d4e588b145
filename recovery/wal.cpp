#include "recovery/wal.hpp"

#include "base/check.hpp"
#include "recovery/log_format.hpp"
#include "recovery/sealed.hpp"
#include "replica/change_codec.hpp"

#include <algorithm>
#include <utility>

namespace weft {
namespace {

// A place is noted at least this often, so a read skips no more than this.
constexpr std::uint64_t place_bytes = 64U << 10U;
constexpr std::uint64_t place_runs = 64;

result<shared_bytes> read_whole(disk& files, const std::string& name) {
    auto opened = files.open(name);
    if (!opened) return fail(opened.error());
    auto size = (*opened)->size();
    if (!size) return fail(size.error());
    auto content = (*opened)->read(0, static_cast<std::size_t>(*size));
    if (!content) return fail(content.error());
    return shared_bytes(std::move(*content));
}

} // namespace

wal::wal(disk& files, loop& run, event_sink& events, wal_options options)
    : files_(files), run_(run), events_(events), options_(std::move(options)) {
    WEFT_CHECK(options_.cluster.size() <= cluster_bytes_max);
}

result<std::unique_ptr<wal>> open_wal(disk& files, loop& run, event_sink& events,
                                      wal_options options, const run_sink& on_run) {
    std::unique_ptr<wal> log(new wal(files, run, events, std::move(options)));
    if (auto recovered = log->recover(on_run); !recovered) return fail(recovered.error());
    return log;
}

// ---- opening ----

result<void> wal::recover(const run_sink& on_run) {
    auto names = files_.list();
    if (!names) return fail(names.error());
    std::erase_if(*names, [](const std::string& name) { return !parse_segment_name(name); });
    names_ = std::move(*names); // sorted, and so by first run
    report_.exists = !names_.empty();

    for (std::size_t ordinal = 0; ordinal < names_.size(); ++ordinal) {
        auto content = read_whole(files_, names_[ordinal]);
        if (!content) return fail(content.error());
        auto found = replay(ordinal, *content, on_run);
        if (!found) return fail(found.error());
        if (*found) {
            if (auto torn = judge(**found, content->view); !torn) return torn;
            report_.clean = false;
            break;
        }
        // Of what is read, only what no mark proves yet has to be kept for the start.
        while (unsynced_ + 1 < segments_.size() && segments_[unsynced_ + 1].start <= proven())
            segments_[unsynced_++].content = {};
    }
    report_.bytes = size_bytes();
    bool starts_late = !segments_.empty() && first() > options_.from;
    if (starts_late || end() < options_.from) {
        auto number = [](log_index i) { return std::to_string(static_cast<std::uint64_t>(i)); };
        const auto& cut = report_.cut; // what looks torn there is damage, then
        std::string where = path("log");
        if (cut) {
            where = path(cut->file) + ": damaged at byte " + std::to_string(cut->offset) + ": " +
                    cut->why;
        }
        return fail(errc::log_damaged,
                    where + ": the log holds the runs " + number(first()) + " to " + number(end()) +
                        ", and the newest good snapshot needs those from " + number(options_.from) +
                        " on" + std::string(damage_remedy));
    }
    if (position() < options_.durable) { // its end is gone, and left no trace in the log itself
        std::string name = segments_.empty() ? "log" : segments_.back().name;
        return fail(errc::log_damaged,
                    path(name) + ": damaged at byte " +
                        std::to_string(segments_.empty() ? 0 : segments_.back().size) +
                        ": the log ends there, at position " + std::to_string(position()) +
                        ", and " + segment_name(end_) + " is missing, or what followed there; " +
                        identity_proof() + std::string(damage_remedy));
    }
    return {};
}

// Takes in the segment's header: gives the damage if it has any, else adds the segment.
result<std::optional<wal::damage>> wal::enter(std::size_t ordinal, byte_view content) {
    const std::string& name = names_[ordinal];
    auto header = parse_segment_header(content);
    if (!header) return damage{ordinal, 0, header.error().detail};
    if (header->version != segment_version) {
        return fail(errc::incompatible,
                    path(name) + ": log format " + std::to_string(header->version) +
                        ", this release reads " + std::to_string(segment_version));
    }
    if (header->cluster != options_.cluster) {
        return fail(errc::wrong_cluster, path(name) + ": the log of cluster '" + header->cluster +
                                             "', not of '" + options_.cluster + "'");
    }
    if (parse_segment_name(name) != header->first) {
        return damage{ordinal, 0, "its name and its header give different first runs"};
    }
    if (ordinal == 0) { // what came before was dropped
        end_ = header->first;
        for (const auto& each : header->origins) last_[each.id] = {each.counter, each.last};
    } else if (header->start != position() || header->first != end_) {
        return damage{ordinal, 0,
                      "it starts at run " + std::to_string(header->first) + ", and " +
                          segments_.back().name + " before it ends at " + std::to_string(end_) +
                          ", byte " + std::to_string(segments_.back().size) + ": " +
                          segment_name(end_) + " is missing, or what followed there"};
    }
    segment added;
    added.name = name;
    added.first = header->first;
    added.start = header->start;
    for (const auto& [id, last] : last_) added.before.set(id, last.counter);
    added.size = header->size;
    segments_.push_back(std::move(added));
    durable_position_ = std::max(durable_position_, header->durable);
    return std::nullopt;
}

result<std::optional<wal::damage>> wal::replay(std::size_t ordinal, const shared_bytes& content,
                                               const run_sink& on_run) {
    auto damaged = enter(ordinal, content.view);
    if (!damaged || *damaged) return damaged;
    segment& s = segments_.back();
    s.content = content;
    while (s.size < content.view.size()) {
        byte_view rest = content.view.subspan(static_cast<std::size_t>(s.size));
        auto found = parse_record(s.first, s.size, rest);
        if (!found) return damage{ordinal, s.size, problem_of(rest)};
        if (found->index != end_ || found->durable > position()) {
            return fail(errc::log_damaged, path(s.name) + ": intact record at byte " +
                                               std::to_string(s.size) +
                                               " does not continue the log");
        }
        report_.clean = found->kind == record_kind::end_mark;
        durable_position_ = std::max(durable_position_, found->durable);
        if (found->kind == record_kind::run) {
            auto header = read_run_header(found->payload);
            if (!header) {
                bool newer = header.error().code == errc::incompatible;
                return fail(newer ? errc::incompatible : errc::log_damaged,
                            path(s.name) + ": intact record at byte " + std::to_string(s.size) +
                                ": " + header.error().detail);
            }
            auto run = content.part(static_cast<std::size_t>(s.size) + record_header_bytes,
                                    found->payload.size());
            if (end() >= options_.from) {
                if (auto taken = on_run(end(), run); !taken) {
                    return fail(taken.error().code, path(s.name) + ": intact record at byte " +
                                                        std::to_string(s.size) + ": " +
                                                        taken.error().detail);
                }
            }
            note_run(*header, s.size, run.view);
            ++report_.runs;
        }
        s.size += found->size;
    }
    return std::nullopt;
}

std::string wal::identity_proof() const {
    return "the log was durable up to position " + std::to_string(options_.durable) +
           ", as the identity states, and this is position " + std::to_string(position());
}

// Torn tail or damage? All that is intact ends at position(). If anything intact behind it says
// that the log had been durable beyond, durable data is lost, and nothing is touched.
result<void> wal::judge(const damage& found, byte_view content) {
    const std::string& name = names_[found.ordinal];
    auto refuse = [&](const std::string& proof) {
        return fail(errc::log_damaged, path(name) + ": damaged at byte " +
                                           std::to_string(found.offset) + ": " + found.what + "; " +
                                           proof + std::string(damage_remedy));
    };
    if (segments_.empty() && parse_segment_name(name) != 0) {
        return refuse("it is the oldest segment, and earlier ones were dropped");
    }
    if (position() < options_.durable) return refuse(identity_proof());
    log_cut cut{name, found.offset, content.size() - found.offset, found.what};
    shared_bytes later;
    for (std::size_t ordinal = found.ordinal; ordinal < names_.size(); ++ordinal) {
        std::size_t offset = static_cast<std::size_t>(found.offset);
        std::optional<std::uint64_t> proof;
        if (ordinal > found.ordinal) {
            auto read = read_whole(files_, names_[ordinal]);
            if (!read) return fail(read.error());
            later = std::move(*read);
            content = later.view;
            offset = 0;
            cut.bytes += content.size();
        }
        auto header = parse_segment_header(content);
        if (offset == 0 && header && header->durable > position()) proof = header->durable;
        auto first = parse_segment_name(names_[ordinal]);
        if (!proof) proof = mark_beyond(position(), *first, content, offset);
        if (proof) {
            return refuse("the log was durable up to position " + std::to_string(*proof) + ", as " +
                          names_[ordinal] + " states, and this is position " +
                          std::to_string(position()));
        }
    }
    // A segment of which not even the header was begun held nothing.
    if (cut.bytes > 0) report_.cut = std::move(cut);
    return {};
}

result<void> wal::start() {
    WEFT_CHECK(!started_);
    if (auto cut = cut_tail(); !cut) return cut;
    if (segments_.empty()) {
        if (auto added = add_segment(); !added) return added;
    }
    if (auto settled = settle(); !settled) return settled;
    if (auto marked = write_mark(record_kind::start_mark); !marked) return marked;
    if (auto synced = sync_all(); !synced) return synced;
    started_ = true;
    return {};
}

result<void> wal::settle() {
    for (std::size_t i = unsynced_; i < segments_.size(); ++i) {
        if (!segments_[i].handle) {
            auto opened = files_.open(segments_[i].name);
            if (!opened) return fail(opened.error());
            segments_[i].handle = std::move(*opened);
        }
        if (auto again = write_again(segments_[i]); !again) return again;
    }
    ++directory_changes_;
    return sync_all();
}

// What was read may be in the page cache only; and where a sync failed before this process began, the system
// holds it for written, so that another sync would not write it. Bytes that are written again, it does write.
result<void> wal::write_again(segment& s) {
    std::uint64_t from = proven() > s.start ? proven() - s.start : 0;
    shared_bytes content = std::exchange(s.content, {});
    if (from >= s.size || content.view.empty()) return {}; // or it was begun just now
    auto size = static_cast<std::size_t>(s.size - from);
    return s.handle->overwrite(from, content.view.subspan(static_cast<std::size_t>(from), size));
}

// Newest file first: a crash in between leaves a shorter tail, never a gap.
result<void> wal::cut_tail() {
    while (names_.size() > segments_.size()) {
        if (auto removed = files_.remove(names_.back()); !removed) return removed;
        names_.pop_back();
        if (auto synced = files_.sync_directory(); !synced) return synced;
    }
    if (!report_.cut || std::exchange(cut_, true)) return {};
    if (!segments_.empty() && segments_.back().name == report_.cut->file) {
        auto opened = files_.open(segments_.back().name);
        if (!opened) return fail(opened.error());
        segments_.back().handle = std::move(*opened);
        auto cut = segments_.back().handle->truncate(segments_.back().size);
        if (!cut) return cut;
    }
    events_.on({severity::warning, "log.tail_cut",
                path(report_.cut->file) + ": torn tail of " + std::to_string(report_.cut->bytes) +
                    " bytes cut at byte " + std::to_string(report_.cut->offset) + ": " +
                    report_.cut->why});
    return {};
}

// ---- writing ----

result<void> wal::append(std::span<const shared_bytes> runs) {
    WEFT_CHECK(started_);
    if (closed_) return fail(errc::closed, path("log") + ": closed");
    if (broken_) return fail(*broken_);
    std::vector<run_header> headers;
    headers.reserve(runs.size());
    std::size_t bytes_new = 0;
    for (const auto& run : runs) {
        auto header = read_run_header(run.view);
        if (!header) return fail(header.error());
        if (run.view.size() > limits::run_bytes_max) {
            return fail(errc::over_limit, "run of " + std::to_string(run.view.size()) +
                                              " bytes, limit " +
                                              std::to_string(limits::run_bytes_max));
        }
        headers.push_back(*header);
        bytes_new += record_header_bytes + run.view.size();
    }
    if (runs.empty()) return {};
    const segment& full = segments_.back();
    if (full.size >= options_.segment_bytes_target && full.first < end_) {
        if (auto rolled = roll(); !rolled) return rolled;
    }

    const segment& s = segments_.back();
    byte_writer records;
    records.reserve(bytes_new);
    std::vector<std::uint64_t> offsets;
    offsets.reserve(runs.size());
    for (const auto& run : runs) {
        offsets.push_back(s.size + records.size());
        append_record(
            records, s.first, offsets.back(),
            {record_kind::run, end_ + offsets.size() - 1, durable_position_, run.view, 0});
    }
    if (auto written = write(records.view()); !written) return written;
    for (std::size_t i = 0; i < runs.size(); ++i) note_run(headers[i], offsets[i], runs[i].view);
    return {};
}

// Appends to the last segment, all or nothing: half a record must never be followed by another.
result<void> wal::write(byte_view records) {
    segment& s = segments_.back();
    auto written = s.handle->append(records);
    if (written) {
        s.size += records.size();
        return {};
    }
    bool restored = s.handle->truncate(s.size).has_value();
    if (!restored || written.error().code != errc::disk_full) broken_ = written.error();
    return written;
}

result<void> wal::write_mark(record_kind kind) {
    const segment& s = segments_.back();
    byte_writer out;
    append_record(out, s.first, s.size, {kind, end_, durable_position_, {}, 0});
    return write(out.view());
}

// Takes note of the run at `offset` of the last segment.
void wal::note_run(const run_header& header, std::uint64_t offset, byte_view run) {
    segment& s = segments_.back();
    if (s.places.empty() || end_ - s.places.back().index >= place_runs ||
        offset - s.places.back().offset >= place_bytes) {
        s.places.push_back({end_, offset});
    }
    last_[header.origin] = {header.end - 1, hash_of(run)};
    ++end_;
}

segment_header wal::header() const {
    segment_header out;
    out.cluster = options_.cluster;
    out.first = end_;
    out.start = position();
    out.durable = durable_position_;
    for (const auto& [id, last] : last_) out.origins.push_back({id, last.counter, last.hash});
    return out;
}

result<void> wal::add_segment() {
    segment added;
    added.name = segment_name(end_);
    added.first = end_;
    added.start = position();
    for (const auto& [id, last] : last_) added.before.set(id, last.counter);
    bytes start = encode(header());
    added.size = start.size();

    auto made = files_.create(added.name);
    result<void> written = made ? (*made)->append(start) : fail(made.error());
    if (!written) {
        bool restored = !made || files_.remove(added.name).has_value();
        if (!restored || written.error().code != errc::disk_full) broken_ = written.error();
        return written;
    }
    added.handle = std::move(*made);
    segments_.push_back(std::move(added));
    ++directory_changes_;
    return {};
}

// Goes on in a new segment without waiting for the old one: the marks tell what was durable.
result<void> wal::roll() {
    if (auto added = add_segment(); !added) return added;
    if (!sync_.running) start_sync();
    return {};
}

// ---- durability ----

void wal::sync_later(std::function<void(result<log_index>)> done) {
    WEFT_CHECK(started_ && !waiter_);
    waiter_ = std::move(done);
    if (!sync_.running) start_sync();
}

void wal::start_sync() {
    sync_.running = true;
    sync_.for_waiter = waiter_ != nullptr;
    sync_.last = segments_.size() - 1;
    sync_.end = end_;
    sync_.position = position();
    sync_.directory = directory_changes_;
    if (broken_ || closed_ || sync_.position == durable_position_) {
        run_.post([this, alive = std::weak_ptr(alive_)] {
            if (!alive.expired()) finish_sync(broken_ ? fail(*broken_) : result<void>{});
        });
        return;
    }
    sync_next(unsynced_);
}

void wal::sync_next(std::size_t ordinal) {
    auto then = [this, ordinal, alive = std::weak_ptr(alive_)](const result<void>& synced) {
        if (alive.expired()) return;
        if (!synced || ordinal > sync_.last) return finish_sync(synced);
        sync_next(ordinal + 1);
    };
    if (ordinal <= sync_.last) return segments_[ordinal].handle->sync_later(then);
    if (sync_.directory <= directory_synced_) return then({});
    files_.sync_directory_later(then);
}

void wal::finish_sync(result<void> outcome) {
    sync_.running = false;
    if (!outcome) {
        // Even for a full disk: what the system could not write may be gone from memory too.
        if (!broken_) {
            broken_ = error{errc::io_failed,
                            outcome.error().detail + "; nothing is acknowledged any more"};
        }
    } else {
        directory_synced_ = std::max(directory_synced_, sync_.directory);
        durable_end_ = std::max(durable_end_, sync_.end);
        durable_position_ = std::max(durable_position_, sync_.position);
        for (; unsynced_ < sync_.last; ++unsynced_) segments_[unsynced_].handle.reset();
    }
    drop_next();
    if (!waiter_) return;
    if (!sync_.for_waiter && !broken_) return start_sync(); // it came in after this one had begun
    auto waiter = std::move(waiter_);
    waiter_ = nullptr;
    waiter(broken_ ? result<log_index>(fail(*broken_)) : result<log_index>(durable_end()));
}

result<void> wal::sync_all() {
    auto sync = [this]() -> result<void> {
        for (std::size_t i = unsynced_; i < segments_.size(); ++i) {
            if (auto synced = segments_[i].handle->sync(); !synced) return synced;
        }
        return directory_synced_ < directory_changes_ ? files_.sync_directory() : result<void>{};
    };
    if (auto synced = sync(); !synced) {
        broken_ = error{errc::io_failed, synced.error().detail};
        return fail(*broken_);
    }
    directory_synced_ = directory_changes_;
    durable_end_ = end_;
    durable_position_ = position();
    return {};
}

result<void> wal::close_clean() {
    WEFT_CHECK(started_);
    if (closed_) return {};
    if (broken_) return fail(*broken_);
    if (auto synced = sync_all(); !synced) return synced;
    if (auto marked = write_mark(record_kind::end_mark); !marked) return marked;
    if (auto synced = sync_all(); !synced) return synced;
    closed_ = true;
    return {};
}

// ---- dropping ----

version_vector wal::floor() const {
    return segments_.empty() ? version_vector{} : segments_.front().before;
}

wal::droppable wal::find_cut(log_index before, const version_vector& seen,
                             std::uint64_t bytes_max) const {
    droppable out;
    out.oldest = out.first = out.needed = first();
    out.floor = floor();
    for (std::size_t i = 1; i < segments_.size(); ++i) {
        const segment& s = segments_[i];
        if (log_index{s.first} > before) break;
        out.needed = log_index{s.first};
        out.held_bytes = s.start - segments_.front().start - out.going_bytes;
        if (!out.lacked.empty()) continue;
        bool covered = seen.covers(s.before);
        bool too_large = position() - segments_[i - 1].start > bytes_max;
        if (!covered && !too_large) {
            out.lacked = s.before;
            continue;
        }
        out.first = log_index{s.first};
        out.floor = s.before;
        out.by_limit = !covered;
        out.going_bytes += std::exchange(out.held_bytes, 0);
    }
    return out;
}

void wal::drop_later(log_index before) {
    drop_before_ = std::max(drop_before_, static_cast<std::uint64_t>(before));
    drop_next();
}

// One at a time, and each durable before the next. A sync counts segments, so it is let finish first.
void wal::drop_next() {
    if (!started_ || dropping_ || sync_.running || broken_ || closed_) return;
    if (unsynced_ == 0 || segments_[1].first > drop_before_) return;
    if (auto removed = files_.remove(segments_.front().name); !removed) {
        if (!std::exchange(not_dropped_, true))
            events_.on({severity::warning, "log.not_dropped", to_string(removed.error())});
        return; // tried again at the next sync
    }
    not_dropped_ = false;
    segments_.erase(segments_.begin());
    --unsynced_;
    if (reader_of_ == 0) {
        reader_.reset();
    } else {
        --reader_of_;
    }
    dropping_ = true;
    files_.sync_directory_later([this, alive = std::weak_ptr(alive_)](const result<void>& synced) {
        if (alive.expired()) return;
        dropping_ = false;
        if (!synced) {
            broken_ = error{errc::io_failed, synced.error().detail};
            return;
        }
        drop_next();
    });
}

// ---- reading ----

result<std::vector<shared_bytes>> wal::read(log_index first, std::size_t bytes_max) {
    auto index = static_cast<std::uint64_t>(first);
    std::vector<shared_bytes> out;
    if (index >= end_) return out;
    if (index < segments_.front().first) {
        return fail(errc::not_found, path("log") + ": run " + std::to_string(index) +
                                         " was dropped; the oldest kept is " +
                                         std::to_string(segments_.front().first));
    }
    std::size_t total = 0;
    while (index < end_ && (out.empty() || total < bytes_max)) {
        auto done = read_segment(segment_of(index), index, bytes_max, total, out);
        if (!done) return fail(done.error());
    }
    return out;
}

// Reads on from run `index`, which it moves, to the end of the segment or until it is enough.
result<void> wal::read_segment(std::size_t ordinal, std::uint64_t& index, std::size_t bytes_max,
                               std::size_t& total, std::vector<shared_bytes>& out) {
    const segment& s = segments_[ordinal];
    auto from = reader(ordinal);
    if (!from) return fail(from.error());
    std::uint64_t end = ordinal + 1 < segments_.size() ? segments_[ordinal + 1].first : end_;
    auto past = std::upper_bound(s.places.begin(), s.places.end(), index,
                                 [](std::uint64_t i, const place& p) { return i < p.index; });
    auto [next, offset] = *std::prev(past);

    shared_bytes buffer;
    std::uint64_t buffer_at = offset;
    auto damaged = [&, at = &offset] {
        return fail(errc::log_damaged, path(s.name) + ": run " + std::to_string(index) +
                                           " is unreadable: damaged at byte " +
                                           std::to_string(*at) +
                                           ". Fetch the state from a peer or restore a backup");
    };
    // Sees to it that `size` bytes from `offset` are in the buffer, and more if more is wanted.
    auto fill = [&, at = &offset](std::size_t size) -> result<void> {
        if (*at + size <= buffer_at + buffer.view.size()) return {};
        std::uint64_t wanted = std::min<std::uint64_t>(bytes_max, s.size) + place_bytes;
        wanted = std::min(std::max<std::uint64_t>(wanted, size), s.size - *at);
        auto got = (*from)->read(*at, static_cast<std::size_t>(wanted));
        if (!got) return fail(got.error());
        buffer = shared_bytes(std::move(*got));
        buffer_at = *at;
        if (buffer.view.size() < size) return damaged();
        return {};
    };
    while (next < end && (out.empty() || total < bytes_max)) {
        if (auto filled = fill(record_header_bytes); !filled) return filled;
        auto at = static_cast<std::size_t>(offset - buffer_at);
        std::size_t size = claimed_bytes(buffer.view.subspan(at, record_header_bytes));
        if (size > s.size - offset) return damaged();
        if (auto filled = fill(size); !filled) return filled;
        at = static_cast<std::size_t>(offset - buffer_at);
        auto found = parse_record(s.first, offset, buffer.view.subspan(at, size));
        if (!found || found->index != next) return damaged();
        offset += size;
        if (found->kind != record_kind::run) continue;
        if (next++ < index) continue;
        out.push_back(buffer.part(at + record_header_bytes, found->payload.size()));
        total += found->payload.size();
        index = next;
    }
    return {};
}

result<file*> wal::reader(std::size_t ordinal) {
    if (segments_[ordinal].handle) return segments_[ordinal].handle.get();
    if (!reader_ || reader_of_ != ordinal) {
        auto opened = files_.open(segments_[ordinal].name);
        if (!opened) return fail(opened.error());
        reader_ = std::move(*opened);
        reader_of_ = ordinal;
    }
    return reader_.get();
}

std::size_t wal::segment_of(std::uint64_t index) const {
    auto past = std::upper_bound(segments_.begin(), segments_.end(), index,
                                 [](std::uint64_t i, const segment& s) { return i < s.first; });
    return static_cast<std::size_t>(past - segments_.begin()) - 1;
}

log_index wal::seek(const version_vector& have) const {
    auto covered = [&](const auto& each) { return have.at(each.first) >= each.second.counter; };
    if (std::all_of(last_.begin(), last_.end(), covered)) return end();
    for (std::size_t i = segments_.size(); i-- > 0;) {
        if (have.covers(segments_[i].before)) return log_index{segments_[i].first};
    }
    return first();
}

log_index wal::first() const {
    return log_index{segments_.empty() ? end_ : segments_.front().first};
}

std::uint64_t wal::size_bytes() const {
    return segments_.empty() ? 0 : position() - segments_.front().start;
}

std::uint64_t wal::position() const {
    return segments_.empty() ? 0 : segments_.back().start + segments_.back().size;
}

std::string wal::path(std::string_view name) const {
    return files_.place() + "/" + std::string(name);
}

} // namespace weft
