#pragma once
#include "topology/plan.hpp"

#include <span>
#include <vector>

namespace weft {

// A link between every two of `members`, which are sorted by name. The first by name dials, unless
// only it can be dialed.
[[nodiscard]] result<std::vector<planned_link>> mesh_links(std::span<const member> members);

} // namespace weft
