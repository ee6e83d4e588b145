#pragma once
#include <array>
#include <cstddef>
#include <cstdint>

// The one table of seeds. A seed that found a bug gets a named line here that says what it found.
namespace weft::seeds {

inline constexpr std::uint64_t unit = 20'260'101; // for a test that needs some random bytes
inline constexpr std::uint64_t bench = 42;

// The simulator's worlds in CI: 1, 2, 3 …
inline constexpr auto ci = [] {
    std::array<std::uint64_t, 200> all{};
    for (std::size_t i = 0; i < all.size(); ++i) all[i] = i + 1;
    return all;
}();

// Those under rules for conflicts.
inline constexpr auto conflicts = [] {
    std::array<std::uint64_t, 60> all{};
    for (std::size_t i = 0; i < all.size(); ++i) all[i] = 5'001 + i;
    return all;
}();

// The simulator's seeds that found something, as worlds were drawn then, and what.
struct regression {
    std::uint64_t seed;
    const char* found;
};
inline constexpr std::array regressions{
    regression{166, "an acknowledgement at level disk that counted other replicas' disks"},
    regression{247, "a disk that failed at a snapshot's end, taken for a damaged snapshot"},
    regression{382,
               "a slow disk, on which an identity took longer to write than worlds allowed for"},
    regression{428, "runs that were held back for ever for causes that nobody has any more"},
    regression{499, "a floor that rose through a state transfer, and peers that were not told"},
    regression{1488, "a damaged end of the log that the refusal to open did not name"},
    regression{1918,
               "a run held back, dropped with its first link though a second had brought it too"},
    regression{2000, "a check that met the end of a link whose silence nobody had noticed yet"},
    regression{2376, "Hellos of a dead process that were taken for a second live one"},
    regression{2507, "a floor that rose between a Hello and its answer"},
    regression{2675, "a snapshot that took the place of one that a peer was fetching"},
    regression{7'301'012,
               "a conflict that only stamps far ahead date, kept out of the trail as too old"},
    regression{1'543'785'552,
               "a disk of the simulator's that put back what it held before a bit flipped"},
};

} // namespace weft::seeds
