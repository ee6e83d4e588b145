#include "replica/change_codec.hpp"
#include "tests/sim/world.hpp"

#include <algorithm>

// What goes wrong in a world, and how each of it is done.
namespace weft::sim {
namespace {

// It looks once a second; then the log syncs, perhaps, and the identity and its directory, twice at most.
constexpr std::int64_t space_retry_ms_max = 1'000;
constexpr std::int64_t space_syncs_max = 5;

} // namespace

void world::perform(const fault_event& event) {
    std::size_t n = machines_.size();
    std::size_t index = event.host % n;
    host& one = at(index);
    host& other = at(event.other % n);
    random_generator random(event.seed);
    bool of_network = event.kind >= fault_kind::partition && event.kind <= fault_kind::late_close;
    bool at_any_time =
        event.kind == fault_kind::clock_jump || event.kind == fault_kind::cut_at_news;
    if (!of_network && !at_any_time && !one.active()) return;
    ++faults_[static_cast<std::size_t>(event.kind)];
    note(drawn_.tell(event, n));
    sim_network& net = cluster_.network();
    switch (event.kind) {
        case fault_kind::kill: take_down(index, false, event.for_ms, random); break;
        case fault_kind::power_cut: take_down(index, true, event.for_ms, random); break;
        case fault_kind::stop:
            if (auto stopped = one.stop(); !stopped && !one.disk_fault()) {
                problem(one.name() + " does not stop: " + to_string(stopped.error()));
            }
            fail_disk(index, std::nullopt);
            plan_start(index, event.for_ms);
            break;
        case fault_kind::io_error:
            fail_disk(index, sim_fault{random.below(40), errc::io_failed, true});
            break;
        case fault_kind::sync_fails:
            fail_disk(index, sim_fault{0, errc::io_failed, true, sim_operations::syncs});
            break;
        case fault_kind::disk_full: fill_disk(index, event.for_ms); break;
        case fault_kind::bit_rot: rot(index, event.for_ms, random); break;
        case fault_kind::pause: pause(index, event.for_ms); break;
        case fault_kind::wipe: wipe(index, event.for_ms, random); break;
        case fault_kind::rollback: roll_back(index, event.for_ms, false, random); break;
        case fault_kind::rollback_in_place: roll_back(index, event.for_ms, true, random); break;
        case fault_kind::clone: clone(index, event.for_ms); break;
        case fault_kind::partition: partition(event, random); break;
        case fault_kind::one_way: {
            auto how = random.chance(0.4) ? sim_partition::stall : sim_partition::lose;
            block(one.name(), other.name(), how, event.for_ms);
            break;
        }
        case fault_kind::half_open: net.silence(one.name(), other.name()); break;
        case fault_kind::slow_link: {
            std::int64_t bytes_per_ms = random.between(1, 30);
            bool both = random.chance(0.5);
            net.slow(one.name(), other.name(), bytes_per_ms);
            if (both) net.slow(other.name(), one.name(), bytes_per_ms);
            after_ms(event.for_ms, [&net, &one, &other] {
                net.slow(one.name(), other.name(), 0);
                net.slow(other.name(), one.name(), 0);
            });
            break;
        }
        case fault_kind::flapping:
            flap(one.name(), other.name(), cluster_.timeline().now().after_ms(event.for_ms),
                 random.between(20, 400));
            break;
        case fault_kind::cut: net.cut(one.name(), other.name()); break;
        case fault_kind::late_close: net.close_late(one.name(), other.name(), event.for_ms); break;
        case fault_kind::command: command(index, event.for_ms, random); break;
        case fault_kind::clock_jump:
            one.set_skew_ms(random.between(-drawn_.skew_ms_max, drawn_.skew_ms_max));
            break;
        case fault_kind::cut_at_news: machines_[index].at_news = event; break;
    }
}

void world::on_news(std::size_t index, const log_event& event) {
    auto& armed = machines_[index].at_news;
    bool news = event.what == "transfer.done" || event.what == "snapshot.written" ||
                event.what == "identity.changed";
    if (!armed || !news || healed_ms_ > 0) return;
    auto fault = *std::exchange(armed, std::nullopt);
    random_generator random(fault.seed);
    std::int64_t soon_us = random.between(0, 1'000 * std::max<std::int64_t>(drawn_.sync_ms_max, 1));
    cluster_.timeline().at({cluster_.timeline().now().ns + 1'000 * soon_us},
                           [this, index, random, for_ms = fault.for_ms]() mutable {
                               if (healed_ms_ == 0) take_down(index, true, for_ms, random);
                           });
}

// Disks.

void world::fail_disk(std::size_t index, std::optional<sim_fault> fault) {
    machines_[index].disk_full = fault && fault->code == errc::disk_full;
    at(index).set_disk_fault(fault);
    if (!fault && machines_[index].full_until == instant::never()) find_space(index);
}

void world::fill_disk(std::size_t index, std::int64_t for_ms) {
    fail_disk(index, sim_fault{0, errc::disk_full, true, sim_operations::growth});
    machines_[index].full_until = instant::never();
    after_ms(for_ms, [this, index] {
        if (machines_[index].disk_full) fail_disk(index, std::nullopt);
    });
}

// There is space, and so long it may take to find that out.
void world::find_space(std::size_t index) {
    machines_[index].full_until = cluster_.timeline().now().after_ms(
        space_retry_ms_max + space_syncs_max * (drawn_.sync_ms_max + 1));
}

void world::tend() {
    for (std::size_t i = 0; i < machines_.size(); ++i) {
        if (at(i).up() && at(i).failed()) {
            take_down(i, random_.chance(0.5), random_.between(0, 3'000), random_);
        }
    }
}

void world::take_down(std::size_t index, bool power_lost, std::int64_t start_after_ms,
                      random_generator& random) {
    host& one = at(index);
    if (!one.up()) return;
    note(one.name() + (power_lost ? " loses power" : " is killed"));
    one.kill(power_lost);
    fail_disk(index, std::nullopt);
    // Now and then the next start meets a disk that fails, as if it crashed while starting.
    auto io_errors = drawn_.weights[static_cast<std::size_t>(fault_kind::io_error)];
    if (io_errors > 0 && random.chance(0.2)) {
        fail_disk(index, sim_fault{random.below(30), errc::io_failed, true});
    }
    plan_start(index, start_after_ms);
}

void world::count_as_lost(std::size_t index) {
    losses_.push_back(index);
    cluster_.durability().forget(at(index).name());
    for (promise& p : promises_) p.void_now = p.void_now || is_void(p);
}

void world::keep_log_of(std::size_t index, bool all) {
    version_vector elsewhere;
    for (const auto& one : cluster_.all()) {
        if (!one->up() || one.get() == &at(index)) continue;
        version_vector applied = one->applied();
        for (const auto& e : applied.entries()) elsewhere.advance(e.replica, e.counter);
    }
    auto log = at(index).read_log();
    if (!log) return;
    for (const bytes& run : log->all) {
        auto header = read_run_header(run);
        bool left = header && elsewhere.covers({header->origin, header->end - 1});
        if (all || left) cluster_.dots().on_run({at(index).name(), "'s lost log"}, run);
    }
}

bool world::is_void(const promise& given) const {
    std::set<std::size_t> lost(losses_.begin() + static_cast<std::ptrdiff_t>(given.losses_before),
                               losses_.end());
    const host& one = cluster_.at(given.host);
    std::size_t disks = given.level.members;
    if (given.level.what == ack_level::kind::disk) {
        return std::any_of(lost.begin(), lost.end(), [&](auto i) { return &at(i) == &one; });
    }
    if (given.level.what == ack_level::kind::majority) {
        disks = (1 + one.options().peers.size()) / 2 + 1;
    }
    return lost.size() >= disks;
}

void world::wipe(std::size_t index, std::int64_t for_ms, random_generator& random) {
    host& one = at(index);
    count_as_lost(index);
    keep_log_of(index, true);
    one.kill(true);
    fail_disk(index, std::nullopt);
    one.replace_directory(std::make_unique<sim_directory>(fresh_facts(random.next()), one.name()));
    if (options_.disks_lie) one.directory().lie_about_syncs();
    plan_start(index, for_ms);
    // What was promised to survive the loss of one disk does so though others lose power with it.
    for (std::size_t other = 0; other < machines_.size(); ++other) {
        if (other != index && at(other).active() && random.chance(0.5)) {
            take_down(other, true, random.between(0, 3'000), random);
        }
    }
}

void world::roll_back(std::size_t index, std::int64_t for_ms, bool in_place,
                      random_generator& random) {
    std::shared_ptr<sim_directory> old = at(index).directory().copy(fresh_facts(random.next()));
    bool writes = random.chance(0.5);
    std::int64_t alone_ms = random.between(500, 5'000);
    after_ms(for_ms, [this, index, old, in_place, writes, alone_ms] {
        host& one = at(index);
        if (!one.active() || healed_ms_ > 0) return;
        note(one.name() + " is put back to where it was");
        count_as_lost(index);
        // Under an id that it keeps, what never left it is written again under the same dots.
        keep_log_of(index, !in_place);
        one.kill(true);
        fail_disk(index, std::nullopt);
        if (in_place) {
            one.directory().restore_in_place(*old);
            machines_[index].mute = !writes;
            wrote_unaware_ = wrote_unaware_ || writes;
            may_fork_ = true;
        } else {
            one.replace_directory(old->copy(old->facts()));
        }
        plan_start(index, 0);
        if (!in_place || writes) { // it may write before it learns what it has lost
            for (const auto& far : cluster_.all()) {
                block(one.name(), far->name(), sim_partition::lose, alone_ms);
                block(far->name(), one.name(), sim_partition::lose, alone_ms);
            }
        }
    });
}

// A byte flips in a file at rest. It is found at the next start, or the file is one that nothing reads.
void world::rot(std::size_t index, std::int64_t for_ms, random_generator& random) {
    host& one = at(index);
    count_as_lost(index);
    // Under an id that it keeps, what a power cut took before it had left is written again at the same dots.
    keep_log_of(index, false);
    one.kill(random.chance(0.5));
    keep_log_of(index, true);
    fail_disk(index, std::nullopt);
    plan_start(index, for_ms);
    auto names = one.directory().names();
    std::erase_if(names, [&](auto& name) { return one.directory().contents(name).empty(); });
    if (names.empty()) return;
    const std::string& name = names[static_cast<std::size_t>(random.below(names.size()))];
    bytes content = one.directory().contents(name);
    auto where = static_cast<std::size_t>(random.below(content.size()));
    content[where] ^= static_cast<std::byte>(1U << random.below(8));
    one.directory().alter(name, std::move(content));
    machines_[index].rotten = name;
    note("a bit flips in " + one.name() + "/" + name + " at byte " + std::to_string(where));
}

// It did not open, for a file that is damaged: that must be said, and it must be possible to mend it.
void world::mend(std::size_t index, const error& refused) {
    host& one = at(index);
    std::string rotten = std::exchange(machines_[index].rotten, {});
    note(one.name() + " is repaired: " + to_string(refused));
    if (to_string(refused).find(rotten) == std::string::npos) {
        problem(one.name() + " does not say that " + rotten + " is damaged: " + to_string(refused));
    }
    auto done = one.repair();
    if (!done) {
        problem(one.name() + " cannot be repaired: " + to_string(done.error()));
    } else if (!done->needed) {
        problem(one.name() + " does not open, and there is nothing to repair");
    }
    start(index);
}

// Processes.

void world::pause(std::size_t index, std::int64_t for_ms) {
    at(index).pause();
    bool was_full = cluster_.timeline().now() <= machines_[index].full_until;
    after_ms(for_ms, [this, index, was_full, life = machines_[index].life] {
        if (!at(index).up() || machines_[index].life != life) return;
        at(index).resume();
        bool has_space = was_full && !machines_[index].disk_full; // it came meanwhile
        if (has_space) find_space(index);
    });
}

// The directory of a running replica is copied with its disk, and runs too. It only reads: had both
// written, there would be a fork.
void world::clone(std::size_t index, std::int64_t for_ms) {
    host& one = at(index);
    machine& m = machines_[index];
    if (m.clone) return;
    cloned_ = true;
    replica_options options = one.options();
    options.listen = {"sim:" + one.name() + "-clone"};
    m.clone = std::make_unique<host>(cluster_.around(), one.name() + "-clone", options);
    m.clone->replace_directory(one.directory().copy(one.directory().facts()));
    if (auto started = m.clone->start(); !started) {
        problem(m.clone->name() + " does not start: " + to_string(started.error()));
    }
    after_ms(for_ms, [this, index] { end_clone(index); });
}

void world::end_clone(std::size_t index) {
    auto ended = std::exchange(machines_[index].clone, nullptr);
    if (!ended) return;
    count_as_lost(index); // what it acknowledged, it did in the name of the other
    if (auto log = ended->read_log()) {
        for (const bytes& run : log->all) cluster_.dots().on_run({ended->name(), "'s log"}, run);
    }
    if (ended->up()) ended->kill(false);
}

void world::command(std::size_t index, std::int64_t for_ms, random_generator& random) {
    host& one = at(index);
    const auto& peers = one.options().peers;
    if (peers.empty()) return;
    std::string peer = peers[static_cast<std::size_t>(random.below(peers.size()))];
    if (auto done = one->pause_peer(peer); !done) problem("pause: " + to_string(done.error()));
    after_ms(for_ms, [this, index, life = machines_[index].life, peer] {
        host& same = at(index);
        if (!same.active() || machines_[index].life != life) return;
        if (auto done = same->resume_peer(peer); !done) {
            problem("resume: " + to_string(done.error()));
        }
    });
}

// Links.

void world::block(const std::string& from, const std::string& to, sim_partition how,
                  std::int64_t for_ms) {
    cluster_.network().partition(from, to, how);
    after_ms(for_ms, [this, from, to] { cluster_.network().heal(from, to); });
}

void world::partition(const fault_event& event, random_generator& random) {
    auto how = random.chance(0.4) ? sim_partition::stall : sim_partition::lose;
    std::vector<bool> inside;
    for (std::size_t i = 0; i < machines_.size(); ++i) inside.push_back(random.chance(0.5));
    for (std::size_t a = 0; a < machines_.size(); ++a) {
        for (std::size_t b = 0; b < machines_.size(); ++b) {
            if (inside[a] != inside[b]) block(at(a).name(), at(b).name(), how, event.for_ms);
        }
    }
}

void world::flap(const std::string& a, const std::string& b, instant end, std::int64_t gap_ms) {
    if (healed_ms_ > 0 || cluster_.timeline().now() >= end) return;
    cluster_.network().cut(a, b);
    after_ms(gap_ms, [this, a, b, end, gap_ms] { flap(a, b, end, gap_ms); });
}

// One that was put back and does not know may use dots twice: those that nobody has any more,
// which nobody can
// tell; or, if it writes before it meets others, more. Then all that can be asked is that it is said, unless
// everybody has the same of the two, and that no log holds both.
bool world::check_fork() {
    if (!may_fork_) return false;
    bool told = false;
    for (const auto& one : cluster_.all()) {
        for (const log_event& e : one->events()) {
            told = told || e.text.find("dot_reused") != std::string::npos;
            // Where the logs do not reach back to it, states that differ are all that shows.
            told = told || (wrote_unaware_ && e.what == "digest.mismatch");
        }
    }
    if (!told && !settled()) return false;
    if (told && !wrote_unaware_)
        problem("a fork, though nobody wrote before he had met the others");
    problems wrong;
    for (const auto& one : cluster_.all()) {
        auto log = one->read_log();
        auto status = (*one)->status();
        if (!log || !status) continue;
        for (const bytes& run : log->all) cluster_.dots().on_run({one->name(), "'s log"}, run);
        for (auto& bad : check_log_order(one->name(), log->all, status->floor, false)) {
            wrong.push_back(bad);
        }
    }
    forked_ = told || !cluster_.dots().found().empty();
    if (forked_) problems_.insert(problems_.end(), wrong.begin(), wrong.end());
    return forked_;
}

} // namespace weft::sim
