#include "node/http.hpp"

#include "base/limits.hpp"
#include "node/config.hpp"

#include <boost/asio.hpp>
#include <boost/beast/core.hpp>
#include <boost/beast/http.hpp>
#include <boost/url.hpp>

#include <atomic>
#include <charconv>
#include <memory>
#include <mutex>
#include <sstream>
#include <sys/stat.h>
#include <thread>
#include <unistd.h>

namespace weft {
namespace net = boost::asio;
namespace beast = boost::beast;
namespace http = beast::http;
using boost::system::error_code;

namespace {

using any_stream = beast::basic_stream<net::generic::stream_protocol>;
using string_response = http::response<http::string_body>;
constexpr auto quietly = net::as_tuple(net::use_awaitable);
constexpr auto idle = std::chrono::milliseconds(limits::http_idle_ms_max);
constexpr auto silence = std::chrono::milliseconds(limits::http_silence_ms_max);
constexpr auto stall = std::chrono::milliseconds(limits::http_stall_ms_max);

// The share of the memory budget: half of it for large bodies, half for what watchers have not taken.
struct buffers {
    std::size_t bytes_max = 0;
    std::shared_ptr<std::atomic<std::size_t>> bytes; // all of it
    std::atomic<std::size_t> watching_bytes = 0;
    std::size_t large_bodies = 0;

    [[nodiscard]] std::size_t large_bodies_max() const {
        return bytes_max / 2 / limits::http_body_bytes_max;
    }
};

// Where the replica's loop leaves something for a coroutine of the server, and wakes it. Both hold it, and
// the coroutine and its server may be gone first: the replica answers whoever waits when it is closed.
class mailbox : public std::enable_shared_from_this<mailbox> {
public:
    explicit mailbox(net::io_context& context)
        : alarm_(
              std::make_unique<net::steady_timer>(context, net::steady_timer::time_point::max())) {}

    // From any thread.
    void wake() {
        std::lock_guard hold(lock_);
        if (!alarm_) return;
        net::post(alarm_->get_executor(), [self = shared_from_this()] {
            if (self->alarm_) self->alarm_->cancel();
        });
    }
    // The rest is the coroutine's.
    net::awaitable<void> woken() { co_await alarm_->async_wait(quietly); }
    void leave() {
        std::lock_guard hold(lock_);
        alarm_.reset();
    }

private:
    std::mutex lock_;
    std::unique_ptr<net::steady_timer> alarm_; // null when nobody waits here any more
};

// A coroutine's own mailbox, which it leaves when it ends.
template <class Mailbox>
class rented {
public:
    template <class... More>
    explicit rented(net::io_context& context, More... more)
        : box_(std::make_shared<Mailbox>(context, std::move(more)...)) {}
    rented(const rented&) = delete;
    rented& operator=(const rented&) = delete;
    ~rented() { box_->leave(); }
    Mailbox* operator->() const { return box_.get(); }
    [[nodiscard]] const std::shared_ptr<Mailbox>& shared() const { return box_; }

private:
    std::shared_ptr<Mailbox> box_;
};

struct answer_box : mailbox {
    using mailbox::mailbox;
    http_response response;
    std::atomic<bool> arrived = false; // after that `response` is the coroutine's
};

// Lines for one watcher that it has not taken yet.
struct watcher : mailbox {
    watcher(net::io_context& context, std::shared_ptr<buffers> all)
        : mailbox(context), counted(std::move(all)) {}
    watcher(const watcher&) = delete;
    watcher& operator=(const watcher&) = delete;
    ~watcher() { count(0); }

    void put(const std::string& lines) {
        {
            std::lock_guard hold(lock);
            if (too_slow) return;
            bool was_empty = pending.empty();
            too_slow =
                !was_empty && (pending.size() + lines.size() > limits::watch_bytes_max ||
                               counted->watching_bytes + lines.size() > counted->bytes_max / 2);
            if (!too_slow) pending += lines;
            count(pending.size() + in_flight);
            if (!was_empty) return; // whoever takes is awake
        }
        wake();
    }
    void count(std::size_t now) {
        counted->watching_bytes += now - counted_bytes;
        *counted->bytes += now - counted_bytes;
        counted_bytes = now;
    }
    // What was taken before is sent.
    std::string take() {
        std::lock_guard hold(lock);
        std::string out = std::exchange(pending, {});
        in_flight = out.size();
        count(in_flight);
        if (out.empty() && too_slow) {
            out = refusal({errc::over_limit,
                           "the watcher is too slow: more than " +
                               std::to_string(limits::watch_bytes_max >> 20U) +
                               " MiB wait for it, or for all more than the budget for buffers "
                               "allows; read faster, or watch a prefix"})
                      .body;
            gone = true;
        }
        return out;
    }

    std::mutex lock;
    std::shared_ptr<buffers> counted;
    std::size_t counted_bytes = 0;
    std::string pending;
    std::size_t in_flight = 0;
    bool too_slow = false;
    bool gone = false; // nothing more is to be written; the coroutine's
};

result<http_request> taken_apart(http::request<http::string_body> from, bool over_tcp) {
    if (over_tcp && !names_loopback(from[http::field::host])) {
        return fail(errc::invalid_argument, "the Host header must name this machine");
    }
    if (over_tcp && !from[http::field::origin].empty()) {
        return fail(errc::invalid_argument, "requests of web pages are not answered");
    }
    auto url = boost::urls::parse_origin_form(from.target());
    if (!url)
        return fail(errc::invalid_argument, "the request's target is not a path with a query");
    http_request out;
    out.method = from.method_string();
    for (const auto& segment : url->segments()) out.path.push_back(segment);
    for (const auto& parameter : url->params()) out.query[parameter.key] = parameter.value;
    out.body = std::move(from.body());
    return out;
}

string_response made(const http_response& from, bool keep_alive) {
    string_response out{http::int_to_status(from.status), 11};
    out.set(http::field::content_type, "application/json");
    out.keep_alive(keep_alive);
    out.body() = from.body;
    out.prepare_payload();
    return out;
}

http_response refusal_of(const error_code& failure) {
    if (failure == http::error::body_limit) {
        return refusal(413, {errc::over_limit, "a body holds at most " +
                                                   std::to_string(limits::http_body_bytes_max) +
                                                   " bytes"});
    }
    if (failure == http::error::header_limit) {
        return refusal(431, {errc::over_limit, "the header is too long"});
    }
    return refusal(400, {errc::invalid_argument, "not HTTP: " + failure.message()});
}

error io_error(const std::string& what, const error_code& failure) {
    return {errc::io_failed, what + ": " + failure.message()};
}

result<net::ip::tcp::endpoint> loopback_endpoint(std::string_view text) {
    auto wrong = [&](std::string_view why) {
        return fail(errc::invalid_argument, "--http " + std::string(text) + ": " +
                                                std::string(why) +
                                                "; give 127.0.0.1:PORT or [::1]:PORT");
    };
    std::size_t colon = text.rfind(':');
    if (colon == std::string_view::npos) return wrong("no port");
    std::string host(text.substr(0, colon));
    if (host.starts_with('[') && host.ends_with(']')) host = host.substr(1, host.size() - 2);
    if (host == "localhost") host = "127.0.0.1";
    unsigned port = 0;
    std::string_view digits = text.substr(colon + 1);
    auto read = std::from_chars(digits.data(), digits.data() + digits.size(), port);
    if (digits.empty() || read.ptr != digits.data() + digits.size() || port > 65'535) {
        return wrong("not a port");
    }
    error_code failure;
    auto address = net::ip::make_address(host, failure);
    if (failure) return wrong("not an address");
    if (!address.is_loopback()) return wrong("only loopback is served without authentication");
    return net::ip::tcp::endpoint(address, static_cast<std::uint16_t>(port));
}

} // namespace

result<void> check_socket_path(const std::string& path) {
    if (path.size() <= socket_path_bytes_max) return {};
    return fail(errc::invalid_argument,
                "the control socket's path " + path + " has " + std::to_string(path.size()) +
                    " bytes, and the system allows " + std::to_string(socket_path_bytes_max) +
                    "; give a shorter --dir, for example a symbolic link to it");
}

struct http_server::state {
    state(api& to, std::size_t bytes_max)
        : routes(to), counted(std::make_shared<buffers>(bytes_max, to.buffered_bytes)) {}

    result<void> listen_unix(const std::string& path);
    result<void> listen_tcp(const std::string& where);
    void start();
    template <class Acceptor>
    net::awaitable<void> accept(Acceptor* from, bool from_tcp);

    api& routes;
    net::io_context context{1};
    std::unique_ptr<net::local::stream_protocol::acceptor> control;
    std::unique_ptr<net::ip::tcp::acceptor> tcp;
    std::string control_path;
    std::size_t over_control = 0; // connections: those over TCP cannot keep the owner out
    std::size_t over_tcp = 0;
    std::shared_ptr<buffers> counted;
    std::thread thread;
};

namespace {

// One client's connection; lives as long as `talk` runs.
class connection {
public:
    connection(net::generic::stream_protocol::socket socket, bool over_tcp, api& routes,
               net::io_context& context, std::size_t& connections, std::shared_ptr<buffers> shared)
        : stream_(std::move(socket)), over_tcp_(over_tcp), routes_(routes), context_(context),
          connections_(connections), buffers_(std::move(shared)) {
        ++connections_;
    }
    connection(const connection&) = delete;
    connection& operator=(const connection&) = delete;
    ~connection() {
        done_with_body();
        --connections_;
    }

    // Answers one request after the other until either side has enough.
    net::awaitable<void> talk();

private:
    net::awaitable<error_code> read();
    net::awaitable<void> room_for_body();
    void done_with_body();
    net::awaitable<http_response> answer(http_request request);
    net::awaitable<void> watch(http_request request);

    any_stream stream_;
    bool over_tcp_;
    api& routes_;
    net::io_context& context_;
    std::size_t& connections_;
    std::shared_ptr<buffers> buffers_;
    bool asked_before_ = false;  // something
    bool large_body_ = false;    // of this request: it has its place among the few …
    std::size_t body_bytes_ = 0; // … and this is counted for it
    beast::flat_buffer buffer_;
    std::unique_ptr<http::request_parser<http::string_body>> parser_; // of the request under way
};

net::awaitable<void> connection::talk() {
    for (bool more = true; more;) {
        error_code failure = co_await read();
        http_response response;
        if (failure) {
            bool spoke =
                failure.category() == make_error_code(http::error::body_limit).category() &&
                failure != http::error::end_of_stream && failure != http::error::partial_message;
            if (!spoke) break;
            response = refusal_of(failure);
            more = false;
        } else {
            more = parser_->get().keep_alive();
            auto request = taken_apart(parser_->release(), over_tcp_);
            if (request && api::is_watch(*request)) {
                done_with_body();
                co_await watch(std::move(*request));
                break;
            }
            if (request) {
                response = co_await answer(std::move(*request));
            } else {
                response = refusal(over_tcp_ ? 403 : 400, request.error());
            }
        }
        done_with_body();
        asked_before_ = true;
        string_response out = made(response, more);
        stream_.expires_after(idle);
        auto [unsent, size] = co_await http::async_write(stream_, out, quietly);
        if (unsent) break;
    }
    error_code ignored;
    stream_.socket().shutdown(net::socket_base::shutdown_both, ignored);
}

net::awaitable<error_code> connection::read() {
    parser_ = std::make_unique<http::request_parser<http::string_body>>();
    auto& parser = *parser_;
    parser.header_limit(limits::http_header_bytes_max);
    parser.body_limit(limits::http_body_bytes_max);
    stream_.expires_after(asked_before_ ? idle : silence);
    auto [failure, header_size] =
        co_await http::async_read_header(stream_, buffer_, parser, quietly);
    if (failure || parser.is_done()) co_return failure;
    co_await room_for_body();
    stream_.expires_after(idle);
    if (beast::iequals(parser.get()[http::field::expect], "100-continue")) {
        static constexpr std::string_view go_on = "HTTP/1.1 100 Continue\r\n\r\n";
        auto text = net::buffer(go_on);
        auto [unsent, size] = co_await net::async_write(stream_, text, quietly);
        if (unsent) co_return unsent;
    }
    auto [broken, size] = co_await http::async_read(stream_, buffer_, parser, quietly);
    co_return broken;
}

// Large bodies come in one after the other where the budget allows no more: until then they stay with
// their senders.
net::awaitable<void> connection::room_for_body() {
    auto stated = parser_->content_length();
    std::size_t size = std::min<std::size_t>(stated.value_or(limits::http_body_bytes_max),
                                             limits::http_body_bytes_max);
    if (size > limits::http_large_body_bytes) {
        net::steady_timer pause(context_);
        while (buffers_->large_bodies >= buffers_->large_bodies_max()) {
            pause.expires_after(std::chrono::milliseconds(10));
            co_await pause.async_wait(quietly);
        }
        ++buffers_->large_bodies;
        large_body_ = true;
    }
    body_bytes_ = size;
    *buffers_->bytes += size;
}

void connection::done_with_body() {
    if (std::exchange(large_body_, false)) --buffers_->large_bodies;
    *buffers_->bytes -= std::exchange(body_bytes_, 0);
}

net::awaitable<http_response> connection::answer(http_request request) {
    rented<answer_box> box(context_);
    routes_.answer(request, [box = box.shared()](http_response response) {
        box->response = std::move(response);
        box->arrived = true;
        box->wake();
    });
    request.body = {}; // whatever is waited for now, the body is not needed for it
    done_with_body();
    while (!box->arrived) co_await box->woken();
    co_return std::move(box->response);
}

net::awaitable<void> connection::watch(http_request request) {
    rented<watcher> box(context_, buffers_);
    auto subscribed =
        routes_.watch(request, [box = box.shared()](const std::string& lines) { box->put(lines); });
    if (!subscribed) {
        string_response out = made(refusal(subscribed.error()), false);
        co_await http::async_write(stream_, out, quietly);
        co_return;
    }
    struct unsubscribe {
        api& from;
        subscription_id id;
        ~unsubscribe() { from.unwatch(id); }
    } at_end{routes_, *subscribed};

    http::response<http::empty_body> header{http::status::ok, 11};
    header.set(http::field::content_type, "application/x-ndjson");
    header.chunked(true);
    http::response_serializer<http::empty_body> serializer{header};
    stream_.expires_after(idle);
    auto [unsent, header_size] = co_await http::async_write_header(stream_, serializer, quietly);
    if (unsent) co_return;
    // Whatever the client sends now, an end of stream above all, ends the watch.
    stream_.socket().async_wait(net::socket_base::wait_read, [box = box.shared()](error_code) {
        box->gone = true;
        box->wake();
    });
    while (!box->gone) {
        std::string lines = box->take();
        if (lines.empty()) {
            co_await box->woken();
            continue;
        }
        auto chunk = http::make_chunk(net::buffer(lines));
        stream_.expires_after(stall);
        auto [failure, size] = co_await net::async_write(stream_, chunk, quietly);
        if (failure) co_return;
    }
    auto last = http::make_chunk_last();
    stream_.expires_after(stall);
    co_await net::async_write(stream_, last, quietly);
}

} // namespace

result<void> http_server::state::listen_unix(const std::string& path) {
    if (auto fits = check_socket_path(path); !fits) return fits;
    ::unlink(path.c_str());
    error_code failure;
    control = std::make_unique<net::local::stream_protocol::acceptor>(context);
    auto& made = *control;
    made.open(net::local::stream_protocol(), failure);
    // The file that bind makes takes its rights from the socket, so there is no moment when it is open
    // to others.
    if (!failure && ::fchmod(made.native_handle(), S_IRUSR | S_IWUSR) != 0) {
        failure.assign(errno, boost::system::system_category());
    }
    if (!failure) made.bind(path, failure);
    if (!failure) made.listen(net::socket_base::max_listen_connections, failure);
    if (failure) return fail(io_error("control socket " + path, failure));
    control_path = path;
    return {};
}

result<void> http_server::state::listen_tcp(const std::string& where) {
    auto endpoint = loopback_endpoint(where);
    if (!endpoint) return fail(endpoint.error());
    error_code failure;
    tcp = std::make_unique<net::ip::tcp::acceptor>(context);
    auto& made = *tcp;
    made.open(endpoint->protocol(), failure);
    if (!failure) made.set_option(net::socket_base::reuse_address(true), failure);
    if (!failure) made.bind(*endpoint, failure);
    if (!failure) made.listen(net::socket_base::max_listen_connections, failure);
    if (failure) return fail(io_error("--http " + where, failure));
    return {};
}

void http_server::state::start() {
    net::co_spawn(context, accept(control.get(), false), net::detached);
    if (tcp) net::co_spawn(context, accept(tcp.get(), true), net::detached);
    thread = std::thread([this] { context.run(); });
}

template <class Acceptor>
net::awaitable<void> http_server::state::accept(Acceptor* from, bool from_tcp) {
    for (;;) {
        net::generic::stream_protocol::socket socket(context);
        auto [failure] = co_await from->async_accept(socket, quietly);
        if (failure == net::error::operation_aborted) co_return;
        if (failure) { // no descriptors left, most likely
            net::steady_timer pause(context, std::chrono::milliseconds(100));
            co_await pause.async_wait(quietly);
            continue;
        }
        std::size_t& connections = from_tcp ? over_tcp : over_control;
        if (connections == limits::http_connections_max) {
            static constexpr std::string_view busy =
                "HTTP/1.1 503 Service Unavailable\r\n"
                "Connection: close\r\nContent-Length: 0\r\n\r\n";
            error_code ignored;
            socket.non_blocking(true, ignored);
            socket.write_some(net::buffer(busy), ignored);
            continue;
        }
        auto fresh = std::make_shared<connection>(std::move(socket), from_tcp, routes, context,
                                                  connections, counted);
        net::co_spawn(context, fresh->talk(), [fresh](const std::exception_ptr&) {});
    }
}

result<std::unique_ptr<http_server>> http_server::open(api& routes, const places& where) {
    auto owned = std::make_unique<state>(routes, where.bytes_max);
    if (auto listens = owned->listen_unix(where.control_path); !listens)
        return fail(listens.error());
    if (!where.tcp.empty()) {
        if (auto listens = owned->listen_tcp(where.tcp); !listens) return fail(listens.error());
    }
    owned->start();
    return std::unique_ptr<http_server>(new http_server(std::move(owned)));
}

http_server::http_server(std::unique_ptr<state> owned) : state_(std::move(owned)) {}

http_server::~http_server() {
    state_->context.stop();
    state_->thread.join();
    ::unlink(state_->control_path.c_str());
}

std::string http_server::tcp_url() const {
    if (!state_->tcp) return {};
    error_code ignored;
    std::ostringstream out;
    out << "http://" << state_->tcp->local_endpoint(ignored);
    return out.str();
}

} // namespace weft
