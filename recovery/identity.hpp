#pragma once
#include "base/env.hpp"
#include "base/ids.hpp"
#include "clock/hlc.hpp"
#include "recovery/wal.hpp"
#include "replica/options.hpp"

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

namespace weft {

// Who writes in a directory. Kept in `identity.weft`, docs/formats.md.
struct identity {
    replica_id id{};
    replica_id predecessor{}; // the last incarnation before that wrote, if it is known; else 0
    std::string cluster;      // id
    std::string member;       // name
    std::string region;
    directory_facts where;
    hlc ceiling;                              // no stamp was above it
    sync_policy policy = sync_policy::commit; // in force when the directory was last opened
    std::uint64_t durable = 0; // log position up to which the log was durable when this was written
    std::optional<log_index> base = {};      // as in replica_identity, and so are:
    std::optional<log_index> log_first = {}; // nothing: there is no segment yet
    std::vector<log_index> snapshots = {};
    // Of the rules of conflicts that the replica had when it was last opened: their version, and from which
    // run of the log on it has had them.
    std::uint64_t rules_version = 0;
    log_index rules_since{};
    replica_id forked{}; // as in replica_identity

    bool operator==(const identity&) const = default;
};

struct identity_decision {
    bool keep = false;  // else a fresh random id
    std::string reason; // for people

    bool operator==(const identity_decision&) const = default;
};

// May the replica go on under its id? Only if no dot of that id can have left the replica without
// being in its log, and nobody else can have the id. `stored` is what load_identity found; pass
// nothing if it was damaged. Every doubt gives a new id, which is always safe and costs 16 bytes:
// so does a lost identity beside a log, where refusing would only make an operator delete more.
[[nodiscard]] identity_decision decide_identity(const std::optional<identity>& stored,
                                                const directory_facts& here, const log_report& log);

// The identity that `decision` gives: `stored`'s id with its predecessor, or `fresh`, a number never drawn
// before, with the other fields as they are now. A known ceiling is kept in either case.
[[nodiscard]] identity settle_identity(const std::optional<identity>& stored,
                                       const identity_decision& decision, identity now,
                                       replica_id fresh);

// Nothing if there is no identity file; log_damaged if it is unreadable, with the remedy. If the file is
// not the one that was written, but a copy of it (a backup put back), `where` is nowhere.
[[nodiscard]] result<std::optional<identity>> load_identity(disk& files);

// The files that it states to be beside it, by name, that are not.
[[nodiscard]] result<std::vector<std::string>> missing_files(disk& files, const identity& who);

// Replaces the identity file at once and durably: written beside it, synced, renamed, directory
// synced. Do this before wal::start.
[[nodiscard]] result<void> store_identity(disk& files, const identity& who);

// The same without waiting; `done` is called once, on the loop. One at a time. After an error either is
// there, the old identity or this one. What it gives is to be kept until then: without it nothing more
// happens, and `done` is not called.
[[nodiscard]] std::shared_ptr<void> store_identity_later(disk& files, loop& run,
                                                         const identity& who,
                                                         std::function<void(result<void>)> done);

} // namespace weft
