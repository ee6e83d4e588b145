#pragma once

// All of weft that an application uses: replicas with everything around them, and the replicated types as
// plain values.
// IWYU pragma: begin_exports
#include "base/bytes.hpp"
#include "base/env.hpp"
#include "base/ids.hpp"
#include "base/limits.hpp"
#include "base/result.hpp"
#include "clock/causal_context.hpp"
#include "clock/dot.hpp"
#include "clock/hlc.hpp"
#include "clock/version_vector.hpp"
#include "crdt/grow.hpp"
#include "crdt/map.hpp"
#include "crdt/object.hpp"
#include "crdt/value.hpp"
#include "recovery/restart.hpp"
#include "replica/replica.hpp"
// IWYU pragma: end_exports
