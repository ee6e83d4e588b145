#include "transport/tcp.hpp"

#include "base/check.hpp"
#include "base/frame.hpp"
#include "base/limits.hpp"
#include "transport/send_queue.hpp"
#include "transport/stream_url.hpp"

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/awaitable.hpp>
#include <boost/asio/basic_socket_acceptor.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/generic/stream_protocol.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/local/stream_protocol.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/use_awaitable.hpp>

#include <chrono>
#include <cstring>
#include <filesystem>
#include <optional>
#include <set>

namespace weft {
namespace {

namespace net = boost::asio;
using boost::system::error_code;
using stream = net::generic::stream_protocol; // one kind of socket for TCP and Unix
using milliseconds = std::chrono::milliseconds;
using link_handler = std::function<void(std::unique_ptr<link>)>;
using dial_handler = std::function<void(result<std::unique_ptr<link>>)>;

constexpr auto as_result = net::as_tuple(net::use_awaitable);
constexpr std::size_t read_bytes = 256U << 10U;
constexpr milliseconds accept_retry{100};
constexpr milliseconds arrival_retry{10};

instant now() {
    return {
        std::chrono::nanoseconds(net::steady_timer::clock_type::now().time_since_epoch()).count()};
}

// A coroutine has no caller to throw at; what a handler throws goes out of the loop's run().
void rethrow(const std::exception_ptr& thrown) {
    if (thrown) std::rethrow_exception(thrown);
}

// What the links of a transport have in common.
struct common {
    std::shared_ptr<arrivals> arriving;
    bytes scratch = bytes(read_bytes); // they read into it, so that idle ones cost none
};

// ---- The link --------------------------------------------------------------------------------

// One socket. It outlives its link for as long as a coroutine works on it: to send what is queued,
// and to let the peer read it before the connection is reset.
class connection : public std::enable_shared_from_this<connection> {
public:
    connection(stream::socket socket, std::string peer, std::shared_ptr<common> shared,
               std::shared_ptr<void> slot)
        : socket_(std::move(socket)), linger_(socket_.get_executor()), peer_(std::move(peer)),
          shared_(std::move(shared)), slot_(std::move(slot)) {
        error_code ignored; // of a socket that broke meanwhile; the first read will tell
        socket_.non_blocking(true, ignored);
        socket_.set_option(net::ip::tcp::no_delay(true), ignored); // Unix sockets have none
    }

    void start(link_handlers handlers) {
        WEFT_CHECK(!started_ && handlers.on_frame && handlers.on_closed);
        if (closed_) return;
        started_ = true;
        handlers_ = std::make_shared<const link_handlers>(std::move(handlers));
        if (lost_) {
            tell_lost();
        } else {
            spawn(read(shared_from_this()));
        }
    }

    void send(bytes body) {
        WEFT_CHECK(body.size() <= limits::frame_bytes_max);
        if (closed_ || lost_ || write_failure_) return;
        std::size_t size = limits::frame_header_bytes + body.size();
        if (queue_.bytes() + size > limits::link_queue_bytes_max) {
            lose(errc::over_limit, "the peer does not read; send queue above " +
                                       std::to_string(limits::link_queue_bytes_max) + " bytes");
            return;
        }
        enqueue(std::move(body));
    }

    [[nodiscard]] std::size_t queued_bytes() const { return queue_.bytes(); }
    [[nodiscard]] std::uint64_t taken_bytes() {
        unsent_bytes in_system;
        error_code ignored; // then none is known of
        socket_.io_control(in_system, ignored);
        std::uint64_t waiting =
            queue_.bytes() + static_cast<std::uint64_t>(std::max(in_system.count, 0));
        // A Unix socket counts more than the bytes.
        taken_bytes_ = std::max(taken_bytes_, sent_bytes_ - std::min(waiting, sent_bytes_));
        return taken_bytes_;
    }
    [[nodiscard]] const std::string& peer() const { return peer_; }

    void close() {
        if (closed_) return;
        closed_ = true;
        handlers_.reset();
        shared_->arriving->forget(part_);
        if (lost_) return;
        linger_.expires_after(milliseconds(limits::silence_ms_max));
        linger_.async_wait([self = shared_from_this()](error_code cancelled) {
            if (!cancelled) self->shut();
        });
        if (!started_) spawn(read(shared_from_this()));
        if (!writing_) end_sending();
    }

    void close_with(bytes last) {
        if (!closed_ && !lost_ && !write_failure_) {
            queue_.drop_unbegun();
            enqueue(std::move(last));
        }
        close();
    }

private:
    // Asks how much of what was written to it a socket still holds.
    struct unsent_bytes {
        int count = 0;
        [[nodiscard]] static int name() { return TIOCOUTQ; }
        void* data() { return &count; }
    };

    void enqueue(bytes&& body) {
        std::size_t size = limits::frame_header_bytes + body.size();
        queue_.add(std::move(body));
        sent_bytes_ += size;
        peak_bytes_ = std::max(peak_bytes_, queue_.bytes());
        if (!writing_) {
            writing_ = true;
            spawn(write(shared_from_this()));
        }
    }

    void spawn(net::awaitable<void> coroutine) {
        net::co_spawn(socket_.get_executor(), std::move(coroutine), rethrow);
    }

    // The only reader. After close it drops what arrives, up to the peer's end: closing a socket
    // that holds unread bytes resets the connection, and takes what we sent last away from the
    // peer. All links share the buffer, so that idle ones cost none.
    net::awaitable<void> read([[maybe_unused]] std::shared_ptr<connection> self) {
        for (;;) {
            while (room() == 0) {
                // Not the peer is silent: we do not read.
                if (auto handlers = handlers_; handlers->on_progress) handlers->on_progress();
                linger_.expires_after(arrival_retry);
                co_await linger_.async_wait(as_result);
            }
            auto [failure] = co_await socket_.async_wait(stream::socket::wait_read, as_result);
            std::size_t size = 0;
            std::size_t most = room();
            if (!failure && most == 0) continue;
            if (!failure) size = socket_.read_some(net::buffer(shared_->scratch, most), failure);
            if (failure == net::error::would_block || failure == net::error::try_again) continue;
            if (failure) {
                lose(errc::link_lost, write_failure_               ? write_failure_->message()
                                      : failure == net::error::eof ? "closed by the peer"
                                                                   : failure.message());
                co_return;
            }
            if (handlers_) deliver(byte_view(shared_->scratch).first(size));
        }
    }

    [[nodiscard]] std::size_t room() {
        return handlers_ ? shared_->arriving->room(part_, read_bytes, now()) : read_bytes;
    }

    void deliver(byte_view arrived) {
        std::uint64_t before = frames_read_;
        take_frames(arrived);
        if (!handlers_) return; // it was closed, or lost
        shared_->arriving->arrived(part_, frames_.held_bytes(), frames_.frame_bytes(),
                                   frames_read_ > before, now());
        if (auto why = shared_->arriving->overdue(part_, now())) lose(errc::over_limit, *why);
    }

    void take_frames(byte_view arrived) {
        frames_.add(arrived);
        std::uint64_t before = frames_read_;
        while (auto handlers = handlers_) { // a copy: the owner may destroy the link in its handler
            auto next = frames_.next();
            if (!next) {
                lose(next.error().code,
                     "frame " + std::to_string(frames_read_) + ": " + next.error().detail);
                return;
            }
            std::optional<bytes>& body = *next;
            if (!body) {
                if (frames_read_ == before && handlers->on_progress) handlers->on_progress();
                return;
            }
            ++frames_read_;
            handlers->on_frame(std::move(*body));
        }
    }

    // The only writer. It starts one turn of the loop after the first `send`, so frames that are
    // sent together leave together.
    net::awaitable<void> write([[maybe_unused]] std::shared_ptr<connection> self) {
        std::vector<byte_view> parts;
        std::vector<net::const_buffer> gathered;
        while (!queue_.empty()) {
            queue_.gather(parts);
            gathered.clear();
            for (byte_view part : parts) gathered.emplace_back(part.data(), part.size());
            auto [failure, size] = co_await socket_.async_write_some(gathered, as_result);
            queue_.written(size);
            if (failure) {
                stop_writing(failure);
                break;
            }
            tell_drained();
        }
        writing_ = false;
        if (closed_) end_sending();
    }

    // What the peer sent before it went away is still to be read; the reader then tells.
    void stop_writing(error_code failure) {
        queue_.clear();
        write_failure_ = failure;
        error_code ignored;
        socket_.shutdown(stream::socket::shutdown_both, ignored);
    }

    void tell_drained() {
        if (!socket_.is_open() || queue_.bytes() > peak_bytes_ / 2) return;
        peak_bytes_ = queue_.bytes();
        if (auto handlers = handlers_; handlers && handlers->on_drained) handlers->on_drained();
    }

    void end_sending() {
        error_code ignored;
        socket_.shutdown(stream::socket::shutdown_send, ignored);
    }

    void lose(errc code, const std::string& why) {
        shut();
        if (closed_ || lost_) return;
        lost_ = error{code, peer_ + ": " + why};
        tell_lost();
    }

    void tell_lost() {
        net::post(socket_.get_executor(), [self = shared_from_this()] {
            if (auto handlers = std::exchange(self->handlers_, nullptr)) {
                handlers->on_closed(*self->lost_);
            }
        });
    }

    void shut() {
        error_code ignored;
        frames_ = {};
        shared_->arriving->forget(part_);
        socket_.close(ignored);
        linger_.cancel();
        queue_.clear();
        slot_.reset();
    }

    stream::socket socket_;
    net::steady_timer linger_;
    std::string peer_;
    std::shared_ptr<common> shared_;
    std::shared_ptr<void> slot_; // of the listener that accepted it
    std::shared_ptr<const link_handlers> handlers_;
    frame_decoder frames_;
    arrivals::part part_; // of the next
    std::uint64_t frames_read_ = 0;
    send_queue queue_;
    std::uint64_t sent_bytes_ = 0;  // all that was queued, or dropped from the queue
    std::uint64_t taken_bytes_ = 0; // of them, as far as was seen
    std::size_t peak_bytes_ = 0;    // since on_drained was last due
    std::optional<error_code> write_failure_;
    std::optional<error> lost_;
    bool started_ = false;
    bool writing_ = false;
    bool closed_ = false; // by the owner
};

class stream_link final : public link {
public:
    explicit stream_link(std::shared_ptr<connection> over) : over_(std::move(over)) {}
    // NOLINTNEXTLINE(bugprone-exception-escape): of lack of memory only, and then it should end
    ~stream_link() override { over_->close(); }

    void start(link_handlers handlers) override { over_->start(std::move(handlers)); }
    void send(bytes body) override { over_->send(std::move(body)); }
    std::size_t queued_bytes() const override { return over_->queued_bytes(); }
    std::uint64_t taken_bytes() const override { return over_->taken_bytes(); }
    void close() override { over_->close(); }
    void close_with(bytes last) override { over_->close_with(std::move(last)); }
    std::string peer() const override { return over_->peer(); }

private:
    std::shared_ptr<connection> over_;
};

// ---- Addresses -------------------------------------------------------------------------------

// The address as it stands, without asking anybody; nothing if it is a name.
std::optional<stream::endpoint> literal(const host_and_port& where) {
    error_code is_a_name;
    auto address = net::ip::make_address(where.host, is_a_name);
    if (is_a_name) return std::nullopt;
    return net::ip::tcp::endpoint(address, where.port);
}

std::string tcp_peer(const stream::socket& socket) {
    error_code gone;
    auto generic = socket.remote_endpoint(gone);
    if (gone) return "tcp://(already gone)";
    net::ip::tcp::endpoint remote;
    remote.resize(generic.size());
    std::memcpy(remote.data(), generic.data(), generic.size());
    return tcp_url(remote.address().to_string(), remote.port());
}

// ---- Listening -------------------------------------------------------------------------------

class acceptor : public std::enable_shared_from_this<acceptor> {
public:
    acceptor(net::io_context& context, std::shared_ptr<common> shared)
        : socket_(context), pause_(context), shared_(std::move(shared)) {}

    // At the address alone: for TCP over a connection's leftovers, never over another listener.
    error_code open(const stream::endpoint& where) {
        error_code failure;
        socket_.open(where.protocol(), failure);
        if (!failure) socket_.set_option(net::socket_base::reuse_address(true), failure);
        if (!failure) socket_.bind(where, failure);
        if (!failure) socket_.listen(net::socket_base::max_listen_connections, failure);
        error_code ignored;
        if (failure) socket_.close(ignored);
        return failure;
    }

    // `url` is for accepted links whose other end has no address: those of Unix sockets.
    void start(std::string url, link_handler on_link) {
        url_ = std::move(url);
        on_link_ = std::move(on_link);
        net::co_spawn(socket_.get_executor(), accept(shared_from_this()), rethrow);
    }

    void close() {
        error_code ignored;
        socket_.close(ignored);
        pause_.cancel();
        on_link_ = nullptr;
    }

    [[nodiscard]] std::uint16_t port() const {
        error_code ignored;
        auto generic = socket_.local_endpoint(ignored);
        net::ip::tcp::endpoint local;
        local.resize(generic.size());
        std::memcpy(local.data(), generic.data(), generic.size());
        return local.port();
    }

private:
    net::awaitable<void> accept([[maybe_unused]] std::shared_ptr<acceptor> self) {
        while (socket_.is_open()) {
            auto [failure, socket] = co_await socket_.async_accept(as_result);
            if (!socket_.is_open()) co_return;
            if (failure) { // out of descriptors or memory, or the peer left: none lasts for ever
                pause_.expires_after(accept_retry);
                co_await pause_.async_wait(as_result);
            } else if (slots_.use_count() <= static_cast<long>(limits::peers_max)) {
                hand_over(std::move(socket));
            } // else it closes at once: the peer sees link_lost and comes back later
        }
    }

    void hand_over(stream::socket socket) {
        std::string peer = url_.starts_with("unix:") ? url_ : tcp_peer(socket);
        auto over =
            std::make_shared<connection>(std::move(socket), std::move(peer), shared_, slots_);
        auto handler = on_link_; // it may destroy the listener
        handler(std::make_unique<stream_link>(std::move(over)));
    }

    net::basic_socket_acceptor<stream> socket_;
    net::steady_timer pause_;
    std::shared_ptr<common> shared_;
    std::string url_;
    link_handler on_link_;
    std::shared_ptr<char> slots_ = std::make_shared<char>(); // each connection that lives holds one
};

class tcp_listener final : public listener {
public:
    tcp_listener(std::shared_ptr<acceptor> accepting, std::string url)
        : accepting_(std::move(accepting)), url_(std::move(url)) {}
    // NOLINTNEXTLINE(bugprone-exception-escape): of lack of memory only, and then it should end
    ~tcp_listener() override { accepting_->close(); }
    std::string url() const override { return url_; }

private:
    std::shared_ptr<acceptor> accepting_;
    std::string url_;
};

class unix_listener final : public listener {
public:
    unix_listener(std::shared_ptr<acceptor> accepting, std::string path)
        : accepting_(std::move(accepting)), path_(std::move(path)) {}
    // NOLINTNEXTLINE(bugprone-exception-escape): of lack of memory only, and then it should end
    ~unix_listener() override {
        std::error_code ignored;
        std::filesystem::remove(path_, ignored); // before closing: a successor's file stays
        accepting_->close();
    }
    std::string url() const override { return "unix:" + path_; }

private:
    std::shared_ptr<acceptor> accepting_;
    std::string path_;
};

// ---- Dialing ---------------------------------------------------------------------------------

class attempt : public std::enable_shared_from_this<attempt> {
public:
    attempt(net::io_context& context, std::string url, std::uint32_t timeout_ms, dial_handler done)
        : url_(std::move(url)), timeout_ms_(timeout_ms), done_(std::move(done)), socket_(context),
          resolver_(context), deadline_(context), patience_(context) {}

    // One of these two, once.
    void refuse(error why) {
        net::post(socket_.get_executor(),
                  [self = shared_from_this(), why = std::move(why)] { self->finish(fail(why)); });
    }
    void start(host_and_port name, std::vector<stream::endpoint> at,
               std::shared_ptr<common> shared) {
        deadline_.expires_after(milliseconds(timeout_ms_));
        deadline_.async_wait([self = shared_from_this()](error_code cancelled) {
            if (cancelled) return;
            self->unreachable("no answer within " + std::to_string(self->timeout_ms_) + " ms");
        });
        net::co_spawn(
            socket_.get_executor(),
            connect(shared_from_this(), std::move(name), std::move(at), std::move(shared)),
            rethrow);
    }

    void cancel() {
        error_code ignored;
        done_ = nullptr;
        socket_.close(ignored);
        resolver_.cancel();
        deadline_.cancel();
        patience_.cancel();
    }

    [[nodiscard]] bool over() const { return !done_; }

private:
    net::awaitable<void> connect(std::shared_ptr<attempt> self, host_and_port name,
                                 std::vector<stream::endpoint> at, std::shared_ptr<common> shared) {
        std::string why = "the name has no address";
        if (at.empty()) {
            std::string port = std::to_string(name.port);
            auto [failure, found] = co_await resolver_.async_resolve(name.host, port, as_result);
            if (failure) why = failure.message();
            for (const auto& entry : found) at.emplace_back(entry.endpoint());
        }
        // One address that swallows everything must not use up the time of the others.
        milliseconds each(timeout_ms_ / std::max<std::size_t>(at.size(), 1));
        for (const stream::endpoint& there : at) {
            if (over()) co_return;
            patience_.expires_after(each);
            patience_.async_wait([self](error_code cancelled) {
                error_code ignored;
                if (!cancelled) self->socket_.close(ignored);
            });
            auto [failure] = co_await socket_.async_connect(there, as_result);
            if (over()) co_return;
            if (!failure && !met_itself()) {
                patience_.cancel();
                auto link = std::make_unique<stream_link>(std::make_shared<connection>(
                    std::move(socket_), url_, std::move(shared), nullptr));
                finish(std::move(link));
                co_return;
            }
            why = failure ? failure.message() : "nobody listens there";
            error_code ignored;
            socket_.close(ignored);
        }
        unreachable(why);
    }

    // TCP connects a socket to itself if the kernel picks the dialed port of this machine for it.
    [[nodiscard]] bool met_itself() const {
        error_code gone;
        return socket_.local_endpoint(gone) == socket_.remote_endpoint(gone);
    }

    void unreachable(const std::string& why) {
        finish(fail(errc::unreachable,
                    url_ + ": " + why + "; check the address and that the peer listens there"));
    }

    void finish(result<std::unique_ptr<link>> outcome) {
        auto done = std::exchange(done_, nullptr);
        if (!done) return;
        cancel();
        done(std::move(outcome));
    }

    std::string url_;
    std::uint32_t timeout_ms_;
    dial_handler done_;
    stream::socket socket_;
    net::ip::tcp::resolver resolver_;
    net::steady_timer deadline_; // for all
    net::steady_timer patience_; // for one address
};

class stream_transport : public transport {
public:
    stream_transport(asio_loop& run, std::shared_ptr<arrivals> arriving)
        : context_(context_of(run)), shared_(std::make_shared<common>()) {
        shared_->arriving = std::move(arriving);
    }
    // NOLINTNEXTLINE(bugprone-exception-escape): of lack of memory only, and then it should end
    ~stream_transport() override {
        for (const auto& one : attempts_) one->cancel();
    }

protected:
    std::shared_ptr<attempt> begin(std::string_view url, std::uint32_t timeout_ms,
                                   dial_handler done) {
        std::erase_if(attempts_, [](const auto& one) { return one->over(); });
        return *attempts_
                    .insert(std::make_shared<attempt>(context_, std::string(url), timeout_ms,
                                                      std::move(done)))
                    .first;
    }

    net::io_context& context_;
    std::shared_ptr<common> shared_;

private:
    std::set<std::shared_ptr<attempt>> attempts_;
};

error refused(const std::string& where, const error_code& why) {
    std::string remedy;
    if (why == net::error::address_in_use) remedy = "; another process listens there: stop it";
    if (why == net::error::access_denied)
        remedy = "; ports below 1024 and others' folders need rights";
    return {errc::io_failed, "listen at " + where + ": " + why.message() + remedy};
}

class tcp_transport final : public stream_transport {
public:
    using stream_transport::stream_transport;

    // A name is looked up while the caller waits: listening happens at start-up.
    result<std::unique_ptr<listener>> listen(std::string_view url, link_handler on_link) override {
        auto where = parse_tcp(url);
        if (!where) return fail(where.error());
        std::vector<stream::endpoint> at;
        error_code failure = net::error::host_not_found;
        if (auto address = literal(*where)) {
            at.push_back(*address);
        } else {
            net::ip::tcp::resolver resolver(context_);
            auto found = resolver.resolve(where->host, std::to_string(where->port),
                                          net::ip::resolver_base::passive, failure);
            for (const auto& entry : found) at.emplace_back(entry.endpoint());
        }
        for (const stream::endpoint& address : at) {
            auto accepting = std::make_shared<acceptor>(context_, shared_);
            failure = accepting->open(address);
            if (failure) continue;
            std::string real = tcp_url(where->host, accepting->port());
            accepting->start(real, std::move(on_link));
            return std::make_unique<tcp_listener>(std::move(accepting), std::move(real));
        }
        return fail(refused(std::string(url), failure));
    }

    void dial(std::string_view url, std::uint32_t timeout_ms, dial_handler done) override {
        auto one = begin(url, timeout_ms, std::move(done));
        auto where = parse_tcp(url);
        if (!where) return one->refuse(where.error());
        std::vector<stream::endpoint> at;
        if (auto address = literal(*where)) at.push_back(*address);
        one->start(*where, std::move(at), shared_);
    }
};

class unix_transport final : public stream_transport {
public:
    using stream_transport::stream_transport;

    result<std::unique_ptr<listener>> listen(std::string_view url, link_handler on_link) override {
        auto path = parse_unix(url);
        if (!path) return fail(path.error());
        stream::endpoint where = net::local::stream_protocol::endpoint(*path);
        auto accepting = std::make_shared<acceptor>(context_, shared_);
        error_code failure = accepting->open(where);
        if (failure == net::error::address_in_use && is_stale(*path, where)) {
            std::error_code ignored; // then the second try tells
            std::filesystem::remove(*path, ignored);
            failure = accepting->open(where);
        }
        if (failure) return fail(refused(std::string(url), failure));
        accepting->start("unix:" + *path, std::move(on_link));
        return std::make_unique<unix_listener>(std::move(accepting), *path);
    }

    void dial(std::string_view url, std::uint32_t timeout_ms, dial_handler done) override {
        auto one = begin(url, timeout_ms, std::move(done));
        auto path = parse_unix(url);
        if (!path) return one->refuse(path.error());
        stream::endpoint there = net::local::stream_protocol::endpoint(*path);
        std::vector<stream::endpoint> at{there};
        one->start({}, std::move(at), shared_);
    }

private:
    // A socket file that nobody answers at.
    [[nodiscard]] bool is_stale(const std::string& path, const stream::endpoint& where) const {
        std::error_code missing;
        if (!std::filesystem::is_socket(path, missing)) return false;
        stream::socket probe(context_, where.protocol());
        probe.non_blocking(true); // a busy listener makes connect wait
        error_code failure;
        probe.connect(where, failure);
        return failure == net::error::connection_refused;
    }
};

} // namespace

std::unique_ptr<transport> make_tcp_transport(asio_loop& run, std::shared_ptr<arrivals> arriving) {
    return std::make_unique<tcp_transport>(run, std::move(arriving));
}

std::unique_ptr<transport> make_unix_transport(asio_loop& run, std::shared_ptr<arrivals> arriving) {
    return std::make_unique<unix_transport>(run, std::move(arriving));
}

} // namespace weft
