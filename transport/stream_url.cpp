#include "transport/stream_url.hpp"

#include "transport/registry.hpp"

#include <charconv>

namespace weft {
namespace {

constexpr std::size_t unix_path_bytes_max = 107; // of sockaddr_un

} // namespace

std::string tcp_url(const std::string& host, std::uint16_t port) {
    bool is_v6 = host.find(':') != std::string::npos;
    return "tcp://" + (is_v6 ? "[" + host + "]" : host) + ":" + std::to_string(port);
}

result<host_and_port> parse_tcp(std::string_view url) {
    auto refuse = [&](std::string_view why) {
        return fail(errc::invalid_argument,
                    "\"" + std::string(url) + "\": " + std::string(why) +
                        "; say tcp://host:port, with brackets around an IPv6 address");
    };
    std::string_view rest = url_rest(url);
    auto colon = rest.rfind(':');
    if (colon == std::string_view::npos) return refuse("no port");
    std::string_view host = rest.substr(0, colon);
    std::string_view digits = rest.substr(colon + 1);
    if (host.starts_with('[') && host.ends_with(']')) {
        host = host.substr(1, host.size() - 2);
    } else if (host.find(':') != std::string_view::npos) {
        return refuse("colons in the host");
    }
    if (host.empty() || host.find('/') != std::string_view::npos) return refuse("no host");
    host_and_port out{std::string(host)};
    auto [end, failure] = std::from_chars(digits.data(), digits.data() + digits.size(), out.port);
    if (failure != std::errc() || end != digits.data() + digits.size()) {
        return refuse("the port is not a number from 0 to 65535");
    }
    return out;
}

result<std::string> parse_unix(std::string_view url) {
    std::string path(url_rest(url));
    if (path.empty() || path.size() > unix_path_bytes_max) {
        return fail(errc::invalid_argument,
                    "\"" + std::string(url) + "\": path of " + std::to_string(path.size()) +
                        " bytes; a socket's has 1 to " + std::to_string(unix_path_bytes_max));
    }
    return path;
}

} // namespace weft
