#include "replica/core.hpp"

#include "base/check.hpp"
#include "base/limits.hpp"
#include "replica/state_image.hpp"

namespace weft {

std::string_view to_string(sync_policy policy) {
    switch (policy) {
        case sync_policy::commit: return "commit";
        case sync_policy::interval: return "interval";
        case sync_policy::none: return "none";
    }
    return "unknown";
}

core::core(replica_options options, std::uint64_t seed)
    : options_(std::move(options)), random_(seed), nonce_(random_.next()),
      conflicts_(options_.conflict_rules), peers_configured_(options_.peers.size()),
      held_back_(limits::buffer_share(options_.buffer_bytes_max)) {
    durable_at_.add_member(self_member);
    for (const std::string& url : options_.peers) {
        peer_entry entry;
        entry.url = url;
        entry.configured = true;
        durable_at_.add_member(url);
        peers_.push_back(std::move(entry));
    }
}

result<void> core::replay(const shared_bytes& run, std::uint64_t wall_ms) {
    wall_ms_ = wall_ms;
    if (!decided_.records && rules_since_ && tail_.end() >= *rules_since_)
        decide_anew(clock_.last().ms());
    auto header = read_run_header(run.view);
    if (!header) return fail(header.error());
    if (loaded_.covers({header->origin, header->end - 1})) { // it came with a state, too
        bytes_since_snapshot_ += run.view.size();
        tail_.push({tail_.end(), header->origin, header->first, header->end, header->changes, run});
        return {};
    }
    auto taken = take_run(*header, run, true);
    if (!taken) return fail(taken.error());
    switch (*taken) {
        case run_outcome::applied: return {};
        case run_outcome::duplicate: return fail(errc::log_damaged, "the log holds one run twice");
        case run_outcome::missing_causes:
            return fail(errc::log_damaged, "the log holds a run before its causes");
        case run_outcome::refused: break;
    }
    return fail(errc::dot_reused, "the log holds two histories of one origin");
}

result<void> core::load(state_image image) {
    WEFT_CHECK(applied_.empty());
    const image_header& header = image.header;
    if (image.objects.digest() != header.digest || image.objects.objects() != header.objects) {
        return fail(errc::log_damaged,
                    "the snapshot's objects are not those that it states: digest " +
                        to_string(image.objects.digest()) + " of " +
                        std::to_string(image.objects.objects()) + ", stated " +
                        to_string(header.digest) + " of " + std::to_string(header.objects));
    }
    applied_ = loaded_ = header.vector();
    floor_ = header.floor;
    for (const image_origin& o : header.origins) {
        origin& known = origins_[o.id];
        known.last = o.last;
        known.who = o.who;
        known.dependencies = o.dependencies;
        conflicts_.know(o.id, o.who);
    }
    clock_.advance_to(header.newest);
    tail_ = log_tail(header.at, applied_);
    state_ = std::move(image.objects);
    decided_.records = rules_since_ && *rules_since_ <= header.at;
    conflicts_.load(state_, header.newest.ms());
    return {};
}

void core::start(const replica_identity& who, disk_contents there, instant now) {
    WEFT_CHECK(who.id != replica_id{});
    id_ = who.id;
    predecessor_ = who.predecessor;
    base_ = who.base;
    forked_ = who.forked;
    remember_past();
    conflicts_.know(id_, {options_.name, options_.region, predecessor_});
    hybrid_clock above_ceiling(who.ceiling);
    if (clock_.last() > who.ceiling) above_ceiling.advance_to(clock_.last());
    clock_ = above_ceiling;
    now_ = started_ = now;
    // What the trail has of that already is known by its name, as in a replay.
    if (!decided_.records && rules_since_ && tail_.end() >= *rules_since_)
        decide_anew(clock_.last().ms());
    decides_anew_ = !std::exchange(decided_.records, true);
    log_first_ = there.log_first;
    floor_.join(there.log_floor);
    snapshots_ = std::move(there.snapshots);
    verify_older_ = true;
    staged_ = there.staged;
    if (options_.snapshot_interval_ms > 0)
        next_snapshot_ = now.after_ms(static_cast<std::int64_t>(options_.snapshot_interval_ms));
    durable_end_ = tail_.end();
    tail_.compact();
    durable_ = applied_;
    undurable_.clear();
    durable_at_.seen_by(self_member, durable_);
    next_counter_ = applied_.at(id_) + 1;
    stated_dependencies_ = origins_[id_].dependencies;
    for (peer_entry& entry : peers_) entry.next_dial = now;
}

std::vector<effect> core::step(const event& happened, std::vector<effect> spare) {
    WEFT_CHECK(!in_change_ && spare.empty());
    now_ = happened.now;
    wall_ms_ = happened.wall_ms;
    if (std::exchange(decides_anew_, false)) decide_anew(wall_ms_);
    std::visit(
        [&](const auto& what) {
            using kind = std::decay_t<decltype(what)>;
            if constexpr (std::same_as<kind, woken>) {
            } else if constexpr (std::same_as<kind, link_up>) {
                on_link_up(what);
            } else if constexpr (std::same_as<kind, dial_failed>) {
                on_dial_failed(what);
            } else if constexpr (std::same_as<kind, received>) {
                on_received(what);
            } else if constexpr (std::same_as<kind, link_down>) {
                forget_session(what.session, what.why);
            } else if constexpr (std::same_as<kind, log_synced>) {
                on_log_synced(what.durable_end);
            } else if constexpr (std::same_as<kind, log_read>) {
                on_log_read(what);
            } else if constexpr (std::same_as<kind, snapshot_written>) {
                on_snapshot_written(what);
            } else if constexpr (std::same_as<kind, snapshot_verified>) {
                on_snapshot_verified(what);
            } else if constexpr (std::same_as<kind, state_read>) {
                on_state_read(what);
            } else if constexpr (std::same_as<kind, staging_failed>) {
                on_staging_failed(what);
            } else if constexpr (std::same_as<kind, state_joined>) {
                on_state_joined(what);
            } else if constexpr (std::same_as<kind, log_cut_found>) {
                on_log_cut_found(what);
            } else if constexpr (std::same_as<kind, disk_state>) {
                if (disk_full_ != what.full) {
                    report_event(
                        what.full ? severity::error : severity::info, "disk.space",
                        what.full ? "the disk is full: local writes and remote changes are refused "
                                    "until there is space; reads and sending go on"
                                  : "the disk has space again");
                }
                if (disk_full_ && !what.full) { // what waited for space is only sent from here on
                    for (auto& [id, s] : sessions_) s.moved = now_;
                }
                disk_full_ = what.full;
            } else if constexpr (std::same_as<kind, peer_command>) {
                on_peer_command(what);
            }
        },
        happened.what);
    if (retries_) retry_held_back();
    seal();
    hand_out_audits(); // before a snapshot that holds what they are about
    tick();
    join_when_ready();
    catch_up();
    tend_checks();
    tell_states();
    for (auto& [id, s] : sessions_) {
        pump(s);
        serve_state(s);
    }
    want_snapshot();
    want_snapshot_verified();
    want_log_cut();
    want_sync();
    collect_answers();
    hand_out_audits();
    sealed_bytes_ = untold_bytes_ = 0;
    call_asks_ = false;
    return std::exchange(effects_, std::move(spare));
}

bool core::wants_step() const {
    bool gathers = options_.sync == sync_policy::commit && syncing_;
    return !effects_.empty() || call_asks_ || (has_unsealed() && !gathers);
}

// ---- runs

void core::seal() {
    if (open_run_.empty()) return;
    incarnation who{options_.name, options_.region, predecessor_};
    origin& own = origins_[id_];
    shared_bytes run(open_run_.seal(id_, open_run_first_, own.last, who, options_.packed));
    auto header = read_run_header(run.view);
    WEFT_CHECK(header && header->end == next_counter_);
    own.who = who;
    own.dependencies = stated_dependencies_;
    if (hlc ceiling = clock_.ceiling_needed(); ceiling.raw != 0) {
        persist(ceiling);
        clock_.ceiling_persisted(ceiling);
    }
    run_hash hash = hash_of(run.view);
    log_run(*header, run, hash);
    std::get<append_log>(effects_.back()).newest = clock_.last();
}

// Appended and kept: it must not keep alive the frame that it came in. The same bytes for both, for the
// driver knows by them what is not in the log yet.
void core::log_run(const run_header& header, const shared_bytes& in, run_hash hash) {
    shared_bytes run = in.compact();
    origins_[header.origin].last = hash;
    applied_.advance(header.origin, header.end - 1);
    undurable_.push_back({header.origin, header.end - 1});
    sealed_bytes_ += run.view.size();
    bytes_since_snapshot_ += run.view.size();
    if (effects_.empty() || !std::holds_alternative<append_log>(effects_.back())) {
        effects_.push_back(append_log{});
    }
    std::get<append_log>(effects_.back()).runs.push_back(run);
    tail_.push(
        {tail_.end(), header.origin, header.first, header.end, header.changes, std::move(run)});
}

result<core::run_outcome> core::take_run(const run_header& header, const shared_bytes& run,
                                         bool replaying) {
    auto name = [&] { return "run " + to_string(dot{header.origin, header.first}); };
    std::uint64_t expected = applied_.at(header.origin) + 1;
    auto known = origins_.find(header.origin);
    if (known != origins_.end()) {
        if (const auto& refused = known->second.refused) return fail(*refused);
    }
    if (expected == 1 && knows_all_ids()) {
        return fail(errc::over_limit, name() + ": " + too_many_origins().detail);
    }
    auto forked = [&](const std::string& how) {
        std::string who = known != origins_.end() ? known->second.who.member : std::string();
        error fork{
            errc::dot_reused,
            name() + (who.empty() ? "" : " of " + who) + " " + how +
                ": two histories under one replica id. Applying stops for that origin; both are "
                "kept. Remedy: stop the copy, remove its directory, start it again empty"};
        refuse_origin(header.origin, fork);
        note_fork(header.origin);
        return fail(fork);
    };
    if (header.end <= expected) {
        // Only the newest run's hash is known, so only a fork there shows here; others show when their
        // successor comes.
        bool newest = header.end == expected && known != origins_.end();
        if (newest && hash_of(run.view) != known->second.last)
            return forked("differs from the one here");
        return run_outcome::duplicate;
    }
    if (header.first > expected) {
        missing_ = {header.origin, header.first - 1};
        return run_outcome::missing_causes;
    }
    if (header.first < expected) return forked("overlaps what is here");
    if (header.who) {
        if (auto why = builds_on_refused(header.origin, *header.who)) {
            refuse_origin(header.origin, *why);
            return fail(*why);
        }
    }
    run_hash last = known == origins_.end() ? run_hash{} : known->second.last;
    if (header.previous != last) return forked("does not continue the run before it");

    auto decoded = decode_run(header, run.view);
    if (!decoded) return fail(decoded.error());
    decoded_run& whole = **decoded;
    for (const change_view& change : whole.changes) {
        for (const auto& e : change.dependencies) {
            missing_ = {e.replica, e.counter};
            if (applied_.covers(missing_)) continue;
            auto cause = origins_.find(e.replica);
            if (cause == origins_.end() || !cause->second.refused)
                return run_outcome::missing_causes;
            refuse_origin(header.origin, depends_on_refused(e.replica));
            return fail(*origins_[header.origin].refused);
        }
    }
    if (!replaying) seal();
    origin& from = origins_[header.origin];
    if (const auto& who = header.who) {
        from.who = *who;
        conflicts_.know(header.origin, *who);
    }
    apply_changes(whole, from, replaying);
    run_hash hash = hash_of(run.view);
    if (replaying) {
        from.last = hash;
        bytes_since_snapshot_ += run.view.size();
        applied_.advance(header.origin, header.end - 1);
        tail_.push({tail_.end(), header.origin, header.first, header.end, header.changes, run});
    } else {
        log_run(header, run, hash);
    }
    return run_outcome::applied;
}

void core::apply_changes(decoded_run& run, origin& from, bool replaying) {
    bool told = !replaying && !subscribers_.empty();
    keyspace::series left(state_, run.operations);
    for (const change_view& change : run.changes) {
        for (const auto& e : change.dependencies) from.dependencies.advance(e.replica, e.counter);
        if (told) notify_subscribers(change, run.header, from.who.member);
        for (dot at{run.header.origin, change.first}; at.counter < change.end; ++at.counter) {
            const operation& op = left.next();
            contested where = left.take(at, change.stamp, from.dependencies, nullptr);
            if (may_touch(op, where)) touch(op, at, change.stamp, where);
        }
        if (!touched_.empty()) settle_touched(replaying ? change.stamp.ms() : wall_ms_);
    }
    hlc newest = run.changes.back().stamp;
    if (clock_.observe(newest, wall_ms_) || replaying || now_ < from.next_ahead_report) return;
    from.next_ahead_report = now_.after_ms(1000);
    report_event(severity::warning, "clock.ahead",
                 "a change of " +
                     (from.who.member.empty() ? to_string(run.header.origin) : from.who.member) +
                     " is stamped " + to_string(newest) + ", more than " +
                     std::to_string(limits::clock_drift_ms_max / 1000) +
                     " s ahead of here; applied, our clock does not follow");
    for (auto& [id, s] : sessions_) {
        if (s.open && s.their_id == run.header.origin) {
            send(s, notice_message{
                        errc::clock_ahead,
                        "your clock is ahead of ours by more than the bound; check its time source",
                        false});
        }
    }
}

void core::retry_held_back() {
    retries_ = false;
    for (bool progress = true; progress;) {
        progress = false;
        for (auto [origin_id, first] : held_back_.heads()) {
            held_back_.drop_covered(origin_id, applied_.at(origin_id));
            const held_back::waiting* head = held_back_.find(origin_id, first);
            if (head == nullptr || !applied_.covers(head->missing)) continue;
            if (much_to_tell()) { // first what it makes of them is told
                retries_ = true;
                return;
            }
            session_id from = head->from;
            shared_bytes run = head->run;
            auto header = read_run_header(run.view);
            WEFT_CHECK(header.has_value()); // it was read when the run came
            auto taken = take_run(*header, run, false);
            if (taken && *taken == run_outcome::missing_causes) {
                held_back_.wait_for(origin_id, first, missing_);
                continue;
            }
            held_back_.remove(origin_id, first);
            session* s = find_session(from);
            if (!taken) {
                if (s != nullptr) on_refused_run(*s, origin_id, taken.error());
            } else if (s != nullptr && *taken == run_outcome::applied) {
                if (peer_entry* entry = entry_of(*s)) entry->changes_in += header->changes;
            }
            progress = true;
        }
    }
}

void core::want_sync() {
    if (syncing_ || undurable_.empty() || disk_full_) {
        next_sync_ = instant::never();
        return;
    }
    bool now = options_.sync == sync_policy::commit || now_ >= next_sync_ ||
               (options_.sync == sync_policy::none && sync_asked_);
    if (now) {
        syncing_ = true;
        sync_asked_ = false;
        next_sync_ = instant::never();
        effects_.push_back(sync_log{});
    } else if (next_sync_ == instant::never()) {
        next_sync_ =
            now_.after_ms(options_.sync == sync_policy::interval ? limits::sync_interval_ms
                                                                 : limits::lazy_sync_interval_ms);
    }
}

void core::on_log_synced(log_index durable_end) {
    syncing_ = false;
    while (durable_end_ < durable_end && !undurable_.empty()) {
        durable_.advance(undurable_.front().origin, undurable_.front().last);
        undurable_.pop_front();
        durable_end_ = next(durable_end_);
    }
    durable_at_.seen_by(self_member, durable_);
    acks_due();
    for (auto& [id, s] : sessions_) ack_at_once(s);
}

error core::depends_on_refused(replica_id which) const {
    const origin& cause = origins_.at(which);
    std::string_view root = cause.refused->detail; // of a chain of them the first
    constexpr std::string_view either = " cannot be applied either: ";
    if (auto at = root.find(either); at != root.npos) root.remove_prefix(at + either.size());
    return {cause.refused->code,
            "what depends on operations of " +
                (cause.who.member.empty() ? to_string(which) : cause.who.member) + " after " +
                std::to_string(applied_.at(which)) + std::string(either) + std::string(root)};
}

// An incarnation after one that is refused here may build on the other history, whoever passes it on. One of
// which something is here already came before that was known, and goes on: only what begins it is looked at.
std::optional<error> core::builds_on_refused(replica_id which, const incarnation& who) const {
    auto before = origins_.find(who.predecessor);
    bool refused = who.predecessor != replica_id{} && which != id_ && before != origins_.end() &&
                   before->second.refused;
    if (!refused) return std::nullopt;
    return depends_on_refused(before->first);
}

// Nothing more of that origin is applied here, nor what depends on it, until an operator resumes a peer
// or the process starts again: so nothing is held back, or asked for, in vain.
void core::refuse_origin(replica_id which, const error& why) {
    origins_[which].refused = why;
    held_back_.drop_covered(which, UINT64_MAX);
    for (auto [origin_id, first] : held_back_.heads()) {
        const held_back::waiting* head = held_back_.find(origin_id, first);
        if (head == nullptr || head->missing.replica != which) continue;
        refuse_origin(origin_id, depends_on_refused(which));
    }
}

std::vector<effect> core::close() {
    WEFT_CHECK(!in_change_);
    seal();
    for (auto& due :
         waiting_.cancel({errc::closed, "the replica was closed; unknown, not rolled back"})) {
        effects_.push_back(answer{std::move(due.whom), std::move(due.outcome)});
    }
    for (auto* whose : {&snapshot_served_, &snapshot_waiters_})
        answer_snapshot(*whose, fail(errc::closed, "the replica was closed"));
    while (!checks_.empty())
        forget_checks(checks_.begin()->first, {errc::closed, "the replica was closed"});
    for (auto& [id, s] : sessions_) effects_.push_back(close_link{id});
    sessions_.clear();
    hand_out_audits();
    return std::exchange(effects_, {});
}

void core::check_invariants() const {
    state_.check_invariants();
    WEFT_CHECK(next_counter_ ==
               applied_.at(id_) + 1 + open_run_.operations() + open_run_.change_operations());
    WEFT_CHECK(applied_.covers(durable_));
    WEFT_CHECK(static_cast<std::uint64_t>(durable_end_) + undurable_.size() ==
               static_cast<std::uint64_t>(tail_.end()));
}

} // namespace weft
