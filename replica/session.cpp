#include "replica/session.hpp"

#include <algorithm>

namespace weft {

namespace {

bool admitted(const interest_message& by, replica_id origin, replica_id sender) {
    if (by.only_own) return origin == sender;
    return std::find(by.except.begin(), by.except.end(), origin) == by.except.end();
}

} // namespace

bool session::wants(replica_id origin, replica_id self) const {
    return admitted(interest, origin, self);
}

bool session::asked_for(replica_id origin) const { return admitted(asked, origin, their_id); }

std::size_t session::vector_bytes() const {
    std::size_t entries = 0;
    for (const version_vector* each :
         {&told_floor, &their_start, &our_start, &their_floor, &interest.applied, &known,
          &asked.applied, &reported_applied, &reported_durable, &their_applied, &their_durable,
          &lacked, &lacked_at, &lacked_past, &probe}) {
        entries += each->size();
    }
    return entries * sizeof(version_vector::entry) +
           (interest.except.size() + asked.except.size()) * sizeof(replica_id);
}

void session::take_interest(interest_message fresh) {
    their_applied.join(fresh.applied);
    probe_stale = true;
    if (fresh.resend) {
        known = fresh.applied;
    } else {
        known.join(fresh.applied);
    }
    interest = std::move(fresh);
    wanted = true;
}

void session::take_ack(const ack_message& ack) {
    for (const auto& e : ack.applied) {
        their_applied.advance(e.replica, e.counter);
        known.advance(e.replica, e.counter);
    }
    probe_stale = true;
    for (const auto& e : ack.durable) their_durable.advance(e.replica, e.counter);
    acked_bytes = std::max(acked_bytes, std::min(ack.taken_bytes, sent_bytes));
}

std::optional<ack_message> session::make_ack(const version_vector& applied,
                                             const version_vector& durable, bool waiting) {
    ack_message out;
    out.applied = applied.above(reported_applied);
    out.durable = durable.above(reported_durable);
    out.taken_bytes = taken_bytes;
    out.waiting = waiting;
    bool news = !out.applied.empty() || !out.durable.empty() || taken_bytes != reported_bytes;
    if (!news && !waiting) return std::nullopt;
    reported_applied = applied;
    reported_durable = durable;
    reported_bytes = taken_bytes;
    return out;
}

} // namespace weft
