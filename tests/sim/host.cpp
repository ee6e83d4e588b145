#include "tests/sim/host.hpp"

#include "base/check.hpp"
#include "recovery/log_format.hpp"
#include "recovery/restart.hpp"
#include "recovery/wal.hpp"
#include "replica/change_codec.hpp"
#include "replica/driver.hpp"

#include <algorithm>
#include <cstdio>

namespace weft::sim {

void trace::add(std::uint64_t number) {
    hash_ = (hash_ ^ number) * 0x9E3779B97F4A7C15U;
    hash_ ^= hash_ >> 29U;
}

void trace::add(byte_view data) { add(static_cast<std::uint64_t>(hash_of(data))); }

directory_facts fresh_facts(std::uint64_t inode) { return {"sim", 1, inode, 1}; }

// From the first to the last: what is below is destroyed before what it borrows.
struct host::process {
    struct sink final : event_sink {
        explicit sink(host& of) : owner(of) {}
        void on(const log_event& event) override {
            owner.events_.push_back(event);
            auto& around = owner.around_;
            around.happened.add(as_bytes(event.what));
            around.happened.add(as_bytes(event.text));
            if (owner.on_event) owner.on_event(event);
            if (!around.print) return;
            std::printf("%10.3f %s %s: %s\n", static_cast<double>(around.all.now().ns) / 1e6,
                        owner.name().c_str(), event.what.c_str(), event.text.c_str());
        }
        host& owner;
    };

    explicit process(host& of)
        : time(of.around_.all, of.random_.between(0, 1'000'000'000), of.skew_ms_, of.drift_ppm_),
          run(of.around_.all, time), random(of.random_.fork()), events(of),
          files(*of.directory_, run, time,
                [&of] { return of.random_.between(of.sync_ms_min_, of.sync_ms_max_); }),
          transports(run) {
        transports.add("sim", of.around_.net.make_transport(of.name(), run));
    }

    sim_time time;
    sim_loop run;
    sim_random random;
    sink events;
    sim_disk files;
    transport_registry transports;
    std::unique_ptr<replica> opened;
};

host::host(surroundings& around, std::string machine, replica_options options)
    : around_(around), machine_(std::move(machine)), options_(std::move(options)),
      random_(around.random.fork()),
      directory_(std::make_unique<sim_directory>(fresh_facts(random_.next()), machine_)) {}

host::~host() {
    if (up()) kill(true);
}

result<void> host::start() {
    WEFT_CHECK(!up());
    around_.net.host_back(name());
    failed_ = false;
    seen_.clear();
    auto fresh = std::make_unique<process>(*this);
    replica_home home{{fresh->time, fresh->random, fresh->files, fresh->run, fresh->events},
                      fresh->transports,
                      [this](const error&) { failed_ = true; }};
    auto opened = open_replica(std::move(home), options_);
    if (!opened) {
        directory_->kill();
        return fail(opened.error());
    }
    fresh->opened = std::move(*opened);
    process_ = std::move(fresh);
    replica& r = *process_->opened;
    auto status = r.status();
    if (!status) return fail(status.error());
    runs_at_start_ = status->log_first + status->log_runs;
    auto told = r.subscribe_prefix("", [this](const change_event& change) {
        if (change.first.counter > 0) // else keys of a state that was fetched
            seen_.push_back({change.first, change.stamp, change.local});
    });
    if (!told) return fail(told.error());
    return {};
}

result<repair_report> host::repair(bool dry_run) {
    WEFT_CHECK(!up());
    process fresh(*this);
    auto done = repair_replica({fresh.time, fresh.random, fresh.files, fresh.run, fresh.events},
                               options_, dry_run);
    if (done && done->needed && !dry_run) directory_->forget_removed(); // a new log began
    return done;
}

result<void> host::stop() {
    WEFT_CHECK(up());
    auto closed = process_->opened->close();
    around_.net.host_gone(name(), false); // links that were accepted and had no owner yet
    process_.reset();
    return closed;
}

void host::kill(bool power_lost) {
    WEFT_CHECK(up());
    around_.net.host_gone(name(), power_lost);
    if (power_lost) {
        directory_->crash(random_);
    } else {
        directory_->kill();
    }
    process_->opened->engine().abandon();
    process_.reset();
}

void host::pause() { process_->run.pause(); }

void host::resume() { process_->run.resume(); }

bool host::paused() const { return up() && process_->run.paused(); }

replica& host::operator*() const {
    WEFT_CHECK(up());
    return *process_->opened;
}

void host::replace_directory(std::unique_ptr<sim_directory> other) {
    WEFT_CHECK(!up());
    directory_ = std::move(other);
}

void host::set_skew_ms(std::int64_t skew_ms) {
    skew_ms_ = skew_ms;
    if (up()) process_->time.set_skew_ms(skew_ms);
}

void host::set_disk_fault(std::optional<sim_fault> fault) {
    directory_->fail(fault);
    disk_fault_ = fault.has_value();
}

version_vector host::applied() const {
    return (*this)->engine().with_core([](core& c) { return c.applied(); });
}

version_vector host::durable() const {
    auto status = (*this)->status();
    return status ? status->durable : version_vector();
}

state_digest host::digest() const {
    return (*this)->engine().with_core([](core& c) { return c.state().digest(); });
}

void host::check_invariants() const {
    (*this)->engine().with_core([](core& c) { c.check_invariants(); });
}

result<host::kept_runs> host::read_log() {
    // On a copy, so that a live directory is left alone.
    auto copied = directory_->copy(fresh_facts(0));
    auto names = copied->names();
    auto is_segment = [](const std::string& name) { return parse_segment_name(name).has_value(); };
    auto oldest = std::find_if(names.begin(), names.end(), is_segment);
    for (const auto& [name, content] : directory_->removed()) {
        bool dropped = is_segment(name) && oldest != names.end() && name < *oldest;
        if (dropped) copied->overwrite(name, content);
    }
    kept_runs out;
    for (const std::string& name : copied->names()) {
        auto first = parse_segment_name(name);
        if (!first) continue;
        out.first = *first;
        break;
    }
    sim_timeline all;
    sim_time time(all, 0, 0);
    sim_loop run(all, time);
    struct : event_sink {
        void on(const log_event&) override {}
    } nobody;
    sim_disk files(*copied, run, time, [] { return 0; });
    auto log =
        open_wal(files, run, nobody, {.cluster = options_.cluster, .from = log_index{out.first}},
                 [&](log_index, const shared_bytes& one) -> result<void> {
                     out.all.emplace_back(one.view.begin(), one.view.end());
                     return {};
                 });
    if (!log) return fail(log.error());
    return out;
}

std::size_t host::count(std::string_view what) const {
    return static_cast<std::size_t>(
        std::count_if(events_.begin(), events_.end(), [&](auto& e) { return e.what == what; }));
}

} // namespace weft::sim
