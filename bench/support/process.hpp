#pragma once
#include <functional>
#include <string>
#include <string_view>
#include <sys/types.h>

namespace weft::bench {

// One end of a line between two processes. Messages arrive in order.
class channel {
public:
    explicit channel(int socket) : socket_(socket) {}

    void tell(std::string_view text) const;
    void tell(double number) const;
    [[nodiscard]] std::string hear() const;   // ends this process if the other one ended
    [[nodiscard]] double hear_number() const; // as `hear`
    void wait_for_end() const;                // of the other end

private:
    int socket_;
};

// A second process, for what must not share an allocator or an address space with this one: replicas that
// a row calls two, and memory that is measured. It is a fork, so begin it while this process has no
// other thread; it ends with `body`.
class process {
public:
    explicit process(const std::function<void(channel)>& body);
    ~process(); // closes the line, and waits for its end
    process(const process&) = delete;
    process& operator=(const process&) = delete;

    [[nodiscard]] channel line() const { return channel(socket_); }

private:
    int socket_ = -1;
    pid_t child_ = -1;
};

} // namespace weft::bench
