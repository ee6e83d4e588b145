#pragma once
#include "base/env.hpp"
#include "replica/core.hpp"
#include "replica/identity_store.hpp"
#include "replica/log.hpp"
#include "replica/snapshot_store.hpp"
#include "replica/transfer_store.hpp"
#include "transport/registry.hpp"

#include <atomic>
#include <condition_variable>
#include <functional>
#include <memory>
#include <mutex>
#include <set>
#include <thread>

namespace weft {

// Everything outside that a running replica uses. Borrowed for its lifetime, but for what it owns.
struct driver_parts {
    env doors;
    transport_registry& transports;
    std::unique_ptr<directory_lock> lock;
    std::unique_ptr<run_log> log;
    std::unique_ptr<snapshot_store> snapshots;
    std::unique_ptr<transfer_store> transfers;
    std::unique_ptr<audit_trail> audits;
    std::unique_ptr<identity_store> identities;
    bool disk_full =
        false; // there was no space to store the identity, so nothing may be written yet
    // Called once, on the loop, when the log can no longer be trusted: nothing more is acknowledged, and
    // the process should stop.
    std::function<void(const error&)> on_fatal;
};

// A mutex that one thread, the loop's, gets before all others: callers that take it again and again would
// otherwise starve it, and with it every link.
class loop_first_mutex {
public:
    void lock() { // of callers: behind the loop
        take(callers_);
        take(next_);
        take(held_);
        next_.unlock();
    }
    void unlock() {
        held_.unlock();
        callers_.unlock();
    }
    void lock_for_loop() { // waits for the one who holds it now, and no other
        take(next_);
        take(held_);
        next_.unlock();
    }
    void unlock_for_loop() { held_.unlock(); }

private:
    // Most hold it for a microsecond: less than to be put to sleep and woken takes.
    static void take(std::mutex& m) {
        for (int tries = 0; tries < 50; ++tries) {
            if (m.try_lock()) return;
        }
        m.lock();
    }

    std::mutex callers_;
    std::mutex next_;
    std::mutex held_;
};

// Performs the core's effects on links, log and loop, and tells it what happened. Calls of the
// application come from any thread and hold the lock; events and effects belong to the loop, and
// effects are performed outside the lock, in order.
class driver : public std::enable_shared_from_this<driver> {
public:
    driver(core decisions, driver_parts parts, replica_options options);
    ~driver();

    // Listens and dials. On the loop.
    [[nodiscard]] result<void> start();
    // A clean stop, on the loop: what is open is sealed and logged, the log gets its end mark.
    [[nodiscard]] result<void> close();
    // Stops as if the process had been killed. On the loop.
    void abandon();

    // Runs `use` with the core, locked. Afterwards the loop is woken if there is something to do.
    template <class Use>
    auto with_core(Use use) {
        std::lock_guard lock(mutex_);
        owner_ = std::this_thread::get_id();
        struct release {
            driver* d;
            ~release() {
                d->owner_ = std::thread::id();
                d->unlogged_bytes_ = d->core_.unlogged_bytes();
                if (!d->closed_ && d->core_.wants_step()) d->wake();
            }
        } at_end{this};
        return use(core_);
    }
    // True while this thread is inside with_core: the lock is held, and must not be taken again.
    [[nodiscard]] bool inside() const { return owner_.load() == std::this_thread::get_id(); }
    // For reads from inside with_core.
    [[nodiscard]] core& unlocked_core() { return core_; }

    void happened(decltype(event::what) what); // on the loop
    void post(decltype(event::what) what);     // from any thread

    [[nodiscard]] bool closed() const { return closed_; }
    [[nodiscard]] loop& run() { return parts_.doors.run; }
    [[nodiscard]] instant now() { return parts_.doors.time.now(); }
    [[nodiscard]] std::uint64_t wall_ms() { return parts_.doors.time.wall_ms(); }
    [[nodiscard]] std::uint64_t log_bytes() const { return log_bytes_; }
    [[nodiscard]] std::vector<std::string> listening() const { return listening_; }
    // Waits while callers write faster than the loop takes it to the log; over_budget on the loop, which
    // cannot wait for itself. Not inside.
    [[nodiscard]] result<void> wait_for_room();
    [[nodiscard]] std::size_t writers_waiting() const { return writers_waiting_; }
    [[nodiscard]] std::uint64_t snapshot_bytes_written() const {
        return parts_.snapshots->under_way_bytes();
    }
    // A page of the audit trail; `done` is called once, on the loop, or at once if this is closed.
    void find_audits(audit_query asked, std::function<void(result<audit_page>)> done);
    [[nodiscard]] std::uint64_t audit_bytes() const { return parts_.audits->size_bytes(); }
    [[nodiscard]] std::size_t arriving_bytes() const {
        return parts_.transports.arriving()->bytes();
    }

private:
    void wake(); // has the core decide again soon; from any thread
    // The loop's way to the core.
    template <class Use>
    auto on_loop(Use use) {
        mutex_.lock_for_loop();
        struct release {
            loop_first_mutex& m;
            ~release() { m.unlock_for_loop(); }
        } at_end{mutex_};
        return use();
    }
    void adopt(std::unique_ptr<link> fresh, std::optional<peer_id> peer);
    void perform(std::vector<effect> effects);
    void perform(persist_identity& what);
    void perform(append_log& what);
    void perform(sync_log& what);
    void perform(read_log& what);
    void perform(write_snapshot& what);
    void perform(remove_snapshot& what);
    void perform(verify_snapshot& what);
    void perform(set_aside_snapshot& what);
    void perform(find_log_cut& what);
    void perform(drop_log& what);
    void perform(read_state& what);
    void perform(stage_state& what);
    void perform(join_state& what);
    void perform(discard_staged& what);
    void perform(release_state& what);
    void perform(dial& what);
    void perform(send_message& what);
    void perform(close_link& what);
    void perform(notify& what);
    void perform(notify_conflict& what);
    void perform(record_audit& what);
    void perform(answer& what);
    void perform(report& what);
    void store_identity();
    void on_identity_stored(const result<void>& stored);
    void perform_behind_identity();
    void tell();
    [[nodiscard]] bool runs_wait() const;
    [[nodiscard]] result<void> write_all_now();
    void on_written(const result<void>& done);
    // Whether `what` has to wait for the identity, and does.
    template <class Effect>
    [[nodiscard]] bool waits_for_identity(Effect& what);
    // The same for runs that wait for it; not for space.
    [[nodiscard]] bool waits_for_runs() const { return !unlogged_.empty() && !disk_full_; }
    void write_audits();
    void once_audits_are_durable(std::function<void()> then);
    void write_pending();
    void sync_log_now();
    void look_at_queues();
    void count_links();
    [[nodiscard]] std::size_t sendable(session_id session, const runs_message& batch) const;
    void fatal(const error& why);
    void set_timer(instant when);
    void tell_writers();
    void woken_up();
    [[nodiscard]] std::int64_t gather_us() const;

    core core_;
    driver_parts parts_;
    replica_options options_;
    loop_first_mutex mutex_;
    std::atomic<std::thread::id> owner_;
    std::atomic<bool> closed_{false};
    std::atomic<bool> wake_posted_{false};
    std::atomic<std::uint64_t> log_bytes_{0};

    // Backpressure to callers.
    std::atomic<std::size_t> unlogged_bytes_{0}; // in the core …
    std::atomic<std::size_t> waiting_bytes_{0};  // … and in unlogged_
    std::atomic<std::size_t> writers_waiting_{0};
    std::mutex room_mutex_;
    std::condition_variable room_;

    // On the loop.
    std::map<session_id, std::unique_ptr<link>> connections_;
    std::vector<std::unique_ptr<listener>> listeners_;
    std::vector<std::string> listening_;
    std::unique_ptr<timer> timer_;
    std::unique_ptr<timer> gather_timer_;
    std::unique_ptr<timer> space_timer_;
    std::optional<replica_identity> unpersisted_; // the newest that is to be stored …
    std::optional<replica_identity> storing_;     // … after this one, which is under way
    bool identity_first_ = false;                 // runs wait until all that is stored
    std::vector<effect> behind_identity_;         // and so do these
    std::vector<shared_bytes> unlogged_;          // runs that wait for it, or found no space …
    hlc unlogged_newest_;                         // … with own stamps up to it
    bool sync_waits_ = false;                     // for those …
    std::vector<std::variant<notify, notify_conflict>>
        untold_;                         // … as do those who are told of them
    std::vector<send_message> withheld_; // runs for peers, behind those
    std::vector<audit_entry> unaudited_; // the trail could not take them yet …
    bool audits_failed_ = false;         // … which was reported
    bool disk_full_ = false;
    struct sent {
        std::size_t bytes = 0;
        bool owed = false; // some of it
    };
    std::map<session_id, sent> sent_;   // not yet told to the core
    std::size_t queued_since_look_ = 0; // bytes, since the queues of all links were looked at
    instant next_count_;                // when to look what links have taken
    std::set<session_id> heard_;        // of whom parts of frames came since
    std::set<session_id> drained_;      // whose links sent what they had
    std::uint32_t next_session_ = 1;
    instant stepped_; // when the core was asked last
    bool performing_ = false;
    std::vector<effect> queued_; // effects of an event that came while others were performed
    std::vector<effect> spare_;  // empty; its space is used again
    instant deadline_ = instant::never(); // of the newest step
    instant timer_at_ = instant::never();
};

} // namespace weft
