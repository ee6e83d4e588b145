#pragma once
#include "replica/options.hpp"

#include <functional>

namespace weft {

// Who the replica is, on its disk. recovery/restart fulfils it. Loop thread only.
class identity_store {
public:
    virtual ~identity_store() = default;

    // Makes it durable in the place of the one before; `done` is called once, on the loop. One at a time.
    // After an error either is there; disk_full may be tried again.
    virtual void store_later(const replica_identity& who,
                             std::function<void(result<void>)> done) = 0;
    // The same, and waits. One that is under way is given up, and its `done` not called.
    [[nodiscard]] virtual result<void> store(const replica_identity& who) = 0;

    // Of the one that is stored: no stamp above it may leave the replica.
    [[nodiscard]] virtual hlc ceiling() const = 0;
};

} // namespace weft
