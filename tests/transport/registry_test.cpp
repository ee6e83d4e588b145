#include "transport/inproc.hpp"
#include "transport/registry.hpp"
#include "transport/tcp.hpp"

#include <boost/test/unit_test.hpp>

namespace weft::tests {

BOOST_AUTO_TEST_SUITE(registry)

BOOST_AUTO_TEST_CASE(a_url_has_a_scheme_and_a_rest) {
    BOOST_TEST(url_scheme("tcp://db2:7411") == "tcp");
    BOOST_TEST(url_rest("tcp://db2:7411") == "db2:7411");
    BOOST_TEST(url_scheme("unix:/run/weft") == "unix");
    BOOST_TEST(url_rest("unix:/run/weft") == "/run/weft");
    BOOST_TEST(url_rest("unix:///run/weft") == "/run/weft");
    BOOST_TEST(url_rest("inproc:a") == "a");
    BOOST_TEST(url_scheme("no colon") == "");
    BOOST_TEST(url_rest("no colon") == "no colon");
    BOOST_TEST(url_scheme("") == "");
}

BOOST_AUTO_TEST_CASE(the_scheme_chooses_the_transport) {
    asio_loop run;
    inproc_hub hub;
    transport_registry transports(run);
    transports.add("inproc", make_inproc_transport(run, hub));
    transports.add("tcp", make_tcp_transport(run, transports.arriving()));
    auto inside = transports.listen("inproc:here", [](std::unique_ptr<link>) {});
    auto outside = transports.listen("tcp://127.0.0.1:0", [](std::unique_ptr<link>) {});
    BOOST_REQUIRE((inside && outside));
    BOOST_TEST((*inside)->url() == "inproc:here");
    BOOST_TEST((*outside)->url().starts_with("tcp://127.0.0.1:"));
    BOOST_TEST(transports.check("tcp://db2:7411").has_value());
}

BOOST_AUTO_TEST_CASE(an_unknown_scheme_is_answered_with_the_known_ones) {
    asio_loop run;
    inproc_hub hub;
    transport_registry transports(run);
    transports.add("inproc", make_inproc_transport(run, hub));
    transports.add("tcp", make_tcp_transport(run, transports.arriving()));

    auto checked = transports.check("carrier-pigeon://home");
    BOOST_REQUIRE(!checked);
    BOOST_TEST(to_string(checked.error()) ==
               "invalid_argument: \"carrier-pigeon://home\": no transport for this scheme; known "
               "are: inproc, tcp");
    auto listening = transports.listen("db2:7411", [](std::unique_ptr<link>) {});
    BOOST_REQUIRE(!listening);
    BOOST_TEST((listening.error().code == errc::invalid_argument));

    std::string failure;
    transports.dial("db2:7411", 1'000, [&](result<std::unique_ptr<link>> outcome) {
        failure = to_string(outcome.error());
        run.stop();
    });
    BOOST_TEST(failure.empty(), "never from inside the call");
    run.run();
    BOOST_TEST(failure.starts_with("invalid_argument: "), failure);
}

BOOST_AUTO_TEST_SUITE_END()

} // namespace weft::tests
