#include "crdt/bounded_counter.hpp"
#include "crdt/counter.hpp"
#include "crdt/flag.hpp"
#include "crdt/grow.hpp"
#include "crdt/map.hpp"
#include "crdt/register.hpp"
#include "crdt/set.hpp"
#include "tests/crdt/history.hpp"

#include <boost/test/unit_test.hpp>

#include <map>
#include <set>
#include <tuple>

// Every type against the plain reference of its stated meaning, over concurrent histories.
namespace weft::history {
namespace {

using ids = std::vector<std::size_t>;

auto anything() {
    return [](const operation&) { return true; };
}
auto of_kind(int kind) {
    return [kind](const operation& op) { return op.kind == kind; };
}
auto not_of_kind(int kind) {
    return [kind](const operation& op) { return op.kind != kind; };
}

operation made(int kind, std::uint32_t number) {
    operation op;
    op.kind = kind;
    op.number = static_cast<std::int64_t>(number);
    return op;
}

// The write with the highest (HLC, replica).
std::size_t latest_of(const view& v, const ids& writes) {
    return *std::max_element(writes.begin(), writes.end(), [&](std::size_t x, std::size_t y) {
        return std::tie(v.at(x).stamp, v.at(x).replica) < std::tie(v.at(y).stamp, v.at(y).replica);
    });
}

// Registers: a write or a remove replaces every write that happened before it.
constexpr int write = 0;
constexpr int remove = 1;

template <class Register>
struct register_subject {
    using type = Register;
    static operation draw(std::uint32_t choice) {
        return made(choice % 4 == 0 ? remove : write, choice / 4 % 1'000);
    }
    static type delta(const type& state, const operation& op) {
        if (op.kind == remove) return state.remove();
        return state.write(op.at, op.stamp, static_cast<int>(op.number));
    }
    static ids siblings(const view& v) { return v.not_before(v.where(of_kind(write)), anything()); }
};

struct lww_subject : register_subject<lww_register<int>> {
    static void check(const type& state, const view& v) {
        ids live = siblings(v);
        RC_ASSERT(state.read().has_value() == !live.empty());
        if (!live.empty()) RC_ASSERT(*state.read() == v.at(latest_of(v, live)).number);
    }
};

struct mv_subject : register_subject<mv_register<int>> {
    static void check(const type& state, const view& v) {
        std::multiset<int> expected;
        for (std::size_t id : siblings(v)) expected.insert(static_cast<int>(v.at(id).number));
        std::vector<int> all = state.read();
        RC_ASSERT(std::multiset<int>(all.begin(), all.end()) == expected);
    }
};

// Flags: every operation replaces what happened before it; what is left says on or off.
constexpr int off = 0;
constexpr int on = 1;
constexpr int unset = 2;

template <class Flag, bool EnableWins>
struct flag_subject {
    using type = Flag;
    static operation draw(std::uint32_t choice) { return made(static_cast<int>(choice % 3), 0); }
    static type delta(const type& state, const operation& op) {
        if (op.kind == unset) return state.clear();
        return op.kind == on ? state.enable(op.at) : state.disable(op.at);
    }
    static void check(const type& state, const view& v) {
        std::size_t enables = v.not_before(v.where(of_kind(on)), anything()).size();
        std::size_t disables = v.not_before(v.where(of_kind(off)), anything()).size();
        RC_ASSERT(state.enabled() == (enables > 0 && (EnableWins || disables == 0)));
    }
};

// Counters: the sum of the increments that no reset has seen.
constexpr int reset = 1;

struct counter_subject {
    using type = counter;
    static operation draw(std::uint32_t choice) {
        operation op = made(choice % 5 == 0 ? reset : 0, choice / 5 % 200);
        op.number -= 100;
        return op;
    }
    static type delta(const type& state, const operation& op) {
        if (op.kind == reset) return state.reset();
        return op.number % 2 == 0 ? state.increment(op.at, op.number)
                                  : state.decrement(op.at, -op.number);
    }
    static void check(const type& state, const view& v) {
        std::int64_t sum = 0;
        ids counted = v.not_before(v.where(not_of_kind(reset)), of_kind(reset));
        for (std::size_t id : counted) sum += v.at(id).number;
        RC_ASSERT(state.read() == sum);
        RC_ASSERT(state.store().live() == !counted.empty());
    }
};

struct grow_counter_subject {
    using type = grow_counter;
    static constexpr bool without_context = true;
    static operation draw(std::uint32_t choice) { return made(0, choice % 100); }
    static type delta(const type& state, const operation& op) {
        return state.increment(op.at.replica, static_cast<std::uint64_t>(op.number));
    }
    static void check(const type& state, const view& v) {
        std::int64_t sum = 0;
        for (std::size_t id : v.where(anything())) sum += v.at(id).number;
        RC_ASSERT(state.read() == static_cast<std::uint64_t>(sum));
    }
};

// Bounded counters: replica 0 makes one that starts 20 away from its bound. An operation that finds
// too few rights at its replica is refused, and only such a one.
constexpr int create = 0;
constexpr int change = 1;
constexpr int transfer = 2;
constexpr int refused = 3;

template <bool AtMost>
struct bounded_subject {
    using type = bounded_counter;
    static constexpr bounded_spec spec{replica_id{1}, 100, AtMost ? 80 : 120, AtMost};
    static constexpr std::int64_t away = AtMost ? -1 : 1; // which way is away from the bound

    static operation draw(std::uint32_t choice) {
        operation op = made(choice % 3 == 0 ? transfer : change, 0);
        op.number = static_cast<std::int64_t>(choice / 12 % 24) - (op.kind == change ? 12 : 0);
        op.path = std::to_string(choice / 3 % 4 + 1);
        return op;
    }
    static std::uint64_t to(const operation& op) { return std::stoull(op.path); }

    static type delta(const type& state, operation& op) {
        if (state.store().empty()) {
            op.kind = op.replica == 0 ? create : refused;
            return op.kind == create ? bounded_counter::create(op.at, spec) : type();
        }
        auto rights = static_cast<std::int64_t>(state.rights_of(op.at.replica));
        result<type> out = type();
        if (op.kind == transfer) {
            out = state.transfer(op.at, replica_id{to(op)}, static_cast<std::uint64_t>(op.number));
            RC_ASSERT(out.has_value() == (op.number > 0 && op.number <= rights));
        } else {
            out = op.number % 2 == 0 ? state.increment(op.at, op.number)
                                     : state.decrement(op.at, -op.number);
            RC_ASSERT(out.has_value() == (-away * op.number <= rights));
        }
        if (out) return *out;
        RC_ASSERT(out.error().code == errc::bound_exceeded);
        op.kind = refused;
        return {};
    }

    static void check(const type& state, const view& v) {
        bool created = !v.where(of_kind(create)).empty();
        std::int64_t reading = created ? spec.initial : 0;
        std::map<std::uint64_t, std::int64_t> rights;
        if (created) rights[1] = 20;
        for (std::size_t id : v.where(of_kind(change))) {
            reading += v.at(id).number;
            rights[v.at(id).replica + 1] += away * v.at(id).number;
        }
        for (std::size_t id : v.where(of_kind(transfer))) {
            rights[v.at(id).replica + 1] -= v.at(id).number;
            rights[to(v.at(id))] += v.at(id).number;
        }
        RC_ASSERT(state.read() == reading);
        std::int64_t sum = 0;
        for (std::uint64_t r = 1; r <= replicas; ++r) {
            RC_ASSERT(rights[r] >= 0);
            RC_ASSERT(static_cast<std::int64_t>(state.rights_of(replica_id{r})) == rights[r]);
            sum += rights[r];
        }
        if (!created) return;
        RC_ASSERT((AtMost ? reading <= spec.bound : reading >= spec.bound));
        RC_ASSERT(sum == away * (reading - spec.bound));
    }
};

// Sets. An element is named by the operation's number.
constexpr int add = 0;
constexpr int take = 1;
constexpr int clear = 2;
constexpr int forget = 3;

operation draw_set_operation(std::uint32_t choice) {
    std::uint32_t kind = choice % 16;
    return made(kind < 9 ? add : kind < 14 ? take : kind == 14 ? clear : forget, choice / 16 % 3);
}
auto touches(std::int64_t element) {
    return [element](const operation& op) {
        return op.kind == clear || (op.kind != forget && op.number == element);
    };
}
auto is(int kind, std::int64_t element) {
    return [kind, element](const operation& op) { return op.kind == kind && op.number == element; };
}

struct add_wins_subject {
    using type = add_wins_set<int>;
    static operation draw(std::uint32_t choice) { return draw_set_operation(choice); }
    static type delta(const type& state, const operation& op) {
        auto element = static_cast<int>(op.number);
        if (op.kind == add) return state.add(op.at, element);
        return op.kind == take ? state.remove(element) : state.clear();
    }
    // Present if some add happened before no other operation on the element. (`forget` clears here.)
    static void check(const type& state, const view& v) {
        std::vector<int> expected;
        for (int e = 0; e < 3; ++e) {
            ids adds = v.not_before(v.where(is(add, e)), [e](const operation& op) {
                return op.kind == forget || touches(e)(op);
            });
            if (!adds.empty()) expected.push_back(e);
            RC_ASSERT(state.contains(e) == !adds.empty());
        }
        RC_ASSERT(state.elements() == expected);
    }
};

struct remove_wins_subject {
    using type = remove_wins_set<int>;
    static operation draw(std::uint32_t choice) { return draw_set_operation(choice); }
    static type delta(const type& state, const operation& op) {
        auto element = static_cast<int>(op.number);
        if (op.kind == add) return state.add(op.at, element);
        if (op.kind == take) return state.remove(op.at, element);
        return op.kind == clear ? state.clear() : state.forget_stable(op.stable);
    }
    // Present if some add and no remove is left that happened before no other operation on the
    // element. Forgetting changes nothing.
    static void check(const type& state, const view& v) {
        std::vector<int> expected;
        for (int e = 0; e < 3; ++e) {
            bool added = !v.not_before(v.where(is(add, e)), touches(e)).empty();
            bool removed = !v.not_before(v.where(is(take, e)), touches(e)).empty();
            if (added && !removed) expected.push_back(e);
        }
        RC_ASSERT(state.elements() == expected);
    }
};

struct grow_set_subject {
    using type = grow_set<int>;
    static constexpr bool without_context = true;
    static operation draw(std::uint32_t choice) { return made(add, choice % 5); }
    static type delta(const type& state, const operation& op) {
        return state.add(static_cast<int>(op.number));
    }
    static void check(const type& state, const view& v) {
        std::set<int> expected;
        for (std::size_t id : v.where(anything())) {
            expected.insert(static_cast<int>(v.at(id).number));
        }
        RC_ASSERT(state.elements() == std::vector<int>(expected.begin(), expected.end()));
    }
};

// Maps, three deep: the path "m/m/x" is the field x of the map m of the map m. A removal of a path
// replaces all that happened before it, there and below.
constexpr int put = 0;
constexpr int increment = 1;
constexpr int insert = 2;
constexpr int erase = 3;
constexpr int remove_field = 4;
constexpr int clear_map = 5; // of the map that the path names, "" for the outermost

struct map_subject {
    using type = map;

    static operation draw(std::uint32_t choice) {
        static const std::array<int, 12> kinds = {put,    put,          increment,    increment,
                                                  insert, insert,       insert,       erase,
                                                  erase,  remove_field, remove_field, clear_map};
        operation op = made(kinds[choice % kinds.size()], choice / 12 % 3);
        choice /= 36;
        for (std::uint32_t depth = choice % 3; depth > 0; --depth) op.path += "m/";
        choice /= 3;
        if (op.kind == clear_map) return op;
        bool whole_map = op.kind == remove_field && choice % 3 == 0;
        op.path += whole_map ? "m" : choice % 2 == 0 ? "x" : "y";
        return op;
    }

    static type delta(const type& state, const operation& op) {
        return delta_at(state, op, op.path);
    }
    static type delta_at(const type& state, const operation& op, std::string_view path) {
        if (std::size_t slash = path.find('/'); slash != std::string_view::npos) {
            return state.nested(path.substr(0, slash), [&](const map& below) {
                return delta_at(below, op, path.substr(slash + 1));
            });
        }
        switch (op.kind) {
            case put: return state.put(op.at, op.stamp, path, op.number);
            case increment: return state.increment(op.at, path, op.number);
            case insert: return state.add(op.at, path, op.number);
            case erase: return erased(state, path, op.number);
            case clear_map: return state.clear();
            default: return state.remove(path);
        }
    }
    static type erased(const type& state, std::string_view field, std::int64_t element) {
        using store = add_wins_store<value>;
        return state.update<store>(field, set_type, [&](const store& there) {
            const dot_set* dots = there.find(element);
            return causal<store>{store::partial(element, {}),
                                 context_of(dots_of(dots == nullptr ? dot_set() : *dots))};
        });
    }
    static constexpr type_id set_type{type_kind::add_wins_set, element_kind::integer};

    static bool removes(const operation& op, const std::string& path) {
        if (op.kind == clear_map) return path.starts_with(op.path);
        return op.kind == remove_field && (path == op.path || path.starts_with(op.path + "/"));
    }
    // Operations of one kind at one path that no removal and no successor replaced.
    static ids left(const view& v, int kind, const std::string& path, auto replaces) {
        auto here = [&](const operation& op) { return op.kind == kind && op.path == path; };
        return v.not_before(v.where(here), [&](const operation& op) {
            return removes(op, path) || (op.path == path && replaces(op));
        });
    }
    static ids writes(const view& v, const std::string& path) {
        return left(v, put, path, of_kind(put));
    }
    static ids counts(const view& v, const std::string& path) {
        return left(v, increment, path, [](const operation&) { return false; });
    }
    static std::set<std::int64_t> members(const view& v, const std::string& path) {
        std::set<std::int64_t> out;
        for (std::int64_t e = 0; e < 3; ++e) {
            ids adds = left(v, insert, path, [e](const operation& op) {
                return (op.kind == insert || op.kind == erase) && op.number == e;
            });
            std::erase_if(adds, [&](std::size_t id) { return v.at(id).number != e; });
            if (!adds.empty()) out.insert(e);
        }
        return out;
    }

    // Checks the fields of one map; gives those that are there.
    static std::vector<std::string> check_level(const map_store* store, const view& v,
                                                const std::string& prefix) {
        auto child = [&](const std::string& field, type_id type) -> const object* {
            const object* there = store == nullptr ? nullptr : store->find({field, type});
            return there == nullptr || !there->live() ? nullptr : there;
        };
        std::vector<std::string> present;
        const object* below = child("m", {type_kind::map});
        if (prefix.size() < 4) {
            bool there =
                !check_level(below == nullptr ? nullptr : &below->as<map_store>(), v, prefix + "m/")
                     .empty();
            RC_ASSERT((below != nullptr) == there);
            if (there) present.push_back("m");
        }
        for (std::string field : {"x", "y"}) {
            ids written = writes(v, prefix + field);
            const object* text = child(field, {type_kind::lww_register});
            RC_ASSERT((text != nullptr) == !written.empty());
            if (text != nullptr) {
                RC_ASSERT(latest<value>(text->as<register_store<value>>())->payload.content ==
                          value(v.at(latest_of(v, written)).number));
            }
            ids counted = counts(v, prefix + field);
            const object* number = child(field, {type_kind::counter});
            RC_ASSERT((number != nullptr) == !counted.empty());
            if (number != nullptr) {
                std::int64_t sum = 0;
                for (std::size_t id : counted) sum += v.at(id).number;
                RC_ASSERT(number->as<counter_store>().read() == sum);
            }
            std::set<std::int64_t> expected = members(v, prefix + field);
            const object* set = child(field, set_type);
            RC_ASSERT((set != nullptr) == !expected.empty());
            if (set != nullptr) {
                std::set<std::int64_t> found;
                for (const auto& e : set->as<add_wins_store<value>>())
                    found.insert(*e.key.as_int());
                RC_ASSERT(found == expected);
            }
            if (text != nullptr || number != nullptr || set != nullptr) present.push_back(field);
        }
        if (store != nullptr) RC_ASSERT(store->live() == !present.empty());
        return present;
    }

    static void check(const type& state, const view& v) {
        std::vector<std::string> present = check_level(&state.store(), v, "");
        RC_ASSERT(state.fields() == present);
        for (std::string field : {"m", "x", "y"}) {
            RC_ASSERT(state.contains(field) ==
                      (std::count(present.begin(), present.end(), field) == 1));
            ids written = writes(v, field);
            RC_ASSERT(state.get(field).has_value() == !written.empty());
            std::int64_t sum = 0;
            for (std::size_t id : counts(v, field)) sum += v.at(id).number;
            RC_ASSERT(state.count(field) == sum);
        }
    }
};

BOOST_AUTO_TEST_SUITE(history_test)

BOOST_AUTO_TEST_CASE(a_lww_register_reads_the_highest_stamp_among_writes_not_overwritten) {
    check_against_reference<lww_subject>();
}
BOOST_AUTO_TEST_CASE(an_mv_register_reads_every_write_not_overwritten) {
    check_against_reference<mv_subject>();
}
BOOST_AUTO_TEST_CASE(an_enable_wins_flag_is_on_if_an_enable_is_left) {
    check_against_reference<flag_subject<enable_wins_flag, true>>();
}
BOOST_AUTO_TEST_CASE(a_disable_wins_flag_is_on_if_only_enables_are_left) {
    check_against_reference<flag_subject<disable_wins_flag, false>>();
}
BOOST_AUTO_TEST_CASE(a_counter_sums_the_increments_that_no_reset_has_seen) {
    check_against_reference<counter_subject>();
}
BOOST_AUTO_TEST_CASE(a_grow_counter_sums_all_increments) {
    check_against_reference<grow_counter_subject>();
}
BOOST_AUTO_TEST_CASE(a_lower_bound_holds_at_every_replica_and_rights_add_up_to_the_distance) {
    check_against_reference<bounded_subject<false>>();
}
BOOST_AUTO_TEST_CASE(an_upper_bound_holds_at_every_replica_and_rights_add_up_to_the_distance) {
    check_against_reference<bounded_subject<true>>();
}
BOOST_AUTO_TEST_CASE(an_add_wins_set_holds_what_an_add_is_left_of) {
    check_against_reference<add_wins_subject>();
}
BOOST_AUTO_TEST_CASE(a_remove_wins_set_holds_what_only_adds_are_left_of_and_forgetting_is_unseen) {
    check_against_reference<remove_wins_subject>();
}
BOOST_AUTO_TEST_CASE(a_grow_set_holds_all_that_was_added) {
    check_against_reference<grow_set_subject>();
}
BOOST_AUTO_TEST_CASE(a_map_shows_what_no_later_operation_replaced_or_removed) {
    check_against_reference<map_subject>();
}

BOOST_AUTO_TEST_SUITE_END()

} // namespace
} // namespace weft::history
