#include "base/limits.hpp"
#include "replica/core.hpp"

#include <algorithm>

// A check: two replicas compare their states at one version vector, while everybody writes.
//
//   begin        who begins freezes its state and says where it stands; the other does, too, and answers
//   catching up  each adds to its copy what its log has up to the join of the two vectors, as that comes
//   comparing    each counts the digest of its copy anew, from the objects, and tells it
//   narrowing    if they differ: digests of parts of the keyspace, until these name the keys
namespace weft {
namespace {

// The copies go on by a slice each so often, so that they never take more than half of the loop's time.
constexpr std::int64_t slice_ms = 2;
constexpr std::size_t slice_entries = 2'000;
constexpr std::size_t slice_bytes = 256U << 10U; // of runs

std::string keys_in(const std::vector<range_digest>& ranges) {
    std::string out;
    for (const range_digest& r : ranges) {
        out += (out.empty() ? "keys from '" : ", and from '") + r.first + "'";
        out += r.end.empty() ? " on" : " before '" + r.end + "'";
    }
    return out.empty() ? "no key: only the sums of all differ" : out;
}

} // namespace

// ---- who asks

void core::verify(std::optional<peer_id> whom, instant deadline, verify_callback done) {
    struct gathered {
        std::vector<peer_verification> all;
        std::size_t open = 0;
        verify_callback done;
    };
    auto all = std::make_shared<gathered>();
    all->done = std::move(done);
    for (std::size_t i = 0; i < peers_.size(); ++i) {
        const peer_entry& p = peers_[i];
        peer_id id{static_cast<std::uint32_t>(i)};
        // One that came by itself and went is no member any more.
        if (whom ? id != *whom : !p.configured && !p.session) continue;
        std::size_t place = all->all.size();
        all->all.push_back({p.name.empty() ? p.url : p.name, p.id, {}});
        ++all->open;
        want_check(p, deadline, [all, place](result<comparison> outcome) {
            all->all[place].outcome = std::move(outcome);
            if (--all->open == 0) all->done(std::move(all->all));
        });
    }
    if (all->open == 0)
        effects_.push_back(answer{[all](const result<void>&) { all->done({}); }, {}});
    call_asks_ = true;
}

void core::want_check(const peer_entry& p, instant deadline, comparison_callback whom) {
    if (!p.session) {
        std::string why = p.paused       ? ": paused here by an operator"
                          : p.last_error ? ": " + p.last_error->detail
                                         : std::string();
        return answer_comparison(whom, fail(errc::unreachable, "not linked" + why));
    }
    checks& its = checks_[*p.session];
    if (its.waiting.size() >= limits::waiters_max)
        return answer_comparison(whom, fail(errc::over_limit, "too many callers wait already"));
    its.waiting.push_back({deadline, std::move(whom)});
}

void core::answer_comparison(const comparison_callback& whom, const result<comparison>& outcome) {
    effects_.push_back(
        answer{[whom, outcome](const result<void>&) { whom(outcome); }, result<void>{}});
}

// ---- from begin to end

std::optional<error> core::cannot_check(const session& s) const {
    if ((s.features & feature_checks) == 0)
        return error{errc::incompatible, "its version of weft knows no checks"};
    if (s.below_floor || !s.known.covers(floor_)) {
        return error{errc::outdated, "one of the two has to fetch a state first: no log leads both "
                                     "to a common point"};
    }
    return std::nullopt;
}

std::size_t core::checks_under_way() const {
    return static_cast<std::size_t>(std::count_if(
        checks_.begin(), checks_.end(), [](const auto& e) { return e.second.now != nullptr; }));
}

state_check& core::freeze(session& s, std::uint64_t number) {
    seal();
    auto fresh = std::make_unique<state_check>();
    fresh->number = number;
    fresh->deadline = now_.after_ms(limits::check_ms_max);
    fresh->copy = image();
    fresh->cursor = fresh->copy.header.at;
    checks& its = checks_[s.id];
    its.now = std::move(fresh);
    return *its.now;
}

void core::begin_check(session& s, checks& its) {
    std::vector<comparison_callback> whose;
    for (auto& [deadline, whom] : std::exchange(its.waiting, {})) whose.push_back(std::move(whom));
    its.wanted = false;
    if (auto why = cannot_check(s)) {
        for (const auto& whom : whose) answer_comparison(whom, fail(*why));
        return;
    }
    state_check& fresh = freeze(s, ++checks_begun_);
    fresh.began = true;
    fresh.whose = std::move(whose);
    send(s, check_message{fresh.number, check_begin{fresh.copy.header.vector()}});
}

void core::on_check(session& s, const check_message& said) {
    auto found = checks_.find(s.id);
    state_check* here = found == checks_.end() ? nullptr : found->second.now.get();
    if (const auto* begin = std::get_if<check_begin>(&said.step)) {
        bool both_began = here != nullptr && here->began && !here->point;
        if (both_began && id_ < s.their_id) return; // it sees the same, and answers ours
        if (here != nullptr && !both_began)
            end_check(s, {errc::outdated, "the peer began another"}, false);
        auto why = cannot_check(s);
        if (!why && !both_began && checks_under_way() >= limits::checks_max)
            why = error{errc::over_limit, "it compares with as many others as it may"};
        if (why) return send(s, check_message{said.number, *why});
        state_check& its = both_began ? *here : freeze(s, said.number);
        its.number = said.number;
        its.began = false;
        send(s, check_message{its.number, check_answer{its.copy.header.vector()}});
        return meet(s, its, begin->applied);
    }
    if (here == nullptr || here->number != said.number) return; // one that ended here
    if (const auto* answered = std::get_if<check_answer>(&said.step)) {
        if (here->began && !here->point) meet(s, *here, answered->applied);
    } else if (const auto* digest = std::get_if<check_digest>(&said.step)) {
        if (!here->point || here->theirs) return;
        if (digest->applied_hash != here->point_hash)
            return end_check(s, {errc::bad_message, "its digest is of another point"}, true);
        here->theirs = *digest;
        compare(s, *here);
    } else if (const auto* why = std::get_if<error>(&said.step)) {
        end_check(s, {why->code, "there: " + why->detail}, false);
    }
}

void core::meet(session& s, state_check& its, const version_vector& theirs) {
    s.their_applied.join(theirs);
    s.probe_stale = true;
    for (const auto& e : its.meet(theirs)) {
        auto known = origins_.find(e.replica);
        if (known != origins_.end() && known->second.refused)
            return end_check(s, *known->second.refused, true);
    }
}

// Without an answer; but if it is known by now that the two differ, that is one, though not where.
void core::end_check(session& s, const error& why, bool tell) {
    auto found = checks_.find(s.id);
    if (found == checks_.end() || !found->second.now) return;
    const state_check& its = *found->second.now;
    if (tell) send(s, check_message{its.number, why});
    result<comparison> outcome = fail(why);
    if (its.differs) outcome = comparison{false, ""};
    finish_check(s, outcome);
}

void core::finish_check(session& s, const result<comparison>& outcome) {
    conclude(*std::exchange(checks_.at(s.id).now, nullptr), outcome);
}

void core::conclude(state_check& done, const result<comparison>& outcome) {
    for (const auto& whom : done.whose) answer_comparison(whom, outcome);
    done.counting.reset(); // it holds the copy, too
    effects_.push_back(release_state{std::move(done.copy.objects)});
}

void core::end_checks(const error& why) {
    for (auto& [id, its] : checks_) end_check(sessions_.at(id), why, true);
}

// The link is gone.
void core::forget_checks(session_id id, const error& why) {
    auto gone = checks_.extract(id);
    if (gone.empty()) return;
    checks& its = gone.mapped();
    for (const auto& [deadline, whom] : its.waiting) answer_comparison(whom, fail(why));
    if (!its.now) return;
    result<comparison> outcome = fail(why);
    if (its.now->differs) outcome = comparison{false, ""};
    conclude(*its.now, outcome);
}

// ---- as time goes on

void core::tend_checks() {
    if (checks_.empty()) return;
    bool slice = now_ >= next_check_slice_;
    std::size_t sharing = std::max<std::size_t>(checks_under_way(), 1);
    for (auto& [id, its] : checks_) {
        session& s = sessions_.at(id);
        if (its.now && now_ >= its.now->deadline)
            end_check(s, {errc::timed_out, overdue(*its.now)}, true);
        if (!its.now && (its.wanted || !its.waiting.empty()) &&
            checks_under_way() < limits::checks_max)
            begin_check(s, its);
        std::erase_if(its.waiting, [&](const auto& waiter) {
            if (now_ < waiter.first) return false;
            answer_comparison(waiter.second,
                              fail(errc::timed_out, "its turn did not come: others were compared"));
            return true;
        });
        if (!its.now || !slice || !has_work(*its.now)) continue;
        next_check_slice_ = now_.after_ms(slice_ms);
        advance_check(s, *its.now, sharing);
    }
    std::erase_if(checks_, [](const auto& e) {
        const checks& its = e.second;
        return !its.now && !its.wanted && its.waiting.empty();
    });
}

bool core::has_work(const state_check& its) const {
    if (!its.point || its.reading) return false;
    return its.there() ? !its.ours || its.counting : its.cursor < tail_.end();
}

instant core::checks_due() const {
    instant out = instant::never();
    bool room = checks_under_way() < limits::checks_max;
    for (const auto& [id, its] : checks_) {
        if (!its.now && room) return now_; // there was none when it was looked at
        if (its.now) out = std::min(out, its.now->deadline);
        if (its.now && has_work(*its.now)) out = std::min(out, next_check_slice_);
        for (const auto& waiter : its.waiting) out = std::min(out, waiter.first);
    }
    return out;
}

// Of our log, what copies have to be given yet: it stays.
log_index core::log_for_checks() const {
    log_index out = tail_.end();
    for (const auto& [id, its] : checks_) {
        if (its.now && !its.now->there()) out = std::min(out, its.now->cursor);
    }
    return out;
}

// What a check was waiting for, for people.
std::string core::overdue(const state_check& its) const {
    if (!its.point) return "the peer did not answer";
    if (!its.there()) {
        dot last;
        for (const auto& e : its.point->above(its.copy.header.vector()))
            last = {e.replica, e.counter};
        auto known = origins_.find(last.replica);
        bool named = known != origins_.end() && !known->second.who.member.empty();
        return "operation " + to_string(last) +
               (named ? " of '" + known->second.who.member + "'" : "") +
               " is there, and did not come here" +
               (disk_full_ ? ": the disk is full here, so nothing is taken" : "");
    }
    return its.ours ? "the peer did not tell its digest" : "the state was still being counted";
}

void core::advance_check(session& s, state_check& its, std::size_t sharing) {
    std::size_t done_bytes = 0;
    while (!its.there() && its.cursor < tail_.end() && done_bytes < slice_bytes / sharing) {
        if (its.cursor < tail_.begin()) {
            its.reading = true;
            effects_.push_back(read_log{s.id, its.cursor, {}, slice_bytes, true});
            return;
        }
        const shared_bytes& run = tail_.at(its.cursor).bytes;
        done_bytes += run.view.size();
        if (auto taken = its.take(run); !taken) return end_check(s, taken.error(), true);
    }
    if (!its.there()) {
        // Our state is there, and the log did not bring the copy there: no run ends at that vector.
        if (its.cursor == tail_.end() && applied_.covers(*its.point))
            end_check(s, {errc::outdated, "the log does not lead to the common point"}, true);
        return;
    }
    if (!its.ours && !its.counting) {
        its.counting = std::make_unique<digest_count>(
            its.copy.objects, std::vector<digest_count::range>{{}}, limits::digest_ranges_max);
    }
    its.counting->step(slice_entries / sharing);
    if (its.counting->done()) on_counted(s, its);
}

void core::on_check_log_read(const log_read& read) {
    auto found = checks_.find(read.session);
    state_check* its = found == checks_.end() ? nullptr : found->second.now.get();
    if (its == nullptr || !its->reading || read.first != its->cursor) return; // of an earlier one
    its->reading = false;
    session& s = sessions_.at(read.session);
    for (const shared_bytes& run : read.runs) {
        if (its->there()) return;
        if (auto taken = its->take(run); !taken) return end_check(s, taken.error(), true);
    }
}

// ---- at the common point

void core::on_counted(session& s, state_check& its) {
    auto parts = its.counting->take();
    its.counting.reset();
    if (!its.ours) {
        its.parts = std::move(parts.front());
        its.ours =
            check_digest{its.point_hash, sum_of(its.parts).words, its.copy.objects.digest().words};
        send(s, check_message{its.number, *its.ours});
        return compare(s, its);
    }
    narrowed_ranges ours = narrow(its.asked, std::move(parts));
    bool found = ours.found || ours.ranges.empty();
    std::string keys = keys_in(ours.ranges);
    send(s, digests_message{its.point_hash, std::move(ours.ranges), found});
    if (found) found_keys(s, keys);
}

// Of the objects, and of the sum that was kept of them: so a fault in what keeps it shows, too.
void core::compare(session& s, state_check& its) {
    if (!its.ours || !its.theirs) return;
    bool same_objects = its.ours->counted == its.theirs->counted;
    bool equal = same_objects && its.ours->kept == its.theirs->kept;
    const auto& which = same_objects ? &check_digest::kept : &check_digest::counted;
    note_comparison(s, {(*its.ours).*which}, {(*its.theirs).*which});
    if (equal) return finish_check(s, comparison{true, ""});
    its.differs = true;
    if (same_objects) return found_keys(s, keys_in({}));
    if (its.began) send(s, digests_message{its.point_hash, std::move(its.parts), false});
}

void core::on_digests(session& s, const digests_message& digests) {
    auto found = checks_.find(s.id);
    state_check* its = found == checks_.end() ? nullptr : found->second.now.get();
    bool asked =
        its != nullptr && its->differs && !its->counting && digests.applied_hash == its->point_hash;
    if (!asked) return;
    if (digests.found) return found_keys(s, keys_in(digests.ranges));
    if (++its->narrowing_steps > limits::digest_narrow_steps_max)
        return end_check(s, {errc::over_limit, "the search for the keys does not end"}, true);
    its->asked = digests.ranges;
    std::vector<digest_count::range> ranges;
    for (const range_digest& r : digests.ranges) ranges.push_back({r.first, r.end});
    its->counting = std::make_unique<digest_count>(its->copy.objects, std::move(ranges),
                                                   limits::digest_ranges_max / 2);
}

void core::found_keys(session& s, const std::string& keys) {
    if (peer_entry* entry = entry_of(s); entry != nullptr && entry->mismatch_keys != keys) {
        entry->mismatch_keys = keys;
        report_event(severity::error, "digest.mismatch_keys",
                     "the states here and at " + s.name + " differ in: " + keys);
    }
    finish_check(s, comparison{false, keys});
}

} // namespace weft
