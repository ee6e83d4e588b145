#pragma once
#include "base/limits.hpp"
#include "base/random.hpp"
#include "transport/link.hpp"

#include <boost/test/unit_test.hpp>

#include <chrono>
#include <functional>
#include <memory>
#include <string>
#include <vector>

// What every transport must do: the rig that a transport's test brings, and the claims.
namespace weft::tests {

// A transport under test and the loop that it lives on, which the test turns by hand.
class link_rig {
public:
    virtual ~link_rig() = default;

    [[nodiscard]] virtual std::unique_ptr<transport> make_transport() = 0;
    [[nodiscard]] virtual std::string free_url() = 0; // to listen at
    [[nodiscard]] virtual std::string deaf_url() = 0; // well formed, but nobody listens there
    [[nodiscard]] virtual std::vector<std::string> malformed_urls() = 0;

    // Runs one task of the loop. Waits for one, for seconds; false if none came.
    [[nodiscard]] virtual bool turn() = 0;
};

using rig_maker = std::function<std::unique_ptr<link_rig>()>;

// A link, and what its handlers were told.
struct recorded_link {
    explicit recorded_link(std::unique_ptr<link> which) : own(std::move(which)) {}
    void start();

    std::unique_ptr<link> own;
    std::vector<bytes> frames;
    std::size_t parts = 0; // of frames that were not whole yet
    std::size_t drained = 0;
    std::vector<error> closed;
};

// Two replicas, one link.
struct linked_pair {
    linked_pair(link_rig& rig, transport& how, const std::string& listen_url);

    std::unique_ptr<listener> accepting;
    std::unique_ptr<recorded_link> dialed;
    std::unique_ptr<recorded_link> accepted;
};

inline constexpr std::uint32_t patient_ms = 60'000;

template <class T>
std::string problem_of(const result<T>& outcome) {
    return outcome ? "none" : to_string(outcome.error());
}

// Turns the loop until `reached`; fails the test if that never comes.
inline void turn_until(link_rig& rig, const std::function<bool()>& reached) {
    using clock = std::chrono::steady_clock;
    auto deadline = clock::now() + std::chrono::minutes(5);
    while (!reached()) {
        BOOST_REQUIRE_MESSAGE(rig.turn(), "nothing happens any more");
        BOOST_REQUIRE_MESSAGE(clock::now() < deadline, "it never came");
    }
}

inline void recorded_link::start() {
    own->start({.on_frame = [this](bytes body) { frames.push_back(std::move(body)); },
                .on_drained = [this] { ++drained; },
                .on_closed = [this](error why) { closed.push_back(std::move(why)); },
                .on_progress = [this] { ++parts; }});
}

inline linked_pair::linked_pair(link_rig& rig, transport& how, const std::string& listen_url) {
    auto listening = how.listen(listen_url, [this](std::unique_ptr<link> fresh) {
        if (!accepted) accepted = std::make_unique<recorded_link>(std::move(fresh));
    });
    BOOST_REQUIRE_MESSAGE(listening.has_value(), problem_of(listening));
    accepting = std::move(*listening);
    how.dial(accepting->url(), patient_ms, [this](result<std::unique_ptr<link>> outcome) {
        BOOST_REQUIRE_MESSAGE(outcome.has_value(), problem_of(outcome));
        dialed = std::make_unique<recorded_link>(std::move(*outcome));
    });
    turn_until(rig, [&] { return dialed && accepted; });
}

namespace link_claims {

inline constexpr std::size_t mib = 1U << 20U;

inline bytes patterned(std::size_t size, std::uint64_t seed) {
    random_generator random(seed);
    bytes out(size);
    for (std::size_t i = 0; i < size; i += 61) out[i] = static_cast<std::byte>(random.next());
    return out;
}

// A rig, a transport and the two ends of a link, not started yet.
struct scene {
    explicit scene(link_rig& on)
        : rig(on), how(on.make_transport()), pair(on, *how, on.free_url()) {}

    void start() {
        pair.dialed->start();
        pair.accepted->start();
    }
    void until(const std::function<bool()>& reached) { turn_until(rig, reached); }

    // All that was posted or sent before this has arrived where it goes.
    void settle() {
        linked_pair other(rig, *how, rig.free_url());
        other.dialed->start();
        other.accepted->start();
        for (std::size_t round = 1; round <= 8; ++round) {
            other.dialed->own->send(bytes(1));
            until([&] { return other.accepted->frames.size() == round; });
            other.accepted->own->send(bytes(1));
            until([&] { return other.dialed->frames.size() == round; });
        }
    }

    link_rig& rig;
    std::unique_ptr<transport> how;
    linked_pair pair;
};

inline void frames_arrive_in_order_each_once_both_ways(link_rig& rig) {
    scene s(rig);
    s.start();
    std::vector<bytes> sent;
    sent.reserve(300);
    for (std::uint64_t i = 0; i < 300; ++i) sent.push_back(patterned(i * i % 90'000, i));
    for (const bytes& body : sent) {
        s.pair.dialed->own->send(body);
        s.pair.accepted->own->send(body);
    }
    s.until([&] {
        return s.pair.dialed->frames.size() == sent.size() &&
               s.pair.accepted->frames.size() == sent.size();
    });
    s.settle();
    BOOST_TEST((s.pair.dialed->frames == sent));
    BOOST_TEST((s.pair.accepted->frames == sent));
    BOOST_TEST(s.pair.dialed->closed.empty());
}

inline void frames_from_none_to_the_largest_arrive(link_rig& rig) {
    scene s(rig);
    s.start();
    std::vector<bytes> sent;
    for (std::size_t size : {std::size_t{0}, std::size_t{1}, std::size_t{65'536}, mib,
                             limits::frame_bytes_max, std::size_t{0}}) {
        sent.push_back(patterned(size, size));
        s.pair.dialed->own->send(sent.back());
    }
    s.until([&] { return s.pair.accepted->frames.size() == sent.size(); });
    BOOST_TEST((s.pair.accepted->frames == sent));
}

inline void many_small_frames_cross_both_ways(link_rig& rig) {
    constexpr std::size_t frames = 20'000;
    scene s(rig);
    s.start();
    for (std::size_t i = 0; i < frames; ++i) {
        s.pair.dialed->own->send(patterned(16, i));
        s.pair.accepted->own->send(patterned(16, i + 1));
    }
    s.until([&] {
        return s.pair.dialed->frames.size() == frames && s.pair.accepted->frames.size() == frames;
    });
    BOOST_TEST((s.pair.accepted->frames.back() == patterned(16, frames - 1)));
    BOOST_TEST((s.pair.dialed->frames.back() == patterned(16, frames)));
}

inline void a_handler_may_send(link_rig& rig) {
    scene s(rig);
    s.pair.dialed->start();
    auto& far = s.pair.accepted->own;
    far->start({.on_frame = [&](bytes body) { far->send(std::move(body)); },
                .on_drained = [] {},
                .on_closed = [](const error&) {}});
    for (std::size_t i = 1; i <= 200; ++i) {
        s.pair.dialed->own->send(patterned(i, i));
        s.until([&] { return s.pair.dialed->frames.size() == i; });
        BOOST_TEST((s.pair.dialed->frames.back() == patterned(i, i)));
    }
}

inline void frames_wait_for_start(link_rig& rig) {
    scene s(rig);
    s.pair.dialed->start();
    for (std::uint64_t i = 0; i < 10; ++i) s.pair.dialed->own->send(patterned(100, i));
    s.settle();
    BOOST_TEST(s.pair.accepted->frames.empty());
    s.pair.accepted->start();
    BOOST_TEST(s.pair.accepted->frames.empty(), "handlers are never called inside a call");
    s.until([&] { return s.pair.accepted->frames.size() == 10; });
}

inline void a_peer_that_does_not_read_makes_the_queue_grow(link_rig& rig) {
    scene s(rig);
    s.pair.dialed->start();
    constexpr std::size_t frames = 24;
    for (std::size_t i = 0; i < frames; ++i) s.pair.dialed->own->send(bytes(mib));
    s.settle();
    std::size_t stuck = s.pair.dialed->own->queued_bytes();
    BOOST_TEST(stuck > mib); // what the operating system buffers is no backpressure
    BOOST_TEST(s.pair.dialed->closed.empty());

    std::size_t drained = s.pair.dialed->drained;
    s.pair.accepted->start();
    s.until([&] { return s.pair.accepted->frames.size() == frames; });
    s.until([&] { return s.pair.dialed->own->queued_bytes() == 0; });
    s.settle();
    BOOST_TEST(s.pair.dialed->drained > drained);
}

inline void what_the_peer_took_is_counted(link_rig& rig) {
    scene s(rig);
    s.pair.dialed->start();
    link& own = *s.pair.dialed->own;
    constexpr std::size_t frames = 24;
    constexpr std::uint64_t sent = frames * (mib + limits::frame_header_bytes);
    for (std::size_t i = 0; i < frames; ++i) own.send(bytes(mib));
    s.settle();
    BOOST_TEST(own.taken_bytes() <= sent - own.queued_bytes());
    s.pair.accepted->start();
    std::uint64_t before = own.taken_bytes();
    s.until([&] {
        BOOST_REQUIRE(own.taken_bytes() >= before);
        before = own.taken_bytes();
        return s.pair.accepted->frames.size() == frames;
    });
    own.send(bytes(1)); // what was said of the last one has come back by then
    s.until([&] { return s.pair.accepted->frames.size() == frames + 1; });
    s.settle();
    BOOST_TEST(own.taken_bytes() >= sent);
}

inline void a_queue_may_be_given_up_for_a_last_frame(link_rig& rig) {
    scene s(rig);
    s.pair.dialed->start();
    link& own = *s.pair.dialed->own;
    for (int i = 0; i < 24; ++i) own.send(bytes(mib));
    s.settle();
    own.close_with(patterned(100, 1));
    s.pair.accepted->start();
    s.until([&] { return !s.pair.accepted->closed.empty(); });
    BOOST_TEST(s.pair.dialed->closed.empty());
    BOOST_REQUIRE(!s.pair.accepted->frames.empty());
    BOOST_TEST((s.pair.accepted->frames.back() == patterned(100, 1)));
    s.pair.accepted->frames.pop_back();
    for (const bytes& whole : s.pair.accepted->frames) BOOST_TEST((whole == bytes(mib)));
}

// What is being written must stay where it is, whatever is sent behind it.
inline void frames_sent_behind_a_stuck_one_arrive(link_rig& rig) {
    scene s(rig);
    s.pair.dialed->start();
    std::vector<bytes> sent;
    auto send = [&](std::size_t size) {
        sent.push_back(patterned(size, sent.size()));
        s.pair.dialed->own->send(sent.back());
    };
    while (s.pair.dialed->own->queued_bytes() == 0) {
        for (int i = 0; i < 16; ++i) send(4'000);
        s.settle();
    }
    for (int i = 0; i < 100; ++i)
        send(i % 10 == 5 ? 20'000 : 10); // some too large to be copied together
    s.pair.accepted->start();
    s.until([&] { return s.pair.accepted->frames.size() == sent.size(); });
    BOOST_TEST((s.pair.accepted->frames == sent));
}

inline void an_emptied_queue_is_told(link_rig& rig) {
    scene s(rig);
    s.start();
    for (std::size_t round = 1; round <= 3; ++round) {
        s.pair.dialed->own->send(bytes(10));
        BOOST_TEST(s.pair.dialed->own->queued_bytes() == 10 + limits::frame_header_bytes);
        s.until([&] { return s.pair.dialed->drained == round; });
        BOOST_TEST(s.pair.dialed->own->queued_bytes() == 0U);
    }
}

inline void a_queue_over_the_limit_closes_the_link(link_rig& rig) {
    scene s(rig);
    s.pair.dialed->start();
    for (std::size_t sent = 0; sent <= limits::link_queue_bytes_max; sent += mib) {
        s.pair.dialed->own->send(bytes(mib));
    }
    BOOST_TEST(s.pair.dialed->closed.empty(), "handlers are never called inside a call");
    s.until([&] { return !s.pair.dialed->closed.empty(); });
    BOOST_TEST(to_string(s.pair.dialed->closed.front().code) == "over_limit");
    s.pair.dialed->own->send(bytes(1));
    BOOST_TEST(s.pair.dialed->own->queued_bytes() == 0U);
    s.settle();
    BOOST_TEST(s.pair.dialed->closed.size() == 1U);
}

inline void close_sends_what_is_queued(link_rig& rig) {
    scene s(rig);
    s.start();
    std::vector<bytes> sent;
    sent.reserve(100);
    for (std::uint64_t i = 0; i < 100; ++i) sent.push_back(patterned(i * 1'000, i));
    for (const bytes& body : sent) s.pair.dialed->own->send(body);
    s.pair.accepted->own->send(bytes(100'000)); // unread by who closes
    s.pair.dialed->own->close();
    s.until([&] { return !s.pair.accepted->closed.empty(); });
    BOOST_TEST((s.pair.accepted->frames == sent));
    BOOST_TEST(to_string(s.pair.accepted->closed.front().code) == "link_lost");
    s.settle();
    BOOST_TEST(s.pair.accepted->closed.size() == 1U);
    BOOST_TEST(s.pair.dialed->closed.empty());
}

inline void destroying_a_link_closes_it(link_rig& rig) {
    scene s(rig);
    s.start();
    s.pair.accepted->own->send(bytes(7));
    s.pair.accepted->own.reset();
    s.until([&] { return !s.pair.dialed->closed.empty(); });
    BOOST_TEST(s.pair.dialed->frames.size() == 1U);
    BOOST_TEST(to_string(s.pair.dialed->closed.front().code) == "link_lost");
    s.settle();
    BOOST_TEST(s.pair.dialed->closed.size() == 1U);
}

inline void a_close_before_start_is_told_after_the_frames(link_rig& rig) {
    scene s(rig);
    s.pair.dialed->start();
    s.pair.dialed->own->send(bytes(3));
    s.pair.dialed->own->close();
    s.settle();
    s.pair.accepted->start();
    s.until([&] { return !s.pair.accepted->closed.empty(); });
    BOOST_TEST(s.pair.accepted->frames.size() == 1U);
}

inline void no_handler_is_called_after_close(link_rig& rig) {
    scene s(rig);
    s.start();
    for (int i = 0; i < 50; ++i) s.pair.accepted->own->send(bytes(1'000));
    s.until([&] { return !s.pair.dialed->frames.empty(); });
    std::size_t frames = s.pair.dialed->frames.size();
    std::size_t drained = s.pair.dialed->drained;
    s.pair.dialed->own->send(bytes(10));
    s.pair.dialed->own->close();
    s.pair.dialed->own->close();
    s.pair.dialed->own->send(bytes(10));
    s.until([&] { return !s.pair.accepted->closed.empty(); });
    s.settle();
    BOOST_TEST(s.pair.dialed->frames.size() == frames);
    BOOST_TEST(s.pair.dialed->drained == drained);
    BOOST_TEST(s.pair.dialed->closed.empty());
}

// The handler keeps a witness: it must live until the handler returns.
inline void a_link_may_be_destroyed_in_its_own_handlers(link_rig& rig) {
    for (std::string which : {"on_frame", "on_drained", "on_closed"}) {
        BOOST_TEST_CONTEXT(which) {
            scene s(rig);
            s.pair.accepted->start();
            auto witness = std::make_shared<std::string>(which);
            std::vector<std::string> calls;
            auto end_in = [&, witness](const std::string& here) {
                calls.push_back(here);
                if (here == which) s.pair.dialed->own.reset();
                BOOST_TEST(*witness == which);
            };
            s.pair.dialed->own->start({.on_frame = [=](const bytes&) { end_in("on_frame"); },
                                       .on_drained = [=] { end_in("on_drained"); },
                                       .on_closed = [=](const error&) { end_in("on_closed"); }});
            if (which == "on_drained") s.pair.dialed->own->send(bytes(1));
            if (which == "on_frame") {
                for (int i = 0; i < 3; ++i) s.pair.accepted->own->send(bytes(1));
            }
            if (which == "on_closed") s.pair.accepted->own->close();
            s.until([&] { return s.pair.dialed->own == nullptr; });
            s.settle();
            BOOST_TEST(calls == std::vector<std::string>{which}, boost::test_tools::per_element());
        }
    }
}

inline void dialing_nobody_is_unreachable(link_rig& rig) {
    auto how = rig.make_transport();
    int calls = 0;
    std::string failure;
    how->dial(rig.deaf_url(), patient_ms, [&](result<std::unique_ptr<link>> outcome) {
        ++calls;
        if (!outcome) failure = to_string(outcome.error());
    });
    BOOST_TEST(calls == 0, "never from inside the call");
    turn_until(rig, [&] { return calls > 0; });
    BOOST_TEST(failure.starts_with("unreachable: "), failure);
    BOOST_TEST(failure.find(rig.deaf_url()) != std::string::npos, failure);
    scene(rig).settle();
    BOOST_TEST(calls == 1);
}

inline void a_malformed_url_is_an_invalid_argument(link_rig& rig) {
    auto how = rig.make_transport();
    for (const std::string& url : rig.malformed_urls()) {
        BOOST_TEST_CONTEXT(url) {
            auto listening = how->listen(url, [](std::unique_ptr<link>) {});
            BOOST_REQUIRE(!listening);
            BOOST_TEST(to_string(listening.error().code) == "invalid_argument");
            std::string failure;
            how->dial(url, patient_ms, [&](result<std::unique_ptr<link>> outcome) {
                BOOST_REQUIRE(!outcome);
                failure = to_string(outcome.error());
            });
            BOOST_TEST(failure.empty());
            turn_until(rig, [&] { return !failure.empty(); });
        }
    }
}

inline void destroying_the_transport_cancels_its_dials(link_rig& rig) {
    scene s(rig);
    auto doomed = rig.make_transport();
    bool called = false;
    auto note = [&](const result<std::unique_ptr<link>>&) { called = true; };
    doomed->dial(s.pair.accepting->url(), patient_ms, note);
    doomed->dial(rig.deaf_url(), patient_ms, note);
    doomed->dial(rig.malformed_urls().front(), patient_ms, note);
    doomed.reset();
    s.settle();
    BOOST_TEST(!called);
}

inline void an_address_has_one_listener(link_rig& rig) {
    auto how = rig.make_transport();
    auto first = how->listen(rig.free_url(), [](std::unique_ptr<link>) {});
    BOOST_REQUIRE(first.has_value());
    auto second = how->listen((*first)->url(), [](std::unique_ptr<link>) {});
    BOOST_REQUIRE(!second);
    BOOST_TEST(to_string(second.error().code) == "io_failed");
    BOOST_TEST(second.error().detail.find((*first)->url()) != std::string::npos);

    std::string url = (*first)->url();
    first->reset();
    BOOST_TEST(how->listen(url, [](std::unique_ptr<link>) {}).has_value(), "free again");
}

inline void links_outlive_their_listener(link_rig& rig) {
    scene s(rig);
    s.start();
    std::string url = s.pair.accepting->url();
    s.pair.accepting.reset();
    s.pair.dialed->own->send(bytes(5));
    s.until([&] { return s.pair.accepted->frames.size() == 1; });

    std::string failure;
    s.how->dial(url, patient_ms, [&](result<std::unique_ptr<link>> outcome) {
        BOOST_REQUIRE(!outcome);
        failure = to_string(outcome.error());
    });
    s.until([&] { return !failure.empty(); });
    BOOST_TEST(failure.starts_with("unreachable: "), failure);
}

inline void both_ends_know_their_peer(link_rig& rig) {
    scene s(rig);
    std::string url = s.pair.accepting->url();
    std::string scheme = url.substr(0, url.find(':') + 1);
    BOOST_TEST(s.pair.dialed->own->peer() == url);
    BOOST_TEST(s.pair.accepted->own->peer().starts_with(scheme));
}

inline void a_listener_keeps_at_most_peers_max_links(link_rig& rig) {
    auto how = rig.make_transport();
    std::vector<std::unique_ptr<link>> accepted;
    std::vector<std::unique_ptr<recorded_link>> dialed;
    auto accepting = how->listen(
        rig.free_url(), [&](std::unique_ptr<link> fresh) { accepted.push_back(std::move(fresh)); });
    BOOST_REQUIRE(accepting.has_value());
    auto dial = [&] {
        bool done = false;
        how->dial((*accepting)->url(), patient_ms, [&](result<std::unique_ptr<link>> outcome) {
            BOOST_REQUIRE(outcome.has_value());
            dialed.push_back(std::make_unique<recorded_link>(std::move(*outcome)));
            dialed.back()->start();
            done = true;
        });
        turn_until(rig, [&] { return done; });
    };
    while (dialed.size() < limits::peers_max) dial();
    turn_until(rig, [&] { return accepted.size() == limits::peers_max; });

    dial();
    turn_until(rig, [&] { return !dialed.back()->closed.empty(); });
    BOOST_TEST(accepted.size() == limits::peers_max);

    // A link that is gone makes room for another.
    accepted.pop_back();
    turn_until(rig, [&] {
        std::size_t gone = 0;
        for (const auto& one : dialed) gone += one->closed.size();
        return gone == 2;
    });
    scene(rig).settle();
    dial();
    turn_until(rig, [&] {
        return accepted.size() == limits::peers_max || !dialed.back()->closed.empty();
    });
    BOOST_TEST(accepted.size() == limits::peers_max);
}

struct claim {
    const char* name;
    void (*check)(link_rig&);
};

#define CLAIM(function)                                                                            \
    claim { #function, function }
inline const std::vector<claim>& claims() {
    static const std::vector<claim> all{
        CLAIM(frames_arrive_in_order_each_once_both_ways),
        CLAIM(frames_from_none_to_the_largest_arrive),
        CLAIM(many_small_frames_cross_both_ways),
        CLAIM(a_handler_may_send),
        CLAIM(frames_wait_for_start),
        CLAIM(a_peer_that_does_not_read_makes_the_queue_grow),
        CLAIM(what_the_peer_took_is_counted),
        CLAIM(a_queue_may_be_given_up_for_a_last_frame),
        CLAIM(frames_sent_behind_a_stuck_one_arrive),
        CLAIM(an_emptied_queue_is_told),
        CLAIM(a_queue_over_the_limit_closes_the_link),
        CLAIM(close_sends_what_is_queued),
        CLAIM(destroying_a_link_closes_it),
        CLAIM(a_close_before_start_is_told_after_the_frames),
        CLAIM(no_handler_is_called_after_close),
        CLAIM(a_link_may_be_destroyed_in_its_own_handlers),
        CLAIM(dialing_nobody_is_unreachable),
        CLAIM(a_malformed_url_is_an_invalid_argument),
        CLAIM(destroying_the_transport_cancels_its_dials),
        CLAIM(an_address_has_one_listener),
        CLAIM(links_outlive_their_listener),
        CLAIM(both_ends_know_their_peer),
        CLAIM(a_listener_keeps_at_most_peers_max_links),
    };
    return all;
}
#undef CLAIM

} // namespace link_claims

// Adds what every transport must do as the test suite `name`, each claim with a rig of its own. Call
// it from the initializer of a namespace-scope constant.
inline bool register_link_suite(const std::string& name, const rig_maker& make) {
    namespace unit_test = boost::unit_test;
    auto* suite = BOOST_TEST_SUITE(name);
    for (const link_claims::claim& one : link_claims::claims()) {
        suite->add(unit_test::make_test_case([make, one] { one.check(*make()); }, one.name,
                                             __FILE__, __LINE__));
    }
    unit_test::framework::master_test_suite().add(suite);
    return true;
}

} // namespace weft::tests
