#include "resolve/rules.hpp"

#include "base/bytes.hpp"
#include "base/codec.hpp"
#include "base/limits.hpp"

#include <xxhash.h>

#include <algorithm>
#include <cmath>
#include <exception>
#include <tuple>

namespace weft {
namespace {

bool is_prefix(const rule& one) { return one.key.ends_with('*'); }

std::string_view stem(const rule& one) {
    return std::string_view(one.key).substr(0, one.key.size() - (is_prefix(one) ? 1 : 0));
}

bool exact(const rule& one) { return !one.key.empty() && !is_prefix(one); }

bool is_about(const rule& one, type_kind kind) {
    return one.type ? *one.type == kind : is_register(kind);
}

bool applies(const rule& one, std::span<const std::string_view> path, type_id type) {
    if (path.empty() || !is_about(one, type.kind)) return false;
    bool key_fits = one.key.empty() || (is_prefix(one) ? path.front().starts_with(stem(one))
                                                       : path.front() == one.key);
    return key_fits && (one.field.empty() || (path.size() > 1 && path.back() == one.field));
}

// What it applies to; the greater, the more specific.
auto reach(const rule& one) {
    return std::tuple(exact(one), stem(one).size(), !one.field.empty(), one.type.has_value());
}

// Differs for any two rules that do not apply to just the same.
auto scope(const rule& one) {
    return std::tuple(exact(one), stem(one), std::string_view(one.field), one.type);
}

// What most texts differ in already.
std::uint64_t head_of(std::string_view text) {
    return text.size() < 8 ? first_bytes(text) : first_bytes(text.substr(0, 8));
}

bool is_number(const value& v) {
    return v.kind() == value_kind::integer ||
           (v.kind() == value_kind::real && !std::isnan(*v.as_double()));
}

std::string violated(const bound_check& by, const value& read) {
    try {
        return by.violated(read);
    } catch (const std::exception& thrown) {
        return "the check threw: " + std::string(thrown.what());
    } catch (...) {
        return "the check threw what is no std::exception";
    }
}

std::optional<error> wrong(const rule& one) {
    auto bad = [&](std::string why) {
        return error{errc::invalid_argument, "rule '" + to_string(one) + "': " + std::move(why)};
    };
    if (stem(one).find('*') != std::string_view::npos)
        return bad("a star stands at the end of a key only");
    if (one.key.size() > limits::key_bytes_max || one.field.size() > limits::field_bytes_max)
        return bad("longer than a key can be");
    if (!is_utf8(one.key) || !is_utf8(one.field)) return bad("it is no UTF-8");
    if (one.field.ends_with('*'))
        return bad("a star stands at the end of a key only; name each field in a rule of its own");
    for (const auto& bound : {one.min, one.max}) {
        if (bound && !is_number(*bound)) return bad("a bound is a number");
    }
    if (one.min && one.max && number_less(*one.max, *one.min)) return bad("min is above max");
    if (one.check && (one.check->name.empty() || !one.check->violated))
        return bad("a check has a name and a function");
    // Names go into the audit trail.
    if ((one.how && !is_utf8(one.how->name())) || (one.check && !is_utf8(one.check->name)))
        return bad("a strategy's or a check's name is no UTF-8");
    bool counts = one.type == type_kind::counter || one.type == type_kind::grow_counter;
    bool resolves = one.how && one.how->name() != "manual";
    if (counts && (resolves || one.keeps_removes || !one.bounded()))
        return bad(to_string(type_id{*one.type}) + " settles by itself; it may have bounds only");
    if (one.type && !counts && !is_register(*one.type)) {
        return bad(to_string(type_id{*one.type}) +
                   " settles by itself; rules are for register and mv_register");
    }
    return std::nullopt;
}

std::uint64_t version_of(std::span<const rule> all) {
    byte_writer out;
    for (const rule& one : all) {
        out.u8(exact(one) ? 1 : 0);
        out.text(stem(one));
        out.text(one.field);
        out.u8(one.type ? static_cast<std::uint8_t>(*one.type) : 0);
        out.text(one.how ? one.how->name() : std::string());
        out.u8(one.keeps_removes ? 1 : 0);
        for (const auto& bound : {one.min, one.max}) encode(out, bound.value_or(value()));
        out.text(one.check ? one.check->name : std::string());
    }
    return std::max<std::uint64_t>(XXH3_64bits(out.view().data(), out.size()), 1);
}

} // namespace

result<rules> rules::make(std::vector<rule> all) {
    if (all.size() > limits::rules_max) {
        return fail(errc::over_limit, std::to_string(all.size()) + " rules, limit " +
                                          std::to_string(limits::rules_max));
    }
    for (const rule& one : all) {
        if (auto why = wrong(one)) return fail(std::move(*why));
    }
    for (rule& one : all) {
        bool only_bounds = one.bounded() && !one.keeps_removes;
        if (!one.how && !only_bounds) one.how.emplace();
    }
    std::sort(all.begin(), all.end(), [](const rule& a, const rule& b) {
        return std::tuple(reach(b), scope(b)) < std::tuple(reach(a), scope(a));
    });
    auto twice = std::adjacent_find(
        all.begin(), all.end(), [](const rule& a, const rule& b) { return scope(a) == scope(b); });
    if (twice != all.end()) {
        return fail(errc::invalid_argument, "rules '" + to_string(*twice) + "' and '" +
                                                to_string(*std::next(twice)) +
                                                "' apply to the same: keep one");
    }
    rules out;
    out.all_ = std::move(all);
    std::vector<std::pair<std::string, bool>> whole;
    std::vector<std::pair<std::string, bool>> of_fields;
    for (const rule& one : out.all_) {
        out.any_keeps_removes_ = out.any_keeps_removes_ || one.keeps_removes;
        if (!one.bounded()) continue;
        for (type_kind kind : {type_kind::lww_register, type_kind::mv_register, type_kind::counter,
                               type_kind::grow_counter}) {
            if (is_about(one, kind)) out.bounded_kinds_ |= 1U << static_cast<unsigned>(kind);
        }
        (one.field.empty() ? whole : of_fields).emplace_back(stem(one), exact(one));
        if (!one.field.empty()) out.bounded_fields_.push_back(one.field);
    }
    out.bounded_keys_ = keys(std::move(whole));
    out.bounded_field_keys_ = keys(std::move(of_fields));
    std::sort(out.bounded_fields_.begin(), out.bounded_fields_.end());
    if (!out.all_.empty()) out.version_ = version_of(out.all_);
    return out;
}

rules rules::with_functions(const std::function<strategy(const strategy&)>& around_strategy,
                            const std::function<bound_check(const rule&)>& around_check) const {
    rules out = *this;
    for (rule& one : out.all_) {
        if (one.check) one.check = around_check(one);
        if (!one.how) continue;
        std::vector<strategy> chain;
        for (const strategy& each : one.how->chain()) chain.push_back(around_strategy(each));
        one.how = resolver(std::move(chain));
    }
    return out;
}

rules::keys::keys(std::vector<std::pair<std::string, bool>> stems) {
    std::sort(stems.begin(), stems.end()); // a beginning before the key that is just that
    for (auto& each : stems) {
        bool among =
            !stems_.empty() && !stems_.back().second && each.first.starts_with(stems_.back().first);
        if (among) continue;
        if (each.first.empty()) {
            every_ = true;
        } else {
            first_.set(static_cast<unsigned char>(each.first[0]));
        }
        stems_.push_back(std::move(each));
    }
}

// No stem that is a beginning has another between it and the keys that begin so: it would be among its own.
bool rules::keys::find(std::string_view key) const {
    auto after = std::upper_bound(stems_.begin(), stems_.end(), key,
                                  [head = head_of(key)](std::string_view k, const auto& one) {
                                      std::uint64_t other = head_of(one.first);
                                      return head != other ? head < other : k < one.first;
                                  });
    if (after == stems_.begin()) return false;
    const auto& [stem, whole] = *std::prev(after);
    return whole ? key == stem : key.starts_with(stem);
}

bool rules::bounds_field(std::span<const std::string_view> path) const {
    return path.size() > 1 &&
           std::binary_search(bounded_fields_.begin(), bounded_fields_.end(), path.back(),
                              std::less<>()) &&
           bounded_field_keys_.holds(path.front());
}

const rule* rules::find(std::span<const std::string_view> path, type_id type) const {
    auto first = std::find_if(all_.begin(), all_.end(),
                              [&](const rule& one) { return applies(one, path, type); });
    return first == all_.end() ? nullptr : &*first;
}

const rule* rules::find_how(std::span<const std::string_view> path, type_id type) const {
    auto first = std::find_if(all_.begin(), all_.end(),
                              [&](const rule& one) { return one.how && applies(one, path, type); });
    return first == all_.end() ? nullptr : &*first;
}

std::string to_string(const rule& one) {
    std::string out = one.key.empty() ? "*" : one.key;
    if (!one.field.empty()) out += " field " + one.field;
    if (one.type) out += " type " + to_string(type_id{*one.type});
    std::string_view before = ": ";
    auto say = [&](const std::string& what) {
        out.append(before).append(what);
        before = ", ";
    };
    if (one.how || !one.bounded()) say(one.how.value_or(resolver()).name());
    if (one.keeps_removes) say("keeps removes");
    if (one.min && one.max) {
        say("from " + to_string(*one.min) + " to " + to_string(*one.max));
    } else if (one.min || one.max) {
        say(one.min ? "at least " + to_string(*one.min) : "at most " + to_string(*one.max));
    }
    if (one.check) say("as " + one.check->name + " allows");
    return out;
}

std::string rule::outside(const value& read) const {
    if ((min || max) && !is_number(read))
        return to_string(read) + " is no number, and the rule states a bound";
    if (min && number_less(read, *min)) return to_string(read) + " is below " + to_string(*min);
    if (max && number_less(*max, read)) return to_string(read) + " is above " + to_string(*max);
    if (!check) return {};
    std::string why = violated(*check, read);
    if (why.empty()) return why;
    return presentable(check->name + ": " + why, limits::strategy_says_bytes_max);
}

} // namespace weft
