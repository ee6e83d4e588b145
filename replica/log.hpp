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

    [[nodiscard]] virtual log_index first() const = 0; // oldest run kept
    [[nodiscard]] virtual log_index end() const = 0;
    [[nodiscard]] virtual log_index durable_end() const = 0;
    [[nodiscard]] virtual std::uint64_t size_bytes() const = 0;

    // A clean stop: syncs and writes the end mark. Nothing may be appended after.
    [[nodiscard]] virtual result<void> close_clean() = 0;
};

} // namespace weft
