#include "base/limits.hpp"
#include "resolve/rules.hpp"

#include <boost/test/unit_test.hpp>
#include <rapidcheck/boost_test.h>

#include <algorithm>
#include <stdexcept>

namespace weft {
namespace {

using path = std::vector<std::string_view>;
constexpr type_id mv{type_kind::mv_register};
constexpr type_id lww{type_kind::lww_register};

rule with(std::string key, std::string field = {}, std::optional<type_kind> type = {},
          std::string_view how = "max") {
    return {std::move(key), std::move(field), type, *parse_resolver(how)};
}

std::string found(const rules& all, const path& at, type_id type = mv) {
    const rule* one = all.find(at, type);
    return one == nullptr ? "none" : to_string(*one);
}

BOOST_AUTO_TEST_SUITE(resolve_rules)

BOOST_AUTO_TEST_CASE(the_most_specific_rule_applies) {
    auto all = rules::make({with("", "", type_kind::mv_register), with("", "name"), with("place:*"),
                            with("place:*", "name"), with("place:7*"), with("place:7"),
                            with("place:7", "name")});
    BOOST_REQUIRE(all);
    BOOST_TEST(found(*all, {"place:7", "name"}) == "place:7 field name: max");
    BOOST_TEST(found(*all, {"place:7", "size"}) == "place:7: max");
    BOOST_TEST(found(*all, {"place:7"}) == "place:7: max");
    BOOST_TEST(found(*all, {"place:71"}) == "place:7*: max");
    BOOST_TEST(found(*all, {"place:8", "name"}) == "place:* field name: max");
    BOOST_TEST(found(*all, {"place:8", "deep", "name"}) == "place:* field name: max");
    BOOST_TEST(found(*all, {"name"}) == "* type mv_register: max"); // a key is no field
    BOOST_TEST(found(*all, {"other", "name"}) == "* field name: max");
    BOOST_TEST(found(*all, {"other"}) == "* type mv_register: max");
    BOOST_TEST(found(*all, {"other"}, lww) == "none");
    BOOST_TEST(found(rules(), {"other"}) == "none");
}

BOOST_AUTO_TEST_CASE(a_bound_is_exact_and_takes_numbers_only) {
    rule one{"n", {}, {}, {}};
    one.min = value(0);
    one.max = value(std::int64_t{1} << 53);
    BOOST_TEST(one.outside(value(0)).empty());
    BOOST_TEST(one.outside(value(0.5)).empty());
    BOOST_TEST(one.outside(value(std::int64_t{1} << 53)).empty());
    BOOST_TEST(!one.outside(value((std::int64_t{1} << 53) + 1)).empty());
    BOOST_TEST(one.outside(value(-1)) == "-1 is below 0");
    BOOST_TEST(one.outside(value("x")) == "\"x\" is no number, and the rule states a bound");
    BOOST_TEST(to_string(one) == "n: from 0 to 9007199254740992");
    one.max.reset();
    BOOST_TEST(to_string(one) == "n: at least 0");
    BOOST_TEST(rule().outside(value("x")).empty());
}

// Nothing that is said of registers by the way takes a counter's bounds from it, or gives it some.
BOOST_AUTO_TEST_CASE(without_a_type_a_rule_is_about_registers) {
    constexpr type_id counter{type_kind::counter};
    rule seats{"seats:*", {}, type_kind::counter, {}};
    seats.max = value(100);
    rule any{"q:*", {}, {}, {}};
    any.max = value(100);
    auto all = rules::make({seats, with("seats:1"), any});
    BOOST_REQUIRE(all);
    BOOST_TEST(found(*all, {"seats:1"}, counter) == "seats:* type counter: at most 100");
    BOOST_TEST(found(*all, {"seats:1"}) == "seats:1: max");
    BOOST_TEST(found(*all, {"q:c"}, counter) == "none");
    BOOST_TEST(!rules::make({any})->may_bound(path{"q:c"}, counter));
    BOOST_TEST(rules::make({any})->may_bound(path{"q:c"}, lww));
}

BOOST_AUTO_TEST_CASE(who_states_a_bound_alone_leaves_the_rest_to_the_next_rule) {
    rule bound{"lim:1", {}, {}, {}};
    bound.max = value(100);
    rule keeps{"lim:*", {}, {}, *parse_resolver("max"), true};
    rule person = bound;
    person.key = "lim:2";
    person.how = *parse_resolver("manual");
    auto all = rules::make({bound, keeps, person, with("", "", {}, "min")});
    BOOST_REQUIRE(all);
    auto how = [&](std::string_view key) {
        const rule* one = all->find_how(path{key}, mv);
        return to_string(*one);
    };
    BOOST_TEST(found(*all, {"lim:1"}) == "lim:1: at most 100");
    BOOST_TEST(how("lim:1") == "lim:*: max, keeps removes");
    BOOST_TEST(how("lim:2") == "lim:2: manual, at most 100");
    BOOST_TEST(how("other") == "*: min");
    BOOST_TEST(rules::make({bound})->find_how(path{"lim:1"}, mv) == nullptr);
    BOOST_TEST(rules::make({bound})->version() != rules::make({[&] {
                                                      rule said = bound;
                                                      said.how.emplace();
                                                      return said;
                                                  }()})
                                                      ->version());
}

BOOST_AUTO_TEST_CASE(a_check_of_ones_own_is_a_bound_too) {
    rule one{"plate", {}, {}, {}};
    one.check = {"three letters", [](const value& v) -> std::string {
                     auto text = v.as_text();
                     if (!text) throw std::runtime_error("no text");
                     return text->size() == 3 ? "" : to_string(v) + " has another length";
                 }};
    BOOST_TEST(one.bounded());
    BOOST_TEST(one.outside(value("abc")).empty());
    BOOST_TEST(one.outside(value("ab")) == "three letters: \"ab\" has another length");
    BOOST_TEST(one.outside(value(7)) == "three letters: the check threw: no text");
    BOOST_TEST(to_string(one) == "plate: as three letters allows");
    rule other = one;
    other.check->name = "four letters";
    BOOST_TEST(rules::make({one})->version() != rules::make({other})->version());
    other.check->name.clear();
    BOOST_TEST(!rules::make({other}));
    other.check = {"nothing", {}};
    BOOST_TEST(!rules::make({other}));
}

BOOST_AUTO_TEST_CASE(what_cannot_be_meant_is_refused) {
    auto why = [](std::vector<rule> all) {
        auto made = rules::make(std::move(all));
        return made ? std::string("good") : to_string(made.error());
    };
    BOOST_TEST(why({with("a*b")}) ==
               "invalid_argument: rule 'a*b: max': a star stands at the end of a key only");
    BOOST_TEST(why({with("a", "na*")}) ==
               "invalid_argument: rule 'a field na*: max': a star stands at the end of a key only; "
               "name each field in a rule of its own");
    BOOST_TEST(why({with("", "", type_kind::counter)}) ==
               "invalid_argument: rule '* type counter: max': counter settles by itself; it may "
               "have bounds only");
    BOOST_TEST(why({with("", "", type_kind::map)}) ==
               "invalid_argument: rule '* type map: max': map settles by itself; rules are "
               "for register and mv_register");
    rule bounded{"n", {}, type_kind::counter, {}};
    bounded.min = value(5);
    BOOST_TEST(why({bounded}) == "good");
    bounded.max = value(4.5);
    BOOST_TEST(why({bounded}).find("min is above max") != std::string::npos);
    bounded.max = value("much");
    BOOST_TEST(why({bounded}).find("a bound is a number") != std::string::npos);
    BOOST_TEST(why({with("a", "", {}, "max"), with("b"), with("a", "", {}, "min")}) ==
               "invalid_argument: rules 'a: max' and 'a: min' apply to the same: keep one");
    BOOST_TEST(why({with(""), with("*")}).find("apply to the same") != std::string::npos);
    BOOST_TEST(why({with(std::string(limits::key_bytes_max + 1, 'k'))}).starts_with("invalid"));
    BOOST_TEST(why({with("\xFF")}).starts_with("invalid"));
    BOOST_TEST(why(std::vector<rule>(limits::rules_max + 1, with("a"))).starts_with("over_limit"));
    BOOST_TEST(why({with("a"), with("a*"), with("a", "f"),
                    with("a", "", type_kind::mv_register)}) == "good");
}

// Each change asks, so it is answered without a look at each rule: the answers are what such looks give.
RC_BOOST_PROP(a_bound_is_looked_for_where_a_rule_states_one, ()) {
    auto word = [](int longest) {
        std::string out;
        for (int left = *rc::gen::inRange(0, longest + 1); left > 0; --left)
            out += *rc::gen::element('a', 'b');
        return out;
    };
    std::vector<rule> all;
    std::vector<rules> bounded; // each alone
    for (int left = *rc::gen::inRange(0, 8); left > 0; --left) {
        rule one = with(word(3) + *rc::gen::element<std::string>("", "*"), word(1), {}, "manual");
        if (*rc::gen::arbitrary<bool>())
            one.type = *rc::gen::element(type_kind::lww_register, type_kind::mv_register,
                                         type_kind::counter, type_kind::grow_counter);
        if (one.type == type_kind::counter || one.type == type_kind::grow_counter ||
            *rc::gen::arbitrary<bool>()) {
            one.max = value(1);
        }
        all.push_back(one);
        if (!rules::make(all)) {
            all.pop_back(); // to the same as another one
        } else if (one.bounded()) {
            bounded.push_back(*rules::make({one}));
        }
    }
    auto made = rules::make(all);
    RC_ASSERT(made.has_value());
    for (int left = 20; left > 0; --left) {
        std::vector<std::string> names{word(4)};
        while (*rc::gen::inRange(0, 2) == 0 && names.size() < 3) names.push_back(word(1));
        path at(names.begin(), names.end());
        for (type_kind kind : {type_kind::lww_register, type_kind::mv_register, type_kind::counter,
                               type_kind::grow_counter, type_kind::map}) {
            bool fits = std::any_of(bounded.begin(), bounded.end(), [&](const rules& one) {
                return kind != type_kind::map && one.find(at, {kind}) != nullptr;
            });
            bool applies = fits && made->find(at, {kind})->bounded();
            RC_ASSERT(made->may_bound(at, {kind}) >= applies);
            bool one_kind =
                std::all_of(all.begin(), all.end(), [](const rule& r) { return !r.type; });
            bool one_field =
                std::all_of(all.begin(), all.end(), [](const rule& r) { return r.field.empty(); });
            if (one_kind && one_field) RC_ASSERT(made->may_bound(at, {kind}) == fits);
        }
    }
    RC_ASSERT(!made->may_bound(path{"c"}, {type_kind::counter}) ||
              std::any_of(all.begin(), all.end(),
                          [](const rule& r) { return r.key.empty() || r.key == "*"; }));
}

BOOST_AUTO_TEST_CASE(the_version_tells_rules_apart_and_not_their_order) {
    auto version = [](std::vector<rule> all) { return rules::make(std::move(all))->version(); };
    BOOST_TEST(version({}) == 0U);
    std::vector<std::vector<rule>> different{
        {with("a")},
        {with("a*")},
        {with("a"), with("b")},
        {with("a", "f")},
        {with("a field f")},
        {with("a", "", type_kind::mv_register)},
        {with("a", "", {}, "min")},
        {{"a", "", {}, *parse_resolver("max"), true}},
    };
    for (std::size_t i = 0; i < different.size(); ++i) {
        for (std::size_t j = 0; j < different.size(); ++j) {
            BOOST_TEST((version(different[i]) == version(different[j])) == (i == j));
        }
    }
    BOOST_TEST(version({with("a"), with("b*"), with("", "f")}) ==
               version({with("", "f"), with("a"), with("b*")}));
}

// Against a plain model: of all rules that fit, the one that says most, key before field before type.
RC_BOOST_PROP(no_rule_that_fits_is_more_specific, ()) {
    std::vector<rule> some;
    for (int i = *rc::gen::inRange(0, 8); i > 0; --i) {
        some.push_back(with(*rc::gen::element<std::string>("", "*", "a", "ab", "a*", "ab*"),
                            *rc::gen::element<std::string>("", "f", "g"),
                            *rc::gen::element<std::optional<type_kind>>(
                                std::nullopt, type_kind::mv_register, type_kind::lww_register)));
    }
    auto all = rules::make(some);
    if (!all) return; // two apply to the same
    path at{*rc::gen::element<std::string_view>("a", "ab", "abc", "b")};
    if (*rc::gen::arbitrary<bool>()) at.push_back(*rc::gen::element<std::string_view>("f", "h"));
    type_id type = *rc::gen::element(mv, lww);
    auto fits = [&](const rule& r) {
        bool star = r.key.ends_with('*') || r.key.empty();
        std::string stem = r.key.substr(0, r.key.find('*'));
        bool key = star ? at[0].starts_with(stem) : at[0] == stem;
        bool field = r.field.empty() || (at.size() > 1 && at.back() == r.field);
        return key && field && (!r.type || *r.type == type.kind);
    };
    auto weight = [](const rule& r) {
        bool star = r.key.ends_with('*') || r.key.empty();
        std::size_t stem = r.key.empty() ? 0 : r.key.size() - (star ? 1 : 0);
        return (star ? 0U : 10'000U) + stem * 10 + (r.field.empty() ? 0U : 2U) + (r.type ? 1U : 0U);
    };
    const rule* got = all->find(at, type);
    RC_ASSERT((got != nullptr) == std::any_of(some.begin(), some.end(), fits));
    for (const rule& r : some) {
        if (fits(r)) RC_ASSERT(weight(r) <= weight(*got));
    }
}

BOOST_AUTO_TEST_SUITE_END()

} // namespace
} // namespace weft
