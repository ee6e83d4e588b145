#include "crdt/object.hpp"

#include "base/limits.hpp"

#include <algorithm>
#include <array>
#include <bit>

namespace weft {
namespace {

struct kind_name {
    type_kind kind;
    std::string_view name;
};
constexpr std::array kind_names = {
    kind_name{type_kind::lww_register, "register"},
    kind_name{type_kind::mv_register, "mv_register"},
    kind_name{type_kind::counter, "counter"},
    kind_name{type_kind::bounded_counter, "bounded_counter"},
    kind_name{type_kind::enable_wins_flag, "flag"},
    kind_name{type_kind::disable_wins_flag, "disable_wins_flag"},
    kind_name{type_kind::add_wins_set, "set"},
    kind_name{type_kind::remove_wins_set, "remove_wins_set"},
    kind_name{type_kind::grow_set, "grow_set"},
    kind_name{type_kind::grow_counter, "grow_counter"},
    kind_name{type_kind::map, "map"},
};

std::string_view name_of(element_kind kind) {
    return kind == element_kind::any ? "any" : to_string(static_cast<value_kind>(kind));
}

template <class Store>
object::data_type empty_store(bool partial = false) {
    if constexpr (requires { Store::partial(); }) {
        if (partial) return Store::partial();
    }
    return object::data_type(std::in_place_type<Store>);
}

constexpr std::uint16_t bit_of(type_kind kind) {
    return static_cast<std::uint16_t>(1U << static_cast<unsigned>(kind));
}

} // namespace

child_key::child_key(child_ref of) {
    std::string both(of.name);
    both += static_cast<char>(of.type.kind);
    both += static_cast<char>(of.type.element);
    name_and_type_ = value(both);
}

bool is_set(type_kind kind) {
    return kind == type_kind::add_wins_set || kind == type_kind::remove_wins_set ||
           kind == type_kind::grow_set;
}

std::string to_string(type_id type) {
    std::string out = "unknown";
    for (const auto& [kind, name] : kind_names) {
        if (kind == type.kind) out = name;
    }
    if (type.element != element_kind::any) out += "<" + std::string(name_of(type.element)) + ">";
    return out;
}

std::optional<type_id> parse_type(std::string_view name) {
    std::string_view kind = name.substr(0, name.find('<'));
    for (const auto& [known, known_name] : kind_names) {
        if (known_name != kind) continue;
        type_id out{known, element_kind::any};
        if (kind.size() == name.size()) return out;
        if (!is_set(known) || !name.ends_with('>')) return std::nullopt;
        std::string_view element = name.substr(kind.size() + 1);
        element.remove_suffix(1);
        for (auto e = static_cast<std::uint8_t>(element_kind::boolean);
             e <= static_cast<std::uint8_t>(element_kind::any); ++e) {
            out.element = static_cast<element_kind>(e);
            if (name_of(out.element) == element) return out;
        }
        return std::nullopt;
    }
    return std::nullopt;
}

void encode(byte_writer& out, type_id type) {
    out.u8(static_cast<std::uint8_t>(static_cast<unsigned>(type.kind) << 3U |
                                     static_cast<unsigned>(type.element)));
}

type_id decode_type(byte_reader& in) {
    unsigned packed = in.u8();
    type_id type{static_cast<type_kind>(packed >> 3U), static_cast<element_kind>(packed & 7U)};
    bool known = type.kind >= type_kind::lww_register && type.kind <= type_kind::map;
    if (!known || type.element < element_kind::boolean) in.reject("unknown type");
    if (known && !is_set(type.kind) && type.element != element_kind::any) {
        in.reject("element kind of a type without elements");
    }
    return in.good() ? type : type_id{};
}

bool admits(element_kind kind, const value& element) {
    if (kind == element_kind::any) return true;
    return static_cast<value_kind>(kind) == element.kind();
}

map_store::map_store() = default;
map_store::map_store(const map_store&) = default;
map_store::map_store(map_store&& other) noexcept
    : children_(std::move(other.children_)), live_(std::exchange(other.live_, 0)),
      kinds_(std::exchange(other.kinds_, std::uint16_t{0})),
      partial_(std::exchange(other.partial_, false)) {}
map_store& map_store::operator=(const map_store&) = default;
map_store& map_store::operator=(map_store&& other) noexcept {
    children_ = std::move(other.children_);
    live_ = std::exchange(other.live_, 0);
    kinds_ = std::exchange(other.kinds_, std::uint16_t{0});
    partial_ = std::exchange(other.partial_, false);
    return *this;
}
map_store::~map_store() = default;

map_store map_store::partial() {
    map_store out;
    out.partial_ = true;
    return out;
}

bool map_store::empty() const { return children_.empty(); }
bool map_store::release(std::size_t& left) {
    return children_.release(left,
                             [](object& child, std::size_t& rest) { return child.release(rest); });
}

const object* map_store::find(child_ref child) const {
    return std::as_const(children_).find(child);
}
object* map_store::find(child_ref child) { return children_.find(child); }
object& map_store::find_or_insert(child_ref child, bool* alone,
                                  const children_type::glimpse* found) {
    kinds_ |= bit_of(child.type.kind);
    auto make = [&] { return object::of_type(child.type.kind); };
    bool asked =
        alone != nullptr && kinds_ != bit_of(child.type.kind); // else `lives_beside` is at once
    auto other = [&](const child_key* beside) { return !beside || beside->name() != child.name; };
    auto between = [&](const child_key* before, const child_key* after) {
        if (asked) *alone = other(before) && other(after);
    };
    return children_.find_or_insert(child, make, between, found);
}
void map_store::erase(child_ref child) {
    if (const object* there = find(child)) {
        live_ -= there->live() ? 1 : 0;
        children_.erase(child);
    }
}

bool map_store::settle(child_ref child, const object& there, bool was_live) {
    bool lives = there.live();
    live_ = live_ + (lives ? 1 : 0) - (was_live ? 1 : 0);
    if (there.empty() && !partial_) children_.erase(child);
    return lives != was_live;
}

bool map_store::lives_beside(child_ref child) const {
    auto lives = [](const object* there) { return there != nullptr && there->live(); };
    unsigned others = kinds_ & ~unsigned{bit_of(child.type.kind)};
    constexpr unsigned sets = bit_of(type_kind::add_wins_set) | bit_of(type_kind::remove_wins_set) |
                              bit_of(type_kind::grow_set);
    if ((kinds_ & sets) == 0) {
        for (; others != 0; others &= others - 1) {
            auto kind = static_cast<type_kind>(std::countr_zero(others));
            if (lives(find({child.name, {kind}}))) return true;
        }
        return false;
    }
    // Sets of one kind differ by what they hold, too.
    for (auto at = children_.lower_bound(child_ref{child.name, {type_kind{}, element_kind{}}});
         at != children_.end() && at->key.name() == child.name; ++at) {
        if (at->value.live() && at->key.type() != child.type) return true;
    }
    return false;
}

void map_store::encode_to(byte_writer& out) const {
    out.u8(partial_ ? 1 : 0);
    out.varint(children_.size());
    for (const auto& child : children_) {
        out.text(child.key.name());
        encode(out, child.key.type());
        child.value.encode_to(out);
    }
}

map_store map_store::decode_from(byte_reader& in, std::size_t depth) {
    map_store out;
    if (depth > limits::map_depth_max) in.reject("maps nested too deep");
    std::uint8_t form = in.u8();
    if (form > 1) in.reject("unknown form of a map");
    out.partial_ = form == 1;
    std::optional<child_ref> last; // its name lies in what `in` reads
    for (std::size_t left = in.count(3); left > 0 && in.good(); --left) {
        std::string_view name = in.text(limits::key_bytes_max);
        child_ref child{name, decode_type(in)};
        if (last && !child_less()(*last, child)) in.reject("children out of order");
        if (!in.good()) break;
        object decoded = object::decode_from(in, child.type.kind, depth + 1);
        if (decoded.empty() && !out.partial_) in.reject("absent child in a whole map");
        if (decoded.is_partial() && !out.partial_) in.reject("part of a child in a whole map");
        if (!in.good()) break;
        out.live_ += decoded.live() ? 1 : 0;
        out.find_or_insert(child) = std::move(decoded);
        last = child;
    }
    return out;
}

bool map_store::operator==(const map_store& other) const {
    auto present = [](auto at, auto end) {
        while (at != end && at->value.blank()) ++at;
        return at;
    };
    auto my_end = std::as_const(children_).end();
    auto their_end = std::as_const(other.children_).end();
    auto mine = present(std::as_const(children_).begin(), my_end);
    auto theirs = present(std::as_const(other.children_).begin(), their_end);
    while (mine != my_end && theirs != their_end) {
        if (mine->key != theirs->key || !(mine->value == theirs->value)) return false;
        mine = present(++mine, my_end);
        theirs = present(++theirs, their_end);
    }
    return mine == my_end && theirs == their_end;
}

void remove_wins_elements::put(const value& element, flag_store marks) {
    present_ -= has(element) ? 1 : 0;
    if (marks.empty()) {
        // Joining with a side that has seen everything drops what is there.
        struct all_seen {
            static bool covers(dot) { return true; }
        };
        marks_.join_at(element, {}, nothing_seen{}, all_seen{});
    } else {
        marks_.put(element, std::move(marks));
    }
    present_ += has(element) ? 1 : 0;
}

remove_wins_elements remove_wins_elements::partial() {
    return of(remove_wins_store<value>::partial());
}

remove_wins_elements remove_wins_elements::of(remove_wins_store<value> marks) {
    remove_wins_elements out;
    out.marks_ = std::move(marks);
    out.recount();
    return out;
}

remove_wins_elements remove_wins_elements::decode_from(byte_reader& in) {
    return of(remove_wins_store<value>::decode_from(in));
}

void remove_wins_elements::recount() {
    present_ = 0;
    for (const auto& e : marks_) present_ += all_enabled(e.value) ? 1U : 0U;
}

object object::of_type(type_kind kind, bool partial) {
    switch (kind) {
        case type_kind::lww_register:
        case type_kind::mv_register: return empty_store<register_store<value>>();
        case type_kind::counter:
        case type_kind::grow_counter: return empty_store<counter_store>();
        case type_kind::bounded_counter: return empty_store<bounded_store>();
        case type_kind::enable_wins_flag:
        case type_kind::disable_wins_flag: return empty_store<flag_store>();
        case type_kind::add_wins_set:
        case type_kind::grow_set: return empty_store<add_wins_store<value>>(partial);
        case type_kind::remove_wins_set: return empty_store<remove_wins_elements>(partial);
        case type_kind::map: return empty_store<map_store>(partial);
    }
    return {};
}

bool object::live() const {
    return std::visit(
        [](const auto& store) {
            if constexpr (std::same_as<std::decay_t<decltype(store)>, register_store<value>>) {
                return any_present(store);
            } else if constexpr (requires { store.live(); }) {
                return store.live();
            } else if constexpr (requires { store.any_present(); }) {
                return store.any_present();
            } else {
                return !store.empty();
            }
        },
        data_);
}

bool object::empty() const {
    return std::visit([](const auto& store) { return store.empty(); }, data_);
}

bool object::blank() const {
    return std::visit(
        [](const auto& store) {
            if constexpr (requires { store.children(); }) {
                return std::all_of(store.children().begin(), store.children().end(),
                                   [](const auto& child) { return child.value.blank(); });
            } else if constexpr (requires { store.any_present(); }) {
                return !store.any_present();
            } else {
                return store.empty();
            }
        },
        data_);
}

bool object::is_partial() const {
    return std::visit(
        [](const auto& store) {
            if constexpr (requires { store.is_partial(); }) {
                return store.is_partial();
            } else {
                return false;
            }
        },
        data_);
}

causal<object> object::removal() const {
    causal<object> out;
    if (const auto* rows = std::get_if<counter_store>(&data_)) {
        out.store = object(rows->reset());
    } else if (const auto* map = std::get_if<map_store>(&data_)) {
        // Whole, so that children not named are removed; counters need their rows named.
        map_store removed;
        for (const auto& child : map->children()) {
            causal<object> part = child.value.removal();
            if (part.store.empty()) continue;
            removed.find_or_insert({child.key.name(), child.key.type()}) = std::move(part.store);
        }
        out.store = object(std::move(removed));
    } else {
        out.store = object(std::visit(
            [](const auto& store) {
                return data_type(std::in_place_type<std::decay_t<decltype(store)>>);
            },
            data_));
    }
    if (!std::holds_alternative<counter_store>(data_)) out.context = context_of(dots_of(*this));
    return out;
}

void object::encode_to(byte_writer& out) const {
    std::visit([&](const auto& store) { store.encode_to(out); }, data_);
}

object object::decode_from(byte_reader& in, type_kind kind, std::size_t depth) {
    return std::visit(
        [&](const auto& store) -> object {
            using store_type = std::decay_t<decltype(store)>;
            if constexpr (std::same_as<store_type, map_store>) {
                return data_type(map_store::decode_from(in, depth));
            } else {
                return data_type(store_type::decode_from(in));
            }
        },
        of_type(kind).data_);
}

} // namespace weft
