#include "node/http.hpp"

#include "base/limits.hpp"
#include "node/json.hpp"

#include <boost/asio.hpp>
#include <boost/beast/core.hpp>
#include <boost/beast/http.hpp>

#include <array>
#include <atomic>
#include <charconv>
#include <chrono>
#include <deque>
#include <memory>
#include <mutex>
#include <optional>
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

// The share of the memory budget, a third each: large bodies, large answers, what watchers have not taken.
struct buffers {
    std::size_t bytes_max = 0;
    std::shared_ptr<std::atomic<std::size_t>> bytes; // all of it
    std::size_t large_bodies = 0;
    std::size_t answer_bytes = 0; // of large ones
    std::atomic<std::size_t> watched_bytes = 0;

    [[nodiscard]] std::size_t third() const { return bytes_max / 3; }
    [[nodiscard]] std::size_t large_bodies_max() const {
        return third() / limits::http_body_bytes_max;
    }
};

// What one change did, for all watchers that are still to be told of it, or a line that is text already:
// counted once.
class watched_change {
public:
    watched_change(change_event of, std::shared_ptr<buffers> all)
        : what(std::move(of)), counted_(std::move(all)) {
        count();
    }
    watched_change(std::string text, std::shared_ptr<buffers> all)
        : line(std::move(text)), counted_(std::move(all)) {
        count();
    }
    watched_change(const watched_change&) = delete;
    watched_change& operator=(const watched_change&) = delete;
    ~watched_change() {
        counted_->watched_bytes -= memory_bytes();
        *counted_->bytes -= memory_bytes();
    }
    [[nodiscard]] std::size_t memory_bytes() const {
        return what.objects.memory_bytes() + line.size();
    }

    const change_event what;
    const std::string line; // instead of that

private:
    void count() {
        counted_->watched_bytes += memory_bytes();
        *counted_->bytes += memory_bytes();
    }

    std::shared_ptr<buffers> counted_;
};

// The newest change that watchers were told of, so that the next one shares it. The replica's loop only.
struct newest_change {
    std::weak_ptr<const watched_change> what;
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
    net::awaitable<void> woken_by(net::steady_timer::time_point when) {
        alarm_->expires_at(when);
        co_await alarm_->async_wait(quietly);
        alarm_->expires_at(net::steady_timer::time_point::max());
    }
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

std::string chunk_size(std::size_t size) {
    std::array<char, 2 * sizeof size> digits{};
    auto end = std::to_chars(digits.data(), digits.data() + digits.size(), size, 16).ptr;
    return {digits.data(), end};
}

// What one watcher was not told yet: changes, of which a slice at a time is made text. One change always
// fits, if all watchers together have room for it.
struct watcher : mailbox {
    watcher(net::io_context& context, std::shared_ptr<buffers> all,
            std::shared_ptr<newest_change> latest)
        : mailbox(context), counted(std::move(all)), newest(std::move(latest)) {}
    watcher(const watcher&) = delete;
    watcher& operator=(const watcher&) = delete;
    ~watcher() { *counted->bytes -= slice.size(); }

    // On the replica's loop.
    void put(const change_event& change) {
        auto shared = newest->what.lock();
        bool fresh = !shared || !shared->what.objects.shares(change.objects);
        put(change.objects.memory_bytes(), fresh, [&] {
            if (fresh) shared = std::make_shared<const watched_change>(change, counted);
            newest->what = shared;
            return shared;
        });
    }
    void put(std::string line) {
        std::size_t size = line.size();
        put(size, true,
            [&] { return std::make_shared<const watched_change>(std::move(line), counted); });
    }
    template <class Make> // gives what is put, if there is room for it
    void put(std::size_t size, bool fresh, Make make) {
        {
            std::lock_guard hold(lock);
            if (dropped) return;
            bool was_empty = pending.empty();
            if (!was_empty && pending_bytes + size > limits::watch_bytes_max) {
                dropped = "more than " + std::to_string(limits::watch_bytes_max >> 20U) +
                          " MiB wait for it; read faster, or watch a prefix";
            } else if (fresh && counted->watched_bytes + size > counted->third()) {
                dropped = "what watchers have not taken is over the budget for buffers; read "
                          "faster, watch a prefix, or raise --buffer-bytes-max";
            } else {
                pending.push_back(make());
                pending_bytes += size;
            }
            if (!was_empty) return; // whoever takes is awake
        }
        wake();
    }

    // The rest is the coroutine's. The next slice, if there is something to say.
    void take() {
        std::string lines;
        if (const watched_change* first = next()) {
            lines = first->line.empty() ? watch_lines(first->what, at) : first->line;
            if (at == first->what.objects.size()) forget_next();
        } else if (auto why = reason()) {
            lines = refusal({errc::over_limit, "the watcher is dropped: " + *why}).body;
            gone = true;
        }
        if (!lines.empty()) say(chunk_size(lines.size()) + "\r\n" + lines + "\r\n");
    }
    void say(std::string text) {
        slice = std::move(text);
        *counted->bytes += slice.size();
    }
    void sent(std::size_t size) {
        *counted->bytes -= size;
        slice.erase(0, size);
    }
    void drop(std::string why) {
        std::lock_guard hold(lock);
        if (!dropped) dropped = std::move(why);
        pending.clear();
        pending_bytes = 0;
    }
    [[nodiscard]] const watched_change* next() {
        std::lock_guard hold(lock);
        return pending.empty() ? nullptr : pending.front().get();
    }
    void forget_next() {
        std::lock_guard hold(lock);
        pending_bytes -= pending.front()->memory_bytes();
        pending.pop_front();
        at = 0;
    }
    [[nodiscard]] std::optional<std::string> reason() {
        std::lock_guard hold(lock);
        return dropped;
    }

    std::mutex lock;
    std::shared_ptr<buffers> counted;
    std::shared_ptr<newest_change> newest;
    std::deque<std::shared_ptr<const watched_change>> pending;
    std::size_t pending_bytes = 0;
    std::optional<std::string> dropped; // and why; it is told once it has taken what is pending

    std::size_t at = 0;          // the next object of the first that is pending
    std::string slice;           // text that is not sent yet
    bool waits_to_write = false; // until the socket takes more
    bool gone = false;           // nothing more is to be made text
};

raw_request raw(http::request<http::string_body> from) {
    return {from.method_string(), from.target(), from[http::field::host], from[http::field::origin],
            std::move(from.body())};
}

string_response made(http_response from, bool keep_alive) {
    string_response out{http::int_to_status(from.status), 11};
    out.set(http::field::content_type, "application/json");
    out.keep_alive(keep_alive);
    out.body() = std::move(from.body);
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
    std::shared_ptr<newest_change> newest = std::make_shared<newest_change>();
    std::thread thread;
};

namespace {

// One client's connection; lives as long as `talk` runs.
class connection {
public:
    connection(net::generic::stream_protocol::socket socket, bool over_tcp, api& routes,
               net::io_context& context, std::size_t& connections, std::shared_ptr<buffers> shared,
               std::shared_ptr<newest_change> newest)
        : stream_(std::move(socket)), over_tcp_(over_tcp), routes_(routes), context_(context),
          connections_(connections), buffers_(std::move(shared)), newest_(std::move(newest)) {
        ++connections_;
    }
    connection(const connection&) = delete;
    connection& operator=(const connection&) = delete;
    ~connection() {
        done_with_body();
        done_with_answer();
        --connections_;
    }

    // Answers one request after the other until either side has enough.
    net::awaitable<void> talk();

private:
    net::awaitable<error_code> read();
    net::awaitable<void> room_for_body();
    void done_with_body();
    void done_with_answer();
    net::awaitable<http_response> answer(http_request request);
    void find_room_for(http_response& response);
    net::awaitable<void> watch(http_request request);
    net::awaitable<bool> write_slice(watcher* to);

    any_stream stream_;
    bool over_tcp_;
    api& routes_;
    net::io_context& context_;
    std::size_t& connections_;
    std::shared_ptr<buffers> buffers_;
    std::shared_ptr<newest_change> newest_;
    bool asked_before_ = false;    // something
    bool large_body_ = false;      // of this request: it has its place among the few …
    std::size_t body_bytes_ = 0;   // … and this is counted for it
    std::size_t answer_bytes_ = 0; // counted for a large answer, until it is sent
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
            auto request = taken_apart(raw(parser_->release()), over_tcp_);
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
        find_room_for(response);
        string_response out = made(std::move(response), more);
        stream_.expires_after(idle);
        auto [unsent, size] = co_await http::async_write(stream_, out, quietly);
        done_with_answer();
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

// A large answer is counted until it is sent. What finds no room is not said.
void connection::find_room_for(http_response& response) {
    std::size_t size = response.body.size();
    if (size <= limits::http_large_answer_bytes) return;
    if (buffers_->answer_bytes + size > buffers_->third()) {
        response = refusal(503, {errc::over_budget,
                                 "an answer of " + std::to_string(size) +
                                     " bytes, and others that are not read yet are at the budget "
                                     "for buffers; ask again, or raise --buffer-bytes-max"});
        return;
    }
    answer_bytes_ = size;
    buffers_->answer_bytes += size;
    *buffers_->bytes += size;
}

void connection::done_with_answer() {
    *buffers_->bytes -= answer_bytes_;
    buffers_->answer_bytes -= std::exchange(answer_bytes_, 0);
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
    rented<watcher> box(context_, buffers_, newest_);
    auto subscribed = routes_.watch(
        request, [box = box.shared()](const change_event& change) { box->put(change); },
        [box = box.shared()](std::string line) { box->put(std::move(line)); });
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
    error_code ignored;
    stream_.socket().non_blocking(true, ignored);
    stream_.expires_never(); // write_slice waits as long as is right
    while (!box->gone) {
        box->take();
        if (box->slice.empty()) {
            co_await box->woken();
            continue;
        }
        bool sent = co_await write_slice(box.shared().get());
        if (!sent) co_return;
    }
    box->say(chunk_size(0) + "\r\n\r\n");
    co_await write_slice(box.shared().get());
}

// False if the link broke. A watcher that takes nothing loses what waits for it, also where it was dropped
// already, and has some time yet to take what is on its way, and to be told.
net::awaitable<bool> connection::write_slice(watcher* to) {
    auto& socket = stream_.socket();
    auto moved = std::chrono::steady_clock::now();
    while (!to->slice.empty()) {
        error_code failure;
        std::size_t size = socket.write_some(net::buffer(to->slice), failure);
        to->sent(size);
        if (size > 0) moved = std::chrono::steady_clock::now();
        if (!failure) continue;
        if (failure != net::error::would_block && failure != net::error::try_again) co_return false;
        if (!std::exchange(to->waits_to_write, true)) {
            socket.async_wait(
                net::socket_base::wait_write,
                [box = std::static_pointer_cast<watcher>(to->shared_from_this())](error_code) {
                    box->waits_to_write = false;
                    box->wake();
                });
        }
        bool lost_all = to->reason() && to->next() == nullptr;
        auto patience = lost_all ? idle : stall;
        if (std::chrono::steady_clock::now() < moved + patience) {
            co_await to->woken_by(moved + patience);
        } else if (lost_all) {
            co_return false;
        } else {
            to->drop("it took nothing for " + std::to_string(limits::http_stall_ms_max / 1000) +
                     " s");
            moved = std::chrono::steady_clock::now();
        }
    }
    co_return true;
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
                                                  connections, counted, newest);
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
