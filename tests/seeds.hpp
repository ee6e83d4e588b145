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

// The simulator's seeds that found something, and what.
struct regression {
    std::uint64_t seed;
    const char* found;
};
inline constexpr std::array regressions{
    regression{166, "an acknowledgement at level disk that counted other replicas' disks"},
};

} // namespace weft::seeds
