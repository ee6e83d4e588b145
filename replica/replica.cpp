#include "replica/replica.hpp"

#include "base/limits.hpp"
#include "replica/driver.hpp"

#include <algorithm>
#include <future>

namespace weft {
namespace {

error closed_replica() { return {errc::closed, "the replica is closed"}; }

// Starts something that answers on the loop, once, and waits for the answer.
template <class Outcome, class Start>
Outcome waited_for(Start start) {
    auto answered = std::make_shared<std::promise<Outcome>>();
    auto outcome = answered->get_future();
    start([answered](Outcome what) { answered->set_value(std::move(what)); });
    return outcome.get();
}

} // namespace

void commit::when(ack_level level, std::int64_t timeout_ms,
                  std::function<void(result<void>)> done) const {
    auto engine = driver_.lock();
    if (!engine) return done(fail(closed_replica()));
    instant deadline = engine->now().after_ms(timeout_ms);
    auto start = [&](core& c) {
        // Looked at under the lock: who comes after the close would wait for ever.
        if (engine->closed()) return false;
        c.wait({first_, end_, stamp_}, level, deadline, std::move(done));
        return true;
    };
    bool waits = engine->inside() ? start(engine->unlocked_core()) : engine->with_core(start);
    if (!waits) done(fail(closed_replica()));
}

result<void> commit::wait(ack_level level, std::int64_t timeout_ms) const {
    if (level.what == ack_level::kind::memory) return {};
    auto engine = driver_.lock();
    if (!engine || engine->closed()) return fail(closed_replica());
    if (engine->inside() || engine->run().in_loop_thread()) {
        return fail(errc::invalid_argument,
                    "waiting here would stop what is waited for; use `when`");
    }
    engine.reset();
    return waited_for<result<void>>(
        [&](auto answer) { when(level, timeout_ms, std::move(answer)); });
}

replica::replica(std::shared_ptr<driver> engine)
    : object_scope(*this, {}), driver_(std::move(engine)) {}

replica::~replica() { (void)close(); }

result<commit> replica::transact_erased(const std::function<result<void>(transaction&)>& change) {
    if (driver_->inside()) {
        return fail(errc::nested_transaction,
                    "a transaction inside a transaction; use the one you have");
    }
    if (auto room = driver_->wait_for_room(); !room) return fail(room.error());
    return driver_->with_core([&](core& c) -> result<commit> {
        if (driver_->closed()) return fail(closed_replica());
        if (auto begun = c.begin_change(driver_->wall_ms()); !begun) return fail(begun.error());
        struct roll_back {
            core* open;
            ~roll_back() {
                if (open != nullptr) open->roll_back_change();
            }
        } unless_committed{&c};
        transaction t(c);
        result<void> done = change(t);
        if (t.failure()) return fail(*t.failure());
        if (!done) return fail(done.error());
        core::committed made = c.end_change();
        unless_committed.open = nullptr;
        commit out;
        out.driver_ = driver_;
        out.first_ = made.first;
        out.end_ = made.end;
        out.stamp_ = made.stamp;
        return out;
    });
}

result<void> replica::write(operation&& op) {
    auto done = transact_erased([&](transaction& t) { return t.apply(std::move(op)); });
    if (!done) return fail(done.error());
    return {};
}

result<void> replica::together(const std::function<result<void>(store_access&)>& what) {
    auto done = transact_erased([&](transaction& t) { return t.together(what); });
    if (!done) return fail(done.error());
    return {};
}

result<void> replica::check(ack_level level) const {
    if (driver_->inside()) return driver_->unlocked_core().check(level);
    return driver_->with_core([&](core& c) { return c.check(level); });
}

result<void> replica::read(const std::function<void(const state_view&)>& look) const {
    if (driver_->inside()) {
        look(driver_->unlocked_core().view());
        return {};
    }
    return driver_->with_core([&](core& c) -> result<void> {
        if (driver_->closed()) return fail(closed_replica());
        look(c.view());
        return {};
    });
}

result<void> replica::read(const std::function<void(const keyspace&)>& look) const {
    return read([&](const state_view& now) { look(now.objects); });
}

result<std::vector<std::string>> replica::keys(std::string_view prefix) const {
    std::vector<std::string> out;
    auto done = read([&](const state_view& now) {
        const auto& children = now.objects.root().children();
        for (auto at = children.lower_bound(child_ref{prefix, {type_kind{}, element_kind{}}});
             at != children.end() && at->key.name().starts_with(prefix); ++at) {
            std::string_view name = at->key.name();
            if (at->value.live() && (out.empty() || out.back() != name)) out.emplace_back(name);
        }
    });
    if (!done) return fail(done.error());
    return out;
}

result<subscription_id> replica::subscribe(subscription_filter filter, change_callback whom) {
    if (driver_->inside())
        return fail(errc::nested_transaction, "subscribe outside of the transaction");
    return driver_->with_core([&](core& c) -> result<subscription_id> {
        if (driver_->closed()) return fail(closed_replica());
        return c.subscribe(std::move(filter), std::move(whom));
    });
}

result<subscription_id> replica::subscribe_key(std::string key, change_callback whom) {
    return subscribe({std::move(key), false}, std::move(whom));
}

result<subscription_id> replica::subscribe_prefix(std::string prefix, change_callback whom) {
    return subscribe({std::move(prefix), true}, std::move(whom));
}

result<subscription_id> replica::subscribe_conflicts(conflict_callback whom) {
    if (driver_->inside())
        return fail(errc::nested_transaction, "subscribe outside of the transaction");
    return driver_->with_core([&](core& c) -> result<subscription_id> {
        if (driver_->closed()) return fail(closed_replica());
        return c.subscribe_conflicts(std::move(whom));
    });
}

result<std::vector<open_conflict>> replica::conflicts(std::string_view prefix, bool all) const {
    std::vector<open_conflict> out;
    auto done = read([&](const state_view& now) {
        const auto& open = now.conflicts.all();
        conflict_index::place from{{std::string(prefix)}, {type_kind{}, element_kind{}}};
        for (auto at = open.lower_bound(from);
             at != open.end() && at->first.path.front().starts_with(prefix); ++at) {
            if (all || at->second.waits())
                out.push_back(conflict_index::shown(now.objects, at->second));
        }
    });
    if (!done) return fail(done.error());
    return out;
}

result<commit> replica::resolve(const conflict& seen, const resolution& how) {
    return transact_erased([&](transaction& t) { return t.resolve(seen, how); });
}

void replica::audit(audit_query asked, std::function<void(result<audit_page>)> done) {
    driver_->find_audits(std::move(asked), std::move(done));
}

result<audit_page> replica::audit(audit_query asked) {
    if (driver_->inside() || driver_->run().in_loop_thread()) {
        return fail(errc::invalid_argument,
                    "waiting here would stop what is waited for: neither in a transaction nor on "
                    "the loop");
    }
    return waited_for<result<audit_page>>(
        [&](auto answer) { audit(std::move(asked), std::move(answer)); });
}

void replica::unsubscribe(subscription_id id) {
    if (driver_->inside()) return driver_->unlocked_core().unsubscribe(id);
    driver_->with_core([&](core& c) { c.unsubscribe(id); });
}

result<snapshot_info> replica::snapshot() {
    if (driver_->inside() || driver_->run().in_loop_thread()) {
        return fail(errc::invalid_argument,
                    "waiting here would stop what is waited for: neither in a transaction nor on "
                    "the loop");
    }
    return waited_for<result<snapshot_info>>([&](auto answer) { snapshot(std::move(answer)); });
}

result<std::vector<peer_verification>> replica::verify(std::string_view peer) {
    if (driver_->inside() || driver_->run().in_loop_thread()) {
        return fail(errc::invalid_argument,
                    "waiting here would stop what is waited for: neither in a transaction nor on "
                    "the loop");
    }
    return waited_for<result<std::vector<peer_verification>>>(
        [&](auto answer) { verify(peer, std::move(answer)); });
}

void replica::verify(std::string_view peer,
                     std::function<void(result<std::vector<peer_verification>>)> done) {
    auto ask = [&](core& c) -> result<void> {
        if (driver_->closed()) return fail(closed_replica());
        std::optional<peer_id> whom;
        if (!peer.empty()) {
            auto found = c.find_peer(peer);
            if (!found) return fail(found.error());
            whom = *found;
        }
        c.verify(whom, driver_->now().after_ms(limits::check_ms_max),
                 [done](std::vector<peer_verification> all) { done(std::move(all)); });
        return {};
    };
    result<void> asked =
        driver_->inside() ? ask(driver_->unlocked_core()) : driver_->with_core(ask);
    if (!asked) done(fail(asked.error()));
}

void replica::snapshot(std::function<void(result<snapshot_info>)> done) {
    auto ask = [&](core& c) {
        if (driver_->closed()) return false;
        c.take_snapshot(std::move(done));
        return true;
    };
    bool asked = driver_->inside() ? ask(driver_->unlocked_core()) : driver_->with_core(ask);
    if (!asked) done(fail(closed_replica()));
}

result<void> replica::command(std::string_view peer, bool pause) {
    if (driver_->inside()) return fail(errc::nested_transaction, "not inside a transaction");
    auto found = driver_->with_core([&](core& c) -> result<peer_id> {
        if (driver_->closed()) return fail(closed_replica());
        return c.find_peer(peer);
    });
    if (!found) return fail(found.error());
    driver_->post(peer_command{*found, pause});
    return {};
}

result<void> replica::pause_peer(std::string_view peer) { return command(peer, true); }

result<void> replica::resume_peer(std::string_view peer) { return command(peer, false); }

result<replica_status> replica::status() const {
    if (driver_->inside()) {
        core& open = driver_->unlocked_core();
        (void)open.state(); // with all that the transaction wrote
        return open.status(driver_->now());
    }
    auto out = driver_->with_core([&](core& c) -> result<replica_status> {
        if (driver_->closed()) return fail(closed_replica());
        return c.status(driver_->now());
    });
    if (out) {
        out->log_bytes = driver_->log_bytes();
        std::uint64_t other_parts = 0;
        for (const held_log& part : out->log_held) other_parts += part.bytes;
        if (!out->log_held.empty() && out->log_held.back().bytes == 0)
            out->log_held.back().bytes = out->log_bytes - std::min(out->log_bytes, other_parts);
        out->writers_waiting = driver_->writers_waiting();
        out->audit_bytes = driver_->audit_bytes();
        out->arriving_bytes = driver_->arriving_bytes();
        out->snapshot_bytes_written = driver_->snapshot_bytes_written();
    }
    return out;
}

std::vector<std::string> replica::listening() const { return driver_->listening(); }

std::uint64_t replica::wall_ms() const { return driver_->wall_ms(); }

replica_id replica::id() const {
    if (driver_->inside()) return driver_->unlocked_core().identity().id;
    return driver_->with_core([](core& c) { return c.identity().id; });
}

result<void> replica::close() {
    if (driver_->closed()) return {};
    if (driver_->inside())
        return fail(errc::nested_transaction, "close outside of the transaction");
    if (driver_->run().in_loop_thread()) return driver_->close();
    return waited_for<result<void>>([&](const auto& answer) {
        driver_->run().post([engine = driver_, answer] { answer(engine->close()); });
    });
}

} // namespace weft
