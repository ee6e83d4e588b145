#include "tests/sim/world.hpp"

#include "base/check.hpp"
#include "transport/registry.hpp"

#include <algorithm>
#include <cstdio>
#include <stdexcept>

namespace weft::sim {
namespace {

constexpr std::int64_t quiet_ms_max = 60'000;

// Every strategy has its key, and some removes are kept.
rules all_strategies() {
    strategy longest = custom("longest", [](const conflict& what) {
        std::optional<value> best;
        for (const sibling& s : what.siblings) {
            if (!s.content || !s.content->as_text()) continue;
            bool longer = !best || s.content->content_bytes() > best->content_bytes();
            bool as_long = best && s.content->content_bytes() == best->content_bytes();
            if (longer || (as_long && *best < *s.content)) best = s.content;
        }
        return best;
    });
    strategy moody = custom("moody", [](const conflict& what) -> std::optional<value> {
        for (const sibling& s : what.siblings) {
            if (s.content && s.content->as_text()) throw std::runtime_error("no text, please");
        }
        return std::nullopt;
    });
    auto how = [&](std::string_view text) {
        auto parsed = parse_resolver(text, {longest, moody});
        WEFT_CHECK(parsed.has_value());
        return *parsed;
    };
    std::vector<rule> all;
    all.push_back({"register0", {}, {}, how("priority(c, a) > last_writer_wins"), true});
    all.push_back({"register1", {}, {}, how("min > longest > max"), false});
    rule bounded{"register2", {}, {}, how("last_writer_wins"), true};
    bounded.min =
        value(-500'000); // half of all numbers that are written, and all that is no number
    bounded.max = value(500'000);
    bounded.check = {"even", [](const value& v) {
                         return v.as_int().value_or(0) % 2 == 0 ? std::string() : "it is odd";
                     }};
    all.push_back(bounded);
    all.push_back({"register*", {}, {}, how("manual"), true});
    all.push_back({"mv_register0", {}, {}, how("union"), true});
    all.push_back({"mv_register1", {}, {}, how("sum > dominance"), false});
    all.push_back({"map*", "field0", {}, how("moody > average > last_writer_wins"), true});
    all.push_back({"map*", "field1", {}, how("dominance"), true});
    rule counter{"counter*", {}, type_kind::counter, {}};
    counter.min = value(-20);
    counter.max = value(20);
    all.push_back(counter);
    auto made = rules::make(std::move(all));
    WEFT_CHECK(made.has_value());
    return *made;
}

} // namespace

world::world(world_options options)
    : options_(std::move(options)), drawn_(scenario::draw(options_)), random_(drawn_.run_seed),
      cluster_({drawn_.cluster_seed, drawn_.network, options_.print}),
      load_(random_generator(drawn_.load_seed), [this] {
          workload_options load = drawn_.load;
          if (options_.conflicts) load.resolves = 0.1;
          return load;
      }()) {
    WEFT_CHECK(options_.replicas >= 2 && options_.replicas <= 26);
    build();
}

void world::build() {
    random_generator random(drawn_.build_seed);
    std::size_t n = options_.replicas;
    std::vector<std::vector<std::string>> peers(n);
    auto both = [&](std::size_t a, std::size_t b) {
        peers[a].push_back(host_name(b));
        peers[b].push_back(host_name(a));
    };
    for (std::size_t i = 0; i < n; ++i) {
        switch (drawn_.links) {
            case shape::mesh:
                for (std::size_t j = i + 1; j < n; ++j) both(i, j);
                break;
            case shape::one_way_mesh:
                for (std::size_t j = i + 1; j < n; ++j) peers[i].push_back(host_name(j));
                break;
            case shape::line:
                if (i > 0) both(i - 1, i);
                break;
            case shape::star:
                if (i > 0) both(0, i);
                break;
            case shape::ring:
                if (i > 0) both(i - 1, i);
                if (i == n - 1 && n > 2) both(i, 0);
                break;
            case shape::tree:
                if (i > 0) both(static_cast<std::size_t>(random.below(i)), i);
                break;
        }
    }
    machines_.resize(n);
    for (std::size_t i = 0; i < n; ++i) {
        auto sync = static_cast<sync_policy>(random.below(3));
        host& fresh = cluster_.add(host_name(i), peers[i], sync);
        fresh.on_event = [this, i](const log_event& event) { on_news(i, event); };
        fresh.options().packed = drawn_.heavy ? codec::none : static_cast<codec>(random.below(4));
        fresh.options().snapshot_log_bytes = drawn_.snapshot_log_bytes;
        fresh.options().snapshot_interval_ms = drawn_.snapshot_interval_ms;
        fresh.options().log_segment_bytes = drawn_.segment_bytes;
        fresh.options().log_bytes_max = drawn_.log_bytes_max;
        if (options_.conflicts) fresh.options().conflict_rules = all_strategies();
        fresh.set_sync_ms(0, drawn_.sync_ms_max);
        fresh.set_skew_ms(random.between(-drawn_.skew_ms_max, drawn_.skew_ms_max));
        fresh.set_drift_ppm(random.between(-drawn_.drift_ppm_max, drawn_.drift_ppm_max));
        if (options_.disks_lie) fresh.directory().lie_about_syncs();
        start(i);
    }
}

std::string world::describe() const {
    std::string out = drawn_.describe(options_) + "  policies";
    for (const auto& one : cluster_.all()) {
        out += " " + one->name() + "=" + std::string(to_string(one->options().sync));
    }
    return out + "\n";
}

std::string world::summary() const {
    std::string out = std::to_string(transactions_) + " transactions, " +
                      std::to_string(promises_.size()) + " acknowledged;";
    for (std::size_t i = 0; i < fault_kinds; ++i) {
        if (faults_[i] == 0) continue;
        out += " " + std::to_string(faults_[i]) + " " + std::string(fault_names[i]) + ",";
    }
    if (forked_) out += " a fork, which was told,";
    out += " " + std::to_string(compared_) + " comparisons,";
    return out + " equal " + std::to_string(equal_ms_ - healed_ms_) + " ms after all was healed; " +
           std::to_string(virtual_ms()) + " ms";
}

void world::note(const std::string& what) const {
    if (!options_.print) return;
    std::printf("%10.3f %s\n", static_cast<double>(cluster_.timeline().now().ns) / 1e6,
                what.c_str());
}

void world::after_ms(std::int64_t ms, std::function<void()> then) {
    cluster_.timeline().at(cluster_.timeline().now().after_ms(ms), std::move(then));
}

void world::start(std::size_t index) {
    host& one = at(index);
    machine& m = machines_[index];
    m.restart_planned = false;
    if (one.up()) return;
    bool may_fail = one.disk_fault();
    auto started = one.start();
    if (!started && !may_fail && !m.rotten.empty()) return mend(index, started.error());
    if (!started) {
        if (!may_fail) problem(one.name() + " does not start: " + to_string(started.error()));
        if (random_.chance(0.5)) one.directory().crash(random_);
        one.set_disk_fault(std::nullopt);
        plan_start(index, random_.between(0, 500));
        return;
    }
    ++m.life;
    m.rotten.clear();
    for (auto& lost : check_kept(one, promises_)) problem(lost);
    for (auto& lost : cluster_.durability().check(one)) problem(lost);
    replica_id id = one->id();
    if (std::find(ids_.begin(), ids_.end(), id) == ids_.end()) ids_.push_back(id);
}

void world::plan_start(std::size_t index, std::int64_t after) {
    machines_[index].restart_planned = true;
    after_ms(after, [this, index] {
        if (machines_[index].restart_planned) start(index);
    });
}

std::optional<std::size_t> world::pick_writer() {
    std::vector<std::size_t> active;
    for (std::size_t i = 0; i < machines_.size(); ++i) {
        if (at(i).active() && !machines_[i].mute) active.push_back(i);
    }
    if (active.empty()) return std::nullopt;
    return active[static_cast<std::size_t>(random_.below(active.size()))];
}

void world::write() {
    auto index = pick_writer();
    if (!index) return;
    host& one = at(*index);
    std::int64_t timeout_ms = random_.between(100, 15'000);
    ack_level level = ack_level::memory();
    switch (random_.below(5)) {
        case 0: break;
        case 1:
        case 2: level = ack_level::disk(); break;
        case 3: {
            std::uint64_t members = 1 + random_.below(one.options().peers.size() + 1);
            level = ack_level::replicated(static_cast<std::uint32_t>(members));
            break;
        }
        default: level = ack_level::majority(); break;
    }
    auto made = load_.write(*one, ids_);
    if (!load_.problem().empty()) problem(one.name() + ": " + load_.problem());
    write_at(*index, level, timeout_ms, std::move(made));
}

void world::write_at(std::size_t index, ack_level level, std::int64_t timeout_ms,
                     std::optional<commit> made) {
    if (!made || made->end() == made->id().counter) return;
    ++transactions_;
    auto wait = std::make_shared<waiting>();
    wait->host = index;
    wait->life = machines_[index].life;
    waits_.push_back(wait);
    promise fresh{at(index).name(), made->id(), made->end(), made->stamp(), level, false,
                  losses_.size()};
    made->when(level, timeout_ms, [this, wait, fresh](result<void> outcome) {
        if (wait->answered) problem("an acknowledgement came twice");
        note(fresh.host + ": change " + to_string(fresh.first) + ": " +
             (outcome ? "acknowledged" : to_string(outcome.error())));
        wait->answered = true;
        if (outcome && fresh.level.what != ack_level::kind::memory) {
            promises_.push_back(fresh);
            promises_.back().void_now = is_void(fresh);
            check_members(fresh);
        }
        wait->outcome = std::move(outcome);
    });
}

// As many disks hold it as was said; that of one that is down, or whose disk failed, may.
void world::check_members(const promise& given) {
    if (cloned_ || given.losses_before != losses_.size()) return;
    const host& one = cluster_.at(given.host);
    std::size_t members = 1 + one.options().peers.size();
    std::size_t needed = given.level.what == ack_level::kind::majority     ? members / 2 + 1
                         : given.level.what == ack_level::kind::replicated ? given.level.members
                                                                           : 1;
    std::size_t without = 0;
    for (const std::string& peer : one.options().peers) {
        const host& other = cluster_.at(url_rest(peer));
        bool has = !other.up() || other.failed() ||
                   other.durable().at(given.first.replica) >= given.end - 1;
        without += has ? 0 : 1;
    }
    if (members - without >= needed) return;
    problem("change " + to_string(given.first) + ", which " + given.host +
            " acknowledged as durable at " + std::to_string(needed) + " members, is not at " +
            std::to_string(without) + " of its " + std::to_string(members - 1) + " peers");
}

// Once a virtual second everyone who lives takes a write, whatever has become of the others.
void world::try_writes() {
    for (std::size_t i = 0; i < machines_.size(); ++i) {
        host& one = at(i);
        if (!one.active() || machines_[i].mute) continue;
        auto status = one->status();
        bool knows_full = status && status->disk_full;
        auto done = one->transact([](transaction& t) { (void)t.counter("alive").increment(); });
        if (done && knows_full)
            problem(one.name() + " takes a write, and knows that its disk is full");
        if (!one.active()) continue; // its disk failed under it: it does not live any more
        bool full = cluster_.timeline().now() <= machines_[i].full_until;
        if (!done && full && done.error().code == errc::disk_full) {
            ++available_.disk_full;
            continue;
        }
        ++available_.tried;
        if (done) {
            ++available_.taken;
        } else {
            problem(one.name() + " takes no write: " + to_string(done.error()));
        }
    }
}

// Whatever else becomes of it, no check says that two differ; unless one wrote under dots that others had.
void world::compare(std::size_t index) {
    host& one = at(index);
    if (!one.active()) return;
    one->verify("", [this, &one](const result<std::vector<peer_verification>>& all) {
        if (!all) return; // it closed
        for (const peer_verification& peer : *all) {
            if (!peer.outcome) continue;
            ++compared_;
            if (peer.outcome->equal || wrote_unaware_) continue;
            problem(one.name() + " and " + peer.peer + " differ in: " + peer.outcome->keys);
        }
    });
}

// Found equal, or asked again where a state transfer came between, or the end of a link that had broken
// before.
void world::expect_equal(host& one, const std::string& peer, const std::shared_ptr<int>& open) {
    one->verify(peer, [this, &one, peer, open](const auto& all) {
        result<comparison> found = all ? all->at(0).outcome : fail(all.error());
        auto again = [](errc code) {
            return code == errc::outdated || code == errc::link_lost || code == errc::unreachable;
        };
        if (!found && again(found.error().code)) {
            return after_ms(1'000, [this, &one, peer, open] {
                if (one.up()) expect_equal(one, peer, open);
            });
        }
        --*open;
        compared_ += found && found->equal ? 1 : 0;
        if (found && found->equal) return;
        problem(one.name() + " and " + peer + " in a healed world: " +
                (found ? "they differ in: " + found->keys : to_string(found.error())));
    });
}

// While everybody writes, as much as the slowest disk with the smallest segments takes for long, each is
// found equal to all its peers, in time.
void world::compare_all() {
    std::size_t writer = 0;
    instant next_write;
    auto write_on = [&] {
        if (cluster_.timeline().now() < next_write) return;
        next_write = cluster_.timeline().now().after_ms(100);
        host& one = at(writer++ % machines_.size());
        (void)one->transact([](transaction& t) { (void)t.counter("alive").increment(); });
    };
    for (const auto& one : cluster_.all()) {
        const auto& peers = one->options().peers;
        auto open = std::make_shared<int>(static_cast<int>(peers.size()));
        for (const std::string& peer : peers) expect_equal(*one, peer, open);
        bool answered = cluster_.run_until(
            [&] {
                write_on();
                return *open == 0;
            },
            2 * std::int64_t{limits::check_ms_max});
        if (!answered) problem(one->name() + ": a check without an answer");
    }
}

void world::run_with_faults() {
    sim_timeline& all = cluster_.timeline();
    instant begin = all.now();
    instant end = begin.after_ms(drawn_.fault_ms);
    instant next_try = begin;
    auto next = drawn_.events.begin();
    while (all.now() < end) {
        instant next_write{all.now().ns + 1'000 * random_.between(0, 2 * drawn_.write_gap_us)};
        while (next != drawn_.events.end() && begin.after_ms(next->at_ms) <= next_write) {
            all.run_until(begin.after_ms(next->at_ms));
            tend();
            perform(*next++);
        }
        all.run_until(next_write);
        tend();
        write();
        if (all.now() < next_try) continue;
        next_try = all.now().after_ms(1'000);
        try_writes();
        compare(static_cast<std::size_t>(all.now().ms_since(begin) / 1'000) % machines_.size());
    }
    // Who has long got no processor gets none until then, while the others go on.
    auto paused = [](const auto& one) { return one->paused(); };
    while (std::any_of(cluster_.all().begin(), cluster_.all().end(), paused)) {
        cluster_.run_ms(1'000);
        tend();
        try_writes();
    }
}

void world::heal() {
    healed_ms_ = cluster_.now_ms();
    for (std::size_t i = 0; i < machines_.size(); ++i) {
        host& one = at(i);
        end_clone(i);
        bool broken = one.failed() || (one.disk_fault() && !machines_[i].disk_full);
        if (one.up() && broken) one.kill(random_.chance(0.5));
        one.set_disk_fault(std::nullopt);
        machines_[i].disk_full = false;
        if (!one.up()) start(i);
    }
    cluster_.network().heal_all();
    for (const auto& one : cluster_.all()) {
        if (!one->up()) continue; // said already
        for (const std::string& peer : one->options().peers) (void)(*one)->resume_peer(peer);
    }
}

bool world::settled() const {
    for (const auto& wait : waits_) {
        if (!wait->answered && machines_[wait->host].life == wait->life) return false;
    }
    for (const auto& one : cluster_.all()) {
        if (!one->up()) continue;
        auto status = (*one)->status();
        if (status && (status->held_back_runs > 0 || status->disk_full)) return false;
    }
    return cluster_.equal();
}

void world::run_until_quiet() {
    bool quiet = cluster_.run_until([this] { return check_fork() || settled(); }, quiet_ms_max);
    if (equal_ms_ == 0) equal_ms_ = cluster_.now_ms();
    for (machine& m : machines_) m.mute = false;
    if (quiet) return;
    problem("not quiet within " + std::to_string(quiet_ms_max) + " ms of virtual time");
    auto up = [](const auto& one) { return one->up(); };
    if (!std::all_of(cluster_.all().begin(), cluster_.all().end(), up)) return;
    for (auto& one : check_equal(cluster_.all())) problem(one);
}

// Members that sync only when they are asked to never acknowledge changes of others in time.
ack_level world::reachable_level(const host& one) {
    std::size_t syncing = 1;
    std::size_t members = 1 + one.options().peers.size();
    for (const std::string& peer : one.options().peers) {
        bool lazy = cluster_.at(url_rest(peer)).options().sync == sync_policy::none;
        syncing += lazy ? 0 : 1;
    }
    return syncing >= members / 2 + 1 ? ack_level::majority() : ack_level::disk();
}

void world::check() {
    if (!problems_.empty() || forked_) return;
    if (cluster_.run_until([this] { return all_active(cluster_.all()); }, quiet_ms_max))
        compare_all(); // else it is a problem below
    for (std::size_t i = 0; i < machines_.size(); ++i) {
        host& one = at(i);
        auto made = one->transact([](transaction& t) { (void)t.counter("final").increment(); });
        if (!made) {
            problem(one.name() + ": " + to_string(made.error()));
            continue;
        }
        write_at(i, reachable_level(one), quiet_ms_max, *made);
        auto mine = waits_.back();
        (void)cluster_.run_until([&] { return mine->answered; }, quiet_ms_max);
        if (!mine->answered || !mine->outcome) {
            problem(one.name() + ": no acknowledgement in a healed world: " +
                    (mine->answered ? to_string(mine->outcome.error()) : "no answer"));
        }
    }
    run_until_quiet();
    if (!problems_.empty() || forked_) return;
    if (!cluster_.run_until([this] { return all_active(cluster_.all()); }, quiet_ms_max)) {
        problem("a peer is not active, or lags, in a healed world");
    }
    for (auto& one : cluster_.check()) problem(one);
    for (auto& one : check_conflicts(cluster_.all())) problem(one);
    check_trails();
    for (auto& one : check_promises(cluster_.all(), promises_, cluster_.dots())) problem(one);
    for (auto& one : check_reports(cluster_.all(), cloned_)) problem(one);
    if (!problems_.empty()) return;
    // The state is what the log makes of it.
    state_digest before = cluster_.all()[0]->digest();
    for (std::size_t i = 0; i < machines_.size(); ++i) {
        host& one = at(i);
        replica_id id = one->id();
        if (auto stopped = one.stop(); !stopped) problem(to_string(stopped.error()));
        start(i);
        if (!one.up()) continue;
        if (one->id() != id) problem(one.name() + " took a new id after a clean stop");
        if (one.digest() != before) problem(one.name() + " starts with another state than it had");
        one.check_invariants();
    }
    for (auto& one : check_conflicts(cluster_.all())) problem(one);
    check_trails();
}

void world::check_trails() {
    for (const auto& one : cluster_.all()) {
        for (auto& wrong : cluster_.check_trail(*one)) problem(wrong);
    }
}

void world::run() {
    run_with_faults();
    heal();
    run_until_quiet();
    check();
}

} // namespace weft::sim
