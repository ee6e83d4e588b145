#include "bench/support/process.hpp"

#include <csignal>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

namespace weft::bench {
namespace {

bool read_all(int socket, void* into, std::size_t size) {
    return size == 0 || recv(socket, into, size, MSG_WAITALL) == static_cast<ssize_t>(size);
}

[[noreturn]] void alone() {
    std::fprintf(stderr, "bench: the other process ended\n");
    std::_Exit(1);
}

} // namespace

void channel::tell(std::string_view text) const {
    auto size = static_cast<std::uint32_t>(text.size());
    std::string message(reinterpret_cast<const char*>(&size), sizeof size);
    message += text;
    if (send(socket_, message.data(), message.size(), MSG_NOSIGNAL) < 0) alone();
}

void channel::tell(double number) const {
    tell(std::string_view(reinterpret_cast<const char*>(&number), sizeof number));
}

std::string channel::hear() const {
    std::uint32_t size = 0;
    if (!read_all(socket_, &size, sizeof size)) alone();
    std::string text(size, '\0');
    if (!read_all(socket_, text.data(), size)) alone();
    return text;
}

double channel::hear_number() const {
    std::string text = hear();
    double number = 0;
    std::memcpy(&number, text.data(), sizeof number);
    return number;
}

void channel::wait_for_end() const {
    char byte = 0;
    while (recv(socket_, &byte, 1, 0) > 0) {
    }
}

process::process(const std::function<void(channel)>& body) {
    int ends[2];
    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) != 0) std::abort();
    std::fflush(nullptr); // or the child prints it again
    child_ = fork();
    if (child_ == 0) {
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        close(ends[0]);
        body(channel(ends[1]));
        std::_Exit(0);
    }
    close(ends[1]);
    socket_ = ends[0];
}

process::~process() {
    shutdown(socket_, SHUT_RDWR); // later children hold a copy, which close() would leave open
    close(socket_);
    waitpid(child_, nullptr, 0);
}

} // namespace weft::bench
