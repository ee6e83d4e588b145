#include "recovery/restart.hpp"

#include "base/check.hpp"
#include "clock/system_time.hpp"
#include "recovery/identity.hpp"
#include "recovery/posix_disk.hpp"
#include "recovery/snapshot.hpp"
#include "recovery/transfer.hpp"
#include "recovery/wal.hpp"
#include "replica/driver.hpp"
#include "transport/asio_loop.hpp"
#include "transport/inproc.hpp"
#include "transport/tcp.hpp"

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <future>

namespace weft {
namespace {

result<void> check_name(std::string_view what, std::string_view name, bool may_be_empty) {
    if (name.size() <= limits::name_bytes_max && is_utf8(name) && (may_be_empty || !name.empty()))
        return {};
    return fail(errc::invalid_argument, std::string(what) + " must be 1 to " +
                                            std::to_string(limits::name_bytes_max) +
                                            " bytes of UTF-8");
}

// A log is dropped by whole segments, so a small limit needs small ones.
std::uint64_t segment_bytes(const replica_options& options) {
    return std::min(options.log_segment_bytes, options.log_bytes_max / 8);
}

struct starting_state {
    std::unique_ptr<core> state;
    log_index at{};                 // the runs before it are in it
    std::vector<log_index> damaged; // snapshots
};

// The state of the newest snapshot that is good, or an empty one. Damaged ones are reported.
result<starting_state> newest_state(env& doors, const snapshot_store& snapshots,
                                    const replica_options& options) {
    starting_state out;
    std::uint64_t seed = doors.random.draw();
    for (std::size_t i = snapshots.kept().size(); i-- > 0;) {
        log_index at = snapshots.kept()[i].at;
        state_image image;
        auto header = read_snapshot(doors.files, at, options.cluster, [&](image_part&& part) {
            image.objects.load(part.path, part.type, std::move(part.fragment));
            return result<void>{};
        });
        out.state = std::make_unique<core>(options, seed);
        result<void> good;
        if (header) {
            image.header = std::move(*header);
            good = out.state->load(std::move(image));
        } else {
            good = fail(header.error());
        }
        if (good) {
            out.at = at;
            return out;
        }
        if (good.error().code != errc::log_damaged) return fail(good.error());
        out.damaged.push_back(at);
        doors.events.on({severity::warning, "snapshot.damaged",
                         doors.files.place() + "/" + snapshot_name(at) +
                             " is left out: " + good.error().detail + ". Falling back to " +
                             (i > 0 ? "the one before, and the log after it" : "the log alone")});
    }
    out.state = std::make_unique<core>(options, seed);
    return out;
}

} // namespace

result<std::unique_ptr<replica>> open_replica(replica_home home, const replica_options& options) {
    env& doors = home.doors;
    if (auto good = check_name("the member's name", options.name, false); !good)
        return fail(good.error());
    if (auto good = check_name("the cluster's name", options.cluster, false); !good)
        return fail(good.error());
    if (auto good = check_name("the region", options.region, true); !good)
        return fail(good.error());

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
    auto start = newest_state(doors, **snapshots, options);
    if (!start) return fail(start.error());
    core& decisions = *start->state;
    std::uint64_t wall_ms = doors.time.wall_ms();
    auto log = open_wal(
        doors.files, doors.run, doors.events,
        {.cluster = options.cluster,
         .segment_bytes_target = segment_bytes(options),
         .from = start->at},
        [&](log_index, const shared_bytes& run) { return decisions.replay(run, wall_ms); });
    if (!log) return fail(log.error());
    for (log_index damaged : start->damaged) {
        if (auto removed = (*snapshots)->remove(damaged); !removed) return fail(removed.error());
    }

    identity_decision decision = decide_identity(known, *facts, (*log)->report());
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
    replica_id fresh{doors.random.draw() | 1U}; // never 0
    identity who = settle_identity(known, decision, now, fresh);
    if (!decision.keep) {
        doors.events.on(
            {severity::info, "identity.new", to_string(who.id) + ": " + decision.reason});
    }
    if (auto kept = store_identity(doors.files, who); !kept) return fail(kept.error());
    if (auto ready = (*log)->start(); !ready) return fail(ready.error());
    auto transfers = open_transfers(doors.files, doors.run, options.cluster);
    if (!transfers) return fail(transfers.error());
    decisions.start(
        {who.id, who.predecessor, who.ceiling},
        {(*log)->first(), (*log)->floor(), (*snapshots)->kept(), (*transfers)->staged()},
        doors.time.now());

    auto persist = [&files = doors.files, who](const replica_identity& next) mutable {
        who.id = next.id;
        who.predecessor = next.predecessor;
        who.ceiling = next.ceiling;
        return store_identity(files, who);
    };
    auto engine = std::make_shared<driver>(
        std::move(decisions),
        driver_parts{doors, home.transports, std::move(*lock), std::move(*log),
                     std::move(*snapshots), std::move(*transfers), persist, home.on_fatal},
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
    p.transports->add("tcp", make_tcp_transport(p.run));
    p.transports->add("unix", make_unix_transport(p.run));
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

} // namespace weft
