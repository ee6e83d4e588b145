#include "topology/plan.hpp"

#include <boost/test/unit_test.hpp>

#include <algorithm>
#include <map>
#include <set>
#include <string>

namespace weft {
namespace {

std::vector<member> members(int count) {
    std::vector<member> out;
    for (int i = 0; i < count; ++i) {
        std::string name(1, static_cast<char>('a' + i));
        out.push_back({.name = name, .url = "tcp://" + name + ":7411", .region = ""});
    }
    return out;
}

link_plan mesh_of(std::vector<member> of) {
    auto made = plan(std::move(of), plan_kind::mesh, 1);
    BOOST_REQUIRE(made);
    return *made;
}

BOOST_AUTO_TEST_SUITE(mesh_test)

BOOST_AUTO_TEST_CASE(every_pair_is_linked_once) {
    for (int count = 0; count <= 8; ++count) {
        link_plan mesh = mesh_of(members(count));
        std::set<std::set<std::string>> pairs;
        for (const planned_link& link : mesh.links()) pairs.insert({link.dialer, link.acceptor});
        auto expected = static_cast<std::size_t>(count * (count - 1) / 2);
        BOOST_TEST(mesh.links().size() == expected);
        BOOST_TEST(pairs.size() == expected);
        for (const auto& pair : pairs) BOOST_TEST(pair.size() == 2U);
    }
}

BOOST_AUTO_TEST_CASE(the_order_of_the_list_does_not_matter) {
    std::vector<member> list = members(5);
    link_plan mesh = mesh_of(list);
    std::reverse(list.begin(), list.end());
    BOOST_TEST((mesh_of(list) == mesh));
}

BOOST_AUTO_TEST_CASE(nobody_forwards_for_an_origin_with_a_link_of_its_own) {
    link_plan mesh = mesh_of(members(4));
    for (const char* sender : {"a", "b", "c", "d"}) {
        for (const char* origin : {"a", "b", "c", "d"}) {
            for (const std::string& receiver : mesh.neighbours(sender)) {
                BOOST_TEST(mesh.forwards(sender, origin, receiver) ==
                           (origin == std::string(sender)));
            }
        }
    }
}

BOOST_AUTO_TEST_CASE(each_run_arrives_once_at_every_other_member) {
    link_plan mesh = mesh_of(members(5));
    for (const char* origin : {"a", "c", "e"}) {
        std::map<std::string, int> arrivals;
        for (const planned_link& link : mesh.links()) {
            if (mesh.forwards(link.dialer, origin, link.acceptor)) ++arrivals[link.acceptor];
            if (mesh.forwards(link.acceptor, origin, link.dialer)) ++arrivals[link.dialer];
        }
        BOOST_TEST(arrivals.size() == 4U);
        for (const auto& [name, times] : arrivals) BOOST_TEST(times == 1, name);
    }
}

BOOST_AUTO_TEST_CASE(where_a_link_is_missing_its_neighbours_forward) {
    link_plan line(1, {{"a", "b"}, {"b", "c"}});
    BOOST_TEST(line.forwards("b", "a", "c"));
    BOOST_TEST(!line.forwards("b", "a", "a")); // never back to where it came from
    BOOST_TEST(!line.forwards("a", "a", "c")); // no link
    BOOST_TEST((line.neighbours("b") == std::vector<std::string>{"a", "c"}));
}

BOOST_AUTO_TEST_CASE(who_cannot_be_dialed_dials) {
    std::vector<member> list = members(2);
    list[1].url.clear();
    BOOST_TEST((mesh_of(list).links() == std::vector<planned_link>{{"b", "a"}}));
    list[0].url.clear();
    auto none = plan(list, plan_kind::mesh, 1);
    BOOST_REQUIRE(!none);
    BOOST_TEST((none.error().code == errc::invalid_argument));
}

BOOST_AUTO_TEST_CASE(two_members_of_one_name_are_refused) {
    auto twice = plan({{.name = "a"}, {.name = "a"}}, plan_kind::mesh, 1);
    BOOST_REQUIRE(!twice);
    BOOST_TEST(to_string(twice.error()) == "invalid_argument: two members are named 'a'");
}

BOOST_AUTO_TEST_SUITE_END()

} // namespace
} // namespace weft
