#include "base/check.hpp"
#include "base/limits.hpp"
#include "replica/core.hpp"
#include "replica/state_image.hpp"

#include <algorithm>

// State transfer: what a replica does that no log reaches any more, and what its peer does for it.
//
//   receiving    a peer's snapshot file, piece by piece, into a file of ours
//   joining      it is verified, and joined with our state as it stood at one log index
//   writing      the joined state becomes our snapshot at that index
//   catching up  our log from that index on is applied to it; then it takes the place of our state
namespace weft {
namespace {

// Applied to the joined state between two events.
constexpr std::size_t catch_up_bytes = 1U << 20U;
// So long after the link came up, peers whose logs still reach us may bring what we lack.
constexpr std::int64_t others_first_ms = 3'000;

} // namespace

// ---- receiving

bool core::below_floor(const session& s) const { return !applied_.covers(s.their_floor); }

// It lacks some of our floor, and cannot know, for that has risen since our Hello. Who was below it then
// fetches our state already.
bool core::left_behind(const session& s) const {
    return s.open && !s.known.covers(floor_) && s.known.covers(s.told_floor);
}

// Who to ask: the one whose bytes are here already, else one that has not just stalled.
session* core::state_source() {
    session* best = nullptr;
    for (auto& [id, s] : sessions_) {
        if (!s.open || now_ < s.bad_state_until) continue;
        if (s.forked) continue;
        if (!s.below_floor) {
            // Somebody's log still reaches us, and may bring it all.
            bool brings = !s.blocked && !applied_.covers(s.their_applied);
            if (brings && now_.ms_since(s.opened) < others_first_ms) return nullptr;
            continue;
        }
        bool stalled = transfer_ && transfer_->from == id;
        bool begun = transfer_ && transfer_->what.from == s.their_id && !stalled;
        if (begun) return &s;
        if (best == nullptr || (transfer_ && transfer_->from == best->id)) best = &s;
    }
    return best;
}

// Whose state was fetched, or some of it, can send its log after all.
bool core::state_is_needless(replica_id from) const {
    return std::any_of(sessions_.begin(), sessions_.end(), [&](const auto& e) {
        const session& s = e.second;
        return s.open && !s.below_floor && s.their_id == from;
    });
}

void core::want_transfer() {
    // Of an earlier life that ended when it had joined that, but not removed the file.
    if (staged_ && !transfer_ && state_is_needless(staged_->what.from)) {
        staged_.reset();
        effects_.push_back(discard_staged{});
    }
    bool receiving = transfer_ && transfer_->at == transfer_phase::receiving;
    if (receiving &&
        state_is_needless(transfer_->what.from)) { // others' logs brought what it lacks
        report_event(severity::info, "transfer.needless",
                     "the state of '" + transfer_->peer +
                         "': other logs brought what its log lacks");
        transfer_.reset();
        effects_.push_back(discard_staged{});
    }
    if (transfer_ && transfer_->at != transfer_phase::receiving) return;
    if (now_ < transfer_not_before_ || disk_full_) return;
    bool moves = transfer_ && now_.ms_since(transfer_->moved) < limits::transfer_stall_ms;
    if (moves && transfer_->from) return;
    bool wanted = std::any_of(sessions_.begin(), sessions_.end(),
                              [](const auto& e) { return e.second.below_floor; });
    session* s = wanted ? state_source() : nullptr;
    if (s == nullptr) return;
    // Whose link was just cut may be back soon: what came of it is worth the wait.
    if (moves && transfer_->staged > 0 && transfer_->what.from != s->their_id) return;
    ask_for_state(*s);
}

void core::ask_for_state(session& s) {
    bool resumes = transfer_ && transfer_->what.from == s.their_id;
    if (!resumes) {
        transfer_ = transfer{};
        transfer_->what.from = s.their_id;
        if (staged_ && staged_->what.from == s.their_id) {
            transfer_->what = staged_->what;
            transfer_->staged = staged_->bytes;
            transfer_->of_earlier_life = true;
        }
        staged_.reset();
        report_event(severity::info, "transfer.begin",
                     "the log of '" + s.name +
                         "' does not reach this replica any more: its state is "
                         "fetched" +
                         (transfer_->staged > 0 ? " from where it was cut" : ""));
    }
    transfer& t = *transfer_;
    t.peer = s.name;
    t.from = s.id;
    t.moved = now_;
    if (t.staged > 0 && t.staged == t.what.snapshot.size) { // all came, then the process ended
        t.at = transfer_phase::waiting;
        return;
    }
    t.asked = t.staged + limits::transfer_window_bytes;
    send(s, state_request{t.what.snapshot, t.staged, t.asked});
}

void core::on_state_chunk(session& s, const state_chunk& chunk) {
    if (!transfer_ || transfer_->from != s.id || transfer_->at != transfer_phase::receiving) return;
    transfer& t = *transfer_;
    if (chunk.snapshot != t.what.snapshot) {
        if (chunk.offset != 0) return; // of an earlier request
        if (t.staged > 0) {
            report_event(severity::warning, "transfer.anew",
                         "the state of '" + t.peer + "', of which " + std::to_string(t.staged) +
                             " bytes had come, is not kept there any more: a newer one is fetched "
                             "from its beginning");
        }
        t.what.snapshot = chunk.snapshot;
        t.of_earlier_life = false;
        t.staged = 0;
        t.asked = limits::transfer_window_bytes;
    }
    if (chunk.offset != t.staged) return;
    effects_.push_back(stage_state{t.what, chunk.offset, chunk.data});
    t.staged += chunk.data.view.size();
    t.moved = now_;
    if (t.staged == t.what.snapshot.size) {
        t.at = transfer_phase::waiting;
        return;
    }
    if (t.asked - t.staged > limits::transfer_window_bytes / 2 || t.asked >= t.what.snapshot.size)
        return;
    std::uint64_t until = t.staged + limits::transfer_window_bytes;
    send(s, state_request{t.what.snapshot, t.asked, until});
    t.asked = until;
}

// The peer does not give it, or not now: others may.
void core::on_state_refused(session& s, std::int64_t for_ms) {
    s.bad_state_until = std::max(s.bad_state_until, now_.after_ms(for_ms));
    if (transfer_ && transfer_->from == s.id && transfer_->at == transfer_phase::receiving)
        transfer_->from.reset();
}

void core::on_staging_failed(const staging_failed& failed) {
    // The last piece may have been followed by the wish to join at once.
    if (transfer_ && transfer_->at <= transfer_phase::joining) give_up_transfer(failed.why, false);
}

void core::give_up_transfer(const error& why, bool blame_peer) {
    report_event(severity::warning, "transfer.failed",
                 "the state of '" + transfer_->peer + "': " + to_string(why) +
                     "; what came of it is thrown away");
    session* s = transfer_->from ? find_session(*transfer_->from) : nullptr;
    bool blames = blame_peer && !transfer_->of_earlier_life;
    if (transfer_->at >= transfer_phase::joining) snapshotting_ = false;
    effects_.push_back(release_state{std::move(transfer_->joined.image.objects)});
    transfer_.reset();
    std::int64_t wait_ms = std::int64_t{limits::transfer_stall_ms}
                           << std::min(transfer_failures_++, 6U);
    transfer_not_before_ = now_.after_ms(wait_ms);
    effects_.push_back(discard_staged{});
    if (s == nullptr || !blames) return;
    s->bad_state_until = now_.after_ms(limits::bad_state_ms);
    block(*s, why);
}

// ---- joining

// The joined state is written as a snapshot, so none may be under way, nor begin until we stand on it.
void core::join_when_ready() {
    if (!transfer_ || transfer_->at != transfer_phase::waiting || snapshotting_) return;
    transfer_->at = transfer_phase::joining;
    snapshotting_ = true;
    bytes_in_taken_ = bytes_since_snapshot_;
    effects_.push_back(join_state{image()});
}

void core::on_state_joined(const state_joined& joined) {
    if (!transfer_ || transfer_->at != transfer_phase::joining) return;
    if (!joined.outcome) {
        errc code = joined.outcome.error().code;
        return give_up_transfer(joined.outcome.error(),
                                code != errc::io_failed && code != errc::disk_full);
    }
    for (const image_origin& o : joined.outcome->image.header.origins) {
        if (o.id == id_ && o.counter >= next_counter_) {
            return give_up_transfer(
                {errc::dot_reused, "it holds operations of this replica's id "
                                   "that are not here"},
                false); // its next heartbeat says so, too, and then the id changes
        }
        auto known = origins_.find(o.id);
        bool ahead = o.counter > applied_.at(o.id);
        if (ahead && known != origins_.end() && known->second.refused)
            return give_up_transfer(*known->second.refused, true);
        auto builds = ahead ? builds_on_refused(o.id, o.who) : std::nullopt;
        if (builds) return give_up_transfer(*builds, true);
    }
    transfer& t = *transfer_;
    t.at = transfer_phase::writing;
    t.joined = *joined.outcome;
    t.written = t.joined.image.header.vector();
    t.next = t.joined.image.header.at;
    (void)clock_.observe(t.joined.newest, wall_ms_);
    t.joined.image.header.newest = clock_.last();
    taken_ = t.joined.image;
}

// ---- catching up

// Of our own log, for the joined state.
void core::on_own_log_read(const log_read& read) {
    if (!transfer_ || !transfer_->reading || read.first != transfer_->next) return;
    transfer_->reading = false;
    for (const shared_bytes& run : read.runs) {
        if (!caught_up_with(run)) return;
    }
}

// False if that ended the transfer.
bool core::caught_up_with(const shared_bytes& run) {
    auto header = read_run_header(run.view);
    WEFT_CHECK(header.has_value());
    auto applied = apply_run(transfer_->joined.image, *header, run);
    if (applied) {
        transfer_->next = next(transfer_->next);
        return true;
    }
    log_index at = transfer_->joined.image.header.at;
    std::erase_if(snapshots_, [&](const snapshot_info& s) { return s.at == at; });
    persist(std::max(clock_.last(), clock_.ceiling()));
    effects_.push_back(remove_snapshot{at});
    give_up_transfer(applied.error(), true);
    return false;
}

void core::catch_up() {
    if (!transfer_ || transfer_->at != transfer_phase::catching_up || transfer_->reading) return;
    transfer& t = *transfer_;
    std::size_t done_bytes = 0;
    while (t.next < tail_.end() && done_bytes < catch_up_bytes) {
        if (t.next < tail_.begin()) {
            t.reading = true;
            effects_.push_back(read_log{session_id{}, t.next, {}, catch_up_bytes});
            return;
        }
        const logged_run& run = tail_.at(t.next);
        done_bytes += run.bytes.view.size();
        if (!caught_up_with(run.bytes)) return;
    }
    if (t.next == tail_.end()) stand_on_joined();
}

// From here on the joined state is ours, and the vector stands where it does: nothing of it has to come
// from a log any more.
void core::stand_on_joined() {
    transfer done = std::move(*transfer_);
    transfer_.reset();
    transfer_failures_ = 0;
    snapshotting_ = false;
    version_vector vector = done.joined.image.header.vector();
    std::uint64_t operations = vector.operations_beyond(applied_);
    effects_.push_back(release_state{std::exchange(state_, std::move(done.joined.image.objects))});
    for (const image_origin& o : done.joined.image.header.origins) {
        origin& known = origins_[o.id];
        known.last = o.last;
        known.dependencies = o.dependencies;
        if (!o.who.member.empty()) known.who = o.who;
        if (!o.who.member.empty()) conflicts_.know(o.id, o.who);
        held_back_.drop_covered(o.id, o.counter);
    }
    applied_ = std::move(vector);
    durable_.join(done.written); // the rest is as durable as the log
    durable_at_.seen_by(self_member, durable_);
    floor_.join(done.joined.image.header.floor);
    base_ = done.joined.image.header.at;
    persist(std::max(clock_.last(), clock_.ceiling()), true);
    effects_.push_back(discard_staged{});
    report_event(severity::info, "transfer.done",
                 "the state of '" + done.peer +
                     "' was joined with this one: " + std::to_string(operations) + " operations, " +
                     std::to_string(done.joined.changed.size()) + " keys");
    end_checks({errc::outdated, "a peer's state took the place of the one that was compared, and "
                                "what it brought is in no log"});
    changed_states_.push_back({done.peer, std::move(done.joined.changed)});
    rebuild_conflicts(wall_ms_);
    retry_held_back();
    for (auto& [id, s] : sessions_) {
        s.below_floor = s.open && below_floor(s);
        if (s.open) send_ack(s);
    }
    refresh_interests();
}

// ---- sending

// Whom a snapshot is kept for, for people; empty if for nobody.
std::string core::fetchers_of(log_index snapshot) const {
    std::string out;
    auto add = [&](const std::string& name) { out += (out.empty() ? "'" : ", '") + name + "'"; };
    for (const peer_entry& p : peers_) {
        if (p.fetching && p.fetching->at == snapshot && now_ < p.fetching_until) add(p.name);
    }
    for (const auto& [id, s] : sessions_) {
        if (!s.serving || s.serving->at != snapshot) continue;
        bool all_sent = s.serve_next == s.serving->size;
        // It verifies, joins and writes it; then it needs the log from there on.
        if (all_sent && s.known.covers(floor_)) continue;
        if (now_.ms_since(s.served) <
            (all_sent ? limits::transfer_pin_ms_max : std::int64_t{limits::transfer_stall_ms}))
            add(s.name);
    }
    return out;
}

// What may not go there as runs may not as a state. But an end that was lost may come back only after this
// state went: so that is waited for while the peer sends something, and no longer.
std::optional<error> core::no_state_for(const session& s) const {
    if (forked_ != replica_id{}) {
        return error{errc::dot_reused, "replica id " + to_string(forked_) +
                                           ", of its past, has two histories: it gives nobody its "
                                           "state"};
    }
    if (s.forked) {
        return error{errc::dot_reused, "the two have two histories of a replica id: no state goes "
                                       "from one to the other"};
    }
    bool comes = disk_full_ || now_.ms_since(std::max(s.opened, s.took)) < limits::lost_end_wait_ms;
    if (!comes || !is_withheld(s, id_)) return std::nullopt;
    return error{errc::outdated, "it lost the end of its log, and gives its state when that came "
                                 "back, or nothing came for " +
                                     std::to_string(limits::lost_end_wait_ms / 1000) + " s"};
}

void core::on_state_request(session& s, const state_request& asked) {
    if (auto why = no_state_for(s)) {
        report_seldom(severity::warning, "transfer.refused", s.name, why->detail);
        return send(s, notice_message{why->code, why->detail, false});
    }
    if (snapshots_.empty()) { // it asks again
        bool comes = snapshotting_ || !snapshot_waiters_.empty();
        if (!comes) take_snapshot([](const result<snapshot_info>&) {});
        return;
    }
    auto found = std::find_if(snapshots_.begin(), snapshots_.end(), [&](const snapshot_info& i) {
        return i.at == asked.snapshot.at && i.size_bytes == asked.snapshot.size;
    });
    bool newest = found == snapshots_.end();
    if (newest) found = std::prev(snapshots_.end());
    snapshot_ref ref{found->at, found->size_bytes};
    std::uint64_t from = newest ? 0 : asked.from;
    std::uint64_t until = newest ? asked.until - asked.from : asked.until;
    bool extends = s.serving == ref && s.serve_until == from;
    if (peer_entry* entry = entry_of(s))
        entry->fetching.reset(); // the session says so from here on
    if (s.serving != ref) {
        report_event(severity::info, "transfer.sending",
                     "the state at log run " + std::to_string(static_cast<std::uint64_t>(ref.at)) +
                         ", " + std::to_string(ref.size) + " bytes, to '" + s.name + "'");
    }
    s.serving = ref;
    s.served = now_;
    if (!extends) s.serve_next = from;
    s.serve_until = std::min(until, ref.size);
}

void core::serve_state(session& s) {
    if (!s.open || !s.serving || s.serve_reading || s.serve_next >= s.serve_until || room(s) == 0)
        return;
    s.serve_reading = true;
    std::size_t size = static_cast<std::size_t>(
        std::min<std::uint64_t>(limits::transfer_chunk_bytes, s.serve_until - s.serve_next));
    effects_.push_back(read_state{s.id, *s.serving, s.serve_next, size});
}

void core::on_state_read(const state_read& read) {
    session* s = find_session(read.session);
    if (s == nullptr) return;
    s->serve_reading = false;
    if (s->serving != read.snapshot || s->serve_next != read.offset)
        return; // asked otherwise since
    error why{errc::io_failed, "a snapshot ends early"};
    if (!read.data) why = read.data.error();
    if (!read.data || read.data->view.empty()) {
        s->serving.reset();
        if (why.code == errc::not_found) return; // dropped or replaced: it asks again
        if (why.code == errc::log_damaged) {
            lose_snapshot(read.snapshot.at, why);
        } else {
            report_event(severity::error, "transfer.unreadable", to_string(why));
        }
        return send(*s, notice_message{why.code, "its snapshot: " + why.detail, false});
    }
    std::size_t size = read.data->view.size();
    s->serve_next += size;
    s->served = now_;
    hand_to_link(*s, size);
    send(*s, state_chunk{read.snapshot, read.offset, *read.data});
}

} // namespace weft
