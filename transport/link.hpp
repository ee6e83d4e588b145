#pragma once
#include "base/bytes.hpp"
#include "base/result.hpp"

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>

namespace weft {

// What a link tells its owner. All are called on the loop, never from inside a call to the link.
struct link_handlers {
    std::function<void(bytes body)> on_frame; // in the order sent, each exactly once or not at all
    // queued_bytes fell to at most half of its peak since the last such call. May be empty.
    std::function<void()> on_drained;
    std::function<void(error why)> on_closed; // at most once, last; not after the owner's own close
    // Part of a frame arrived, and not its end; or we do not read it now. May be empty: it only shows that
    // the peer lives, as far as we can know.
    std::function<void()> on_progress = {};
};

// An ordered, reliable, backpressured stream of frames between two replicas. A link never delivers
// a damaged, repeated or out-of-order frame: it closes instead. Loop thread only.
class link {
public:
    virtual ~link() = default; // closes

    // Starts delivery; called once. Frames that arrive earlier wait inside the link.
    virtual void start(link_handlers handlers) = 0;

    // Queues one frame body, at most limits::frame_bytes_max. Never blocks; a link whose queue
    // would pass limits::link_queue_bytes_max closes with over_limit. After close it does nothing.
    virtual void send(bytes body) = 0;

    // Frame bytes, headers included, that are queued and not yet handed to the operating system.
    [[nodiscard]] virtual std::size_t queued_bytes() const = 0;

    // Of all frame bytes that were sent, how many the other side took, as far as the operating system tells.
    [[nodiscard]] virtual std::uint64_t taken_bytes() const = 0;

    // Sends what is queued, for as long as the peer takes it but at most limits::silence_ms_max, and
    // closes; that happens behind the call. No handler is called after.
    virtual void close() = 0;
    // The same with `last` in place of what is queued, but for what has begun to leave: for a peer that
    // does not read.
    virtual void close_with(bytes last) = 0;

    [[nodiscard]] virtual std::string peer() const = 0; // where the other end is, as a URL
};

// Accepts until destroyed, at most limits::peers_max links at a time; the links outlive it. Loop
// thread only.
class listener {
public:
    virtual ~listener() = default;
    [[nodiscard]] virtual std::string url() const = 0; // with the port really bound
};

// Makes links for the URLs of one scheme. transport/README.md tells how to add one. Loop thread
// only.
class transport {
public:
    virtual ~transport() = default;

    // `on_link` is called on the loop for every accepted link.
    [[nodiscard]] virtual result<std::unique_ptr<listener>>
    listen(std::string_view url, std::function<void(std::unique_ptr<link>)> on_link) = 0;

    // `done` is called once, on the loop, never from inside this call; unreachable if nobody
    // answers within `timeout_ms`. Destroying the transport cancels: then `done` is not called.
    virtual void dial(std::string_view url, std::uint32_t timeout_ms,
                      std::function<void(result<std::unique_ptr<link>>)> done) = 0;
};

} // namespace weft
