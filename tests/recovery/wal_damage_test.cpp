#include "base/frame.hpp"
#include "recovery/log_format.hpp"
#include "tests/recovery/log_world.hpp"
#include "tests/seeds.hpp"

#include <boost/test/unit_test.hpp>

namespace weft {
namespace {

using contents = std::map<std::string, bytes>;

contents all_of(const sim_directory& directory) {
    contents out;
    for (const auto& name : directory.names()) out[name] = directory.contents(name);
    return out;
}

void restore(sim_directory& directory, const contents& wanted) {
    for (const auto& name : directory.names()) directory.erase(name);
    for (const auto& [name, content] : wanted) directory.overwrite(name, content);
}

// A few segments after an unclean stop. The last two records state the same durable position.
struct damaged_world : log_world {
    damaged_world() {
        options.segment_bytes_target = 250;
        REQUIRE_GOOD(open_and_start());
        while (directory.names().size() < 3) {
            REQUIRE_GOOD(append({runs.make(1 + attempted.size() % 2)}));
        }
        REQUIRE_GOOD(append());
        REQUIRE_GOOD(sync());
        durable_bytes = log->size_bytes();
        durable_runs = acknowledged;
        REQUIRE_GOOD(append());
        REQUIRE_GOOD(append());
        kill();
        image = all_of(directory);
    }
    // Opens what is there now; the disk must stay as it is.
    result<void> look() {
        auto before = all_of(directory);
        auto opened = open();
        BOOST_CHECK(all_of(directory) == before);
        BOOST_TEST(recovered_a_prefix());
        return opened;
    }
    // A log that was found good goes on.
    void go_on() {
        std::size_t events_before = events.seen.size();
        bool cut = log->report().cut.has_value();
        REQUIRE_GOOD(log->start());
        BOOST_TEST(events.seen.size() - events_before == (cut ? 1U : 0U));
        if (cut)
            BOOST_TEST(events.seen.back().text.find(log->report().cut->file) != std::string::npos);
        auto expected = recovered;
        auto more = run_maker().make(9);
        REQUIRE_GOOD(log->append(std::vector{more}));
        expected.emplace_back(more.view.begin(), more.view.end());
        REQUIRE_GOOD(sync());
        BOOST_CHECK(read_all() == expected);
        kill();
        REQUIRE_GOOD(open());
        BOOST_CHECK(recovered == expected);
        BOOST_TEST(!log->report().cut.has_value());
        kill();
    }
    bool refused_for(const result<void>& opened, const std::string& name, std::uint64_t at_most) {
        if (opened || opened.error().code != errc::log_damaged) return false;
        const std::string& text = opened.error().detail;
        auto found = text.find(name + ": damaged at byte ");
        if (found == std::string::npos) return false;
        return std::stoull(text.substr(found + name.size() + 18)) <= at_most;
    }

    contents image;
    std::uint64_t durable_bytes = 0;
    std::size_t durable_runs = 0;
};

} // namespace

BOOST_AUTO_TEST_CASE(any_flipped_byte_is_refused_before_the_durable_mark_and_cut_behind_it) {
    damaged_world world;
    std::uint64_t position = 0;
    for (const auto& [name, content] : world.image) {
        for (std::size_t i = 0; i < content.size(); ++i, ++position) {
            for (unsigned mask : {0x01U, 0x80U, 0xFFU}) {
                restore(world.directory, world.image);
                bytes flipped = content;
                flipped[i] ^= static_cast<std::byte>(mask);
                world.directory.overwrite(name, flipped);
                auto opened = world.look();
                if (position < world.durable_bytes) {
                    BOOST_TEST_INFO(name << " byte " << i << ": "
                                         << (opened ? "opened" : opened.error().detail));
                    BOOST_TEST(world.refused_for(opened, name, i));
                } else {
                    REQUIRE_GOOD(opened);
                    BOOST_REQUIRE(world.log->report().cut.has_value());
                    BOOST_TEST(world.log->report().cut->file == name);
                    BOOST_TEST(world.log->report().cut->offset <= i);
                    BOOST_TEST(world.recovered.size() >= world.durable_runs);
                    if (mask == 0xFF) world.go_on();
                }
            }
        }
    }
    BOOST_TEST(position > world.durable_bytes);
}

BOOST_AUTO_TEST_CASE(after_a_clean_stop_every_record_is_known_to_have_been_durable) {
    damaged_world world;
    REQUIRE_GOOD(world.open_and_start());
    REQUIRE_GOOD(world.log->close_clean());
    std::uint64_t end =
        world.log->size_bytes() - 20; // the end mark itself proves nothing of itself
    world.stop();
    auto image = all_of(world.directory);
    std::uint64_t position = 0;
    for (const auto& [name, content] : image) {
        for (std::size_t i = 0; i < content.size(); ++i, ++position) {
            restore(world.directory, image);
            bytes flipped = content;
            flipped[i] ^= std::byte{0x10};
            world.directory.overwrite(name, flipped);
            auto opened = world.look();
            if (position < end) {
                BOOST_TEST(world.refused_for(opened, name, i));
            } else {
                REQUIRE_GOOD(opened);
                BOOST_TEST(world.log->report().cut.has_value());
                BOOST_TEST(!world.log->report().clean);
                BOOST_CHECK(world.recovered == world.attempted);
            }
        }
    }
}

BOOST_AUTO_TEST_CASE(a_log_cut_short_at_any_length_opens_with_what_is_whole) {
    damaged_world world;
    const auto [name, content] = *world.image.rbegin();
    for (std::size_t length = 0; length < content.size(); ++length) {
        restore(world.directory, world.image);
        world.directory.overwrite(
            name, bytes(content.begin(), content.begin() + static_cast<std::ptrdiff_t>(length)));
        REQUIRE_GOOD(world.look());
        BOOST_TEST(world.recovered.size() < world.attempted.size());
        const auto& cut = world.log->report().cut;
        if (cut) {
            BOOST_TEST(cut->file == name);
            BOOST_TEST(cut->offset + cut->bytes == length);
            BOOST_TEST(cut->bytes > 0U);
        }
        world.go_on();
    }
}

BOOST_AUTO_TEST_CASE(an_older_segment_cut_short_is_refused_where_a_later_one_knows_better) {
    damaged_world world;
    std::uint64_t start = 0;
    auto last = std::prev(world.image.end());
    for (auto each = world.image.begin(); each != last; start += each++->second.size()) {
        for (std::size_t length = 0; length < each->second.size(); ++length) {
            restore(world.directory, world.image);
            bytes part(each->second.begin(),
                       each->second.begin() + static_cast<std::ptrdiff_t>(length));
            world.directory.overwrite(each->first, part);
            auto opened = world.look();
            if (start + length < world.durable_bytes) {
                BOOST_REQUIRE(!opened.has_value());
                BOOST_CHECK(opened.error().code == errc::log_damaged);
            } else {
                REQUIRE_GOOD(opened);
                BOOST_TEST(world.log->report().cut.has_value());
                BOOST_TEST(world.recovered.size() >= world.durable_runs);
                world.go_on();
            }
        }
        if (each == world.image.begin()) continue;
        restore(world.directory, world.image);
        world.directory.erase(each->first);
        auto opened = world.look();
        BOOST_REQUIRE(!opened.has_value());
        BOOST_TEST(opened.error().detail.find(" is missing, or what followed there") !=
                   std::string::npos);
    }
}

// A log does not show that its end is gone; whoever noted how far it was durable does.
BOOST_AUTO_TEST_CASE(a_log_that_ends_before_what_is_known_to_be_durable_is_refused) {
    damaged_world world;
    for (const auto& [name, content] : world.image) world.options.durable += content.size();
    REQUIRE_GOOD(world.look());
    const auto [name, content] = *world.image.rbegin();
    for (std::size_t length = 0; length < content.size(); ++length) {
        restore(world.directory, world.image);
        world.directory.overwrite(
            name, bytes(content.begin(), content.begin() + static_cast<std::ptrdiff_t>(length)));
        auto opened = world.look();
        BOOST_REQUIRE(!opened.has_value());
        BOOST_CHECK(opened.error().code == errc::log_damaged);
        BOOST_TEST(opened.error().detail.find(name + ": damaged at byte ") != std::string::npos);
    }
    world.directory.erase(name);
    BOOST_TEST(!world.look().has_value());
    for (const auto& each : world.directory.names()) world.directory.erase(each);
    BOOST_TEST(!world.look().has_value());
}

// What is missing there is for a snapshot to cover: dropping old segments is no damage.
BOOST_AUTO_TEST_CASE(a_log_without_its_first_segment_begins_later) {
    damaged_world world;
    world.directory.erase(world.image.begin()->first);
    auto alone = world.open();
    BOOST_REQUIRE(!alone);
    BOOST_CHECK(alone.error().code == errc::log_damaged); // no snapshot holds the runs before it
    auto second = parse_segment_name(std::next(world.image.begin())->first);
    BOOST_REQUIRE(second.has_value());
    world.options.from = log_index{*second};
    REQUIRE_GOOD(world.open());
    auto first = static_cast<std::size_t>(world.log->first());
    BOOST_TEST(first > 0U);
    BOOST_TEST(world.recovered.size() == world.attempted.size() - first);
    BOOST_CHECK(world.read_all() == world.recovered);
    BOOST_CHECK(world.log->read(log_index{0}, 1).error().code == errc::not_found);
    BOOST_CHECK(world.log->seek({}) == world.log->first());
    REQUIRE_GOOD(world.log->start());
}

BOOST_AUTO_TEST_CASE(zeros_and_garbage_behind_the_last_record_are_a_torn_tail) {
    damaged_world world;
    random_generator random(seeds::unit);
    const auto [name, content] = *world.image.rbegin();
    for (std::size_t size : {1U, 4U, 19U, 20U, 21U, 5'000U}) {
        for (bool zeros : {true, false}) {
            restore(world.directory, world.image);
            bytes longer = content;
            for (std::size_t i = 0; i < size; ++i) {
                longer.push_back(zeros ? std::byte{0} : static_cast<std::byte>(random.next()));
            }
            world.directory.overwrite(name, longer);
            REQUIRE_GOOD(world.look());
            BOOST_REQUIRE(world.log->report().cut.has_value());
            BOOST_TEST(world.log->report().cut->offset == content.size());
            BOOST_TEST(world.log->report().cut->bytes == size);
            BOOST_CHECK(world.recovered == world.attempted);
            world.go_on();
        }
    }
}

// A value may hold bytes of a log. They stand elsewhere than they did, so they prove nothing.
BOOST_AUTO_TEST_CASE(records_inside_a_run_prove_nothing) {
    log_world inner;
    inner.options.segment_bytes_target = 1U << 20U;
    REQUIRE_GOOD(inner.open_and_start());
    REQUIRE_GOOD(inner.append({inner.runs.make(1, 500)}));
    REQUIRE_GOOD(inner.log->close_clean());
    auto name = inner.directory.names().front();
    bytes evidence = inner.directory.contents(name); // its end mark states a position of some 600

    log_world outer;
    outer.options.segment_bytes_target = 1U << 20U;
    REQUIRE_GOOD(outer.open_and_start());
    auto torn_at = static_cast<std::size_t>(outer.log->size_bytes());
    REQUIRE_GOOD(outer.append({outer.runs.make(replica_id{1}, evidence)}));
    outer.kill();
    BOOST_REQUIRE(outer.directory.names().front() == name);
    bytes content = outer.directory.contents(name);
    content[torn_at] ^= std::byte{1};
    outer.directory.overwrite(name, content);
    REQUIRE_GOOD(outer.open());
    BOOST_REQUIRE(outer.log->report().cut.has_value());
    BOOST_TEST(outer.log->report().cut->offset == torn_at);
}

BOOST_AUTO_TEST_CASE(damage_that_came_after_opening_is_not_served) {
    damaged_world world;
    for (const auto& [name, content] : world.image) {
        for (std::size_t i = 0; i < content.size(); i += 3) {
            restore(world.directory, world.image);
            REQUIRE_GOOD(world.open());
            bytes flipped = content;
            flipped[i] ^= std::byte{4};
            world.directory.overwrite(name, flipped);
            std::size_t got = 0;
            for (; log_index{got} < world.log->end(); ++got) {
                auto some = world.log->read(log_index{got}, 1);
                if (!some) {
                    BOOST_CHECK(some.error().code == errc::log_damaged);
                    BOOST_TEST(some.error().detail.find(name) != std::string::npos);
                    continue;
                }
                BOOST_CHECK(equal(some->front().view, world.attempted[got]));
            }
        }
    }
}

BOOST_AUTO_TEST_CASE(a_newer_format_is_named_and_not_taken_for_damage) {
    damaged_world world;
    const auto& [name, content] = *world.image.begin();
    byte_reader in(byte_view(content).subspan(8));
    (void)in.u32();
    std::uint32_t size = in.u32();
    byte_writer fields;
    fields.u32(2);
    fields.u32(size);
    byte_view body = byte_view(content).subspan(20, size);
    byte_writer newer;
    newer.raw(byte_view(content).first(8));
    newer.raw(fields.view());
    newer.u32(crc32c(body, crc32c(fields.view())));
    newer.raw(byte_view(content).subspan(20));
    world.directory.overwrite(name, newer.take());
    auto opened = world.look();
    BOOST_REQUIRE(!opened.has_value());
    BOOST_CHECK(opened.error().code == errc::incompatible);
    BOOST_TEST(opened.error().detail.find("format 2") != std::string::npos);
}

} // namespace weft
