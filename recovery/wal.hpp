#pragma once
#include "base/env.hpp"
#include "base/limits.hpp"
#include "replica/log.hpp"

#include <algorithm>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

namespace weft {

enum class record_kind : std::uint8_t;
struct run_header;
struct segment_header;

struct wal_options {
    std::string cluster; // id; the log of another cluster is refused
    std::uint64_t segment_bytes_target = limits::segment_bytes_target;
    // Of the state that the log is for: the runs before it are checked, but not given to the sink. The
    // log was durable up to here: it is damaged if it starts later or ends earlier.
    log_index from{};
    // Log position up to which the log is known from elsewhere to have been durable; the identity says so.
    std::uint64_t durable = 0;
};

// A torn tail: from `offset` of `file` on nothing counts, nor do the files after it.
struct log_cut {
    std::string file;
    std::uint64_t offset = 0;
    std::uint64_t bytes = 0;
    std::string why;

    bool operator==(const log_cut&) const = default;
};

// What was found when the log was opened; decides about the replica's id (recovery/identity).
struct log_report {
    bool exists = false; // there was a log at all
    bool clean = false;  // its last record is the mark of a clean stop
    std::uint64_t runs = 0;
    std::uint64_t bytes = 0; // of the segments, without the cut
    std::optional<log_cut> cut;
};

// Takes the runs in log order; the view stays valid while its owner is held. An error ends opening.
using run_sink = std::function<result<void>(log_index, const shared_bytes& run)>;

// The log on a disk: segment files of checksummed records, docs/formats.md. Each record states up
// to where the log was durable when it was written. Such a mark behind a damaged place proves that
// what was lost there had been durable, and the log is refused; without one it is a torn tail.
//
//   append     one write; survives the process. After disk_full the log is as before and works
//              again once there is space; after io_failed it refuses everything: stop the process
//   sync       group commit, one at a time, oldest segment first. A full segment is synced in the
//              background whatever the policy, so nothing waits for a disk when a segment rolls
//   cost       20 bytes a run; in memory 16 bytes per 64 KiB of log and a version vector a segment
class wal final : public run_log {
public:
    ~wal() override = default;
    wal(const wal&) = delete;
    wal& operator=(const wal&) = delete;

    [[nodiscard]] const log_report& report() const { return report_; }
    // Log position up to which it is durable.
    [[nodiscard]] std::uint64_t durable_position() const { return durable_position_; }

    // Makes all that was found durable: what nothing proves to be is written again. Needs no space, and
    // leaves a torn tail as it is. Blocks for a sync.
    [[nodiscard]] result<void> settle();
    // Cuts the torn tail (and says so), settles what is left and writes the start mark. Blocks for two syncs.
    // Call it once the identity for what follows is durable: until then the disk is as it was found, so that
    // a crash in between finds the same reasons for a new id. Reading works before; appending does not.
    // After disk_full it may be called again.
    [[nodiscard]] result<void> start();
    [[nodiscard]] bool started() const { return started_; }

    result<void> append(std::span<const shared_bytes> runs) override;
    void sync_later(std::function<void(result<log_index>)> done) override;
    result<std::vector<shared_bytes>> read(log_index first, std::size_t bytes_max) override;
    log_index seek(const version_vector& have) const override;
    log_index first() const override;
    version_vector floor() const override;
    droppable find_cut(log_index before, const version_vector& seen,
                       std::uint64_t bytes_max) const override;
    void drop_later(log_index before) override; // before the start: at the first sync after it
    log_index end() const override { return log_index{end_}; }
    log_index durable_end() const override { return log_index{durable_end_}; }
    std::uint64_t size_bytes() const override;
    result<void> close_clean() override;

private:
    friend result<std::unique_ptr<wal>> open_wal(disk& files, loop& run, event_sink& events,
                                                 wal_options options, const run_sink& on_run);

    struct place { // where in its segment a run starts
        std::uint64_t index = 0;
        std::uint64_t offset = 0;
    };
    struct segment {
        std::string name;
        std::uint64_t first = 0; // run index
        std::uint64_t start = 0; // log position: the bytes of all segments before it
        version_vector before;   // of all runs before it
        std::uint64_t size = 0;
        std::vector<place> places;    // sparse, ascending
        shared_bytes content;         // as it was read, until all of it is known to be durable
        std::unique_ptr<file> handle; // while not durable, or the last
    };
    struct damage {
        std::size_t ordinal = 0; // of the file, among those found
        std::uint64_t offset = 0;
        std::string what;
    };
    struct last_run {
        std::uint64_t counter = 0; // of its last operation
        run_hash hash{};
    };

    wal(disk& files, loop& run, event_sink& events, wal_options options);

    result<void> recover(const run_sink& on_run);
    result<std::optional<damage>> replay(std::size_t ordinal, const shared_bytes& content,
                                         const run_sink& on_run);
    result<std::optional<damage>> enter(std::size_t ordinal, byte_view content);
    result<void> judge(const damage& found, byte_view content);
    result<void> cut_tail();
    result<void> write_again(segment& s);
    [[nodiscard]] std::uint64_t proven() const { // position up to which the log was durable
        return std::max(durable_position_, options_.durable);
    }
    [[nodiscard]] std::string identity_proof() const; // that what is durable is missing

    [[nodiscard]] segment_header header() const;
    result<void> roll();
    result<void> add_segment();
    result<void> write(byte_view records);
    result<void> write_mark(record_kind kind);
    void note_run(const run_header& header, std::uint64_t offset, byte_view run);
    result<void> sync_all();

    void start_sync();
    void sync_next(std::size_t ordinal);
    void finish_sync(result<void> outcome);
    void drop_next();

    std::size_t segment_of(std::uint64_t index) const;
    result<file*> reader(std::size_t ordinal);
    result<void> read_segment(std::size_t ordinal, std::uint64_t& index, std::size_t bytes_max,
                              std::size_t& total, std::vector<shared_bytes>& out);
    [[nodiscard]] std::uint64_t position() const; // the log's end, in bytes
    [[nodiscard]] std::string path(std::string_view name) const;

    disk& files_;
    loop& run_;
    event_sink& events_;
    wal_options options_;
    log_report report_;
    std::vector<std::string> names_; // of the segments found, until `start`

    std::vector<segment> segments_;
    std::map<replica_id, last_run> last_; // of each origin
    std::uint64_t end_ = 0;
    std::uint64_t durable_end_ = 0;
    std::uint64_t durable_position_ = 0;
    bool cut_ = false; // the torn tail
    bool started_ = false;
    bool closed_ = false;
    std::optional<error> broken_;

    std::size_t unsynced_ = 0;            // the first segment that may not be durable
    std::uint64_t directory_changes_ = 0; // how often it was changed
    std::uint64_t directory_synced_ = 0;  // and how many of those are durable
    struct {
        bool running = false;
        bool for_waiter = false;
        std::size_t last = 0; // segment
        std::uint64_t end = 0;
        std::uint64_t position = 0;
        std::uint64_t directory = 0;
    } sync_;
    std::function<void(result<log_index>)> waiter_;
    std::uint64_t drop_before_ = 0;
    bool dropping_ = false;    // a removal is on its way to the disk
    bool not_dropped_ = false; // the last one failed, and that was said

    std::size_t reader_of_ = 0; // the segment that reader_ has open
    std::unique_ptr<file> reader_;
    std::shared_ptr<bool> alive_ = std::make_shared<bool>(true); // guards answers under way
};

// Reads the whole log of `files` and gives each run to `on_run`. Changes nothing on the disk.
//
//   log_damaged    what had been durable is unreadable; names file, offset, what is wrong, remedy
//   wrong_cluster  the log belongs to another cluster
//   incompatible   a newer version wrote it
[[nodiscard]] result<std::unique_ptr<wal>> open_wal(disk& files, loop& run, event_sink& events,
                                                    wal_options options, const run_sink& on_run);

} // namespace weft
