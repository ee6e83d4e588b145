#include "recovery/restart.hpp"

#include "base/check.hpp"
#include "clock/system_time.hpp"
#include "recovery/audit_log.hpp"
#include "recovery/identity.hpp"
#include "recovery/posix_disk.hpp"
#include "recovery/replay.hpp"
#include "recovery/slow_strategies.hpp"
#include "recovery/snapshot.hpp"
#include "recovery/transfer.hpp"
#include "replica/driver.hpp"
#include "transport/asio_loop.hpp"
#include "transport/inproc.hpp"
#include "transport/tcp.hpp"

#include <cstdio>
#include <cstdlib>
#include <future>
#include <unistd.h>

namespace weft {
namespace {

result<void> check_name(std::string_view what, std::string_view name, bool may_be_empty) {
    if (name.size() <= limits::name_bytes_max && is_utf8(name) && (may_be_empty || !name.empty()))
        return {};
    return fail(errc::invalid_argument, std::string(what) + " must be 1 to " +
                                            std::to_string(limits::name_bytes_max) +
                                            " bytes of UTF-8");
}

// A damaged snapshot that the log makes up for is kept, out of the way.
result<void> leave_out(env& doors, std::span<const damaged_snapshot> damaged, log_index used) {
    for (const damaged_snapshot& one : damaged) {
        auto aside = put_aside(doors.files, snapshot_name(one.at));
        if (!aside) return fail(aside.error());
        doors.events.on(
            {severity::warning, "snapshot.damaged",
             one.why.detail +
                 (one.at > used ? ". An older state and the log after it were read instead"
                                : ". It was not needed") +
                 "; the file is kept as " + *aside +
                 ", and another is written, at the latest with the next change"});
    }
    return {};
}

// The identity of a running replica. Where the start found no space for it, the log begins behind the first
// that is stored.
class kept_identity final : public identity_store {
public:
    // The log outlives this. A ceiling that `who` states is stored, if only in the identity before it.
    kept_identity(env& doors, wal& log, identity who)
        : files_(doors.files), run_(doors.run), log_(log), who_(std::move(who)),
          ceiling_(who_.ceiling) {}

    void store_later(const replica_identity& next,
                     std::function<void(result<void>)> done) override {
        take(next);
        auto finish = [this, ceiling = who_.ceiling,
                       done = std::move(done)](const result<void>& stored) {
            done(stored ? stand_on(ceiling) : stored);
        };
        under_way_ = store_identity_later(files_, run_, who_, finish);
    }

    result<void> store(const replica_identity& next) override {
        under_way_.reset();
        take(next);
        auto stored = store_identity(files_, who_);
        return stored ? stand_on(who_.ceiling) : stored;
    }

    hlc ceiling() const override { return ceiling_; }

private:
    void take(const replica_identity& next) {
        who_.id = next.id;
        who_.predecessor = next.predecessor;
        who_.ceiling = next.ceiling;
        who_.base = next.base;
        who_.forked = next.forked;
        who_.log_first = next.log_first;
        who_.snapshots = next.snapshots;
        who_.durable = log_.durable_position();
    }
    result<void> stand_on(hlc ceiling) {
        ceiling_ = ceiling;
        return log_.started() ? result<void>{} : log_.start();
    }

    disk& files_;
    loop& run_;
    wal& log_;
    identity who_; // the newest that was to be stored
    hlc ceiling_;
    std::shared_ptr<void> under_way_;
};

} // namespace

result<std::unique_ptr<replica>> open_replica(replica_home home, const replica_options& given) {
    env& doors = home.doors;
    replica_options options = given;
    options.conflict_rules = watched(given.conflict_rules, doors);
    if (auto good = check_name("the member's name", options.name, false); !good)
        return fail(good.error());
    if (auto good = check_name("the cluster's name", options.cluster, false); !good)
        return fail(good.error());
    if (auto good = check_name("the region", options.region, true); !good)
        return fail(good.error());
    if (options.buffer_bytes_max < limits::buffer_bytes_min) {
        return fail(errc::invalid_argument,
                    "a budget of " + std::to_string(options.buffer_bytes_max) +
                        " bytes for buffers is too small; give " +
                        std::to_string(limits::buffer_bytes_min) + " or more");
    }

    if (options.audit_age_ms_max < limits::audit_age_ms_min) {
        return fail(errc::invalid_argument,
                    "an audit trail of " + std::to_string(options.audit_age_ms_max) +
                        " ms is too short; give " + std::to_string(limits::audit_age_ms_min) +
                        " or more");
    }
    if (options.audit_bytes_max < limits::audit_bytes_min) {
        return fail(errc::invalid_argument,
                    "an audit trail of " + std::to_string(options.audit_bytes_max) +
                        " bytes is too small; give " + std::to_string(limits::audit_bytes_min) +
                        " or more");
    }

    auto lock = doors.files.lock();
    if (!lock) return fail(lock.error());
    auto facts = doors.files.facts();
    if (!facts) return fail(facts.error());
    auto stored = load_identity(doors.files);
    std::optional<identity> known;
    if (stored) {
        known = *stored;
    } else if (stored.error().code == errc::log_damaged) {
        // A damaged identity is a lost one: the log decides, and a new id is always safe.
        doors.events.on({severity::warning, "identity.damaged", stored.error().detail});
    } else {
        return fail(stored.error());
    }
    if (known && known->cluster != options.cluster) {
        return fail(errc::wrong_cluster, doors.files.place() + " belongs to cluster '" +
                                             known->cluster + "', not '" + options.cluster +
                                             "'; give its own cluster, or another directory");
    }

    auto snapshots = open_snapshots(doors.files, doors.run);
    if (!snapshots) return fail(snapshots.error());
    auto there = replay_directory(doors, (*snapshots)->kept(), options, known);
    if (!there) return fail(there.error());
    auto& [start, log, missing] = *there;
    for (const std::string& name : missing)
        doors.events.on({severity::warning, "file.missing", name});
    core& decisions = *start.state;
    if (!start.damaged.empty()) {
        if (auto left = leave_out(doors, start.damaged, start.at); !left) return fail(left.error());
        snapshots = open_snapshots(doors.files, doors.run);
        if (!snapshots) return fail(snapshots.error());
    }

    identity_decision decision = decide_identity(known, *facts, log->report());
    if (decision.keep && known && known->member != options.name) {
        decision = {false, "the member was renamed from '" + known->member + "'"};
    }
    if (decision.keep && known && known->region != options.region) {
        decision = {false, "the member moved from region '" + known->region + "'"};
    }
    identity now;
    now.cluster = options.cluster;
    now.member = options.name;
    now.region = options.region;
    now.where = *facts;
    now.policy = options.sync;
    now.durable = log->durable_position();
    if (log->size_bytes() > 0)
        now.log_first = log->first(); // else its first segment is not there yet
    for (const snapshot_info& one : (*snapshots)->kept()) now.snapshots.push_back(one.at);
    now.rules_version = options.conflict_rules.version();
    now.rules_since = rules_since(known, options).value_or(decisions.log_end());
    // An id that wrote nothing needs no successor.
    if (known)
        now.predecessor = decisions.applied().at(known->id) > 0 ? known->id : known->predecessor;
    replica_id fresh{doors.random.draw() | 1U}; // never 0
    identity who = settle_identity(known, decision, now, fresh);
    // A state that came from a peer, and whose place was not noted before the process died.
    if (!who.base && !log->floor().covers(start.floor)) who.base = start.at;
    if (!decision.keep) {
        bool lost = !known && log->report().exists;
        doors.events.on({lost ? severity::warning : severity::info, "identity.new",
                         to_string(who.id) + ": " + decision.reason});
    }
    result<void> ready = store_identity(doors.files, who);
    if (ready) ready = log->start();
    bool full = !ready && ready.error().code == errc::disk_full && log->report().exists;
    if (full) ready = log->settle(); // it reads and sends, and begins its log when there is space
    if (!ready) return fail(ready.error());
    auto transfers = open_transfers(doors.files, doors.run, options.cluster);
    if (!transfers) return fail(transfers.error());
    decisions.start({who.id, who.predecessor, who.ceiling, who.base, {}, {}, who.forked},
                    {log->first(), log->floor(), (*snapshots)->kept(), (*transfers)->staged()},
                    doors.time.now());
    // In the place of what is gone.
    if (!start.damaged.empty() || !missing.empty()) decisions.replace_snapshot();

    auto audits = audit_log::open(
        doors, {.age_ms_max = options.audit_age_ms_max, .bytes_max = options.audit_bytes_max});
    if (!audits) return fail(audits.error());
    std::vector<audit_entry> replayed = decisions.take_audits();
    std::vector<audit_entry> open = decisions.open_audits();
    for (auto* all : {&replayed, &open}) {
        for (audit_entry& entry : *all) {
            entry.replica = who.id;
            entry.member = options.name;
            // In a replay they have the stamps of changes, which may be ahead of our clock.
            hlc now_there = hlc::at_ms(doors.time.wall_ms());
            // Of a state that only brought stamps far ahead of our clock nothing says since when.
            entry.at = entry.at == hlc{} ? now_there : std::min(entry.at, now_there);
        }
    }
    if (auto taken = (*audits)->take_replayed(replayed, open, decisions.decides_anew()); !taken) {
        doors.events.on({severity::warning, "audit.not_written", to_string(taken.error())});
        decisions.give_back_audits(std::move(replayed));
    }
    decisions.date_conflicts(open);

    auto identities = std::make_unique<kept_identity>(doors, *log, who);
    auto engine = std::make_shared<driver>(std::move(decisions),
                                           driver_parts{doors, home.transports, std::move(*lock),
                                                        std::move(log), std::move(*snapshots),
                                                        std::move(*transfers), std::move(*audits),
                                                        std::move(identities), full, home.on_fatal},
                                           options);
    if (auto started = engine->start(); !started) {
        (void)engine->close(); // a clean stop: the next attempt goes on under the same id
        return fail(started.error());
    }
    return std::make_unique<replica>(std::move(engine));
}

// Destroyed from the last to the first: the replica before the doors it borrows.
struct durable_replica::parts {
    asio_loop run;
    system_time time;
    system_random random;
    struct sink final : event_sink {
        std::function<void(const log_event&)> on_event;
        void on(const log_event& event) override {
            if (on_event) {
                on_event(event);
            } else if (event.level >= severity::warning) {
                std::fprintf(stderr, "weft: %s: %s\n", event.what.c_str(), event.text.c_str());
            }
        }
    } events;
    inproc_hub hub;
    std::optional<transport_registry> transports{std::in_place, run};
    std::unique_ptr<disk> files;
    std::unique_ptr<replica> opened;

    // Timers and links belong to the loop, so they go there.
    template <class Task>
    auto on_loop(Task task) {
        std::promise<decltype(task())> done;
        auto outcome = done.get_future();
        run.post([&] { done.set_value(task()); });
        return outcome.get();
    }

    ~parts() {
        if (opened) (void)opened->close();
        on_loop([&] {
            opened.reset();
            transports.reset();
            return true;
        });
        run.stop();
    }
};

durable_replica::durable_replica(std::unique_ptr<parts> owned) : parts_(std::move(owned)) {}
durable_replica::durable_replica(durable_replica&&) noexcept = default;
durable_replica& durable_replica::operator=(durable_replica&&) noexcept = default;
durable_replica::~durable_replica() = default;

replica& durable_replica::operator*() const {
    WEFT_CHECK(parts_ && parts_->opened);
    return *parts_->opened;
}

result<durable_replica> open_replica(std::string directory, replica_options options,
                                     std::function<void(const log_event&)> on_event) {
    auto made = std::make_unique<durable_replica::parts>();
    durable_replica::parts& p = *made;
    p.events.on_event = std::move(on_event);
    p.transports->arriving()->set_limit(limits::buffer_share(options.buffer_bytes_max));
    p.transports->add("tcp", make_tcp_transport(p.run, p.transports->arriving()));
    p.transports->add("unix", make_unix_transport(p.run, p.transports->arriving()));
    p.transports->add("inproc", make_inproc_transport(p.run, p.hub));
    p.run.start();
    auto files = open_posix_disk(std::move(directory), p.run);
    if (!files) return fail(files.error());
    p.files = std::move(*files);
    auto opened = p.on_loop([&] {
        replica_home home{
            {p.time, p.random, *p.files, p.run, p.events}, *p.transports, [](const error& why) {
                std::fprintf(stderr, "weft: the disk failed, the process stops: %s\n",
                             to_string(why).c_str());
                std::abort();
            }};
        return open_replica(std::move(home), options);
    });
    if (!opened) return fail(opened.error());
    p.opened = std::move(*opened);
    return durable_replica(std::move(made));
}

result<repair_report> repair_replica(const std::string& directory, const replica_options& options,
                                     bool dry_run) {
    if (::access(directory.c_str(), F_OK) != 0)
        return fail(errc::not_found, directory + ": no such directory");
    asio_loop run; // nothing here waits for it
    system_time time;
    system_random random;
    struct : event_sink {
        void on(const log_event&) override {}
    } nobody;
    auto files = open_posix_disk(directory, run);
    if (!files) return fail(files.error());
    return repair_replica(env{time, random, **files, run, nobody}, options, dry_run);
}

} // namespace weft
