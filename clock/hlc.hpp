#pragma once
#include <compare>
#include <cstdint>
#include <string>

namespace weft {

// A hybrid logical clock timestamp: 48 bits of Unix milliseconds, 16 bits of logical counter.
struct hlc {
    std::uint64_t raw = 0;

    static constexpr hlc at_ms(std::uint64_t unix_ms) { return {unix_ms << 16U}; }
    [[nodiscard]] constexpr std::uint64_t ms() const { return raw >> 16U; }
    [[nodiscard]] constexpr std::uint16_t logical() const {
        return static_cast<std::uint16_t>(raw);
    }
    auto operator<=>(const hlc&) const = default;
};

// "2026-11-22T22:40:11.123Z+7", the logical counter behind the plus.
[[nodiscard]] std::string to_string(hlc stamp);

// One replica's hybrid logical clock. It reads no clock: the wall time comes in.
//
//   promises  every stamp is above all stamps given and all observed within the drift bound; the
//             wall clock not having jumped back, a stamp is ahead of it by at most
//             limits::clock_drift_ms_max, and one more where a full logical counter carries
//   restart   start it at the persisted ceiling: `ceiling_needed` tells when to persist a higher one, which
//             must be done before anything stamped above the old one leaves the replica; under steady
//             writing it tells in time for nothing to wait
//   source    Kulkarni, Demirbas, Madappa, Avva, Leone, "Logical Physical Clocks", OPODIS 2014
class hybrid_clock {
public:
    // Starts above `ceiling`, the last one persisted.
    explicit hybrid_clock(hlc ceiling = {}) : last_(ceiling), ceiling_(ceiling) {}

    // A fresh stamp for a local change.
    [[nodiscard]] hlc stamp(std::uint64_t wall_ms);

    // Takes note of a stamp that came from elsewhere. False if it is more than the drift bound
    // ahead of `wall_ms`: then the clock does not move.
    [[nodiscard]] bool observe(hlc seen, std::uint64_t wall_ms);

    // Never stamps at or below `seen` from now on, however far ahead it is.
    void advance_to(hlc seen);

    // While distrusted (a peer said `clock_ahead`), stamps are last + 1, whatever the wall says.
    void distrust_wall(bool distrusted) { wall_distrusted_ = distrusted; }
    [[nodiscard]] bool wall_distrusted() const { return wall_distrusted_; }

    [[nodiscard]] hlc last() const { return last_; }
    [[nodiscard]] hlc ceiling() const { return ceiling_; } // the last one persisted
    // If stamps are near the persisted ceiling or past it, the new one to persist; else nothing (raw 0).
    [[nodiscard]] hlc ceiling_needed() const;
    void ceiling_persisted(hlc ceiling) { ceiling_ = ceiling; }

private:
    hlc last_;
    hlc ceiling_;
    bool wall_distrusted_ = false;
};

} // namespace weft
