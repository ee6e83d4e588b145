#include "base/limits.hpp"
#include "resolve/audit_trail.hpp"

#include <boost/test/unit_test.hpp>
#include <rapidcheck/boost_test.h>

#include <limits>
#include <string>
#include <vector>

using namespace weft;

namespace {

conflict sample() {
    conflict what{conflict_kind::delete_write, {"place:1", "name"}, {type_kind::mv_register}, {}};
    what.siblings.push_back({{replica_id{1}, 7}, hlc::at_ms(5), value("Wien"), "berlin", "eu"});
    what.siblings.push_back({{replica_id{2}, 9}, hlc::at_ms(6), std::nullopt, "oslo", "north"});
    return what;
}

audit_entry read_back(const audit_entry& entry) {
    byte_writer out;
    encode(out, entry);
    byte_reader in(out.view());
    audit_entry back = decode_audit_entry(in);
    BOOST_TEST(in.good());
    BOOST_TEST(in.at_end());
    return back;
}

} // namespace

BOOST_AUTO_TEST_SUITE(resolve_audit_trail)

BOOST_AUTO_TEST_CASE(an_entry_comes_back_as_it_was) {
    decision made{
        reading{{value(5), value("x")}, std::nullopt}, "union", {{errc::wrong_type, "no"}}};
    audit_entry entry = audit_of(sample(), made, 77);
    entry.at = hlc::at_ms(9);
    entry.replica = replica_id{3};
    entry.member = "rome";
    BOOST_TEST((read_back(entry) == entry));
    audit_entry settled = audit_of_resolution(sample(), {}, "Ada", {replica_id{9}, 1}, 77);
    BOOST_TEST((read_back(settled) == settled));
    BOOST_TEST(settled.strategy == "manual");
}

BOOST_AUTO_TEST_CASE(it_is_named_by_path_kind_siblings_rules_and_outcome) {
    decision waits{std::nullopt, "manual", {}};
    auto id = [&](const conflict& what, std::uint64_t rules) {
        return audit_of(what, waits, rules).id;
    };
    auto base = id(sample(), 1);
    conflict other = sample();
    other.siblings[0].content = value("Vienna"); // a dot has one content
    BOOST_TEST((id(other, 1) == base));
    BOOST_TEST((id(sample(), 2) != base));
    other.siblings[0].at.counter = 8;
    BOOST_TEST((id(other, 1) != base));
    other = sample();
    other.path = {"place:1name"};
    BOOST_TEST((id(other, 1) != base));
    other = sample();
    other.kind = conflict_kind::write_write;
    BOOST_TEST((id(other, 1) != base));
    BOOST_TEST((audit_of_settled(sample(), {}, settled_by_write, 1).id != base));
}

BOOST_AUTO_TEST_CASE(what_is_large_is_kept_as_its_hash) {
    std::string large(limits::audit_value_bytes_max + 1, 'x');
    audited_value kept = audited(large);
    BOOST_TEST(kept.hashed_bytes == large.size());
    BOOST_TEST(kept.content.as_binary()->size() == 16U);
    BOOST_TEST((kept != audited(std::string(large.size(), 'y'))));
    large.pop_back();
    BOOST_TEST(audited(large).hashed_bytes == 0U);
    conflict many{conflict_kind::write_write, {"k"}, {type_kind::mv_register}, {}};
    for (std::uint64_t i = 1; i <= limits::siblings_max; ++i)
        many.siblings.push_back({{replica_id{i}, 1},
                                 {},
                                 value(static_cast<std::int64_t>(i)),
                                 std::string(64, 'm'),
                                 {}});
    std::string name;
    for (int i = 0; i < 1'000; ++i) name += "ü";
    audit_entry entry = audit_of(many, {reading{}, name, {}}, 1);
    BOOST_TEST(entry.siblings.size() == limits::audit_siblings_max);
    BOOST_TEST(entry.siblings_left_out == limits::siblings_max - limits::audit_siblings_max);
    BOOST_TEST((read_back(entry) == entry)); // a name is cut between two characters
}

BOOST_AUTO_TEST_CASE(what_is_asked_for_is_found) {
    audit_entry entry = audit_of(sample(), {reading{}, "priority(berlin)", {}}, 1);
    entry.at = hlc::at_ms(100);
    entry.replica = replica_id{3};
    entry.member = "rome";
    auto finds = [&](const audit_query& asked) { return asked.matches(entry); };
    BOOST_TEST(finds({}));
    BOOST_TEST(finds({.key = "place:1"}));
    BOOST_TEST(!finds({.key = "place:"}));
    BOOST_TEST(finds({.prefix = "place:"}));
    BOOST_TEST(!finds({.prefix = "x"}));
    BOOST_TEST(finds({.strategy = "priority"}));
    BOOST_TEST(finds({.strategy = "priority(berlin)"}));
    BOOST_TEST(!finds({.strategy = "prio"}));
    for (const char* writer : {"berlin", "oslo"}) BOOST_TEST(finds({.replica = writer}));
    BOOST_TEST(finds({.replica = to_string(replica_id{2})}));
    BOOST_TEST(!finds({.replica = "rome"})); // which recorded it, as all of its trail
    BOOST_TEST(!finds({.replica = to_string(replica_id{3})}));
    BOOST_TEST(finds({.since = hlc::at_ms(100), .until = hlc::at_ms(100)}));
    BOOST_TEST(!finds({.since = hlc::at_ms(101)}));
    BOOST_TEST(!finds({.until = hlc::at_ms(99)}));
}

BOOST_AUTO_TEST_CASE(every_cut_of_an_entry_is_refused) {
    byte_writer out;
    encode(out, audit_of(sample(), {reading{{value(1)}, {}}, "max", {{errc::aborted, "x"}}}, 1));
    for (std::size_t size = 0; size < out.size(); ++size) {
        byte_reader in(out.view().first(size));
        (void)decode_audit_entry(in);
        BOOST_TEST(!in.good());
    }
}

namespace {

// Bytes as a function of a user may return them: characters, some of them cut.
std::string any_text(std::size_t bytes_max) {
    std::string out;
    auto parts = *rc::gen::container<std::vector<std::string>>(
        rc::gen::element<std::string>("a", "ü", "猫", "\xc3", "\xff", "\x80", "",
                                      std::string(bytes_max, 'x'), std::string(bytes_max, '\x80')));
    for (const std::string& part : parts) out += part;
    return out;
}

value any_result() {
    return *rc::gen::oneOf(rc::gen::exec([] { return value(any_text(300)); }),
                           rc::gen::exec([] { return value::of_bytes(as_bytes(any_text(300))); }),
                           rc::gen::element(value(), value::absent(), value(true), value(0.5),
                                            value(-std::numeric_limits<double>::quiet_NaN()),
                                            value::of_time_ms(-1)));
}

} // namespace

// Whatever a strategy, a check or a person said: it is no damage of the disk.
RC_BOOST_PROP(what_is_written_is_what_is_read, ()) {
    conflict what = sample();
    auto count = *rc::gen::inRange<std::uint64_t>(0, 80);
    for (std::uint64_t i = 1; i <= count; ++i)
        what.siblings.push_back({{replica_id{i + 9}, i}, {}, any_result(), any_text(64), {}});
    decision made{std::nullopt, any_text(256), {}};
    for (auto left = *rc::gen::inRange(0, 40); left > 0; --left)
        made.failed.push_back({errc::aborted, any_text(256)});
    reading read;
    for (auto left = *rc::gen::inRange(0, 80); left > 0; --left)
        read.values.push_back(any_result());
    if (*rc::gen::arbitrary<bool>()) made.read = read;
    for (const audit_entry& entry :
         {audit_of(what, made, 1),
          audit_of_resolution(what, read, any_text(256), {replica_id{9}, 1}, 1)}) {
        byte_writer out;
        encode(out, entry);
        RC_ASSERT(out.size() <= limits::audit_entry_bytes_max);
        byte_reader in(out.view());
        RC_ASSERT(decode_audit_entry(in) == entry);
        RC_ASSERT(in.good());
        RC_ASSERT(in.at_end());
    }
}

BOOST_AUTO_TEST_SUITE_END()
