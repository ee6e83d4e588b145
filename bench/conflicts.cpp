#include "base/check.hpp"
#include "bench/support/support.hpp"
#include "clock/system_time.hpp"
#include "recovery/audit_log.hpp"
#include "recovery/posix_disk.hpp"
#include "replica/core.hpp"
#include "replica/transaction.hpp"
#include "tests/seeds.hpp"
#include "transport/asio_loop.hpp"

#include <algorithm>
#include <array>
#include <deque>

using namespace weft;

namespace {

constexpr session_id link{1};

struct nobody final : event_sink {
    void on(const log_event&) override {}
};

// The decisions of one replica, with its trail on a disk; links and log are those of the pair below.
class member {
public:
    member(const bench::scratch& place, const std::string& name, std::uint64_t id, const rules& all)
        : files_(*open_posix_disk((place.path / name).string(), run_)),
          trail_(*audit_log::open(doors_, {})), decisions_({.name = name,
                                                            .sync = sync_policy::interval,
                                                            .packed = codec::none,
                                                            .snapshot_log_bytes = 0,
                                                            .snapshot_interval_ms = 0,
                                                            .conflict_rules = all},
                                                           id) {
        decisions_.start({replica_id{id}, {}, {}}, {}, now_);
    }

    void writes(type_kind kind, const std::string& key, value content) {
        WEFT_CHECK(decisions_.begin_change(wall_ms_));
        transaction t(decisions_);
        result<void> done;
        if (kind == type_kind::lww_register) done = t.lww_register(key).set(std::move(content));
        if (kind == type_kind::mv_register) done = t.mv_register(key).set(std::move(content));
        if (kind == type_kind::counter) done = t.counter(key).increment();
        WEFT_CHECK(done);
        (void)decisions_.end_change();
    }
    void happens(decltype(event::what) what, std::deque<message>& sent) {
        std::deque<decltype(event::what)> next{std::move(what)};
        for (; !next.empty(); next.pop_front()) {
            now_ = now_.after_ms(1);
            for (effect& e : decisions_.step({now_, ++wall_ms_, std::move(next.front())})) {
                if (std::holds_alternative<sync_log>(e)) {
                    next.emplace_back(log_synced{decisions_.log_end()});
                } else if (auto* out = std::get_if<send_message>(&e)) {
                    sent.push_back(std::move(out->what));
                    decisions_.count_drained(out->session, now_);
                } else if (auto* decided = std::get_if<record_audit>(&e)) {
                    WEFT_CHECK(trail_->append(decided->entries));
                }
            }
        }
    }
    [[nodiscard]] core& decisions() { return decisions_; }

private:
    asio_loop run_;
    system_time time_;
    system_random random_;
    nobody events_;
    std::unique_ptr<disk> files_;
    env doors_{time_, random_, *files_, run_, events_};
    std::unique_ptr<audit_log> trail_;
    core decisions_;
    std::uint64_t wall_ms_ = 1'800'000'000'000;
    instant now_{1'000'000'000};
};

// Something happens to both; then what they have for each other is delivered, until neither says anything.
void exchange(member& a, member& b, const decltype(event::what)& what = woken{}) {
    std::deque<message> to_a;
    std::deque<message> to_b;
    a.happens(what, to_b);
    b.happens(what, to_a);
    while (!to_a.empty() || !to_b.empty()) {
        auto deliver = [](member& to, std::deque<message>& from, std::deque<message>& answers) {
            if (from.empty()) return;
            message next = std::move(from.front());
            from.pop_front();
            to.happens(received{link, std::move(next), 100}, answers);
        };
        deliver(a, to_a, to_b);
        deliver(b, to_b, to_a);
    }
}

// The register that a round is about. Of every other round a rule applies to it, else it waits for a person.
std::string contested_key(std::size_t round, std::size_t which) {
    return (round % 2 == 0 ? "ruled:" : "waits:") + bench::key(2 * round + which);
}

enum class names : std::uint8_t { known, every_other_new };
constexpr std::size_t known_rounds = 10; // whose names are written again and again

// `rounds` times a hundred changes of one operation, half at each of two replicas, exchanged after each.
// Most write registers of both kinds and counters. In each round both write one register more, the same if
// there are to be conflicts, else each its own; and one of the round before, by which a conflict ends.
[[gnu::noinline]] void write_and_exchange(member& a, member& b, std::size_t rounds, names which,
                                          bool conflicts, const bench::noise& values) {
    constexpr std::array kinds{type_kind::lww_register, type_kind::mv_register, type_kind::counter};
    random_generator random(seeds::bench);
    for (std::size_t round = 0; round < rounds; ++round) {
        for (member* each : {&a, &b}) {
            std::size_t own = each == &a ? 0 : 1;
            for (std::size_t i = 0; i < 48; ++i) {
                bool fresh = which == names::every_other_new && i % 2 == 0;
                std::size_t in_round =
                    fresh ? round : random.below(std::min(round + 1, known_rounds));
                each->writes(kinds.at(i % kinds.size()), bench::key(in_round * 100 + own * 50 + i),
                             values.fresh(random, 100));
            }
            each->writes(type_kind::mv_register, contested_key(round, conflicts ? 0 : own),
                         values.fresh(random, 100));
            if (round > 0) {
                each->writes(type_kind::mv_register, contested_key(round - 1, own),
                             values.fresh(random, 100));
            }
        }
        exchange(a, b);
    }
}

// What does a change cost at both of two replicas, with one conflict in a hundred changes, and without, and
// beside so many rules that state bounds of other keys? `./dev instructions` counts the same in instructions.
void change(benchmark::State& state, names which, std::size_t bounds) {
    bool conflicts = state.range(0) > 0;
    bench::scratch place;
    std::vector<rule> stated{{.key = "ruled:*", .how = *parse_resolver("last_writer_wins")}};
    for (std::size_t i = 0; i < bounds; ++i)
        stated.push_back({.key = "stock:" + bench::key(i) + ":*", .min = value(0)});
    auto all = rules::make(std::move(stated));
    WEFT_CHECK(all.has_value());
    member a(place, "a", 1, *all);
    member b(place, "b", 2, *all);
    exchange(a, b, link_up{link, {}, "bench:"});
    bench::noise values;
    std::size_t rounds = bench::sized(200);
    for (auto _ : state) write_and_exchange(a, b, rounds, which, conflicts, values);
    if (a.decisions().state().digest() != b.decisions().state().digest())
        return state.SkipWithError("the replicas differ");
    if (a.decisions().conflicts().all().size() != (conflicts ? 1 : 0))
        return state.SkipWithError("there are not the conflicts that there should be");
    state.SetItemsProcessed(static_cast<std::int64_t>(rounds * 100));
}
BENCHMARK_CAPTURE(change, known_names, names::known, 0)
    ->ArgName("conflicts_in_a_hundred")
    ->Arg(0)
    ->Arg(1)
    ->Iterations(1)
    ->Unit(benchmark::kMillisecond);
BENCHMARK_CAPTURE(change, every_other_name_new, names::every_other_new, 0)
    ->ArgName("conflicts_in_a_hundred")
    ->Arg(0)
    ->Arg(1)
    ->Iterations(1)
    ->Unit(benchmark::kMillisecond);
BENCHMARK_CAPTURE(change, bounds_of_other_keys, names::known, 300)
    ->ArgName("conflicts_in_a_hundred")
    ->Arg(0)
    ->Iterations(1)
    ->Unit(benchmark::kMillisecond);

} // namespace
