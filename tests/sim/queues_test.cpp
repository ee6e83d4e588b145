#include "recovery/restart.hpp"
#include "replica/driver.hpp"
#include "tests/sim/disk.hpp"
#include "tests/sim/host.hpp"
#include "tests/sim/time.hpp"

#include <boost/test/unit_test.hpp>

#include <map>

// What the driver does with links whose peers ask and do not read.
using namespace weft;
using namespace weft::sim;

namespace {

constexpr std::size_t mib = 1U << 20U;

// All links of a replica: the test says what comes over them, and nothing of what is sent is read.
class puppet final : public transport {
public:
    struct far_end {
        link_handlers told;
        std::size_t queued_bytes = 0;
        std::optional<message> last; // it was closed with that …
        bool closed = false;         // … or without
    };

    result<std::unique_ptr<listener>>
    listen(std::string_view, std::function<void(std::unique_ptr<weft::link>)> on_link) override {
        accept_ = std::move(on_link);
        return std::make_unique<ear>();
    }
    void dial(std::string_view, std::uint32_t,
              std::function<void(result<std::unique_ptr<weft::link>>)>) override {}

    far_end& connect() {
        auto& end = ends_[ends_.size()];
        accept_(std::make_unique<wire>(end));
        return end;
    }

private:
    struct ear final : listener {
        std::string url() const override { return "puppet:"; }
    };
    struct wire final : weft::link {
        explicit wire(far_end& to) : end(to) {}
        void start(link_handlers handlers) override { end.told = std::move(handlers); }
        void send(bytes body) override { end.queued_bytes += std::max(body.size(), mib); }
        std::size_t queued_bytes() const override { return end.queued_bytes; }
        std::uint64_t taken_bytes() const override { return 0; }
        void close() override { end.closed = true; }
        void close_with(bytes body) override {
            auto decoded = decode_message(shared_bytes(std::move(body)));
            if (decoded) end.last = *decoded;
            end.closed = true;
        }
        std::string peer() const override { return "puppet:"; }
        far_end& end;
    };

    std::function<void(std::unique_ptr<weft::link>)> accept_;
    std::map<std::size_t, far_end> ends_;
};

} // namespace

BOOST_AUTO_TEST_SUITE(simulated_queues)

// An answer takes a MiB here, so that there need not be millions of them.
BOOST_AUTO_TEST_CASE(over_the_budget_the_longest_queue_goes_and_its_peer_is_told) {
    sim_timeline all;
    sim_time time(all, 0, 0);
    sim_loop run(all, time);
    sim_random random{random_generator(1)};
    sim_directory directory(fresh_facts(1), "a");
    sim_disk files(directory, run, time, [] { return 0; });
    struct sink final : event_sink {
        void on(const log_event& event) override { events.push_back(event); }
        std::vector<log_event> events;
    } events;
    transport_registry transports(run);
    auto made = std::make_unique<puppet>();
    puppet& links = *made;
    transports.add("puppet", std::move(made));
    replica_options options{.name = "a", .listen = {"puppet:"}};
    options.buffer_bytes_max = limits::buffer_bytes_min;
    auto opened = open_replica({{time, random, files, run, events}, transports, {}}, options);
    BOOST_REQUIRE(opened.has_value());

    std::vector<puppet::far_end*> peers;
    auto says = [&](puppet::far_end& from, const message& what) {
        from.told.on_frame(encode_message(what));
    };
    for (std::uint64_t n = 1; n <= 3; ++n) {
        peers.push_back(&links.connect());
        hello_message hello;
        hello.protocol_min = hello.protocol_max = 1;
        hello.cluster = options.cluster;
        hello.id = replica_id{n};
        hello.name = "p" + std::to_string(n);
        hello.process_nonce = n;
        says(*peers.back(), hello);
    }
    std::size_t most = limits::buffer_share(options.buffer_bytes_max) + limits::frame_bytes_max;
    heartbeat_message ping;
    ping.ping = 1;
    auto queued = [&] {
        std::size_t out = 0;
        for (const auto* one : peers) out += one->closed ? 0 : one->queued_bytes;
        return out;
    };
    // Nobody holds more than a link may, and none is stalled yet: together they do.
    for (int round = 0; !peers[0]->closed; ++round) {
        BOOST_REQUIRE(round < 100);
        for (int i = 0; i < 2 && !peers[0]->closed; ++i) says(*peers[0], ping);
        if (!peers[0]->closed) says(*peers[1], ping);
        if (!peers[0]->closed) says(*peers[2], ping);
        BOOST_TEST(queued() <= most);
    }
    BOOST_TEST(!peers[1]->closed);
    BOOST_TEST(!peers[2]->closed);
    BOOST_REQUIRE(peers[0]->last.has_value());
    const auto* notice = std::get_if<notice_message>(&*peers[0]->last);
    BOOST_REQUIRE(notice != nullptr);
    BOOST_TEST(notice->fatal);
    BOOST_TEST((notice->code == errc::over_limit));
    BOOST_TEST(std::any_of(events.events.begin(), events.events.end(), [](const log_event& e) {
        return e.what == "session.closed" && e.text.find("does not read") != std::string::npos;
    }));
    BOOST_REQUIRE((*opened)->close().has_value());
}

BOOST_AUTO_TEST_SUITE_END()
