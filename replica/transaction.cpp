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

result<void> transaction::resolve(const conflict& seen, const resolution& how) {
    if (failure_) return fail(*failure_);
    auto done = core_.resolve(seen, how);
    if (!done) failure_ = done.error();
    return done;
}

result<void> transaction::read(const std::function<void(const state_view&)>& look) const {
    look(core_.view());
    return {};
}

} // namespace weft
