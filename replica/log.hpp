#pragma once
#include "base/bytes.hpp"
#include "base/ids.hpp"
#include "base/result.hpp"
#include "clock/version_vector.hpp"

#include <cstdint>
#include <functional>
#include <span>
#include <vector>

namespace weft {

// The replica's runs, local and remote, in the order it applied them. recovery/wal fulfils it on a
// disk. Indexes count runs; ranges are half-open. Loop thread only.
class run_log {
public:
    virtual ~run_log() = default;

    // Appends encoded runs at `end()`. They survive the process, not yet a power cut.
    [[nodiscard]] virtual result<void> append(std::span<const shared_bytes> runs) = 0;

    // Makes everything appended so far durable; `done` gets the new durable_end, once, on the loop.
    // An error is final. One at a time.
    virtual void sync_later(std::function<void(result<log_index>)> done) = 0;

    // Whole runs from `first` on: at least one if first < end(), then until `bytes_max` is reached.
    [[nodiscard]] virtual result<std::vector<shared_bytes>> read(log_index first,
                                                                 std::size_t bytes_max) = 0;

    // An index before which there is no run that `have` does not cover. Cheap, not exact: a
    // segment's start.
    [[nodiscard]] virtual log_index seek(const version_vector& have) const = 0;

    [[nodiscard]] virtual log_index first() const = 0;      // oldest run kept
    [[nodiscard]] virtual version_vector floor() const = 0; // of all runs before it

    // What of the runs before `before` may go: whole segments that `seen` covers, and, while the log is
    // larger than `bytes_max`, others too.
    struct droppable {
        log_index first{};     // of what stays
        version_vector floor;  // of all runs before that
        bool by_limit = false; // `seen` does not cover them
        version_vector
            lacked; // what `seen` would have to cover for more to go; empty if nothing would
        log_index oldest{};            // that is there
        log_index needed{};            // from here on `before` keeps what stays
        std::uint64_t going_bytes = 0; // from `oldest` to `first`
        std::uint64_t held_bytes = 0;  // from `first` to `needed`
    };
    [[nodiscard]] virtual droppable find_cut(log_index before, const version_vector& seen,
                                             std::uint64_t bytes_max) const = 0;
    // Removes the segments before that, oldest first, and never so that a crash leaves a gap. What fails is
    // reported, and tried again at the next call. Runs from `before` on stay readable meanwhile.
    virtual void drop_later(log_index before) = 0;
    [[nodiscard]] virtual log_index end() const = 0;
    [[nodiscard]] virtual log_index durable_end() const = 0;
    [[nodiscard]] virtual std::uint64_t size_bytes() const = 0;

    // A clean stop: syncs and writes the end mark. Nothing may be appended after.
    [[nodiscard]] virtual result<void> close_clean() = 0;
};

} // namespace weft
