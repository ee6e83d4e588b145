#include "replica/core.hpp"

// What the core says of itself and of its peers.
namespace weft {
namespace {

constexpr std::int64_t said_again_ms = 600'000;

} // namespace

std::string_view to_string(peer_state state) {
    switch (state) {
        case peer_state::initializing: return "initializing";
        case peer_state::catching_up: return "catching_up";
        case peer_state::active: return "active";
        case peer_state::paused: return "paused";
        case peer_state::blocked: return "blocked";
        case peer_state::failed: return "failed";
    }
    return "unknown";
}

std::string_view to_string(transfer_phase phase) {
    switch (phase) {
        case transfer_phase::receiving: return "receiving";
        case transfer_phase::waiting: return "waiting";
        case transfer_phase::joining: return "joining";
        case transfer_phase::writing: return "writing";
        case transfer_phase::catching_up: return "catching_up";
    }
    return "unknown";
}

void core::count_drained(session_id id, instant when) {
    session* s = find_session(id);
    if (s == nullptr || s->undrained_bytes == 0)
        return; // what was no run does not count: so a peer only reads
    s->moved = when;
    sending_bytes_ -= std::exchange(s->undrained_bytes, 0);
}

bool core::waits_for_room() const {
    return std::any_of(sessions_.begin(), sessions_.end(), [this](const auto& e) {
        const session& s = e.second;
        return s.open && (s.serving || s.cursor < tail_.end());
    });
}

void core::count_heard(session_id id, instant when) {
    session* s = find_session(id);
    if (s == nullptr) return;
    s->last_heard = s->moved = when; // what it confirms may stand behind that frame
}

void core::count_sent(session_id id, std::size_t frame_bytes, bool owed, instant when) {
    session* s = find_session(id);
    if (s == nullptr) return;
    if (peer_entry* entry = entry_of(*s)) entry->bytes_out += frame_bytes;
    if (s->frames_taken == s->frames_bytes) s->link_moved = when;
    s->frames_bytes += frame_bytes;
    if (owed) s->owed_end = s->frames_bytes;
}

void core::count_taken(session_id id, std::uint64_t frame_bytes, instant when) {
    session* s = find_session(id);
    if (s == nullptr || frame_bytes <= s->frames_taken) return;
    s->link_moved = when;
    if (s->frames_taken < s->owed_end) s->moved = when;
    s->frames_taken = frame_bytes;
}

result<peer_id> core::find_peer(std::string_view name_url_or_id) const {
    std::string known;
    for (std::size_t i = 0; i < peers_.size(); ++i) {
        const peer_entry& p = peers_[i];
        if (p.url.empty()) continue; // merged into another
        bool same = (!p.name.empty() && p.name == name_url_or_id) || p.url == name_url_or_id ||
                    (p.id != replica_id{} && to_string(p.id) == name_url_or_id);
        if (same) return peer_id{static_cast<std::uint32_t>(i)};
        known += (known.empty() ? "" : ", ") + (p.name.empty() ? p.url : p.name);
    }
    return fail(errc::not_found, "no peer '" + std::string(name_url_or_id) +
                                     "'; known: " + (known.empty() ? "none" : known));
}

replica_status core::status(instant now) const {
    replica_status out;
    out.name = options_.name;
    out.id = id_;
    out.predecessor = predecessor_;
    out.cluster = options_.cluster;
    out.region = options_.region;
    out.sync = options_.sync;
    out.objects = state_.objects();
    out.vector = applied_;
    out.durable = durable_;
    out.digest = state_.digest();
    out.state_bytes = state_.state_bytes();
    out.state_bytes_max = options_.state_bytes_max;
    out.log_runs = static_cast<std::uint64_t>(tail_.end()) - static_cast<std::uint64_t>(log_first_);
    out.snapshots = held_snapshots();
    out.snapshot_under_way = snapshotting_;
    out.log_bytes_since_snapshot = bytes_since_snapshot_;
    out.log_first = static_cast<std::uint64_t>(log_first_);
    out.log_bytes_max = options_.log_bytes_max;
    out.log_held = held_log_parts();
    out.floor = floor_;
    if (transfer_) {
        out.transfer = transfer_status{transfer_->peer, transfer_->at, transfer_->staged,
                                       transfer_->what.snapshot.size};
    }
    out.held_back_runs = held_back_.runs();
    out.held_back_bytes = held_back_.bytes();
    out.known_ids = origins_.size();
    out.known_ids_max = limits::vector_entries_max;
    out.buffer_bytes_max = options_.buffer_bytes_max;
    out.log_tail_bytes = tail_.size_bytes();
    out.sending_bytes = sending_bytes_;
    out.vector_bytes = vector_bytes_;
    out.digest_compared_ms = digest_compared_.ns < 0 ? -1 : now.ms_since(digest_compared_);
    for (const peer_entry& p : peers_)
        out.digest_mismatch = out.digest_mismatch || p.digest_mismatch;
    out.disk_full = disk_full_;
    out.conflicts = conflicts_.all().size();
    out.conflicts_waiting = conflicts_.waiting();
    out.conflicts_failing = conflicts_.failing();
    out.conflicts_out_of_bounds = conflicts_.out_of_bounds();
    out.rules = conflicts_.rules().all().size();
    out.rules_version = conflicts_.rules().version();
    out.clock_ahead = clock_.wall_distrusted();
    for (const peer_entry& p : peers_) {
        if (p.name.empty() && !p.configured) continue; // merged into a configured entry
        peer_status peer;
        peer.name = p.name;
        peer.id = p.id;
        peer.url = p.url;
        peer.configured = p.configured;
        peer.bytes_in = p.bytes_in;
        peer.bytes_out = p.bytes_out;
        peer.changes_in = p.changes_in;
        peer.changes_out = p.changes_out;
        peer.duplicate_runs = p.duplicate_runs;
        peer.digest_compared_ms = p.digest_compared.ns < 0 ? -1 : now.ms_since(p.digest_compared);
        peer.digest_mismatch = p.digest_mismatch;
        peer.digest_mismatch_keys = p.mismatch_keys;
        if (p.session) {
            const session& s = sessions_.at(*p.session); // the driver asks nothing of a closed core
            peer.other_rules = s.open && s.rules_version != conflicts_.rules().version();
            peer.lag_ops = applied_.operations_beyond(s.their_applied);
            peer.lag_ms = s.probing && peer.lag_ops > 0 ? now.ms_since(s.probe_at) : 0;
            peer.rtt_us = s.rtt_us;
            if (s.serving && s.serve_next < s.serving->size) {
                peer.state_bytes_sent = s.serve_next;
                peer.state_bytes_total = s.serving->size;
            }
            peer.state = s.caught_up ? peer_state::active : peer_state::catching_up;
        } else {
            peer.lag_ops = applied_.operations_beyond(p.durable);
            peer.lag_ms = peer.lag_ops > 0 && p.lacks_since ? now.ms_since(*p.lacks_since) : 0;
            bool tried = p.failures > 0 || p.ever_open || p.last_error;
            peer.state = tried ? peer_state::failed : peer_state::initializing;
            if (p.last_error) peer.error = to_string(*p.last_error);
        }
        if (p.blocked) {
            peer.state = peer_state::blocked;
            peer.error = to_string(*p.blocked);
        }
        if (p.paused && !p.blocked) peer.state = peer_state::paused;
        out.peers.push_back(std::move(peer));
    }
    return out;
}

void core::report_event(severity level, std::string what, std::string text) {
    effects_.push_back(report{{level, std::move(what), std::move(text)}});
}

void core::report_seldom(severity level, std::string what, const std::string& where,
                         const std::string& text) {
    std::erase_if(said_,
                  [this](const auto& e) { return now_.ms_since(e.second) >= said_again_ms; });
    if (said_.size() < limits::peers_max && !said_.emplace(what + text, now_).second) return;
    report_event(level, std::move(what), where + ": " + text);
}

} // namespace weft
