#include "tests/conformance/link_suite.hpp"
#include "tests/sim/network.hpp"

#include <boost/test/unit_test.hpp>

using namespace weft;

namespace {

class sim_rig final : public tests::link_rig {
public:
    std::unique_ptr<transport> make_transport() override {
        return net_.make_transport("host-" + std::to_string(++hosts_), loop_);
    }
    std::string free_url() override { return "sim:replica-" + std::to_string(++names_); }
    std::string deaf_url() override { return "sim:nobody"; }
    std::vector<std::string> malformed_urls() override { return {"sim:", "sim://"}; }
    bool turn() override { return all_.run_one(); }

private:
    sim_timeline all_;
    sim_time time_{all_, 0, 0};
    sim_loop loop_{all_, time_};
    sim_network net_{all_, random_generator(1), {.jitter_us_max = 50}};
    int hosts_ = 0;
    int names_ = 0;
};

const bool registered =
    tests::register_link_suite("sim", [] { return std::make_unique<sim_rig>(); });

} // namespace
