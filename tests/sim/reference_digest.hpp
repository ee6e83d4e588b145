#pragma once
#include "replica/keyspace.hpp"

namespace weft::sim {

// The digest of a state, made from all of it, as docs/formats.md says and with nothing of the code that keeps
// it step by step: a digest that leaves something out would agree with itself.
[[nodiscard]] state_digest reference_digest(const keyspace& state);

} // namespace weft::sim
