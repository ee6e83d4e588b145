#pragma once
#include "replica/conflicts.hpp"
#include "replica/object_path.hpp"

#include <functional>
#include <map>
#include <optional>
#include <string>
#include <tuple>
#include <utility>
#include <vector>

// Typed handles on the objects of a replica or of a transaction. A handle holds a path and borrows where
// it came from; making one touches nothing. On a transaction, a write belongs to it; on a replica, each
// write is a transaction of its own, and a read sees the newest state.
//
//   errors  of every read: closed. Of every write also: over_limit and invalid_argument (key, field,
//           value, depth), over_budget, disk_full; what more a type refuses is said at its handle
//   threads any, like the replica
namespace weft {

// What handles stand on: a transaction or a replica.
class store_access {
public:
    virtual ~store_access() = default;
    virtual result<void> write(operation&& op) = 0;
    // Runs `what` as one transaction, or inside the one that this is of.
    virtual result<void> together(const std::function<result<void>(store_access&)>& what) = 0;
    virtual result<void> read(const std::function<void(const state_view&)>& look) const = 0;
};

// One object: where it is and of which type.
class object_handle {
public:
    // Removes the object: everything of it that is seen here. Not for bounded counters.
    result<void> remove() { return change(action::remove); }
    [[nodiscard]] result<bool> exists() const {
        return look<bool>([](const object*) { return true; }, false);
    }
    [[nodiscard]] const std::string& key() const { return path_.key(); }
    [[nodiscard]] type_id type() const { return type_; }

protected:
    object_handle(store_access& access, object_path path, type_id type)
        : access_(&access), path_(std::move(path)), type_(type) {}

    result<void> change(action what, value argument = {}, std::int64_t amount = 0,
                        std::unique_ptr<operation_extra> extra = nullptr) const;

    // What `see` makes of the live object, or `absent`.
    template <class T, class See>
    [[nodiscard]] result<T> look(See see, T absent) const {
        T out = std::move(absent);
        auto done = find([&](const object& there) { out = see(&there); });
        if (!done) return fail(done.error());
        return out;
    }
    [[nodiscard]] result<void> find(const std::function<void(const object&)>& see) const;
    // What is read of a register: by the rule for it, if there is one, else as its type says.
    [[nodiscard]] result<std::vector<value>> read_values() const;
    [[nodiscard]] result<std::optional<value>> read_value() const;
    [[nodiscard]] result<std::vector<sibling>> read_siblings() const;

    store_access* access_;
    object_path path_;
    type_id type_;
};

// Last-writer-wins register of a T, or of any `value`. Where a rule applies to it (resolve/rules.hpp), reads
// give what that makes of the concurrent values; but a rule that gives several leaves it to the last writer.
template <class T = value>
class register_handle : public object_handle {
public:
    register_handle(store_access& access, object_path path)
        : object_handle(access, std::move(path), {type_kind::lww_register}) {}

    result<void> set(const T& content) {
        return change(action::write, value_traits<T>::wrap(content));
    }
    // Nothing if it is absent; wrong_type if it holds another kind of value.
    [[nodiscard]] result<std::optional<T>> get() const {
        auto found = read_value();
        if (!found) return fail(found.error());
        if (!*found) return std::optional<T>();
        auto content = value_traits<T>::unwrap(**found);
        if (!content) {
            return fail(errc::wrong_type, "register '" + path_.last() + "' holds a " +
                                              std::string(to_string((*found)->kind())));
        }
        return content;
    }
    // All that was written concurrently, in the order of the writes' dots, with who did it and when.
    [[nodiscard]] result<std::vector<sibling>> siblings() const { return read_siblings(); }
};

// Multi-value register: `get` gives every concurrent value, or what a rule makes of them.
template <class T = value>
class mv_register_handle : public object_handle {
public:
    mv_register_handle(store_access& access, object_path path)
        : object_handle(access, std::move(path), {type_kind::mv_register}) {}

    result<void> set(const T& content) {
        return change(action::write, value_traits<T>::wrap(content));
    }
    // wrong_type if one of them is of another kind.
    [[nodiscard]] result<std::vector<T>> get() const {
        auto found = read_values();
        if (!found) return fail(found.error());
        std::vector<T> out;
        for (const value& v : *found) {
            auto content = value_traits<T>::unwrap(v);
            if (!content) {
                return fail(errc::wrong_type,
                            "register '" + path_.last() + "' holds other kinds too");
            }
            out.push_back(std::move(*content));
        }
        return out;
    }
    [[nodiscard]] result<std::vector<sibling>> siblings() const { return read_siblings(); }
};

// Counter that goes up and down. Further error: over_limit if this replica's sum would leave 64 bits.
class counter_handle : public object_handle {
public:
    counter_handle(store_access& access, object_path path, type_kind kind = type_kind::counter)
        : object_handle(access, std::move(path), {kind}) {}

    result<void> increment(std::int64_t by = 1) { return change(action::increment, {}, by); }
    result<void> decrement(std::int64_t by = 1);
    // Takes back exactly what is seen here; concurrent increments survive.
    result<void> reset() { return change(action::reset); }
    [[nodiscard]] result<std::int64_t> read() const {
        return look<std::int64_t>([](const object* o) { return o->as<counter_store>().read(); }, 0);
    }
};

// Counter that only grows; `increment` of less than 0 is invalid_argument.
class grow_counter_handle : private counter_handle {
public:
    grow_counter_handle(store_access& access, object_path path)
        : counter_handle(access, std::move(path), type_kind::grow_counter) {}
    using counter_handle::exists;
    using counter_handle::increment;
    using counter_handle::read;
    using counter_handle::remove;
};

// Counter with a bound that no replica can cross. Top-level only, never removed.
class bounded_counter_handle : public object_handle {
public:
    bounded_counter_handle(store_access& access, object_path path)
        : object_handle(access, std::move(path), {type_kind::bounded_counter}) {}

    // Creates it here, with all rights, if it is not there; creating it twice alike changes nothing.
    result<void> create_at_least(std::int64_t bound, std::int64_t initial);
    result<void> create_at_most(std::int64_t bound, std::int64_t initial);
    // bound_exceeded if the rights here do not suffice; says who has some.
    result<void> increment(std::int64_t by = 1);
    result<void> decrement(std::int64_t by = 1);
    // Gives rights of this replica to another; it can use them when the change has reached it.
    result<void> transfer(replica_id to, std::int64_t amount);
    [[nodiscard]] result<std::int64_t> read() const;    // not_found before it was created
    [[nodiscard]] result<std::uint64_t> rights() const; // of this replica
    // Who holds how many rights, as far as is known here.
    [[nodiscard]] result<std::map<replica_id, std::uint64_t>> all_rights() const;

    result<void> remove() = delete;

private:
    result<void> create(std::int64_t bound, std::int64_t initial, bool at_most);
    result<void> with_spec(action what, std::int64_t amount, replica_id to);
};

// Flag; `EnableWins` says what a concurrent enable and disable leave.
template <bool EnableWins>
class flag_handle : public object_handle {
public:
    flag_handle(store_access& access, object_path path)
        : object_handle(access, std::move(path),
                        {EnableWins ? type_kind::enable_wins_flag : type_kind::disable_wins_flag}) {
    }

    result<void> enable() { return change(action::enable); }
    result<void> disable() { return change(action::disable); }
    [[nodiscard]] result<bool> enabled() const { // false if never set
        return look<bool>(
            [](const object* o) {
                return EnableWins ? any_enabled(o->as<flag_store>())
                                  : all_enabled(o->as<flag_store>());
            },
            false);
    }
};

// Sets. The element type is part of the identity: set<int> and set<string> of one name are two objects.
template <class E, type_kind Kind>
class set_handle : public object_handle {
public:
    set_handle(store_access& access, object_path path)
        : object_handle(access, std::move(path), {Kind, element_kind_of<E>()}) {}

    result<void> add(const E& element) {
        return change(action::add, value_traits<E>::wrap(element));
    }
    result<void> remove_element(const E& element)
        requires(Kind != type_kind::grow_set)
    {
        return change(action::remove_element, value_traits<E>::wrap(element));
    }
    [[nodiscard]] result<bool> contains(const E& element) const {
        value wanted = value_traits<E>::wrap(element);
        return look<bool>(
            [&](const object* o) {
                if constexpr (Kind == type_kind::remove_wins_set) {
                    const flag_store* marks = o->as<remove_wins_elements>().marks().find(wanted);
                    return marks != nullptr && all_enabled(*marks);
                } else {
                    return o->as<add_wins_store<value>>().find(wanted) != nullptr;
                }
            },
            false);
    }
    [[nodiscard]] result<std::vector<E>> elements() const { // in order
        std::vector<E> out;
        auto done = find([&](const object& there) {
            auto take = [&](const value& element) {
                if (auto e = value_traits<E>::unwrap(element)) out.push_back(std::move(*e));
            };
            if constexpr (Kind == type_kind::remove_wins_set) {
                for (const auto& e : there.as<remove_wins_elements>().marks()) {
                    if (all_enabled(e.value)) take(e.key);
                }
            } else {
                for (const auto& e : there.as<add_wins_store<value>>()) take(e.key);
            }
        });
        if (!done) return fail(done.error());
        return out;
    }
    [[nodiscard]] result<std::size_t> size() const {
        return look<std::size_t>(
            [](const object* o) {
                if constexpr (Kind == type_kind::remove_wins_set) {
                    return o->as<remove_wins_elements>().present();
                } else {
                    return o->as<add_wins_store<value>>().size();
                }
            },
            0);
    }
};

class map_handle;

// Makes handles for the objects of a replica, a transaction or a map.
class object_scope {
public:
    template <class T = value>
    [[nodiscard]] register_handle<T> lww_register(std::string_view name) const {
        return {*access_, below(name)};
    }
    template <class T = value>
    [[nodiscard]] mv_register_handle<T> mv_register(std::string_view name) const {
        return {*access_, below(name)};
    }
    [[nodiscard]] counter_handle counter(std::string_view name) const {
        return {*access_, below(name)};
    }
    [[nodiscard]] grow_counter_handle grow_counter(std::string_view name) const {
        return {*access_, below(name)};
    }
    [[nodiscard]] bounded_counter_handle bounded_counter(std::string_view name) const {
        return {*access_, below(name)};
    }
    [[nodiscard]] flag_handle<true> flag(std::string_view name) const {
        return {*access_, below(name)};
    }
    [[nodiscard]] flag_handle<false> disable_wins_flag(std::string_view name) const {
        return {*access_, below(name)};
    }
    template <class E = value>
    [[nodiscard]] set_handle<E, type_kind::add_wins_set> set(std::string_view name) const {
        return {*access_, below(name)};
    }
    template <class E = value>
    [[nodiscard]] set_handle<E, type_kind::remove_wins_set>
    remove_wins_set(std::string_view name) const {
        return {*access_, below(name)};
    }
    template <class E = value>
    [[nodiscard]] set_handle<E, type_kind::grow_set> grow_set(std::string_view name) const {
        return {*access_, below(name)};
    }
    [[nodiscard]] map_handle map(std::string_view name) const;

    // For programs that know types only at run time: one operation, checked like all others.
    result<void> apply(operation&& op) const { return access_->write(std::move(op)); }
    // Removes every object, or field, of that name, whatever its types (but bounded counters).
    result<void> remove(std::string_view name) const;

protected:
    object_scope(store_access& access, object_path path)
        : access_(&access), path_(std::move(path)) {}

    [[nodiscard]] object_path below(std::string_view name) const { return path_.child(name); }

    store_access* access_;
    object_path path_;
};

// How a struct of yours maps to the fields of a map: specialise with one line per member.
//
//   template <> struct weft::fields<place> {
//       static constexpr auto list = std::tuple(weft::field("name", &place::name),
//                                               weft::field("population", &place::population));
//   };
//
// Every member becomes a last-writer-wins register of its own, so concurrent edits of two members merge.
template <class Struct>
struct fields;

template <class Struct, class T>
struct field_of {
    std::string_view name;
    T Struct::* member;
};
template <class Struct, class T>
[[nodiscard]] constexpr field_of<Struct, T> field(std::string_view name, T Struct::* member) {
    return {name, member};
}
template <class Struct>
concept has_fields = requires { fields<Struct>::list; };

// Map from field name to objects of any type; as a scope it gives handles on its fields.
class map_handle : public object_handle, public object_scope {
public:
    map_handle(store_access& access, const object_path& path)
        : object_handle(access, path, {type_kind::map}), object_scope(access, path) {}

    using object_handle::remove; // of the map itself
    result<void> remove_field(std::string_view name) { return object_scope::remove(name); }

    result<void> put(std::string_view name, const value& content) {
        return lww_register(name).set(content);
    }
    [[nodiscard]] result<std::optional<value>> get(std::string_view name) const {
        return lww_register(name).get();
    }
    [[nodiscard]] result<std::vector<std::string>>
    names() const; // of fields that are there, in order

    // All members of a struct at once; only those whose value differs are written.
    template <has_fields Struct>
    result<void> put(const Struct& content) {
        return access_->together([&](store_access& all) {
            map_handle here(all, path_);
            result<void> done;
            auto write = [&](const auto& m) {
                if (!done) return;
                auto now = here.lww_register(m.name).get();
                if (!now) {
                    done = fail(now.error());
                    return;
                }
                using member_type = std::decay_t<decltype(content.*(m.member))>;
                value wanted = value_traits<member_type>::wrap(content.*(m.member));
                if (!*now || **now != wanted) done = here.put(m.name, wanted);
            };
            std::apply([&](const auto&... member) { (write(member), ...); }, fields<Struct>::list);
            return done;
        });
    }
    // Nothing if the map is absent; members without a field keep their default; wrong_type if a field
    // holds another kind of value.
    template <has_fields Struct>
    [[nodiscard]] result<std::optional<Struct>> get() const {
        auto there = exists();
        if (!there) return fail(there.error());
        if (!*there) return std::optional<Struct>();
        Struct out{};
        result<void> done;
        std::apply(
            [&](const auto&... member) {
                auto read = [&](const auto& m) {
                    using member_type = std::decay_t<decltype(out.*(m.member))>;
                    if (!done) return;
                    auto content = lww_register<member_type>(m.name).get();
                    if (!content) {
                        done = fail(content.error());
                    } else if (*content) {
                        out.*(m.member) = std::move(**content);
                    }
                };
                (read(member), ...);
            },
            fields<Struct>::list);
        if (!done) return fail(done.error());
        return std::optional<Struct>(std::move(out));
    }

private:
    using object_handle::access_;
    using object_handle::path_;
};

inline map_handle object_scope::map(std::string_view name) const { return {*access_, below(name)}; }

} // namespace weft
