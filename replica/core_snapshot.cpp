#include "base/check.hpp"
#include "base/limits.hpp"
#include "replica/core.hpp"

#include <algorithm>

// When a snapshot is taken, which are kept, and what of the log they make superfluous.
namespace weft {

void core::take_snapshot(std::function<void(result<snapshot_info>)> whom) {
    if (snapshot_waiters_.size() >= limits::waiters_max) {
        auto refused = [whom = std::move(whom)](const result<void>& why) {
            whom(fail(why.error()));
        };
        effects_.push_back(
            answer{refused, fail(errc::over_limit, "too many callers wait already")});
        return;
    }
    snapshot_waiters_.push_back(std::move(whom));
    call_asks_ = true;
}

replica_identity core::identity() const {
    replica_identity out{id_, predecessor_, clock_.last(), base_, log_first_, {}, forked_};
    for (const snapshot_info& s : snapshots_) out.snapshots.push_back(s.at);
    return out;
}

void core::persist(hlc ceiling, bool before_runs) {
    persist_identity what{identity(), before_runs};
    what.who.ceiling = ceiling;
    effects_.push_back(std::move(what));
}

bool core::grew_since_snapshot() const {
    return tail_.end() > (snapshots_.empty() ? log_index{0} : snapshots_.back().at);
}

state_image core::image() const {
    WEFT_CHECK(open_run_.empty() && !in_change_);
    state_image out;
    out.header.cluster = options_.cluster;
    out.header.at = tail_.end();
    out.header.newest = clock_.last();
    out.header.objects = state_.objects();
    out.header.digest = state_.digest();
    out.header.floor = floor_;
    for (const auto& e : applied_.entries()) {
        const origin& known = origins_.at(e.replica);
        out.header.origins.push_back(
            {e.replica, e.counter, known.last, known.who, known.dependencies});
    }
    out.objects = state_;
    return out;
}

// When the next one is due by itself, as far as can be said now.
instant core::snapshot_due() const {
    if (snapshotting_ || disk_full_ || !grew_since_snapshot()) return instant::never();
    bool by_size =
        options_.snapshot_log_bytes > 0 && bytes_since_snapshot_ >= options_.snapshot_log_bytes;
    return std::max(by_size || replacing_ ? now_ : next_snapshot_, snapshot_not_before_);
}

// Nothing becomes durable now: who waits for a snapshot need not wait for space. One of a joined state stays.
void core::refuse_snapshots() {
    error why{errc::disk_full, "no snapshot is written until there is space"};
    answer_snapshot(snapshot_waiters_, fail(why));
    bool joined = transfer_ && transfer_->at == transfer_phase::writing;
    if (!taken_ || joined) return;
    taken_.reset();
    snapshotting_ = false;
    answer_snapshot(snapshot_served_, fail(why));
}

void core::want_snapshot() {
    if (disk_full_ && grew_since_snapshot()) return refuse_snapshots();
    if (!snapshotting_) {
        bool asked = !snapshot_waiters_.empty();
        if (asked && !grew_since_snapshot()) {
            answer_snapshot(snapshot_waiters_,
                            snapshots_.empty() ? snapshot_info{} : snapshots_.back());
            return;
        }
        if (!asked && now_ < snapshot_due()) return;
        snapshotting_ = true;
        taken_ = image();
        bytes_in_taken_ = bytes_since_snapshot_;
        // Who asks from here on wants what comes from here on, so the next one is theirs.
        snapshot_served_ = std::exchange(snapshot_waiters_, {});
    }
    // A snapshot that is visible proves that the log was durable up to it.
    if (!taken_) return;
    if (durable_end_ >= taken_->header.at) {
        effects_.push_back(write_snapshot{*std::exchange(taken_, std::nullopt)});
    } else {
        sync_asked_ = true;
    }
}

void core::on_snapshot_written(const snapshot_written& written) {
    // One of a joined state is followed by no other before that state is ours.
    bool joined = transfer_ && transfer_->at == transfer_phase::writing;
    if (joined && written.failed) return give_up_transfer(*written.failed, false);
    if (joined) transfer_->at = transfer_phase::catching_up;
    snapshotting_ = joined;
    if (written.failed) {
        snapshot_not_before_ = now_.after_ms(limits::snapshot_retry_ms);
        report_event(severity::warning, "snapshot.failed",
                     to_string(*written.failed) + "; the log is kept, and another is tried in " +
                         std::to_string(limits::snapshot_retry_ms / 1000) + " s");
        answer_snapshot(snapshot_served_, fail(*written.failed));
        return;
    }
    cut_wanted_ = true;
    replacing_ = false;
    // That of a joined state takes the place of one at the same log index.
    std::erase_if(snapshots_, [&](const snapshot_info& s) { return s.at == written.what.at; });
    snapshots_.push_back(written.what);
    verify_older_ = true;
    bytes_since_snapshot_ -= bytes_in_taken_;
    if (options_.snapshot_interval_ms > 0)
        next_snapshot_ = now_.after_ms(static_cast<std::int64_t>(options_.snapshot_interval_ms));
    report_event(severity::info, "snapshot.written",
                 "at log run " + std::to_string(static_cast<std::uint64_t>(written.what.at)) +
                     ", " + std::to_string(written.what.size_bytes) + " bytes");
    std::size_t kept = snapshots_.size();
    drop_old_snapshots();
    if (snapshots_.size() == kept) persist(std::max(clock_.last(), clock_.ceiling()));
    answer_snapshot(snapshot_served_, written.what);
}

void core::answer_snapshot(snapshot_callbacks& whose, const result<snapshot_info>& outcome) {
    for (auto& whom : std::exchange(whose, {})) {
        effects_.push_back(
            answer{[whom = std::move(whom), outcome](const result<void>&) { whom(outcome); }, {}});
    }
}

// ---- what may go

// Of all but the newest, only what peers are fetching stays, until they have it or stop asking. What is to go
// is first taken from what the identity states: so a file that it states and that is not there was lost.
void core::drop_old_snapshots() {
    std::vector<log_index> gone;
    for (std::size_t i = 0; i + limits::snapshots_kept < snapshots_.size();) {
        log_index at = snapshots_[i].at;
        if (!fetchers_of(at).empty()) {
            ++i;
            continue;
        }
        gone.push_back(at);
        snapshots_.erase(snapshots_.begin() + static_cast<std::ptrdiff_t>(i));
    }
    if (gone.empty()) return;
    persist(std::max(clock_.last(), clock_.ceiling()));
    for (log_index at : gone) effects_.push_back(remove_snapshot{at});
}

// Its file turned out to be damaged: it is put aside, and another is taken.
void core::lose_snapshot(log_index at, const error& why) {
    if (std::erase_if(snapshots_, [at](const snapshot_info& s) { return s.at == at; }) == 0) return;
    persist(std::max(clock_.last(), clock_.ceiling()));
    effects_.push_back(set_aside_snapshot{at, why});
    replace_snapshot();
}

// The newest was read by the start, or written just now. The one before it, which a start would fall back on,
// may rot unseen: so it is read after each start and whenever another took that place.
void core::want_snapshot_verified() {
    if (!verify_older_ || verifying_ || snapshots_.size() < limits::snapshots_kept) return;
    verify_older_ = false;
    verifying_ = true;
    effects_.push_back(verify_snapshot{snapshots_[snapshots_.size() - limits::snapshots_kept].at});
}

void core::on_snapshot_verified(const snapshot_verified& verified) {
    verifying_ = false;
    if (!verified.failed || verified.failed->code == errc::not_found) return; // it has gone since
    if (verified.failed->code == errc::log_damaged)
        return lose_snapshot(verified.at, *verified.failed);
    report_event(severity::warning, "snapshot.unreadable", to_string(*verified.failed));
}

// After a start only configured members are known by their URLs. One that wrote once and that this process
// has not met may be on its way back; after a while it counts as gone.
bool core::members_may_return() const {
    if (now_.ms_since(started_) >= limits::members_return_ms) return false;
    return std::any_of(origins_.begin(), origins_.end(), [&](const auto& e) {
        const std::string& member = e.second.who.member;
        return !member.empty() && member != options_.name && !peer_named(member);
    });
}

// What every member is known to have on its disk: the configured ones, and those that came by themselves.
version_vector core::seen_by_all() const {
    if (members_may_return()) return {};
    stability all = durable_at_;
    for (const peer_entry& p : peers_) {
        if (p.configured || p.name.empty()) continue;
        all.add_member(p.name);
        all.seen_by(p.name, p.durable);
    }
    return all.frontier();
}

// Who lacks some of it, for people.
std::string core::behind(const version_vector& floor) const {
    std::string out;
    for (const peer_entry& p : peers_) {
        if (p.url.empty() || p.durable.covers(floor)) continue;
        out += (out.empty() ? "'" : ", '") + (p.name.empty() ? p.url : p.name) + "'";
    }
    if (members_may_return())
        out += (out.empty() ? "" : ", ") + std::string("members that did not come back yet");
    return out;
}

std::vector<held_snapshot> core::held_snapshots() const {
    std::vector<held_snapshot> out;
    for (std::size_t newer = snapshots_.size(); const snapshot_info& one : snapshots_) {
        held_snapshot held{one, "what a start reads"};
        if (--newer == 1) held.why = "to fall back on if the newest is damaged";
        if (newer >= limits::snapshots_kept) {
            std::string fetchers = fetchers_of(one.at);
            held.why = fetchers.empty() ? "being removed" : "fetched by " + fetchers;
        }
        out.push_back(std::move(held));
    }
    return out;
}

// The bytes of the last part are what the log has beside the others.
std::vector<held_log> core::held_log_parts() const {
    std::vector<held_log> out;
    auto add = [&](log_index first, log_index end, std::uint64_t size, std::string why) {
        if (first < end) {
            out.push_back({static_cast<std::uint64_t>(first), static_cast<std::uint64_t>(end), size,
                           std::move(why)});
        }
    };
    if (snapshots_.size() < limits::snapshots_kept) {
        add(log_first_, tail_.end(), 0, "until there are two snapshots");
        return out;
    }
    log_index needed = std::max(log_cut_.needed, log_first_);
    if (log_cut_.going_bytes > 0)
        add(log_cut_.oldest, log_first_, log_cut_.going_bytes, "being removed");
    add(log_first_, needed, log_cut_.held_bytes, "not confirmed by " + behind(log_cut_.lacked));
    add(needed, tail_.end(), 0, "what follows the oldest snapshot");
    return out;
}

// The log before the oldest snapshot goes when every member has it, or when the log grew too large. There are
// two snapshots by then, so that one may turn out to be damaged.
void core::want_log_cut() {
    if (cutting_log_ || now_ < next_log_cut_) return;
    next_log_cut_ = now_.after_ms(limits::log_cut_ms);
    cut_wanted_ = false;
    if (snapshots_.size() < limits::snapshots_kept) return;
    cutting_log_ = true;
    log_index before = std::min(snapshots_.front().at, log_for_checks());
    effects_.push_back(find_log_cut{before, seen_by_all()});
}

void core::on_log_cut_found(const log_cut_found& answer) {
    const run_log::droppable& found = answer.what;
    cutting_log_ = false;
    cut_wanted_ = found.going_bytes > 0; // so that status knows when that is gone
    log_cut_ = found;
    if (found.first <= log_first_) return;
    log_first_ = found.first;
    floor_.join(found.floor);
    if (found.by_limit) {
        report_event(severity::warning, "log.limit",
                     "the log reached its limit: its runs before " +
                         std::to_string(static_cast<std::uint64_t>(log_first_)) + " go, though " +
                         behind(found.floor) +
                         " did not confirm them and may have to fetch the state instead");
    }
    persist(std::max(clock_.last(), clock_.ceiling()));
    effects_.push_back(drop_log{log_first_});
}

} // namespace weft
