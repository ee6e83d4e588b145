#pragma once
#include "replica/state_image.hpp"

#include <functional>
#include <string>
#include <vector>

namespace weft {

struct snapshot_info {
    log_index at{}; // the runs before it are in the state
    std::uint64_t size_bytes = 0;

    bool operator==(const snapshot_info&) const = default;
};

// The snapshots of a replica. recovery/snapshot fulfils it on a disk. Loop thread only, but under_way_bytes.
class snapshot_store {
public:
    virtual ~snapshot_store() = default;

    // Writes a snapshot, a little at a time, so that the loop goes on meanwhile. `done` is called once, on
    // the loop, when it is durable and visible, or when it failed and nothing is left of it. One at a time.
    virtual void write_later(state_image image,
                             std::function<void(result<snapshot_info>)> done) = 0;
    // Bytes written of the one that is being written; 0 if none is. From any thread.
    [[nodiscard]] virtual std::uint64_t under_way_bytes() const = 0;

    [[nodiscard]] virtual const std::vector<snapshot_info>& kept() const = 0; // oldest first
    [[nodiscard]] virtual result<void> remove(log_index at) = 0;
    // Renames a damaged one so that nothing reads it any more; gives the file's new name.
    [[nodiscard]] virtual result<std::string> put_aside(log_index at) = 0;
    // Reads all of one, a little at a time. `done` is called once, on the loop. One at a time.
    //
    //   log_damaged   names file and offset
    //   not_found     it is not there, or no more
    virtual void verify_later(log_index at, const std::string& cluster,
                              std::function<void(result<void>)> done) = 0;
    // Bytes of the file, for a state transfer: up to `size`, none only at its end. What is given was checked.
    //
    //   log_damaged   names file and offset
    //   not_found     it is not there any more, or another of the same log index took its place
    [[nodiscard]] virtual result<bytes> read(const snapshot_info& which, std::uint64_t offset,
                                             std::size_t size) = 0;
};

} // namespace weft
