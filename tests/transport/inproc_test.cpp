#include "base/check.hpp"
#include "tests/conformance/link_suite.hpp"
#include "transport/asio_loop.hpp"
#include "transport/inproc.hpp"

#include <boost/test/unit_test.hpp>

#include <deque>
#include <future>

namespace weft::tests {

namespace {

// The simplest loop there is: what a simulation makes of `post`.
class queue_loop final : public loop {
public:
    void post(std::function<void()> task) override { tasks_.push_back(std::move(task)); }
    std::unique_ptr<timer> make_timer(std::function<void()>) override {
        WEFT_CHECK(false); // links inside a process need none
    }
    bool in_loop_thread() const override { return true; }

    bool run_one() {
        if (tasks_.empty()) return false;
        auto task = std::move(tasks_.front());
        tasks_.pop_front();
        task();
        return true;
    }

private:
    std::deque<std::function<void()>> tasks_;
};

class inproc_rig final : public link_rig {
public:
    std::unique_ptr<transport> make_transport() override {
        return make_inproc_transport(run_, hub_);
    }
    std::string free_url() override { return "inproc:replica-" + std::to_string(++names_); }
    std::string deaf_url() override { return "inproc:nobody"; }
    std::vector<std::string> malformed_urls() override { return {"inproc:", "inproc://"}; }
    bool turn() override { return run_.run_one(); }

private:
    queue_loop run_;
    inproc_hub hub_;
    int names_ = 0;
};

const bool registered =
    register_link_suite("inproc", [] { return std::make_unique<inproc_rig>(); });

} // namespace

BOOST_AUTO_TEST_SUITE(inproc_links)

BOOST_AUTO_TEST_CASE(two_threads_exchange_frames_until_one_side_ends) {
    constexpr std::size_t frames = 10'000;
    inproc_hub hub;
    asio_loop near;
    asio_loop far;
    auto dialer = make_inproc_transport(near, hub);
    auto host = make_inproc_transport(far, hub);
    std::unique_ptr<listener> accepting;
    std::unique_ptr<link> echo;
    std::unique_ptr<link> mine;
    std::size_t echoed = 0;
    std::promise<void> closed;

    far.start();
    std::promise<void> listening;
    far.post([&] {
        auto made = host->listen("inproc:echo", [&](std::unique_ptr<link> fresh) {
            echo = std::move(fresh);
            echo->start({.on_frame =
                             [&](bytes body) {
                                 echo->send(std::move(body));
                                 if (++echoed == frames) echo.reset();
                             },
                         .on_drained = [] {},
                         .on_closed = [](const error&) {}});
        });
        accepting = std::move(*made);
        listening.set_value();
    });
    listening.get_future().wait();

    std::size_t received = 0;
    near.post([&] {
        dialer->dial("inproc:echo", 1'000, [&](result<std::unique_ptr<link>> outcome) {
            mine = std::move(*outcome);
            mine->start({.on_frame = [&](const bytes&) { ++received; },
                         .on_drained = [] {},
                         .on_closed = [&](const error&) { closed.set_value(); }});
            for (std::size_t i = 0; i < frames; ++i) mine->send(bytes(i % 100));
        });
    });
    near.start();
    closed.get_future().wait();
    near.stop();
    far.stop();
    BOOST_TEST(received == frames);
}

BOOST_AUTO_TEST_SUITE_END()

} // namespace weft::tests
