#include "base/random.hpp"

#include "base/check.hpp"

#include <bit>

namespace weft {

random_generator::random_generator(std::uint64_t seed) : state_{} {
    // SplitMix64 spreads a small seed over the whole state.
    for (auto& word : state_) {
        seed += 0x9E3779B97F4A7C15U;
        std::uint64_t z = seed;
        z = (z ^ (z >> 30U)) * 0xBF58476D1CE4E5B9U;
        z = (z ^ (z >> 27U)) * 0x94D049BB133111EBU;
        word = z ^ (z >> 31U);
    }
}

std::uint64_t random_generator::next() {
    std::uint64_t out = std::rotl(state_[1] * 5, 7) * 9;
    std::uint64_t shifted = state_[1] << 17U;
    state_[2] ^= state_[0];
    state_[3] ^= state_[1];
    state_[1] ^= state_[2];
    state_[0] ^= state_[3];
    state_[2] ^= shifted;
    state_[3] = std::rotl(state_[3], 45);
    return out;
}

std::uint64_t random_generator::below(std::uint64_t end) {
    WEFT_CHECK(end > 0);
    // Rejects the short last block, so every number is equally likely.
    std::uint64_t limit = ~std::uint64_t{0} - ~std::uint64_t{0} % end;
    std::uint64_t drawn = next();
    while (drawn >= limit) drawn = next();
    return drawn % end;
}

std::int64_t random_generator::between(std::int64_t first, std::int64_t last) {
    WEFT_CHECK(first <= last);
    auto span = static_cast<std::uint64_t>(last) - static_cast<std::uint64_t>(first) + 1;
    std::uint64_t offset = span == 0 ? next() : below(span);
    return static_cast<std::int64_t>(static_cast<std::uint64_t>(first) + offset);
}

bool random_generator::chance(double probability) {
    return static_cast<double>(next() >> 11U) * 0x1.0p-53 < probability;
}

random_generator random_generator::fork() { return random_generator(next()); }

} // namespace weft
