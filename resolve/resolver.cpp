#include "resolve/resolver.hpp"

#include "base/limits.hpp"

#include <algorithm>
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

// Why readers cannot be given that; nothing if they can. It obeys what a write must.
std::optional<error> wrong(const reading& made) {
    if (made.values.size() > limits::siblings_max) {
        return error{errc::over_limit, "it returned " + std::to_string(made.values.size()) +
                                           " values, limit " +
                                           std::to_string(limits::siblings_max)};
    }
    std::size_t bytes = 0;
    for (const value& v : made.values) {
        if (!is_present(v)) return error{errc::wrong_type, "it returned absent as a value"};
        if (auto text = v.as_text(); text && !is_utf8(*text))
            return error{errc::invalid_argument, "it returned text that is not UTF-8"};
        std::size_t size = v.content_bytes();
        bytes += size;
        std::size_t limit =
            size > limits::value_bytes_max ? limits::value_bytes_max : limits::sibling_bytes_max;
        if (size <= limits::value_bytes_max && bytes <= limit) continue;
        return error{errc::over_limit, "it returned " + std::to_string(std::max(size, bytes)) +
                                           " bytes, limit " + std::to_string(limit)};
    }
    return std::nullopt;
}

// A user's function may throw, and return anything; here nothing does.
result<std::optional<reading>> ask(const strategy& who, const conflict& what) {
    try {
        auto made = who.resolve(what);
        if (!made || !*made) return made;
        if (auto why = wrong(**made)) return fail(std::move(*why));
        return made;
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
            out.failed.push_back(
                {made.error().code, presentable(each.name + ": " + made.error().detail,
                                                limits::strategy_says_bytes_max)});
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
