#pragma once
#include "base/env.hpp"
#include "clock/version_vector.hpp"
#include "replica/options.hpp"

#include <string>
#include <vector>

namespace weft {

// What a repair found in a directory, and what it did there.
struct repair_report {
    // Operations that were here and are in nothing that is good: [first, end) of that replica id.
    struct gap {
        replica_id origin{};
        std::uint64_t first = 0;
        std::uint64_t end = 0; // as far as is known
        bool own = false;      // else of another replica, which has them if it is still there
    };

    bool needed = false;            // else the directory opens as it is, and nothing was changed
    std::vector<std::string> found; // each: file, offset, what is wrong
    std::vector<std::string> aside; // the files put aside, by the names that they have now
    version_vector kept;            // what is good
    std::vector<gap> gaps;
    bool end_known = true; // else there may have been more own operations than `gaps` says
    std::vector<gap>
        regained; // from segments put aside earlier, for what they lacked is here by now
};

// One line each, for people.
[[nodiscard]] std::vector<std::string> describe(const repair_report& report);

// Makes a directory that does not open for damage open again. What is provably good, the newest good snapshot
// and every intact run that continues it, becomes a snapshot; an empty log begins behind it; segments and
// damaged files are put aside, under names that nothing reads. The next start takes a new replica id, and
// gets from its peers what they have of the rest. Blocks; a crash on the way leaves a directory that does not
// open and can be repaired again.
//
// A directory that opens is looked at once more after an earlier repair: intact runs in segments put aside
// that continue what is here by now, because peers brought what lay before them, are appended to the log.
// Only after a clean stop.
//
//   dry_run  says what it would do
//   errors   locked. wrong_cluster: nothing there is of `options.cluster`. incompatible: a newer release
//            wrote it. io_failed, disk_full: the disk's
[[nodiscard]] result<repair_report> repair_replica(env doors, const replica_options& options,
                                                   bool dry_run = false);

// Renames a file so that nothing reads it any more, durably; gives its new name.
[[nodiscard]] result<std::string> put_aside(disk& files, const std::string& name);

} // namespace weft
