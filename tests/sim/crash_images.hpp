#pragma once
#include "tests/sim/disk.hpp"

#include <cstdint>
#include <functional>
#include <memory>
#include <set>

namespace weft {

// What a power cut can leave of a directory. At each moment what was synced is there, and of the rest any
// legal part: a disk writes blocks in any order.
//
//   changes of names   each is there or not; it needs the earlier ones of the same names
//   appends            each is there or not, and the newest that is there may be torn; before one that is
//                      there, one that is not left zeros; a truncation keeps its place in its file
//   overwrites         like appends, in their place
//   how many           all legal parts if six or fewer changes are unsynced; else all of the newest six
//                      beside all older ones, and `samples` of the rest
class crash_images {
public:
    explicit crash_images(random_generator random, std::size_t samples = 40)
        : random_(random), samples_(samples) {}

    // Gives each image of this moment that was not given before for the same `promised`, which stands for
    // what a checker expects of it.
    void each(const sim_directory& now, std::uint64_t promised,
              const std::function<void(std::unique_ptr<sim_directory>)>& check);

    [[nodiscard]] std::size_t given() const { return seen_.size(); }

private:
    struct moment;
    void give(const moment& at, const std::set<std::uint64_t>& there);
    void give_one(const moment& at, const std::set<std::uint64_t>& there,
                  std::optional<std::uint64_t> torn, std::size_t torn_at, bool zeros);

    random_generator random_;
    std::size_t samples_;
    std::set<std::uint64_t> seen_; // hashes
};

} // namespace weft
