#include "recovery/identity.hpp"
#include "recovery/log_format.hpp"
#include "recovery/sealed.hpp"
#include "recovery/snapshot.hpp"
#include "tests/recovery/log_world.hpp"
#include "tests/seeds.hpp"

#include <boost/test/unit_test.hpp>
#include <rapidcheck.h>

namespace weft {
namespace {

identity someone() {
    identity out{replica_id{7}, replica_id{6},     "cluster",           "berlin-1", "eu",
                 home(),        hlc::at_ms(1'000), sync_policy::commit, 500,        log_index{0}};
    out.log_first = log_index{40};
    out.snapshots = {log_index{50}, log_index{60}};
    out.rules_version = 9;
    out.rules_since = log_index{30};
    out.forked = replica_id{5};
    return out;
}

log_report whole_log(bool clean) {
    log_report out;
    out.exists = true;
    out.clean = clean;
    return out;
}

struct identity_place {
    sim_directory directory{home()};
    test_loop loop;
    sim_disk disk{directory, loop, loop, [] { return 5; }};
};

} // namespace

BOOST_AUTO_TEST_CASE(an_id_is_kept_only_where_no_dot_can_have_been_lost) {
    auto decide = [](const std::optional<identity>& stored, const directory_facts& here,
                     const log_report& log) { return decide_identity(stored, here, log).keep; };
    identity who = someone();

    BOOST_TEST(!decide(std::nullopt, home(), {}));              // a new directory
    BOOST_TEST(!decide(std::nullopt, home(), whole_log(true))); // the file was lost or is damaged
    BOOST_TEST(!decide(who, home(), {}));                       // the log was lost
    BOOST_TEST(decide(who, home(), whole_log(true)));
    BOOST_TEST(decide(who, home(), whole_log(false)));

    for (int fact = 0; fact < 4; ++fact) {
        directory_facts here = home();
        if (fact == 0) here.machine = "another";
        if (fact == 1) here.device += 1;
        if (fact == 2) here.inode += 1;
        if (fact == 3) here.birth_ns += 1;
        BOOST_TEST(!decide(who, here, whole_log(true)));
    }

    for (auto policy : {sync_policy::commit, sync_policy::interval, sync_policy::none}) {
        who.policy = policy;
        log_report cut = whole_log(false);
        cut.cut = log_cut{"log-0000000000000000.weft", 99, 1, "torn"};
        BOOST_TEST(!decide(who, home(), cut));
        BOOST_TEST(decide(who, home(), whole_log(true)));
        BOOST_TEST(decide(who, home(), whole_log(false)) == (policy == sync_policy::commit));
    }
}

BOOST_AUTO_TEST_CASE(the_reason_says_what_was_found) {
    log_report cut = whole_log(false);
    cut.cut = log_cut{"log-0000000000000000.weft", 99, 13, "torn"};
    auto decided = decide_identity(someone(), home(), cut);
    BOOST_TEST(decided.reason == "a torn tail of 13 bytes was cut from the log at byte 99 of "
                                 "log-0000000000000000.weft");
}

BOOST_AUTO_TEST_CASE(a_new_id_remembers_the_one_before_and_its_clock) {
    identity now = someone();
    now.id = replica_id{};
    now.predecessor = replica_id{7};
    now.ceiling = hlc::at_ms(900);
    now.policy = sync_policy::none;

    identity kept = settle_identity(someone(), {true, ""}, now, replica_id{8});
    BOOST_CHECK(kept.id == replica_id{7});
    BOOST_CHECK(kept.predecessor == replica_id{6});
    BOOST_CHECK(kept.ceiling == hlc::at_ms(1'000));
    BOOST_CHECK(kept.policy == sync_policy::none);

    identity renewed = settle_identity(someone(), {false, ""}, now, replica_id{8});
    BOOST_CHECK(renewed.id == replica_id{8});
    BOOST_CHECK(renewed.predecessor == replica_id{7});
    BOOST_CHECK(renewed.ceiling == hlc::at_ms(1'000));
    BOOST_TEST(renewed.durable == 500U);
    BOOST_CHECK(renewed.base == log_index{0});

    BOOST_CHECK(renewed.forked == replica_id{5});

    now.predecessor = replica_id{};
    identity first = settle_identity(std::nullopt, {false, ""}, now, replica_id{8});
    BOOST_CHECK(first.id == replica_id{8});
    BOOST_CHECK(first.predecessor == replica_id{});
}

BOOST_AUTO_TEST_CASE(an_identity_survives_a_power_cut_once_stored) {
    random_generator random(seeds::unit);
    identity_place place;
    BOOST_CHECK(load_identity(place.disk).value() == std::nullopt);
    REQUIRE_GOOD(store_identity(place.disk, someone()));
    place.directory.crash(random);
    sim_disk again{place.directory, place.loop, place.loop, [] { return 5; }};
    BOOST_CHECK(load_identity(again).value() == someone());
    BOOST_CHECK(load_identity(again).value()->where == again.facts().value());
}

BOOST_AUTO_TEST_CASE(any_identity_reads_back) {
    rc::check([](std::uint64_t id, std::int64_t birth, std::uint64_t ceiling) {
        identity who = someone();
        who.id = replica_id{id};
        who.where.birth_ns = birth;
        who.ceiling.raw = ceiling;
        who.durable = ceiling / 2;
        if (id % 2 == 0) who.base.reset();
        who.member = *rc::gen::container<std::string>(rc::gen::inRange('a', 'z'));
        who.policy =
            *rc::gen::element(sync_policy::commit, sync_policy::interval, sync_policy::none);
        identity_place place;
        REQUIRE_GOOD(store_identity(place.disk, who));
        RC_ASSERT(load_identity(place.disk).value() == who);
    });
}

BOOST_AUTO_TEST_CASE(a_ceiling_is_persisted_without_waiting) {
    random_generator random(seeds::unit);
    identity_place place;
    REQUIRE_GOOD(store_identity(place.disk, someone()));
    bool answered = false;
    identity later = someone();
    later.ceiling = hlc::at_ms(2'000);
    auto kept = store_identity_later(place.disk, place.loop, later, [&](const result<void>& done) {
        BOOST_TEST(done.has_value());
        answered = true;
    });
    BOOST_TEST(!answered);
    place.loop.run();
    BOOST_TEST(answered);
    place.directory.crash(random);
    sim_disk again{place.directory, place.loop, place.loop, [] { return 5; }};
    BOOST_CHECK(load_identity(again).value() == later);
}

BOOST_AUTO_TEST_CASE(one_that_nobody_wants_any_more_takes_no_other_s_place) {
    identity_place place;
    REQUIRE_GOOD(store_identity(place.disk, someone()));
    identity later = someone();
    later.ceiling = hlc::at_ms(2'000);
    auto kept = store_identity_later(place.disk, place.loop, later,
                                     [](const result<void>&) { BOOST_ERROR("it was given up"); });
    kept.reset();
    identity last = someone();
    last.ceiling = hlc::at_ms(3'000);
    REQUIRE_GOOD(store_identity(place.disk, last));
    place.loop.run();
    BOOST_CHECK(load_identity(place.disk).value() == last);
}

BOOST_AUTO_TEST_CASE(whatever_fails_while_it_is_replaced_the_old_identity_or_the_new_is_there) {
    for (bool later : {false, true}) {
        for (int mode = 0; mode < 2; ++mode) {
            bool passed = false;
            for (std::uint64_t at = 0; !passed; ++at) {
                for (std::uint64_t seed : {1U, 2U, 3U, 4U}) {
                    random_generator random(seed);
                    identity_place place;
                    REQUIRE_GOOD(store_identity(place.disk, someone()));
                    identity changed = someone();
                    changed.ceiling = hlc::at_ms(2'000);
                    place.directory.fail(sim_fault{at, errc::io_failed, mode == 1});
                    std::shared_ptr<void> kept;
                    result<void> stored;
                    bool answered = !later;
                    if (later) {
                        kept = store_identity_later(place.disk, place.loop, changed,
                                                    [&](const result<void>& done) {
                                                        stored = done;
                                                        answered = true;
                                                    });
                        place.loop.run();
                    } else {
                        stored = store_identity(place.disk, changed);
                    }
                    BOOST_TEST(answered);
                    passed = place.directory.operations() <= at;
                    BOOST_TEST(stored.has_value() == passed);
                    place.directory.fail(std::nullopt);
                    place.directory.crash(random);
                    sim_disk again{place.directory, place.loop, place.loop, [] { return 5; }};
                    auto found = load_identity(again);
                    REQUIRE_GOOD(found);
                    BOOST_CHECK(*found == changed || (!stored && *found == someone()));
                    REQUIRE_GOOD(store_identity(again, changed)); // leftovers are no obstacle
                }
            }
        }
    }
}

BOOST_AUTO_TEST_CASE(any_flipped_byte_or_missing_end_of_the_identity_file_is_noticed) {
    identity_place place;
    REQUIRE_GOOD(store_identity(place.disk, someone()));
    bytes good = place.directory.contents("identity.weft");
    auto refused = [&](bytes content) {
        place.directory.overwrite("identity.weft", std::move(content));
        auto found = load_identity(place.disk);
        BOOST_REQUIRE(!found.has_value());
        BOOST_CHECK(found.error().code == errc::log_damaged);
        BOOST_TEST(found.error().detail.find("sim/identity.weft: damaged at byte ") !=
                   std::string::npos);
    };
    for (std::size_t i = 0; i < good.size(); ++i) {
        for (unsigned bit = 0; bit < 8; ++bit) {
            bytes flipped = good;
            flipped[i] ^= static_cast<std::byte>(1U << bit);
            refused(flipped);
        }
        refused(bytes(good.begin(), good.begin() + static_cast<std::ptrdiff_t>(i)));
    }
    bytes longer = good;
    longer.push_back(std::byte{0});
    refused(longer);
}

BOOST_AUTO_TEST_CASE(files_that_an_identity_states_and_that_are_not_there_are_named) {
    identity_place place;
    auto missing = [&](const identity& who) { return missing_files(place.disk, who).value(); };
    BOOST_TEST(missing({}).empty());
    identity who = someone();
    BOOST_TEST(missing(who) ==
               (std::vector<std::string>{segment_name(40), snapshot_name(log_index{50}),
                                         snapshot_name(log_index{60})}));
    place.directory.overwrite(segment_name(40), {});
    place.directory.overwrite(segment_name(41), {});
    place.directory.overwrite(snapshot_name(log_index{60}), {});
    BOOST_TEST(missing(who) == std::vector<std::string>{snapshot_name(log_index{50})});
}

BOOST_AUTO_TEST_CASE(
    an_identity_of_a_format_before_states_a_lost_end_then_no_rules_and_then_no_files) {
    identity_place place;
    REQUIRE_GOOD(store_identity(place.disk, someone()));
    bytes content = place.directory.contents("identity.weft");
    bytes body(content.begin() + 20, content.end());
    body.resize(body.size() - 8);
    identity expected = someone();
    for (bool forked : {true, false}) {
        byte_writer lost;
        lost.u8(1);
        for (auto id : {replica_id{5}, replica_id{70}, replica_id{35}})
            lost.u64(static_cast<std::uint64_t>(id));
        lost.u8(forked ? 1 : 0);
        bytes with_end = body;
        with_end.insert(with_end.end(), lost.view().begin(), lost.view().end());
        place.directory.alter("identity.weft", seal("weft-id\n", 4, with_end));
        if (!forked) expected.forked = {};
        BOOST_CHECK(load_identity(place.disk).value() == expected);
    }
    place.directory.alter("identity.weft", seal("weft-id\n", 3, body));
    BOOST_CHECK(load_identity(place.disk).value() == expected);
    body.resize(body.size() - 2 * sizeof(std::uint64_t));
    place.directory.alter("identity.weft", seal("weft-id\n", 2, body));
    expected.rules_version = 0;
    expected.rules_since = {};
    BOOST_CHECK(load_identity(place.disk).value() == expected);
    body.resize(body.size() - (8 + 1 + 2 * 8));
    place.directory.alter("identity.weft", seal("weft-id\n", 1, body));
    expected.log_first.reset();
    expected.snapshots.clear();
    BOOST_CHECK(load_identity(place.disk).value() == expected);
    place.directory.alter("identity.weft", seal("weft-id\n", 6, body));
    BOOST_CHECK(load_identity(place.disk).error().code == errc::incompatible);
}

} // namespace weft
