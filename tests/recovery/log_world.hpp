#pragma once
#include "recovery/wal.hpp"
#include "replica/change_codec.hpp"
#include "tests/recovery/test_loop.hpp"
#include "tests/sim/disk.hpp"

#include <boost/test/unit_test.hpp>

#include <map>

namespace weft {

// Makes the runs of several origins, each continuing its origin's chain.
class run_maker {
public:
    // One change of one operation, which writes `body` under a key.
    shared_bytes make(replica_id origin, byte_view body) {
        auto& [counter, last] = origins_[origin];
        std::string_view key = "key";
        operation write;
        write.path = {&key, 1};
        write.what = action::write;
        write.argument = value::of_bytes(body);
        run_encoder encoder;
        encoder.begin_change(hlc::at_ms(1), {});
        encoder.add(write);
        encoder.end_change();
        shared_bytes run(encoder.seal(origin, counter + 1, last, {"m", "", {}}, codec::none));
        ++counter;
        last = hash_of(run.view);
        return run;
    }
    shared_bytes make(std::uint64_t origin = 1, std::size_t body_bytes = 8) {
        return make(replica_id{origin}, bytes(body_bytes, std::byte{'x'}));
    }

private:
    struct chain {
        std::uint64_t counter = 0;
        run_hash last{};
    };
    std::map<replica_id, chain> origins_;
};

inline directory_facts home() { return {"machine", 1, 2, 3}; }

// One replica's log on a simulated directory, opened and crashed at will, beside the list of all
// that was ever given to it.
struct log_world {
    sim_directory directory{home()};
    test_loop loop;
    event_list events;
    wal_options options{"cluster", 400};
    run_maker runs;
    std::vector<bytes> attempted; // in log order
    std::vector<bytes> recovered; // by the last open
    std::size_t acknowledged = 0; // how many of them were said to be durable
    std::unique_ptr<sim_disk> disk;
    std::unique_ptr<wal> log;

    result<void> open() {
        log.reset();
        disk = std::make_unique<sim_disk>(directory, loop, loop, [] { return 5; });
        recovered.clear();
        log_index first{};
        auto opened =
            open_wal(*disk, loop, events, options, [&](log_index index, const shared_bytes& run) {
                if (recovered.empty()) first = index;
                BOOST_TEST(static_cast<std::uint64_t>(index) ==
                           static_cast<std::uint64_t>(first) + recovered.size());
                recovered.emplace_back(run.view.begin(), run.view.end());
                return result<void>{};
            });
        if (!opened) return fail(opened.error());
        log = std::move(*opened);
        return {};
    }
    result<void> open_and_start() {
        if (auto opened = open(); !opened) return opened;
        return log->start();
    }
    result<void> append(const std::vector<shared_bytes>& batch) {
        std::size_t before = static_cast<std::size_t>(log->end());
        attempted.resize(before); // a batch that was refused and is tried again
        for (const auto& run : batch) attempted.emplace_back(run.view.begin(), run.view.end());
        return log->append(batch);
    }
    result<void> append(std::size_t count = 1) {
        std::vector<shared_bytes> batch;
        for (std::size_t i = 0; i < count; ++i) batch.push_back(runs.make());
        return append(batch);
    }
    void sync_later() {
        log->sync_later([this](result<log_index> durable) {
            if (durable) acknowledged = static_cast<std::size_t>(*durable);
        });
    }
    result<void> sync() {
        result<void> outcome = weft::fail(errc::timed_out, "no answer");
        log->sync_later([&](result<log_index> durable) {
            outcome = durable ? result<void>{} : weft::fail(durable.error());
            if (durable) acknowledged = static_cast<std::size_t>(*durable);
        });
        loop.run();
        return outcome;
    }
    void stop() {
        log.reset();
        disk.reset();
        loop.run();
    }
    void kill() {
        directory.kill();
        stop();
    }
    void power_cut(random_generator& random) {
        directory.crash(random);
        stop();
    }

    [[nodiscard]] std::vector<bytes> read_all(std::size_t bytes_max = SIZE_MAX) {
        std::vector<bytes> out;
        for (log_index at = log->first(); at < log->end();) {
            auto some = log->read(at, bytes_max);
            BOOST_REQUIRE_MESSAGE(some.has_value(), (some ? std::string() : some.error().detail));
            BOOST_REQUIRE(!some->empty());
            for (const auto& run : *some) {
                out.emplace_back(run.view.begin(), run.view.end());
                at = next(at);
            }
        }
        return out;
    }
    // What was recovered is a beginning of what was attempted.
    [[nodiscard]] bool recovered_a_prefix() const {
        return recovered.size() <= attempted.size() &&
               std::equal(recovered.begin(), recovered.end(), attempted.begin());
    }
};

// For the result of a step that must work.
#define REQUIRE_GOOD(step)                                                                         \
    do {                                                                                           \
        auto&& outcome_of_step = (step);                                                           \
        BOOST_REQUIRE_MESSAGE(                                                                     \
            outcome_of_step.has_value(),                                                           \
            #step ": " << (outcome_of_step ? std::string() : to_string(outcome_of_step.error()))); \
    } while (false)

} // namespace weft
