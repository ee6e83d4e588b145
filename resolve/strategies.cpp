#include "resolve/strategies.hpp"

#include "base/limits.hpp"

#include <algorithm>
#include <array>
#include <cmath>
#include <compare>
#include <tuple>

namespace weft {
namespace {

bool is_later(const sibling& a, const sibling& b) {
    return std::tie(a.stamp, a.at) > std::tie(b.stamp, b.at);
}

reading take(const sibling& one) {
    reading out;
    out.taken = one.at;
    if (one.content) out.values.push_back(*one.content);
    return out;
}

reading of_value(value content) {
    reading out;
    out.values.push_back(std::move(content));
    return out;
}

std::optional<std::size_t> rank(const std::vector<std::string>& order, const sibling& s) {
    for (const std::string& by : {s.member, s.region}) {
        auto at = std::find(order.begin(), order.end(), by);
        if (!by.empty() && at != order.end()) return static_cast<std::size_t>(at - order.begin());
    }
    return std::nullopt;
}

// The values that were written, in their own order.
std::vector<value> values_of(const conflict& what) {
    std::vector<value> out;
    for (const sibling& s : what.siblings) {
        if (s.content) out.push_back(*s.content);
    }
    std::sort(out.begin(), out.end());
    return out;
}

bool is_number(const value& v) {
    return v.kind() == value_kind::integer || v.kind() == value_kind::real;
}

double as_real(const value& v) {
    auto whole = v.as_int();
    return whole ? static_cast<double>(*whole) : *v.as_double();
}

std::strong_ordering compare(std::int64_t whole, double real) {
    constexpr double beyond = 0x1p63; // the first double above all integers; minus it is the least
    if (std::isnan(real) || real >= beyond) return std::strong_ordering::less;
    if (real < -beyond) return std::strong_ordering::greater;
    auto cut = static_cast<std::int64_t>(real); // towards 0
    if (whole != cut) return whole <=> cut;
    double rest = real - static_cast<double>(cut);
    return rest > 0   ? std::strong_ordering::less
           : rest < 0 ? std::strong_ordering::greater
                      : std::strong_ordering::equal;
}

tl::unexpected<error> mixed(const std::vector<value>& values) {
    std::string kinds;
    for (std::size_t i = 0; i < values.size(); ++i) {
        if (i > 0 && values[i].kind() == values[i - 1].kind()) continue;
        kinds += (kinds.empty() ? "" : " and ") + std::string(to_string(values[i].kind()));
    }
    return fail(errc::wrong_type, "it cannot fold " + kinds);
}

strategy extreme(std::string name, bool largest) {
    auto fold = [largest](const conflict& what) -> result<std::optional<reading>> {
        auto values = values_of(what);
        if (values.empty()) return reading{};
        bool one_kind = values.front().kind() == values.back().kind();
        bool numbers = std::all_of(values.begin(), values.end(), is_number);
        if (!one_kind && !numbers) return mixed(values);
        // Where an integer and a double are equal as numbers, the order of values decides.
        auto less = [&](const value& a, const value& b) {
            if (one_kind || !(number_less(a, b) || number_less(b, a))) return a < b;
            return number_less(a, b);
        };
        auto ends = std::minmax_element(values.begin(), values.end(), less);
        return of_value(largest ? *ends.second : *ends.first);
    };
    return {std::move(name), fold};
}

result<std::optional<reading>> sum(const conflict& what) {
    auto values = values_of(what);
    if (values.empty()) return reading{};
    if (!std::all_of(values.begin(), values.end(), is_number)) return mixed(values);
    bool whole = values.back().kind() == value_kind::integer; // integers come before doubles
    if (!whole) {
        double total = 0;
        for (const value& v : values) total += as_real(v);
        return of_value(value(total));
    }
    std::int64_t total = 0;
    // From the outside in, so that what fits in the end fits all along.
    auto low = values.begin();
    auto high = values.end();
    while (low != high) {
        const value& next = total >= 0 ? *low++ : *--high;
        if (__builtin_add_overflow(total, *next.as_int(), &total))
            return fail(errc::over_limit, "the sum leaves 64 bits");
    }
    return of_value(value(total));
}

result<std::optional<reading>> average(const conflict& what) {
    auto values = values_of(what);
    if (values.empty()) return reading{};
    if (!std::all_of(values.begin(), values.end(), is_number)) return mixed(values);
    auto count = static_cast<double>(values.size());
    double total = 0;
    for (const value& v : values) total += as_real(v);
    if (std::isfinite(total)) return of_value(value(total / count));
    total = 0; // the sum is too large, or one of them is
    for (const value& v : values) total += as_real(v) / count;
    return of_value(value(total));
}

result<std::optional<reading>> union_of(const conflict& what) {
    reading out;
    out.values = values_of(what);
    out.values.erase(std::unique(out.values.begin(), out.values.end()), out.values.end());
    return out;
}

// ---- rules as text

std::string_view trimmed(std::string_view text) {
    auto blank = [](char c) { return c == ' ' || c == '\t'; };
    while (!text.empty() && blank(text.front())) text.remove_prefix(1);
    while (!text.empty() && blank(text.back())) text.remove_suffix(1);
    return text;
}

// The parts between `separator`s, trimmed; parentheses hold none of them.
std::vector<std::string_view> parts_of(std::string_view text, char separator) {
    std::vector<std::string_view> out;
    while (true) {
        std::size_t end = text.find(separator);
        out.push_back(trimmed(text.substr(0, end)));
        if (end == std::string_view::npos) return out;
        text.remove_prefix(end + 1);
    }
}

constexpr std::array<std::pair<std::string_view, strategy (*)()>, 7> plain_strategies = {{
    {"last_writer_wins", last_writer_wins},
    {"dominance", dominance},
    {"max", fold_max},
    {"min", fold_min},
    {"sum", fold_sum},
    {"average", fold_average},
    {"union", fold_union},
}};

result<strategy> parse_priority(std::string_view text) {
    std::string_view inside = text.substr(text.find('(') + 1);
    if (inside.empty() || inside.back() != ')')
        return fail(errc::invalid_argument, "'" + std::string(text) + "' lacks its ')'");
    inside.remove_suffix(1);
    std::vector<std::string> order;
    for (std::string_view name : parts_of(inside, ',')) {
        if (name.empty() || name.size() > limits::name_bytes_max ||
            name.find_first_of("()") != std::string_view::npos) {
            return fail(errc::invalid_argument,
                        "'" + std::string(text) +
                            "': members or regions, separated by commas, belong there");
        }
        order.emplace_back(name);
    }
    return priority(std::move(order));
}

result<strategy> parse_strategy(std::string_view text, const std::vector<strategy>& known) {
    for (const auto& [name, make] : plain_strategies) {
        if (text == name) return make();
    }
    if (text.starts_with("priority(")) return parse_priority(text);
    auto named = [&](const strategy& s) { return s.name == text; };
    auto found = std::find_if(known.begin(), known.end(), named);
    if (found != known.end()) return *found;
    std::string all = "priority(MEMBER OR REGION, ...), manual";
    for (const auto& each : plain_strategies) all += ", " + std::string(each.first);
    for (const strategy& each : known) all += ", " + each.name;
    return fail(errc::invalid_argument,
                "no strategy '" + std::string(text) + "'; there are " + all);
}

} // namespace

bool number_less(const value& a, const value& b) {
    if (a.kind() == b.kind()) return a < b;
    bool a_whole = a.kind() == value_kind::integer;
    auto order = compare(*(a_whole ? a : b).as_int(), *(a_whole ? b : a).as_double());
    return a_whole ? order < 0 : order > 0;
}

strategy last_writer_wins() {
    auto latest_of = [](const conflict& what) -> result<std::optional<reading>> {
        if (what.siblings.empty()) return std::nullopt;
        return take(*std::min_element(what.siblings.begin(), what.siblings.end(), is_later));
    };
    return {"last_writer_wins", latest_of};
}

strategy dominance() {
    auto defer = [](const conflict& what) -> result<std::optional<reading>> {
        if (what.siblings.size() == 1) return take(what.siblings.front());
        return std::nullopt;
    };
    return {"dominance", defer};
}

strategy priority(std::vector<std::string> order) {
    std::string name = "priority(";
    for (std::size_t i = 0; i < order.size(); ++i) name += (i > 0 ? ", " : "") + order[i];
    auto first = [order =
                      std::move(order)](const conflict& what) -> result<std::optional<reading>> {
        const sibling* best = nullptr;
        std::optional<std::size_t> best_rank;
        for (const sibling& s : what.siblings) {
            auto its = rank(order, s);
            if (!its) continue;
            bool better =
                best == nullptr || *its < *best_rank || (*its == *best_rank && is_later(s, *best));
            if (!better) continue;
            best = &s;
            best_rank = its;
        }
        if (best == nullptr) return std::nullopt;
        return take(*best);
    };
    return {name + ")", first};
}

strategy fold_max() { return extreme("max", true); }
strategy fold_min() { return extreme("min", false); }
strategy fold_sum() { return {"sum", sum}; }
strategy fold_average() { return {"average", average}; }
strategy fold_union() { return {"union", union_of}; }

strategy custom(std::string name, merge_function merge, std::optional<value_kind> kind) {
    auto ask = [merge = std::move(merge),
                kind](const conflict& what) -> result<std::optional<reading>> {
        std::optional<value> made = merge(what);
        if (!made) return std::nullopt;
        if (kind && made->kind() != *kind) {
            return fail(errc::wrong_type, "it returned " + std::string(to_string(made->kind())) +
                                              ", declared is " + std::string(to_string(*kind)));
        }
        return of_value(std::move(*made));
    };
    return {std::move(name), ask};
}

result<resolver> parse_resolver(std::string_view text, const std::vector<strategy>& known) {
    std::vector<strategy> chain;
    auto parts = parts_of(text, '>');
    for (std::size_t i = 0; i < parts.size(); ++i) {
        if (parts[i] == "manual") {
            if (i + 1 < parts.size())
                return fail(errc::invalid_argument,
                            "'" + std::string(text) + "': what comes after manual is never asked");
            break;
        }
        if (chain.size() == limits::strategies_max) {
            return fail(errc::over_limit, "a chain has at most " +
                                              std::to_string(limits::strategies_max) +
                                              " strategies");
        }
        auto each = parse_strategy(parts[i], known);
        if (!each) return fail(each.error());
        chain.push_back(std::move(*each));
    }
    return resolver(std::move(chain));
}

} // namespace weft
