#include "recovery/audit_log.hpp"

#include "base/codec.hpp"
#include "base/frame.hpp"
#include "recovery/sealed.hpp"

#include <xxhash.h>

#include <algorithm>
#include <tuple>

namespace weft {
namespace {

constexpr std::string_view audit_magic = "weftaudt";
constexpr std::uint32_t audit_version = 2;       // 1 named no run
constexpr std::size_t record_header_bytes = 8;   // CRC and length
constexpr std::size_t segment_header_bytes = 28; // an envelope around the position
constexpr std::size_t segments_a_page = 4;

std::uint32_t record_crc(std::uint64_t position, byte_view payload) {
    byte_writer place;
    place.reserve(12);
    place.u64(position);
    place.u32(static_cast<std::uint32_t>(payload.size()));
    return crc32c(payload, crc32c(place.view()));
}

void append_record(byte_writer& out, std::uint64_t position, byte_view payload) {
    out.u32(record_crc(position, payload));
    out.u32(static_cast<std::uint32_t>(payload.size()));
    out.raw(payload);
}

// The payload of the intact record that `from` starts with; empty if there is none. Its place is under the
// checksum, so a record that was copied, or stands inside a value, is not taken for one.
byte_view parse_record(std::uint64_t position, byte_view from) {
    byte_reader in(from);
    std::uint32_t crc = in.u32();
    std::uint32_t length = in.u32();
    if (length == 0 || length > limits::audit_entry_bytes_max) return {};
    byte_view payload = in.raw(length);
    return in.good() && record_crc(position, payload) == crc ? payload : byte_view();
}

// What a segment holds: its entries, and where there are bytes that are none.
struct scanned {
    struct gap {
        std::size_t first = 0;
        std::size_t end = 0;
    };
    std::vector<gap> gaps;
    std::size_t end = 0; // of the last intact record
};
using visit_entry = std::function<bool(std::uint64_t position, audit_entry&&)>; // false: enough

scanned scan(std::uint64_t start, byte_view content, std::size_t at, const visit_entry& visit) {
    scanned out;
    out.end = std::min(at, content.size());
    std::optional<std::size_t> lost;
    while (at < content.size()) {
        byte_view payload = parse_record(start + at, content.subspan(at));
        byte_reader in(payload);
        std::optional<audit_entry> entry;
        if (!payload.empty()) entry = decode_audit_entry(in);
        if (!entry || !in.good() || !in.at_end()) {
            if (!lost) lost = at;
            ++at; // the damage may hide where the next one starts
            continue;
        }
        if (lost) out.gaps.push_back({*lost, at});
        lost.reset();
        std::uint64_t position = start + at;
        at += record_header_bytes + payload.size();
        out.end = at;
        if (!visit(position, std::move(*entry))) return out;
    }
    if (lost) out.gaps.push_back({*lost, content.size()});
    return out;
}

// Whether a record that is whole begins before `at` and ends behind it.
bool splits_record(std::uint64_t start, byte_view content, std::size_t at) {
    if (at <= segment_header_bytes || at >= content.size()) return false;
    scanned before = scan(start, content.first(at), segment_header_bytes,
                          [](std::uint64_t, audit_entry&&) { return true; });
    if (before.gaps.empty() || before.gaps.back().end != at) return false;
    std::size_t cut = before.gaps.back().first;
    return !parse_record(start + cut, content.subspan(cut)).empty();
}

// A record's checksum covers its place, which the name states, too: so what is behind a damaged header is
// read all the same. Behind one of another format it is not.
result<void> check_header(std::uint64_t start, byte_view content) {
    auto opened = unseal(audit_magic, content);
    if (!opened) return fail(opened.error());
    if (opened->version != audit_version) {
        return fail(errc::incompatible, "audit trail of format " + std::to_string(opened->version) +
                                            ", known is " + std::to_string(audit_version));
    }
    byte_reader in(opened->body);
    std::uint64_t stated = in.u64();
    if (!in.good() || !in.at_end() || stated != start)
        return fail(errc::log_damaged, "its header is that of another file");
    return {};
}

// No conflict is older than the newest write in it; of some no write is known.
hlc newest_write(const audit_entry& entry) {
    hlc out;
    for (const audited_sibling& s : entry.siblings) out = std::max(out, s.stamp);
    return out;
}

// The same of every entry about one conflict, whichever rules decided; of a bound, which stays crossed
// whoever writes, whatever its siblings.
std::array<std::uint64_t, 2> conflict_of(const audit_entry& entry) {
    byte_writer out;
    out.reserve(256);
    for (const std::string& part : entry.path) out.text(part);
    encode(out, entry.type);
    out.u8(static_cast<std::uint8_t>(entry.kind));
    if (entry.kind != conflict_kind::bound) {
        for (const audited_sibling& s : entry.siblings) {
            out.u64(static_cast<std::uint64_t>(s.at.replica));
            out.u64(s.at.counter);
            if (entry.kind == conflict_kind::type_clash && s.content)
                encode(out, s.content->content);
        }
        out.u64(entry.siblings_left_out);
    }
    XXH128_hash_t hash = XXH3_128bits(out.view().data(), out.size());
    return {hash.low64, hash.high64};
}

result<bytes> read_whole(disk& files, const std::string& name) {
    auto there = files.open(name);
    if (!there) return fail(there.error());
    auto size = (*there)->size();
    if (!size) return fail(size.error());
    return (*there)->read(0, static_cast<std::size_t>(*size));
}

} // namespace

std::string audit_name(std::uint64_t start) { return "audit-" + to_hex(start) + ".weft"; }

std::optional<std::uint64_t> parse_audit_name(std::string_view name) {
    if (name.size() != 27 || !name.starts_with("audit-") || !name.ends_with(".weft")) return {};
    auto digits = parse_replica_id(name.substr(6, 16)); // the same 16 digits
    if (!digits) return std::nullopt;
    return static_cast<std::uint64_t>(*digits);
}

audit_log::audit_log(env& doors, audit_log_options options) : doors_(doors), options_(options) {
    looks_ = doors_.run.make_timer([this, alive = std::weak_ptr<const bool>(alive_)] {
        if (!alive.lock()) return;
        will_look_ = false;
        retain();
    });
}

result<std::unique_ptr<audit_log>> audit_log::open(env& doors, audit_log_options options) {
    std::unique_ptr<audit_log> out(new audit_log(doors, options));
    if (auto read = out->read_segments(); !read) return fail(read.error());
    return out;
}

result<void> audit_log::read_segments() {
    auto names = doors_.files.list();
    if (!names) return fail(names.error());
    std::vector<std::uint64_t> starts; // in order, as the names are
    for (const std::string& name : *names) {
        if (auto start = parse_audit_name(name)) starts.push_back(*start);
    }
    for (std::uint64_t start : starts) {
        if (auto read = read_segment(start, start == starts.back()); !read) return read;
    }
    count_bytes();
    look_again();
    return {};
}

result<void> audit_log::read_segment(std::uint64_t start, bool last) {
    std::string name = audit_name(start);
    std::string where = doors_.files.place() + "/" + name;
    auto content = read_whole(doors_.files, name);
    if (!content) return fail(content.error());
    segment here{start, content->size()};
    auto warn = [&](std::size_t at, const std::string& why) {
        doors_.events.on({severity::warning, "audit.damaged",
                          where + ": damaged at byte " + std::to_string(at) + ": " + why});
    };
    auto header = check_header(start, *content);
    if (!header) {
        // A power cut came before its header was durable: nothing was in it.
        if (last && content->size() < segment_header_bytes + record_header_bytes) {
            doors_.events.on({severity::warning, "audit.torn_tail",
                              where + ": its header was never whole; removed"});
            return doors_.files.remove(name);
        }
        bool unknown = header.error().code == errc::incompatible;
        warn(0, header.error().detail + (unknown ? "; its entries are not served"
                                                 : "; its entries are served all the same"));
        if (unknown) {
            segments_.push_back(here);
            return {};
        }
    }
    scanned found =
        scan(start, *content, segment_header_bytes, [&](std::uint64_t, audit_entry&& entry) {
            here.oldest = std::min(here.oldest, entry.at);
            here.newest = std::max(here.newest, entry.at);
            know(entry);
            return true;
        });
    bool torn = header && last && !found.gaps.empty() && found.gaps.back().end == content->size();
    if (torn) {
        auto cut = doors_.files.open(name);
        if (!cut) return fail(cut.error());
        if (auto done = (*cut)->truncate(found.end); !done) return done;
        doors_.events.on({severity::warning, "audit.torn_tail",
                          where + ": cut at byte " + std::to_string(found.end) + ", " +
                              std::to_string(here.size - found.end) +
                              " bytes of it were no entry"});
        here.size = found.end;
        found.gaps.pop_back();
    }
    for (const auto& gap : found.gaps) {
        warn(gap.first, std::to_string(gap.end - gap.first) +
                            " bytes are no entry; what is behind them is served");
    }
    segments_.push_back(here);
    if (header && last && found.gaps.empty()) {
        auto again = doors_.files.open(name);
        if (!again) return fail(again.error());
        open_ = std::move(*again);
        if (torn) unsynced_.push_back(open_);
    }
    return {};
}

void audit_log::know(const audit_entry& entry) {
    if (!oldest_) oldest_ = {entry.id, entry.at, entry.run};
    log_index& newest = known_[entry.id];
    newest = std::max(newest, entry.run);
    if (entry.outcome == audit_outcome::settled) {
        since_.erase(conflict_of(entry));
        return;
    }
    auto [known, fresh] = since_.try_emplace(conflict_of(entry), entry.at, entry.rules_version);
    bool others = entry.kind == conflict_kind::bound && known->second.rules != entry.rules_version;
    if (others) known->second = {entry.at, entry.rules_version}; // whose bound it is
}

result<void> audit_log::take_replayed(std::vector<audit_entry>& decided,
                                      std::span<audit_entry> open, bool anew) {
    std::uint64_t now_ms = doors_.time.wall_ms();
    bool some_went = !segments_.empty() && segments_.front().start > 0;
    first_entry oldest = some_went ? oldest_.value_or(first_entry{}) : first_entry{};
    auto too_old = [&](const audit_entry& e) { return e.at.ms() + options_.age_ms_max < now_ms; };
    if (some_went && oldest_) {
        auto first = std::find_if(decided.begin(), decided.end(), [&](const audit_entry& e) {
            return e.run == oldest.run && e.id == oldest.id;
        });
        // Where it is not among them, how much of its run went is not known.
        if (first == decided.end()) {
            first = std::find_if(decided.begin(), decided.end(),
                                 [&](const audit_entry& e) { return e.run > oldest.run; });
        }
        decided.erase(decided.begin(), first);
    }
    std::erase_if(decided, [&](const audit_entry& e) {
        auto known = known_.find(e.id);
        bool here = known != known_.end() && known->second >= e.run;
        return here || too_old(e);
    });
    for (const audit_entry& e : decided) know(e);
    std::vector<audit_entry> missing;
    for (audit_entry& e : open) {
        auto since = since_.find(conflict_of(e));
        bool bound = e.kind == conflict_kind::bound;
        bool dated = since != since_.end() && (!bound || since->second.rules == e.rules_version);
        bool here = bound ? dated : known_.contains(e.id);
        if (dated) {
            e.at = since->second.at;
        } else if (anew && bound) {
            e.at = hlc::at_ms(now_ms); // under these rules, from now on
        }
        // Writes of one stamp have entries of one time, and retention may have stopped among them; what no
        // write dates may have gone, too.
        bool may_have_gone = some_went && newest_write(e) <= oldest.at;
        if (!here && !anew && !too_old(e) && !may_have_gone) missing.push_back(e);
    }
    known_.clear();
    since_.clear();
    // The order of a trail is that of its times, or what retention takes could not be told by them.
    std::sort(missing.begin(), missing.end(), [](const audit_entry& a, const audit_entry& b) {
        return std::tie(a.at, a.id) < std::tie(b.at, b.id);
    });
    decided.insert(decided.begin(), std::make_move_iterator(missing.begin()),
                   std::make_move_iterator(missing.end()));
    auto done = append(decided);
    retain();
    return done;
}

result<void> audit_log::begin_segment() {
    std::uint64_t start = segments_.empty() ? 0 : segments_.back().start + segments_.back().size;
    byte_writer body;
    body.u64(start);
    bytes header = seal(audit_magic, audit_version, body.view());
    auto made = doors_.files.create(audit_name(start));
    if (!made) return fail(made.error());
    if (auto written = (*made)->append(header); !written) {
        (void)doors_.files.remove(audit_name(start)); // the next attempt needs the name
        return written;
    }
    open_ = std::move(*made);
    new_names_ = true;
    segments_.push_back({start, header.size()});
    count_bytes();
    return {};
}

result<void> audit_log::write(byte_view records, hlc oldest, hlc newest) {
    segment& here = segments_.back();
    if (auto done = open_->append(records); !done) {
        // Of the end of the file nothing is known: cut, or another segment.
        if (auto cut = open_->truncate(here.size); !cut) open_.reset();
        return done;
    }
    here.size += records.size();
    here.oldest = std::min(here.oldest, oldest);
    here.newest = std::max(here.newest, newest);
    if (unsynced_.empty() || unsynced_.back() != open_) unsynced_.push_back(open_);
    count_bytes();
    look_again();
    return {};
}

result<void> audit_log::append(std::vector<audit_entry>& entries) {
    result<void> done;
    std::size_t written = 0;
    while (done && written < entries.size())
        done = append_some(std::span(entries).subspan(written), written);
    entries.erase(entries.begin(), entries.begin() + static_cast<std::ptrdiff_t>(written));
    return done;
}

// As many as the open segment has room for, in one write.
result<void> audit_log::append_some(std::span<const audit_entry> entries, std::size_t& written) {
    if (open_ == nullptr || !takes_more()) {
        if (auto begun = begin_segment(); !begun) return begun;
        retain();
    }
    const segment& here = segments_.back();
    byte_writer out;
    byte_writer payload;
    out.reserve(1'024);
    payload.reserve(512);
    hlc oldest{UINT64_MAX};
    hlc newest{};
    std::size_t taken = 0;
    for (; taken < entries.size() && here.size + out.size() < options_.segment_bytes; ++taken) {
        payload.clear();
        encode(payload, entries[taken]);
        append_record(out, here.start + here.size + out.size(), payload.view());
        oldest = std::min(oldest, entries[taken].at);
        newest = std::max(newest, entries[taken].at);
    }
    if (auto done = write(out.view(), oldest, newest); !done) return done;
    written += taken;
    return {};
}

bool audit_log::takes_more() const {
    const segment& newest = segments_.back();
    std::uint64_t span_ms = options_.age_ms_max / limits::audit_segments_an_age;
    bool spans = newest.readable() && newest.oldest.ms() + span_ms < doors_.time.wall_ms();
    return newest.size < options_.segment_bytes && !spans;
}

bool audit_log::too_old(const segment& one) const {
    return one.readable() && one.newest.ms() + options_.age_ms_max < doors_.time.wall_ms();
}

void audit_log::retain() {
    // The last one goes as well, but not its name: it says where the trail goes on.
    if (!segments_.empty() && too_old(segments_.back())) {
        if (auto begun = begin_segment(); !begun) {
            doors_.events.on({severity::warning, "audit.not_removed", to_string(begun.error())});
        } else {
            unsynced_.push_back(open_);
        }
    }
    while (segments_.size() > 1) {
        // What nothing could be read of is as old as what is behind it.
        auto aged = std::find_if(segments_.begin(), segments_.end(),
                                 [](const segment& one) { return one.readable(); });
        bool expired = aged != segments_.end() && too_old(*aged) && &*aged != &segments_.back();
        if (!expired && size_bytes() <= options_.bytes_max) break;
        auto gone = doors_.files.remove(audit_name(segments_.front().start));
        if (!gone) {
            doors_.events.on({severity::warning, "audit.not_removed", to_string(gone.error())});
            break;
        }
        segments_.erase(segments_.begin());
        count_bytes();
    }
    look_again();
}

void audit_log::look_again() {
    if (will_look_ || looks_ == nullptr) return;
    will_look_ = std::any_of(segments_.begin(), segments_.end(),
                             [](const segment& one) { return one.readable(); });
    if (will_look_) looks_->set(doors_.time.now().after_ms(limits::audit_look_ms));
}

void audit_log::count_bytes() {
    std::uint64_t total = 0;
    for (const segment& one : segments_) total += one.size;
    size_bytes_ = total;
}

void audit_log::sync_later(sync_callback done) {
    sync_waiters_.push_back(std::move(done));
    if (!syncing_.empty()) return;
    syncing_ = std::exchange(sync_waiters_, {});
    sync_next(std::exchange(unsynced_, {}));
}

void audit_log::sync_next(std::vector<std::shared_ptr<file>> left) {
    std::weak_ptr<const bool> alive = alive_;
    if (left.empty()) {
        if (!std::exchange(new_names_, false)) return synced({});
        return doors_.files.sync_directory_later([this, alive](const result<void>& done) {
            if (!alive.lock()) return;
            if (!done) new_names_ = true;
            synced(done);
        });
    }
    std::shared_ptr<file> one = std::move(left.back());
    left.pop_back();
    file& to_sync = *one;
    to_sync.sync_later(
        [this, alive, one, left = std::move(left)](const result<void>& done) mutable {
            if (!alive.lock()) return;
            if (done) return sync_next(std::move(left));
            if (open_ == one) open_.reset(); // what it holds is not known any more
            unsynced_.insert(unsynced_.end(), left.begin(), left.end());
            synced(done);
        });
}

void audit_log::synced(const result<void>& outcome) {
    for (const sync_callback& done : std::exchange(syncing_, {})) done(outcome);
    if (sync_waiters_.empty() || !syncing_.empty()) return;
    syncing_ = std::exchange(sync_waiters_, {});
    sync_next(std::exchange(unsynced_, {}));
}

result<audit_page> audit_log::find(const audit_query& asked) {
    audit_page out;
    std::size_t looked_at = 0;
    for (const segment& here : segments_) {
        bool earlier = here.readable() && here.newest < asked.since;
        if (here.start + here.size <= asked.from || earlier) continue;
        if (looked_at++ == segments_a_page) {
            out.next = std::max(here.start, asked.from);
            return out;
        }
        std::string name = audit_name(here.start);
        std::string where = doors_.files.place() + "/" + name;
        auto content = read_whole(doors_.files, name);
        if (!content) return fail(content.error());
        std::size_t at = segment_header_bytes;
        if (auto header = check_header(here.start, *content); !header) {
            if (asked.from <= here.start + at) { // else an earlier page said so
                out.damaged.push_back(
                    {errc::log_damaged, where + ": damaged at byte 0: " + header.error().detail});
            }
            if (header.error().code == errc::incompatible) continue;
        }
        if (asked.from > here.start + at) {
            at = static_cast<std::size_t>(asked.from - here.start);
            if (splits_record(here.start, *content, at)) {
                return fail(errc::invalid_argument, "no entry begins at " +
                                                        std::to_string(asked.from) +
                                                        "; go on from a page's \"next\"");
            }
        }
        scanned found = scan(here.start,
                             byte_view(*content).first(std::min<std::size_t>(
                                 content->size(), static_cast<std::size_t>(here.size))),
                             at, [&](std::uint64_t position, audit_entry&& entry) {
                                 if (!asked.matches(entry)) return true;
                                 if (out.entries.size() == asked.entries_max) {
                                     out.next = position;
                                     return false;
                                 }
                                 out.entries.push_back(std::move(entry));
                                 return true;
                             });
        for (const auto& gap : found.gaps) {
            out.damaged.push_back({errc::log_damaged, where + ": damaged at byte " +
                                                          std::to_string(gap.first) + ": " +
                                                          std::to_string(gap.end - gap.first) +
                                                          " bytes are no entry"});
        }
        if (out.next) return out;
    }
    return out;
}

} // namespace weft
