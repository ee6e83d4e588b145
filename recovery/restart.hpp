#pragma once
#include "base/env.hpp"
#include "recovery/repair.hpp"
#include "replica/replica.hpp"
#include "transport/registry.hpp"

#include <functional>
#include <memory>
#include <string>

namespace weft {

// What is given to a replica that an application (or a simulator) opens on doors of its own.
struct replica_home {
    env doors; // `doors.files` is the replica's directory
    transport_registry& transports;
    std::function<void(const error&)> on_fatal; // see driver_parts
};

// Opens the replica in a directory, making a new one if it is empty: locks it, replays the log, decides
// who it is (a new replica id wherever a dot could be used twice), then listens and dials. Blocks; on the
// loop, or before the loop runs.
//
//   errors  locked: another process has the directory. log_damaged: names file, offset and remedy.
//           wrong_cluster: the directory belongs to another cluster. invalid_argument: a name or URL
//           disk_full: only for a new directory. One with a log opens on a full disk: it reads and sends, and
//           refuses writes until there is space
[[nodiscard]] result<std::unique_ptr<replica>> open_replica(replica_home home,
                                                            const replica_options& options);

// A replica with real doors of its own: a loop in its own thread, a directory, TCP, Unix and in-process
// links. Use it like a pointer to the replica.
class durable_replica {
public:
    durable_replica(durable_replica&&) noexcept;
    durable_replica& operator=(durable_replica&&) noexcept;
    ~durable_replica(); // closes

    [[nodiscard]] replica& operator*() const;
    [[nodiscard]] replica* operator->() const { return &**this; }

private:
    friend result<durable_replica> open_replica(std::string, replica_options,
                                                std::function<void(const log_event&)>);
    struct parts;
    explicit durable_replica(std::unique_ptr<parts> owned);
    std::unique_ptr<parts> parts_;
};

// The same with real doors, in `directory`, which is made if it is missing. `on_event` takes what happens
// (links, peers, warnings), on the loop; without it warnings go to standard error. When the disk fails
// the process is aborted: nothing it says could be trusted any more.
//
//   auto r = weft::open_replica("/var/lib/app", {.name = "berlin", .peers = {"tcp://oslo:7411"}});
//   if (!r) return complain(r.error());
//   (*r)->counter("visits").increment();
[[nodiscard]] result<durable_replica>
open_replica(std::string directory, replica_options options,
             std::function<void(const log_event&)> on_event = {});

// Repairs `directory`, in which nothing runs: see recovery/repair.hpp. not_found if there is no such
// directory.
[[nodiscard]] result<repair_report>
repair_replica(const std::string& directory, const replica_options& options, bool dry_run = false);

} // namespace weft
