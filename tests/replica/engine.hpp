#pragma once
#include "replica/change_codec.hpp"
#include "replica/core.hpp"

#include <boost/test/unit_test.hpp>

#include <algorithm>

// The engine alone, stepped by hand.
namespace weft::tests {

inline constexpr std::uint64_t wall_ms = 1'800'000'000'000;
inline constexpr session_id wire{1};

inline hello_message hello_of(const std::string& name, replica_id id) {
    hello_message hello;
    hello.cluster = "weft";
    hello.id = id;
    hello.name = name;
    hello.process_nonce = 77;
    return hello;
}

struct engine {
    core decisions;
    instant now{1'000'000'000};
    std::vector<effect> asked;

    explicit engine(replica_options options = {.name = "a"}) : decisions(std::move(options), 1) {
        decisions.start({replica_id{10}, {}, {}}, {}, now);
    }
    explicit engine(core started) : decisions(std::move(started)) {}

    void happens(decltype(event::what) what) {
        now = now.after_ms(1);
        asked = decisions.step({now, wall_ms, std::move(what)});
    }
    void drains(session_id link) {
        decisions.count_drained(link, now);
        happens(woken{});
    }
    void meets(const std::string& name, replica_id id, std::optional<peer_id> dialed = {}) {
        happens(link_up{wire, dialed, "test:" + name});
        happens(received{wire, hello_of(name, id), 100});
    }
    core::committed writes() {
        static constexpr std::string_view key = "own";
        operation op;
        op.path = {&key, 1};
        op.type = {type_kind::counter};
        op.what = action::increment;
        op.amount = 1;
        BOOST_REQUIRE(decisions.begin_change(wall_ms));
        BOOST_REQUIRE(decisions.apply(std::move(op)));
        return decisions.end_change();
    }
    void receives(const shared_bytes& run) { happens(received{wire, runs_message{{run}}, 100}); }

    template <class Effect>
    [[nodiscard]] std::size_t count() const {
        return static_cast<std::size_t>(std::count_if(
            asked.begin(), asked.end(), [](auto& e) { return std::holds_alternative<Effect>(e); }));
    }
    // Messages of that kind that are to be sent.
    template <class Message>
    [[nodiscard]] std::vector<Message> sent() const {
        std::vector<Message> out;
        for (const effect& e : asked) {
            const auto* one = std::get_if<send_message>(&e);
            if (one == nullptr) continue;
            if (const auto* m = std::get_if<Message>(&one->what)) out.push_back(*m);
        }
        return out;
    }
    [[nodiscard]] bool reported(std::string_view what) const {
        return std::any_of(asked.begin(), asked.end(), [&](const effect& e) {
            const auto* said = std::get_if<report>(&e);
            return said != nullptr && said->what.what == what;
        });
    }
};

inline shared_bytes run_of(replica_id origin, std::uint64_t first = 1, run_hash previous = {},
                           const version_vector& dependencies = {}, std::int64_t amount = 1) {
    static constexpr std::string_view key = "k";
    run_encoder encoder;
    operation op;
    op.path = {&key, 1};
    op.type = {type_kind::counter};
    op.what = action::increment;
    op.amount = amount;
    encoder.begin_change(hlc::at_ms(wall_ms), dependencies.entries());
    encoder.add(op);
    encoder.end_change();
    return shared_bytes(encoder.seal(origin, first, previous, {"m", "", {}}, codec::none));
}

} // namespace weft::tests
