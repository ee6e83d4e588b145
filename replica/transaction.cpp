#include "replica/transaction.hpp"

#include "replica/core.hpp"

namespace weft {

transaction::transaction(core& decisions) : object_scope(*this, {}), core_(decisions) {}

void transaction::abort(std::string why) {
    if (!failure_) failure_ = error{errc::aborted, std::move(why)};
}

result<void> transaction::write(operation&& op) {
    if (failure_) return fail(*failure_);
    auto done = core_.apply(std::move(op));
    if (!done) failure_ = done.error();
    return done;
}

result<void> transaction::read(const std::function<void(const keyspace&, replica_id)>& look) const {
    look(core_.state(), core_.identity().id);
    return {};
}

} // namespace weft
