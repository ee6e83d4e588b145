#pragma once
#include <tl/expected.hpp>

#include <cstdint>
#include <string>
#include <string_view>

namespace weft {

// What failed, for programs. The text of an `error` is for people.
enum class errc : std::uint8_t {
    invalid_argument,   // a key, field, text, option or URL that is not well formed
    over_limit,         // a bound of base/limits.hpp would be crossed
    wrong_type,         // the object or value there has another type
    not_found,          // no such object, field, peer or file
    outdated,           // what a caller decided on has changed since it looked
    bound_exceeded,     // beyond the local rights of a bounded counter, or beyond a rule's bound
    nested_transaction, // a transaction was started inside a transaction
    aborted,            // the transaction's function asked to roll back
    closed,             // the replica, link or file is closed
    over_budget,        // the state or memory budget is full
    timed_out,          // unknown, not rolled back
    bad_frame,          // length or checksum of a frame
    bad_message,        // a frame that is not a protocol message
    bad_run,            // a run whose bytes do not decode
    dot_reused,         // one origin, one counter, two contents
    duplicate_replica,  // two live replicas with one id
    wrong_cluster,      // the peer belongs to another cluster
    incompatible,       // no common protocol version, codec or format
    clock_ahead,        // a peer's clock is too far from ours
    unreachable,        // nobody answers at that address
    link_lost,          // the link broke or fell silent
    io_failed,          // the operating system refused
    disk_full,          // no space left
    log_damaged,        // a log record before the durable mark is unreadable
    locked,             // another process holds the directory
};

// What a caller does about an error.
enum class reaction : std::uint8_t { correct_call, retry, reconnect, drop_session, stop_replica };

[[nodiscard]] std::string_view to_string(errc code);
[[nodiscard]] reaction reaction_to(errc code);

struct error {
    errc code;
    // Where, why and the remedy: "tcp://db2:7411 frame 12: body 9 MiB, limit 4 MiB"
    std::string detail;

    bool operator==(const error&) const = default;
};

// "over_limit: key of 1,025 bytes, limit 1,024"
[[nodiscard]] std::string to_string(const error& failure);

template <class T>
using result = tl::expected<T, error>;

[[nodiscard]] tl::unexpected<error> fail(errc code, std::string detail);
[[nodiscard]] tl::unexpected<error> fail(error failure);

} // namespace weft
