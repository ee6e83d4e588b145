#include "base/limits.hpp"
#include "node/api.hpp"
#include "node/commands.hpp"
#include "node/http.hpp"
#include "node/terminal.hpp"
#include "recovery/restart.hpp"

#include <array>
#include <chrono>
#include <csignal>
#include <cstdio>
#include <filesystem>
#include <unistd.h>

namespace weft {
namespace {

// One line: time, level, what, text.
void print_event(const log_event& event) {
    constexpr std::array levels = {"debug", "info", "warning", "error"};
    if (event.level == severity::debug) return;
    auto now = std::chrono::duration_cast<std::chrono::milliseconds>(
        std::chrono::system_clock::now().time_since_epoch());
    std::string stamp = to_string(hlc::at_ms(static_cast<std::uint64_t>(now.count())));
    std::string line = stamp.substr(0, stamp.find('+')) + " " +
                       levels.at(static_cast<std::size_t>(event.level)) + " " + event.what + " " +
                       event.text;
    say_error(line);
}

std::string default_name(const std::string& dir) {
    std::array<char, 256> host{};
    ::gethostname(host.data(), host.size() - 1);
    auto folder = std::filesystem::absolute(dir).lexically_normal();
    if (!folder.has_filename()) folder = folder.parent_path();
    std::string out = std::string(host.data()) + "-" + folder.filename().string();
    return out.substr(0, limits::name_bytes_max);
}

// What others reach needs TLS, which comes with tls: links.
result<void> check_listen(const std::string& url) {
    if (url_scheme(url) != "tcp" || names_loopback(url_rest(url))) return {};
    return fail(errc::invalid_argument,
                "--listen " + url +
                    " can be reached from other machines, and tcp: neither encrypts nor asks "
                    "who is there; listen on 127.0.0.1, or add --insecure-listen if the "
                    "network is private");
}

int refuse(const error& why) {
    int status = complain(why);
    return why.code == errc::invalid_argument ? wrong_usage : status;
}

} // namespace

int run(const serve_command& given) {
    // Every thread is to leave these to this one.
    sigset_t stops;
    sigemptyset(&stops);
    sigaddset(&stops, SIGTERM);
    sigaddset(&stops, SIGINT);
    pthread_sigmask(SIG_BLOCK, &stops, nullptr);

    replica_options options = given.options;
    if (options.name.empty()) options.name = default_name(given.dir);
    for (const std::string& url : options.listen) {
        auto safe = check_listen(url);
        if (!safe && !given.insecure_listen) return refuse(safe.error());
    }
    std::string control = given.dir + "/control.sock";
    if (auto fits = check_socket_path(control); !fits) return refuse(fits.error());

    if (given.repair) {
        auto report = repair_replica(given.dir, options);
        if (!report && report.error().code != errc::not_found) return refuse(report.error());
        if (report && (report->needed || !report->regained.empty())) {
            for (const std::string& line : describe(*report))
                print_event({severity::warning, "repair.done", line});
        }
    }
    auto opened = open_replica(given.dir, options, print_event);
    if (!opened) return refuse(opened.error());
    replica& node = **opened;
    api routes(node);
    auto server = http_server::open(
        routes, {control, given.http, limits::buffer_share(options.buffer_bytes_max)});
    if (!server) return refuse(server.error());

    std::string listening;
    for (const std::string& url : node.listening())
        listening += (listening.empty() ? "" : ", ") + url;
    std::string http = (*server)->tcp_url();
    say("ready: " + options.name + " (" + to_string(node.id()) + ") of cluster " + options.cluster +
        ", listening on " + (listening.empty() ? "nothing" : listening) + ", control socket " +
        control + (http.empty() ? "" : ", ") + http);
    std::fflush(stdout);

    int signal = 0;
    sigwait(&stops, &signal);
    // Another one does not wait for a clean stop.
    std::signal(SIGTERM, SIG_DFL);
    std::signal(SIGINT, SIG_DFL);
    pthread_sigmask(SIG_UNBLOCK, &stops, nullptr);
    print_event(
        {severity::info, "node.stopping", "a signal asks to stop; another one stops at once"});
    auto closed = node.close();
    server->reset();
    return closed ? done : complain(closed.error());
}

} // namespace weft
