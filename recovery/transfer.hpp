#pragma once
#include "base/env.hpp"
#include "replica/transfer_store.hpp"

#include <memory>
#include <string>

namespace weft {

// A peer's snapshot on its way here: one file `transfer-<its id>-<log index>-<size>.new`, byte for byte what
// the peer has. It is no part of the replica until it was joined: a damaged one is thrown away.

// What an earlier life left is gone on with, if it is the only one and not whole.
[[nodiscard]] result<std::unique_ptr<transfer_store>> open_transfers(disk& files, loop& run,
                                                                     std::string cluster);

[[nodiscard]] std::string transfer_name(const transfer_ref& what);

} // namespace weft
