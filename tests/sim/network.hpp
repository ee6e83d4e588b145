#pragma once
#include "base/random.hpp"
#include "tests/sim/time.hpp"
#include "transport/link.hpp"

#include <functional>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <vector>

namespace weft {

// How the links of a world behave, drawn once per link from these ranges.
struct sim_network_options {
    std::int64_t latency_us_min = 100; // one way
    std::int64_t latency_us_max = 100;
    std::int64_t jitter_us_max = 0; // on top, per frame; frames never overtake
    std::int64_t bytes_per_ms_min = 100'000;
    std::int64_t bytes_per_ms_max = 100'000;
    std::size_t window_bytes = 256U << 10U; // sent and not yet taken: what systems buffer
    double duplicates =
        0; // how many of the messages arrive twice; never a Hello, which ends a session
};

// What becomes of a frame that would arrive where a partition is.
enum class sim_partition : std::uint8_t {
    stall, // it waits; the stream goes on when the partition heals
    lose,  // it is lost, and with it the link, which stays silent on that way for ever: half-open
};

// A network of named hosts in one timeline. `sim:name` is where a host listens.
//
// A link is an ordered stream, so the network drops by what a stream can do: links are cut with the
// loss of what was under way, fall silent, stall. It duplicates and reorders across links: links are made
// twice by two dialers, what an old link still had under way arrives after what the next one brought, and
// single messages arrive twice, as over a transport that sends again.
//
//   queue      counts until the frame has left at the link's bandwidth; a peer that does not take
//              frames fills the window, then the queue
//   dial       takes a round trip; where a partition is, or a host without power, there is no answer
class sim_network {
public:
    sim_network(sim_timeline& all, random_generator random, sim_network_options options);
    ~sim_network();
    sim_network(const sim_network&) = delete;
    sim_network& operator=(const sim_network&) = delete;

    // For one process on `host`. `run` outlives what is made here.
    [[nodiscard]] std::unique_ptr<transport> make_transport(std::string host, loop& run);

    // One way each.
    void partition(const std::string& from, const std::string& to, sim_partition how);
    void heal(const std::string& from, const std::string& to);
    void heal_all();
    // Ends every link between the two; what is under way is lost, and both sides are told.
    void cut(const std::string& a, const std::string& b);
    // Ends every link between the two: `a` is told at once and may dial again; what it had under way comes
    // to `b` only after `late_ms`, and then the close. What `b` sends meanwhile is lost.
    void close_late(const std::string& a, const std::string& b, std::int64_t late_ms);
    // Nothing that `from` sends over a link of now comes to `to` any more, and nobody is told: half-open.
    void silence(const std::string& from, const std::string& to);
    // So much, whatever a link could, for one way; 0 ends that.
    void slow(const std::string& from, const std::string& to, std::int64_t bytes_per_ms);
    // The host's process was killed. Without power, its peers are not even told.
    void host_gone(const std::string& host, bool power_lost);
    void host_back(const std::string& host);

    // Watches every frame as it is handed over.
    std::function<void(const std::string& from, const std::string& to, byte_view body)> on_frame;
    [[nodiscard]] std::size_t links() const; // not closed by both sides

private:
    friend class sim_end;
    friend class sim_link;
    friend class sim_transport;
    friend class sim_listener;
    struct port;
    struct direction; // from one host to another

    direction& way_of(const std::string& from, const std::string& to);
    void forget_closed();
    template <class F>
    void for_each_end(const std::string& at, const std::string& to, const F& what);

    sim_timeline& all_;
    random_generator random_;
    sim_network_options options_;
    std::map<std::string, std::shared_ptr<port>, std::less<>> ports_;
    std::map<std::pair<std::string, std::string>, direction> ways_;
    std::set<std::string> without_power_;
    std::vector<std::weak_ptr<class sim_end>> ends_; // in the order they were made
};

} // namespace weft
