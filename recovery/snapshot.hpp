#pragma once
#include "base/env.hpp"
#include "replica/snapshot_store.hpp"

#include <functional>
#include <memory>
#include <string>

namespace weft {

// Snapshots on a disk: files `snapshot-<log index>.weft`, docs/formats.md, "Snapshot". A file has that name
// only when it is whole and durable; what is being written, or was left over by a crash, ends in `.new`.

// Those that are there, by name only; oldest first.
[[nodiscard]] result<std::vector<snapshot_info>> list_snapshots(disk& files);

// The same, to be written and read. Removes what was left over.
[[nodiscard]] result<std::unique_ptr<snapshot_store>> open_snapshots(disk& files, loop& run);

// Writes a snapshot and waits until it is durable. Before anything else uses the directory.
[[nodiscard]] result<void> write_snapshot_now(disk& files, state_image image);

// Reads a snapshot's file chunk by chunk, every checksum checked; memory of one chunk.
//
//   log_damaged    names file and offset; what was given to the functions before is worth nothing
//   wrong_cluster, incompatible   as for the log
class snapshot_source {
public:
    // `path` is for messages; `at` must be the log index of the snapshot. `from` outlives this.
    snapshot_source(file& from, std::string path, log_index at);
    snapshot_source(const snapshot_source&) = delete;
    snapshot_source& operator=(const snapshot_source&) = delete;
    ~snapshot_source();

    [[nodiscard]] result<image_header> header(std::string_view cluster); // first, once
    // Gives the parts of the next chunk; without a function it checks the checksums, and decodes nothing.
    // False if there was none left, and then all of it is whole.
    [[nodiscard]] result<bool> next(const std::function<result<void>(image_part&&)>& on_part);

private:
    struct position;
    std::unique_ptr<position> at_;
};

// Only what it says of itself.
[[nodiscard]] result<image_header> read_snapshot_header(disk& files, log_index at,
                                                        std::string_view cluster);

// Reads a whole snapshot of the directory.
[[nodiscard]] result<image_header>
read_snapshot(disk& files, log_index at, std::string_view cluster,
              const std::function<result<void>(image_part&&)>& on_part);

[[nodiscard]] std::string snapshot_name(log_index at);

} // namespace weft
