#pragma once
#include "base/result.hpp"

#include <map>
#include <string>
#include <string_view>
#include <vector>

namespace weft {

// One request, with its URL taken apart and decoded.
struct http_request {
    std::string method;
    std::vector<std::string> path; // "/v1/objects/a%2Fb" is {"v1", "objects", "a/b"}
    std::map<std::string, std::string, std::less<>> query;
    std::string body;

    [[nodiscard]] std::string_view parameter(std::string_view name) const; // empty if absent
};

// Whether HOST, HOST:PORT or [HOST]:PORT can only be reached from this machine: localhost, ::1 or an
// address 127.x.y.z, not a name that begins like one.
[[nodiscard]] bool names_loopback(std::string_view host);

// What a parser of HTTP makes of the bytes.
struct raw_request {
    std::string method;
    std::string target;
    std::string host;   // the header of that name
    std::string origin; // the header of that name
    std::string body;
};

// invalid_argument for a target that is not a path with a query; over TCP also for another Host than this
// machine, and for what a web page asks.
[[nodiscard]] result<http_request> taken_apart(raw_request from, bool over_tcp);

} // namespace weft
