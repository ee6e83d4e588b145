#include "base/result.hpp"

#include <boost/test/unit_test.hpp>

#include <set>
#include <string>

namespace weft {
namespace {

constexpr int codes = static_cast<int>(errc::locked) + 1;

BOOST_AUTO_TEST_SUITE(result_test)

BOOST_AUTO_TEST_CASE(a_failure_carries_its_code_and_where_it_happened) {
    result<int> failed = fail(errc::over_limit, "key of 1,025 bytes, limit 1,024");
    BOOST_TEST(!failed);
    BOOST_TEST((failed.error().code == errc::over_limit));
    BOOST_TEST(to_string(failed.error()) == "over_limit: key of 1,025 bytes, limit 1,024");
}

BOOST_AUTO_TEST_CASE(a_failure_passes_on_unchanged) {
    result<int> inner = fail(errc::disk_full, "/srv/weft: no space left");
    result<std::string> outer = fail(inner.error());
    BOOST_TEST((outer.error() == inner.error()));
}

BOOST_AUTO_TEST_CASE(every_code_has_a_name_of_its_own) {
    std::set<std::string_view> names;
    for (int code = 0; code < codes; ++code) names.insert(to_string(static_cast<errc>(code)));
    BOOST_TEST(names.size() == static_cast<std::size_t>(codes));
    BOOST_TEST(!names.contains("unknown"));
}

BOOST_AUTO_TEST_CASE(bad_input_ends_at_most_its_session) {
    for (errc code : {errc::bad_frame, errc::bad_message, errc::bad_run, errc::incompatible}) {
        BOOST_TEST((reaction_to(code) == reaction::drop_session), to_string(code));
    }
}

BOOST_AUTO_TEST_CASE(what_the_disk_did_stops_the_replica) {
    for (errc code : {errc::io_failed, errc::log_damaged, errc::locked}) {
        BOOST_TEST((reaction_to(code) == reaction::stop_replica), to_string(code));
    }
    BOOST_TEST((reaction_to(errc::link_lost) == reaction::reconnect));
    BOOST_TEST((reaction_to(errc::wrong_type) == reaction::correct_call));
}

BOOST_AUTO_TEST_SUITE_END()

} // namespace
} // namespace weft
