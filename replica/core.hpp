#pragma once
#include "base/limits.hpp"
#include "base/random.hpp"
#include "replica/acknowledgement.hpp"
#include "replica/conflicts.hpp"
#include "replica/effect.hpp"
#include "replica/event.hpp"
#include "replica/held_back.hpp"
#include "replica/keyspace.hpp"
#include "replica/log.hpp"
#include "replica/log_tail.hpp"
#include "replica/pending_operations.hpp"
#include "replica/session.hpp"
#include "replica/state_check.hpp"
#include "replica/status.hpp"
#include "replica/transfer_store.hpp"

#include <deque>
#include <map>
#include <memory>
#include <set>

namespace weft {

// One replica's decisions: no I/O, no time of its own, no chance but its seed; one thread at a time.
//
//   events    go in through `step`, with the time inside; effects come out, to be performed in order
//   changes   go in through begin_change, apply, end_change, and stay in the open run until the next step
//             seals it: so changes that come while the driver is busy share one run, one append, one sync
//   order     the log gets own and remote runs in the order they were applied: a remote run first seals
//             the open one. With sync policy `commit` own runs are sent only when durable
//   identity  a peer that knows more of our dots than we do makes us take a new id (design: a lost tail)
class core {
public:
    core(replica_options options, std::uint64_t seed);

    // Before all else: from which run of the log on this replica has had the rules that it has now. What a
    // replay decides of runs before it was decided by other rules then, and goes into no trail; what is in
    // conflict at that run is decided there, or, where the log does not reach it or it is not known, by the
    // first step. Without this call it had them always.
    void had_rules_since(std::optional<log_index> at);
    // Rebuilds the state from the log, run by run, before the first step. bad_run or dot_reused if the run
    // does not continue what came before; one that the snapshot holds already is passed over.
    [[nodiscard]] result<void> replay(const shared_bytes& run, std::uint64_t wall_ms);
    // The same from a snapshot, before the log after it. log_damaged if its objects are not those that its
    // header states; the core is then worth nothing.
    [[nodiscard]] result<void> load(state_image image);
    // Ends the replay, once it is known who the replica is now; what was replayed is durable. Every other
    // call comes after.
    struct disk_contents {
        log_index log_first{};
        version_vector log_floor; // of all runs before it
        std::vector<snapshot_info> snapshots;
        std::optional<staged_transfer> staged;
    };
    void start(const replica_identity& who, disk_contents there, instant now);

    // Returns what it asks for. `spare` is empty; its space goes to the next step.
    [[nodiscard]] std::vector<effect> step(const event& happened, std::vector<effect> spare = {});
    // Frames that the driver made of effects; whether the peer owes for one of them.
    void count_sent(session_id id, std::size_t frame_bytes, bool owed, instant when);
    // What of them the link has taken in all: who takes a large one slowly is not stalled.
    void count_taken(session_id id, std::uint64_t frame_bytes, instant when);
    // Bytes of a frame arrived that is not whole yet: who sends a large one over a slow link lives.
    void count_heard(session_id id, instant when);
    // The session's link has sent what it was given. If somebody waits for room, step with `woken`.
    void count_drained(session_id id, instant when);
    [[nodiscard]] bool waits_for_room() const;
    // When to call step with `woken` if nothing else happens.
    [[nodiscard]] instant deadline() const;

    // A local transaction: begin, then operations, then end or roll back. Who reads `state` in between sees
    // them all.
    [[nodiscard]] result<void> begin_change(std::uint64_t wall_ms);
    [[nodiscard]] result<void> apply(operation&& op); // limits and budgets are checked here
    struct committed {
        dot first; // equal to end if the change holds no operation
        std::uint64_t end = 0;
        hlc stamp;
    };
    [[nodiscard]] committed end_change();
    void roll_back_change();
    [[nodiscard]] bool in_change() const { return in_change_; }
    // Settles a conflict, in the open change. `seen` is what it was decided on: outdated, and nothing done,
    // if that is not what is there.
    [[nodiscard]] result<void> resolve(const conflict& seen, const resolution& how);

    // invalid_argument if no change can ever be acknowledged at that level.
    [[nodiscard]] result<void> check(ack_level level) const;
    // Calls back, through an effect, when the change is acknowledged at that level.
    void wait(const committed& change, ack_level level, instant deadline,
              acknowledgements::callback whom);

    // Takes a snapshot as soon as it can be; calls back, through an effect, when it is durable. If nothing
    // happened since the last one, that is the answer.
    void take_snapshot(std::function<void(result<snapshot_info>)> whom);
    // One was lost: another is due as soon as it would differ from the newest that is left.
    void replace_snapshot() { replacing_ = true; }

    // Compares this state with those of a linked peer, or of all that are linked or configured, each at a
    // version vector that both reach, while everything goes on; calls back, through an effect, when all
    // outcomes are known. What does not begin by then is timed_out; once begun it has check_ms_max.
    using verify_callback = std::function<void(std::vector<peer_verification>)>;
    void verify(std::optional<peer_id> whom, instant deadline, verify_callback done);

    [[nodiscard]] result<subscription_id> subscribe(subscription_filter filter,
                                                    change_callback whom);
    void unsubscribe(subscription_id id);

    [[nodiscard]] result<subscription_id> subscribe_conflicts(conflict_callback whom);

    [[nodiscard]] const keyspace& state() {
        if (pending_.size() > 0) apply_pending(&undo_);
        return state_;
    }
    [[nodiscard]] const conflict_index& conflicts() const { return conflicts_; }
    [[nodiscard]] state_view view() { return {state(), id_, conflicts_}; }
    // Decisions of the replay, which no step has handed out yet; who recorded them is not said.
    [[nodiscard]] std::vector<audit_entry> take_audits() {
        return std::exchange(decided_.entries, {});
    }
    // The same about all that is in conflict now, as old as is known; with the times at which a trail knows
    // them they date the conflicts. The first step may decide all of it anew, for other rules.
    [[nodiscard]] std::vector<audit_entry> open_audits() const;
    [[nodiscard]] bool decides_anew() const { return decides_anew_; }
    void date_conflicts(std::span<const audit_entry> open);
    void give_back_audits(std::vector<audit_entry> entries) {
        decided_.entries = std::move(entries);
    }
    [[nodiscard]] replica_identity identity() const;
    // The state as it is, to be written as a snapshot. Nothing is open or unsealed.
    [[nodiscard]] state_image image() const;
    [[nodiscard]] bool has_unsealed() const { return !open_run_.empty(); }
    // Of changes that no step has asked to append yet, and of what subscribers are to be told of them.
    [[nodiscard]] std::size_t unlogged_bytes() const {
        return open_run_.body_bytes() + sealed_bytes_ + untold_bytes_;
    }
    // After a call from outside of a step: is there something to do? While a sync is under way and nothing
    // may leave before it, changes gather in the open run: one run, one append, one sync for all of them.
    [[nodiscard]] bool wants_step() const;
    [[nodiscard]] const version_vector& applied() const { return applied_; }
    [[nodiscard]] log_index log_end() const { return tail_.end(); }
    [[nodiscard]] replica_status status(instant now) const;
    [[nodiscard]] result<peer_id> find_peer(std::string_view name_url_or_id) const;
    [[nodiscard]] std::size_t unanswered() const { return waiting_.size(); }

    // Ends every wait: the replica closes.
    [[nodiscard]] std::vector<effect> close();

    // Checks what must always hold. For tests; costs as much as the state is large.
    void check_invariants() const;

private:
    struct origin {                  // what is known of one replica id
        run_hash last{};             // of its newest run here
        version_vector dependencies; // of its newest change
        incarnation who;
        std::optional<error>
            refused;               // forked, or a run of it is unreadable: no more of it is applied
        instant next_ahead_report; // its clock is ahead; not said more often than once a second
    };
    struct peer_entry {
        std::string url;
        std::string name; // learned from its Hello
        replica_id id{};
        bool configured = false;
        bool paused = false;
        bool connecting = false; // from dial to Hello
        bool ever_open = false;
        std::uint32_t failures = 0; // since the last open session
        instant next_dial;
        std::optional<session_id> session; // the open one
        std::optional<error> last_error;
        std::optional<error> blocked;
        std::optional<instant> lacks_since; // of one that is away: there is something that it lacks
        version_vector durable;             // what it was last known to have on its disk
        std::optional<snapshot_ref> fetching; // of ours, when its link was lost …
        instant fetching_until;               // … kept so long for it to go on with
        std::uint64_t bytes_in = 0;
        std::uint64_t bytes_out = 0;
        std::uint64_t changes_in = 0;
        std::uint64_t changes_out = 0;
        std::uint64_t duplicate_runs = 0;
        instant digest_compared{-1};
        bool digest_mismatch = false; // at the last comparison …
        std::string mismatch_keys;    // … and where, for people, once that is known
    };
    struct undurable {
        replica_id origin{};
        std::uint64_t last = 0;
    };
    enum class run_outcome : std::uint8_t { applied, duplicate, missing_causes, refused };

    // Events.
    void on_link_up(const link_up& up);
    void on_dial_failed(const dial_failed& failed);
    void on_received(const received& got);
    void on_hello(session& s, const hello_message& hello);
    void on_runs(session& s, const runs_message& runs);
    void on_heartbeat(session& s, const heartbeat_message& beat);
    void on_notice(session& s, const notice_message& notice);
    void on_log_synced(log_index durable_end);
    void on_log_read(const log_read& read);
    void on_snapshot_written(const snapshot_written& written);
    void on_peer_command(const peer_command& command);
    void on_state_read(const state_read& read);
    void on_staging_failed(const staging_failed& failed);
    void on_state_joined(const state_joined& joined);
    void on_log_cut_found(const log_cut_found& found);
    void tick();

    // Sessions and peers.
    [[nodiscard]] session* find_session(session_id id);
    [[nodiscard]] peer_entry* entry_of(const session& s);
    [[nodiscard]] std::optional<peer_id> peer_named(std::string_view name) const;
    void drop_session(session_id id, const error& why, bool tell);
    void forget_session(session_id id, const error& why);
    void merge_entry(peer_id from, peer_id into);
    void meet(peer_entry& entry, const hello_message& hello);
    void schedule_dial(peer_entry& entry, bool after_failure);
    void dial_what_is_due();
    [[nodiscard]] bool settle_double_link(session& s, const hello_message& hello);
    void note_replaced(const session& gone);
    [[nodiscard]] bool has_rival(const hello_message& hello);
    [[nodiscard]] bool same_member_twice(session& s, const hello_message& hello);
    [[nodiscard]] std::optional<peer_id> free_entry();
    [[nodiscard]] std::uint64_t stated_in(const received& got, replica_id which) const;
    void lost_tail(const session& s, std::uint64_t theirs);
    void note_more(session& s, replica_id which, std::uint64_t theirs);
    [[nodiscard]] bool is_withheld(const session& s, replica_id which) const;
    [[nodiscard]] std::set<replica_id> forked_below(const hello_message& hello) const;
    [[nodiscard]] bool check_their_knowledge(session& s, const hello_message& hello);
    void refresh_interests();
    [[nodiscard]] std::size_t room(const session& s) const;
    void hand_to_link(session& s, std::size_t size);
    [[nodiscard]] bool owes(const session& s) const;
    [[nodiscard]] bool stalled(const session& s) const;
    void pump(session& s);
    void send_runs(session& s, runs_message& batch, std::uint64_t changes);
    [[nodiscard]] bool consider(session& s, const logged_run& run, runs_message& batch,
                                std::size_t& batch_bytes);
    void greet(session& s);
    void count_vectors(session_id id);
    void send(session& s, message what);
    void on_ack(session& s, const ack_message& ack);
    void send_ack(session& s);
    void acks_due();
    void ack_at_once(session& s);
    [[nodiscard]] log_index first_lacked(const session& s) const;
    void send_heartbeat(session& s, std::uint64_t pong);

    // State transfer.
    [[nodiscard]] bool below_floor(const session& s) const;
    [[nodiscard]] bool left_behind(const session& s) const;
    [[nodiscard]] session* state_source();
    [[nodiscard]] std::optional<error> no_state_for(const session& s) const;
    void on_state_refused(session& s, std::int64_t for_ms);
    [[nodiscard]] bool state_is_needless(replica_id from) const;
    void want_transfer();
    void ask_for_state(session& s);
    void on_state_request(session& s, const state_request& asked);
    void on_state_chunk(session& s, const state_chunk& chunk);
    void serve_state(session& s);
    void join_when_ready();
    void on_own_log_read(const log_read& read);
    [[nodiscard]] bool caught_up_with(const shared_bytes& run);
    void catch_up();
    void stand_on_joined();
    void give_up_transfer(const error& why, bool blame_peer);
    [[nodiscard]] std::string fetchers_of(log_index snapshot) const;

    // Retention.
    void persist(hlc ceiling, bool before_runs = false);
    void drop_old_snapshots();
    void lose_snapshot(log_index at, const error& why);
    void want_snapshot_verified();
    void on_snapshot_verified(const snapshot_verified& verified);
    void want_log_cut();
    [[nodiscard]] bool members_may_return() const;
    [[nodiscard]] version_vector seen_by_all() const;
    [[nodiscard]] std::string behind(const version_vector& floor) const;
    [[nodiscard]] std::vector<held_snapshot> held_snapshots() const;
    [[nodiscard]] std::vector<held_log> held_log_parts() const;

    // Digests, and checks: one of each session at a time.
    void compare_digest(session& s, const heartbeat_message& beat);
    void note_comparison(session& s, const state_digest& ours, const state_digest& theirs);
    struct checks {
        std::unique_ptr<state_check> now;
        std::vector<std::pair<instant, comparison_callback>> waiting; // for the next, until then
        bool wanted = false;                                          // also by nobody
    };
    void want_check(const peer_entry& p, instant deadline, comparison_callback whom);
    void answer_comparison(const comparison_callback& whom, const result<comparison>& outcome);
    [[nodiscard]] std::optional<error> cannot_check(const session& s) const;
    [[nodiscard]] std::size_t checks_under_way() const;
    [[nodiscard]] state_check& freeze(session& s, std::uint64_t number);
    void begin_check(session& s, checks& its);
    void on_check(session& s, const check_message& said);
    void meet(session& s, state_check& its, const version_vector& theirs);
    void end_check(session& s, const error& why, bool tell);
    void finish_check(session& s, const result<comparison>& outcome);
    void conclude(state_check& done, const result<comparison>& outcome);
    void end_checks(const error& why);
    void forget_checks(session_id id, const error& why);
    void tend_checks();
    [[nodiscard]] bool has_work(const state_check& its) const;
    [[nodiscard]] instant checks_due() const;
    [[nodiscard]] log_index log_for_checks() const;
    [[nodiscard]] std::string overdue(const state_check& its) const;
    void advance_check(session& s, state_check& its, std::size_t sharing);
    void on_check_log_read(const log_read& read);
    void on_counted(session& s, state_check& its);
    void compare(session& s, state_check& its);
    void on_digests(session& s, const digests_message& digests);
    void found_keys(session& s, const std::string& keys);

    // Runs.
    void apply_pending(undo_log* undo);
    // No vector may hold more ids than can be sent: who would be one too many is not taken, this replica's
    // own fresh id neither.
    [[nodiscard]] bool knows_all_ids() const {
        bool own_comes = applied_.at(id_) == 0 && !open_run_.empty();
        return applied_.size() + (own_comes ? 1 : 0) >= limits::vector_entries_max;
    }
    void seal();
    [[nodiscard]] result<run_outcome> take_run(const run_header& header, const shared_bytes& run,
                                               bool replaying);
    void retry_held_back();
    [[nodiscard]] bool much_to_tell() const;
    void log_run(const run_header& header, const shared_bytes& in, run_hash hash);
    void apply_changes(decoded_run& run, origin& from, bool replaying);
    void want_sync();
    void want_snapshot();
    void refuse_snapshots();
    [[nodiscard]] bool grew_since_snapshot() const;
    [[nodiscard]] instant snapshot_due() const;
    using snapshot_callbacks = std::vector<std::function<void(result<snapshot_info>)>>;
    void answer_snapshot(snapshot_callbacks& whose, const result<snapshot_info>& outcome);
    void remember_past();
    void change_identity(const std::string& why, bool forked);
    void note_fork(replica_id which);
    void report_fork();
    [[nodiscard]] std::optional<error> builds_on_refused(replica_id which,
                                                         const incarnation& who) const;
    void refuse_origin(replica_id which, const error& why);
    [[nodiscard]] error depends_on_refused(replica_id which) const;
    void on_refused_run(session& s, replica_id origin_id, const error& why);
    void note_durable(const session& s);
    void block(session& s, const error& why);

    // Conflicts.
    [[nodiscard]] bool may_touch(const operation& op, contested where) const {
        return where || conflicts_.rules().may_bound(op.path, op.type) ||
               (op.what == action::remove && !conflicts_.all().empty());
    }
    [[nodiscard]] std::optional<value> given_by(const operation& op, dot at) const;
    void touch(const operation& op, dot at, hlc stamp, contested where);
    void settle_touched(std::uint64_t at_ms);
    void rebuild_conflicts(std::uint64_t at_ms);
    void decide_anew(std::uint64_t at_ms);
    std::size_t begin_decisions();
    void end_decisions(std::size_t before, hlc stamp);
    void hand_out_audits();
    [[nodiscard]] result<void> resolve_clash(const conflict& seen, const resolution& how);
    [[nodiscard]] result<void> check_bound(std::span<const std::string_view> path, type_id type,
                                           const value& chosen) const;
    [[nodiscard]] result<void> set_counter(std::span<const std::string_view> path, type_id type,
                                           std::int64_t amount);
    struct piece { // of an object, and what writes it again
        std::vector<std::string> path;
        type_id type;
        action what{};
        value content;
        std::int64_t amount = 0; // of a counter
    };
    [[nodiscard]] result<void> find_content(const object& here, type_id type,
                                            std::vector<std::string>& path,
                                            std::vector<piece>& out) const;
    [[nodiscard]] bool keeps_removes(std::span<const std::string_view> path, type_id type) const;
    using owned_place = std::pair<std::vector<std::string>, type_id>;
    void find_kept(const object& here, type_id type, std::vector<std::string>& path,
                   std::vector<owned_place>& out) const;
    [[nodiscard]] result<void> retract(std::span<const owned_place> kept);

    void notify_subscribers(const change_view& change, const run_header& run,
                            const std::string& member);
    [[nodiscard]] result<subscription_id> new_subscription();
    void notify_local(const committed& change);
    void deliver(const change_event& what);
    void tell_states();
    void report_event(severity level, std::string what, std::string text);
    // The same text is not said again for ten minutes, wherever it comes from.
    void report_seldom(severity level, std::string what, const std::string& where,
                       const std::string& text);
    void collect_answers();
    [[nodiscard]] hello_message make_hello() const;
    [[nodiscard]] std::size_t members_for(ack_level level) const;

    // Members are counted by their configured URL, whoever answers there; this replica by no URL.
    static inline const std::string self_member;

    replica_options options_;
    random_generator random_;
    replica_id id_{};
    replica_id predecessor_{};
    std::vector<replica_id> past_;  // its ids before that wrote, oldest first
    replica_id forked_{};           // as in replica_identity
    std::optional<log_index> base_; // the same
    std::uint64_t nonce_;
    instant now_;
    std::uint64_t wall_ms_ = 0;
    std::vector<effect> effects_;

    // State.
    keyspace state_;
    version_vector applied_; // own entry: what is sealed
    std::map<replica_id, origin> origins_;
    hybrid_clock clock_;

    // Conflicts.
    conflict_index conflicts_;
    std::vector<conflict_index::touched> touched_; // by the change under way
    conflict_index::outcome decided_;              // entries that are not handed out yet
    std::optional<log_index> rules_since_ = log_index{};
    bool decides_anew_ = false; // in the first step

    // The open run and the open change.
    run_encoder open_run_;
    std::uint64_t next_counter_ = 1;
    std::uint64_t open_run_first_ = 1;
    bool in_change_ = false;
    std::uint64_t change_first_ = 0;
    hlc change_stamp_;
    pending_operations pending_;
    undo_log undo_;                             // of those that are applied
    version_vector stated_dependencies_;        // of the newest own change
    version_vector stated_before_;              // of the one before the open change
    std::vector<object_change> change_objects_; // for subscribers
    std::size_t sealed_bytes_ = 0;              // of runs to append, in effects_

    // Log.
    log_tail tail_{log_index{0}, {}};
    log_index log_first_{0};
    log_index durable_end_{0};
    version_vector durable_;
    std::deque<undurable> undurable_; // runs [durable_end_, log_end)
    bool syncing_ = false;
    bool sync_asked_ = false; // by somebody who waits for the disk
    bool call_asks_ =
        false; // a call since the last step left something to do that shows nowhere else
    instant next_sync_ = instant::never();
    bool disk_full_ = false;

    // Snapshots.
    std::vector<snapshot_info> snapshots_;     // oldest first
    std::uint64_t bytes_since_snapshot_ = 0;   // of the log
    std::uint64_t bytes_in_taken_ = 0;         // those of them that the one under way holds
    bool replacing_ = false;                   // one was lost
    bool snapshotting_ = false;                // one was taken and is not written yet …
    std::optional<state_image> taken_;         // … because the log is not durable up to it
    instant next_snapshot_ = instant::never(); // by interval
    instant snapshot_not_before_;              // after one that failed
    bool verify_older_ = false;                // the one to fall back on is to be read once
    bool verifying_ = false;
    snapshot_callbacks snapshot_served_;  // by the one under way …
    snapshot_callbacks snapshot_waiters_; // … and by the next

    // State transfer.
    struct transfer { // a peer's state on its way here
        transfer_phase at = transfer_phase::receiving;
        transfer_ref what;              // size 0 until the first bytes came
        std::string peer;               // its name
        std::optional<session_id> from; // while that link is up
        bool of_earlier_life = false;   // some of it: a power cut may have damaged that
        std::uint64_t staged = 0;
        std::uint64_t asked = 0; // for the bytes before it
        instant moved;           // when bytes came last
        // Once it was joined: the state that takes the place of ours when it has caught up with our log.
        joined_state joined;
        version_vector written; // what of it the snapshot holds
        log_index next{};
        bool reading = false;
    };
    version_vector floor_; // operations up to it may be missing in the log
    std::optional<transfer> transfer_;
    std::optional<staged_transfer> staged_; // by an earlier life of the process
    instant transfer_not_before_;           // after one that failed here …
    unsigned transfer_failures_ = 0; // … in a row: each waits twice as long as the one before
    version_vector loaded_;          // of the snapshot that the replay began with

    // Retention.
    instant started_;
    instant next_log_cut_;       // when to look again what of the log may go
    bool cut_wanted_ = false;    // a snapshot was written since then
    bool cutting_log_ = false;   // a find_log_cut is under way
    run_log::droppable log_cut_; // what was found then

    // Peers.
    std::vector<peer_entry> peers_;
    std::size_t peers_configured_ = 0;
    std::map<session_id, session> sessions_;
    struct process {
        std::uint64_t nonce = 0;
        instant heard;
        unsigned returns = 0;
    };
    std::map<replica_id, std::vector<process>>
        replaced_;                               // whose link a newer process of that id took
    std::map<replica_id, session_id> source_of_; // origins that came through a repair: by whom
    std::size_t sending_bytes_ = 0;              // handed to all links and not drained yet
    std::size_t vector_bytes_ = 0;               // of all sessions
    held_back held_back_;
    bool retries_ = false; // some of it can be applied, and was left for the next step
    dot missing_;          // what the run that was just taken waits for
    stability durable_at_;
    acknowledgements waiting_;
    instant next_acks_ = instant::never();
    bool clock_ahead_reported_ = false;
    std::map<std::string, instant> said_; // by report_seldom, and when
    instant digest_compared_{-1};
    std::map<session_id, checks> checks_;
    std::uint64_t checks_begun_ = 0;
    instant next_check_slice_;

    // Subscribers.
    std::map<subscription_id, std::shared_ptr<const subscriber>> subscribers_;
    std::size_t untold_bytes_ = 0; // of events in effects_
    struct changed_state {         // keys that a peer's state changed, and nobody was told yet
        std::string member;
        std::vector<std::string> keys;
        std::size_t next = 0;
    };
    std::deque<changed_state> changed_states_;
    instant next_telling_;
    std::map<subscription_id, std::shared_ptr<const conflict_callback>> conflict_subscribers_;
    std::uint64_t next_subscription_ = 1;
};

} // namespace weft
