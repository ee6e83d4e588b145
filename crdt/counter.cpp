#include "crdt/counter.hpp"

#include <algorithm>
#include <limits>

namespace weft {
namespace {

template <class Rows>
auto place_of(Rows& rows, replica_id replica) {
    return std::lower_bound(
        rows.begin(), rows.end(), replica,
        [](const counter_store::row& r, replica_id id) { return r.replica < id; });
}

// Sums wrap like unsigned numbers, so that a row is a function of its operations even if a writer
// ignored would_overflow.
std::int64_t wrapping_sum(std::int64_t a, std::int64_t b) {
    return static_cast<std::int64_t>(static_cast<std::uint64_t>(a) + static_cast<std::uint64_t>(b));
}

void join_row(counter_store::row& mine, const counter_store::row& theirs) {
    if (theirs.last_op > mine.last_op) {
        mine.last_op = theirs.last_op;
        mine.sum = theirs.sum;
    }
    if (theirs.reset_op > mine.reset_op) {
        mine.reset_op = theirs.reset_op;
        mine.reset_sum = theirs.reset_sum;
    }
}

} // namespace

counter_store counter_store::increment(dot fresh, std::int64_t by) const {
    const row* own = find(fresh.replica);
    return counter_store(
        row{fresh.replica, fresh.counter, wrapping_sum(own == nullptr ? 0 : own->sum, by), 0, 0});
}

counter_store counter_store::reset() const {
    counter_store out;
    for (const row& r : rows_) {
        if (r.live()) out.rows_.push_back({r.replica, 0, 0, r.last_op, r.sum});
    }
    return out;
}

bool counter_store::would_overflow(replica_id replica, std::int64_t by) const {
    const row* own = find(replica);
    std::int64_t unused = 0;
    return __builtin_add_overflow(own == nullptr ? 0 : own->sum, by, &unused);
}

std::int64_t counter_store::read() const {
    __int128 sum = 0;
    for (const row& r : rows_) {
        if (r.live()) sum += static_cast<__int128>(r.sum) - r.reset_sum;
    }
    constexpr auto lowest = std::numeric_limits<std::int64_t>::min();
    constexpr auto highest = std::numeric_limits<std::int64_t>::max();
    return static_cast<std::int64_t>(std::clamp<__int128>(sum, lowest, highest));
}

const counter_store::row* counter_store::find(replica_id replica) const {
    auto found = place_of(rows_, replica);
    return found != rows_.end() && found->replica == replica ? &*found : nullptr;
}

bool counter_store::live() const {
    return std::any_of(rows_.begin(), rows_.end(), [](const row& r) { return r.live(); });
}

void counter_store::join(const counter_store& other) {
    for (const row& theirs : other.rows_) {
        auto mine = place_of(rows_, theirs.replica);
        if (mine != rows_.end() && mine->replica == theirs.replica) {
            join_row(*mine, theirs);
        } else {
            rows_.insert(mine, theirs);
        }
    }
}

void counter_store::put(row known) {
    auto place = place_of(rows_, known.replica);
    bool there = place != rows_.end() && place->replica == known.replica;
    if (known.last_op == 0 && known.reset_op == 0) {
        if (there) rows_.erase(place);
    } else if (there) {
        *place = known;
    } else {
        rows_.insert(place, known);
    }
}

void counter_store::encode_to(byte_writer& out) const {
    out.varint(rows_.size());
    for (const row& r : rows_) {
        out.u64(static_cast<std::uint64_t>(r.replica));
        out.varint(r.last_op);
        out.zigzag(r.sum);
        out.varint(r.reset_op);
        out.zigzag(r.reset_sum);
    }
}

counter_store counter_store::decode_from(byte_reader& in) {
    counter_store out;
    for (std::size_t left = in.count(12); left > 0 && in.good(); --left) {
        row r;
        r.replica = replica_id{in.u64()};
        r.last_op = in.varint();
        r.sum = in.zigzag();
        r.reset_op = in.varint();
        r.reset_sum = in.zigzag();
        if (!out.rows_.empty() && out.rows_.back().replica >= r.replica)
            in.reject("rows out of order");
        if (r.last_op == 0 && r.reset_op == 0) in.reject("empty row");
        // A sum without its operation would make the join depend on the order.
        if ((r.last_op == 0 && r.sum != 0) || (r.reset_op == 0 && r.reset_sum != 0)) {
            in.reject("sum without its operation");
        }
        out.rows_.push_back(r);
    }
    return out;
}

} // namespace weft
