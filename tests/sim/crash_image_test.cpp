#include "tests/seeds.hpp"
#include "tests/sim/crash_images.hpp"
#include "tests/sim/life.hpp"

#include <boost/test/unit_test.hpp>

using namespace weft;
using namespace weft::sim;

namespace {

std::string text_of(const problems& found) {
    std::string out;
    for (const std::string& each : found) out += each + "\n";
    return out;
}

// Opens an image beside the world that it was taken from, and lets some of them go on.
problems examine(life& from, std::unique_ptr<sim_directory> image,
                 const version_vector& acknowledged, const version_vector& left, replica_id id,
                 bool goes_on) {
    cluster aside({.seed = seeds::unit + 1}); // else a new id would be an old one
    host& opened = aside.add("a", {}, from.a().options().sync);
    opened.options() = from.a().options();
    opened.options().peers = {};
    opened.replace_directory(std::move(image));
    if (auto started = opened.start(); !started) return {to_string(started.error())};
    problems out = from.compare(opened, acknowledged, left, id);
    for (const log_event& e : opened.events()) {
        if (e.what == "file.missing") out.push_back("nothing was lost: " + e.text);
    }
    for (const std::string& wrong : aside.check_trail(opened)) out.push_back(wrong);
    if (!goes_on) return out;
    if (!opened->lww_register<std::string>("more").set("x")) out.push_back("it takes no write");
    aside.run_ms(100);
    auto vector = opened.applied();
    if (auto stopped = opened.stop(); !stopped) out.push_back(to_string(stopped.error()));
    if (auto started = opened.start(); !started) return {to_string(started.error())};
    if (opened.applied() != vector) out.push_back("it lost what it wrote, at a clean stop");
    return out;
}

} // namespace

BOOST_AUTO_TEST_SUITE(crash_images_of_a_life)

BOOST_AUTO_TEST_CASE(each_opens_with_what_was_acknowledged_and_no_more_than_was_attempted) {
    std::size_t images = 0;
    std::size_t moments = 0;
    for (std::uint64_t seed : {1U, 2U}) {
        for (auto policy : {sync_policy::commit, sync_policy::interval, sync_policy::none}) {
            BOOST_TEST_INFO_SCOPE("seed " << seed << ", " << to_string(policy));
            life all(seed, policy);
            crash_images enumerated{random_generator(seed)};
            problems found;
            replica_id id{};
            all.a().directory().on_change = [&] {
                ++moments;
                version_vector acknowledged = all.acknowledged();
                version_vector left = all.left();
                if (all.a().up()) id = all.a()->id();
                auto promised = static_cast<std::uint64_t>(id);
                for (const auto* vector : {&acknowledged, &left}) {
                    for (const auto& e : vector->entries()) promised = promised * 31 + e.counter;
                }
                auto check = [&](std::unique_ptr<sim_directory> image) {
                    if (found.size() >= 20) return;
                    bool goes_on = enumerated.given() % 16 == 0;
                    auto more = examine(all, std::move(image), acknowledged, left, id, goes_on);
                    for (const std::string& each : more)
                        found.push_back("moment " + std::to_string(moments) + ", image " +
                                        std::to_string(enumerated.given()) + ": " + each);
                };
                enumerated.each(all.a().directory(), promised, check);
            };
            all.run();
            all.a().directory().on_change = nullptr;
            all.settle();
            BOOST_TEST(found.empty(), text_of(found));
            BOOST_TEST(all.equal());
            BOOST_TEST(all.a().count("transfer.done") == 1U, "the script does all that it should");
            BOOST_TEST(all.a()->status().value().log_first > 0U);
            images += enumerated.given();
        }
    }
    BOOST_TEST_MESSAGE(images << " crash images, of " << moments << " moments");
    BOOST_TEST(images >= 20'000U);
}

BOOST_AUTO_TEST_SUITE_END()
