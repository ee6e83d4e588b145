#pragma once
#include "base/env.hpp"
#include "resolve/rules.hpp"

namespace weft {

// The same rules, each strategy and each check with a watch on the time it takes: one that is slow holds the
// loop, or whoever reads. The core may read no clock, so this is done around it. One that took
// limits::strategy_ms_slow is reported as `conflict.slow_strategy`, also if it threw; of each name once in
// limits::strategy_slow_said_ms.
//
//   threads  any; what is to be said is posted to the loop
//   doors    outlive what it gives, and its copies
[[nodiscard]] rules watched(const rules& all, env& doors);

} // namespace weft
