#pragma once
#include "base/result.hpp"
#include "replica/handles.hpp"

#include <optional>

namespace weft {

class core;

// One atomic change in the making, across any number of objects. Reads see its own writes and one stable
// state. The first write that is refused fails the whole transaction, also if its result is ignored.
// Lives only inside the function given to `transact`.
class transaction final : public object_scope, private store_access {
public:
    transaction(core& decisions);
    transaction(const transaction&) = delete;
    transaction& operator=(const transaction&) = delete;

    // Makes `transact` roll back and fail with `aborted` and this text.
    void abort(std::string why);

    // Settles a conflict as a person decides: by a write that has seen its siblings, so it is settled on
    // every replica that gets it, and what is written meanwhile elsewhere stands beside it, as a smaller
    // conflict.
    //   seen      as it was shown. Of a clash of types one is taken; a counter is given a whole number
    //   outdated        it is not that conflict any more: nothing is done
    //   bound_exceeded  what is chosen lies outside of the rule's bound
    result<void> resolve(const conflict& seen, const resolution& how);

    [[nodiscard]] const std::optional<error>& failure() const { return failure_; }

private:
    friend class replica; // for `together`
    result<void> write(operation&& op) override;
    result<void> together(const std::function<result<void>(store_access&)>& what) override {
        return what(*this);
    }
    result<void> read(const std::function<void(const state_view&)>& look) const override;

    core& core_;
    std::optional<error> failure_;
};

} // namespace weft
