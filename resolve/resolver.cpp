#include "resolve/resolver.hpp"

#include "base/limits.hpp"

#include <exception>

namespace weft {
namespace {

std::optional<error> too_large(const conflict& what) {
    std::size_t bytes = 0;
    for (const sibling& s : what.siblings) bytes += s.content ? s.content->content_bytes() : 0;
    if (what.siblings.size() > limits::siblings_max) {
        return error{errc::over_limit, std::to_string(what.siblings.size()) + " siblings, limit " +
                                           std::to_string(limits::siblings_max)};
    }
    if (bytes > limits::sibling_bytes_max) {
        return error{errc::over_limit, "siblings of " + std::to_string(bytes) + " bytes, limit " +
                                           std::to_string(limits::sibling_bytes_max)};
    }
    return std::nullopt;
}

// A user's function may throw; here nothing does.
result<std::optional<reading>> ask(const strategy& who, const conflict& what) {
    try {
        return who.resolve(what);
    } catch (const std::exception& thrown) {
        return fail(errc::aborted, "it threw: " + std::string(thrown.what()));
    } catch (...) {
        return fail(errc::aborted, "it threw what is no std::exception");
    }
}

} // namespace

decision resolver::resolve(const conflict& what) const {
    decision out;
    out.strategy = "manual";
    if (auto limit = too_large(what)) {
        out.failed.push_back(std::move(*limit));
        return out;
    }
    for (const strategy& each : chain_) {
        auto made = ask(each, what);
        if (!made) {
            out.failed.push_back({made.error().code, each.name + ": " + made.error().detail});
        } else if (*made) {
            out.read = std::move(**made);
            out.strategy = each.name;
            return out;
        }
    }
    return out;
}

std::string resolver::name() const {
    std::string out;
    for (const strategy& each : chain_) out += (out.empty() ? "" : " > ") + each.name;
    return out.empty() ? "manual" : out;
}

} // namespace weft
