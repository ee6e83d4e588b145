#pragma once
#include "node/http_request.hpp"
#include "replica/replica.hpp"

#include <boost/json.hpp>

#include <atomic>
#include <charconv>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace weft {

struct http_response {
    unsigned status = 200;
    std::string body; // JSON, one line
};

[[nodiscard]] http_response ok(const boost::json::value& content);
[[nodiscard]] http_response refusal(const error& why);
[[nodiscard]] http_response refusal(unsigned status, const error& why);

// A parameter that is a whole number of 0 or more, or `absent` if it is not there.
template <class Number>
[[nodiscard]] result<Number> number(std::string_view name, std::string_view text, Number absent) {
    if (text.empty()) return absent;
    Number out{};
    auto read = std::from_chars(text.data(), text.data() + text.size(), out);
    if (read.ec == std::errc() && read.ptr == text.data() + text.size() && out >= 0) return out;
    return fail(errc::invalid_argument,
                std::string(name) + " must be a whole number, not '" + std::string(text) + "'");
}

// "memory", "disk", "replicated=3", "majority".
[[nodiscard]] std::optional<ack_level> parse_ack(std::string_view text);

// What docs/operations.md lists under "HTTP": the routes, on one replica. One thread.
class api {
public:
    using reply_function = std::function<void(http_response)>;

    explicit api(replica& node) : node_(node) {}

    // Calls `reply` once, perhaps before it returns, perhaps later and from another thread.
    void answer(const http_request& request, const reply_function& reply);

    // GET /v1/watch, whose answer has no end: `tell` is called on the replica's loop, and watch_lines makes
    // lines of what it gets; or `tell_line`, with a line, if conflicts are watched.
    [[nodiscard]] static bool is_watch(const http_request& request);
    [[nodiscard]] result<subscription_id> watch(const http_request& request, change_callback tell,
                                                std::function<void(std::string line)> tell_line);
    void unwatch(subscription_id id) { node_.unsubscribe(id); }

    // Of bodies being read, answers and what watchers have not taken; whoever serves counts them here.
    std::shared_ptr<std::atomic<std::size_t>> buffered_bytes =
        std::make_shared<std::atomic<std::size_t>>(0);

private:
    struct awaited { // what the answer to a write waits for
        ack_level level;
        std::int64_t timeout_ms = 30'000;
    };

    [[nodiscard]] http_response status() const;
    [[nodiscard]] http_response keys(const http_request& request) const;
    [[nodiscard]] http_response object_at(const http_request& request) const;
    [[nodiscard]] http_response link(const http_request& request);
    [[nodiscard]] http_response conflicts(const http_request& request) const;
    [[nodiscard]] http_response conflicts_at(const http_request& request) const;
    [[nodiscard]] http_response
    page_of_conflicts(const http_request& request, const conflict_index::place& first,
                      const std::function<bool(const conflict_index::place&)>& within) const;
    void resolve(const http_request& request, const reply_function& reply);
    void audit(const http_request& request, const reply_function& reply);
    void snapshot(const reply_function& reply);
    void verify(const http_request& request, const reply_function& reply);
    void write(const http_request& request, std::string_view operations,
               const reply_function& reply);
    void take_lines(const http_request& request, const reply_function& reply);
    void acknowledge(awaited wanted, http_response then, const reply_function& reply);
    [[nodiscard]] result<awaited> awaited_by(const http_request& request) const;

    replica& node_;
    std::optional<commit> last_; // of the changes made here; waiting for it is waiting for all
};

} // namespace weft
