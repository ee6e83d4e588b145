#include "tests/sim/network.hpp"

#include "base/check.hpp"
#include "base/limits.hpp"
#include "transport/message.hpp"
#include "transport/registry.hpp"

#include <algorithm>
#include <deque>
#include <optional>

namespace weft {

struct sim_network::direction {
    std::optional<sim_partition> partition;
    std::vector<std::function<void()>> stalled; // deliveries, in order
    std::int64_t bytes_per_ms = 0;              // 0: what each link can
};

struct sim_network::port {
    std::string host;
    loop* run = nullptr;
    std::function<void(std::unique_ptr<link>)> on_link;     // empty once the listener is destroyed
    std::shared_ptr<char> slots = std::make_shared<char>(); // each link that lives holds one
};

// One end of a link. Events of the timeline keep it alive; what it tells its owner goes through the
// owner's loop, and nothing goes there once the owner has closed it.
class sim_end : public std::enable_shared_from_this<sim_end> {
public:
    sim_end(sim_network& net, std::string host, std::string peer_host, std::string url, loop& run)
        : net_(net), host_(std::move(host)), peer_host_(std::move(peer_host)), url_(std::move(url)),
          run_(run) {
        const auto& o = net_.options_;
        way_ = &net_.way_of(host_, peer_host_);
        latency_us_ = net_.random_.between(o.latency_us_min, o.latency_us_max);
        bytes_per_ms_ = net_.random_.between(o.bytes_per_ms_min, o.bytes_per_ms_max);
    }

    static void pair(const std::shared_ptr<sim_end>& a, const std::shared_ptr<sim_end>& b) {
        a->other_ = b;
        b->other_ = a;
    }
    void counts_as(std::shared_ptr<void> slot) { slot_ = std::move(slot); }

    void start(link_handlers handlers) {
        WEFT_CHECK(!started_ && handlers.on_frame && handlers.on_closed);
        started_ = true;
        if (!open_) return;
        handlers_ = std::make_shared<const link_handlers>(std::move(handlers));
        post_deliver();
    }

    void send(bytes body) {
        WEFT_CHECK(body.size() <= limits::frame_bytes_max);
        if (!open_ || lost_ || hung_up_) return;
        std::size_t size = size_of(body);
        if (queued_bytes_ + size > limits::link_queue_bytes_max) {
            drop_queue();
            say_goodbye();
            lose({errc::over_limit, url_ + ": the peer does not read; send queue above " +
                                        std::to_string(limits::link_queue_bytes_max) + " bytes"});
            return;
        }
        queued_bytes_ += size;
        peak_bytes_ = std::max(peak_bytes_, queued_bytes_);
        queue_.push_back(std::move(body));
        transmit();
    }

    // The owner's close: what is queued goes on its way behind the call.
    void close() {
        if (!open_) return;
        open_ = false;
        handlers_.reset();
        inbox_.clear();
        slot_.reset();
        if (lost_ || hung_up_) return;
        say_goodbye();
        net_.all_.at(net_.all_.now().after_ms(limits::silence_ms_max),
                     [self = shared_from_this()] { self->give_up(); });
    }

    // The frame that leaves now leaves whole.
    void close_with(bytes last) {
        if (open_ && !lost_ && !hung_up_) {
            for (const bytes& body : queue_) queued_bytes_ -= size_of(body);
            queue_.clear();
            send(std::move(last));
        }
        close();
    }

    // The process is gone. What has left arrives; the rest does not.
    void vanish(bool silently) {
        open_ = false;
        handlers_.reset();
        inbox_.clear();
        slot_.reset();
        drop_queue();
        if (!silently) say_goodbye();
        hung_up_ = true;
    }

    // The connection breaks: nothing that is under way arrives any more.
    void cut() {
        ++broken_;
        drop_queue();
        hung_up_ = true;
        std::int64_t when_ns = net_.all_.now().ns + 1000 * net_.random_.between(0, latency_us_);
        net_.all_.at({when_ns}, [self = shared_from_this()] {
            self->lose({errc::link_lost, self->url_ + ": the connection was reset"});
        });
    }

    // This side believes the connection dead; the other one gets what was under way, late.
    void close_late(std::int64_t late_ms) {
        if (lost_ || late_) return;
        late_.emplace();
        if (auto there = other_.lock()) there->silent_ = true;
        lose({errc::link_lost, url_ + ": timed out"});
        net_.all_.at(net_.all_.now().after_ms(late_ms), [self = shared_from_this()] {
            auto late = std::exchange(self->late_, std::nullopt);
            for (const auto& deliver : *late) deliver();
            auto there = self->other_.lock();
            if (there) there->lose({errc::link_lost, there->url_ + ": closed by the peer"});
        });
    }
    void silence() { silent_ = true; }
    // What waits to come late holds both ends: it would outlive a world that ends before that.
    void forget_late() { late_.reset(); }

    [[nodiscard]] bool open() const { return open_; }
    [[nodiscard]] bool lost() const { return lost_.has_value(); }
    [[nodiscard]] const std::string& host() const { return host_; }
    [[nodiscard]] const std::string& peer_host() const { return peer_host_; }
    [[nodiscard]] std::size_t queued_bytes() const { return queued_bytes_; }
    [[nodiscard]] std::uint64_t taken_bytes() const { return left_bytes_ + parts_bytes_; }
    [[nodiscard]] const std::string& url() const { return url_; }

private:
    enum class parcel_kind : std::uint8_t { frame, part, goodbye };
    struct parcel { // what goes to the other end
        parcel_kind kind;
        std::uint64_t broken; // how often the way was cut before
        std::shared_ptr<bytes> body;
    };

    static std::size_t size_of(const bytes& body) {
        return limits::frame_header_bytes + body.size();
    }

    // Starts with the next frame, if none is leaving and the window has room.
    void transmit() {
        if (leaving_) return;
        if (queue_.empty()) {
            if (goodbye_wanted_) {
                goodbye_wanted_ = false;
                hung_up_ = true;
                travel(parcel_kind::goodbye);
            }
            return;
        }
        std::size_t size = size_of(queue_.front());
        if (under_way_bytes_ > 0 && under_way_bytes_ + size > net_.options_.window_bytes) return;
        leaving_ = std::make_shared<bytes>(std::move(queue_.front()));
        queue_.pop_front();
        leave(leaving_, size);
    }

    // Of a large frame on a slow link the other side sees a part every second; the next goes at the speed
    // that the link has by then.
    void leave(const std::weak_ptr<bytes>& body, std::size_t size) {
        std::int64_t slow = way_->bytes_per_ms;
        std::int64_t speed = slow > 0 ? std::min(slow, bytes_per_ms_) : bytes_per_ms_;
        std::int64_t all_ns = static_cast<std::int64_t>(size) * 1'000'000 / speed;
        auto part = std::min(size, static_cast<std::size_t>(speed) * 1'000);
        std::int64_t part_ns = part == size ? all_ns : 1'000'000'000;
        net_.all_.at({net_.all_.now().ns + part_ns}, [self = shared_from_this(), body, size, part] {
            if (body.expired()) return;
            if (part == size) return self->left();
            self->parts_bytes_ += part;
            self->travel(parcel_kind::part);
            self->leave(body, size - part);
        });
    }

    void part_arrived() {
        if (!open_ || lost_) return;
        run_.post([self = shared_from_this()] {
            auto handlers = self->handlers_;
            if (handlers && handlers->on_progress) handlers->on_progress();
        });
    }

    void left() {
        auto body = std::exchange(leaving_, nullptr);
        std::size_t size = size_of(*body);
        queued_bytes_ -= size;
        left_bytes_ += size;
        parts_bytes_ = 0;
        under_way_bytes_ += size;
        travel(parcel_kind::frame, std::move(body));
        if (queued_bytes_ <= peak_bytes_ / 2) {
            peak_bytes_ = queued_bytes_;
            if (handlers_ && handlers_->on_drained) {
                run_.post([self = shared_from_this()] {
                    if (auto handlers = self->handlers_) handlers->on_drained();
                });
            }
        }
        transmit();
    }

    // Whatever goes to the other end goes this way, in order.
    void travel(parcel_kind kind, std::shared_ptr<bytes> body = nullptr) {
        std::int64_t latency_us =
            latency_us_ + net_.random_.between(0, net_.options_.jitter_us_max);
        last_arrival_ = std::max(last_arrival_, instant{net_.all_.now().ns + latency_us * 1000});
        net_.all_.at(last_arrival_,
                     [self = shared_from_this(), what = parcel{kind, broken_, std::move(body)}] {
                         self->arrive_there(what);
                     });
    }

    void arrive_there(const parcel& what) {
        auto there = other_.lock();
        if (!there || broken_ != what.broken || silent_) return;
        auto again = [&] {
            return [self = shared_from_this(), what] { self->arrive_there(what); };
        };
        if (late_) {
            late_->push_back(again());
        } else if (way_->partition == sim_partition::lose) {
            silent_ = true;
        } else if (way_->partition || !way_->stalled.empty()) {
            way_->stalled.push_back(again());
        } else {
            there->take(what);
        }
    }

    void take(const parcel& what) {
        switch (what.kind) {
            case parcel_kind::frame: return arrived(std::move(*what.body));
            case parcel_kind::part: return part_arrived();
            case parcel_kind::goodbye:
                return lose({errc::link_lost, url_ + ": closed by the peer"});
        }
    }

    void arrived(bytes body) {
        if (!open_ || lost_) return;
        inbox_.push_back(std::move(body));
        post_deliver();
    }

    void lose(error why) {
        if (lost_) return;
        lost_ = std::move(why);
        hung_up_ = true;
        drop_queue();
        if (open_) post_deliver();
    }

    void post_deliver() {
        run_.post([self = shared_from_this()] { self->deliver(); });
    }

    void deliver() {
        while (handlers_ && !inbox_.empty()) {
            auto handlers = handlers_; // the owner may destroy the link in its handler
            bytes body = std::move(inbox_.front());
            inbox_.pop_front();
            if (auto there = other_.lock()) there->was_taken(size_of(body), latency_us_);
            if (net_.on_frame) net_.on_frame(peer_host_, host_, body);
            std::optional<bytes> again;
            if (net_.options_.duplicates > 0 && net_.random_.chance(net_.options_.duplicates)) {
                auto decoded = decode_message(shared_bytes(body));
                if (decoded && !std::holds_alternative<hello_message>(*decoded)) again = body;
            }
            handlers->on_frame(std::move(body));
            if (again && handlers_) handlers->on_frame(std::move(*again));
        }
        if (!handlers_ || !lost_) return;
        auto handlers = std::exchange(handlers_, nullptr);
        handlers->on_closed(*lost_);
    }

    void was_taken(std::size_t size, std::int64_t latency_us) {
        net_.all_.at({net_.all_.now().ns + latency_us * 1000},
                     [self = shared_from_this(), size, broken = broken_] {
                         if (self->broken_ != broken) return;
                         self->under_way_bytes_ -= size;
                         self->transmit();
                     });
    }

    void drop_queue() {
        queue_.clear();
        leaving_.reset();
        queued_bytes_ = 0;
        peak_bytes_ = 0;
    }

    void say_goodbye() {
        goodbye_wanted_ = true;
        transmit();
    }

    void give_up() {
        if (!goodbye_wanted_) return;
        drop_queue();
        transmit();
    }

    sim_network& net_;
    std::string host_;
    std::string peer_host_;
    std::string url_;
    loop& run_;
    std::weak_ptr<sim_end> other_;
    sim_network::direction* way_ = nullptr; // from here to there
    std::shared_ptr<void> slot_;            // of the listener that accepted it
    std::shared_ptr<const link_handlers> handlers_;
    std::int64_t latency_us_ = 0;
    std::int64_t bytes_per_ms_ = 1;

    // This way.
    std::deque<bytes> queue_;
    std::uint64_t left_bytes_ = 0;  // of whole frames …
    std::uint64_t parts_bytes_ = 0; // … and of the one that leaves now
    std::size_t queued_bytes_ = 0;
    std::size_t peak_bytes_ = 0; // since on_drained was last due
    std::size_t under_way_bytes_ = 0;
    instant last_arrival_;
    std::shared_ptr<bytes> leaving_; // the frame that leaves now
    std::uint64_t broken_ = 0;       // how often it was cut: what began before has no end
    bool silent_ = false;
    std::optional<std::vector<std::function<void()>>> late_; // deliveries of a link closed late
    bool goodbye_wanted_ = false;
    bool hung_up_ = false; // nothing more goes this way

    // The other way.
    std::deque<bytes> inbox_;
    std::optional<error> lost_;
    bool started_ = false;
    bool open_ = true;
};

class sim_link final : public link {
public:
    explicit sim_link(std::shared_ptr<sim_end> end) : end_(std::move(end)) {}
    ~sim_link() override { end_->close(); }

    void start(link_handlers handlers) override { end_->start(std::move(handlers)); }
    void send(bytes body) override { end_->send(std::move(body)); }
    std::size_t queued_bytes() const override { return end_->queued_bytes(); }
    std::uint64_t taken_bytes() const override { return end_->taken_bytes(); }
    void close() override { end_->close(); }
    void close_with(bytes last) override { end_->close_with(std::move(last)); }
    std::string peer() const override { return end_->url(); }

private:
    std::shared_ptr<sim_end> end_;
};

class sim_listener final : public listener {
public:
    sim_listener(sim_network& net, std::string name, std::shared_ptr<sim_network::port> port)
        : net_(net), name_(std::move(name)), port_(std::move(port)) {}
    ~sim_listener() override {
        net_.ports_.erase(name_);
        port_->on_link = nullptr;
    }
    std::string url() const override { return "sim:" + name_; }

private:
    sim_network& net_;
    std::string name_;
    std::shared_ptr<sim_network::port> port_;
};

class sim_transport final : public transport {
public:
    sim_transport(sim_network& net, std::string host, loop& run)
        : net_(net), host_(std::move(host)), run_(run) {}

    result<std::unique_ptr<listener>>
    listen(std::string_view url, std::function<void(std::unique_ptr<link>)> on_link) override {
        std::string name(url_rest(url));
        if (name.empty()) return fail(no_name(url));
        auto [place, fresh] = net_.ports_.try_emplace(name);
        if (!fresh) return fail(errc::io_failed, "sim:" + name + ": in use");
        place->second = std::make_shared<sim_network::port>();
        place->second->host = host_;
        place->second->run = &run_;
        place->second->on_link = std::move(on_link);
        return std::make_unique<sim_listener>(net_, name, place->second);
    }

    void dial(std::string_view url, std::uint32_t timeout_ms,
              std::function<void(result<std::unique_ptr<link>>)> done) override {
        std::string name(url_rest(url));
        if (name.empty()) {
            return answer(net_.all_.now(), std::move(done), no_name(url));
        }
        auto port = net_.ports_.find(name);
        std::string there = port == net_.ports_.end() ? name : port->second->host;
        bool reachable = !net_.way_of(host_, there).partition &&
                         !net_.way_of(there, host_).partition &&
                         !net_.without_power_.contains(there);
        if (!reachable) {
            instant given_up = net_.all_.now().after_ms(timeout_ms);
            return answer(given_up, std::move(done),
                          {errc::unreachable, "sim:" + name + ": no answer within " +
                                                  std::to_string(timeout_ms) + " ms"});
        }
        std::int64_t latency_us =
            net_.random_.between(net_.options_.latency_us_min, net_.options_.latency_us_max);
        instant heard{net_.all_.now().ns + 1000 * latency_us};
        instant back{heard.ns + 1000 * latency_us};
        net_.all_.at(heard, [this, alive = std::weak_ptr(alive_), name, back,
                             done = std::move(done)]() mutable {
            if (!alive.expired()) reach(name, back, std::move(done));
        });
    }

private:
    using dialed = std::function<void(result<std::unique_ptr<link>>)>;

    static error no_name(std::string_view url) {
        return {errc::invalid_argument, "\"" + std::string(url) + "\": no name; say sim:name"};
    }

    void answer(instant when, dialed done, error why) {
        net_.all_.at(when, [this, alive = std::weak_ptr(alive_), done = std::move(done),
                            why = std::move(why)] {
            if (alive.expired()) return;
            run_.post([alive, done, why] {
                if (!alive.expired()) done(fail(why));
            });
        });
    }

    // The call has come to where `name` is, or was.
    void reach(const std::string& name, instant back, dialed done) {
        auto found = net_.ports_.find(name);
        if (found == net_.ports_.end()) {
            return answer(back, std::move(done),
                          {errc::unreachable, "sim:" + name + ": nobody listens there"});
        }
        auto port = found->second;
        auto near = std::make_shared<sim_end>(net_, host_, port->host, "sim:" + name, run_);
        auto far = std::make_shared<sim_end>(net_, port->host, host_, "sim:" + host_, *port->run);
        sim_end::pair(near, far);
        net_.forget_closed();
        net_.ends_.push_back(near);
        net_.ends_.push_back(far);
        port->run->post([port, far] { accept(*port, far); });
        net_.all_.at(back, [this, alive = std::weak_ptr(alive_), near, done = std::move(done)] {
            if (alive.expired()) return near->close();
            run_.post([alive, near, done] {
                if (alive.expired()) return near->close();
                done(std::make_unique<sim_link>(near));
            });
        });
    }

    static void accept(sim_network::port& at, const std::shared_ptr<sim_end>& end) {
        if (!at.on_link || at.slots.use_count() > static_cast<long>(limits::peers_max)) {
            end->close();
            return;
        }
        end->counts_as(at.slots);
        auto handler = at.on_link; // it may destroy the listener
        handler(std::make_unique<sim_link>(end));
    }

    sim_network& net_;
    std::string host_;
    loop& run_;
    std::shared_ptr<char> alive_ = std::make_shared<char>();
};

sim_network::sim_network(sim_timeline& all, random_generator random, sim_network_options options)
    : all_(all), random_(random), options_(options) {}

sim_network::~sim_network() {
    for (const auto& weak : ends_) {
        if (auto end = weak.lock()) end->forget_late();
    }
}

std::unique_ptr<transport> sim_network::make_transport(std::string host, loop& run) {
    return std::make_unique<sim_transport>(*this, std::move(host), run);
}

sim_network::direction& sim_network::way_of(const std::string& from, const std::string& to) {
    return ways_[{from, to}];
}

void sim_network::partition(const std::string& from, const std::string& to, sim_partition how) {
    way_of(from, to).partition = how;
}

void sim_network::heal(const std::string& from, const std::string& to) {
    auto& way = way_of(from, to);
    way.partition.reset();
    auto stalled = std::exchange(way.stalled, {});
    for (const auto& deliver : stalled) deliver();
}

void sim_network::heal_all() {
    std::vector<std::pair<std::string, std::string>> all;
    for (auto& [between, way] : ways_) {
        way.bytes_per_ms = 0;
        all.push_back(between);
    }
    for (const auto& [from, to] : all) heal(from, to);
}

template <class F>
void sim_network::for_each_end(const std::string& at, const std::string& to, const F& what) {
    for (const auto& weak : ends_) {
        auto end = weak.lock();
        if (end && end->host() == at && end->peer_host() == to) what(*end);
    }
}

void sim_network::cut(const std::string& a, const std::string& b) {
    for_each_end(a, b, [](sim_end& end) { end.cut(); });
    for_each_end(b, a, [](sim_end& end) { end.cut(); });
}

void sim_network::close_late(const std::string& a, const std::string& b, std::int64_t late_ms) {
    for_each_end(a, b, [&](sim_end& end) { end.close_late(late_ms); });
}

void sim_network::silence(const std::string& from, const std::string& to) {
    for_each_end(from, to, [](sim_end& end) { end.silence(); });
}

void sim_network::slow(const std::string& from, const std::string& to, std::int64_t bytes_per_ms) {
    way_of(from, to).bytes_per_ms = bytes_per_ms;
}

void sim_network::host_gone(const std::string& host, bool power_lost) {
    if (power_lost) without_power_.insert(host);
    for (const auto& weak : ends_) {
        auto end = weak.lock();
        // What a process closed before it went, its system goes on sending.
        if (end && end->host() == host && (end->open() || power_lost)) end->vanish(power_lost);
    }
}

void sim_network::host_back(const std::string& host) { without_power_.erase(host); }

std::size_t sim_network::links() const {
    std::size_t open = 0;
    for (const auto& weak : ends_) {
        auto end = weak.lock();
        open += end && end->open() && !end->lost() ? 1 : 0;
    }
    return open / 2;
}

void sim_network::forget_closed() {
    std::erase_if(ends_, [](const auto& end) { return end.expired(); });
}

} // namespace weft
