#pragma once
#include "base/bytes.hpp"
#include "base/ids.hpp"
#include "clock/version_vector.hpp"

#include <deque>

namespace weft {

// A run in the log and what every session needs to know of it.
struct logged_run {
    log_index index{};
    replica_id origin{};
    std::uint64_t first = 0;
    std::uint64_t end = 0;
    std::uint64_t changes = 0;
    shared_bytes bytes;
};

// The newest runs of the log, kept in memory within a bound, so that sessions that keep up read no disk.
class log_tail {
public:
    explicit log_tail(log_index begin, version_vector before)
        : begin_(begin), before_(std::move(before)) {}

    void push(logged_run run);
    // Lets go of the files that a replay read: runs are parts of them until then.
    void compact();

    [[nodiscard]] log_index begin() const { return begin_; } // of what is here
    [[nodiscard]] log_index end() const;
    [[nodiscard]] const logged_run& at(log_index index) const;
    // What the runs before `begin` cover.
    [[nodiscard]] const version_vector& before() const { return before_; }
    [[nodiscard]] std::size_t size_bytes() const { return bytes_; }

private:
    log_index begin_;
    version_vector before_;
    std::deque<logged_run> runs_;
    std::size_t bytes_ = 0;
};

} // namespace weft
