#include "tests/sim/world.hpp"

#include "base/check.hpp"
#include "base/limits.hpp"
#include "transport/registry.hpp"

#include <algorithm>
#include <array>
#include <cstdio>

namespace weft::sim {
namespace {

constexpr std::int64_t quiet_ms_max = 60'000;
constexpr std::array<std::string_view, 9> fault_names = {"kills",      "power cuts", "stops",
                                                         "disk fails", "pauses",     "partitions",
                                                         "cuts",       "commands",   "clock jumps"};
constexpr std::array<std::string_view, 6> shape_names = {"mesh", "one-way mesh", "line",
                                                         "star", "ring",         "tree"};

std::string name_of(std::size_t index) { return std::string(1, static_cast<char>('a' + index)); }

} // namespace

world::drawn world::draw(random_generator& random, const world_options& options) {
    drawn out;
    auto up_to = [&](std::int64_t most) { return random.between(0, most); };
    bool far = random.chance(0.3);
    out.network.latency_us_min = far ? 5'000 : 50;
    out.network.latency_us_max = out.network.latency_us_min + up_to(far ? 80'000 : 2'000);
    out.network.jitter_us_max = random.chance(0.5) ? 0 : up_to(out.network.latency_us_max);
    bool narrow = random.chance(0.2);
    out.network.bytes_per_ms_min = narrow ? 100 : 10'000;
    out.network.bytes_per_ms_max = narrow ? 2'000 : 200'000;
    out.network.window_bytes = std::size_t{1} << static_cast<unsigned>(random.between(10, 18));
    if (random.chance(0.3)) out.network.duplicates = 0.05;
    out.links = static_cast<shape>(random.chance(0.5) ? 0 : random.below(6));
    // Mostly short, for many seeds in little time; some long enough for every timeout to pass.
    out.fault_ms = random.chance(0.1) ? random.between(5'000, 12'000) : random.between(800, 2'500);
    if (options.fault_ms > 0) out.fault_ms = options.fault_ms;
    out.write_gap_us = random.between(8'000, 40'000);
    out.fault_gap_ms =
        random.chance(0.1) ? 0 : random.between(50, out.fault_ms > 4'000 ? 700 : 300);
    out.clock_far_ahead = random.chance(0.1);
    out.loses_a_disk = random.chance(0.2);
    out.sync_ms_max = random.chance(0.5) ? 3 : up_to(random.chance(0.2) ? 1'500 : 60);
    if (random.chance(0.6)) out.snapshot_log_bytes = 1'000 + random.below(60'000);
    if (random.chance(0.3)) out.snapshot_interval_ms = 200 + random.below(5'000);
    out.segment_bytes =
        random.chance(0.5) ? 500 + random.below(5'000) : limits::segment_bytes_target;
    if (random.chance(0.5)) out.log_bytes_max = 2'000 + random.below(50'000);
    if (random.chance(0.25)) { // so little log that who was away needs the state
        out.snapshot_log_bytes = 200 + random.below(2'000);
        out.segment_bytes = 100 + random.below(500);
        out.log_bytes_max = random.below(2'000);
    }
    out.load.keys = 1 + random.below(4);
    out.load.large = random.chance(0.2) ? 0.2 : 0.01;
    out.load.burst = random.chance(0.2) ? 0.03 : 0.002;
    // Segments are synced one after the other, so many small ones on a slow disk never end.
    if (out.sync_ms_max > 60) {
        out.segment_bytes = std::max<std::uint64_t>(out.segment_bytes, 3'000);
        out.log_bytes_max = std::max<std::uint64_t>(out.log_bytes_max, 24'000);
    }
    out.heavy = !narrow && random.chance(0.03);
    if (out.heavy) { // more than the credit of a session
        out.load.large = 0.4;
        out.load.large_bytes = 150'000;
        out.load.burst = 0;
        out.fault_ms = std::max<std::int64_t>(out.fault_ms, 6'000);
    }
    for (std::uint64_t* weight : {&out.kill, &out.power_cut, &out.stop, &out.disk_fails, &out.pause,
                                  &out.partition, &out.cut, &out.command, &out.clock}) {
        *weight = random.chance(0.3) ? 0 : 1 + random.below(4);
    }
    return out;
}

world::world(world_options options)
    : options_(options), random_(options.seed), drawn_(draw(random_, options)),
      cluster_({random_.next(), drawn_.network, options.print}),
      load_(random_.fork(), drawn_.load) {
    WEFT_CHECK(options.replicas >= 2 && options.replicas <= 26);
    build();
}

void world::build() {
    std::size_t n = options_.replicas;
    std::vector<std::vector<std::string>> peers(n);
    auto both = [&](std::size_t a, std::size_t b) {
        peers[a].push_back(name_of(b));
        peers[b].push_back(name_of(a));
    };
    for (std::size_t i = 0; i < n; ++i) {
        switch (drawn_.links) {
            case shape::mesh:
                for (std::size_t j = i + 1; j < n; ++j) both(i, j);
                break;
            case shape::one_way_mesh:
                for (std::size_t j = i + 1; j < n; ++j) peers[i].push_back(name_of(j));
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
                if (i > 0) both(static_cast<std::size_t>(random_.below(i)), i);
                break;
        }
    }
    machines_.resize(n);
    for (std::size_t i = 0; i < n; ++i) {
        auto sync = static_cast<sync_policy>(random_.below(3));
        host& fresh = cluster_.add(name_of(i), peers[i], sync);
        fresh.options().packed = drawn_.heavy ? codec::none : static_cast<codec>(random_.below(4));
        fresh.options().snapshot_log_bytes = drawn_.snapshot_log_bytes;
        fresh.options().snapshot_interval_ms = drawn_.snapshot_interval_ms;
        fresh.options().log_segment_bytes = drawn_.segment_bytes;
        fresh.options().log_bytes_max = drawn_.log_bytes_max;
        fresh.set_sync_ms(0, drawn_.sync_ms_max);
        fresh.set_skew_ms(random_.between(-20'000, 20'000));
        start(i);
    }
    if (drawn_.clock_far_ahead) cluster_.all()[0]->set_skew_ms(100'000);
}

std::string world::describe() const {
    std::string out = "seed " + std::to_string(options_.seed) + ": " +
                      std::to_string(options_.replicas) + " replicas, " +
                      std::string(shape_names[static_cast<std::size_t>(drawn_.links)]) + "\n";
    const auto& net = drawn_.network;
    out += "  latency " + std::to_string(net.latency_us_min) + " to " +
           std::to_string(net.latency_us_max) + " us, jitter " + std::to_string(net.jitter_us_max) +
           " us, " + std::to_string(net.bytes_per_ms_min) + " to " +
           std::to_string(net.bytes_per_ms_max) + " bytes/ms, window " +
           std::to_string(net.window_bytes) + " bytes, " + std::to_string(net.duplicates) +
           " arrive twice\n";
    out += "  a transaction every " + std::to_string(drawn_.write_gap_us) + " us, " +
           std::to_string(drawn_.load.keys) + " keys of a type, large " +
           std::to_string(drawn_.load.large) + (drawn_.heavy ? " (heavy)" : "") + ", burst " +
           std::to_string(drawn_.load.burst) + "\n";
    out += "  a snapshot every " + std::to_string(drawn_.snapshot_log_bytes) +
           " bytes of log and every " + std::to_string(drawn_.snapshot_interval_ms) +
           " ms; 0 for never; segments of " + std::to_string(drawn_.segment_bytes) +
           " bytes, log of at most " + std::to_string(drawn_.log_bytes_max) + "\n";
    out += "  for " + std::to_string(drawn_.fault_ms) + " ms a fault every " +
           std::to_string(drawn_.fault_gap_ms) + " ms: kill " + std::to_string(drawn_.kill) +
           ", power cut " + std::to_string(drawn_.power_cut) + ", stop " +
           std::to_string(drawn_.stop) + ", disk fails " + std::to_string(drawn_.disk_fails) +
           ", pause " + std::to_string(drawn_.pause) + ", partition " +
           std::to_string(drawn_.partition) + ", cut " + std::to_string(drawn_.cut) + ", command " +
           std::to_string(drawn_.command) + ", clock " + std::to_string(drawn_.clock) + "\n";
    out += "  a sync takes up to " + std::to_string(drawn_.sync_ms_max) + " ms; policies";
    for (const auto& one : cluster_.all()) {
        out += " " + one->name() + "=" + std::string(to_string(one->options().sync));
    }
    if (drawn_.clock_far_ahead) out += "; a's clock is far ahead";
    if (drawn_.loses_a_disk) out += "; a disk is lost";
    return out + "\n";
}

std::string world::summary() const {
    std::string out = std::to_string(transactions_) + " transactions, " +
                      std::to_string(promises_.size()) + " acknowledged;";
    for (std::size_t i = 0; i < fault_names.size(); ++i) {
        if (faults_[i] == 0) continue;
        out += " " + std::to_string(faults_[i]) + " " + std::string(fault_names[i]);
    }
    return out + "; " + std::to_string(cluster_.now_ms()) + " ms";
}

void world::note(const std::string& what) const {
    if (!options_.print) return;
    std::printf("%10.3f %s\n", static_cast<double>(cluster_.timeline().now().ns) / 1e6,
                what.c_str());
}

void world::start(std::size_t index) {
    host& one = *cluster_.all()[index];
    machine& m = machines_[index];
    m.restart_planned = false;
    if (one.up()) return;
    bool may_fail = one.disk_fault();
    auto started = one.start();
    if (!started) {
        if (!may_fail) problem(one.name() + " does not start: " + to_string(started.error()));
        if (random_.chance(0.5)) one.directory().crash(random_);
        one.set_disk_fault(std::nullopt);
        plan_start(index, random_.between(0, 500));
        return;
    }
    ++m.life;
    for (auto& lost : check_kept(one, promises_)) problem(lost);
    replica_id id = one->id();
    if (std::find(ids_.begin(), ids_.end(), id) == ids_.end()) ids_.push_back(id);
}

void world::plan_start(std::size_t index, std::int64_t after_ms) {
    machines_[index].restart_planned = true;
    cluster_.timeline().at(cluster_.timeline().now().after_ms(after_ms), [this, index] {
        if (machines_[index].restart_planned) start(index);
    });
}

void world::take_down(std::size_t index, bool power_lost) {
    host& one = *cluster_.all()[index];
    if (!one.up()) return;
    note(one.name() + (power_lost ? " loses power" : " is killed"));
    one.kill(power_lost);
    one.set_disk_fault(std::nullopt);
    if (drawn_.loses_a_disk && random_.chance(0.3)) lose_disk(index);
    // Now and then the next start meets a disk that fails, as if it crashed while starting.
    if (drawn_.disk_fails > 0 && random_.chance(0.2)) {
        one.set_disk_fault(sim_fault{random_.below(30), errc::io_failed, true});
    }
    plan_start(index, random_.between(0, 3'000));
}

void world::lose_disk(std::size_t index) {
    drawn_.loses_a_disk = false;
    host& one = *cluster_.all()[index];
    bool old = old_copy_of_ == index && random_.chance(0.7);
    if (auto log = one.read_log()) { // some of it may live on elsewhere as state only
        for (const bytes& run : *log) cluster_.dots().on_run(one.name() + "'s lost log", run);
    }
    one.replace_directory(
        old ? std::move(old_copy_)
            : std::make_unique<sim_directory>(fresh_facts(random_.next()), one.name()));
    for (promise& p : promises_) {
        bool only_there = p.level.what == ack_level::kind::disk || p.level.members == 1;
        if (p.level.what == ack_level::kind::majority) {
            only_there = one.options().peers.empty();
        }
        if (p.host == one.name() && only_there) p.void_now = true;
    }
    if (old) { // it may write before it learns what it has lost
        std::vector<std::string> alone{one.name()};
        cluster_.partition(alone, sim_partition::lose);
        cluster_.timeline().at(cluster_.timeline().now().after_ms(random_.between(500, 5'000)),
                               [this] { cluster_.network().heal_all(); });
    }
    // What was promised to survive the loss of one disk does so though others lose power with it.
    for (std::size_t other = 0; other < machines_.size(); ++other) {
        bool active = other != index && cluster_.all()[other]->active();
        if (active && random_.chance(0.5)) take_down(other, true);
    }
}

std::optional<std::size_t> world::pick_active() {
    std::vector<std::size_t> active;
    for (std::size_t i = 0; i < machines_.size(); ++i) {
        if (cluster_.all()[i]->active()) active.push_back(i);
    }
    if (active.empty()) return std::nullopt;
    return active[static_cast<std::size_t>(random_.below(active.size()))];
}

void world::write() {
    auto index = pick_active();
    if (!index) return;
    host& one = *cluster_.all()[*index];
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
    promise fresh{
        cluster_.all()[index]->name(), made->id(), made->end(), made->stamp(), level, false};
    made->when(level, timeout_ms, [this, wait, fresh](result<void> outcome) {
        if (wait->answered) problem("an acknowledgement came twice");
        note(fresh.host + ": change " + to_string(fresh.first) + ": " +
             (outcome ? "acknowledged" : to_string(outcome.error())));
        wait->answered = true;
        if (outcome && fresh.level.what != ack_level::kind::memory) promises_.push_back(fresh);
        wait->outcome = std::move(outcome);
    });
}

void world::partition() {
    auto how = random_.chance(0.4) ? sim_partition::stall : sim_partition::lose;
    std::vector<std::string> group;
    for (const auto& one : cluster_.all()) {
        if (random_.chance(0.5)) group.push_back(one->name());
    }
    if (random_.chance(0.3)) { // one way, between two
        auto a = static_cast<std::size_t>(random_.below(machines_.size()));
        auto b = static_cast<std::size_t>(random_.below(machines_.size()));
        cluster_.network().partition(name_of(a), name_of(b), how);
    } else {
        cluster_.partition(group, how);
    }
    cluster_.timeline().at(cluster_.timeline().now().after_ms(random_.between(10, 9'000)),
                           [this] { cluster_.network().heal_all(); });
}

void world::command(std::size_t index) {
    host& one = *cluster_.all()[index];
    const auto& peers = one.options().peers;
    if (peers.empty()) return;
    std::string peer = peers[static_cast<std::size_t>(random_.below(peers.size()))];
    if (auto done = one->pause_peer(peer); !done) problem("pause: " + to_string(done.error()));
    std::uint64_t life = machines_[index].life;
    cluster_.timeline().at(cluster_.timeline().now().after_ms(random_.between(10, 5'000)),
                           [this, index, life, peer] {
                               host& same = *cluster_.all()[index];
                               if (!same.active() || machines_[index].life != life) return;
                               if (auto done = same->resume_peer(peer); !done) {
                                   problem("resume: " + to_string(done.error()));
                               }
                           });
}

void world::fault() {
    std::array<std::uint64_t, 9> weights = {drawn_.kill,       drawn_.power_cut, drawn_.stop,
                                            drawn_.disk_fails, drawn_.pause,     drawn_.partition,
                                            drawn_.cut,        drawn_.command,   drawn_.clock};
    std::uint64_t sum = 0;
    for (std::uint64_t weight : weights) sum += weight;
    auto picked = pick_active();
    if (sum == 0 || !picked) return;
    std::size_t index = *picked;
    std::uint64_t which = 0;
    for (std::uint64_t left = random_.below(sum); left >= weights[which]; ++which) {
        left -= weights[which];
    }
    ++faults_[which];
    host& one = *cluster_.all()[index];
    note(std::string(fault_names[which]) + ", at " + one.name() + " if at one");
    switch (which) {
        case 0: take_down(index, false); break;
        case 1: take_down(index, true); break;
        case 2:
            if (auto stopped = one.stop(); !stopped && !one.disk_fault()) {
                problem(one.name() + " does not stop: " + to_string(stopped.error()));
            }
            one.set_disk_fault(std::nullopt);
            plan_start(index, random_.between(0, 3'000));
            break;
        case 3: one.set_disk_fault(sim_fault{random_.below(40), errc::io_failed, true}); break;
        case 4: {
            one.pause();
            std::uint64_t life = machines_[index].life;
            cluster_.timeline().at(cluster_.timeline().now().after_ms(random_.between(10, 9'000)),
                                   [this, index, life] {
                                       host& same = *cluster_.all()[index];
                                       if (same.up() && machines_[index].life == life)
                                           same.resume();
                                   });
            break;
        }
        case 5: partition(); break;
        case 6: {
            auto other = static_cast<std::size_t>(random_.below(machines_.size()));
            cluster_.network().cut(one.name(), name_of(other));
            break;
        }
        case 7: command(index); break;
        default: one.set_skew_ms(random_.between(-30'000, 30'000)); break;
    }
    if (drawn_.loses_a_disk && !old_copy_of_ && random_.chance(0.2)) {
        old_copy_of_ = index;
        old_copy_ = one.directory().copy(fresh_facts(random_.next()));
    }
}

void world::tend() {
    for (std::size_t i = 0; i < machines_.size(); ++i) {
        if (cluster_.all()[i]->up() && cluster_.all()[i]->failed()) {
            take_down(i, random_.chance(0.5));
        }
    }
}

void world::run_with_faults(std::int64_t ms) {
    sim_timeline& all = cluster_.timeline();
    instant end = all.now().after_ms(ms);
    instant next_fault =
        drawn_.fault_gap_ms == 0 ? instant::never() : all.now().after_ms(random_.between(0, 500));
    while (all.now() < end) {
        all.run_until({all.now().ns + 1'000 * random_.between(0, 2 * drawn_.write_gap_us)});
        tend();
        write();
        if (all.now() >= next_fault) {
            fault();
            next_fault = all.now().after_ms(random_.between(0, 2 * drawn_.fault_gap_ms));
        }
    }
}

void world::heal() {
    healed_ = true;
    for (std::size_t i = 0; i < machines_.size(); ++i) {
        host& one = *cluster_.all()[i];
        if (one.up() && (one.failed() || one.disk_fault())) one.kill(random_.chance(0.5));
        one.set_disk_fault(std::nullopt);
        if (!one.up()) start(i);
        if (one.paused()) one.resume();
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
        if (status && status->held_back_runs > 0) return false;
    }
    return cluster_.equal();
}

void world::run_until_quiet() {
    if (cluster_.run_until([this] { return settled(); }, quiet_ms_max)) return;
    problem("not quiet within " + std::to_string(quiet_ms_max) + " ms of virtual time");
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
    if (!problems_.empty()) return;
    for (std::size_t i = 0; i < machines_.size(); ++i) {
        host& one = *cluster_.all()[i];
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
    if (!cluster_.run_until([this] { return all_active(cluster_.all()); }, quiet_ms_max)) {
        problem("a peer is not active, or lags, in a healed world");
    }
    for (auto& one : cluster_.check()) problem(one);
    for (auto& one : check_promises(cluster_.all(), promises_, cluster_.dots())) problem(one);
    for (auto& one : check_reports(cluster_.all())) problem(one);
    if (!problems_.empty()) return;
    // The state is what the log makes of it.
    state_digest before = cluster_.all()[0]->digest();
    for (std::size_t i = 0; i < machines_.size(); ++i) {
        host& one = *cluster_.all()[i];
        replica_id id = one->id();
        if (auto stopped = one.stop(); !stopped) problem(to_string(stopped.error()));
        start(i);
        if (!one.up()) continue;
        if (one->id() != id) problem(one.name() + " took a new id after a clean stop");
        if (one.digest() != before) problem(one.name() + " starts with another state than it had");
        one.check_invariants();
    }
}

void world::run() {
    run_with_faults(drawn_.fault_ms);
    heal();
    run_until_quiet();
    check();
}

} // namespace weft::sim
