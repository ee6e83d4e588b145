#pragma once
#include "base/env.hpp"
#include "base/limits.hpp"

#include <atomic>
#include <optional>
#include <string>

namespace weft {

// What has come of frames that are not whole yet, over all links that share it. At its bound each link goes
// on with small frames, and one link alone with a large one, until that is whole and so makes room; the
// others wait, and their peers with them. No frame takes for ever, and one that others wait for has less
// time. Loop thread only.
class arrivals {
public:
    // One link's.
    struct part {
        std::size_t bytes = 0;       // of a frame that is not whole yet
        std::size_t frame_bytes = 0; // of the whole
        instant begun; // when it began to come, and later by the time in which it was not read
        std::optional<instant> waits_since;
    };

    void set_limit(std::size_t bytes_max) { bytes_max_ = bytes_max; }

    // How much that link may read now, of `wanted`.
    [[nodiscard]] std::size_t room(part& of, std::size_t wanted, instant now);
    // It read: so much of the next frame is here, and perhaps whole ones were before it.
    void arrived(part& of, std::size_t bytes, std::size_t frame_bytes, bool whole_ones,
                 instant now);
    void forget(part& of); // it reads no more
    // Why the link is to be given up, if its frame is overdue.
    [[nodiscard]] std::optional<std::string> overdue(const part& of, instant now) const;

    [[nodiscard]] std::size_t bytes() const { return bytes_; } // from any thread

private:
    std::size_t bytes_max_ = limits::buffer_share(limits::buffer_bytes_max);
    std::atomic<std::size_t> bytes_ = 0;
    const part* favored_ = nullptr;
    instant favored_since_;
};

} // namespace weft
