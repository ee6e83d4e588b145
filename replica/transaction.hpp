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

    [[nodiscard]] const std::optional<error>& failure() const { return failure_; }

private:
    friend class replica; // for `together`
    result<void> write(operation&& op) override;
    result<void> together(const std::function<result<void>(store_access&)>& what) override {
        return what(*this);
    }
    result<void> read(const std::function<void(const keyspace&, replica_id)>& look) const override;

    core& core_;
    std::optional<error> failure_;
};

} // namespace weft
