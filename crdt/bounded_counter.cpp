#include "crdt/bounded_counter.hpp"

#include "base/check.hpp"

#include <algorithm>
#include <set>

namespace weft {
namespace {

// Amounts in all stay below 2^62, so no sum of a few of them leaves 64 bits.
constexpr std::uint64_t amount_max = std::uint64_t{1} << 62U;

template <class Rows>
auto place_of(Rows& rows, replica_id replica) {
    return std::lower_bound(
        rows.begin(), rows.end(), replica,
        [](const bounded_store::row& r, replica_id id) { return r.replica < id; });
}

template <class Sent>
auto sent_place(Sent& sent, replica_id to) {
    return std::lower_bound(
        sent.begin(), sent.end(), to,
        [](const bounded_store::sent_rights& s, replica_id id) { return s.to < id; });
}

template <class Instances>
auto instance_place(Instances& instances, const bounded_spec& spec) {
    return std::lower_bound(
        instances.begin(), instances.end(), spec,
        [](const bounded_store::instance& i, const bounded_spec& s) { return i.spec < s; });
}

std::uint64_t magnitude(std::int64_t by) {
    return by < 0 ? ~static_cast<std::uint64_t>(by) + 1 : static_cast<std::uint64_t>(by);
}

// Moving by `by` spends rights if it goes towards the bound.
bool spends(const bounded_spec& spec, std::int64_t by) { return spec.at_most ? by > 0 : by < 0; }

__int128 exact_value(const bounded_store::instance& counter) {
    __int128 away = 0; // from the initial value, away from the bound
    for (const auto& r : counter.rows) away += static_cast<__int128>(r.gained) - r.spent;
    return counter.spec.at_most ? counter.spec.initial - away : counter.spec.initial + away;
}

bounded_store::row joined_rows(const bounded_store::row& a, const bounded_store::row& b) {
    return a.last_op >= b.last_op ? a : b; // one writer: the later row holds all of the earlier
}

} // namespace

std::uint64_t bounded_spec::initial_rights() const {
    return at_most ? static_cast<std::uint64_t>(bound) - static_cast<std::uint64_t>(initial)
                   : static_cast<std::uint64_t>(initial) - static_cast<std::uint64_t>(bound);
}

bool bounded_spec::valid() const {
    bool right_side = at_most ? initial <= bound : initial >= bound;
    return right_side && initial_rights() <= amount_max;
}

std::int64_t bounded_store::instance::read() const {
    return static_cast<std::int64_t>(
        std::clamp<__int128>(exact_value(*this), INT64_MIN, INT64_MAX));
}

std::uint64_t bounded_store::instance::rights_of(replica_id replica) const {
    __int128 rights = replica == spec.creator ? spec.initial_rights() : 0;
    for (const row& r : rows) {
        if (r.replica == replica) {
            rights += static_cast<__int128>(r.gained) - r.spent;
            for (const sent_rights& s : r.sent) rights -= s.amount;
        }
        auto to_us = sent_place(r.sent, replica);
        if (to_us != r.sent.end() && to_us->to == replica) rights += to_us->amount;
    }
    // A state that lacks a transfer to `replica` that it has already spent from counts too few.
    return rights < 0 ? 0 : static_cast<std::uint64_t>(rights);
}

bounded_store bounded_store::create(dot fresh, const bounded_spec& spec) {
    bounded_store out;
    out.instances_.push_back({spec, {row{fresh.replica, fresh.counter, 0, 0, {}}}});
    return out;
}

bounded_store::row bounded_store::own_row(dot fresh, const bounded_spec& spec) const {
    row own{fresh.replica, 0, 0, 0, {}};
    if (const instance* here = find(spec)) {
        auto found = place_of(here->rows, fresh.replica);
        if (found != here->rows.end() && found->replica == fresh.replica) own = *found;
    }
    own.last_op = fresh.counter;
    return own;
}

bounded_store bounded_store::add(dot fresh, const bounded_spec& spec, std::int64_t by) const {
    row own = own_row(fresh, spec);
    (spends(spec, by) ? own.spent : own.gained) += magnitude(by);
    bounded_store out;
    out.instances_.push_back({spec, {std::move(own)}});
    return out;
}

bounded_store bounded_store::transfer(dot fresh, const bounded_spec& spec, replica_id to,
                                      std::uint64_t amount) const {
    row own = own_row(fresh, spec);
    auto place = sent_place(own.sent, to);
    if (place == own.sent.end() || place->to != to) place = own.sent.insert(place, {to, 0});
    place->amount += amount;
    bounded_store out;
    out.instances_.push_back({spec, {std::move(own)}});
    return out;
}

result<void> bounded_store::check_add(replica_id self, const bounded_spec& spec,
                                      std::int64_t by) const {
    const instance* here = find(spec);
    if (here == nullptr) return fail(errc::not_found, "bounded counter that was never created");
    std::uint64_t amount = magnitude(by);
    if (!spends(spec, by)) {
        __int128 gained = amount;
        for (const row& r : here->rows) gained += r.gained;
        if (gained > amount_max) {
            return fail(errc::over_limit, "bounded counter moved by more than 2^62 in all");
        }
        __int128 moved = exact_value(*here) + by;
        if (moved < INT64_MIN || moved > INT64_MAX) {
            return fail(errc::over_limit, "bounded counter beyond 64 bits");
        }
        return {};
    }
    std::uint64_t rights = here->rights_of(self);
    if (amount <= rights) return {};
    std::set<replica_id> known; // writers, and who was only sent some
    for (const row& r : here->rows) {
        known.insert(r.replica);
        for (const sent_rights& s : r.sent) known.insert(s.to);
    }
    known.erase(self);
    std::string others;
    for (replica_id other : known) {
        std::uint64_t theirs = here->rights_of(other);
        if (theirs == 0) continue;
        others +=
            (others.empty() ? "" : ", ") + to_string(other) + " has " + std::to_string(theirs);
    }
    return fail(errc::bound_exceeded,
                "moving by " + std::to_string(by) + " needs " + std::to_string(amount) +
                    " rights, here are " + std::to_string(rights) + " (value " +
                    std::to_string(here->read()) + ", bound " + std::to_string(spec.bound) + "); " +
                    (others.empty() ? "no other replica is known to have any"
                                    : "have some transferred here: " + others));
}

result<void> bounded_store::check_transfer(replica_id self, const bounded_spec& spec,
                                           std::uint64_t amount) const {
    const instance* here = find(spec);
    if (here == nullptr) return fail(errc::not_found, "bounded counter that was never created");
    std::uint64_t rights = here->rights_of(self);
    if (amount > 0 && amount <= rights) return {};
    return fail(errc::bound_exceeded, "transfer of " + std::to_string(amount) +
                                          " rights, here are " + std::to_string(rights));
}

const bounded_store::instance* bounded_store::find(const bounded_spec& spec) const {
    auto found = instance_place(instances_, spec);
    return found != instances_.end() && found->spec == spec ? &*found : nullptr;
}

void bounded_store::join(const bounded_store& other) {
    for (const instance& theirs : other.instances_) {
        for (const row& r : theirs.rows) join(theirs.spec, r);
    }
}

void bounded_store::join(const bounded_spec& spec, const row& theirs) {
    auto mine = instance_place(instances_, spec);
    if (mine == instances_.end() || mine->spec != spec)
        mine = instances_.insert(mine, instance{spec, {}});
    auto place = place_of(mine->rows, theirs.replica);
    if (place != mine->rows.end() && place->replica == theirs.replica) {
        *place = joined_rows(*place, theirs);
    } else {
        mine->rows.insert(place, theirs);
    }
}

void encode(byte_writer& out, const bounded_spec& spec) {
    out.u64(static_cast<std::uint64_t>(spec.creator));
    out.zigzag(spec.bound);
    out.zigzag(spec.initial);
    out.u8(spec.at_most ? 1 : 0);
}

bounded_spec decode_bounded_spec(byte_reader& in) {
    bounded_spec spec;
    spec.creator = replica_id{in.u64()};
    spec.bound = in.zigzag();
    spec.initial = in.zigzag();
    std::uint8_t side = in.u8();
    spec.at_most = side == 1;
    if (side > 1 || !spec.valid()) in.reject("bounded counter beyond or too far from its bound");
    return spec;
}

void bounded_store::encode_to(byte_writer& out) const {
    out.varint(instances_.size());
    for (const instance& i : instances_) {
        encode(out, i.spec);
        out.varint(i.rows.size());
        for (const row& r : i.rows) {
            out.u64(static_cast<std::uint64_t>(r.replica));
            out.varint(r.last_op);
            out.varint(r.gained);
            out.varint(r.spent);
            out.varint(r.sent.size());
            for (const sent_rights& s : r.sent) {
                out.u64(static_cast<std::uint64_t>(s.to));
                out.varint(s.amount);
            }
        }
    }
}

bounded_store bounded_store::decode_from(byte_reader& in) {
    bounded_store out;
    for (std::size_t left = in.count(12); left > 0 && in.good(); --left) {
        instance i{decode_bounded_spec(in), {}};
        if (!out.empty() && !(out.instances_.back().spec < i.spec))
            in.reject("counters out of order");
        for (std::size_t rows = in.count(12); rows > 0 && in.good(); --rows) {
            row r;
            r.replica = replica_id{in.u64()};
            r.last_op = in.varint();
            r.gained = in.varint();
            r.spent = in.varint();
            if (r.last_op == 0) in.reject("row without an operation");
            if (!i.rows.empty() && i.rows.back().replica >= r.replica)
                in.reject("rows out of order");
            for (std::size_t sent = in.count(9); sent > 0 && in.good(); --sent) {
                sent_rights s{replica_id{in.u64()}, in.varint()};
                if (!r.sent.empty() && r.sent.back().to >= s.to)
                    in.reject("transfers out of order");
                if (s.amount == 0) in.reject("transfer of nothing");
                r.sent.push_back(s);
            }
            i.rows.push_back(std::move(r));
        }
        if (i.rows.empty()) in.reject("counter without a row");
        out.instances_.push_back(std::move(i));
    }
    return out;
}

bounded_counter bounded_counter::create(dot fresh, const bounded_spec& spec) {
    WEFT_CHECK(spec.valid() && spec.creator == fresh.replica);
    return delta(bounded_store::create(fresh, spec), fresh, dot_set());
}

result<bounded_counter> bounded_counter::increment(dot fresh, std::int64_t by) const {
    const auto* here = state_.store.chosen();
    if (here == nullptr) return fail(errc::not_found, "bounded counter that was never created");
    if (auto allowed = state_.store.check_add(fresh.replica, here->spec, by); !allowed) {
        return fail(allowed.error());
    }
    return delta(state_.store.add(fresh, here->spec, by), fresh, dot_set());
}

result<bounded_counter> bounded_counter::decrement(dot fresh, std::int64_t by) const {
    if (by == INT64_MIN) return fail(errc::over_limit, "decrement by -2^63");
    return increment(fresh, -by);
}

result<bounded_counter> bounded_counter::transfer(dot fresh, replica_id to,
                                                  std::uint64_t amount) const {
    const auto* here = state_.store.chosen();
    if (here == nullptr) return fail(errc::not_found, "bounded counter that was never created");
    if (auto allowed = state_.store.check_transfer(fresh.replica, here->spec, amount); !allowed) {
        return fail(allowed.error());
    }
    return delta(state_.store.transfer(fresh, here->spec, to, amount), fresh, dot_set());
}

std::int64_t bounded_counter::read() const {
    const auto* here = state_.store.chosen();
    return here == nullptr ? 0 : here->read();
}

std::uint64_t bounded_counter::rights_of(replica_id replica) const {
    const auto* here = state_.store.chosen();
    return here == nullptr ? 0 : here->rights_of(replica);
}

} // namespace weft
