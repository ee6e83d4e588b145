#include "transport/registry.hpp"

#include "base/check.hpp"

namespace weft {

std::string_view url_scheme(std::string_view url) {
    auto colon = url.find(':');
    return colon == std::string_view::npos ? std::string_view() : url.substr(0, colon);
}

std::string_view url_rest(std::string_view url) {
    auto colon = url.find(':');
    if (colon == std::string_view::npos) return url;
    url.remove_prefix(colon + 1);
    if (url.starts_with("//")) url.remove_prefix(2);
    return url;
}

void transport_registry::add(std::string scheme, std::unique_ptr<transport> how) {
    WEFT_CHECK(how != nullptr);
    transports_.insert_or_assign(std::move(scheme), std::move(how));
}

result<transport*> transport_registry::find(std::string_view url) const {
    auto found = transports_.find(url_scheme(url));
    if (found != transports_.end()) return found->second.get();
    std::string known;
    for (const auto& [scheme, how] : transports_) known += (known.empty() ? "" : ", ") + scheme;
    return fail(errc::invalid_argument, "\"" + std::string(url) +
                                            "\": no transport for this scheme; known are: " +
                                            (known.empty() ? "none" : known));
}

result<std::unique_ptr<listener>>
transport_registry::listen(std::string_view url,
                           std::function<void(std::unique_ptr<link>)> on_link) {
    auto how = find(url);
    if (!how) return fail(how.error());
    return (*how)->listen(url, std::move(on_link));
}

void transport_registry::dial(std::string_view url, std::uint32_t timeout_ms,
                              std::function<void(result<std::unique_ptr<link>>)> done) {
    auto how = find(url);
    if (how) {
        (*how)->dial(url, timeout_ms, std::move(done));
        return;
    }
    run_.post([alive = std::weak_ptr<void>(alive_), done = std::move(done), why = how.error()] {
        if (!alive.expired()) done(fail(why));
    });
}

result<void> transport_registry::check(std::string_view url) const {
    auto how = find(url);
    if (!how) return fail(how.error());
    return {};
}

} // namespace weft
