#include "crdt/bounded_counter.hpp"
#include "crdt/counter.hpp"
#include "crdt/flag.hpp"
#include "crdt/grow.hpp"
#include "crdt/map.hpp"
#include "crdt/register.hpp"
#include "crdt/set.hpp"
#include "tests/laws.hpp"

#include <boost/mpl/list.hpp>
#include <boost/test/unit_test.hpp>

namespace weft {
namespace {

std::string word(std::uint32_t choice) {
    static const std::array<std::string, 5> words = {"", "a", "b", "gr\xC3\xBC\xC3\x9F",
                                                     "more than fourteen bytes"};
    return words[choice % words.size()];
}

std::int64_t amount(std::uint32_t choice) { return static_cast<std::int64_t>(choice % 21) - 10; }

template <class E>
E element(std::uint32_t choice) {
    if constexpr (std::same_as<E, std::string>) {
        return word(choice);
    } else {
        return static_cast<E>(choice % 5) - 2;
    }
}

template <class Register, class Content>
struct lawful_register {
    static result<Register> delta(const Register& state, dot fresh, std::uint32_t choice) {
        if (choice % 4 == 0) return state.remove();
        return state.write(fresh, hlc{choice / 4 % 3}, element<Content>(choice));
    }
    static void read(const Register& state) { (void)state.read(); }
};

template <class Flag>
struct lawful_flag {
    static result<Flag> delta(const Flag& state, dot fresh, std::uint32_t choice) {
        if (choice % 5 == 0) return state.clear();
        return choice % 2 == 0 ? state.enable(fresh) : state.disable(fresh);
    }
    static void read(const Flag& state) { (void)state.enabled(); }
};

template <class Set>
void read_set(const Set& state) {
    for (const auto& e : state.elements()) RC_ASSERT(state.contains(e));
}

} // namespace

template <>
struct lawful<lww_register<int>> : lawful_register<lww_register<int>, int> {};
template <>
struct lawful<mv_register<std::string>> : lawful_register<mv_register<std::string>, std::string> {};
template <>
struct lawful<enable_wins_flag> : lawful_flag<enable_wins_flag> {};
template <>
struct lawful<disable_wins_flag> : lawful_flag<disable_wins_flag> {};

template <>
struct lawful<counter> {
    static result<counter> delta(const counter& state, dot fresh, std::uint32_t choice) {
        if (choice % 5 == 0) return state.reset();
        return choice % 2 == 0 ? state.increment(fresh, amount(choice))
                               : state.decrement(fresh, amount(choice));
    }
    static void read(const counter& state) { (void)state.read(); }
};

template <>
struct lawful<bounded_counter> {
    // Several replicas create it, with two bounds: a conflict, which joins like everything else.
    static result<bounded_counter> delta(const bounded_counter& state, dot fresh,
                                         std::uint32_t choice) {
        auto far = static_cast<std::int64_t>(choice % 12);
        if (state.store().empty()) {
            return bounded_counter::create(
                fresh, {fresh.replica, 0, choice % 2 == 0 ? 10 : -10, choice % 2 == 1});
        }
        if (choice % 3 == 0) return state.increment(fresh, far);
        if (choice % 3 == 1) return state.decrement(fresh, far);
        return state.transfer(fresh, replica_id{choice / 12 % 3 + 1}, choice % 5);
    }
    static void read(const bounded_counter& state) {
        (void)state.read();
        for (std::uint64_t r = 1; r < 4; ++r) (void)state.rights_of(replica_id{r});
    }
};

template <class E>
struct lawful<add_wins_set<E>> {
    static result<add_wins_set<E>> delta(const add_wins_set<E>& state, dot fresh,
                                         std::uint32_t choice) {
        if (choice % 13 == 0) return state.clear();
        if (choice % 3 == 0) return state.remove(element<E>(choice / 13));
        return state.add(fresh, element<E>(choice / 13));
    }
    static void read(const add_wins_set<E>& state) { read_set(state); }
};

template <>
struct lawful<remove_wins_set<int>> {
    using set = remove_wins_set<int>;
    static result<set> delta(const set& state, dot fresh, std::uint32_t choice) {
        if (choice % 13 == 0) return state.clear();
        if (choice % 3 == 0) return state.remove(fresh, element<int>(choice / 13));
        return state.add(fresh, element<int>(choice / 13));
    }
    static void read(const set& state) { read_set(state); }
};

template <>
struct lawful<grow_set<int>> {
    static result<grow_set<int>> delta(const grow_set<int>& state, dot, std::uint32_t choice) {
        return state.add(element<int>(choice));
    }
    static void read(const grow_set<int>& state) { read_set(state); }
};

template <>
struct lawful<grow_counter> {
    static result<grow_counter> delta(const grow_counter& state, dot fresh, std::uint32_t choice) {
        return state.increment(fresh.replica, choice % 100);
    }
    static void read(const grow_counter& state) { (void)state.read(); }
};

template <>
struct lawful<map> {
    // Changes at one level; maps below down to the third.
    static map change(const map& state, dot fresh, std::uint32_t choice, int depth) {
        std::uint32_t kind = choice % 17;
        std::uint32_t rest = choice / 17;
        std::string field(1, static_cast<char>('p' + rest % 3));
        rest /= 3;
        if (kind < 6 && depth < 3) {
            return state.nested(
                field, [&](const map& child) { return change(child, fresh, rest, depth + 1); });
        }
        switch (kind) {
            case 6:
            case 7: return state.put(fresh, hlc{rest % 3}, field, word(rest));
            case 8:
            case 9: return state.increment(fresh, field, amount(rest));
            case 10: return state.add(fresh, field, element<int>(rest));
            case 11: return take_out(state, field, element<int>(rest));
            case 12: return mark(state, fresh, field, element<int>(rest), rest % 2 == 0);
            case 13: return state.clear();
            case 14: return flip(state, fresh, field, rest % 2 == 0);
            default: return state.remove(field);
        }
    }

    // The types without a shorthand, through `update`.
    static map take_out(const map& state, const std::string& field, int out) {
        using store = add_wins_store<value>;
        type_id type{type_kind::add_wins_set, element_kind::integer};
        return state.update<store>(field, type, [&](const store& there) {
            const dot_set* dots = there.find(out);
            return causal<store>{store::partial(out, {}),
                                 context_of(dots_of(dots == nullptr ? dot_set() : *dots))};
        });
    }
    static map mark(const map& state, dot fresh, const std::string& field, int at, bool present) {
        type_id type{type_kind::remove_wins_set, element_kind::integer};
        return state.update<remove_wins_elements>(
            field, type, [&](const remove_wins_elements& there) {
                const flag_store* marks = there.marks().find(at);
                return causal<remove_wins_elements>{
                    remove_wins_elements::of(
                        remove_wins_store<value>::partial(at, flag_store(fresh, present))),
                    seen_with(fresh, marks == nullptr ? flag_store() : *marks)};
            });
    }
    static map flip(const map& state, dot fresh, const std::string& field, bool on) {
        return state.update<flag_store>(
            field, {type_kind::enable_wins_flag}, [&](const flag_store& there) {
                return causal<flag_store>{flag_store(fresh, on), seen_with(fresh, there)};
            });
    }

    static result<map> delta(const map& state, dot fresh, std::uint32_t choice) {
        return change(state, fresh, choice, 0);
    }

    static void check_counts(const map_store& store) {
        std::size_t live = 0;
        for (const auto& child : store.children()) {
            live += child.value.live() ? 1U : 0U;
            RC_ASSERT(store.is_partial() || !child.value.empty());
            RC_ASSERT(store.is_partial() || !child.value.is_partial());
            if (child.key.type().kind == type_kind::map) check_counts(child.value.as<map_store>());
            if (child.key.type().kind == type_kind::remove_wins_set) {
                const auto& elements = child.value.as<remove_wins_elements>();
                std::size_t present = 0;
                for (const auto& e : elements.marks()) present += all_enabled(e.value) ? 1U : 0U;
                RC_ASSERT(elements.present() == present);
            }
        }
        RC_ASSERT(store.live_children() == live);
    }
    static void read(const map& state) {
        check_counts(state.store());
        for (const std::string& field : state.fields()) {
            RC_ASSERT(state.contains(field));
            (void)state.get(field);
            (void)state.count(field);
        }
    }
};

namespace {

using replicated_types = boost::mpl::list<lww_register<int>, mv_register<std::string>, counter,
                                          bounded_counter, enable_wins_flag, disable_wins_flag,
                                          add_wins_set<int>, add_wins_set<std::string>,
                                          remove_wins_set<int>, grow_set<int>, grow_counter, map>;

BOOST_AUTO_TEST_SUITE(laws_test)

BOOST_AUTO_TEST_CASE_TEMPLATE(join_laws, T, replicated_types) { check_join_laws<T>(); }

BOOST_AUTO_TEST_SUITE_END()

} // namespace
} // namespace weft
