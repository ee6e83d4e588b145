#pragma once
#include <filesystem>
#include <string>
#include <string_view>
#include <sys/types.h>
#include <vector>

namespace weft::bench {

// A connection to a Redis server, as little as the benchmarks need. Ends the program when the server does.
class redis_client {
public:
    explicit redis_client(int port); // waits until the server answers, having loaded its data
    ~redis_client();
    redis_client(const redis_client&) = delete;
    redis_client& operator=(const redis_client&) = delete;

    void queue(const std::vector<std::string_view>& command);
    void flush();
    // The next answer, or message of a subscription: text or number as it is, a list with spaces between.
    [[nodiscard]] std::string reply();
    [[nodiscard]] std::string ask(const std::vector<std::string_view>& command);
    // That field of INFO, as a number; -1 if there is none.
    [[nodiscard]] double info(std::string_view field);

private:
    [[nodiscard]] std::string line();
    void fill();

    int socket_;
    std::string out_;
    std::string in_;
    std::size_t read_ = 0; // of in_
};

// redis-server, in a directory and on a port of its own. Everything in an append-only file, made durable
// every second; no snapshot but those asked for, nothing rewritten and no replica dropped meanwhile.
class redis_server {
public:
    redis_server(const std::filesystem::path& directory, const std::vector<std::string>& more = {});
    ~redis_server(); // stops it cleanly and waits
    redis_server(const redis_server&) = delete;
    redis_server& operator=(const redis_server&) = delete;

    [[nodiscard]] int port() const { return port_; }
    [[nodiscard]] double rss_bytes() const;

private:
    int port_ = 0;
    pid_t child_ = -1;
};

// Runs a program to its end, silently. Ends this one if it fails.
void run_program(const std::vector<std::string>& command);

} // namespace weft::bench
