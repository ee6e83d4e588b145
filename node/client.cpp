#include "node/client.hpp"

#include "node/http.hpp"
#include "node/json.hpp"

#include <boost/asio/io_context.hpp>
#include <boost/asio/local/stream_protocol.hpp>
#include <boost/beast/core.hpp>
#include <boost/beast/http.hpp>
#include <boost/url.hpp>

#include <chrono>

namespace weft {
namespace net = boost::asio;
namespace beast = boost::beast;
namespace http = beast::http;
namespace json = boost::json;
using boost::system::error_code;

namespace {

using steady = std::chrono::steady_clock;

std::string encoded(std::string_view text) {
    return boost::urls::encode(text, boost::urls::unreserved_chars);
}

errc parse_errc(std::string_view name) {
    for (unsigned at = 0; to_string(static_cast<errc>(at)) != "unknown"; ++at) {
        if (to_string(static_cast<errc>(at)) == name) return static_cast<errc>(at);
    }
    return errc::bad_message;
}

error told(const json::value& answer, unsigned status) {
    const json::object* whole = answer.if_object();
    const json::value* found = whole == nullptr ? nullptr : whole->if_contains("error");
    const json::object* why = found == nullptr ? nullptr : found->if_object();
    if (why == nullptr || !why->contains("code") || !why->contains("detail")) {
        return {errc::bad_message, "the node answers with HTTP status " + std::to_string(status)};
    }
    return {parse_errc(std::string_view(why->at("code").as_string())),
            std::string(why->at("detail").as_string())};
}

} // namespace

std::string target_of(std::initializer_list<std::string_view> path,
                      std::initializer_list<std::pair<std::string_view, std::string_view>> query) {
    std::string out = "/v1";
    for (std::string_view part : path) out += "/" + encoded(part);
    char mark = '?';
    for (const auto& [name, content] : query) {
        if (content.empty()) continue;
        out += std::exchange(mark, '&') + encoded(name) + "=" + encoded(content);
    }
    return out;
}

struct client::state {
    std::string path;
    net::io_context context{1};
    net::local::stream_protocol::socket socket{context};
    beast::flat_buffer buffer;
    steady::time_point last_used;

    result<void> connect() {
        error_code failure;
        socket = net::local::stream_protocol::socket(context);
        buffer.clear();
        socket.connect(path, failure);
        last_used = steady::now();
        if (!failure) return {};
        return fail(errc::unreachable,
                    "no node answers at " + path + " (" + failure.message() +
                        "); start one with 'weft serve --dir DIR', or name the directory "
                        "of a running one with --dir or WEFT_DIR");
    }
    [[nodiscard]] auto lost(const error_code& failure) const {
        return fail(errc::unreachable, "the node at " + path + " went away (" + failure.message() +
                                           "); whether it did what was asked is not known");
    }
    result<void> send(std::string_view method, std::string_view target, std::string body) {
        // The node closes connections that were idle for long.
        if (steady::now() - last_used > std::chrono::seconds(30)) {
            if (auto again = connect(); !again) return again;
        }
        http::request<http::string_body> request{http::string_to_verb(method), target, 11};
        request.set(http::field::host, "localhost");
        request.body() = std::move(body);
        request.prepare_payload();
        error_code failure;
        http::write(socket, request, failure);
        if (failure) return lost(failure);
        return {};
    }
};

client::client(std::unique_ptr<state> owned) : state_(std::move(owned)) {}
client::client(client&&) noexcept = default;
client& client::operator=(client&&) noexcept = default;
client::~client() = default;

result<client> client::connect(const std::string& directory) {
    auto owned = std::make_unique<state>();
    owned->path = directory + "/control.sock";
    if (auto fits = check_socket_path(owned->path); !fits) return fail(fits.error());
    if (auto connected = owned->connect(); !connected) return fail(connected.error());
    return client(std::move(owned));
}

result<json::value> client::ask(std::string_view method, std::string_view target,
                                std::string body) {
    if (auto sent = state_->send(method, target, std::move(body)); !sent) return fail(sent.error());
    http::response_parser<http::string_body> parser;
    parser.body_limit(boost::none);
    error_code failure;
    http::read(state_->socket, state_->buffer, parser, failure);
    if (failure) return state_->lost(failure);
    state_->last_used = steady::now();
    const auto& response = parser.get();
    auto parsed = parse_json(response.body());
    if (response.result() != http::status::ok) {
        return fail(told(parsed ? *parsed : json::value(), response.result_int()));
    }
    if (!parsed) return fail(errc::bad_message, "the node's answer is " + parsed.error().detail);
    return parsed;
}

result<void> client::stream(std::string_view target,
                            const std::function<bool(std::string_view line)>& take) {
    if (auto sent = state_->send("GET", target, {}); !sent) return sent;
    http::response_parser<http::buffer_body> parser;
    parser.body_limit(boost::none);
    error_code failure;
    http::read_header(state_->socket, state_->buffer, parser, failure);
    if (failure) return state_->lost(failure);
    if (parser.get().result() != http::status::ok) {
        return fail(errc::bad_message, "the node answers with HTTP status " +
                                           std::to_string(parser.get().result_int()));
    }
    std::string line;
    char part[16'384];
    while (!parser.is_done()) {
        parser.get().body().data = part;
        parser.get().body().size = sizeof part;
        http::read_some(state_->socket, state_->buffer, parser, failure);
        if (failure && failure != http::error::need_buffer) return state_->lost(failure);
        std::string_view fresh(part, sizeof part - parser.get().body().size);
        for (std::size_t end = 0; (end = fresh.find('\n')) != std::string_view::npos;
             fresh.remove_prefix(end + 1)) {
            line += fresh.substr(0, end);
            if (!take(std::exchange(line, {}))) return {};
        }
        line += fresh;
    }
    return {};
}

} // namespace weft
