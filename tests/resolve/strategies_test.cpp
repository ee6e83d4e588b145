#include "base/limits.hpp"
#include "resolve/strategies.hpp"

#include <boost/test/unit_test.hpp>
#include <rapidcheck/boost_test.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>
#include <stdexcept>
#include <tuple>

namespace weft {
namespace {

constexpr double nan = std::numeric_limits<double>::quiet_NaN();

sibling written(std::uint64_t replica, std::uint64_t stamp, value content, std::string member = {},
                std::string region = {}) {
    return {{replica_id{replica}, replica * 10},
            hlc{stamp},
            std::move(content),
            std::move(member),
            std::move(region)};
}

sibling removed(std::uint64_t replica, std::uint64_t stamp) {
    return {{replica_id{replica}, replica * 10}, hlc{stamp}, std::nullopt};
}

conflict between(std::vector<sibling> siblings) {
    conflict out;
    out.path = {"key"};
    out.type = {type_kind::mv_register};
    out.siblings = std::move(siblings);
    arrange(out.siblings);
    return out;
}

// What one strategy alone makes of them.
decision decide(strategy one, std::vector<sibling> siblings) {
    return resolver({std::move(one)}).resolve(between(std::move(siblings)));
}

std::vector<value> read(const decision& made) {
    BOOST_REQUIRE(made.read);
    return made.read->values;
}

value any_value(bool only_numbers) {
    if (only_numbers) {
        return *rc::gen::weightedOneOf<value>(
            {{4, rc::gen::map(rc::gen::inRange<std::int64_t>(-9, 10),
                              [](std::int64_t n) { return value(n); })},
             {1, rc::gen::map(rc::gen::arbitrary<std::int64_t>(),
                              [](std::int64_t n) { return value(n); })},
             {1,
              rc::gen::element(value((std::int64_t{1} << 53U) + 1), value(0x1p53), value(0x1p63))},
             {1, rc::gen::element(value(0.5), value(-0.0), value(0.0), value(nan), value(1e300))}});
    }
    return *rc::gen::element(value(), value(true), value(3), value(3.0), value("a"), value("b"),
                             value::of_time_ms(7));
}

double number(const value& v) {
    auto whole = v.as_int();
    return whole ? static_cast<double>(*whole) : *v.as_double();
}

std::vector<sibling> some_siblings(bool only_numbers) {
    std::vector<sibling> out;
    for (std::uint64_t replica = 1, n = *rc::gen::inRange<std::uint64_t>(1, 6); replica <= n;
         ++replica) {
        auto stamp = *rc::gen::inRange<std::uint64_t>(1, 4);
        if (*rc::gen::inRange(0, 8) == 0) {
            out.push_back(removed(replica, stamp));
        } else {
            out.push_back(written(replica, stamp, any_value(only_numbers),
                                  *rc::gen::element<std::string>("a", "b", "c", ""),
                                  *rc::gen::element<std::string>("north", "south", "")));
        }
    }
    return out;
}

std::vector<strategy> all_strategies() {
    return {last_writer_wins(), dominance(), priority({"b", "north", "a"}),
            fold_max(),         fold_min(),  fold_sum(),
            fold_average(),     fold_union()};
}

BOOST_AUTO_TEST_SUITE(strategies)

// Past `arrange`, which would hand both the same. Sum, average and dominance take what is there twice for
// two siblings, so of those only the order may be any.
RC_BOOST_PROP(no_strategy_depends_on_the_order_of_siblings_or_on_their_repetition,
              (bool only_numbers)) {
    conflict arranged = between(some_siblings(only_numbers));
    conflict other = arranged;
    auto shuffle = [&] {
        for (std::size_t i = other.siblings.size(); i-- > 1;)
            std::swap(other.siblings[i], other.siblings[*rc::gen::inRange<std::size_t>(0, i + 1)]);
    };
    using made = result<std::optional<reading>>;
    auto alike = [](const made& a, const made& b) {
        return a && b ? *a == *b : !a && !b && a.error() == b.error();
    };
    shuffle();
    for (const strategy& each : all_strategies())
        RC_ASSERT(alike(each.resolve(other), each.resolve(arranged)));
    for (auto left = *rc::gen::inRange<std::size_t>(1, 4); left > 0; --left) {
        auto which = *rc::gen::inRange<std::size_t>(0, other.siblings.size());
        other.siblings.push_back(sibling(other.siblings[which]));
    }
    shuffle();
    for (const strategy& each : all_strategies()) {
        if (each.name == "sum" || each.name == "average" || each.name == "dominance") continue;
        RC_ASSERT(alike(each.resolve(other), each.resolve(arranged)));
    }
}

RC_BOOST_PROP(siblings_are_arranged_by_their_dots_each_once, (bool only_numbers)) {
    auto siblings = some_siblings(only_numbers); // in that order already
    auto other = siblings;
    for (auto left = *rc::gen::inRange<std::size_t>(0, 6); left > 0; --left) {
        sibling again = other[*rc::gen::inRange<std::size_t>(0, other.size())];
        auto where = *rc::gen::inRange<std::size_t>(0, other.size() + 1);
        other.insert(other.begin() + static_cast<std::ptrdiff_t>(where), std::move(again));
    }
    for (std::size_t i = other.size(); i-- > 1;)
        std::swap(other[i], other[*rc::gen::inRange<std::size_t>(0, i + 1)]);
    arrange(other);
    RC_ASSERT(other == siblings);
}

// Plain models, one after the other.
RC_BOOST_PROP(the_last_writer_is_the_one_that_no_other_is_after, (bool only_numbers)) {
    auto siblings = some_siblings(only_numbers);
    auto got = decide(last_writer_wins(), siblings);
    RC_ASSERT(got.read.has_value());
    auto taken = std::find_if(siblings.begin(), siblings.end(),
                              [&](const sibling& s) { return s.at == got.read->taken; });
    RC_ASSERT(taken != siblings.end());
    for (const sibling& s : siblings) {
        RC_ASSERT(s.stamp < taken->stamp || (s.stamp == taken->stamp && s.at <= taken->at));
    }
    RC_ASSERT(got.read->values.size() == (taken->content ? 1U : 0U));
}

RC_BOOST_PROP(priority_takes_the_first_name_that_wrote, (bool only_numbers)) {
    auto siblings = some_siblings(only_numbers);
    std::vector<std::string> order{"b", "north", "a"};
    auto got = decide(priority(order), siblings);
    std::optional<sibling> expected;
    for (const std::string& name : order) {
        for (const sibling& s : siblings) {
            bool by_member = s.member == name;
            bool member_known = std::find(order.begin(), order.end(), s.member) != order.end();
            bool by_region = !member_known && s.region == name;
            if (!by_member && !by_region) continue;
            bool later =
                !expected || std::pair(expected->stamp, expected->at) < std::pair(s.stamp, s.at);
            if (later) expected = s;
        }
        if (expected) break;
    }
    RC_ASSERT(got.read.has_value() == expected.has_value());
    if (expected) RC_ASSERT(got.read->taken == expected->at);
}

RC_BOOST_PROP(sums_and_unions_are_those_of_the_values, ()) {
    auto siblings = some_siblings(true);
    std::vector<value> values;
    for (const sibling& s : siblings) {
        if (s.content) values.push_back(*s.content);
    }
    std::sort(values.begin(), values.end());
    auto made = decide(fold_sum(), siblings);
    bool whole = std::all_of(values.begin(), values.end(),
                             [](const value& v) { return v.as_int().has_value(); });
    if (values.empty()) {
        RC_ASSERT(read(made).empty());
    } else if (whole) {
        __int128 sum = 0;
        for (const value& v : values) sum += *v.as_int();
        bool fits = sum >= std::numeric_limits<std::int64_t>::min() &&
                    sum <= std::numeric_limits<std::int64_t>::max();
        RC_ASSERT(made.read.has_value() == fits);
        if (fits) RC_ASSERT(read(made) == std::vector{value(static_cast<std::int64_t>(sum))});
        if (!fits) RC_ASSERT(made.failed.at(0).code == errc::over_limit);
    } else {
        double sum = 0; // in order of value
        for (const value& v : values) sum += number(v);
        RC_ASSERT(read(made) == std::vector{value(sum)});
    }
    values.erase(std::unique(values.begin(), values.end()), values.end());
    RC_ASSERT(read(decide(fold_union(), siblings)) == values);
}

// In 128 bits, where every integer and every double below 2^63 has its place: a whole part, and what is left
// of a double.
RC_BOOST_PROP(max_and_min_are_the_ends_of_the_numbers, ()) {
    auto siblings = some_siblings(true);
    std::vector<value> values;
    for (const sibling& s : siblings) {
        if (s.content) values.push_back(*s.content);
    }
    if (values.empty()) {
        RC_ASSERT(read(decide(fold_max(), siblings)).empty());
        return;
    }
    using place = std::tuple<__int128, double, value>;
    auto place_of = [](const value& v) -> place {
        if (auto whole = v.as_int()) return {*whole, 0, v};
        double real = *v.as_double();
        __int128 beyond = static_cast<__int128>(1) << 64;
        if (std::isnan(real)) return {beyond + 1, 0, v};
        if (std::abs(real) >= 0x1p63) return {real < 0 ? -beyond : beyond, real, v};
        double whole = std::floor(real);
        return {static_cast<__int128>(whole), real - whole, v};
    };
    std::sort(values.begin(), values.end(),
              [&](const value& a, const value& b) { return place_of(a) < place_of(b); });
    RC_ASSERT(read(decide(fold_max(), siblings)) == std::vector{values.back()});
    RC_ASSERT(read(decide(fold_min(), siblings)) == std::vector{values.front()});
}

RC_BOOST_PROP(an_average_is_that_of_doubles, ()) {
    std::vector<sibling> siblings;
    double sum = 0;
    auto count = *rc::gen::inRange<std::uint64_t>(1, 8);
    for (std::uint64_t replica = 1; replica <= count; ++replica) {
        // Eighths of small numbers, whose sums are exact in any order.
        auto eighths = *rc::gen::inRange<std::int64_t>(-8'000, 8'000);
        bool whole = eighths % 8 == 0 && *rc::gen::inRange(0, 2) == 0;
        double real = static_cast<double>(eighths) / 8;
        siblings.push_back(written(replica, 1, whole ? value(eighths / 8) : value(real)));
        sum += real;
    }
    siblings.push_back(removed(99, 1)); // counts for nothing
    RC_ASSERT(read(decide(fold_average(), siblings)) ==
              std::vector{value(sum / static_cast<double>(count))});
}

BOOST_AUTO_TEST_CASE(numbers_that_have_no_double_of_their_own_are_compared_exactly) {
    constexpr std::int64_t odd = (std::int64_t{1} << 53U) + 1;
    std::vector<sibling> close{written(1, 1, odd), written(2, 1, 0x1p53)};
    BOOST_TEST((read(decide(fold_max(), close)) == std::vector{value(odd)}));
    BOOST_TEST((read(decide(fold_min(), close)) == std::vector{value(0x1p53)}));
    constexpr std::int64_t last = std::numeric_limits<std::int64_t>::max();
    constexpr std::int64_t first = std::numeric_limits<std::int64_t>::min();
    BOOST_TEST(number_less(last, 0x1p63));
    BOOST_TEST(!number_less(0x1p63, last));
    BOOST_TEST(!number_less(first, -0x1p63));
    BOOST_TEST(!number_less(-0x1p63, first));
    BOOST_TEST(number_less(-0x1.0000000000001p63, first));
    BOOST_TEST(number_less(last, nan));
    BOOST_TEST(number_less(-1, -0.5));
    BOOST_TEST(number_less(-0.5, 0));
}

BOOST_AUTO_TEST_CASE(max_and_min_compare_integers_with_doubles) {
    std::vector<sibling> mixed{written(1, 1, 3), written(2, 1, 2.5), written(3, 1, -7)};
    BOOST_TEST((read(decide(fold_max(), mixed)) == std::vector{value(3)}));
    BOOST_TEST((read(decide(fold_min(), mixed)) == std::vector{value(-7)}));
    std::vector<sibling> equal{written(1, 1, 2.0), written(2, 1, 2)};
    BOOST_TEST((read(decide(fold_max(), equal)) == std::vector{value(2.0)}));
    BOOST_TEST((read(decide(fold_min(), equal)) == std::vector{value(2)}));
    std::vector<sibling> texts{written(1, 1, "a"), written(2, 1, "b"), removed(3, 9)};
    BOOST_TEST((read(decide(fold_max(), texts)) == std::vector{value("b")}));
    BOOST_TEST((read(decide(fold_average(), {written(1, 1, 1), written(2, 1, 2)})) ==
                std::vector{value(1.5)}));
    for (std::uint64_t writers = 1; writers <= 20; ++writers) {
        std::vector<sibling> ones;
        for (std::uint64_t id = 1; id <= writers; ++id) ones.push_back(written(id, 1, 1));
        BOOST_TEST((read(decide(fold_average(), ones)) == std::vector{value(1.0)}));
    }
    constexpr double huge = std::numeric_limits<double>::max();
    BOOST_TEST((read(decide(fold_average(), {written(1, 1, huge), written(2, 1, huge)})) ==
                std::vector{value(huge)}));
}

BOOST_AUTO_TEST_CASE(a_fold_of_kinds_that_do_not_mix_is_an_error_and_the_next_is_asked) {
    std::vector<sibling> mixed{written(1, 1, 3), written(2, 2, "a")};
    auto alone = decide(fold_sum(), mixed);
    BOOST_TEST(!alone.read);
    BOOST_TEST(alone.strategy == "manual");
    BOOST_TEST((alone.failed.at(0).code == errc::wrong_type));
    BOOST_TEST(alone.failed.at(0).detail == "sum: it cannot fold int and string");
    auto made = resolver({fold_max(), last_writer_wins()}).resolve(between(mixed));
    BOOST_TEST((read(made) == std::vector{value("a")}));
    BOOST_TEST(made.strategy == "last_writer_wins");
    BOOST_TEST(made.failed.size() == 1U);
}

BOOST_AUTO_TEST_CASE(only_removes_leave_nothing) {
    std::vector<sibling> gone{removed(1, 1), removed(2, 2)};
    for (const strategy& each : {last_writer_wins(), fold_max(), fold_sum(), fold_union()}) {
        BOOST_TEST(read(decide(each, gone)).empty());
    }
    BOOST_TEST(read(decide(last_writer_wins(), {written(1, 1, 5), removed(2, 2)})).empty());
    BOOST_TEST(
        (read(decide(fold_sum(), {written(1, 1, 5), removed(2, 2)})) == std::vector{value(5)}));
}

BOOST_AUTO_TEST_CASE(a_function_of_ones_own_may_throw_and_return_what_it_should_not) {
    auto conflict = between({written(1, 1, 3), written(2, 2, 4)});
    auto throws = custom("bad", [](const weft::conflict&) -> std::optional<value> {
        throw std::runtime_error("no idea");
    });
    auto odd = custom(
        "odd", [](const weft::conflict&) { return std::optional(value("text")); },
        value_kind::integer);
    auto large = custom("large", [](const weft::conflict&) {
        return std::optional(value(std::string(limits::value_bytes_max + 1, 'x')));
    });
    auto first = custom("first", [](const weft::conflict& c) { return c.siblings[0].content; });
    auto made = resolver({throws, odd, large, first}).resolve(conflict);
    BOOST_TEST((read(made) == std::vector{value(3)}));
    BOOST_TEST(made.strategy == "first");
    BOOST_REQUIRE(made.failed.size() == 3U);
    BOOST_TEST(made.failed[0].detail == "bad: it threw: no idea");
    BOOST_TEST((made.failed[1].code == errc::wrong_type));
    BOOST_TEST((made.failed[2].code == errc::over_limit));
}

BOOST_AUTO_TEST_CASE(too_many_siblings_wait_for_a_person) {
    std::vector<sibling> many;
    for (std::uint64_t i = 1; i <= limits::siblings_max + 1; ++i) many.push_back(written(i, i, 1));
    auto made = decide(last_writer_wins(), many);
    BOOST_TEST(!made.read);
    BOOST_TEST((made.failed.at(0).code == errc::over_limit));
    many.pop_back();
    BOOST_TEST(decide(last_writer_wins(), many).read.has_value());
    std::string megabyte(limits::value_bytes_max, 'x');
    many.clear();
    for (std::uint64_t i = 1; i <= 9; ++i) many.push_back(written(i, i, value(megabyte)));
    BOOST_TEST(!decide(last_writer_wins(), many).read);
}

BOOST_AUTO_TEST_CASE(a_chain_is_read_from_text_and_written_as_it_reads) {
    for (std::string text :
         {"last_writer_wins", "manual", "dominance > priority(berlin, oslo) > last_writer_wins",
          "max", "sum > union", "priority(north)"}) {
        auto made = parse_resolver(text);
        BOOST_REQUIRE(made);
        BOOST_TEST(made->name() == text);
    }
    auto spaced = parse_resolver("  max>manual ");
    BOOST_REQUIRE(spaced);
    BOOST_TEST(spaced->name() == "max");
    auto own = parse_resolver(
        "longest", {custom("longest", [](const conflict&) { return std::optional<value>(); })});
    BOOST_REQUIRE(own);
    BOOST_TEST(own->name() == "longest");
}

BOOST_AUTO_TEST_CASE(what_is_no_chain_is_refused) {
    for (std::string text : {"", "latest", "priority()", "priority(a", "priority(a,,b)",
                             "manual > max", "max >", "max,min", "priority(a(b))"}) {
        BOOST_TEST(!parse_resolver(text).has_value(), text);
    }
    std::string chain = "max";
    for (std::size_t i = 0; i < limits::strategies_max; ++i) chain += " > max";
    BOOST_TEST((parse_resolver(chain).error().code == errc::over_limit));
    BOOST_TEST(parse_resolver("latest").error().detail.starts_with(
        "no strategy 'latest'; there are priority(MEMBER OR REGION, ...), manual, "));
}

BOOST_AUTO_TEST_SUITE_END()

} // namespace
} // namespace weft
