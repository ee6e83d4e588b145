#include "node/http_request.hpp"

#include <boost/url.hpp>

#include <array>
#include <charconv>

namespace weft {

std::string_view http_request::parameter(std::string_view name) const {
    auto found = query.find(name);
    return found == query.end() ? std::string_view() : found->second;
}

bool names_loopback(std::string_view host) {
    if (host.starts_with('[')) return host.substr(0, host.find(']') + 1) == "[::1]";
    host = host.substr(0, host.find(':'));
    if (host == "localhost") return true;
    std::array<unsigned, 4> parts{};
    for (std::size_t i = 0; i < 4; ++i) {
        if (i > 0 && !host.starts_with('.')) return false;
        if (i > 0) host.remove_prefix(1);
        auto [end, bad] = std::from_chars(host.data(), host.data() + host.size(), parts[i]);
        if (bad != std::errc() || parts[i] > 255) return false;
        host.remove_prefix(static_cast<std::size_t>(end - host.data()));
    }
    return host.empty() && parts[0] == 127;
}

result<http_request> taken_apart(raw_request from, bool over_tcp) {
    if (over_tcp && !names_loopback(from.host)) {
        return fail(errc::invalid_argument, "the Host header must name this machine");
    }
    if (over_tcp && !from.origin.empty()) {
        return fail(errc::invalid_argument, "requests of web pages are not answered");
    }
    auto url = boost::urls::parse_origin_form(from.target);
    if (!url)
        return fail(errc::invalid_argument, "the request's target is not a path with a query");
    http_request out;
    out.method = std::move(from.method);
    for (const auto& segment : url->segments()) out.path.push_back(segment);
    for (const auto& parameter : url->params()) out.query[parameter.key] = parameter.value;
    out.body = std::move(from.body);
    return out;
}

} // namespace weft
