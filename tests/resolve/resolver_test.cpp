#include "base/limits.hpp"
#include "resolve/rules.hpp"

#include <boost/test/unit_test.hpp>

#include <stdexcept>
#include <string>
#include <vector>

// What functions of users return and say is looked at before anybody gets it.
using namespace weft;

namespace {

decision decide(strategy one) {
    conflict what{conflict_kind::write_write, {"k"}, {type_kind::mv_register}, {}};
    what.siblings.push_back({{replica_id{1}, 1}, {}, value("a")});
    what.siblings.push_back({{replica_id{2}, 1}, {}, value("b")});
    return resolver({std::move(one), last_writer_wins()}).resolve(what);
}

decision returns(value made) {
    return decide(custom("mine", [made](const conflict&) { return std::optional(made); }));
}

decision returns(std::vector<value> all) {
    return decide({"mine", [all](const conflict&) -> result<std::optional<reading>> {
                       return reading{all, std::nullopt};
                   }});
}

void check_refused(const decision& made, errc code, const std::string& why) {
    BOOST_TEST(made.strategy == "last_writer_wins"); // the next of the chain is asked
    BOOST_REQUIRE_EQUAL(made.failed.size(), 1);
    BOOST_TEST((made.failed.front().code == code));
    BOOST_TEST(made.failed.front().detail == "mine: " + why);
}

} // namespace

BOOST_AUTO_TEST_SUITE(resolve_resolver)

BOOST_AUTO_TEST_CASE(a_result_that_no_write_could_have_is_an_error_of_its_strategy) {
    check_refused(returns(value::absent()), errc::wrong_type, "it returned absent as a value");
    check_refused(returns(value("\xff\xfe")), errc::invalid_argument,
                  "it returned text that is not UTF-8");
    check_refused(returns(std::vector{value("good"), value("\xc3")}), errc::invalid_argument,
                  "it returned text that is not UTF-8");
    check_refused(returns(value(std::string(limits::value_bytes_max + 1, 'x'))), errc::over_limit,
                  "it returned 1048577 bytes, limit 1048576");
    BOOST_TEST(returns(value(std::string(limits::value_bytes_max, 'x'))).failed.empty());
    check_refused(returns(std::vector<value>(limits::siblings_max + 1)), errc::over_limit,
                  "it returned 1001 values, limit 1000");
    std::vector<value> large(9, value(std::string(limits::value_bytes_max, 'x')));
    check_refused(returns(large), errc::over_limit, "it returned 9437184 bytes, limit 8388608");
}

BOOST_AUTO_TEST_CASE(a_message_is_made_presentable) {
    auto says = [](const std::string& text) {
        return decide(custom("mine",
                             [text](const conflict&) -> std::optional<value> {
                                 throw std::runtime_error(text);
                             }))
            .failed.front()
            .detail;
    };
    BOOST_TEST(says("a gr\xc3") == "mine: it threw: a gr?");
    BOOST_TEST(says(std::string(5'000, 'x')).size() == limits::strategy_says_bytes_max);
    rule one{.key = "k"};
    one.check = {"mine", [](const value&) { return std::string("a gr\xc3"); }};
    BOOST_TEST(one.outside(value(1)) == "mine: a gr?");
    one.check->violated = [](const value&) { return std::string(5'000, 'x'); };
    BOOST_TEST(one.outside(value(1)).size() == limits::strategy_says_bytes_max);
}

BOOST_AUTO_TEST_CASE(a_name_is_utf8) {
    rule strange{.key = "k"};
    strange.how = resolver({{"\xff", last_writer_wins().resolve}});
    BOOST_TEST(!rules::make({strange}));
    rule checked{.key = "k"};
    checked.check = {"\xff", [](const value&) { return std::string(); }};
    BOOST_TEST(!rules::make({checked}));
}

BOOST_AUTO_TEST_SUITE_END()
