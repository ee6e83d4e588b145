#include "crdt/dot_store.hpp"
#include "crdt/map.hpp"
#include "crdt/set.hpp"

#include <boost/test/unit_test.hpp>

// What a join costs, counted in comparisons and questions; and the contexts of deltas.
namespace weft {
namespace {

constexpr replica_id a{1};
constexpr replica_id b{2};
constexpr std::uint64_t many = 20'000;

std::size_t comparisons = 0;

struct counted_key {
    int number = 0;

    [[maybe_unused]] friend bool operator==(const counted_key& x, const counted_key& y) {
        ++comparisons;
        return x.number == y.number;
    }
    friend std::strong_ordering operator<=>(const counted_key& x, const counted_key& y) {
        ++comparisons;
        return x.number <=> y.number;
    }
};

// A version vector that counts how often it is asked.
struct counted_vector {
    const version_vector& vector;
    std::size_t& questions;

    [[nodiscard]] bool covers(dot d) const {
        ++questions;
        return vector.covers(d);
    }
};

using big_store = add_wins_store<counted_key>;

big_store filled() {
    big_store out;
    for (std::uint64_t n = 1; n <= many; ++n) {
        out.put({static_cast<int>(n)}, dot_set(dot{a, n}));
    }
    return out;
}

BOOST_AUTO_TEST_SUITE(dot_store_test)

BOOST_AUTO_TEST_CASE(joining_a_delta_compares_a_few_keys_of_a_large_store) {
    big_store store = filled();
    version_vector mine{{a, many}};
    version_vector theirs{{a, many}, {b, 1}};
    std::size_t questions = 0;
    comparisons = 0;
    store.join(big_store::partial({77}, dot_set(dot{b, 1})), counted_vector{mine, questions},
               counted_vector{theirs, questions});
    BOOST_TEST(comparisons < 50U);
    BOOST_TEST(questions <= 3U);
    BOOST_TEST(store.size() == many);
    BOOST_CHECK(*store.find({77}) == dot_set(dot{b, 1}));

    comparisons = questions = 0;
    store.join_at({78}, {}, counted_vector{mine, questions}, counted_vector{theirs, questions});
    BOOST_TEST(comparisons < 100U); // finds it, and erases it
    BOOST_TEST(questions <= 1U);
    BOOST_TEST(store.size() == many - 1);
}

BOOST_AUTO_TEST_CASE(a_delta_of_a_stand_alone_set_is_made_and_joined_without_visiting_the_others) {
    add_wins_set<counted_key> set;
    for (std::uint64_t n = 1; n <= many; ++n) set.join(set.add({a, n}, {static_cast<int>(n)}));
    comparisons = 0;
    set.join(set.add({b, 1}, {5}));
    set.join(set.remove({6}));
    set.join(set.remove({-1}));
    BOOST_TEST(comparisons < 400U);
    BOOST_TEST(set.store().size() == many - 1);
    BOOST_TEST(set.context().cloud().empty());
}

BOOST_AUTO_TEST_CASE(a_change_below_a_large_map_asks_about_its_own_dots_only) {
    map_store wide;
    version_vector mine;
    std::uint64_t n = 0;
    for (const char* outer : {"x", "y"}) {
        auto& below = wide.find_or_insert({outer, {type_kind::map}});
        for (int i = 0; i < 5'000; ++i) {
            map_store one = map_store::partial();
            std::string field = std::to_string(i);
            ++n;
            one.find_or_insert({field, {}}) = object(register_store<value>({a, n}, {hlc{n}, i}));
            below.join(object(std::move(one)), mine, version_vector());
        }
        wide.settle({outer, {type_kind::map}}, below, false);
    }
    mine.advance(a, n);
    map_store inner = map_store::partial();
    inner.find_or_insert({"77", {}}) = object(register_store<value>({b, 1}, {hlc{n}, "new"}));
    map_store delta = map_store::partial();
    delta.find_or_insert({"x", {type_kind::map}}) = object(std::move(inner));
    version_vector theirs = mine;
    theirs.advance(b, 1);

    std::size_t questions = 0;
    wide.join(delta, counted_vector{mine, questions}, counted_vector{theirs, questions});
    BOOST_TEST(questions <= 3U);
    const map_store& x = wide.find({"x", {type_kind::map}})->as<map_store>();
    BOOST_TEST(x.live_children() == 5'000U);
    BOOST_TEST(wide.live_children() == 2U);
    BOOST_CHECK(latest<value>(x.find({"77", {}})->as<register_store<value>>())->payload.content ==
                value("new"));
}

BOOST_AUTO_TEST_CASE(a_group_of_deltas_stays_as_narrow_as_its_deltas) {
    map state;
    for (std::uint64_t n = 1; n <= 100; ++n) {
        state.join(state.nested("m", [&](const map& below) {
            return below.put({a, n}, hlc{n}, "f" + std::to_string(n), 1);
        }));
    }
    map group = state.put({b, 1}, hlc{200}, "x", 1);
    group.join(
        state.nested("m", [](const map& below) { return below.put({b, 2}, hlc{201}, "f7", 2); }));
    BOOST_TEST(group.store().is_partial());
    BOOST_TEST(group.store().find({"m", {type_kind::map}})->is_partial());
}

BOOST_AUTO_TEST_CASE(a_shared_context_keeps_a_dot_that_one_side_holds_and_the_other_has_not_seen) {
    dot_set mine(dot{a, 1});
    dot_set theirs(dot{b, 1});
    dot_set both = mine;
    both.join(theirs, version_vector{{a, 1}}, version_vector{{b, 1}});
    BOOST_TEST(both.size() == 2U);
    both.join({}, version_vector{{a, 1}, {b, 1}}, version_vector{{a, 1}});
    BOOST_CHECK(both == theirs);
    both.join(dot_set(dot{a, 1}), version_vector{{a, 1}, {b, 1}}, version_vector{{a, 1}, {b, 1}});
    BOOST_TEST(both.empty());
}

BOOST_AUTO_TEST_CASE(the_context_of_dots_is_the_one_that_inserting_them_gives) {
    std::vector<dot> dots;
    for (std::uint64_t i = 0; i < 400; ++i) {
        std::uint64_t mixed = i * 2'654'435'761U;
        dots.push_back({replica_id{mixed % 4}, mixed / 4 % 60 + 1});
    }
    dots.push_back(dots[3]);
    causal_context expected;
    for (dot d : dots) expected.insert(d);
    BOOST_CHECK(context_of(dots) == expected);
    for (dot d : dots) BOOST_TEST(expected.covers(d));
    BOOST_TEST(context_of({}).empty());
}

BOOST_AUTO_TEST_CASE(contexts_have_one_encoding) {
    auto refused = [](auto write) {
        byte_writer out;
        write(out);
        byte_reader in(out.view());
        (void)decode_context(in);
        return !in.good();
    };
    auto dots = [](byte_writer& out, std::initializer_list<dot> all) {
        out.varint(all.size());
        for (dot d : all) encode(out, d);
    };
    using writer = byte_writer;
    BOOST_TEST(!refused([&](writer& out) { dots(out, {{a, 2}}), dots(out, {{a, 4}, {b, 2}}); }));
    BOOST_TEST(refused([&](writer& out) { dots(out, {{b, 2}, {a, 2}}), dots(out, {}); }));
    BOOST_TEST(refused([&](writer& out) { dots(out, {{a, 2}, {a, 3}}), dots(out, {}); }));
    BOOST_TEST(refused([&](writer& out) { dots(out, {{a, 0}}), dots(out, {}); }));
    BOOST_TEST(refused([&](writer& out) { dots(out, {{a, 2}}), dots(out, {{a, 2}}); }));
    BOOST_TEST(refused([&](writer& out) { dots(out, {{a, 2}}), dots(out, {{a, 3}}); }));
    BOOST_TEST(refused([&](writer& out) { dots(out, {}), dots(out, {{b, 3}, {a, 3}}); }));
    BOOST_TEST(refused([&](writer& out) { dots(out, {}), dots(out, {{a, 3}, {a, 3}}); }));
}

BOOST_AUTO_TEST_CASE(a_store_with_a_dot_outside_its_context_is_refused) {
    byte_writer flag;
    flag.u8(1);
    encode(flag, causal_context());
    flag_store(dot{a, 1}, true).encode_to(flag);
    auto read = enable_wins_flag::decoded(flag.view());
    BOOST_REQUIRE(!read.has_value());
    BOOST_CHECK(read.error().code == errc::bad_message);
    BOOST_TEST(read.error().detail.find("context") != std::string::npos);
}

BOOST_AUTO_TEST_SUITE_END()

} // namespace
} // namespace weft
