#pragma once
#include "base/result.hpp"

#include <cstdint>
#include <string>
#include <string_view>

// The URLs of tcp: and unix:.
namespace weft {

struct host_and_port {
    std::string host; // without brackets
    std::uint16_t port = 0;
};

// tcp://host:port, with brackets around an IPv6 address.
[[nodiscard]] std::string tcp_url(const std::string& host, std::uint16_t port);
[[nodiscard]] result<host_and_port> parse_tcp(std::string_view url);

// unix:path, of at most 107 bytes.
[[nodiscard]] result<std::string> parse_unix(std::string_view url);

} // namespace weft
