#include "transport/asio_loop.hpp"

#include "base/check.hpp"

#include <boost/asio/executor_work_guard.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/steady_timer.hpp>

#include <chrono>
#include <thread>

namespace weft {
namespace net = boost::asio;

struct asio_loop::state {
    net::io_context context;
    net::executor_work_guard<net::io_context::executor_type> work{context.get_executor()};
    std::thread thread;
};

namespace {

// The wait outlives the timer that started it, so both hold what it needs.
class asio_timer final : public timer {
public:
    asio_timer(net::io_context& context, std::function<void()> task)
        : alarm_(std::make_shared<alarm>(context, std::move(task))) {}
    // NOLINTNEXTLINE(bugprone-exception-escape): of lack of memory only, and then it should end
    ~asio_timer() override { cancel(); }

    void set(instant when) override {
        if (when == instant::never()) {
            cancel();
            return;
        }
        std::chrono::steady_clock::time_point at{std::chrono::nanoseconds(when.ns)};
        alarm_->clock.expires_at(at);
        alarm_->clock.async_wait(
            [alarm = alarm_, round = ++alarm_->round](boost::system::error_code failure) {
                // A wait that had ended before it was replaced comes without an error.
                if (!failure && round == alarm->round) alarm->task();
            });
    }

    void cancel() override {
        ++alarm_->round;
        alarm_->clock.cancel();
    }

private:
    struct alarm {
        alarm(net::io_context& context, std::function<void()> what)
            : clock(context), task(std::move(what)) {}

        net::steady_timer clock;
        std::function<void()> task;
        std::uint64_t round = 0;
    };
    std::shared_ptr<alarm> alarm_;
};

} // namespace

asio_loop::asio_loop() : state_(std::make_unique<state>()) {}

// NOLINTNEXTLINE(bugprone-exception-escape): of lack of memory only, and then it should end
asio_loop::~asio_loop() {
    WEFT_CHECK(!in_loop_thread());
    stop();
}

void asio_loop::start() {
    WEFT_CHECK(!state_->thread.joinable());
    state_->thread = std::thread([this] { run(); });
}

void asio_loop::run() { state_->context.run(); }

void asio_loop::stop() {
    post([this] { state_->context.stop(); });
    if (!in_loop_thread() && state_->thread.joinable()) state_->thread.join();
}

void asio_loop::post(std::function<void()> task) { net::post(state_->context, std::move(task)); }

std::unique_ptr<timer> asio_loop::make_timer(std::function<void()> task) {
    return std::make_unique<asio_timer>(state_->context, std::move(task));
}

bool asio_loop::in_loop_thread() const {
    return state_->context.get_executor().running_in_this_thread();
}

net::io_context& context_of(asio_loop& run) { return run.state_->context; }

} // namespace weft
