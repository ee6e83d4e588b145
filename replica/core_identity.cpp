#include "replica/core.hpp"

#include <algorithm>

// Who this replica is, and was: a new id where the end of its log was lost or has two histories, and what of
// its incarnations goes to whom.
//
// A log that lost its end without a trace goes on under its id, and may write other operations over those
// that were lost. Whoever has the lost ones refuses these by the chain of hashes. But what the replica writes
// under later ids names causes by dots, which are other operations there: a remove would take those. So a
// peer that has more of one of the replica's earlier incarnations gets nothing of those after it before what
// is lacked came, through the log, and continued what is here; and nobody gets any of it once it did not.
namespace weft {

// The incarnations before, oldest first, as far as their first changes tell.
void core::remember_past() {
    past_.clear();
    for (replica_id before = predecessor_; before != replica_id{} && applied_.at(before) > 0;) {
        bool circle = std::find(past_.begin(), past_.end(), before) != past_.end();
        if (circle) break; // which no replica writes
        past_.insert(past_.begin(), before);
        auto known = origins_.find(before);
        before = known == origins_.end() ? replica_id{} : known->second.who.predecessor;
    }
    bool is_there = std::find(past_.begin(), past_.end(), forked_) != past_.end();
    if (forked_ != replica_id{} && !is_there) past_.insert(past_.begin(), forked_);
}

void core::change_identity(const std::string& why, bool forked) {
    seal();
    replica_id before = id_;
    if (next_counter_ > 1) past_.push_back(before);
    if (forked && forked_ == replica_id{}) forked_ = before;
    predecessor_ = past_.empty() ? replica_id{} : past_.back();
    id_ = replica_id{random_.next()};
    conflicts_.know(id_, {options_.name, options_.region, predecessor_});
    // The old id is an origin like any other from here on: what was lost of it comes back through peers.
    next_counter_ = 1;
    stated_dependencies_ = {};
    persist(std::max(clock_.last(), clock_.ceiling()), true);
    report_event(severity::warning, "identity.changed",
                 "replica id " + to_string(before) + " becomes " + to_string(id_) + ": " + why);
    if (forked_ == before) report_fork();
    // Peers know us by the old id: every session starts afresh.
    while (!sessions_.empty())
        drop_session(sessions_.begin()->first, {errc::closed, "this replica takes a new id"},
                     false);
}

// Of an earlier incarnation, or of another replica: then there is nothing to keep back.
void core::note_fork(replica_id which) {
    auto at = std::find(past_.begin(), past_.end(), which);
    if (at == past_.end() || std::find(past_.begin(), at, forked_) != at) return;
    if (forked_ == which) return;
    forked_ = which;
    persist(std::max(clock_.last(), clock_.ceiling()), false);
    report_fork();
    for (auto& [id, s] : sessions_) s.serving.reset(); // a state has it, too
}

void core::report_fork() {
    report_event(severity::error, "identity.forked",
                 "replica id " + to_string(forked_) +
                     ", of this replica's past, has two histories: nothing that it wrote since is "
                     "sent, for it builds on one that the others do not have. Remedy: export what "
                     "matters, stop it, remove its directory, start it again empty");
}

// The origins of which the peer has less than there is here, and another history: where it stands no run
// ends here, or another one. Looks from the newest run back, as far as they are in memory.
std::set<replica_id> core::forked_below(const hello_message& hello) const {
    std::vector<origin_state> looked_for;
    for (const origin_state& theirs : hello.applied) {
        if (theirs.counter < applied_.at(theirs.origin)) looked_for.push_back(theirs);
    }
    std::set<replica_id> out;
    std::size_t left = looked_for.size();
    for (log_index at = tail_.end(); left > 0 && at > tail_.begin();) {
        at = previous(at);
        const logged_run& run = tail_.at(at);
        auto theirs = std::lower_bound(
            looked_for.begin(), looked_for.end(), run.origin,
            [](const origin_state& one, replica_id id) { return one.origin < id; });
        bool there = theirs != looked_for.end() && theirs->origin == run.origin &&
                     run.first <= theirs->counter && theirs->counter > 0;
        if (!there) continue;
        bool ends_there = run.end - 1 == theirs->counter;
        bool in_log = run.end > theirs->counter; // else a state brought it
        if (in_log && !(ends_there && hash_of(run.bytes.view) == theirs->last))
            out.insert(run.origin);
        theirs->counter = 0; // found
        --left;
    }
    return out;
}

// Compares what the peer has of each origin with what is here: a lost tail, or a fork. False if that made
// us take a new id: then all sessions start afresh, `s` too.
bool core::check_their_knowledge(session& s, const hello_message& hello) {
    std::set<replica_id> forked = forked_below(hello);
    for (const origin_state& theirs : hello.applied) {
        if (theirs.origin == id_ && theirs.counter >= next_counter_) {
            lost_tail(s, theirs.counter);
            return false;
        }
        note_more(s, theirs.origin, theirs.counter);
        auto known = origins_.find(theirs.origin);
        if (known == origins_.end()) continue;
        if (known->second.refused && theirs.counter > applied_.at(theirs.origin)) {
            block(s, *known->second.refused);
        }
        bool both_there = applied_.at(theirs.origin) == theirs.counter;
        bool same =
            both_there ? known->second.last == theirs.last : !forked.contains(theirs.origin);
        // Where nothing shows which history of a refused origin it has, its state may have the other.
        if (known->second.refused && !(both_there && same)) s.bad_state_until = instant::never();
        if (same) continue;
        error fork{errc::dot_reused,
                   "operation " + to_string(dot{theirs.origin, theirs.counter}) +
                       " has another content at '" + s.name +
                       "': two histories under one replica id. Applying stops for that "
                       "origin; both are kept. Remedy: stop the copy, remove its "
                       "directory, start it again empty"};
        block(s, fork);
        // Above a fork of ours a new id would not help: its changes would pass, by their counters, for such
        // that depend on the other history.
        if (theirs.origin == id_ && !both_there) continue;
        refuse_origin(theirs.origin, fork);
        note_fork(theirs.origin);
        if (theirs.origin == id_) { // nobody would take what this replica writes under it
            change_identity(fork.detail, true);
            return false;
        }
    }
    return true;
}

// The highest op counter of that origin that a message shows its sender to have; but what runs bring is only
// looked at for this replica's own id.
std::uint64_t core::stated_in(const received& got, replica_id which) const {
    std::uint64_t out = 0;
    if (const auto* interest = std::get_if<interest_message>(&got.what)) {
        out = interest->applied.at(which);
    } else if (const auto* beat = std::get_if<heartbeat_message>(&got.what)) {
        out = beat->applied.at(which);
    } else if (const auto* ack = std::get_if<ack_message>(&got.what)) {
        for (const auto& e : ack->applied)
            out = e.replica == which ? std::max(out, e.counter) : out;
    } else if (const auto* check = std::get_if<check_message>(&got.what)) {
        if (const auto* begin = std::get_if<check_begin>(&check->step))
            out = begin->applied.at(which);
        if (const auto* answered = std::get_if<check_answer>(&check->step))
            out = answered->applied.at(which);
    } else if (const auto* runs = std::get_if<runs_message>(&got.what); runs && which == id_) {
        for (const shared_bytes& run : runs->runs) {
            auto header = read_run_header(run.view);
            if (header && header->origin == id_) out = std::max(out, header->end - 1);
        }
    }
    return out;
}

void core::lost_tail(const session& s, std::uint64_t theirs) {
    change_identity("'" + s.name + "' knows operation " + std::to_string(theirs) +
                        " of it, here are only " + std::to_string(next_counter_ - 1) +
                        ": the end of the log was lost and comes back from there",
                    false);
}

// The first that the peer shows to have is what has to come here. That somebody else goes on under that id,
// in the directory of which this one is a copy, holds nothing up.
void core::note_more(session& s, replica_id which, std::uint64_t theirs) {
    if (theirs <= applied_.at(which) || s.lacked_past.at(which) > 0) return;
    if (std::find(past_.begin(), past_.end(), which) == past_.end()) return;
    s.lacked_past.advance(which, theirs);
    s.holds = true;
    s.serving.reset(); // it asks again
}

// Whether runs of that origin stay here, as far as that peer goes: it is an incarnation of this replica
// after one that is forked, or of which the peer showed more than is here.
bool core::is_withheld(const session& s, replica_id which) const {
    if (forked_ == replica_id{} && !s.holds) return false;
    auto holds = [&](replica_id past) {
        return past == forked_ || s.lacked_past.at(past) > applied_.at(past);
    };
    auto first = std::find_if(past_.begin(), past_.end(), holds);
    if (first == past_.end()) return false;
    return which == id_ || std::find(std::next(first), past_.end(), which) != past_.end();
}

} // namespace weft
