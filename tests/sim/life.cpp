#include "tests/sim/life.hpp"

#include <set>

namespace weft::sim {

life::life(std::uint64_t seed, sync_policy sync)
    : cluster({.seed = seed}), a_(add("a", {"b"}, sync)), b_(add("b", {"a"})) {
    for (host* one : {&a_, &b_}) {
        one->options().snapshot_log_bytes = 0; // only when the script says so
        one->options().log_segment_bytes = 400;
        one->options().log_bytes_max = 3'200;
    }
    a_.set_sync_ms(0, 6); // so that more is written meanwhile
}

void life::run() {
    start(a_);
    start(b_);
    write(a_, 3, 2);
    wait([this] { return equal(); }, 3'000);
    write(b_, 2, 0);
    write(a_, 4, 0); // one group commit
    snapshot(a_);
    write(a_, 3, 3);
    snapshot(a_);
    wait([this] { return a_.active() && a_->status().value().log_first > 0; }, 3'000);

    write(a_, 2, 0);
    if (a_.up()) a_.kill(false);
    start(a_);
    write(a_, 3, 1);
    write(a_, 1, 0); // on its way to the disk
    if (a_.up()) a_.kill(true);
    a_.options().region = "north"; // a new id, whatever the power cut left
    start(a_);
    write(a_, 3, 1);
    if (a_.active()) (void)a_.stop();
    if (a_.up()) a_.kill(false);

    for (int part = 0; part < 3; ++part) { // what `a` lacks by then is in no log
        write(b_, 8, 1);
        snapshot(b_);
        run_ms(1'100);
    }
    start(a_);
    write(a_, 2, 1);
    wait([this] { return a_.count("transfer.done") > 0 && equal(); }, 12'000);
    write(b_, 2, 1);
    write(a_, 2, 1);
    snapshot(a_);
    write(a_, 1, 1);
    wait([this] { return equal(); }, 3'000);
    if (a_.active()) (void)a_.stop();
    if (a_.up()) a_.kill(false);
    start(a_);
    write(a_, 1, 5);
    if (a_.active()) (void)a_.stop();
}

void life::settle() {
    if (a_.up() && a_.failed()) a_.kill(true);
    for (host* one : {&a_, &b_}) {
        if (!one->up()) start(*one);
    }
    wait([this] { return equal(); }, 60'000);
    run_ms(1'000); // what waits for an identity is in the log by then
}

version_vector life::left() {
    if (b_.up()) left_.join(b_.applied());
    return left_;
}

problems life::compare(host& recovered, const version_vector& acknowledged,
                       const version_vector& left, replica_id id) const {
    problems out;
    version_vector vector = recovered.applied();
    if (!vector.covers(acknowledged))
        out.push_back("it holds " + to_string(vector) + ", but acknowledged was " +
                      to_string(acknowledged));
    if (!attempted_.covers(vector))
        out.push_back("it holds " + to_string(vector) + ", but attempted was only " +
                      to_string(attempted_));
    if (recovered->id() == id && vector.at(id) < left.at(id))
        out.push_back("it goes on as " + to_string(id) + " after " + std::to_string(vector.at(id)) +
                      ", and " + std::to_string(left.at(id)) + " of its operations left it");
    std::set<std::string> expected;
    for (const auto& [first, change] : written_) {
        if (vector.at(first.replica) + 1 >= change.first) expected.insert(change.second);
    }
    auto found = recovered->set<std::string>("written").elements();
    std::set<std::string> elements;
    if (found) elements.insert(found->begin(), found->end());
    auto count = recovered->counter("count").read();
    if (elements != expected ||
        (count ? *count : 0) != static_cast<std::int64_t>(expected.size())) {
        out.push_back("it reads " + std::to_string(elements.size()) + " elements and a count of " +
                      std::to_string(count ? *count : 0) + ", of " +
                      std::to_string(expected.size()) + " changes that it holds");
    }
    for (const log_event& e : recovered.events()) {
        if (e.what == "snapshot.damaged" || e.what == "identity.damaged")
            out.push_back(e.what + ": " + e.text);
    }
    return out;
}

void life::start(host& one) {
    for (int attempt = 0; attempt < 3 && !one.up(); ++attempt) {
        auto started = one.start();
        if (!started) run_ms(100);
    }
}

void life::tend() {
    if (!a_.up() || !a_.failed()) return;
    a_.kill(true);
    start(a_);
}

void life::write(host& where, int changes, std::int64_t gap_ms) {
    for (int i = 0; i < changes; ++i) {
        tend();
        if (!where.active()) return;
        std::string element = where.name() + std::to_string(changes_++);
        auto done = where->transact([&](transaction& t) {
            (void)t.set<std::string>("written").add(element);
            (void)t.counter("count").increment();
            (void)t.lww_register<std::string>("last of " + where.name())
                .set(element + std::string(60, 'x'));
            (void)t.mv_register<std::string>("both").set(element); // while apart: a conflict
        });
        if (done) {
            dot first = done->id();
            std::uint64_t end = first.counter + 4;
            written_[first] = {end, element};
            attempted_.advance(first.replica, end - 1);
            bool own = &where == &a_;
            done->when(own ? ack_level::disk() : ack_level::replicated(2), 60'000,
                       [this, first, end](const result<void>& outcome) {
                           if (outcome) acknowledged_.advance(first.replica, end - 1);
                       });
        }
        if (gap_ms > 0) run_ms(gap_ms);
    }
    tend();
}

void life::snapshot(host& of) {
    if (!of.active()) return;
    auto answered = std::make_shared<bool>(false); // on a disk that fails it may come after this
    of->snapshot([answered](const result<snapshot_info>&) { *answered = true; });
    wait([&] { return *answered; }, 2'000);
}

void life::wait(const std::function<bool()>& reached, std::int64_t ms_max) {
    (void)run_until([&] { return (tend(), reached()); }, ms_max);
}

} // namespace weft::sim
