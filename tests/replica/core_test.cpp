#include "replica/digest_ranges.hpp"
#include "tests/replica/engine.hpp"
#include "tests/seeds.hpp"

#include <array>

// The engine alone, event by event: what it answers to peers that no release of ours would be.
using namespace weft;
using namespace weft::tests;

namespace {

// A state that so many others made.
state_image made_by(std::size_t origins) {
    state_image out;
    out.header.cluster = "weft";
    for (std::uint64_t id = 1; id <= origins; ++id)
        out.header.origins.push_back({replica_id{1'000 + id}, 1, run_hash{1}, {}, {}});
    return out;
}

// An engine that replayed its log, and the log. What it holds in memory ends where it started: everything
// before is read from the disk.
std::pair<core, std::vector<shared_bytes>> far_behind() {
    core decisions{{.name = "a"}, 1};
    std::vector<shared_bytes> log;
    run_hash previous{};
    std::size_t size = 0;
    while (size < 2 * limits::log_tail_bytes_max) {
        static constexpr std::string_view key = "k";
        run_encoder encoder;
        operation op;
        op.path = {&key, 1};
        op.what = action::write;
        op.argument = value(std::string(limits::value_bytes_max, 'x'));
        encoder.begin_change(hlc::at_ms(wall_ms), {});
        encoder.add(op);
        encoder.end_change();
        log.emplace_back(
            encoder.seal(replica_id{30}, log.size() + 1, previous, {"m", "", {}}, codec::none));
        previous = hash_of(log.back().view);
        size += log.back().view.size();
        BOOST_REQUIRE(decisions.replay(log.back(), wall_ms));
    }
    return {std::move(decisions), std::move(log)};
}

// Its header is sound, its body is not.
shared_bytes unreadable(const shared_bytes& run) {
    bytes out(run.view.begin(), run.view.end());
    out.back() = std::byte{0xFF};
    BOOST_REQUIRE(read_run_header(out).has_value());
    BOOST_REQUIRE(!decode_run(out));
    return shared_bytes(std::move(out));
}

} // namespace

// Else the next Hello, which states them all, could not be encoded; nor could the log be replayed.
BOOST_AUTO_TEST_CASE(the_bound_of_ids_holds_for_ones_own_fresh_id_too) {
    for (std::size_t left : {0U, 1U}) {
        core decisions{{.name = "a"}, 1};
        BOOST_REQUIRE(decisions.load(made_by(limits::vector_entries_max - left)));
        decisions.start({replica_id{10}, {}, {}}, {}, instant{1});
        engine a(std::move(decisions));
        auto begun = a.decisions.begin_change(wall_ms);
        BOOST_TEST(begun.has_value() == (left == 1));
        if (begun) {
            a.decisions.roll_back_change();
            (void)a.writes(); // still in the open run when others ask for the last place
        } else {
            BOOST_TEST((begun.error().code == errc::over_limit));
            BOOST_TEST(begun.error().detail.find("one too many") != std::string::npos);
        }
        a.meets("b", replica_id{20});
        a.receives(run_of(replica_id{30}));
        BOOST_TEST(a.reported("session.blocked"));
        BOOST_TEST(a.decisions.applied().at(replica_id{30}) == 0U);
        a.receives(run_of(replica_id{1'001}, 2, run_hash{1}));
        BOOST_TEST(a.decisions.applied().at(replica_id{1'001}) == 2U, "whom it knows goes on");
        BOOST_TEST(a.decisions.applied().size() == limits::vector_entries_max);
        a.happens(link_up{session_id{2}, {}, "test:c"});
        a.now = a.now.after_ms(limits::heartbeat_ms);
        a.happens(woken{});
        std::size_t sent = 0;
        for (const effect& e : a.asked) {
            if (const auto* out = std::get_if<send_message>(&e))
                sent += encode_message(out->what).size();
        }
        BOOST_TEST(sent > 0U);
        core again{{.name = "a"}, 1};
        BOOST_TEST(again.load(a.decisions.image()).has_value());
    }
}

BOOST_AUTO_TEST_CASE(an_unreadable_run_refuses_its_origin_and_nothing_else) {
    engine a;
    a.meets("b", replica_id{20});
    a.receives(unreadable(run_of(replica_id{30})));
    BOOST_TEST(a.reported("session.blocked"));
    BOOST_TEST(a.count<close_link>() == 0U);
    BOOST_TEST((a.decisions.status(a.now).peers.at(0).state == peer_state::blocked));
    a.receives(run_of(replica_id{40}));
    BOOST_TEST(a.decisions.applied().at(replica_id{40}) == 1U);
    a.receives(run_of(replica_id{30}));
    BOOST_TEST(a.decisions.applied().at(replica_id{30}) == 0U, "nothing more of it");
    BOOST_TEST(!a.reported("session.blocked"), "said once");
    a.decisions.check_invariants();
}

// A disk is counted once, whatever its member calls itself, and by whatever URL it is reached.
BOOST_AUTO_TEST_CASE(one_disk_is_one_member_for_acknowledgements) {
    engine a({.name = "a", .peers = {"test:b", "test:c"}});
    auto made = a.writes();
    a.happens(log_synced{log_index{0}});
    a.happens(log_synced{a.decisions.log_end()});
    std::size_t two = 0;
    std::size_t three = 0;
    auto wait = [&](std::uint32_t members, std::size_t& answers) {
        a.decisions.wait(made, ack_level::replicated(members), instant::never(),
                         [&answers](const result<void>& done) { answers += done ? 1 : 0; });
    };
    wait(2, two);
    wait(3, three);
    auto answer = [&] {
        for (effect& e : a.asked) {
            if (auto* due = std::get_if<weft::answer>(&e)) due->whom(due->outcome);
        }
    };
    ack_message has_it;
    has_it.applied = has_it.durable = {{replica_id{10}, made.end - 1}};
    for (auto [name, id, peer] : {std::tuple("b1", 20U, 0U), {"b2", 21U, 0U}, {"b2", 21U, 1U}}) {
        a.meets(name, replica_id{id}, peer_id{peer});
        a.happens(received{wire, has_it, 100});
        answer();
        BOOST_TEST(two == 1U);
        BOOST_TEST(three == 0U, name << " through " << peer);
        a.happens(link_down{wire, {errc::link_lost, ""}});
    }
    a.meets("b2", replica_id{21}, peer_id{0});
    a.happens(received{wire, has_it, 100});
    a.happens(link_down{wire, {errc::link_lost, ""}});
    a.meets("c", replica_id{30}, peer_id{1});
    a.happens(received{wire, has_it, 100});
    answer();
    BOOST_TEST(three == 1U);
    BOOST_TEST(a.decisions.check(ack_level::replicated(3)).has_value());
    BOOST_TEST(!a.decisions.check(ack_level::replicated(4)).has_value());
    BOOST_TEST(!a.decisions.find_peer("").has_value(), "no entry is left that nobody stands for");
}

BOOST_AUTO_TEST_CASE(what_depends_on_a_refused_origin_is_refused_and_not_held_back) {
    engine a;
    a.meets("b", replica_id{20});
    shared_bytes x1 = run_of(replica_id{30});
    a.receives(x1);
    a.receives(run_of(replica_id{30}, 1, {}, {}, 7)); // another history
    BOOST_TEST(a.reported("session.blocked"));
    shared_bytes x2 = run_of(replica_id{30}, 2, hash_of(x1.view));
    a.receives(x2);
    BOOST_TEST(a.decisions.applied().at(replica_id{30}) == 1U);
    version_vector after_x2{{replica_id{30}, 2}};
    shared_bytes y1 = run_of(replica_id{40}, 1, {}, after_x2);
    shared_bytes y2 = run_of(replica_id{40}, 2, hash_of(y1.view));
    a.receives(y1);
    a.receives(y2);
    BOOST_TEST(a.decisions.status(a.now).held_back_runs == 0U);
    BOOST_TEST((a.decisions.status(a.now).peers.at(0).state == peer_state::blocked));

    // The operator stopped the copy and says so.
    a.happens(peer_command{peer_id{0}, true});
    a.happens(peer_command{peer_id{0}, false});
    a.meets("b", replica_id{20});
    for (const shared_bytes& run : {x2, y1, y2}) a.receives(run);
    BOOST_TEST(a.decisions.applied().at(replica_id{30}) == 2U);
    BOOST_TEST(a.decisions.applied().at(replica_id{40}) == 2U);
    BOOST_TEST((a.decisions.status(a.now).peers.at(0).state != peer_state::blocked));
    a.decisions.check_invariants();
}

BOOST_AUTO_TEST_CASE(what_waits_for_an_origin_goes_when_that_is_refused) {
    engine a;
    a.meets("b", replica_id{20});
    a.receives(run_of(replica_id{30}));
    version_vector after_x2{{replica_id{30}, 2}};
    a.receives(run_of(replica_id{40}, 1, {}, after_x2));
    a.receives(run_of(replica_id{50}, 1, {}, {{replica_id{40}, 1}}));
    BOOST_TEST(a.decisions.status(a.now).held_back_runs == 2U);
    a.receives(run_of(replica_id{30}, 1, {}, {}, 7));
    BOOST_TEST(a.decisions.status(a.now).held_back_runs == 0U);
}

BOOST_AUTO_TEST_CASE(what_cannot_be_held_back_is_asked_for_again_once_in_a_while) {
    engine a;
    a.meets("b", replica_id{20});
    std::string large(limits::value_bytes_max, 'x');
    auto large_run = [&](std::uint64_t first) {
        static constexpr std::string_view key = "k";
        run_encoder encoder;
        operation op;
        op.path = {&key, 1};
        op.what = action::write;
        op.argument = value(large);
        encoder.begin_change(hlc::at_ms(wall_ms), {});
        encoder.add(op);
        encoder.end_change();
        return shared_bytes(
            encoder.seal(replica_id{30}, first, run_hash{7}, {"m", "", {}}, codec::none));
    };
    std::size_t asked = 0;
    instant start = a.now;
    for (std::uint64_t n = 2; n < 2 * limits::buffer_share(limits::buffer_bytes_max) / large.size();
         ++n) {
        a.receives(large_run(n)); // the first is missing
        for (const effect& e : a.asked) {
            const auto* sent = std::get_if<send_message>(&e);
            const auto* m = sent == nullptr ? nullptr : std::get_if<interest_message>(&sent->what);
            asked += m != nullptr && m->resend ? 1 : 0;
        }
    }
    auto looks = static_cast<std::size_t>(a.now.ms_since(start)) / limits::repair_ms;
    BOOST_TEST(asked <= looks + 1);
    BOOST_TEST(a.decisions.status(a.now).held_back_bytes <=
               limits::buffer_share(limits::buffer_bytes_max));
}

BOOST_AUTO_TEST_CASE(a_new_id_keeps_the_ceiling_of_the_clock) {
    engine a;
    auto persisted = [&] {
        hlc out;
        for (const effect& e : a.asked) {
            if (const auto* p = std::get_if<persist_identity>(&e)) out = p->who.ceiling;
        }
        return out;
    };
    (void)a.writes();
    a.happens(woken{});
    hlc ceiling = persisted();
    BOOST_TEST((ceiling > hlc::at_ms(wall_ms)));
    a.meets("b", replica_id{20});
    heartbeat_message beat;
    beat.applied.set(replica_id{10}, 5);
    a.happens(received{wire, beat, 100});
    BOOST_TEST(a.reported("identity.changed"));
    BOOST_TEST((persisted() >= ceiling));
}

BOOST_AUTO_TEST_CASE(an_unreadable_header_ends_the_session_with_its_reason) {
    engine a;
    a.meets("b", replica_id{20});
    a.receives(shared_bytes(bytes(12, std::byte{0xFF})));
    BOOST_TEST(a.count<close_link>() == 1U);
    BOOST_TEST(a.reported("session.bad_run"));
}

// Any message may be the first that shows it.
BOOST_AUTO_TEST_CASE(whoever_shows_more_of_our_own_id_makes_us_take_another) {
    interest_message interest;
    interest.applied.set(replica_id{10}, 5);
    heartbeat_message beat;
    beat.ping = 1;
    beat.applied = interest.applied;
    ack_message ack;
    ack.applied = {{replica_id{10}, 5}};
    runs_message runs{{run_of(replica_id{10})}};
    for (const message& shown : {message(interest), message(beat), message(ack), message(runs)}) {
        engine a;
        a.meets("b", replica_id{20});
        a.happens(received{wire, shown, 100});
        BOOST_TEST((a.decisions.identity().id != replica_id{10}));
        BOOST_TEST((a.decisions.identity().predecessor == replica_id{}), "here it wrote nothing");
        BOOST_TEST(a.reported("identity.changed"));
        BOOST_TEST(a.count<close_link>() == 1U, "every session starts afresh");
        a.decisions.check_invariants();
    }
}

// The peer stands at the same vector and says that its state is another one: it is asked where.
BOOST_AUTO_TEST_CASE(states_that_differ_at_rest_are_reported_and_looked_into) {
    engine a;
    a.happens(link_up{wire, {}, "test:b"});
    hello_message hello = hello_of("b", replica_id{20});
    hello.features = feature_checks;
    a.happens(received{wire, hello, 100});
    a.receives(run_of(replica_id{30}));
    std::size_t begun = 0;
    heartbeat_message beat;
    beat.ping = 1;
    beat.applied = a.decisions.applied();
    beat.applied_hash = hash_of_vector(beat.applied);
    beat.digest = a.decisions.state().digest().words;
    auto says = [&](const message& what) {
        a.happens(received{wire, what, 100});
        for (const effect& e : a.asked) {
            const auto* sent = std::get_if<send_message>(&e);
            const auto* m = sent == nullptr ? nullptr : std::get_if<check_message>(&sent->what);
            if (m != nullptr) begun = std::holds_alternative<check_begin>(m->step) ? m->number : 0;
        }
    };
    auto peer = [&] { return a.decisions.status(a.now).peers.at(0); };
    says(beat);
    BOOST_TEST(!peer().digest_mismatch);

    beat.digest[0] ^= 1;
    beat.applied_hash ^= 1;
    says(beat);
    BOOST_TEST(!peer().digest_mismatch, "another vector");
    beat.applied_hash ^= 1;
    says(beat);
    BOOST_TEST(a.reported("digest.mismatch"));
    BOOST_TEST(peer().digest_mismatch);
    BOOST_TEST(begun == 1U);
    says(beat);
    BOOST_TEST(!a.reported("digest.mismatch"), "said once");
    says(check_message{1, error{errc::over_limit, "busy"}});
    begun = 0;
    says(beat);
    BOOST_TEST(begun == 0U, "not again at once");
    a.now = a.now.after_ms(limits::mismatch_check_ms / 3);
    says(beat);
    a.now = a.now.after_ms(limits::mismatch_check_ms / 3);
    says(beat);
    a.now = a.now.after_ms(limits::mismatch_check_ms / 3);
    says(beat);
    BOOST_TEST(begun == 2U);

    beat.digest[0] ^= 1;
    says(beat);
    BOOST_TEST(!peer().digest_mismatch);
}

BOOST_AUTO_TEST_CASE(a_log_read_that_was_overtaken_is_dropped) {
    auto [decisions, log] = far_behind();
    instant now{1'000'000'000};
    decisions.start({replica_id{10}, {}, {}}, {}, now);
    auto step = [&](decltype(event::what) what) {
        now = now.after_ms(1);
        return decisions.step({now, wall_ms, std::move(what)});
    };
    (void)step(link_up{wire, std::nullopt, "test:b"});
    (void)step(received{wire, hello_of("b", replica_id{20}), 100});
    auto count_runs = [](const std::vector<effect>& asked) {
        std::size_t runs = 0;
        for (const effect& e : asked) {
            const auto* sent = std::get_if<send_message>(&e);
            const auto* batch = sent == nullptr ? nullptr : std::get_if<runs_message>(&sent->what);
            runs += batch == nullptr ? 0 : batch->runs.size();
        }
        return runs;
    };
    auto reads = [](const std::vector<effect>& asked) {
        return std::any_of(asked.begin(), asked.end(),
                           [](const effect& e) { return std::holds_alternative<read_log>(e); });
    };
    interest_message all;
    auto first = step(received{wire, all, 100});
    BOOST_REQUIRE(reads(first));
    auto answer = [&](std::uint64_t from) {
        return log_read{wire, log_index{from}, {log.at(static_cast<std::size_t>(from))}};
    };
    auto second = step(answer(0));
    BOOST_TEST(count_runs(second) == 1U);
    decisions.count_drained(wire, now);
    BOOST_REQUIRE(reads(step(woken{}))); // the next one
    // The peer dropped what it got, and asks again before the answer is there.
    interest_message again;
    again.resend = true;
    (void)step(received{wire, again, 100});
    auto late = step(answer(1));
    BOOST_TEST(count_runs(late) == 0U, "it would lead past what was asked for again");
    BOOST_REQUIRE(reads(late));
    BOOST_TEST(count_runs(step(answer(0))) == 1U);
    decisions.check_invariants();
}

// Whatever the log read gives is sent at once, so no more is asked for than the peer gave credit for.
BOOST_AUTO_TEST_CASE(what_is_read_from_the_log_keeps_to_the_credit) {
    auto [decisions, log] = far_behind();
    instant now{1'000'000'000};
    decisions.start({replica_id{10}, {}, {}}, {}, now);
    auto step = [&](decltype(event::what) what) {
        now = now.after_ms(1);
        return decisions.step({now, wall_ms, std::move(what)});
    };
    (void)step(link_up{wire, std::nullopt, "test:b"});
    (void)step(received{wire, hello_of("b", replica_id{20}), 100});
    auto asked = step(received{wire, interest_message{}, 100});
    std::size_t sent = 0;
    for (int round = 0; round < 100; ++round) {
        const read_log* read = nullptr;
        for (const effect& e : asked) {
            if (const auto* r = std::get_if<read_log>(&e)) read = r;
        }
        if (read == nullptr) break;
        log_read answer{wire, read->first, {}};
        std::size_t bytes_read = 0;
        for (auto at = static_cast<std::size_t>(read->first);
             answer.runs.empty() || bytes_read < read->bytes_max; ++at) {
            answer.runs.push_back(log.at(at));
            bytes_read += log.at(at).view.size();
        }
        for (const effect& e : step(std::move(answer))) {
            const auto* message = std::get_if<send_message>(&e);
            const auto* batch =
                message == nullptr ? nullptr : std::get_if<runs_message>(&message->what);
            if (batch == nullptr) continue;
            for (const shared_bytes& run : batch->runs) sent += run.view.size();
        }
        decisions.count_drained(wire, now);
        asked = step(woken{});
    }
    BOOST_TEST(sent > limits::credit_bytes / 2);
    BOOST_TEST(sent < limits::credit_bytes + log.front().view.size() + 1);
}

BOOST_AUTO_TEST_CASE(a_peer_without_a_name_or_an_id_is_refused) {
    for (auto [name, id] : {std::pair{"", 20U}, {"b", 0U}}) {
        engine a({.name = "a", .peers = {"test:b"}});
        a.meets(name, replica_id{id});
        BOOST_TEST(a.reported("session.refused"));
        BOOST_TEST(a.count<close_link>() == 1U);
        BOOST_TEST(a.decisions.status(a.now).peers.size() == 1U);
    }
}

BOOST_AUTO_TEST_CASE(a_snapshot_that_failed_is_tried_again_after_a_minute) {
    for (bool by_size : {true, false}) {
        engine a({.name = "a",
                  .snapshot_log_bytes = by_size ? 1U : 0U,
                  .snapshot_interval_ms = by_size ? 0U : 1'000U});
        (void)a.writes();
        a.happens(woken{});
        a.now = a.now.after_ms(2'000);
        a.happens(log_synced{a.decisions.log_end()});
        BOOST_REQUIRE(a.count<write_snapshot>() == 1U);
        a.happens(snapshot_written{{}, error{errc::io_failed, "disk"}});
        BOOST_TEST(a.reported("snapshot.failed"));
        BOOST_TEST(a.count<write_snapshot>() == 0U);
        BOOST_TEST(a.decisions.status(a.now).log_bytes_since_snapshot > 0U);
        BOOST_TEST((a.decisions.deadline() <= a.now.after_ms(limits::snapshot_retry_ms)));
        a.now = a.now.after_ms(limits::snapshot_retry_ms);
        a.happens(woken{});
        BOOST_REQUIRE(a.count<write_snapshot>() == 1U);
        a.happens(snapshot_written{{a.decisions.log_end(), 100}, {}});
        BOOST_TEST(a.decisions.status(a.now).log_bytes_since_snapshot == 0U);
        a.happens(woken{});
        BOOST_TEST(a.count<write_snapshot>() == 0U);
    }
}

// Whoever asks wants what was written before.
BOOST_AUTO_TEST_CASE(a_snapshot_under_way_does_not_answer_who_asks_meanwhile) {
    engine a({.name = "a", .snapshot_log_bytes = 0, .snapshot_interval_ms = 0});
    std::vector<log_index> answers;
    auto ask = [&] {
        a.decisions.take_snapshot(
            [&answers](const result<snapshot_info>& made) { answers.push_back(made->at); });
        a.happens(woken{});
    };
    auto answer = [&] {
        for (effect& e : a.asked) {
            if (auto* one = std::get_if<weft::answer>(&e)) one->whom({});
        }
    };
    (void)a.writes();
    a.happens(woken{});
    a.happens(log_synced{a.decisions.log_end()});
    ask();
    BOOST_REQUIRE(a.count<write_snapshot>() == 1U);
    log_index first = a.decisions.log_end();
    (void)a.writes();
    ask();
    BOOST_TEST(a.count<write_snapshot>() == 0U);
    a.happens(log_synced{a.decisions.log_end()});
    a.happens(snapshot_written{{first, 100}, {}});
    answer();
    BOOST_TEST(answers.size() == 1U);
    BOOST_REQUIRE(a.count<write_snapshot>() == 1U);
    a.happens(snapshot_written{{a.decisions.log_end(), 100}, {}});
    answer();
    BOOST_REQUIRE(answers.size() == 2U);
    BOOST_TEST((answers.at(0) == first));
    BOOST_TEST((answers.at(1) == a.decisions.log_end()));
}

// One core is looked at after each operation, and so applies it at once; the other at random.
BOOST_AUTO_TEST_CASE(when_the_operations_of_a_change_are_applied_is_not_seen) {
    random_generator random(seeds::unit);
    engine often;
    engine seldom;
    const std::array<engine*, 2> both{&often, &seldom};
    for (int round = 0; round < 300; ++round) {
        for (engine* each : both) BOOST_REQUIRE(each->decisions.begin_change(wall_ms));
        for (std::uint64_t left = random.below(40); left > 0; --left) {
            std::string key = "k" + std::to_string(random.below(6));
            std::string field = "f" + std::to_string(random.below(3));
            std::array<std::string_view, 2> path{key, field};
            auto whole = std::span<const std::string_view>(path).first(1 + random.below(2));
            auto number = static_cast<std::int64_t>(random.below(5));
            std::uint64_t kind = random.below(6);
            for (engine* each : both) {
                operation op;
                op.path = whole;
                op.argument = number;
                switch (kind) {
                    case 0: op.what = action::write; break;
                    case 1:
                        op.type = {type_kind::enable_wins_flag};
                        op.what = number == 0 ? action::enable : action::disable;
                        break;
                    case 2:
                        op.type = {type_kind::add_wins_set, element_kind::integer};
                        op.what = action::add;
                        break;
                    case 3:
                        op.type = {type_kind::add_wins_set, element_kind::integer};
                        op.what = action::remove_element;
                        break;
                    case 4:
                        op.type = {type_kind::counter};
                        op.what = action::increment;
                        op.amount = number;
                        break;
                    default:
                        op.type = {type_kind::map};
                        op.what = action::remove;
                        op.path = whole.first(1);
                }
                auto applied = each->decisions.apply(std::move(op));
                BOOST_REQUIRE(applied);
            }
            state_digest now = often.decisions.state().digest();
            if (random.chance(0.05)) BOOST_TEST((seldom.decisions.state().digest() == now));
        }
        bool ends = random.chance(0.7);
        for (engine* each : both) {
            if (ends) {
                (void)each->decisions.end_change();
            } else {
                each->decisions.roll_back_change();
            }
            each->happens(woken{});
            each->decisions.check_invariants();
        }
        BOOST_REQUIRE((often.decisions.state().digest() == seldom.decisions.state().digest()));
    }
}
