#pragma once
#include "base/env.hpp"
#include "replica/keyspace.hpp"

namespace weft {

// Frees a state that nobody needs any more, from here on and some of it a turn of the loop: all of a
// million objects at once would hold the loop for a tenth of a second. Called on that loop, which outlives
// what is posted.
void release_later(loop& run, keyspace old);

} // namespace weft
