#pragma once
#include <array>
#include <cstdint>

namespace weft {

// Seeded generator, xoshiro256** (Blackman, Vigna 2018), and the draws made from it. The draws are
// ours because `std::` distributions differ between libraries, and a seed must replay everywhere.
class random_generator {
public:
    explicit random_generator(std::uint64_t seed);

    [[nodiscard]] std::uint64_t next();
    [[nodiscard]] std::uint64_t below(std::uint64_t end);                      // [0, end); end > 0
    [[nodiscard]] std::int64_t between(std::int64_t first, std::int64_t last); // inclusive
    [[nodiscard]] bool chance(double probability);
    [[nodiscard]] random_generator fork(); // an independent generator, for a part of its own

private:
    std::array<std::uint64_t, 4> state_;
};

} // namespace weft
