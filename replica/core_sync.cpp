#include "base/check.hpp"
#include "base/limits.hpp"
#include "replica/core.hpp"
#include "replica/digest_ranges.hpp"

#include <algorithm>
#include <set>

// What goes over an open session: runs, what is wanted on which link, acks, heartbeats, repair.
namespace weft {
namespace {

// Runs handed to a link before it is drained: enough to keep it busy, too little to be a queue.
constexpr std::size_t link_bytes_max = 4 * limits::batch_bytes_target;

} // namespace

// ---- receiving

bool core::much_to_tell() const {
    return untold_bytes_ > limits::buffer_share(options_.buffer_bytes_max);
}

void core::on_runs(session& s, const runs_message& runs) {
    peer_entry* entry = entry_of(s);
    for (const shared_bytes& run : runs.runs) {
        s.taken_bytes += run.view.size();
        // Subscribers are told whole paths, which a run does not have: a small frame may make much of it.
        if (disk_full_ || much_to_tell()) {
            s.ask_resend = true;
            continue;
        }
        s.took = now_;
        auto header = read_run_header(run.view);
        if (!header) {
            error why = header.error();
            why.detail = s.name + " (" + s.url + "): " + why.detail;
            if (entry != nullptr) entry->blocked = why;
            report_event(severity::error, "session.bad_run", to_string(why));
            return drop_session(s.id, why, true);
        }
        s.known.advance(header->origin, header->end - 1); // it need not come back
        if (s.unreadable.contains(header->origin)) continue;
        auto taken = take_run(*header, run, false);
        if (!taken) {
            on_refused_run(s, header->origin, taken.error()); // other origins go on
            if (header->origin == id_) return change_identity(taken.error().detail, true);
            continue;
        }
        if (*taken == run_outcome::applied) {
            if (entry != nullptr) entry->changes_in += header->changes;
            if (held_back_.runs() > 0) retry_held_back();
        } else if (*taken == run_outcome::duplicate) {
            if (entry != nullptr) ++entry->duplicate_runs;
        } else {
            note_more(s, header->origin, header->end - 1);
            if (held_back_.add(*header, {run, s.id, now_, missing_})) continue;
            s.ask_resend = true;
            s.repairing = true;
        }
    }
    if (now_ < s.at_once_until) sync_asked_ = true;
    // What was dropped is asked for again at the next look for repair, not at once: else a peer that has
    // more than can be held back would be asked for it without a pause.
    if (s.taken_bytes - s.reported_bytes >= limits::credit_bytes / 4) {
        send_ack(s);
    } else {
        acks_due();
    }
}

void core::on_refused_run(session& s, replica_id origin_id, const error& why) {
    // A run that does not decode may have been damaged by who relayed it: others may have it whole.
    bool forked = why.code == errc::dot_reused;
    if (!forked) s.unreadable.insert(origin_id);
    block(s, why);
}

void core::send_ack(session& s) {
    bool waiting = waiting_.for_others();
    if (waiting) s.next_asking = now_.after_ms(limits::ack_at_once_ms / 2);
    if (auto ack = s.make_ack(applied_, durable_, waiting)) send(s, std::move(*ack));
}

// Something is to be told to everybody, which has time where nobody waits for it.
void core::acks_due() {
    if (next_acks_ == instant::never()) next_acks_ = now_.after_ms(limits::ack_delay_ms);
}

void core::on_ack(session& s, const ack_message& ack) {
    if (ack.taken_bytes > s.acked_bytes) s.moved = now_;
    s.take_ack(ack);
    note_durable(s);
    if (!ack.waiting) return;
    s.at_once_until = now_.after_ms(limits::ack_at_once_ms);
    sync_asked_ = true;
    ack_at_once(s);
}

// To a peer that waits: whether something that it made is durable here.
void core::ack_at_once(session& s) {
    bool news = durable_.at(s.their_id) > s.reported_durable.at(s.their_id);
    if (s.open && now_ < s.at_once_until && news) send_ack(s);
}

// Asks each peer for what should come from it: own changes from everybody, the rest from one of them
// (the lowest id, so that the choice is stable), unless a repair found a better source.
void core::refresh_interests() {
    const session* rest = nullptr;
    for (const auto& [id, s] : sessions_) {
        if (s.open && !s.below_floor && (rest == nullptr || s.their_id < rest->their_id)) rest = &s;
    }
    for (auto& [id, s] : sessions_) {
        if (!s.open || s.below_floor) continue; // its log does not reach us: first its state
        interest_message want;
        if (!s.repairing) {
            std::set<replica_id> elsewhere;
            std::set<replica_id> found_here{s.their_id};
            for (const auto& [other_id, other] : sessions_) {
                if (other_id != id && other.open && !other.below_floor)
                    elsewhere.insert(other.their_id);
            }
            for (const auto& [origin_id, source] : source_of_) {
                (source == id ? found_here : elsewhere).insert(origin_id);
            }
            want.only_own = &s != rest && found_here.size() == 1;
            if (!want.only_own) {
                // Of one that is not the rest, everything known that was not found there is excluded.
                if (&s != rest) {
                    for (const auto& e : applied_.entries()) elsewhere.insert(e.replica);
                }
                for (replica_id origin_id : found_here) elsewhere.erase(origin_id);
                want.except.assign(elsewhere.begin(), elsewhere.end());
                // Whom it does not name comes twice, at most.
                if (want.except.size() > limits::vector_entries_max)
                    want.except.resize(limits::vector_entries_max);
            }
        }
        want.resend = s.ask_resend;
        bool same = s.asked_once && !want.resend && want.only_own == s.asked.only_own &&
                    want.except == s.asked.except;
        if (same) continue;
        s.ask_resend = false;
        s.asked_once = true;
        s.asked = want;
        want.applied = applied_;
        send(s, std::move(want));
    }
}

// ---- sending

// The first run in the log that the peer wants here and was not sent. Looks from the newest back, so that
// it costs what was written since the peer last had everything, at most what is in memory. If that does
// not reach back to it, the log's first.
log_index core::first_lacked(const session& s) const {
    std::vector<dot> lacked; // of each origin, what comes next
    for (const auto& e : applied_.entries()) {
        std::uint64_t has = s.known.at(e.replica);
        if (has < e.counter && s.wants(e.replica, id_)) lacked.push_back({e.replica, has + 1});
    }
    std::size_t left = lacked.size();
    log_index at = tail_.end();
    while (left > 0 && at > tail_.begin()) {
        at = previous(at);
        const logged_run& run = tail_.at(at);
        auto next_of = std::lower_bound(lacked.begin(), lacked.end(), run.origin,
                                        [](dot d, replica_id id) { return d.replica < id; });
        bool found = next_of != lacked.end() && next_of->replica == run.origin &&
                     next_of->counter >= run.first;
        if (!found) continue;
        next_of->counter = 0;
        --left;
    }
    return left == 0 ? at : log_first_;
}

bool core::consider(session& s, const logged_run& run, runs_message& batch,
                    std::size_t& batch_bytes) {
    bool has_it = s.known.at(run.origin) >= run.end - 1;
    if (has_it) return true;
    if (!s.wants(run.origin, id_)) return true;
    if (is_withheld(s, run.origin)) {
        if (!s.passed_over) s.passed_over = run.origin;
        return true;
    }
    bool own = run.origin == id_ || run.origin == predecessor_;
    if (own && options_.sync == sync_policy::commit && run.index >= durable_end_) return false;
    batch.runs.push_back(run.bytes);
    batch_bytes += run.bytes.view.size();
    s.known.advance(run.origin, run.end - 1);
    return true;
}

void core::send_runs(session& s, runs_message& batch, std::uint64_t changes) {
    if (batch.runs.empty()) return;
    for (const shared_bytes& run : batch.runs) {
        hand_to_link(s, run.view.size());
        s.sent_bytes += run.view.size();
    }
    if (peer_entry* entry = entry_of(s)) entry->changes_out += changes;
    send(s, std::exchange(batch, {}));
}

// How much may be handed to the link now: what its queue takes of the budget that all share, and what the
// peer gave credit for.
std::size_t core::room(const session& s) const {
    std::size_t share = limits::buffer_share(options_.buffer_bytes_max);
    std::size_t own = std::clamp(share / std::max<std::size_t>(sessions_.size(), 1),
                                 limits::batch_bytes_target, link_bytes_max);
    std::uint64_t limit = s.acked_bytes + limits::credit_bytes;
    if (s.undrained_bytes >= own || sending_bytes_ >= share || s.sent_bytes >= limit) return 0;
    return std::min(own - s.undrained_bytes, static_cast<std::size_t>(limit - s.sent_bytes));
}

void core::hand_to_link(session& s, std::size_t size) {
    if (!owes(s)) s.moved = now_;
    s.undrained_bytes += size;
    sending_bytes_ += size;
}

// Whether the peer is to take something. What the log has no space for is not sent yet.
bool core::owes(const session& s) const {
    return !disk_full_ && (s.undrained_bytes > 0 || s.sent_bytes > s.acked_bytes);
}

// Neither a slow link, nor one of which nothing is wanted: nothing is taken, or nothing that was taken is
// confirmed.
bool core::stalled(const session& s) const {
    auto too_long = [this](instant since) { return now_.ms_since(since) >= limits::stall_ms_max; };
    return (owes(s) && too_long(s.moved)) ||
           (s.frames_taken < s.frames_bytes && too_long(s.link_moved));
}

void core::pump(session& s) {
    if (!s.open || !s.wanted || s.reading) return;
    if (s.holds && !is_withheld(s, id_)) s.holds = false;
    if (s.passed_over && !is_withheld(s, *s.passed_over)) {
        s.passed_over.reset();
        s.cursor = std::min(s.cursor, first_lacked(s));
    }
    if (s.caught_up && s.cursor == tail_.end()) return;
    if (!s.known.covers(floor_)) return;
    runs_message batch;
    std::size_t batch_bytes = 0;
    std::uint64_t changes = 0;
    while (batch_bytes < room(s) && s.cursor < tail_.end()) {
        if (s.cursor < tail_.begin()) {
            if (s.known.covers(tail_.before())) {
                s.cursor = tail_.begin();
                continue;
            }
            if (options_.sync == sync_policy::commit && s.cursor >= durable_end_) break;
            std::size_t left = room(s) - batch_bytes;
            if (left < limits::batch_bytes_target) break; // not worth a read yet
            s.reading = true;
            s.read_from = s.cursor;
            effects_.push_back(read_log{s.id, s.cursor, s.known, left});
            break;
        }
        const logged_run& run = tail_.at(s.cursor);
        std::size_t before = batch.runs.size();
        if (!consider(s, run, batch, batch_bytes)) break;
        if (batch.runs.size() > before) changes += run.changes;
        s.cursor = next(s.cursor);
        if (batch_bytes >= limits::batch_bytes_target) {
            send_runs(s, batch, std::exchange(changes, 0));
            batch_bytes = 0;
        }
    }
    send_runs(s, batch, changes);
    if (s.caught_up) return;
    if (s.their_applied.covers(s.our_start) && applied_.covers(s.their_start)) {
        s.caught_up = true;
        report_event(severity::info, "session.active", s.name);
    }
}

void core::on_log_read(const log_read& read) {
    if (read.for_check) return on_check_log_read(read);
    if (read.session == session_id{}) return on_own_log_read(read);
    session* s = find_session(read.session);
    if (s == nullptr) return;
    s->reading = false;
    // If the cursor was rewound meanwhile, this answer would lead it past what it was rewound for.
    if (s->cursor != s->read_from) return;
    // What it was led past so far is no longer withheld: it is rewound before it goes on.
    if (s->passed_over && !is_withheld(*s, *s->passed_over)) return;
    runs_message batch;
    std::size_t batch_bytes = 0;
    std::uint64_t changes = 0;
    log_index at = read.first;
    for (const shared_bytes& run : read.runs) {
        auto header = read_run_header(run.view);
        WEFT_CHECK(header.has_value()); // the log checks what it reads
        std::size_t before = batch.runs.size();
        if (!consider(*s, {at, header->origin, header->first, header->end, header->changes, run},
                      batch, batch_bytes))
            break;
        if (batch.runs.size() > before) changes += header->changes;
        at = next(at);
    }
    s->cursor = at;
    send_runs(*s, batch, changes);
}

// ---- time

void core::send_heartbeat(session& s, std::uint64_t pong) {
    heartbeat_message beat;
    beat.ping = pong == 0 ? static_cast<std::uint64_t>(now_.ns) : 0;
    beat.pong = pong;
    beat.clock = clock_.last();
    beat.wall_ms = wall_ms_;
    if (pong == 0) {
        beat.applied = applied_;
        if (open_run_.empty()) {
            beat.applied_hash = hash_of_vector(applied_);
            beat.digest = state_.digest().words;
        }
    }
    send(s, std::move(beat));
}

void core::on_heartbeat(session& s, const heartbeat_message& beat) {
    if (beat.pong != 0) {
        std::int64_t trip_ns = now_.ns - static_cast<std::int64_t>(beat.pong);
        if (trip_ns > 0) s.rtt_us = std::max<std::int64_t>(trip_ns / 1000, 1);
    }
    bool near_wall = beat.wall_ms + limits::clock_drift_ms_max >= wall_ms_;
    if (clock_.wall_distrusted() && near_wall) {
        clock_.distrust_wall(false);
        clock_ahead_reported_ = false;
    }
    (void)clock_.observe(beat.clock, wall_ms_);
    if (beat.ping == 0) return;
    s.their_applied.join(beat.applied);
    s.probe_stale = true;
    send_heartbeat(s, beat.ping);
    compare_digest(s, beat);
}

void core::tick() {
    dial_what_is_due();
    for (peer_entry& p : peers_) {
        if (!p.session && !p.lacks_since && !p.durable.covers(applied_)) p.lacks_since = now_;
    }
    std::vector<std::pair<session_id, error>> lost;
    std::vector<session_id> taking_nothing;
    bool refresh = false;
    for (auto& [id, s] : sessions_) {
        std::int64_t silent_ms = now_.ms_since(s.last_heard);
        if (!s.open && now_.ms_since(s.opened) >= limits::handshake_ms_max) {
            lost.emplace_back(
                id, error{errc::link_lost, s.url + ": no Hello within " +
                                               std::to_string(limits::handshake_ms_max) + " ms"});
            continue;
        }
        if (!s.open) continue;
        if (silent_ms >= limits::silence_ms_max) {
            lost.emplace_back(id,
                              error{errc::link_lost, s.name + " (" + s.url + ") was silent for " +
                                                         std::to_string(silent_ms) + " ms"});
            continue;
        }
        if (stalled(s)) {
            taking_nothing.push_back(id);
            continue;
        }
        if (now_ >= s.next_heartbeat) {
            send_heartbeat(s, 0);
            s.next_heartbeat = now_.after_ms(limits::heartbeat_ms);
        }
        // Lag of the peer: how long ago was there something that it still has not acknowledged?
        // The answer is another only after an acknowledgement, or where nothing was lacking, after a run.
        if (std::exchange(s.probe_stale, false) || (!s.probing && s.probed_end != tail_.end())) {
            if (s.probing && s.their_applied.covers(s.probe)) s.probing = false;
            if (!s.probing && !s.their_applied.covers(applied_)) {
                s.probing = true;
                s.probe = applied_;
                s.probe_at = now_;
            }
            s.probed_end = tail_.end();
        }
        if (now_ < s.next_repair) continue;
        s.next_repair = now_.after_ms(limits::repair_ms);
        if (left_behind(s)) {
            lost.emplace_back(id, error{errc::closed,
                                        "our log does not reach back to it any more; it comes back "
                                        "and fetches the state"});
            continue;
        }
        if (s.below_floor && !below_floor(s)) {
            s.below_floor = false;
            refresh = true;
        }
        bool waits =
            held_back_.waits_for(id, {now_.ns - std::int64_t{limits::repair_ms} * 1'000'000});
        if (waits != s.repairing) {
            s.repairing = waits;
            refresh = true;
        }
        // What the peer had at the last look, and we lack, and that has not moved since: from here on it
        // is wanted from this peer.
        for (const auto& e : s.lacked.entries()) {
            std::uint64_t have = applied_.at(e.replica);
            bool stalled = have < e.counter && have == s.lacked_at.at(e.replica);
            auto origin_here = origins_.find(e.replica);
            bool refused = origin_here != origins_.end() && origin_here->second.refused;
            bool unreadable = s.unreadable.contains(e.replica);
            if (!stalled || refused || unreadable || s.below_floor || s.asked_for(e.replica))
                continue;
            source_of_[e.replica] = id;
            refresh = true;
        }
        s.lacked = {};
        for (const auto& e : s.their_applied.above(applied_))
            s.lacked.advance(e.replica, e.counter);
        s.lacked_at = applied_;
        // Whoever has a link of its own again, and of whom nothing is missing, sends for itself.
        auto sourced = source_of_.find(s.their_id);
        if (sourced != source_of_.end() && sourced->second != id) {
            bool lacked = std::any_of(sessions_.begin(), sessions_.end(), [&](const auto& other) {
                return other.second.their_applied.at(s.their_id) > applied_.at(s.their_id);
            });
            if (!lacked) source_of_.erase(sourced);
            refresh = refresh || !lacked;
        }
        refresh = refresh || (s.ask_resend && !disk_full_);
    }
    for (const auto& [id, why] : lost) drop_session(id, why, false);
    for (session_id id : taking_nothing) {
        error why{errc::over_limit, "nothing of what was sent was taken for " +
                                        std::to_string(limits::stall_ms_max / 1000) + " s"};
        effects_.push_back(close_link{id, notice_message{why.code, why.detail, true}});
        forget_session(id, why);
    }
    if (held_back_.runs() > 0) {
        held_back_.drop_orphans([this](session_id id) { return find_session(id) == nullptr; },
                                {now_.ns - std::int64_t{limits::silence_ms_max} * 1'000'000});
    }
    if (refresh) refresh_interests();
    want_transfer();
    drop_old_snapshots();
    bool everybody = now_ >= next_acks_;
    if (everybody) next_acks_ = instant::never();
    bool waiting = waiting_.for_others();
    if (!everybody && !waiting) return;
    for (auto& [id, s] : sessions_) {
        if (s.open && (everybody || now_ >= s.next_asking)) send_ack(s);
    }
}

instant core::deadline() const {
    instant out = std::min({waiting_.deadline(), next_acks_, next_sync_, snapshot_due()});
    if (cut_wanted_) out = std::min(out, next_log_cut_);
    bool waiting = waiting_.for_others();
    if (!changed_states_.empty()) out = std::min(out, next_telling_);
    bool behind = transfer_ && transfer_->at == transfer_phase::catching_up && !transfer_->reading;
    if (behind || retries_) out = now_;
    if (!checks_.empty()) out = std::min(out, checks_due());
    for (const peer_entry& p : peers_) {
        if (p.configured && !p.paused && !p.connecting && !p.session)
            out = std::min(out, p.next_dial);
    }
    for (const auto& [id, s] : sessions_) {
        if (s.open) {
            out = std::min({out, s.next_heartbeat, s.last_heard.after_ms(limits::silence_ms_max)});
            if (waiting) out = std::min(out, s.next_asking);
            if (owes(s)) out = std::min(out, s.moved.after_ms(limits::stall_ms_max));
            if (s.frames_taken < s.frames_bytes)
                out = std::min(out, s.link_moved.after_ms(limits::stall_ms_max));
            bool waits =
                !s.lacked.empty() || s.repairing || s.ask_resend || s.below_floor || left_behind(s);
            if (waits || held_back_.runs() > 0) out = std::min(out, s.next_repair);
        } else {
            out = std::min(out, s.opened.after_ms(limits::handshake_ms_max));
        }
    }
    return out;
}

} // namespace weft
