#include "base/check.hpp"
#include "base/codec.hpp"
#include "base/limits.hpp"
#include "replica/change_codec.hpp"
#include "replica/digest_ranges.hpp"
#include "tests/fuzz/targets.hpp"
#include "tests/sim/cluster.hpp"
#include "transport/message.hpp"

#include <algorithm>
#include <array>

// A replica at work, and a peer that says whatever the input wants: what a decoder let through reaches
// every handler, in sessions that stand, with a log, snapshots and a state transfer behind it.
namespace weft::fuzz {
namespace {

constexpr replica_id hostile{77};

// A peer's snapshot as it would send it: a state of a few objects.
const bytes& good_state() {
    static const bytes state = [] {
        sim::cluster world({.seed = 2});
        sim::host& one = world.add("m", {});
        WEFT_CHECK(one.start().has_value());
        for (int i = 0; i < 20; ++i) WEFT_CHECK(one->counter("c" + std::to_string(i)).increment());
        one->snapshot([](const result<snapshot_info>&) {});
        world.run_ms(1'000);
        std::vector<std::string> names = one.directory().names();
        auto at =
            std::ranges::find_if(names, [](const auto& n) { return n.starts_with("snapshot-"); });
        WEFT_CHECK(at != names.end());
        return one.directory().contents(*at);
    }();
    return state;
}

hello_message greeting(replica_id id, std::uint64_t nonce) {
    hello_message out;
    out.cluster = "weft";
    out.id = id;
    out.name = "x";
    out.process_nonce = nonce;
    out.features = feature_checks;
    return out;
}

class stage {
public:
    explicit stage(byte_view script)
        : in_(script), world_({.seed = 1}), time_(world_.timeline(), 0, 0),
          loop_(world_.timeline(), time_), net_(world_.network().make_transport("x", loop_)),
          victim_(world_.add("a", {})) {
        WEFT_CHECK(victim_.start().has_value());
        for (int i = 0; i < 3; ++i) WEFT_CHECK(victim_->counter("n").increment());
        own_ = victim_->id();
        world_.run_ms(20);
    }

    void play() {
        connect();
        if ((in_.u8() & 1U) == 0) {
            send(greeting(hostile, 5));
            send(interest_message{});
        }
        for (int steps = 0; in_.good() && !in_.at_end() && steps < 60; ++steps) {
            step();
            world_.run_ms(2);
            check();
        }
        world_.run_ms(500);
        check();
        victim_.check_invariants();
    }

private:
    void check() {
        WEFT_CHECK(!victim_.failed());
        auto now = victim_->status();
        WEFT_CHECK(now.has_value());
        std::size_t share = limits::buffer_share(limits::buffer_bytes_max);
        WEFT_CHECK(now->held_back_bytes <= share && now->sending_bytes <= share);
    }

    void connect() {
        wire_.reset();
        net_->dial("sim:a", 1'000, [this](result<std::unique_ptr<link>> made) {
            if (!made) return;
            wire_ = std::move(*made);
            wire_->start({.on_frame = [](const bytes&) {},
                          .on_drained = {},
                          .on_closed = [](const error&) {}});
        });
        world_.run_ms(2);
    }
    void send(const weft::message& what) { send_raw(encode_message(what)); }
    void send_raw(bytes body) {
        if (wire_) wire_->send(std::move(body));
    }

    replica_id origin() {
        std::array<replica_id, 5> pool{own_, hostile, replica_id{1}, replica_id{2}, replica_id{}};
        return pool.at(in_.u8() % pool.size());
    }
    version_vector vector() {
        version_vector out;
        for (unsigned left = in_.u8() % 4; left > 0; --left) {
            replica_id of = origin();
            std::uint64_t counter = in_.varint();
            if (of != replica_id{} && counter > 0) out.advance(of, counter);
        }
        return out;
    }
    snapshot_ref snapshot() {
        std::uint8_t which = in_.u8();
        std::uint64_t size = (which & 1U) != 0 ? in_.varint() : good_state().size();
        return {log_index{which / 2U}, size};
    }
    // A sound run but for what the input says.
    shared_bytes run() {
        std::uint8_t how = in_.u8();
        std::string key = "k" + std::to_string(how % 3);
        std::string_view path = key;
        operation op;
        op.path = {&path, 1};
        op.type = {type_kind::counter};
        op.what = action::increment;
        op.amount = how;
        run_encoder encoder;
        version_vector causes = vector();
        encoder.begin_change(hlc::at_ms(1'800'000'000'000 + in_.varint() % 1'000'000),
                             causes.entries());
        encoder.add(op);
        encoder.end_change();
        replica_id of = origin();
        std::uint64_t first = std::clamp<std::uint64_t>(in_.varint(), 1, 1'000'000);
        run_hash previous = (how & 64U) != 0 ? run_hash{} : last_[of];
        bytes out = encoder.seal(of, first, previous, {"m", "", {}}, codec::none);
        if ((how & 128U) != 0) {
            out[in_.varint() % out.size()] ^= std::byte{in_.u8()};
        } else {
            last_[of] = hash_of(out);
        }
        return shared_bytes(std::move(out));
    }
    bytes chunk(std::uint64_t& offset) {
        const bytes& state = good_state();
        std::uint8_t how = in_.u8();
        offset = (how & 1U) != 0 ? in_.varint() : 0;
        if ((how & 2U) != 0) {
            byte_view some = in_.raw(in_.varint() % (in_.left() + 1));
            return {some.begin(), some.end()};
        }
        bytes out(state.begin() +
                      static_cast<std::ptrdiff_t>(std::min<std::uint64_t>(offset, state.size())),
                  state.end());
        if ((how & 4U) != 0 && !out.empty()) out[in_.varint() % out.size()] ^= std::byte{in_.u8()};
        return out;
    }

    void step() {
        switch (in_.u8() % 15) {
            case 0: {
                byte_view raw = in_.raw(in_.varint() % (in_.left() + 1));
                return send_raw(bytes(raw.begin(), raw.end()));
            }
            case 1: {
                hello_message hello = greeting(origin(), 0);
                hello.process_nonce = in_.u8();
                version_vector stated = vector();
                for (const auto& e : stated.entries()) {
                    run_hash last = (in_.u8() & 1U) != 0 ? run_hash{} : last_[e.replica];
                    hello.applied.push_back({e.replica, e.counter, last});
                }
                hello.floor = vector();
                return send(hello);
            }
            case 2: {
                interest_message want;
                want.only_own = (in_.u8() & 1U) != 0;
                want.applied = vector();
                want.except = {origin()};
                want.resend = (in_.u8() & 1U) != 0;
                return send(want);
            }
            case 3: {
                runs_message runs;
                for (unsigned left = in_.u8() % 4; left > 0; --left) runs.runs.push_back(run());
                if (!runs.runs.empty()) send(runs);
                return;
            }
            case 4: {
                version_vector applied = vector();
                version_vector durable = vector();
                ack_message ack;
                ack.applied.assign(applied.entries().begin(), applied.entries().end());
                ack.durable.assign(durable.entries().begin(), durable.entries().end());
                ack.taken_bytes = in_.varint();
                ack.waiting = ack.taken_bytes % 2 == 1;
                return send(ack);
            }
            case 5: {
                heartbeat_message beat;
                beat.ping = in_.varint();
                beat.pong = in_.varint();
                beat.clock = hlc{in_.varint()};
                beat.wall_ms = in_.varint();
                beat.applied = vector();
                beat.applied_hash = in_.varint();
                if ((in_.u8() & 1U) != 0) beat.applied_hash = hash_of_vector(victim_.applied());
                return send(beat);
            }
            case 6: {
                std::uint8_t code = in_.u8();
                return send(
                    notice_message{static_cast<errc>(code % 8), "says so", (code & 64U) != 0});
            }
            case 7: {
                digests_message digests{hash_of_vector(victim_.applied()), {}, in_.u8() % 2 == 1};
                for (unsigned left = in_.u8() % 4; left > 0; --left) {
                    range_digest range;
                    range.first = in_.text(64);
                    range.end = in_.text(64);
                    range.digest = {in_.varint(), in_.varint()};
                    digests.ranges.push_back(range);
                }
                return send(digests);
            }
            case 8: {
                snapshot_ref ref = snapshot();
                std::uint64_t from = in_.varint();
                return send(state_request{ref, from, in_.varint()});
            }
            case 9: {
                snapshot_ref ref = snapshot();
                std::uint64_t offset = 0;
                bytes data = chunk(offset);
                return send(state_chunk{ref, offset, shared_bytes(std::move(data))});
            }
            case 10: return world_.run_ms(in_.u8() * std::int64_t{50});
            case 11: return (void)victim_->counter("n").increment();
            case 12: return connect();
            case 13: return victim_->snapshot([](const result<snapshot_info>&) {});
            case 14: {
                std::uint8_t how = in_.u8();
                if (how == 255) return victim_->verify("", [](const auto&) {});
                check_message said{how / 8U, {}};
                std::uint64_t hash = hash_of_vector(victim_.applied());
                switch (how % 8) {
                    case 0: said.step = check_begin{vector()}; break;
                    case 1: said.step = check_begin{victim_.applied()}; break;
                    case 2: said.step = check_answer{vector()}; break;
                    case 3: said.step = check_answer{victim_.applied()}; break;
                    case 4:
                        said.step = check_digest{hash, {in_.varint(), 1}, {in_.varint(), 1}};
                        break;
                    case 5:
                        said.step =
                            check_digest{hash, victim_.digest().words, victim_.digest().words};
                        break;
                    case 6: said.step = check_digest{in_.varint(), {}, {}}; break;
                    default: said.step = error{errc::aborted, "enough"};
                }
                return send(said);
            }
            default: break;
        }
    }

    byte_reader in_;
    sim::cluster world_;
    sim_time time_;
    sim_loop loop_;
    std::unique_ptr<transport> net_;
    sim::host& victim_;
    std::unique_ptr<link> wire_;
    replica_id own_{};
    std::map<replica_id, run_hash> last_;
};

} // namespace

void session(byte_view data) {
    stage all(data);
    all.play();
}

} // namespace weft::fuzz
