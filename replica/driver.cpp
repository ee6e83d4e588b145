#include "replica/driver.hpp"

#include "base/check.hpp"
#include "replica/state_release.hpp"

#include <algorithm>
#include <iterator>

namespace weft {
namespace {

constexpr std::uint32_t dial_timeout_ms = 5'000;
constexpr std::int64_t space_retry_ms = 1'000; // how often a full disk is tried again
constexpr std::int64_t count_links_ms = 1'000; // how often links are asked what they have taken
// Under load.
constexpr std::int64_t gather_us_max = 1'000;
constexpr std::size_t gather_bytes = 256U << 10U;
constexpr std::int64_t load_bytes_per_us = 10;
constexpr std::int64_t gather_us_per_load = 25; // for each byte in a microsecond

} // namespace

driver::driver(core decisions, driver_parts parts, replica_options options)
    : core_(std::move(decisions)), parts_(std::move(parts)), options_(std::move(options)) {}

driver::~driver() { WEFT_CHECK(closed_ || connections_.empty()); }

result<void> driver::start() {
    std::weak_ptr<driver> weak = weak_from_this();
    timer_ = parts_.doors.run.make_timer([weak] {
        auto self = weak.lock();
        if (!self || self->closed_) return;
        self->timer_at_ = instant::never();
        if (self->deadline_ > self->now()) return self->set_timer(self->deadline_);
        self->happened(woken{});
    });
    gather_timer_ = parts_.doors.run.make_timer([weak] {
        if (auto self = weak.lock()) self->woken_up();
    });
    space_timer_ = parts_.doors.run.make_timer([weak] {
        if (auto self = weak.lock()) self->write_pending();
    });
    for (const std::string& url : options_.peers) {
        if (auto known = parts_.transports.check(url); !known) return fail(known.error());
    }
    for (const std::string& url : options_.listen) {
        auto made = parts_.transports.listen(url, [weak](std::unique_ptr<link> fresh) {
            auto self = weak.lock();
            if (self && !self->closed_) self->adopt(std::move(fresh), std::nullopt);
        });
        if (!made) return fail(made.error());
        listening_.push_back((*made)->url());
        listeners_.push_back(std::move(*made));
    }
    if (parts_.disk_full) {
        unpersisted_ = core_.identity();
        identity_first_ = true;
        on_written(fail(errc::disk_full, "the start"));
    }
    happened(woken{});
    return {};
}

result<void> driver::close() {
    if (performing_ && !closed_) { // from a callback: first the effects behind it
        parts_.doors.run.post([self = shared_from_this()] { (void)self->close(); });
        return {};
    }
    if (closed_.exchange(true)) return {};
    auto [last, who] = on_loop([this] {
        auto effects = core_.close();
        return std::pair(std::move(effects), core_.identity());
    });
    perform(std::move(last));
    auto written = write_all_now();
    abandon();
    if (!written) return written; // also where no space was left for the identity
    if (auto done = parts_.log->close_clean(); !done) return done;
    return parts_.identities->store(who);
}

void driver::abandon() {
    closed_ = true;
    listeners_.clear();
    connections_.clear();
    timer_.reset();
    gather_timer_.reset();
    space_timer_.reset();
    parts_.audits->stop();
    tell_writers();
}

result<void> driver::wait_for_room() {
    auto room = [this](std::size_t most) {
        return closed_ || unlogged_bytes_ + waiting_bytes_ < most;
    };
    if (room(limits::unlogged_bytes_max)) return {};
    if (run().in_loop_thread()) {
        if (room(limits::unlogged_on_loop_bytes_max)) return {};
        return fail(errc::over_budget,
                    "callbacks on the loop wrote more than waits for the log at most; return from "
                    "them, and go on in a later one");
    }
    std::unique_lock hold(room_mutex_);
    ++writers_waiting_;
    room_.wait(hold, [&] { return room(limits::unlogged_bytes_max); });
    --writers_waiting_;
    return {};
}

void driver::tell_writers() {
    if (writers_waiting_ == 0) return;
    std::lock_guard hold(room_mutex_); // whoever looked before waits by now
    room_.notify_all();
}

void driver::wake() {
    if (wake_posted_.exchange(true)) return;
    parts_.doors.run.post([weak = weak_from_this()] {
        auto self = weak.lock();
        if (!self) return;
        std::int64_t gather_us = self->gather_us();
        if (gather_us > 0 && self->gather_timer_) {
            self->gather_timer_->set({self->stepped_.ns + gather_us * 1'000});
        } else {
            self->woken_up();
        }
    });
}

void driver::woken_up() {
    wake_posted_ = false;
    happened(woken{});
}

// Much came since the last step, for the time. Then changes gather for a moment after it, the longer the more
// come, so that a run holds many of them: each costs system calls and wake-ups, here and at the peers. A lone
// change never waits, for which this is 0. Nor do any where each waits for its own sync: that is their
// moment.
std::int64_t driver::gather_us() const {
    std::size_t came = unlogged_bytes_;
    if (options_.sync == sync_policy::commit || came >= gather_bytes) return 0;
    std::int64_t since_us = (parts_.doors.time.now().ns - stepped_.ns) / 1'000;
    std::int64_t load = static_cast<std::int64_t>(came) / std::max<std::int64_t>(since_us, 1);
    std::int64_t wanted = std::min(load * gather_us_per_load, gather_us_max);
    return load > load_bytes_per_us && since_us < wanted ? wanted : 0;
}

void driver::post(decltype(event::what) what) {
    auto boxed = std::make_shared<decltype(event::what)>(std::move(what));
    parts_.doors.run.post([weak = weak_from_this(), boxed] {
        if (auto self = weak.lock()) self->happened(std::move(*boxed));
    });
}

void driver::happened(decltype(event::what) what) {
    if (closed_) return;
    auto [effects, deadline] = on_loop([&] {
        count_links();
        for (session_id heard : heard_) core_.count_heard(heard, parts_.doors.time.now());
        for (session_id drained : drained_) core_.count_drained(drained, parts_.doors.time.now());
        heard_.clear();
        drained_.clear();
        stepped_ = parts_.doors.time.now();
        auto asked = core_.step({stepped_, parts_.doors.time.wall_ms(), std::move(what)},
                                std::exchange(spare_, {}));
        unlogged_bytes_ = core_.unlogged_bytes();
        return std::pair(std::move(asked), core_.deadline());
    });
    deadline_ = deadline;
    perform(std::move(effects));
    log_bytes_ = parts_.log->size_bytes();
    tell_writers();
    // An event inside another leaves the timer to the outer one.
    if (!performing_ && !closed_) set_timer(deadline_);
}

// Deadlines move with almost every step, mostly on: the timer stays, and when it fires is set again.
void driver::set_timer(instant when) {
    if (when >= timer_at_) return;
    timer_at_ = when;
    timer_->set(when);
}

void driver::count_links() {
    instant now = parts_.doors.time.now();
    for (const auto& [session, what] : sent_) core_.count_sent(session, what.bytes, what.owed, now);
    sent_.clear();
    if (now < next_count_) return;
    next_count_ = now.after_ms(count_links_ms);
    for (const auto& [session, wire] : connections_)
        core_.count_taken(session, wire->taken_bytes(), now);
}

void driver::perform(std::vector<effect> effects) {
    // An effect may make an event at once, whose effects come after the rest of these.
    if (performing_) {
        queued_.insert(queued_.end(), std::make_move_iterator(effects.begin()),
                       std::make_move_iterator(effects.end()));
        return;
    }
    performing_ = true;
    while (!effects.empty()) {
        for (effect& e : effects) {
            std::visit([this](auto& what) { perform(what); }, e);
        }
        if (!waits_for_runs()) tell();
        effects.clear();
        std::swap(effects, queued_);
    }
    spare_ = std::move(effects);
    performing_ = false;
}

void driver::adopt(std::unique_ptr<link> fresh, std::optional<peer_id> peer) {
    session_id id{next_session_++};
    std::string url = fresh->peer();
    link& wire = *fresh;
    connections_[id] = std::move(fresh);
    happened(link_up{id, peer, std::move(url)});
    if (!connections_.contains(id)) return; // refused at once
    std::weak_ptr<driver> weak = weak_from_this();
    wire.start({
        .on_frame =
            [weak, id](bytes body) {
                auto self = weak.lock();
                if (!self || !self->connections_.contains(id)) return;
                std::size_t size = body.size() + limits::frame_header_bytes;
                auto decoded = decode_message(shared_bytes(std::move(body)));
                if (decoded) {
                    self->happened(received{id, std::move(*decoded), size});
                } else {
                    const error& why = decoded.error();
                    link& from = *self->connections_.at(id);
                    from.send(encode_message(notice_message{why.code, why.detail, true}));
                    from.close();
                    self->connections_.erase(id);
                    self->happened(link_down{id, why});
                }
            },
        .on_drained =
            [weak, id] {
                auto self = weak.lock();
                if (!self || !self->connections_.contains(id)) return;
                self->drained_.insert(id);
                bool waits = self->on_loop([&] { return self->core_.waits_for_room(); });
                if (waits) self->happened(woken{});
            },
        .on_closed =
            [weak, id](const error& why) {
                auto self = weak.lock();
                if (!self || self->connections_.erase(id) == 0) return;
                self->happened(link_down{id, why});
            },
        .on_progress =
            [weak, id] {
                if (auto self = weak.lock()) self->heard_.insert(id);
            },
    });
}

void driver::perform(persist_identity& what) {
    unpersisted_ = std::move(what.who);
    identity_first_ = identity_first_ || what.before_runs;
    store_identity();
}

void driver::store_identity() {
    if (storing_ || !unpersisted_ || closed_) return;
    storing_ = std::exchange(unpersisted_, std::nullopt);
    parts_.identities->store_later(*storing_,
                                   [weak = weak_from_this()](const result<void>& stored) {
                                       auto self = weak.lock();
                                       if (self && !self->closed_) self->on_identity_stored(stored);
                                   });
}

void driver::on_identity_stored(const result<void>& stored) {
    auto who = std::exchange(storing_, std::nullopt);
    if (stored) {
        if (!unpersisted_) identity_first_ = false;
    } else {
        if (!unpersisted_) unpersisted_ = std::move(who);
        on_written(stored);
        if (closed_) return;
    }
    // What is to go goes from a full disk all the same, for the space.
    if (!unpersisted_ || disk_full_) perform_behind_identity();
    if (stored) write_pending();
}

void driver::perform_behind_identity() {
    for (effect& e : std::exchange(behind_identity_, {}))
        std::visit([this](auto& what) { perform(what); }, e);
}

template <class Effect>
bool driver::waits_for_identity(Effect& what) {
    if (disk_full_ || (!unpersisted_ && !storing_)) return false;
    behind_identity_.push_back(std::move(what));
    return true;
}

// What needs an identity must not be in the log before it. If it is stamped above the ceiling, one that is
// high enough is on its way.
bool driver::runs_wait() const {
    return identity_first_ || unlogged_newest_ > parts_.identities->ceiling();
}

void driver::perform(append_log& what) {
    for (const shared_bytes& run : what.runs) waiting_bytes_ += run.view.size();
    unlogged_.insert(unlogged_.end(), std::make_move_iterator(what.runs.begin()),
                     std::make_move_iterator(what.runs.end()));
    unlogged_newest_ = std::max(unlogged_newest_, what.newest);
    if (!closed_) write_pending();
}

void driver::write_pending() {
    store_identity();
    if (!unlogged_.empty()) {
        if (runs_wait()) return;
        on_written(parts_.log->append(unlogged_));
    } else if (!unpersisted_ && !storing_) {
        on_written({});
    }
}

// Before the replica closes.
result<void> driver::write_all_now() {
    if (unpersisted_ || storing_) {
        auto stored = parts_.identities->store(unpersisted_ ? *unpersisted_ : *storing_);
        if (!stored) return stored;
        unpersisted_.reset();
        storing_.reset();
        perform_behind_identity();
    }
    if (unlogged_.empty()) return {};
    auto done = parts_.log->append(unlogged_);
    if (done) {
        unlogged_.clear();
        tell();
        write_audits();
    }
    return done;
}

void driver::on_written(const result<void>& done) {
    if (!done && done.error().code != errc::disk_full) return fatal(done.error());
    if (!done) {
        disk_full_ = true;
        happened(disk_state{true});
        space_timer_->set(now().after_ms(space_retry_ms));
    } else if (!unlogged_.empty()) {
        unlogged_.clear();
        waiting_bytes_ = 0;
        tell_writers();
        for (send_message& what : std::exchange(withheld_, {})) perform(what);
        write_audits();
    }
    tell();
    if (std::exchange(sync_waits_, false)) sync_log_now();
    if (!done || unpersisted_ || storing_) return;
    if (std::exchange(disk_full_, false)) happened(disk_state{false});
}

// While runs wait for an identity; not for space, for what is in the log already has to be synced.
void driver::perform(sync_log&) {
    sync_waits_ = waits_for_runs();
    if (!sync_waits_) sync_log_now();
}

void driver::sync_log_now() {
    parts_.log->sync_later([weak = weak_from_this()](result<log_index> end) {
        auto self = weak.lock();
        if (!self || self->closed_) return;
        if (end) {
            self->happened(log_synced{*end});
        } else {
            self->fatal(end.error());
        }
    });
}

void driver::perform(read_log& what) {
    log_index first = std::max(what.first, parts_.log->seek(what.known));
    auto runs = parts_.log->read(first, what.bytes_max);
    if (runs) {
        post(log_read{what.session, first, std::move(*runs), what.for_check});
    } else {
        fatal(runs.error());
    }
}

// What a snapshot holds is not replayed again: decisions about it are on the disk first.
void driver::perform(write_snapshot& what) {
    if (!behind_identity_.empty() && waits_for_identity(what)) return;
    auto image = std::make_shared<state_image>(std::move(what.image));
    once_audits_are_durable([this, image] {
        parts_.snapshots->write_later(std::move(*image),
                                      [weak = weak_from_this()](result<snapshot_info> written) {
                                          auto self = weak.lock();
                                          if (!self || self->closed_) return;
                                          if (written) {
                                              self->happened(snapshot_written{*written, {}});
                                          } else {
                                              self->happened(snapshot_written{{}, written.error()});
                                          }
                                      });
    });
}

void driver::perform(remove_snapshot& what) {
    if (waits_for_identity(what)) return;
    auto removed = parts_.snapshots->remove(what.at);
    if (removed) return;
    parts_.doors.events.on({severity::warning, "snapshot.not_removed", to_string(removed.error())});
}

void driver::perform(verify_snapshot& what) {
    parts_.snapshots->verify_later(
        what.at, options_.cluster,
        [weak = weak_from_this(), at = what.at](const result<void>& good) {
            auto self = weak.lock();
            if (!self || self->closed_) return;
            std::optional<error> failed;
            if (!good) failed = good.error();
            self->happened(snapshot_verified{at, std::move(failed)});
        });
}

void driver::perform(set_aside_snapshot& what) {
    if (waits_for_identity(what)) return;
    auto aside = parts_.snapshots->put_aside(what.at);
    parts_.doors.events.on(
        {severity::warning, "snapshot.damaged",
         what.why.detail + ". " +
             (aside ? "The file is kept as " + *aside
                    : "It cannot be put aside: " + to_string(aside.error())) +
             "; another snapshot is written, at the latest with the next change"});
}

void driver::perform(find_log_cut& what) {
    happened(log_cut_found{parts_.log->find_cut(what.before, what.seen, options_.log_bytes_max)});
}

void driver::perform(drop_log& what) {
    if (!waits_for_identity(what)) parts_.log->drop_later(what.before);
}

void driver::perform(read_state& what) {
    auto data =
        parts_.snapshots->read({what.snapshot.at, what.snapshot.size}, what.offset, what.size);
    result<shared_bytes> got;
    if (data) {
        got = shared_bytes(std::move(*data));
    } else {
        got = fail(data.error());
    }
    post(state_read{what.session, what.snapshot, what.offset, std::move(got)});
}

void driver::perform(stage_state& what) {
    auto staged = parts_.transfers->append(what.what, what.offset, what.data.view);
    if (!staged) happened(staging_failed{staged.error()});
}

void driver::perform(join_state& what) {
    auto mine = std::make_shared<state_image>(std::move(what.mine));
    once_audits_are_durable([this, mine] {
        parts_.transfers->join_later(std::move(*mine),
                                     [weak = weak_from_this()](result<joined_state> outcome) {
                                         auto self = weak.lock();
                                         if (self && !self->closed_)
                                             self->happened(state_joined{std::move(outcome)});
                                     });
    });
}

void driver::perform(discard_staged&) {
    auto removed = parts_.transfers->discard();
    if (removed) return;
    parts_.doors.events.on({severity::warning, "transfer.not_removed", to_string(removed.error())});
}

void driver::perform(release_state& what) { release_later(parts_.doors.run, std::move(what.old)); }

void driver::perform(dial& what) {
    parts_.transports.dial(
        what.url, dial_timeout_ms,
        [weak = weak_from_this(), peer = what.peer](result<std::unique_ptr<link>> made) {
            auto self = weak.lock();
            if (!self || self->closed_) return;
            if (made) {
                self->adopt(std::move(*made), peer);
            } else {
                self->happened(dial_failed{peer, made.error()});
            }
        });
}

// How many of these runs may go to a peer: not one that the log has no space for yet, nor what is behind one.
std::size_t driver::sendable(session_id session, const runs_message& batch) const {
    bool waits = std::any_of(withheld_.begin(), withheld_.end(),
                             [&](const send_message& w) { return w.session == session; });
    if (waits) return 0;
    auto unlogged = [this](const shared_bytes& run) {
        return std::any_of(unlogged_.begin(), unlogged_.end(), [&](const shared_bytes& waiting) {
            return waiting.view.data() == run.view.data();
        });
    };
    auto first = std::find_if(batch.runs.begin(), batch.runs.end(), unlogged);
    return static_cast<std::size_t>(first - batch.runs.begin());
}

void driver::perform(send_message& what) {
    if (auto* batch = std::get_if<runs_message>(&what.what); batch && !unlogged_.empty()) {
        auto rest =
            batch->runs.begin() + static_cast<std::ptrdiff_t>(sendable(what.session, *batch));
        if (rest != batch->runs.end())
            withheld_.push_back({what.session, runs_message{{rest, batch->runs.end()}}});
        batch->runs.erase(rest, batch->runs.end());
        if (batch->runs.empty()) return;
    }
    auto found = connections_.find(what.session);
    if (found == connections_.end()) return;
    bytes body = encode_message(what.what);
    sent& counted = sent_[what.session];
    counted.bytes += body.size() + limits::frame_header_bytes;
    counted.owed = counted.owed || std::holds_alternative<runs_message>(what.what) ||
                   std::holds_alternative<state_chunk>(what.what);
    std::size_t before = found->second->queued_bytes();
    found->second->send(std::move(body));
    queued_since_look_ += std::max(found->second->queued_bytes(), before) - before;
    if (queued_since_look_ >= limits::batch_bytes_target) look_at_queues();
}

// Runs are handed to links within the budget; answers to peers that ask and never read are not, so the
// longest queue goes.
void driver::look_at_queues() {
    queued_since_look_ = 0;
    std::size_t most = limits::buffer_share(options_.buffer_bytes_max) + limits::frame_bytes_max;
    std::size_t queued = 0;
    for (const auto& [id, wire] : connections_) queued += wire->queued_bytes();
    while (queued > most) {
        auto longest = std::max_element(
            connections_.begin(), connections_.end(), [](const auto& a, const auto& b) {
                return a.second->queued_bytes() < b.second->queued_bytes();
            });
        session_id id = longest->first;
        error why{errc::over_limit, longest->second->peer() +
                                        ": the peer does not read, and what waits for all is over "
                                        "the budget for buffers"};
        queued -= longest->second->queued_bytes();
        longest->second->close_with(encode_message(notice_message{why.code, why.detail, true}));
        connections_.erase(longest);
        happened(link_down{id, why});
    }
}

void driver::perform(close_link& what) {
    auto found = connections_.find(what.session);
    if (found == connections_.end()) return;
    if (what.instead) {
        found->second->close_with(encode_message(*what.instead));
    } else {
        found->second->close();
    }
    connections_.erase(found);
}

// A local change is told of before its run is asked to be appended: what is told is in the log all the same.
void driver::perform(notify& what) { untold_.emplace_back(std::move(what)); }

void driver::perform(notify_conflict& what) { untold_.emplace_back(std::move(what)); }

void driver::tell() {
    auto say = [](auto& what) {
        if constexpr (std::same_as<std::decay_t<decltype(what)>, notify>) {
            what.whom->tell(what.what);
        } else {
            (*what.whom)(what.what);
        }
    };
    if (untold_.empty()) return;
    bool inside = std::exchange(performing_, true);
    for (auto& each : std::exchange(untold_, {})) std::visit(say, each);
    performing_ = inside;
    if (inside || closed_) return;
    perform(std::exchange(queued_, {}));
    set_timer(deadline_);
}

void driver::perform(record_audit& what) {
    unaudited_.insert(unaudited_.end(), std::make_move_iterator(what.entries.begin()),
                      std::make_move_iterator(what.entries.end()));
    if (!waits_for_runs()) write_audits();
}

// A trail that cannot be written stops nothing: it is tried again with the next decision, or the next run.
void driver::write_audits() {
    if (unaudited_.empty()) return;
    auto done = parts_.audits->append(unaudited_);
    if (done) {
        audits_failed_ = false;
        return;
    }
    if (!std::exchange(audits_failed_, true)) {
        parts_.doors.events.on({severity::warning, "audit.not_written",
                                "decisions about conflicts wait in memory for the audit trail: " +
                                    to_string(done.error())});
    }
    if (unaudited_.size() > limits::audit_waiting_max) {
        std::size_t lost = unaudited_.size() - limits::audit_waiting_max;
        unaudited_.erase(unaudited_.begin(),
                         unaudited_.begin() + static_cast<std::ptrdiff_t>(lost));
        parts_.doors.events.on({severity::error, "audit.lost",
                                std::to_string(lost) + " decisions never came to the audit trail"});
    }
}

void driver::once_audits_are_durable(std::function<void()> then) {
    write_audits();
    parts_.audits->sync_later([weak = weak_from_this(), then = std::move(then)](result<void> done) {
        auto self = weak.lock();
        if (!self || self->closed_) return;
        if (!done) {
            self->parts_.doors.events.on(
                {severity::warning, "audit.not_synced",
                 "a power cut may lose decisions about conflicts: " + to_string(done.error())});
        }
        then();
    });
}

void driver::find_audits(audit_query asked, std::function<void(result<audit_page>)> done) {
    error closed{errc::closed, "the replica is closed"};
    if (closed_) return done(fail(closed));
    run().post([weak = weak_from_this(), asked = std::move(asked), done = std::move(done), closed] {
        auto self = weak.lock();
        if (!self || self->closed_) return done(fail(closed));
        done(self->parts_.audits->find(asked));
    });
}

void driver::perform(answer& what) { what.whom(std::move(what.outcome)); }

void driver::perform(report& what) { parts_.doors.events.on(what.what); }

void driver::fatal(const error& why) {
    if (closed_.exchange(true))
        return; // before the core closes: who gets the lock after that sees it
    parts_.doors.events.on({severity::error, "replica.stopped", to_string(why)});
    std::vector<effect> rest = on_loop([this] { return core_.close(); });
    abandon();
    // Whoever waits is told; nothing is logged or sent any more.
    for (effect& e : rest) {
        if (auto* waiting = std::get_if<answer>(&e)) waiting->whom(fail(why));
    }
    if (parts_.on_fatal) parts_.on_fatal(why);
}

} // namespace weft
