#pragma once

namespace weft::sim {

// How fast is simulated time, on one core, for five replicas of which each commits 10 changes of 3
// operations a virtual second, in a mesh with loss, partitions, crashes and pauses? Prints the median of
// five runs and how they differ; gives the exit status.
int print_speed();

} // namespace weft::sim
