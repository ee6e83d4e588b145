#pragma once
#include "crdt/bounded_counter.hpp"
#include "crdt/counter.hpp"
#include "crdt/flag.hpp"
#include "crdt/register.hpp"
#include "crdt/set.hpp"

#include <optional>
#include <string_view>
#include <variant>

namespace weft {

// The closed set of replicated types. The numbers are part of every format.
enum class type_kind : std::uint8_t {
    lww_register = 1,
    mv_register = 2,
    counter = 3,
    bounded_counter = 4,
    enable_wins_flag = 5,
    disable_wins_flag = 6,
    add_wins_set = 7,
    remove_wins_set = 8,
    grow_set = 9,
    grow_counter = 10,
    map = 11,
};

// What the elements of a set are: one kind of value, or any. Of other types: any.
enum class element_kind : std::uint8_t {
    boolean = 1,
    integer = 2,
    real = 3,
    text = 4,
    binary = 5,
    timestamp = 6,
    any = 7,
};
static_assert(static_cast<int>(element_kind::timestamp) == static_cast<int>(value_kind::timestamp));

// The type of an object, the second half of its identity beside its name.
struct type_id {
    type_kind kind = type_kind::lww_register;
    element_kind element = element_kind::any;

    auto operator<=>(const type_id&) const = default;
};

[[nodiscard]] bool is_set(type_kind kind);
[[nodiscard]] constexpr bool is_register(type_kind kind) {
    return kind == type_kind::lww_register || kind == type_kind::mv_register;
}
// "counter", "set<string>", "set" (of any), "remove_wins_set<int>"; parse_type reads what to_string
// writes.
[[nodiscard]] std::string to_string(type_id type);
[[nodiscard]] std::optional<type_id> parse_type(std::string_view name);
void encode(byte_writer& out, type_id type);
[[nodiscard]] type_id decode_type(byte_reader& in);
// Whether a set of that element kind may hold `element`.
[[nodiscard]] bool admits(element_kind kind, const value& element);
template <class E>
[[nodiscard]] constexpr element_kind element_kind_of() {
    if constexpr (requires { value_traits<E>::kind; }) {
        return static_cast<element_kind>(value_traits<E>::kind);
    } else {
        return element_kind::any;
    }
}

// The children of a map, or the objects of a keyspace, in order of name, then type. A replica has millions
// of them: 16 bytes for a name of up to 12.
struct child_ref { // borrowed
    std::string_view name;
    type_id type;
};
class child_key {
public:
    static constexpr bool trivially_relocatable = value::trivially_relocatable; // see ordered_map
    explicit child_key(child_ref of);

    [[nodiscard]] std::string_view name() const {
        std::string_view both = both_parts();
        return {both.data(), both.size() - 2};
    }
    [[nodiscard]] type_id type() const {
        std::string_view both = both_parts();
        return {static_cast<type_kind>(both[both.size() - 2]),
                static_cast<element_kind>(both[both.size() - 1])};
    }
    bool operator==(const child_key&) const = default;

private:
    [[nodiscard, gnu::always_inline]] std::string_view both_parts() const {
        return *name_and_type_.as_text();
    }

    value name_and_type_; // a text, with two more characters
};
struct child_less {
    static std::string_view name(const child_key& k) { return k.name(); }
    static std::string_view name(const child_ref& k) { return k.name; }
    static type_id type(const child_key& k) { return k.type(); }
    static type_id type(const child_ref& k) { return k.type; }
    // See ordered_map.
    static std::uint8_t tag(const auto& of) {
        return static_cast<std::uint8_t>(std::hash<std::string_view>{}(name(of)));
    }
    static std::uint64_t head(const auto& of) { return first_bytes(name(of)); }
    static bool equal(const auto& a, const auto& b) {
        return name(a) == name(b) && type(a) == type(b);
    }
    bool operator()(const auto& a, const auto& b) const {
        int order = name(a).compare(name(b));
        return order < 0 || (order == 0 && type(a) < type(b));
    }
};

class object;

// The data half of a map. Children are identified by name and type, so replicas that create a child
// at the same time share it. A child without a live dot is not there for a reader; it stays as a
// record only if it is a counter, whose rows outlive a reset, or a register whose removes are kept.
class map_store {
public:
    using children_type = ordered_map<child_key, object, child_less>;

    map_store();
    map_store(const map_store&);
    map_store(map_store&&) noexcept;
    map_store& operator=(const map_store&);
    map_store& operator=(map_store&&) noexcept;
    ~map_store();

    [[nodiscard]] static map_store partial(); // see dot_map

    [[nodiscard]] const object* find(child_ref child) const; // also without a live dot
    [[nodiscard]] object* find(child_ref child);
    // `alone`, if given, becomes true where a child is new and it is known, without another look, that none
    // of another type is under its name; else it stays as it is. `found` is what is known of that name.
    [[nodiscard]] object& find_or_insert(child_ref child, bool* alone = nullptr,
                                         const children_type::glimpse* found = nullptr);
    void erase(child_ref child);
    // To be called after a child changed: drops an empty record and keeps `live_children` right. Says
    // whether the child came to life or ceased to live.
    bool settle(child_ref child, const object& there, bool was_live);
    // Whether an object of another type lives under that name, too. At once where a map never held others.
    [[nodiscard]] bool lives_beside(child_ref child) const;

    [[nodiscard]] const children_type& children() const { return children_; }
    [[nodiscard]] std::size_t live_children() const { return live_; }
    [[nodiscard]] bool live() const { return live_ > 0; }
    [[nodiscard]] bool empty() const;
    [[nodiscard]] bool is_partial() const { return partial_; }

    template <seen Mine, seen Theirs>
    void join(const map_store& other, const Mine& my_seen, const Theirs& their_seen);
    template <class Visit>
    void for_each_dot(Visit visit) const;
    bool release(std::size_t& left); // see ordered_map

    void encode_to(byte_writer& out) const;
    [[nodiscard]] static map_store decode_from(byte_reader& in, std::size_t depth = 0);
    bool operator==(const map_store& other) const;

private:
    children_type children_;
    std::size_t live_ = 0;
    std::uint16_t kinds_ = 0; // bit k: a child of kind k was put here, at some time
    bool partial_ = false;
};

// A remove-wins set that knows how many of its elements are present, which a reader of a map needs
// at once.
class remove_wins_elements {
public:
    [[nodiscard]] const remove_wins_store<value>& marks() const { return marks_; }
    [[nodiscard]] std::size_t present() const { return present_; }
    [[nodiscard]] bool empty() const { return marks_.empty(); }
    [[nodiscard]] bool live() const { return present_ > 0; }
    [[nodiscard]] bool is_partial() const { return marks_.is_partial(); }
    [[nodiscard]] bool any_present() const { return marks_.any_present(); }
    bool release(std::size_t& left) { return marks_.release(left); }

    template <seen Mine, seen Theirs>
    const flag_store* join_at(const value& element, const flag_store& theirs, const Mine& my_seen,
                              const Theirs& their_seen) { // gives what dot_map::join_at does
        present_ -= has(element) ? 1 : 0;
        const flag_store* now = marks_.join_at(element, theirs, my_seen, their_seen);
        present_ += now != nullptr && all_enabled(*now) ? 1 : 0;
        return now;
    }
    template <seen Mine, seen Theirs>
    void join(const remove_wins_elements& other, const Mine& my_seen, const Theirs& their_seen) {
        if (marks_.is_partial() || !other.marks_.is_partial()) {
            marks_.join(other.marks_, my_seen, their_seen);
            recount();
        } else {
            for (const auto& e : other.marks_) join_at(e.key, e.value, my_seen, their_seen);
        }
    }
    void put(const value& element, flag_store marks); // replaces, or erases if empty

    template <class Visit>
    void for_each_dot(Visit visit) const {
        marks_.for_each_dot(visit);
    }
    void encode_to(byte_writer& out) const { marks_.encode_to(out); }
    [[nodiscard]] static remove_wins_elements decode_from(byte_reader& in);
    [[nodiscard]] static remove_wins_elements partial(); // see dot_map
    [[nodiscard]] static remove_wins_elements of(remove_wins_store<value> marks);
    bool operator==(const remove_wins_elements& other) const { return marks_ == other.marks_; }

private:
    [[nodiscard]] bool has(const value& element) const {
        const flag_store* marks = marks_.find(element);
        return marks != nullptr && all_enabled(*marks);
    }
    void recount();

    remove_wins_store<value> marks_;
    std::size_t present_ = 0;
};

// One object of any type.
class object {
public:
    using data_type = std::variant<register_store<value>, counter_store, bounded_store, flag_store,
                                   add_wins_store<value>, remove_wins_elements, map_store>;
    // See ordered_map. No store points into itself: they hold pointers to nodes, blocks and vectors.
    static constexpr bool trivially_relocatable = true;

    object() = default;
    object(data_type data) : data_(std::move(data)) {}
    // Without any dot; partial (see dot_map) for a child that a delta names first.
    [[nodiscard]] static object of_type(type_kind kind, bool partial = false);

    template <class Store>
    [[nodiscard]] const Store& as() const {
        return std::get<Store>(data_);
    }
    template <class Store>
    [[nodiscard]] Store& as() {
        return std::get<Store>(data_);
    }
    [[nodiscard]] const data_type& data() const { return data_; }

    // Asks memory for what a write of it is going to look at.
    [[gnu::always_inline]] void fetch() const {
        const auto* siblings = std::get_if<register_store<value>>(&data_);
        if (siblings != nullptr && siblings->size() == 1)
            siblings->begin()->payload.content.fetch();
    }

    [[nodiscard]] bool live() const;  // has a live dot: a reader sees it
    [[nodiscard]] bool empty() const; // holds nothing at all, and need not be kept
    [[nodiscard]] bool blank() const; // the same, but a delta may still name what it removes
    [[nodiscard]] bool is_partial() const;

    // Both of one type.
    template <seen Mine, seen Theirs>
    void join(const object& other, const Mine& my_seen, const Theirs& their_seen) {
        std::visit(
            [&](auto& mine) {
                mine.join(std::get<std::decay_t<decltype(mine)>>(other.data_), my_seen, their_seen);
            },
            data_);
    }
    template <class Visit>
    void for_each_dot(Visit visit) const {
        std::visit([&](const auto& store) { store.for_each_dot(visit); }, data_);
    }

    bool release(std::size_t& left) { // see ordered_map
        return std::visit(
            [&](auto& store) {
                if constexpr (requires { store.release(left); }) return store.release(left);
                return true;
            },
            data_);
    }

    // The delta that removes everything seen here: stores to join, and the dots that it has seen.
    [[nodiscard]] causal<object> removal() const;

    void encode_to(byte_writer& out) const;
    [[nodiscard]] static object decode_from(byte_reader& in, type_kind kind, std::size_t depth);
    bool operator==(const object&) const = default; // what is blank counts as not there

private:
    data_type data_;
};

template <seen Mine, seen Theirs>
void map_store::join(const map_store& other, const Mine& my_seen, const Theirs& their_seen) {
    if (partial_ && !other.partial_) partial_ = false;
    if (!other.partial_) {
        // Every child that the other side does not name has been removed there, as far as it has
        // seen.
        children_.erase_if([&](auto& child) {
            if (other.children_.find(child.key) != nullptr) return false;
            bool was_live = child.value.live();
            child.value.join(object::of_type(child.key.type().kind), my_seen, their_seen);
            // A remove-wins set may also come to life, when the removal has seen its remove marks
            // only.
            live_ = live_ + (child.value.live() ? 1 : 0) - (was_live ? 1 : 0);
            return child.value.empty();
        });
    }
    for (const auto& theirs : other.children_) {
        child_ref child{theirs.key.name(), theirs.key.type()};
        kinds_ |= other.kinds_;
        object& mine = children_.find_or_insert(
            child, [&] { return object::of_type(child.type.kind, partial_); });
        bool was_live = mine.live();
        mine.join(theirs.value, my_seen, their_seen);
        settle(child, mine, was_live);
    }
}

template <class Visit>
void map_store::for_each_dot(Visit visit) const {
    for (const auto& child : children_) child.value.for_each_dot(visit);
}

} // namespace weft
