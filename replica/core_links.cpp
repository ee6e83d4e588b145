#include "base/limits.hpp"
#include "replica/core.hpp"

#include <algorithm>

// Peers and the links to them: dialing, greeting, two links with one peer, notices, goodbyes.
namespace weft {
namespace {

constexpr std::uint16_t protocol_version = 1;
constexpr std::uint32_t all_codecs = 0b1111;
// A process whose link another of the same id replaced, and that comes back so often within this, is alive:
// a dead one may have had a Hello under way on the link that it dialed and on the one that it accepted.
constexpr unsigned rival_returns = 3;
constexpr std::int64_t rival_ms = 3 * std::int64_t{limits::backoff_ms_max};
const char* const copied_directory = "one directory is a copy of the other. Stop one, remove the "
                                     "file identity.weft from its directory "
                                     "and start it again: it takes a new id and keeps its data";

} // namespace

// ---- peers

session* core::find_session(session_id id) {
    auto found = sessions_.find(id);
    return found == sessions_.end() ? nullptr : &found->second;
}

core::peer_entry* core::entry_of(const session& s) {
    return s.peer ? &peers_[static_cast<std::size_t>(*s.peer)] : nullptr;
}

std::optional<peer_id> core::peer_named(std::string_view name) const {
    for (std::size_t i = 0; i < peers_.size(); ++i) {
        if (peers_[i].name == name) return peer_id{static_cast<std::uint32_t>(i)};
    }
    return std::nullopt;
}

// A peer that first came by itself turns out to be the one of a configured URL: its counts go there.
void core::merge_entry(peer_id from, peer_id into) {
    peer_entry& gone = peers_[static_cast<std::size_t>(from)];
    peer_entry& kept = peers_[static_cast<std::size_t>(into)];
    kept.bytes_in += gone.bytes_in;
    kept.bytes_out += gone.bytes_out;
    kept.changes_in += gone.changes_in;
    kept.changes_out += gone.changes_out;
    kept.duplicate_runs += gone.duplicate_runs;
    if (gone.fetching_until > kept.fetching_until) {
        kept.fetching = gone.fetching;
        kept.fetching_until = gone.fetching_until;
    }
    kept.digest_compared = std::max(kept.digest_compared, gone.digest_compared);
    kept.paused = kept.paused || gone.paused;
    kept.ever_open = kept.ever_open || gone.ever_open;
    if (gone.configured) { // another URL that led there once, and may lead elsewhere now
        gone.name.clear();
        gone.id = {};
        durable_at_.has_at_most(gone.url, {});
    } else {
        gone = {};
    }
}

// An entry for a peer that came by itself: a new one, or that of one that came and went long ago.
std::optional<peer_id> core::free_entry() {
    for (std::size_t i = 0; i < peers_.size(); ++i) { // merged into another
        if (peers_[i].url.empty()) return peer_id{static_cast<std::uint32_t>(i)};
    }
    if (peers_.size() < std::size_t{2} * limits::peers_max) {
        peers_.emplace_back();
        return peer_id{static_cast<std::uint32_t>(peers_.size() - 1)};
    }
    for (std::size_t i = 0; i < peers_.size(); ++i) {
        peer_id id{static_cast<std::uint32_t>(i)};
        const peer_entry& p = peers_[i];
        bool used = p.configured || p.paused || p.session ||
                    std::any_of(sessions_.begin(), sessions_.end(),
                                [id](const auto& e) { return e.second.peer == id; });
        if (used) continue;
        peers_[i] = {};
        return id;
    }
    return std::nullopt;
}

// Who answers there now. If that is another replica, or another incarnation, nothing is known of its disk.
void core::meet(peer_entry& entry, const hello_message& hello) {
    if (entry.configured && entry.id != hello.id) durable_at_.has_at_most(entry.url, {});
    entry.durable = {}; // it says so again
    entry.name = hello.name;
    entry.id = hello.id;
}

void core::note_durable(const session& s) {
    peer_entry* entry = entry_of(s);
    if (entry == nullptr) return;
    entry->durable.join(s.their_durable);
    if (entry->configured) durable_at_.seen_by(entry->url, s.their_durable);
}

void core::schedule_dial(peer_entry& entry, bool after_failure) {
    if (!entry.configured) return;
    entry.failures = after_failure ? entry.failures + 1 : 0;
    std::uint64_t ceiling = std::min<std::uint64_t>(
        limits::backoff_ms_max,
        std::uint64_t{limits::backoff_ms_min} << std::min<std::uint32_t>(entry.failures, 16));
    // Full jitter above the smallest delay, so that peers of a lost hub do not come back at once.
    std::uint64_t delay = limits::backoff_ms_min + random_.below(ceiling);
    entry.next_dial = now_.after_ms(static_cast<std::int64_t>(delay));
}

void core::dial_what_is_due() {
    for (std::size_t i = 0; i < peers_.size(); ++i) {
        peer_entry& p = peers_[i];
        if (!p.configured || p.paused || p.connecting || p.session || p.next_dial > now_) continue;
        p.connecting = true;
        effects_.push_back(dial{peer_id{static_cast<std::uint32_t>(i)}, p.url});
    }
}

void core::on_dial_failed(const dial_failed& failed) {
    peer_entry& p = peers_[static_cast<std::size_t>(failed.peer)];
    p.connecting = false;
    if (!p.last_error || p.last_error->detail != failed.why.detail) {
        report_event(severity::warning, "peer.unreachable", p.url + ": " + failed.why.detail);
    }
    p.last_error = failed.why;
    schedule_dial(p, true);
}

void core::on_peer_command(const peer_command& command) {
    peer_entry& p = peers_[static_cast<std::size_t>(command.peer)];
    if (p.paused == command.pause) return;
    p.paused = command.pause;
    report_event(severity::info, command.pause ? "peer.paused" : "peer.resumed",
                 p.name.empty() ? p.url : p.name);
    if (!command.pause) {
        for (auto& [id, known] : origins_) known.refused.reset(); // tried again; a fork shows again
        p.blocked.reset();
        p.next_dial = now_;
        return;
    }
    std::vector<session_id> its;
    for (const auto& [id, s] : sessions_) {
        if (s.peer == command.peer) its.push_back(id);
    }
    for (session_id id : its) drop_session(id, {errc::closed, "paused by an operator"}, true);
}

// ---- links

hello_message core::make_hello() const {
    hello_message hello;
    hello.protocol_min = hello.protocol_max = protocol_version;
    hello.cluster = options_.cluster;
    hello.id = id_;
    hello.name = options_.name;
    hello.process_nonce = nonce_;
    hello.codecs = all_codecs;
    hello.features = feature_checks;
    hello.clock = clock_.last();
    hello.floor = floor_;
    hello.rules_version = conflicts_.rules().version();
    for (const auto& e : applied_.entries()) {
        hello.applied.push_back({e.replica, e.counter, origins_.at(e.replica).last});
    }
    return hello;
}

void core::send(session& s, message what) {
    effects_.push_back(send_message{s.id, std::move(what)});
}

void core::greet(session& s) {
    if (std::exchange(s.greeted, true)) return;
    s.told_floor = floor_;
    send(s, make_hello());
}

void core::on_link_up(const link_up& up) {
    if (up.peer) {
        peer_entry& p = peers_[static_cast<std::size_t>(*up.peer)];
        if (p.paused || p.session) { // paused, or met on another link, while the dial was under way
            p.connecting = false;
            effects_.push_back(close_link{up.session});
            return;
        }
    }
    if (sessions_.size() >= limits::peers_max) {
        effects_.push_back(close_link{up.session});
        report_seldom(severity::warning, "session.refused", up.url, "too many sessions");
        if (up.peer) {
            peer_entry& p = peers_[static_cast<std::size_t>(*up.peer)];
            p.connecting = false;
            schedule_dial(p, true);
        }
        return;
    }
    session s;
    s.id = up.session;
    s.peer = up.peer;
    s.dialed = up.peer.has_value();
    s.url = up.url;
    s.opened = s.last_heard = now_;
    s.next_heartbeat = now_.after_ms(limits::heartbeat_ms);
    s.next_repair = now_.after_ms(limits::repair_ms);
    session& kept = sessions_.emplace(up.session, std::move(s)).first->second;
    // Who dials for the first time hears first who is there: it may be somebody who is linked already,
    // under another URL, and would take our Hello for the wish to replace that link.
    if (!up.peer || !entry_of(kept)->name.empty()) greet(kept);
}

// Closes a session from this side. With `tell`, the peer learns why first.
void core::drop_session(session_id id, const error& why, bool tell) {
    session* s = find_session(id);
    if (s == nullptr) return;
    if (tell) send(*s, notice_message{why.code, why.detail, true});
    effects_.push_back(close_link{id});
    forget_session(id, why);
}

// The link is gone.
void core::forget_session(session_id id, const error& why) {
    auto found = sessions_.find(id);
    if (found == sessions_.end()) return;
    session gone = std::move(found->second);
    sessions_.erase(found);
    sending_bytes_ -= gone.undrained_bytes;
    vector_bytes_ -= gone.counted_bytes;
    std::erase_if(source_of_, [id](const auto& e) { return e.second == id; });
    forget_checks(id, {errc::link_lost, "the link ended: " + why.detail});
    if (transfer_ && transfer_->from == id) transfer_->from.reset();
    peer_entry* entry = entry_of(gone);
    if (entry != nullptr) {
        if (gone.dialed && !gone.open) entry->connecting = false;
        bool was_the_session = entry->session == id;
        if (was_the_session) entry->session.reset();
        if (was_the_session && gone.probing) entry->lacks_since = gone.probe_at;
        if (gone.blocked) entry->blocked = gone.blocked;
        bool has_it =
            gone.serving && gone.serve_next == gone.serving->size && gone.known.covers(floor_);
        if (gone.serving && !has_it) {
            entry->fetching = gone.serving;
            entry->fetching_until = now_.after_ms(limits::transfer_return_ms_max);
        }
        if (!entry->session) {
            if (!entry->paused) entry->last_error = why;
            // A session that ended soon after it began may do so again: wait longer each time.
            schedule_dial(*entry,
                          !gone.open || now_.ms_since(gone.opened) < limits::silence_ms_max);
        }
    }
    if (gone.open) {
        report_event(severity::info, "session.closed",
                     gone.name + " (" + gone.url + "): " + why.detail);
        refresh_interests();
    }
}

void core::on_received(const received& got) {
    session* s = find_session(got.session);
    if (s == nullptr) return;
    s->last_heard = now_;
    if (peer_entry* entry = entry_of(*s)) entry->bytes_in += got.frame_bytes;
    bool greeting = std::holds_alternative<hello_message>(got.what);
    bool notice = std::holds_alternative<notice_message>(got.what);
    if (!s->open && !greeting && !notice) {
        drop_session(s->id, {errc::bad_message, s->url + ": a message before Hello"}, true);
        return;
    }
    // Not only at the Hello: the peer itself may learn later what we have lost.
    if (std::uint64_t theirs = stated_in(got, id_); theirs >= next_counter_)
        return lost_tail(*s, theirs);
    for (replica_id past : past_) note_more(*s, past, stated_in(got, past));
    std::visit(
        [&](const auto& what) {
            using kind = std::decay_t<decltype(what)>;
            if constexpr (std::same_as<kind, hello_message>) {
                on_hello(*s, what);
            } else if constexpr (std::same_as<kind, interest_message>) {
                s->take_interest(what);
                s->cursor = std::min(s->cursor, first_lacked(*s));
            } else if constexpr (std::same_as<kind, runs_message>) {
                on_runs(*s, what);
            } else if constexpr (std::same_as<kind, ack_message>) {
                on_ack(*s, what);
            } else if constexpr (std::same_as<kind, heartbeat_message>) {
                on_heartbeat(*s, what);
            } else if constexpr (std::same_as<kind, notice_message>) {
                on_notice(*s, what);
            } else if constexpr (std::same_as<kind, digests_message>) {
                on_digests(*s, what);
            } else if constexpr (std::same_as<kind, check_message>) {
                on_check(*s, what);
            } else if constexpr (std::same_as<kind, state_request>) {
                on_state_request(*s, what);
            } else if constexpr (std::same_as<kind, state_chunk>) {
                on_state_chunk(*s, what);
            } // an unknown message of a newer peer is passed over
        },
        got.what);
    count_vectors(got.session);
}

// What peers state of themselves has a budget, too: the one that takes most of it goes.
void core::count_vectors(session_id id) {
    session* s = find_session(id);
    if (s == nullptr) return;
    std::size_t bytes_now = s->vector_bytes();
    vector_bytes_ += bytes_now - std::exchange(s->counted_bytes, bytes_now);
    while (vector_bytes_ > limits::buffer_share(options_.buffer_bytes_max)) {
        auto most = std::max_element(sessions_.begin(), sessions_.end(), [](auto& a, auto& b) {
            return a.second.counted_bytes < b.second.counted_bytes;
        });
        const session& large = most->second;
        error why{errc::over_limit,
                  (large.name.empty() ? large.url : large.name) + ": its version vectors take " +
                      std::to_string(large.counted_bytes) +
                      " bytes, and those of all sessions are over the budget for buffers"};
        report_seldom(severity::warning, "session.refused", large.url, why.detail);
        drop_session(most->first, why, true);
    }
}

// A second live replica under one name, or a second URL of one replica: refuses the newcomer, or the two
// would take turns for ever. True if it did.
bool core::same_member_twice(session& s, const hello_message& hello) {
    for (const auto& [id, other] : sessions_) {
        if (id == s.id || !other.open || other.name != hello.name) continue;
        bool same_process = other.their_id == hello.id && other.nonce == hello.process_nonce;
        bool alive = now_.ms_since(other.last_heard) < std::int64_t{2} * limits::heartbeat_ms;
        std::string what;
        if (!same_process && other.their_id != hello.id && alive) {
            what = "two live replicas call themselves '" + hello.name + "' (" +
                   to_string(hello.id) + " and " + to_string(other.their_id) +
                   "); give each member its own name";
        } else if (same_process && s.dialed && other.dialed && other.peer != s.peer) {
            what = "it leads to '" + hello.name + "', which is linked as " + other.url +
                   " already; remove one of the two URLs";
        }
        if (what.empty()) continue;
        report_seldom(severity::warning, "session.refused", s.url, what);
        drop_session(s.id, {errc::invalid_argument, what}, true);
        return true;
    }
    return false;
}

void core::note_replaced(const session& gone) {
    auto old = [this](const process& p) { return now_.ms_since(p.heard) >= rival_ms; };
    std::erase_if(replaced_, [&](const auto& e) {
        return std::all_of(e.second.begin(), e.second.end(), old);
    });
    auto& of_id = replaced_[gone.their_id];
    std::erase_if(of_id, old);
    auto known = std::find_if(of_id.begin(), of_id.end(),
                              [&](const process& p) { return p.nonce == gone.nonce; });
    if (known == of_id.end()) {
        of_id.push_back({gone.nonce, gone.last_heard});
    } else {
        known->heard = gone.last_heard;
    }
}

// A restarted process replaces the link of the one before it, of which no more is heard than the Hellos
// that were under way. One that comes back again, while the other lives too, is a second replica under the
// same id: both are kept off, so that neither takes the place of the other in turn, until one of them was
// silent for long enough.
bool core::has_rival(const hello_message& hello) {
    auto found = replaced_.find(hello.id);
    if (found == replaced_.end()) return false;
    std::vector<process>& of_id = found->second;
    auto mine = std::find_if(of_id.begin(), of_id.end(),
                             [&](const process& p) { return p.nonce == hello.process_nonce; });
    if (mine == of_id.end()) return false;
    mine->heard = now_;
    auto lives = [&](std::uint64_t nonce, instant heard) {
        return nonce != hello.process_nonce && now_.ms_since(heard) < rival_ms;
    };
    bool rival = std::any_of(of_id.begin(), of_id.end(),
                             [&](const process& p) { return lives(p.nonce, p.heard); }) ||
                 std::any_of(sessions_.begin(), sessions_.end(), [&](const auto& e) {
                     return e.second.open && e.second.their_id == hello.id &&
                            lives(e.second.nonce, e.second.last_heard);
                 });
    if (!rival) {
        replaced_.erase(found);
        return false;
    }
    return ++mine->returns >= rival_returns;
}

// Decides between two links with one peer; false if `s` was the one to go. Both sides decide alike: the
// link that the lower id dialed stays, and of two that one side dialed the newer.
bool core::settle_double_link(session& s, const hello_message& hello) {
    std::vector<session_id> older;
    for (auto& [id, other] : sessions_) {
        if (id == s.id || !other.open) continue;
        if (other.name != hello.name && other.their_id != hello.id) continue;
        bool same_process = other.their_id == hello.id && other.nonce == hello.process_nonce;
        bool dialed_alike = other.dialed == s.dialed;
        bool s_from_lower = (s.dialed ? id_ : hello.id) == std::min(id_, hello.id);
        if (same_process && !dialed_alike && !s_from_lower) {
            session_id stays = id;
            std::optional<peer_id> mine = s.peer;
            if (mine) { // the configured entry learns who is there, and need not dial
                peer_entry& p = peers_[static_cast<std::size_t>(*mine)];
                meet(p, hello);
                session& other_session = sessions_.at(stays);
                if (other_session.peer && other_session.peer != mine)
                    merge_entry(*other_session.peer, *mine);
                other_session.peer = mine;
                note_durable(other_session);
                p.session = stays;
            }
            drop_session(
                s.id, {errc::closed, "a second link with " + hello.name + " is not needed"}, false);
            return false;
        }
        older.push_back(id);
    }
    for (session_id id : older) {
        if (sessions_.at(id).nonce != hello.process_nonce) note_replaced(sessions_.at(id));
        drop_session(id, {errc::closed, "replaced by a newer link with " + hello.name}, false);
    }
    return true;
}

void core::on_hello(session& s, const hello_message& hello) {
    session_id id = s.id;
    auto refuse = [&](errc code, std::string detail) {
        report_seldom(severity::warning, "session.refused", s.url, detail);
        greet(s); // so that it sees the same
        drop_session(id, {code, std::move(detail)}, true);
    };
    if (s.open) return refuse(errc::bad_message, "a second Hello");
    if (hello.protocol_min > protocol_version || hello.protocol_max < protocol_version) {
        return refuse(errc::incompatible, "protocol " + std::to_string(hello.protocol_min) +
                                              " to " + std::to_string(hello.protocol_max) +
                                              ", here is " + std::to_string(protocol_version));
    }
    if (hello.name.empty() || hello.id == replica_id{})
        return refuse(errc::bad_message, "a Hello without a name or a replica id");
    version_vector has;
    for (const origin_state& o : hello.applied) has.advance(o.origin, o.counter);
    if (!has.covers(hello.floor))
        return refuse(errc::bad_message, "it lacks some of its own floor");
    if (hello.cluster != options_.cluster) {
        return refuse(errc::wrong_cluster, "it is of cluster '" + hello.cluster + "', here is '" +
                                               options_.cluster + "'; check --cluster and the URL");
    }
    if (hello.process_nonce == nonce_) {
        if (peer_entry* entry = entry_of(s)) {
            entry->blocked =
                error{errc::invalid_argument, "this URL leads to this replica itself; remove it"};
            entry->paused = true;
        }
        return refuse(errc::invalid_argument, "the replica dialed itself");
    }
    if (hello.id == id_) {
        return refuse(errc::duplicate_replica, "two live replicas have the id " + to_string(id_) +
                                                   " (here '" + options_.name + "', there '" +
                                                   hello.name + "'): " + copied_directory);
    }
    if (hello.name == options_.name) {
        return refuse(errc::invalid_argument, "it has this replica's own name '" + options_.name +
                                                  "'; give each member its own");
    }
    if (has_rival(hello)) {
        error why{errc::duplicate_replica, "two live replicas have the id " + to_string(hello.id) +
                                               " ('" + hello.name + "'): " + copied_directory};
        std::vector<session_id> its;
        for (const auto& [other_id, other] : sessions_) {
            if (other.open && other.their_id == hello.id) its.push_back(other_id);
        }
        for (session_id other_id : its) {
            note_replaced(sessions_.at(other_id));
            drop_session(other_id, why, true);
        }
        return refuse(why.code, why.detail);
    }
    if (same_member_twice(s, hello) || !settle_double_link(s, hello)) return;
    greet(s);

    if (!s.peer) {
        s.peer = peer_named(hello.name);
        if (!s.peer) {
            s.peer = free_entry();
            if (!s.peer) return refuse(errc::over_limit, "too many peers");
            entry_of(s)->url = s.url;
        }
    } else if (auto other = peer_named(hello.name); other && *other != *s.peer) {
        merge_entry(*other, *s.peer); // it came by itself before; now we know its URL
    }
    peer_entry& entry = *entry_of(s);
    meet(entry, hello);
    if (entry.paused) {
        return drop_session(
            id, {errc::closed, "replication with '" + hello.name + "' is paused here"}, true);
    }
    entry.session = id;
    if (s.dialed) entry.connecting = false;
    entry.ever_open = true;
    entry.last_error.reset();
    entry.blocked.reset();
    entry.lacks_since.reset();
    durable_at_.has_at_most(entry.url, has); // it may have lost its disk

    s.open = true;
    s.name = hello.name;
    s.their_id = hello.id;
    s.nonce = hello.process_nonce;
    s.their_start = s.their_applied = s.known = std::move(has);
    s.our_start = applied_;
    s.probe_stale = true;
    s.their_floor = hello.floor;
    s.rules_version = hello.rules_version;
    s.features = hello.features;
    if (s.rules_version != conflicts_.rules().version()) {
        report_seldom(severity::warning, "conflict.other_rules", hello.name,
                      "it settles conflicts by other rules than this replica: both may read the "
                      "same siblings differently");
    }
    s.below_floor = below_floor(s);
    if (s.known.covers(floor_)) entry.fetching.reset(); // it needs no state
    s.cursor = tail_.end();                             // its Interest will rewind it
    report_event(severity::info, "session.open", hello.name + " (" + s.url + ")");
    // Its stamp is only a hint: what its changes carry decides.
    (void)clock_.observe(hello.clock, wall_ms_);
    acks_due();
    if (check_their_knowledge(s, hello)) refresh_interests();
}

void core::block(session& s, const error& why) {
    s.forked = s.forked || why.code == errc::dot_reused;
    if (s.blocked && s.blocked->detail == why.detail) return;
    s.blocked = why;
    if (peer_entry* entry = entry_of(s)) entry->blocked = why;
    report_event(severity::error, "session.blocked", s.name + ": " + to_string(why));
    send(s, notice_message{why.code, why.detail, false});
}

void core::on_notice(session& s, const notice_message& notice) {
    // It takes some of what is here no more: who looks at this side is to see that, too.
    peer_entry* entry = entry_of(s);
    if (notice.code == errc::dot_reused && entry != nullptr)
        entry->blocked = error{notice.code, "it says: " + notice.detail};
    if (notice.code == errc::clock_ahead) {
        clock_.distrust_wall(true);
        if (!clock_ahead_reported_) {
            report_event(severity::warning, "clock.ahead_here",
                         s.name + " says: " + notice.detail +
                             "; stamps now only count up until it agrees");
        }
        clock_ahead_reported_ = true;
    } else {
        report_seldom(severity::warning, "session.notice", s.name.empty() ? s.url : s.name,
                      "the peer says " + std::string(to_string(notice.code)) + ": " +
                          notice.detail);
    }
    if (notice.code == errc::dot_reused) on_state_refused(s, limits::bad_state_ms);
    if (notice.code == errc::outdated) on_state_refused(s, limits::transfer_stall_ms);
    if (notice.fatal) {
        drop_session(s.id, {notice.code, "the peer closed: " + notice.detail}, false);
    }
}

} // namespace weft
