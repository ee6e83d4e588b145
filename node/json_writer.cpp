#include "node/json_writer.hpp"

#include "node/json.hpp"

#include <algorithm>

namespace weft {
namespace json = boost::json;
namespace {

std::string shown(const std::vector<std::string_view>& path) {
    std::string out = "'" + std::string(path.front()) + "'";
    for (std::size_t at = 1; at < path.size(); ++at)
        out += " field '" + std::string(path[at]) + "'";
    return out;
}

auto bad(std::string detail) { return fail(errc::invalid_argument, std::move(detail)); }

result<std::string_view> text_at(const json::object& operation, std::string_view name) {
    const json::value* found = operation.if_contains(name);
    if (found == nullptr || !found->is_string()) {
        return bad("an operation needs \"" + std::string(name) + "\", a string");
    }
    return std::string_view(found->get_string());
}

result<std::int64_t> integer_at(const json::object& operation, std::string_view name,
                                std::int64_t absent) {
    const json::value* found = operation.if_contains(name);
    if (found == nullptr) return absent;
    if (!found->is_int64()) return bad("\"" + std::string(name) + "\" must be an integer");
    return found->get_int64();
}

// The key, then the fields: "field" is one name or an array of them.
result<std::vector<std::string_view>> path_of(const json::object& operation) {
    auto key = text_at(operation, "key");
    if (!key) return fail(key.error());
    std::vector<std::string_view> out{*key};
    const json::value* fields = operation.if_contains("field");
    if (fields == nullptr) return out;
    if (fields->is_string()) out.emplace_back(fields->get_string());
    if (const json::array* several = fields->if_array()) {
        for (const json::value& field : *several) {
            if (field.is_string()) out.emplace_back(field.get_string());
        }
        if (out.size() != several->size() + 1 || several->empty()) out.resize(1);
    }
    if (out.size() == 1) return bad("\"field\" must be a name, or an array of names");
    return out;
}

result<std::optional<type_id>> type_of(const json::object& operation) {
    if (!operation.contains("type")) return std::optional<type_id>();
    auto name = text_at(operation, "type");
    if (!name) return fail(name.error());
    auto type = parse_type(*name);
    if (!type) return bad("no type '" + std::string(*name) + "'; see docs/types.md");
    return type;
}

element_kind common_kind(const std::vector<value>& members) {
    auto kind = members.empty() ? value_kind::null : members.front().kind();
    bool alike =
        std::all_of(members.begin(), members.end(), [&](auto& m) { return m.kind() == kind; });
    return alike && kind != value_kind::null ? static_cast<element_kind>(kind) : element_kind::any;
}

constexpr std::initializer_list<type_kind> sets = {type_kind::add_wins_set,
                                                   type_kind::remove_wins_set, type_kind::grow_set};

} // namespace

result<type_id> json_writer::choose(const path_type& path, std::initializer_list<type_kind> taking,
                                    type_id otherwise) const {
    std::vector<type_id> there = state_.types_at(path);
    for (type_id type : there) {
        if (std::find(taking.begin(), taking.end(), type.kind) != taking.end()) return type;
    }
    if (there.empty()) return otherwise;
    return fail(errc::wrong_type,
                shown(path) + " holds a " + to_string(there.front()) +
                    ", which does not take this; name a type to make a second object "
                    "of that name beside it");
}

result<void> json_writer::write(const path_type& path, type_id type, action what, value argument,
                                std::int64_t amount) {
    operation op;
    op.path = path;
    op.type = type;
    op.what = what;
    op.argument = std::move(argument);
    op.amount = amount;
    return change_.apply(std::move(op));
}

result<void> json_writer::set(const path_type& path, value content, std::optional<type_id> asked) {
    result<type_id> type = type_id{};
    if (asked) {
        type = *asked;
    } else {
        type = choose(path,
                      {type_kind::lww_register, type_kind::mv_register, type_kind::enable_wins_flag,
                       type_kind::disable_wins_flag},
                      {type_kind::lww_register});
    }
    if (!type) return fail(type.error());
    if (type->kind != type_kind::enable_wins_flag && type->kind != type_kind::disable_wins_flag) {
        return write(path, *type, action::write, std::move(content));
    }
    auto enabled = content.as_bool();
    if (!enabled)
        return fail(errc::wrong_type, shown(path) + " is a flag; set it to true or false");
    return write(path, *type, *enabled ? action::enable : action::disable);
}

result<void> json_writer::members(const path_type& path, const json::array& named, action what,
                                  std::optional<type_id> asked) {
    std::vector<value> elements;
    for (const json::value& member : named) {
        auto element = value_of(member);
        if (!element)
            return fail(error{element.error().code, shown(path) + ": " + element.error().detail});
        elements.push_back(std::move(*element));
    }
    type_id inferred{type_kind::add_wins_set, common_kind(elements)};
    result<type_id> type = asked.value_or(inferred);
    if (!asked) {
        // One set decides what its elements are; of several, the members' kind does.
        std::vector<type_id> there = state_.types_at(path);
        auto sets_there =
            std::count_if(there.begin(), there.end(), [](type_id t) { return is_set(t.kind); });
        if (sets_there < 2) type = choose(path, sets, inferred);
    }
    if (!type) return fail(type.error());
    if (!is_set(type->kind)) {
        return fail(errc::wrong_type, shown(path) + ": " + to_string(*type) + " is not a set");
    }
    if (what == action::remove_element && state_.find_record(path, *type) == nullptr) {
        return fail(errc::not_found, "no " + to_string(*type) + " " + shown(path));
    }
    for (const value& element : elements) {
        if (!admits(type->element, element)) {
            return fail(errc::wrong_type, shown(path) + " is a " + to_string(*type) + ", and " +
                                              to_string(element) + " is of another kind (" +
                                              std::string(to_string(element.kind())) + ")");
        }
        if (auto done = write(path, *type, what, element); !done) return done;
    }
    return {};
}

result<json::value> json_writer::increment(const path_type& path, const json::object& operation,
                                           std::optional<type_id> asked) {
    auto by = integer_at(operation, "by", 1);
    if (!by) return fail(by.error());
    bool bounded = operation.contains("at_least") || operation.contains("at_most");
    result<type_id> type = asked.value_or(type_id{type_kind::bounded_counter});
    if (!asked && !bounded) {
        type =
            choose(path, {type_kind::counter, type_kind::grow_counter, type_kind::bounded_counter},
                   {type_kind::counter});
    }
    if (!type) return fail(type.error());
    if (bounded && type->kind != type_kind::bounded_counter) {
        return fail(errc::wrong_type, shown(path) + ": only a bounded_counter has a bound");
    }
    result<void> done;
    if (type->kind != type_kind::bounded_counter) {
        done = write(path, *type, action::increment, {}, *by);
    } else if (path.size() > 1) {
        done = bad(shown(path) + ": a bounded counter cannot be in a map");
    } else {
        done = increment_bounded(path.front(), operation, *by);
    }
    if (!done) return fail(done.error());
    const object* now = state_.find(path, *type);
    if (now == nullptr) return json::value(0);
    return json::value(bounded || type->kind == type_kind::bounded_counter
                           ? now->as<bounded_store>().chosen()->read()
                           : now->as<counter_store>().read());
}

// With a bound it is made if it is not there: at 0, or at the bound if 0 is beyond it.
result<void> json_writer::increment_bounded(std::string_view key, const json::object& operation,
                                            std::int64_t by) {
    bounded_counter_handle counter = change_.bounded_counter(key);
    auto there = counter.exists();
    if (!there) return fail(there.error());
    if (!*there && (operation.contains("at_least") || operation.contains("at_most"))) {
        bool at_most = operation.contains("at_most");
        auto bound = integer_at(operation, at_most ? "at_most" : "at_least", 0);
        if (!bound) return fail(bound.error());
        auto made = at_most ? counter.create_at_most(*bound, std::min<std::int64_t>(*bound, 0))
                            : counter.create_at_least(*bound, std::max<std::int64_t>(*bound, 0));
        if (!made) return made;
    }
    return counter.increment(by);
}

result<void> json_writer::remove(const path_type& path, std::optional<type_id> asked) {
    std::vector<type_id> there = state_.types_at(path);
    if (asked) std::erase_if(there, [&](type_id t) { return t != *asked; });
    if (there.empty()) {
        return fail(errc::not_found,
                    "no " + (asked ? to_string(*asked) : "object") + " " + shown(path));
    }
    for (type_id type : there) {
        if (auto done = write(path, type, action::remove); !done) return done;
    }
    return {};
}

result<void> json_writer::transfer(const path_type& path, const json::object& operation) {
    auto amount = integer_at(operation, "amount", 0);
    if (!amount) return fail(amount.error());
    const json::value* to = operation.if_contains("to");
    auto id = to == nullptr || !to->is_string() ? std::nullopt : parse_replica_id(to->get_string());
    if (!id || path.size() > 1) {
        return bad("\"transfer\" needs the key of a bounded counter, \"amount\", and \"to\", the "
                   "replica id of a member: 16 hexadecimal digits, as status shows them");
    }
    return change_.bounded_counter(path.front()).transfer(*id, *amount);
}

result<json::value> json_writer::apply(const json::value& given) {
    const json::object* operation = given.if_object();
    if (operation == nullptr) return bad("an operation must be an object");
    auto what = text_at(*operation, "op");
    if (!what) return fail(what.error());
    auto path = path_of(*operation);
    if (!path) return fail(path.error());
    auto asked = type_of(*operation);
    if (!asked) return fail(asked.error());
    for (std::size_t depth = 1; depth < path->size(); ++depth) {
        path_type above(path->begin(), path->begin() + static_cast<std::ptrdiff_t>(depth));
        auto map = choose(above, {type_kind::map}, {type_kind::map});
        if (!map) return fail(map.error());
    }

    result<void> done;
    if (*what == "incr") {
        return increment(*path, *operation, *asked);
    }
    if (*what == "set" || *what == "put") {
        const json::value* given_value = operation->if_contains("value");
        if (given_value == nullptr) return bad("\"" + std::string(*what) + "\" needs \"value\"");
        if (*what == "put" && path->size() == 1) return bad("\"put\" needs \"field\"");
        auto content = value_of(*given_value);
        if (!content)
            return fail(error{content.error().code, shown(*path) + ": " + content.error().detail});
        done = set(*path, std::move(*content), *asked);
    } else if (*what == "add" || *what == "remove") {
        const json::value* named = operation->if_contains("members");
        if (named == nullptr || !named->is_array()) {
            return bad("\"" + std::string(*what) + "\" needs \"members\", an array");
        }
        done = members(*path, named->get_array(),
                       *what == "add" ? action::add : action::remove_element, *asked);
    } else if (*what == "delete") {
        done = remove(*path, *asked);
    } else if (*what == "transfer") {
        done = transfer(*path, *operation);
    } else {
        return bad("no operation '" + std::string(*what) +
                   "'; there are set, incr, transfer, add, remove, put, delete");
    }
    if (!done) return fail(done.error());
    return json::value();
}

result<void> json_writer::put_fields(std::string_view key, const json::object& fields) {
    path_type path{key};
    return fields_below(path, fields);
}

result<void> json_writer::fields_below(path_type& path, const json::object& fields) {
    if (auto map = choose(path, {type_kind::map}, {type_kind::map}); !map) return fail(map.error());
    for (const auto& field : fields) {
        path.push_back(field.key());
        result<void> done;
        if (const json::object* nested = field.value().if_object()) {
            done = fields_below(path, *nested);
        } else if (const json::array* array = field.value().if_array()) {
            bool scalars = std::none_of(array->begin(), array->end(), [](const auto& v) {
                return v.is_array() || v.is_object();
            });
            done =
                scalars
                    ? members(path, *array, action::add, std::nullopt)
                    : bad(shown(path) + ": an array that holds arrays or objects has no type here");
        } else if (auto content = scalar_of(field.value())) {
            done = set(path, std::move(*content), std::nullopt);
        } else {
            done = bad(shown(path) + ": " + content.error().detail);
        }
        if (!done) return done;
        path.pop_back();
    }
    return {};
}

} // namespace weft
