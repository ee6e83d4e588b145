#pragma once
#include "clock/dot.hpp"
#include "clock/hlc.hpp"
#include "clock/version_vector.hpp"

#include <rapidcheck/boost_test.h>

#include <algorithm>
#include <cstdint>
#include <string>
#include <vector>

// Concurrent histories beside a plain reference. A history is the set of all operations, each with
// the set of operations its replica had seen: happened-before, written down. What a replica must
// read follows from the operations it has seen, and never from a dot store.
namespace weft::history {

inline constexpr std::size_t replicas = 4;

struct operation {
    std::size_t replica = 0;
    dot at;
    hlc stamp;
    int kind = 0;     // what it does; each type has its own meanings
    std::string path; // where: an element or a field
    std::int64_t number = 0;
    std::vector<bool> seen; // by id: what happened before it
    version_vector stable;  // what every operation that its replica lacks, or that comes, has seen
};

// What one replica has seen.
class view {
public:
    view(const std::vector<operation>& all, const std::vector<bool>& seen)
        : all_(all), seen_(seen) {}

    [[nodiscard]] static bool in(const std::vector<bool>& set, std::size_t id) {
        return id < set.size() && set[id];
    }
    [[nodiscard]] const operation& at(std::size_t id) const { return all_[id]; }
    [[nodiscard]] bool before(std::size_t earlier, std::size_t later) const {
        return in(all_[later].seen, earlier);
    }

    // The operations seen that satisfy `which`, in order of id.
    template <class Which>
    [[nodiscard]] std::vector<std::size_t> where(Which which) const {
        std::vector<std::size_t> out;
        for (std::size_t id = 0; id < all_.size(); ++id) {
            if (in(seen_, id) && which(all_[id])) out.push_back(id);
        }
        return out;
    }
    // Those of `ids` that happened before none of the seen operations that satisfy `which`.
    template <class Which>
    [[nodiscard]] std::vector<std::size_t> not_before(std::vector<std::size_t> ids,
                                                      Which which) const {
        std::vector<std::size_t> later = where(which);
        std::erase_if(ids, [&](std::size_t id) {
            return std::any_of(later.begin(), later.end(),
                               [&](std::size_t l) { return before(id, l); });
        });
        return ids;
    }

private:
    const std::vector<operation>& all_;
    const std::vector<bool>& seen_;
};

// One type in one history. `Subject` offers
//
//   using type = the stand-alone type;
//   static operation draw(std::uint32_t choice);              kind, path and number of an operation
//   static type delta(const type&, operation&);               the same on the type; may note in the
//                                                             operation that it was refused
//   static void check(const type&, const view&);              its readings against the operations
//
// and `without_context` if the type has no causal context. Otherwise the same store goes beside each
// stand-alone value, under a version vector as its context, as a replica keeps it: deltas are joined
// there as what their operation's dependencies have seen.
template <class Subject>
class world {
    using type = typename Subject::type;
    static constexpr bool causal = requires(const type& t) {
        t.store();
        t.context();
    };
    static_assert(causal != requires { Subject::without_context; });
    template <bool Causal, class T>
    struct store_of {
        struct type {};
    };
    template <class T>
    struct store_of<true, T> {
        using type = std::decay_t<decltype(std::declval<T>().store())>;
    };
    using store = typename store_of<causal, type>::type;

    struct replica {
        type alone;
        store shared;
        version_vector vector;
        std::vector<bool> seen;
        std::vector<std::size_t> log; // what it has seen, in its order
    };
    struct sent {
        type delta;
        version_vector dependencies; // and the operation itself
    };

    replica all_[replicas];
    std::vector<operation> operations_;
    std::vector<sent> sent_;

    static void mark(std::vector<bool>& set, std::size_t id) {
        if (set.size() <= id) set.resize(id + 1);
        set[id] = true;
    }

    void apply(replica& at, std::size_t id) {
        const operation& op = operations_[id];
        at.alone.join(sent_[id].delta);
        if constexpr (causal) {
            at.shared.join(sent_[id].delta.store(), at.vector, sent_[id].dependencies);
        }
        at.vector.advance(op.at.replica, op.at.counter);
        mark(at.seen, id);
        at.log.push_back(id);
    }

public:
    void perform(std::size_t self, operation op) {
        replica& at = all_[self];
        op.replica = self;
        op.at = {replica_id{self + 1}, at.vector.at(replica_id{self + 1}) + 1};
        op.seen = at.seen;
        op.stable = stable_at(at);
        type delta = Subject::delta(at.alone, op);
        version_vector dependencies = at.vector;
        dependencies.advance(op.at.replica, op.at.counter);
        operations_.push_back(std::move(op));
        sent_.push_back({std::move(delta), std::move(dependencies)});
        apply(at, operations_.size() - 1);
        check(self);
    }

    // The next `count` operations that `to` lacks, in the order in which `from` saw them.
    void send_deltas(std::size_t from, std::size_t to, std::size_t count) {
        for (std::size_t id : std::vector<std::size_t>(all_[from].log)) {
            if (count == 0) break;
            if (view::in(all_[to].seen, id)) continue;
            apply(all_[to], id);
            --count;
        }
        check(to);
    }

    void send_state(std::size_t from, std::size_t to) {
        replica& there = all_[to];
        const replica& here = all_[from];
        there.alone.join(here.alone);
        if constexpr (causal) there.shared.join(here.shared, there.vector, here.vector);
        there.vector.join(here.vector);
        for (std::size_t id : here.log) {
            if (view::in(there.seen, id)) continue;
            mark(there.seen, id);
            there.log.push_back(id);
        }
        check(to);
    }

    void check(std::size_t self) const {
        const replica& at = all_[self];
        Subject::check(at.alone, view(operations_, at.seen));
        if constexpr (causal) RC_ASSERT(at.alone.store() == at.shared);
    }

    // Everyone gets everything: then all are equal.
    void heal() {
        for (std::size_t i = 1; i < replicas; ++i) send_deltas(i, 0, operations_.size());
        for (std::size_t i = 1; i < replicas; ++i) {
            if (i % 2 == 0) {
                send_state(0, i);
            } else {
                send_deltas(0, i, operations_.size());
            }
            RC_ASSERT(all_[i].alone == all_[0].alone);
            RC_ASSERT(all_[i].alone.encoded() == all_[0].alone.encoded());
        }
    }

private:
    [[nodiscard]] version_vector stable_at(const replica& here) const {
        version_vector out;
        for (std::size_t id = 0; id < operations_.size(); ++id) {
            bool stable = std::all_of(std::begin(all_), std::end(all_),
                                      [&](const replica& r) { return view::in(r.seen, id); });
            for (std::size_t other = 0; other < operations_.size() && stable; ++other) {
                stable = view::in(here.seen, other) || view::in(operations_[other].seen, id);
            }
            // Ids of one replica rise with its counter, and what is before something stable is.
            if (stable) out.advance(operations_[id].at.replica, operations_[id].at.counter);
        }
        return out;
    }
};

// Random histories of `Subject`, each step checked at the replica it changes.
template <class Subject>
void check_against_reference() {
    rc::detail::checkBoostTest([] {
        auto program = *rc::gen::container<std::vector<std::uint32_t>>(
            rc::gen::inRange<std::uint32_t>(0, 1U << 30U));
        world<Subject> w;
        std::uint64_t step = 0;
        for (std::uint32_t word : program) {
            std::size_t self = word % replicas;
            std::uint32_t action = word / 4 % 8;
            std::uint32_t choice = word / 32;
            ++step;
            if (action < 5) {
                operation op = Subject::draw(choice);
                op.stamp = hlc{step / 4}; // ties happen
                w.perform(self, std::move(op));
            } else if (action < 7) {
                w.send_deltas(choice % replicas, self, 1 + choice / 4 % 4);
            } else {
                w.send_state(choice % replicas, self);
            }
        }
        w.heal();
    });
}

} // namespace weft::history
