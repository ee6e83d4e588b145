#include "transport/inproc.hpp"

#include "base/check.hpp"
#include "base/limits.hpp"
#include "transport/registry.hpp"

#include <deque>
#include <map>
#include <mutex>
#include <optional>

namespace weft {
namespace {

// The way to a loop that may end before its correspondents notice. The lock is for the moment of
// closing only: two replicas of one process may live on two threads.
class door {
public:
    explicit door(loop& run) : run_(&run) {}

    // False if it is closed; a task that was posted before still runs.
    bool post(std::function<void()> task) {
        std::lock_guard lock(mutex_);
        if (run_ != nullptr) run_->post(std::move(task));
        return run_ != nullptr;
    }

    void close() {
        std::lock_guard lock(mutex_);
        run_ = nullptr;
    }

private:
    std::mutex mutex_;
    loop* run_;
};

std::size_t frame_bytes(const bytes& body) { return limits::frame_header_bytes + body.size(); }

// One end of a link; all but its door belongs to its own loop. A frame stays counted at the sender
// until the receiver's handler has it, which is what backpressure means without a socket between.
class inproc_end : public std::enable_shared_from_this<inproc_end> {
public:
    inproc_end(loop& run, std::string url) : url_(std::move(url)), door_(run) {}

    static std::pair<std::shared_ptr<inproc_end>, std::shared_ptr<inproc_end>>
    make_pair(loop& near, loop& far, const std::string& url) {
        auto a = std::make_shared<inproc_end>(near, url);
        auto b = std::make_shared<inproc_end>(far, url);
        a->other_ = b;
        b->other_ = a;
        return {std::move(a), std::move(b)};
    }

    void counts_as(std::shared_ptr<void> slot) { slot_ = std::move(slot); }

    void start(link_handlers handlers) {
        WEFT_CHECK(!started_ && handlers.on_frame && handlers.on_closed);
        if (!open_) return;
        started_ = true;
        handlers_ = std::make_shared<const link_handlers>(std::move(handlers));
        door_.post([self = shared_from_this()] { self->deliver(); });
    }

    void send(bytes body) {
        WEFT_CHECK(body.size() <= limits::frame_bytes_max);
        auto other = other_.lock();
        if (!other) return;
        if (queued_bytes_ + frame_bytes(body) > limits::link_queue_bytes_max) {
            auto over = error{errc::over_limit,
                              url_ + ": the peer does not read; send queue above " +
                                  std::to_string(limits::link_queue_bytes_max) + " bytes"};
            hang_up();
            door_.post([self = shared_from_this(), over] { self->lost(over); });
            return;
        }
        queued_bytes_ += frame_bytes(body);
        peak_bytes_ = std::max(peak_bytes_, queued_bytes_);
        auto parcel = std::make_shared<bytes>(std::move(body));
        other->door_.post([other, parcel] { other->arrived(std::move(*parcel)); });
    }

    [[nodiscard]] std::size_t queued_bytes() const { return queued_bytes_; }
    [[nodiscard]] std::uint64_t taken_bytes() const { return taken_bytes_; }
    [[nodiscard]] const std::string& url() const { return url_; }

    // What was sent is at the other end already.
    void close_with(bytes last) {
        if (queued_bytes_ + frame_bytes(last) <= limits::link_queue_bytes_max)
            send(std::move(last));
        close();
    }

    void close() {
        if (!open_) return;
        open_ = false;
        door_.close();
        hang_up();
        handlers_.reset();
        inbox_.clear();
        slot_.reset();
    }

private:
    // The frames sent before arrive before this.
    void hang_up() {
        auto other = other_.lock();
        other_.reset();
        queued_bytes_ = 0;
        if (!other) return;
        other->door_.post(
            [other] { other->lost({errc::link_lost, other->url_ + ": closed by the peer"}); });
    }

    void arrived(bytes body) {
        if (!open_) return;
        inbox_.push_back(std::move(body));
        deliver();
    }

    void lost(error why) {
        other_.reset();
        queued_bytes_ = 0;
        if (!lost_) lost_ = std::move(why);
        deliver();
    }

    void deliver() {
        std::size_t taken = 0;
        while (handlers_ && !inbox_.empty()) {
            auto handlers = handlers_; // the owner may destroy the link in its handler
            bytes body = std::move(inbox_.front());
            inbox_.pop_front();
            taken += frame_bytes(body);
            handlers->on_frame(std::move(body));
        }
        if (auto other = other_.lock(); other && taken > 0) {
            other->door_.post([other, taken] { other->was_taken(taken); });
        }
        if (!handlers_ || !lost_) return;
        auto handlers = std::exchange(handlers_, nullptr);
        handlers->on_closed(*lost_);
    }

    void was_taken(std::size_t size) {
        if (other_.expired()) return;
        queued_bytes_ -= size;
        taken_bytes_ += size;
        if (queued_bytes_ > peak_bytes_ / 2) return;
        peak_bytes_ = queued_bytes_;
        if (auto handlers = handlers_; handlers && handlers->on_drained) handlers->on_drained();
    }

    std::string url_;
    door door_;
    std::weak_ptr<inproc_end> other_; // until one of both closes
    std::shared_ptr<void> slot_;      // of the listener that accepted it
    std::shared_ptr<const link_handlers> handlers_;
    std::deque<bytes> inbox_;
    std::optional<error> lost_;
    std::uint64_t taken_bytes_ = 0;
    std::size_t queued_bytes_ = 0;
    std::size_t peak_bytes_ = 0; // since on_drained was last due
    bool started_ = false;
    bool open_ = true;
};

class inproc_link final : public link {
public:
    explicit inproc_link(std::shared_ptr<inproc_end> end) : end_(std::move(end)) {}
    ~inproc_link() override { end_->close(); }

    void start(link_handlers handlers) override { end_->start(std::move(handlers)); }
    void send(bytes body) override { end_->send(std::move(body)); }
    std::size_t queued_bytes() const override { return end_->queued_bytes(); }
    std::uint64_t taken_bytes() const override { return end_->taken_bytes(); }
    void close() override { end_->close(); }
    void close_with(bytes last) override { end_->close_with(std::move(last)); }
    std::string peer() const override { return end_->url(); }

private:
    std::shared_ptr<inproc_end> end_;
};

// What a listener shares with the dialers; all but `run` and `way` belongs to its own loop.
struct inproc_port {
    inproc_port(loop& where, std::function<void(std::unique_ptr<link>)> what)
        : run(where), way(where), on_link(std::move(what)) {}

    void accept(const std::shared_ptr<inproc_end>& end) {
        if (!on_link || slots.use_count() > static_cast<long>(limits::peers_max)) {
            end->close();
            return;
        }
        end->counts_as(slots);
        auto handler = on_link; // it may destroy the listener
        handler(std::make_unique<inproc_link>(end));
    }

    loop& run;
    door way;
    std::function<void(std::unique_ptr<link>)> on_link;     // empty once the listener is destroyed
    std::shared_ptr<char> slots = std::make_shared<char>(); // each link that lives holds one
};

} // namespace

struct inproc_hub::state {
    std::mutex mutex;
    std::map<std::string, std::shared_ptr<inproc_port>, std::less<>> ports;
};

inproc_hub::inproc_hub() : state_(std::make_shared<state>()) {}
inproc_hub::~inproc_hub() = default;

class inproc_transport final : public transport {
public:
    inproc_transport(loop& run, inproc_hub& hub) : run_(run), hub_(hub.state_) {}

    result<std::unique_ptr<listener>>
    listen(std::string_view url, std::function<void(std::unique_ptr<link>)> on_link) override {
        std::string name(url_rest(url));
        if (name.empty()) {
            return fail(errc::invalid_argument,
                        "\"" + std::string(url) + "\": no name; say inproc:name");
        }
        std::lock_guard lock(hub_->mutex);
        auto [place, fresh] = hub_->ports.try_emplace(name);
        if (!fresh) {
            return fail(errc::io_failed,
                        "inproc:" + name + ": somebody in this process listens there already");
        }
        place->second = std::make_shared<inproc_port>(run_, std::move(on_link));
        return std::make_unique<inproc_listener>(hub_, name, place->second);
    }

    void dial(std::string_view url, std::uint32_t, // nobody there is known at once
              std::function<void(result<std::unique_ptr<link>>)> done) override {
        std::string name(url_rest(url));
        std::shared_ptr<inproc_end> end;
        {
            std::lock_guard lock(hub_->mutex);
            auto found = hub_->ports.find(name);
            if (found != hub_->ports.end()) {
                std::shared_ptr<inproc_port> port = found->second;
                auto [near, far] = inproc_end::make_pair(run_, port->run, "inproc:" + name);
                port->way.post([port, theirs = std::move(far)] { port->accept(theirs); });
                end = std::move(near);
            }
        }
        run_.post([alive = std::weak_ptr<void>(alive_), end, name, done = std::move(done)] {
            if (!alive.expired() && end) {
                done(std::make_unique<inproc_link>(end));
            } else if (!alive.expired()) {
                done(fail(errc::unreachable,
                          "inproc:" + name + ": nobody in this process listens there"));
            } else if (end) {
                end->close();
            }
        });
    }

private:
    class inproc_listener final : public listener {
    public:
        inproc_listener(std::shared_ptr<inproc_hub::state> hub, std::string name,
                        std::shared_ptr<inproc_port> port)
            : hub_(std::move(hub)), name_(std::move(name)), port_(std::move(port)) {}
        ~inproc_listener() override {
            {
                std::lock_guard lock(hub_->mutex);
                hub_->ports.erase(name_);
            }
            port_->way.close();
            port_->on_link = nullptr;
        }
        std::string url() const override { return "inproc:" + name_; }

    private:
        std::shared_ptr<inproc_hub::state> hub_;
        std::string name_;
        std::shared_ptr<inproc_port> port_;
    };

    loop& run_;
    std::shared_ptr<inproc_hub::state> hub_;
    std::shared_ptr<void> alive_ = std::make_shared<char>(); // what was posted asks for it
};

std::unique_ptr<transport> make_inproc_transport(loop& run, inproc_hub& hub) {
    return std::make_unique<inproc_transport>(run, hub);
}

} // namespace weft
