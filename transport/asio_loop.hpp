#pragma once
#include "base/env.hpp"
#include "transport/asio_context.hpp"

namespace weft {

// The real loop: one thread that runs posted tasks, timers and sockets. Timers take instants of
// `system_time`. All that is on the loop (timers, transports, links) is destroyed before it.
class asio_loop final : public loop {
public:
    asio_loop();
    ~asio_loop() override; // stops; not from inside the loop

    void start(); // runs the loop in a thread of its own; once
    void run();   // or in the calling thread, until `stop`

    // Runs what was posted before, then ends; what is posted later stays undone. From inside the
    // loop it only asks; elsewhere it also waits for the thread of `start`.
    void stop();

    void post(std::function<void()> task) override;
    [[nodiscard]] std::unique_ptr<timer> make_timer(std::function<void()> task) override;
    [[nodiscard]] bool in_loop_thread() const override;

private:
    friend boost::asio::io_context& context_of(asio_loop& run);

    struct state;
    std::unique_ptr<state> state_;
};

} // namespace weft
