#include "bench/peers/redis_server.hpp"

#include <chrono>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <fcntl.h>
#include <fstream>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <thread>
#include <unistd.h>

namespace weft::bench {
namespace {

[[noreturn]] void give_up(const std::string& why) {
    std::fprintf(stderr, "bench: %s\n", why.c_str());
    std::_Exit(1);
}

sockaddr_in loopback(int port) {
    sockaddr_in where{};
    where.sin_family = AF_INET;
    where.sin_port = htons(static_cast<std::uint16_t>(port));
    where.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    return where;
}

int free_port() {
    int probe = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    sockaddr_in where = loopback(0);
    socklen_t size = sizeof where;
    if (bind(probe, reinterpret_cast<sockaddr*>(&where), size) != 0 ||
        getsockname(probe, reinterpret_cast<sockaddr*>(&where), &size) != 0)
        give_up("no free port");
    close(probe);
    return ntohs(where.sin_port);
}

pid_t start(const std::vector<std::string>& command) {
    std::vector<char*> arguments;
    for (const auto& text : command) arguments.push_back(const_cast<char*>(text.c_str()));
    arguments.push_back(nullptr);
    std::fflush(nullptr);
    pid_t child = fork();
    if (child == 0) {
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        int nowhere = open("/dev/null", O_RDWR | O_CLOEXEC);
        dup2(nowhere, STDIN_FILENO);
        dup2(nowhere, STDOUT_FILENO);
        execvp(arguments[0], arguments.data());
        give_up("cannot run " + command[0] + "; ./dev setup peers installs it");
    }
    return child;
}

} // namespace

redis_client::redis_client(int port) : socket_(-1) {
    sockaddr_in where = loopback(port);
    for (int attempt = 0; attempt < 60'000; ++attempt) {
        if (socket_ < 0) {
            socket_ = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
            if (connect(socket_, reinterpret_cast<sockaddr*>(&where), sizeof where) != 0) {
                close(socket_);
                socket_ = -1;
            }
        }
        if (socket_ >= 0) {
            int yes = 1;
            setsockopt(socket_, IPPROTO_TCP, TCP_NODELAY, &yes, sizeof yes);
            if (ask({"PING"}) == "PONG") return; // not while it loads
        }
        std::this_thread::sleep_for(std::chrono::milliseconds(1));
    }
    give_up("redis-server does not answer");
}

redis_client::~redis_client() { close(socket_); }

void redis_client::queue(const std::vector<std::string_view>& command) {
    out_ += '*' + std::to_string(command.size()) + "\r\n";
    for (auto word : command) {
        out_ += '$' + std::to_string(word.size()) + "\r\n";
        out_ += word;
        out_ += "\r\n";
    }
}

void redis_client::flush() {
    std::string_view left = out_;
    while (!left.empty()) {
        ssize_t sent = send(socket_, left.data(), left.size(), MSG_NOSIGNAL);
        if (sent <= 0) give_up("redis-server is gone");
        left.remove_prefix(static_cast<std::size_t>(sent));
    }
    out_.clear();
}

void redis_client::fill() {
    in_.erase(0, read_);
    read_ = 0;
    char buffer[64 << 10];
    ssize_t size = recv(socket_, buffer, sizeof buffer, 0);
    if (size <= 0) give_up("redis-server is gone");
    in_.append(buffer, static_cast<std::size_t>(size));
}

std::string redis_client::line() {
    for (;;) {
        if (auto end = in_.find("\r\n", read_); end != std::string::npos) {
            std::string text = in_.substr(read_, end - read_);
            read_ = end + 2;
            return text;
        }
        fill();
    }
}

std::string redis_client::reply() {
    std::string text = line();
    if (text[0] == '$') {
        long size = std::stol(text.substr(1));
        if (size < 0) return "";
        auto bytes = static_cast<std::size_t>(size);
        while (in_.size() - read_ < bytes + 2) fill();
        text = in_.substr(read_, bytes);
        read_ += bytes + 2;
        return text;
    }
    if (text[0] == '*') {
        std::string all;
        for (long left = std::stol(text.substr(1)); left > 0; --left) all += reply() + " ";
        return all;
    }
    return text.substr(1);
}

std::string redis_client::ask(const std::vector<std::string_view>& command) {
    queue(command);
    flush();
    return reply();
}

double redis_client::info(std::string_view field) {
    std::string all = "\n" + ask({"INFO"});
    auto at = all.find("\n" + std::string(field) + ":");
    return at == std::string::npos ? -1 : std::stod(all.substr(at + field.size() + 2));
}

redis_server::redis_server(const std::filesystem::path& directory,
                           const std::vector<std::string>& more)
    : port_(free_port()) {
    std::filesystem::create_directories(directory);
    std::vector<std::string> command{"redis-server",
                                     "--port",
                                     std::to_string(port_),
                                     "--bind",
                                     "127.0.0.1",
                                     "--dir",
                                     directory.string(),
                                     "--logfile",
                                     "log",
                                     "--save",
                                     "",
                                     "--rdbcompression",
                                     "no",
                                     "--appendonly",
                                     "yes",
                                     "--appendfsync",
                                     "everysec",
                                     "--auto-aof-rewrite-percentage",
                                     "0",
                                     "--repl-diskless-sync-delay",
                                     "0",
                                     "--client-output-buffer-limit",
                                     "replica 0 0 0"};
    command.insert(command.end(), more.begin(), more.end());
    child_ = start(command);
}

redis_server::~redis_server() {
    // It refuses while it is busy, so it is asked until it goes.
    for (int waited_ms = 0; waitpid(child_, nullptr, WNOHANG) == 0; ++waited_ms) {
        if (waited_ms % 100 == 0) kill(child_, SIGTERM);
        std::this_thread::sleep_for(std::chrono::milliseconds(1));
    }
}

double redis_server::rss_bytes() const {
    std::ifstream file("/proc/" + std::to_string(child_) + "/statm");
    double total = 0;
    double resident = 0;
    file >> total >> resident;
    return resident * static_cast<double>(sysconf(_SC_PAGESIZE));
}

void run_program(const std::vector<std::string>& command) {
    int status = 0;
    waitpid(start(command), &status, 0);
    if (status != 0) give_up(command[0] + " failed");
}

} // namespace weft::bench
