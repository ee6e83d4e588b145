#include "tests/sim/cluster.hpp"

#include "base/check.hpp"
#include "replica/driver.hpp"
#include "transport/message.hpp"

#include <xxhash.h>

#include <algorithm>
#include <iterator>
#include <optional>
#include <utility>

namespace weft::sim {

cluster::cluster(cluster_options options)
    : random_(options.seed), network_(timeline_, random_.fork(), options.network),
      around_{timeline_, network_, random_, trace_, options.print} {
    network_.on_frame = [this](const std::string& from, const std::string& to, byte_view body) {
        trace_.add(static_cast<std::uint64_t>(timeline_.now().ns));
        trace_.add(as_bytes(from));
        trace_.add(as_bytes(to));
        trace_.add(body);
        watch(from, to, body);
    };
}

cluster::~cluster() = default;

void cluster::watch(const std::string& from, const std::string& to, byte_view body) {
    // The same to each peer: what one has said is looked at once, if it is not long ago.
    std::uint64_t hash =
        XXH3_64bits_withSeed(body.data(), body.size(), XXH3_64bits(from.data(), from.size()));
    if (std::exchange(watched_[hash % watched_.size()], hash) == hash) return;
    shared_bytes borrowed;
    borrowed.view = body;
    auto decoded = decode_message(borrowed);
    if (!decoded) {
        wrong_frames_.push_back(from + " sent " + to +
                                " what is no message: " + to_string(decoded.error()));
    } else if (const auto* runs = std::get_if<runs_message>(&*decoded)) {
        for (const auto& run : runs->runs) dots_.on_run({from, " to ", to}, run.view);
    } else if (const auto* ack = std::get_if<ack_message>(&*decoded)) {
        durability_.on_ack(from, ack->durable);
    }
}

host& cluster::add(const std::string& name, const std::vector<std::string>& peers,
                   sync_policy sync) {
    replica_options options;
    options.name = name;
    options.cluster = "sim";
    options.listen = {"sim:" + name};
    for (const std::string& peer : peers) options.peers.push_back("sim:" + peer);
    options.sync = sync;
    hosts_.push_back(std::make_unique<host>(around_, name, std::move(options)));
    return *hosts_.back();
}

host& cluster::at(std::string_view name) const {
    auto found = std::find_if(hosts_.begin(), hosts_.end(),
                              [&](const auto& one) { return one->name() == name; });
    WEFT_CHECK(found != hosts_.end());
    return **found;
}

void cluster::run_ms(std::int64_t ms) { timeline_.run_until(timeline_.now().after_ms(ms)); }

bool cluster::run_until(const std::function<bool()>& reached, std::int64_t ms_max) {
    std::int64_t end_ms = now_ms() + ms_max;
    while (!reached()) {
        if (now_ms() >= end_ms) return false;
        run_ms(10);
    }
    return true;
}

void cluster::partition(std::span<const std::string> group, sim_partition how) {
    auto inside = [&](const std::string& name) {
        return std::find(group.begin(), group.end(), name) != group.end();
    };
    for (const auto& a : hosts_) {
        for (const auto& b : hosts_) {
            if (inside(a->name()) != inside(b->name())) {
                network_.partition(a->name(), b->name(), how);
            }
        }
    }
}

bool cluster::equal() const {
    const host* first = nullptr;
    for (const auto& one : hosts_) {
        if (!one->up()) continue;
        bool settled = (*one)->engine().with_core([](core& c) { return !c.has_unsealed(); });
        if (!settled) return false;
        if (first == nullptr) first = one.get();
        if (one->applied() != first->applied() || one->digest() != first->digest()) return false;
    }
    return true;
}

problems cluster::check() {
    problems out = check_equal(hosts_);
    auto add_all = [&](const problems& more) { out.insert(out.end(), more.begin(), more.end()); };
    bool near_clocks = std::all_of(hosts_.begin(), hosts_.end(),
                                   [](const auto& one) { return one->count("clock.ahead") == 0; });
    for (const auto& one : hosts_) {
        auto log = one->read_log();
        if (!log) {
            out.push_back(one->name() + "'s log: " + to_string(log.error()));
            return out;
        }
        for (const bytes& run : log->all) dots_.on_run({one->name(), "'s log"}, run);
        version_vector floor;
        if (auto status = (*one)->status()) floor = status->floor;
        add_all(check_log_order(one->name(), log->all, floor, near_clocks));
        add_all(check_subscriptions(*one, *log));
    }
    add_all(check_reference(hosts_, dots_));
    add_all(dots_.found());
    add_all(wrong_frames_);
    return out;
}

problems cluster::check_trail(host& of) {
    std::vector<audit_entry> trail;
    std::uint64_t from = 0;
    for (bool more = true; more;) {
        std::optional<result<audit_page>> answered;
        of->audit({.from = from}, [&](result<audit_page> read) { answered = std::move(read); });
        if (!run_until([&] { return answered.has_value(); }) || !*answered)
            return {of.name() + "'s audit trail cannot be read"};
        audit_page& page = **answered;
        if (!page.damaged.empty()) return {};
        std::move(page.entries.begin(), page.entries.end(), std::back_inserter(trail));
        more = page.next.has_value();
        from = page.next.value_or(0);
    }
    return check_decisions(of, trail);
}

} // namespace weft::sim
