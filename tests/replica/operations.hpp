#pragma once
#include "base/random.hpp"
#include "replica/change.hpp"
#include "replica/keyspace.hpp"

#include <list>
#include <string>
#include <vector>

namespace weft::tests {

// Random operations that core would let through, over a few keys, so that they meet.
class operation_source {
public:
    explicit operation_source(std::uint64_t seed) : random_(seed) {}

    // Its path stays valid as long as this source.
    operation next(replica_id self) {
        static constexpr type_kind kinds[] = {
            type_kind::lww_register,     type_kind::mv_register,       type_kind::counter,
            type_kind::enable_wins_flag, type_kind::disable_wins_flag, type_kind::add_wins_set,
            type_kind::remove_wins_set,  type_kind::grow_set,          type_kind::grow_counter,
        };
        operation op;
        std::size_t depth = random_.below(3);
        names_.emplace_back();
        paths_.emplace_back();
        for (std::size_t i = 0; i <= depth; ++i) {
            names_.back().push_back(std::string(1, static_cast<char>('a' + random_.below(3))));
        }
        for (const std::string& name : names_.back()) paths_.back().push_back(name);
        op.path = paths_.back();
        op.type.kind = kinds[random_.below(std::size(kinds))];
        std::int64_t small = random_.between(-3, 3);
        switch (op.type.kind) {
            case type_kind::lww_register:
            case type_kind::mv_register:
                op.what = action::write;
                op.argument = random_.chance(0.5) ? value(small) : value(std::string(30, 'x'));
                break;
            case type_kind::counter:
                op.what = action::increment;
                op.amount = small;
                break;
            case type_kind::grow_counter:
                op.what = action::increment;
                op.amount = small < 0 ? -small : small;
                break;
            case type_kind::enable_wins_flag:
            case type_kind::disable_wins_flag:
                op.what = random_.chance(0.5) ? action::enable : action::disable;
                break;
            case type_kind::add_wins_set:
            case type_kind::remove_wins_set:
                op.what = random_.chance(0.6) ? action::add : action::remove_element;
                op.type.element = element_kind::integer;
                op.argument = small;
                break;
            default:
                op.what = action::add;
                op.type.element = element_kind::integer;
                op.argument = small;
        }
        if (random_.chance(0.15)) {
            op.what = action::remove;
            op.argument = {};
            op.amount = 0;
            if (random_.chance(0.5)) op.type = {type_kind::map};
        }
        if (random_.chance(0.05) && op.path.size() == 1) {
            op.type = {type_kind::bounded_counter};
            op.what = action::create;
            op.argument = {};
            op.amount = 0;
            op.extra = std::make_unique<operation_extra>();
            op.extra->spec = {self, 0, 100, false};
        }
        return op;
    }
    random_generator& random() { return random_; }

private:
    random_generator random_;
    std::list<std::vector<std::string>> names_;
    std::list<std::vector<std::string_view>> paths_;
};

// Applies operations as a replica does: everything that was applied here has been seen.
struct author {
    keyspace state;
    version_vector seen;
    replica_id id;
    std::uint64_t next = 1;

    author(std::uint64_t number) : id{number} {}

    struct change {
        dot at;
        hlc stamp;
        version_vector dependencies;
        const operation* op;
    };

    change write(const operation& op, std::uint64_t stamp, undo_log* undo) {
        change made{{id, next++}, {stamp}, seen, &op};
        made.dependencies.set(id, 0);
        undo_log unused;
        state.apply(op, made.at, made.stamp, seen, undo == nullptr ? &unused : undo);
        return made;
    }
    void read(const change& c) {
        state.apply(*c.op, c.at, c.stamp, c.dependencies, nullptr);
        seen.advance(c.at.replica, c.at.counter);
    }
};

inline bool allowed(const author& a, const operation& op) {
    // What core refuses or turns into other operations: removals of counters name their rows.
    if (op.what != action::remove) return true;
    return op.type.kind != type_kind::counter && op.type.kind != type_kind::grow_counter &&
           a.state.find_record(op.path, op.type) != nullptr;
}

} // namespace weft::tests
