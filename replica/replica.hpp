#pragma once
#include "replica/options.hpp"
#include "replica/status.hpp"
#include "replica/subscription.hpp"
#include "replica/transaction.hpp"

#include <functional>
#include <memory>
#include <type_traits>

namespace weft {

class driver;

// A committed change and what can be waited for. Copies name the same change.
class commit {
public:
    [[nodiscard]] dot id() const { return first_; } // the change's first dot
    [[nodiscard]] std::uint64_t end() const {
        return end_;
    } // its op counters are [id().counter, end())
    [[nodiscard]] hlc stamp() const { return stamp_; }

    // Waits until the change is acknowledged at that level. timed_out means unknown, not rolled back;
    // closed if the replica closes meanwhile. Not on the loop's thread: there use `when`.
    [[nodiscard]] result<void> wait(ack_level level = ack_level::disk(),
                                    std::int64_t timeout_ms = 30'000) const;
    // Calls `done` once, on the loop.
    void when(ack_level level, std::int64_t timeout_ms,
              std::function<void(result<void>)> done) const;

private:
    friend class replica;
    std::weak_ptr<driver> driver_;
    dot first_;
    std::uint64_t end_ = 0;
    hlc stamp_;
};

// One copy of the keyspace, running: it logs, syncs and talks to its peers. Made by open_replica
// (recovery/restart.hpp). As a scope it gives handles on its objects.
//
//   threads  every call from any thread, also from callbacks; transactions exclude each other and reads
//   errors   every call of a closed replica: closed
class replica final : public object_scope, private store_access {
public:
    explicit replica(std::shared_ptr<driver> engine);
    ~replica() override; // closes
    replica(const replica&) = delete;
    replica& operator=(const replica&) = delete;

    // Runs `change` with a transaction and commits it, all or nothing, as one change. `change` takes a
    // transaction& and gives void or result<void>; an error, or a refused write, rolls everything back, as
    // does an exception, which is passed on. A transaction inside a transaction is refused. While more than
    // limits::unlogged_bytes_max of changes wait for the log, a call waits first; in a callback on the loop,
    // which cannot wait for itself, it is over_budget once twice as much does.
    //
    //   auto done = r.transact([](weft::transaction& t) {
    //       t.counter("visits").increment();
    //       t.set<std::string>("tags").add("red");
    //   });
    //   if (done) done->wait(weft::ack_level::majority());
    template <class Change>
    result<commit> transact(Change change) {
        return transact_erased([&](transaction& t) -> result<void> {
            if constexpr (std::is_void_v<decltype(change(t))>) {
                change(t);
                return {};
            } else {
                return change(t);
            }
        });
    }

    // Whether that acknowledgement can ever be had here; invalid_argument if it wants more members than are
    // configured. `commit::wait` answers the same, when the change is made already.
    [[nodiscard]] result<void> check(ack_level level) const;

    // Reads one stable state: `look` runs while nothing changes. It must not call the replica.
    result<void> read(const std::function<void(const keyspace&)>& look) const;
    // The same with its conflicts, and who reads.
    result<void> read(const std::function<void(const state_view&)>& look) const override;
    // The keys with that prefix, in order, each once. O(answer).
    [[nodiscard]] result<std::vector<std::string>> keys(std::string_view prefix = "") const;

    // What waits for a person, in the order of paths; with `all` also what a rule has resolved.
    [[nodiscard]] result<std::vector<open_conflict>> conflicts(std::string_view prefix = "",
                                                               bool all = false) const;
    // Settles one: transaction::resolve as a transaction of its own.
    result<commit> resolve(const conflict& seen, const resolution& how);
    // A page of the audit trail: what was decided here, when, by whom. `done` is called once, on the loop, or
    // at once if the replica is closed.
    void audit(audit_query asked, std::function<void(result<audit_page>)> done);
    // The same, waited for; not on the loop's thread.
    [[nodiscard]] result<audit_page> audit(audit_query asked);

    // Calls back for every change, local and remote, of that key or prefix, in log order.
    [[nodiscard]] result<subscription_id> subscribe_key(std::string key, change_callback whom);
    [[nodiscard]] result<subscription_id> subscribe_prefix(std::string prefix,
                                                           change_callback whom);
    // Calls back when a conflict opens, changes or closes, one that a rule resolves among them.
    [[nodiscard]] result<subscription_id> subscribe_conflicts(conflict_callback whom);
    // From any thread. A call that is under way, or already on its way, may still come.
    void unsubscribe(subscription_id id);

    // Writes a snapshot of the state and waits until it is durable; writes go on meanwhile. The replica
    // also takes them by itself (replica_options). Not on the loop's thread.
    result<snapshot_info> snapshot();
    // The same without waiting; `done` is called once, on the loop, or at once if the replica is closed.
    void snapshot(std::function<void(result<snapshot_info>)> done);

    // Are these replicas equal? Compares the whole state, counted anew, with that of one peer, or of all that
    // are linked or configured, at version vectors that both reach: while everybody writes, and on both sides
    // on a frozen copy, whose pages cost memory as they are written over. Waits for all outcomes, at most
    // twice limits::check_ms_max; not on the loop's thread. not_found names the peers.
    //
    //   unreachable   the peer is not linked      timed_out   what it has did not come here, or it is slow
    //   incompatible  it is older than checks     outdated    a state transfer came between
    //   over_limit    it compares with others     link_lost, dot_reused
    [[nodiscard]] result<std::vector<peer_verification>> verify(std::string_view peer = "");
    // The same without waiting; `done` is called once, on the loop, or at once if nothing can be asked.
    void verify(std::string_view peer,
                std::function<void(result<std::vector<peer_verification>>)> done);

    // Stops and restarts replication with one peer, given by name, URL or id; not_found names the peers.
    result<void> pause_peer(std::string_view peer);
    result<void> resume_peer(std::string_view peer);

    [[nodiscard]] result<replica_status> status() const;
    [[nodiscard]] std::vector<std::string> listening() const; // URLs with the ports really bound
    [[nodiscard]] replica_id id() const;
    [[nodiscard]] std::uint64_t wall_ms() const; // Unix milliseconds, by its clock

    // A clean stop: logs what is open, syncs, writes the end mark, closes links, ends every wait with
    // `closed`. From any thread but from inside a transaction; a second call does nothing. From a callback
    // it only asks: the close follows the callback.
    result<void> close();

    [[nodiscard]] driver& engine() { return *driver_; }

private:
    result<commit> transact_erased(const std::function<result<void>(transaction&)>& change);
    result<subscription_id> subscribe(subscription_filter filter, change_callback whom);
    result<void> command(std::string_view peer, bool pause);
    result<void> write(operation&& op) override;
    result<void> together(const std::function<result<void>(store_access&)>& what) override;

    std::shared_ptr<driver> driver_;
};

} // namespace weft
