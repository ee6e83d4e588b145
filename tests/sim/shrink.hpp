#pragma once
#include "tests/sim/scenario.hpp"

#include <functional>

namespace weft::sim {

// Makes a world that fails smaller while it still fails: first it leaves out fault events, halves of them
// before single ones (Zeller, Hildebrandt, "Simplifying and Isolating Failure-Inducing Input", TSE 2002),
// then it takes fewer replicas, then less time; and all of that again until nothing helps. That the smaller
// one fails for the same reason is likely, not certain.
//
//   fails      runs a world; called at most `tries_max` times
//   returns    options that fail, with all that they leave out named in them
[[nodiscard]] world_options shrink(const world_options& failing,
                                   const std::function<bool(const world_options&)>& fails,
                                   std::size_t tries_max = 300);

} // namespace weft::sim
