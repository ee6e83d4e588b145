#include "tests/sim/life.hpp"
#include "tests/sim/story.hpp"

using namespace weft;
using namespace weft::sim;

namespace {

// A life in which that operation of the disk fails, and what is found afterwards on a good disk.
bool survive(const sim_fault& fault) {
    life all(seeds::unit, sync_policy::commit);
    all.a().set_disk_fault(fault);
    all.run();
    bool passed = all.a().directory().operations() <= fault.at;
    all.a().set_disk_fault(std::nullopt);
    version_vector acknowledged = all.acknowledged();
    version_vector left = all.left();
    replica_id id{};
    if (all.a().up()) {
        id = all.a()->id();
        all.a().kill(fault.at % 2 == 0);
    }
    story::start(all.a());
    for (const std::string& problem : all.compare(all.a(), acknowledged, left, id))
        BOOST_ERROR(problem);
    all.settle();
    BOOST_TEST(all.equal());
    for (const std::string& problem : all.check_trail(all.a())) BOOST_ERROR(problem);
    for (const std::string& problem : all.check()) BOOST_ERROR(problem);
    return passed;
}

} // namespace

BOOST_AUTO_TEST_SUITE(disk_faults_in_a_life)

BOOST_AUTO_TEST_CASE(whatever_operation_fails_once_or_for_good_nothing_acknowledged_is_lost) {
    for (auto code : {errc::io_failed, errc::disk_full}) {
        for (bool lasting : {false, true}) {
            sim_fault fault{0, code, lasting};
            bool passed = false;
            for (; !passed; ++fault.at) {
                BOOST_TEST_INFO_SCOPE("operation " << fault.at << ", " << to_string(code)
                                                   << (lasting ? " from then on" : " once"));
                passed = survive(fault);
            }
            BOOST_TEST_MESSAGE(fault.at << " operations, " << to_string(code)
                                        << (lasting ? " from then on" : " once"));
            BOOST_TEST(fault.at > 300U);
        }
    }
}

BOOST_AUTO_TEST_SUITE_END()
