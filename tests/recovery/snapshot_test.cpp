#include "recovery/restart.hpp"
#include "recovery/snapshot.hpp"
#include "tests/recovery/log_world.hpp"
#include "tests/recovery/temporary_directory.hpp"
#include "tests/seeds.hpp"

#include <boost/test/unit_test.hpp>

#include <algorithm>
#include <mutex>

namespace weft {
namespace {

// Values that compress little, so that the file has about the size of what it holds.
state_image some_image(std::uint64_t at, std::size_t keys, std::size_t value_bytes = 8) {
    state_image out;
    random_generator random(seeds::unit);
    for (std::size_t i = 0; i < keys; ++i) {
        std::string key = "key " + std::to_string(i);
        std::string_view path = key;
        operation op;
        op.path = {&path, 1};
        op.what = action::write;
        std::string content;
        while (content.size() < value_bytes) content += to_hex(random.next());
        op.argument = value(content.substr(0, value_bytes));
        out.objects.apply(op, {replica_id{1}, i + 1}, hlc::at_ms(i + 1), {}, nullptr);
    }
    out.header.cluster = "cluster";
    out.header.at = log_index{at};
    out.header.newest = hlc::at_ms(keys);
    out.header.objects = out.objects.objects();
    out.header.digest = out.objects.digest();
    if (keys > 0) out.header.origins = {{replica_id{1}, keys, run_hash{5}, {"m", "", {}}, {}}};
    return out;
}

struct snapshot_world {
    sim_directory directory{home()};
    test_loop loop;
    std::unique_ptr<sim_disk> disk;
    std::unique_ptr<snapshot_store> store;

    result<void> open() {
        store.reset();
        disk = std::make_unique<sim_disk>(directory, loop, loop, [] { return 5; });
        auto opened = open_snapshots(*disk, loop);
        if (!opened) return fail(opened.error());
        store = std::move(*opened);
        return {};
    }
    result<snapshot_info> write(state_image image) {
        result<snapshot_info> outcome = weft::fail(errc::timed_out, "no answer");
        store->write_later(std::move(image),
                           [&](result<snapshot_info> written) { outcome = std::move(written); });
        loop.run();
        return outcome;
    }
    result<state_image> read(log_index at) {
        state_image out;
        auto header = read_snapshot(*disk, at, "cluster", [&](image_part&& part) {
            out.objects.load(part.path, part.type, std::move(part.fragment));
            return result<void>{};
        });
        if (!header) return fail(header.error());
        out.header = *header;
        return out;
    }
};

bool equal(const state_image& a, const state_image& b) {
    return a.header == b.header && a.objects.root() == b.objects.root();
}

} // namespace

BOOST_AUTO_TEST_CASE(a_snapshot_comes_back_as_it_was) {
    snapshot_world world;
    REQUIRE_GOOD(world.open());
    for (auto [keys, value_bytes] : {std::pair{0U, 0U}, {1U, 8U}, {30'000U, 90U}}) {
        state_image image = some_image(keys, keys, value_bytes);
        auto written = world.write(image);
        REQUIRE_GOOD(written);
        BOOST_CHECK(written->at == image.header.at);
        auto back = world.read(image.header.at);
        REQUIRE_GOOD(back);
        BOOST_TEST(equal(*back, image));
        BOOST_TEST(world.directory.contents(snapshot_name(written->at)).size() ==
                   written->size_bytes);
    }
    auto kept = world.store->kept();
    BOOST_TEST(kept.size() == 3U);
    REQUIRE_GOOD(world.open());
    BOOST_CHECK(world.store->kept() == kept);
    REQUIRE_GOOD(world.store->remove(kept[0].at));
    BOOST_TEST(world.store->kept().size() == 2U);
    BOOST_TEST(world.directory.names().size() == 2U);
}

BOOST_AUTO_TEST_CASE(every_damage_of_a_snapshot_is_found) {
    snapshot_world world;
    REQUIRE_GOOD(world.open());
    log_index at{7};
    REQUIRE_GOOD(world.write(some_image(7, 20)));
    std::string name = snapshot_name(at);
    bytes whole = world.directory.contents(name);
    auto check_damaged = [&](const std::string& how) {
        BOOST_TEST_INFO_SCOPE(how);
        auto back = world.read(at);
        BOOST_REQUIRE(!back);
        bool newer = back.error().code == errc::incompatible;
        BOOST_TEST((newer || back.error().code == errc::log_damaged));
        BOOST_TEST(back.error().detail.find("sim/" + name) != std::string::npos);
    };
    for (std::size_t i = 0; i < whole.size(); ++i) {
        for (unsigned flip : {0x01U, 0x80U, 0xFFU}) {
            bytes bad = whole;
            bad[i] ^= static_cast<std::byte>(flip);
            world.directory.overwrite(name, bad);
            check_damaged("byte " + std::to_string(i));
        }
    }
    for (std::size_t size = 0; size < whole.size(); ++size) {
        world.directory.overwrite(
            name, bytes(whole.begin(), whole.begin() + static_cast<std::ptrdiff_t>(size)));
        check_damaged("cut at " + std::to_string(size));
    }
    bytes longer = whole;
    longer.push_back(std::byte{0});
    world.directory.overwrite(name, longer);
    check_damaged("a byte more");

    world.directory.overwrite(name, whole);
    REQUIRE_GOOD(world.read(at));
    auto foreign =
        read_snapshot(*world.disk, at, "another", [](image_part&&) { return result<void>{}; });
    BOOST_REQUIRE(!foreign);
    BOOST_CHECK(foreign.error().code == errc::wrong_cluster);
    world.directory.overwrite(snapshot_name(log_index{8}), whole);
    BOOST_TEST(!world.read(log_index{8}).has_value(), "under another name");
}

// Whatever operation fails, and wherever the machine stops: a snapshot that is there is whole.
// Else a good snapshot would be thrown away because of a disk that failed for a moment.
BOOST_AUTO_TEST_CASE(a_disk_that_cannot_be_read_is_not_damage) {
    snapshot_world world;
    REQUIRE_GOOD(world.open());
    REQUIRE_GOOD(world.write(some_image(7, 50, 20)));
    sim_fault fault{0, errc::io_failed, false};
    for (;; ++fault.at) {
        world.directory.fail(fault);
        auto read = world.read(log_index{7});
        if (world.directory.operations() <= fault.at) {
            REQUIRE_GOOD(read);
            break;
        }
        BOOST_TEST_INFO_SCOPE("operation " << fault.at);
        BOOST_REQUIRE(!read.has_value());
        BOOST_TEST((read.error().code == errc::io_failed));
    }
    BOOST_TEST(fault.at > 5U);
}

BOOST_AUTO_TEST_CASE(a_snapshot_is_there_whole_or_not_at_all) {
    random_generator random(seeds::unit);
    state_image image = some_image(3, 40'000, 90); // several syncs
    for (auto code : {errc::io_failed, errc::disk_full}) {
        for (bool lasting : {false, true}) {
            for (sim_fault fault{0, code, lasting};; ++fault.at) {
                snapshot_world world;
                REQUIRE_GOOD(world.open());
                REQUIRE_GOOD(world.write(some_image(1, 2)));
                world.directory.fail(fault);
                auto written = world.write(image);
                bool passed = world.directory.operations() <= fault.at;
                if (passed) REQUIRE_GOOD(written);
                world.directory.fail(std::nullopt);
                if (random.chance(0.5)) world.directory.crash(random);
                REQUIRE_GOOD(world.open());
                for (const snapshot_info& kept : world.store->kept()) {
                    auto back = world.read(kept.at);
                    REQUIRE_GOOD(back);
                    if (kept.at == log_index{3}) BOOST_TEST(equal(*back, image));
                }
                bool there =
                    !world.store->kept().empty() && world.store->kept().back().at == log_index{3};
                BOOST_TEST((there || !written));
                BOOST_TEST(!world.store->kept().empty(), "the one before");
                BOOST_TEST(world.directory.names().size() == world.store->kept().size(),
                           "nothing is left over");
                if (passed) break;
            }
        }
    }
}

BOOST_AUTO_TEST_CASE(a_snapshot_under_way_tells_how_far_it_is) {
    snapshot_world world;
    REQUIRE_GOOD(world.open());
    std::optional<snapshot_info> written;
    world.store->write_later(some_image(3, 80'000, 90), // several syncs
                             [&](const result<snapshot_info>& outcome) {
                                 REQUIRE_GOOD(outcome);
                                 written = *outcome;
                             });
    std::vector<std::uint64_t> told{0};
    while (world.loop.run_one()) {
        std::uint64_t now = world.store->under_way_bytes();
        if (now > told.back()) told.push_back(now);
    }
    BOOST_REQUIRE(written);
    BOOST_TEST(told.size() > 3U);
    BOOST_TEST(told.back() == written->size_bytes);
    BOOST_TEST(world.store->under_way_bytes() == 0U);
}

BOOST_AUTO_TEST_CASE(a_stop_at_any_moment_leaves_no_half_of_a_snapshot) {
    random_generator random(seeds::unit);
    state_image image = some_image(3, 40'000, 90);
    for (int steps = 0;; ++steps) {
        snapshot_world world;
        REQUIRE_GOOD(world.open());
        bool done = false;
        world.store->write_later(image, [&](const result<snapshot_info>& written) {
            REQUIRE_GOOD(written);
            done = true;
        });
        for (int i = 0; i < steps && world.loop.run_one(); ++i) {
        }
        world.directory.crash(random);
        REQUIRE_GOOD(world.open());
        bool there = !world.store->kept().empty();
        BOOST_TEST((there || !done));
        if (there) BOOST_TEST(equal(*world.read(log_index{3}), image));
        if (done) break;
    }
}

// Whatever a peer gets of it was checked, wherever it asks, and in whatever order.
BOOST_AUTO_TEST_CASE(a_snapshot_is_read_for_peers_byte_by_byte_as_it_is_or_not_at_all) {
    snapshot_world world;
    REQUIRE_GOOD(world.open());
    auto written = world.write(some_image(3, 30'000, 90)); // several chunks
    REQUIRE_GOOD(written);
    std::string name = snapshot_name(written->at);
    bytes whole = world.directory.contents(name);
    random_generator random(seeds::unit);
    auto read_all = [&](std::size_t portion) {
        bytes out;
        for (;;) {
            auto some = world.store->read(*written, out.size(), portion);
            REQUIRE_GOOD(some);
            if (some->empty()) return out;
            BOOST_TEST(some->size() <= portion);
            out.insert(out.end(), some->begin(), some->end());
        }
    };
    BOOST_CHECK(read_all(1'000) == whole);
    BOOST_CHECK(read_all(SIZE_MAX) == whole);
    REQUIRE_GOOD(world.open());
    for (int i = 0; i < 200; ++i) {
        std::uint64_t from = random.below(whole.size());
        auto some = world.store->read(*written, from, 100);
        REQUIRE_GOOD(some);
        BOOST_TEST(!some->empty());
        BOOST_CHECK(std::equal(some->begin(), some->end(),
                               whole.begin() + static_cast<std::ptrdiff_t>(from)));
    }
    for (int i = 0; i < 200; ++i) { // a flipped bit is in nothing that is given
        std::size_t where = static_cast<std::size_t>(random.below(whole.size()));
        bytes flipped = whole;
        flipped[where] ^= std::byte{1};
        world.directory.alter(name, flipped);
        REQUIRE_GOOD(world.open());
        std::uint64_t at = 0;
        result<bytes> some;
        while ((some = world.store->read(*written, at, 5'000)) && !some->empty())
            at += some->size();
        BOOST_TEST_INFO_SCOPE("byte " << where);
        BOOST_REQUIRE(!some);
        BOOST_CHECK(some.error().code == errc::log_damaged);
        BOOST_TEST(some.error().detail.find(name + ": damaged at byte ") != std::string::npos);
        BOOST_TEST(at <= where);
    }
    REQUIRE_GOOD(world.store->put_aside(written->at));
    BOOST_TEST(world.store->kept().empty());
    BOOST_CHECK(world.store->read(*written, 0, 1).error().code == errc::not_found);
}

BOOST_AUTO_TEST_CASE(a_snapshot_is_verified_to_its_last_byte) {
    snapshot_world world;
    REQUIRE_GOOD(world.open());
    auto written = world.write(some_image(3, 300));
    REQUIRE_GOOD(written);
    auto verify = [&](log_index at) {
        result<void> outcome = weft::fail(errc::timed_out, "no answer");
        world.store->verify_later(at, "cluster",
                                  [&](result<void> good) { outcome = std::move(good); });
        world.loop.run();
        return outcome;
    };
    REQUIRE_GOOD(verify(written->at));
    BOOST_CHECK(verify(log_index{4}).error().code == errc::not_found);
    std::string name = snapshot_name(written->at);
    bytes whole = world.directory.contents(name);
    for (std::size_t i = 0; i < whole.size(); i += i < 300 || i + 300 > whole.size() ? 1 : 50) {
        bytes flipped = whole;
        flipped[i] ^= std::byte{1};
        world.directory.alter(name, flipped);
        auto good = verify(written->at);
        BOOST_TEST_INFO_SCOPE("byte " << i);
        BOOST_REQUIRE(!good);
        BOOST_TEST(good.error().detail.find(name) != std::string::npos);
    }
}

// ---- in a replica

namespace {

struct home_directory : temporary_directory {
    mutable std::mutex lock; // events come from the loop's thread
    std::vector<log_event> events;
    replica_options options{.name = "a"};

    result<durable_replica> open() {
        {
            std::lock_guard hold(lock);
            events.clear();
        }
        return open_replica(path, options, [this](const log_event& e) {
            std::lock_guard hold(lock);
            events.push_back(e);
        });
    }
    [[nodiscard]] bool reported(std::string_view what) const {
        std::lock_guard hold(lock);
        return std::any_of(events.begin(), events.end(),
                           [&](const log_event& e) { return e.what == what; });
    }
    [[nodiscard]] std::vector<std::string> snapshots() const {
        std::vector<std::string> out;
        for (const auto& entry : std::filesystem::directory_iterator(path)) {
            std::string name = entry.path().filename().string();
            if (name.starts_with("snapshot-") && name.ends_with(".weft"))
                out.push_back(entry.path().string());
        }
        std::sort(out.begin(), out.end());
        return out;
    }
    static void damage(const std::string& file) {
        std::filesystem::resize_file(file, std::filesystem::file_size(file) - 1);
    }
};

} // namespace

BOOST_AUTO_TEST_CASE(a_replica_starts_from_its_newest_good_snapshot) {
    home_directory home;
    state_digest digest;
    version_vector vector;
    {
        auto r = home.open();
        REQUIRE_GOOD(r);
        for (int i = 0; i < 3; ++i) {
            for (int n = 0; n < 50; ++n)
                REQUIRE_GOOD((*r)->counter("n" + std::to_string(n)).increment(i + 1));
            REQUIRE_GOOD((*r)->set<std::string>("tags").add("tag " + std::to_string(i)));
            auto taken = (*r)->snapshot();
            REQUIRE_GOOD(taken);
            auto again = (*r)->snapshot();
            REQUIRE_GOOD(again);
            BOOST_CHECK(*again == *taken);
        }
        BOOST_TEST((*r)->status()->snapshots.size() == 2U);
        auto removed = (*r)->transact([](transaction& change) {
            return change.set<std::string>("tags").remove_element("tag 0");
        });
        REQUIRE_GOOD(removed);
        REQUIRE_GOOD(removed->wait()); // then it is in the vector, which tells of sealed runs
        digest = (*r)->status()->digest;
        vector = (*r)->status()->vector;
    }
    BOOST_TEST(home.snapshots().size() == 2U);
    auto check = [&](durable_replica& r) {
        auto status = r->status();
        REQUIRE_GOOD(status);
        BOOST_CHECK(status->digest == digest);
        BOOST_CHECK(status->vector == vector);
        BOOST_TEST(*r->counter("n7").read() == 6);
    };
    {
        auto r = home.open();
        REQUIRE_GOOD(r);
        BOOST_TEST(!home.reported("snapshot.damaged"));
        check(*r);
    }
    home_directory::damage(home.snapshots().back());
    {
        auto r = home.open();
        REQUIRE_GOOD(r);
        BOOST_TEST(home.reported("snapshot.damaged"));
        check(*r);
        REQUIRE_GOOD((*r)->snapshot());
    }
    BOOST_TEST(home.snapshots().size() == 2U, "another is there for the one that is put aside");
    home_directory::damage(home.snapshots().back());
    {
        auto r = home.open();
        REQUIRE_GOOD(r);
        BOOST_TEST(home.reported("snapshot.damaged"));
        check(*r);
        REQUIRE_GOOD((*r)->counter("n7").increment(1));
        digest = (*r)->status()->digest;
        REQUIRE_GOOD((*r)->snapshot());
    }
    auto r = home.open();
    REQUIRE_GOOD(r);
    BOOST_TEST(*(*r)->counter("n7").read() == 7);
    BOOST_CHECK((*r)->status()->digest == digest);
}

BOOST_AUTO_TEST_CASE(a_log_that_ends_before_the_snapshot_is_refused) {
    home_directory home;
    {
        auto r = home.open();
        REQUIRE_GOOD(r);
        REQUIRE_GOOD((*r)->counter("n").increment());
        REQUIRE_GOOD((*r)->snapshot());
    }
    for (const auto& entry : std::filesystem::directory_iterator(home.path)) {
        if (entry.path().filename().string().starts_with("log-"))
            std::filesystem::remove(entry.path());
    }
    auto r = home.open();
    BOOST_REQUIRE(!r);
    BOOST_CHECK(r.error().code == errc::log_damaged);
    BOOST_TEST(home.snapshots().size() == 1U);
}

BOOST_AUTO_TEST_CASE(a_growing_log_makes_snapshots_by_itself) {
    home_directory home;
    home.options.snapshot_log_bytes = 20'000;
    home.options.sync = sync_policy::interval;
    auto r = home.open();
    REQUIRE_GOOD(r);
    for (int i = 0; i < 2'000 || (*r)->status()->snapshots.empty(); ++i)
        REQUIRE_GOOD(
            (*r)->map("m").put("field " + std::to_string(i % 2'000), std::string(50, 'x')));
    REQUIRE_GOOD((*r)->map("m").put("field", std::string(50, 'x')));
    REQUIRE_GOOD((*r)->snapshot());
    auto status = (*r)->status();
    BOOST_TEST(status->snapshots.size() == limits::snapshots_kept);
    BOOST_TEST(status->log_bytes_since_snapshot < 40'000U);
}

} // namespace weft
