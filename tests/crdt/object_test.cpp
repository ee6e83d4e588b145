#include "crdt/object.hpp"

#include <boost/test/unit_test.hpp>

#include <array>

namespace weft {
namespace {

std::vector<type_id> all_types() {
    std::vector<type_id> out;
    for (int kind = 1; kind <= static_cast<int>(type_kind::map); ++kind) {
        auto k = static_cast<type_kind>(kind);
        for (int e = is_set(k) ? 1 : 7; e <= 7; ++e)
            out.push_back({k, static_cast<element_kind>(e)});
    }
    return out;
}

BOOST_AUTO_TEST_SUITE(object_test)

BOOST_AUTO_TEST_CASE(every_type_has_a_name_that_reads_back) {
    std::vector<std::string> names;
    for (type_id type : all_types()) {
        std::string name = to_string(type);
        BOOST_CHECK_MESSAGE(parse_type(name) == type, name);
        names.push_back(name);
    }
    std::sort(names.begin(), names.end());
    BOOST_TEST((std::adjacent_find(names.begin(), names.end()) == names.end()));
    BOOST_TEST(to_string(type_id{type_kind::add_wins_set, element_kind::text}) == "set<string>");
    BOOST_TEST(to_string(type_id{type_kind::remove_wins_set, element_kind::integer}) ==
               "remove_wins_set<int>");
    BOOST_TEST(to_string(type_id{type_kind::counter}) == "counter");
    BOOST_CHECK((parse_type("set<any>") == type_id{type_kind::add_wins_set}));
}

BOOST_AUTO_TEST_CASE(names_of_no_type_are_refused) {
    for (const char* name : {"", "sets", "set<", "set<>", "set>", "set<string", "set<strings>",
                             "set<null>", "set<int>>", "counter<int>", "counter<any>", "counter<>",
                             "map<", "<int>", " set", "Set"}) {
        BOOST_CHECK_MESSAGE(!parse_type(name).has_value(), name);
    }
}

BOOST_AUTO_TEST_CASE(every_type_encodes_to_a_byte_of_its_own_and_other_bytes_are_refused) {
    std::array<bool, 256> used{};
    for (type_id type : all_types()) {
        byte_writer out;
        encode(out, type);
        BOOST_REQUIRE_EQUAL(out.size(), 1U);
        used[std::to_integer<std::size_t>(out.view()[0])] = true;
        byte_reader in(out.view());
        BOOST_CHECK(decode_type(in) == type);
        BOOST_TEST(in.good());
    }
    for (unsigned code = 0; code < 256; ++code) {
        std::array<std::byte, 1> raw{static_cast<std::byte>(code)};
        byte_reader in(raw);
        (void)decode_type(in);
        BOOST_TEST(in.good() == used[code]);
    }
}

BOOST_AUTO_TEST_CASE(a_set_admits_elements_of_its_kind_and_the_general_one_all) {
    const std::array<value, 6> one_of_each = {
        value(true), value(1), value(1.5), value("x"), value::of_bytes({}), value::of_time_ms(0)};
    for (std::size_t i = 0; i < one_of_each.size(); ++i) {
        for (std::size_t k = 0; k < one_of_each.size(); ++k) {
            BOOST_TEST(admits(static_cast<element_kind>(k + 1), one_of_each[i]) == (i == k));
        }
        BOOST_TEST(admits(element_kind::any, one_of_each[i]));
    }
    BOOST_TEST(admits(element_kind::any, value()));
    BOOST_CHECK(element_kind_of<std::string>() == element_kind::text);
    BOOST_CHECK(element_kind_of<bytes>() == element_kind::binary);
    BOOST_CHECK(element_kind_of<value>() == element_kind::any);
}

BOOST_AUTO_TEST_CASE(an_object_of_any_type_starts_empty_and_without_a_live_dot) {
    for (type_id type : all_types()) {
        for (bool partial : {false, true}) {
            object fresh = object::of_type(type.kind, partial);
            BOOST_TEST(fresh.empty());
            BOOST_TEST(fresh.blank());
            BOOST_TEST(!fresh.live());
            BOOST_TEST(fresh.removal().context.empty());
        }
    }
    BOOST_TEST(object::of_type(type_kind::map, true).is_partial());
    BOOST_TEST(!object::of_type(type_kind::map).is_partial());
}

BOOST_AUTO_TEST_CASE(children_sort_by_name_then_type) {
    map_store store;
    for (const char* name : {"b", "a", "ab", ""}) {
        (void)store.find_or_insert({name, {type_kind::counter}});
        (void)store.find_or_insert({name, {type_kind::lww_register}});
    }
    std::vector<std::string> names;
    for (const auto& child : store.children()) names.emplace_back(child.key.name());
    BOOST_TEST(names == (std::vector<std::string>{"", "", "a", "a", "ab", "ab", "b", "b"}),
               boost::test_tools::per_element());
    store.erase({"a", {type_kind::counter}});
    BOOST_TEST(store.find({"a", {type_kind::counter}}) == nullptr);
    BOOST_TEST(store.find({"a", {type_kind::lww_register}}) != nullptr);
}

BOOST_AUTO_TEST_SUITE_END()

} // namespace
} // namespace weft
