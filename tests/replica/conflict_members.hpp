#pragma once
#include "replica/core.hpp"
#include "replica/transaction.hpp"

#include <boost/test/unit_test.hpp>

#include <functional>
#include <map>
#include <string>
#include <vector>

// Replicas under rules that exchange runs when they are told to.
namespace weft::tests {

inline rules rules_of(std::vector<rule> all) {
    auto made = rules::make(std::move(all));
    BOOST_REQUIRE_MESSAGE(made, (made ? "" : to_string(made.error())));
    return *made;
}

inline rule of_key(std::string key, std::string_view how, bool keeps_removes = false) {
    return {std::move(key), {}, {}, *parse_resolver(how), keeps_removes};
}

struct member {
    core decisions;
    std::uint64_t wall_ms = 1'800'000'000'000;
    instant now{1'000'000'000};
    std::vector<shared_bytes> runs; // own, all of them
    std::vector<audit_entry> trail;
    std::vector<std::string> told;
    std::map<std::string, session_id> links;
    subscription_id watch; // the lines of `told`

    member(const std::string& name, std::uint64_t id, rules all = {}, std::string region = {})
        : decisions({.name = name, .region = std::move(region), .conflict_rules = std::move(all)},
                    id) {
        decisions.start({replica_id{id}, {}, {}}, {}, now);
        watch = *decisions.subscribe_conflicts([this](const conflict_event& e) {
            std::string line(to_string(e.happened));
            line += " " + std::string(to_string(e.now.what.kind)) + " " + e.now.what.path.back();
            told.push_back(line + (e.who.empty() ? "" : " by " + e.who));
        });
    }

    void happens(decltype(event::what) what) {
        now = now.after_ms(1);
        for (effect& e : decisions.step({now, wall_ms++, std::move(what)})) {
            if (auto* made = std::get_if<append_log>(&e)) {
                for (const shared_bytes& run : made->runs) {
                    auto header = read_run_header(run.view);
                    BOOST_REQUIRE(header);
                    if (header->origin == decisions.identity().id) runs.push_back(run);
                }
            } else if (auto* decided = std::get_if<record_audit>(&e)) {
                trail.insert(trail.end(), decided->entries.begin(), decided->entries.end());
            } else if (auto* tells = std::get_if<notify_conflict>(&e)) {
                (*tells->whom)(tells->what);
            }
        }
    }
    result<void> tries(const std::function<result<void>(transaction&)>& change) {
        BOOST_REQUIRE(decisions.begin_change(wall_ms++));
        transaction t(decisions);
        auto done = change(t);
        if (done) {
            (void)decisions.end_change();
        } else {
            decisions.roll_back_change();
        }
        happens(woken{});
        decisions.check_invariants();
        return done;
    }
    void writes(const std::function<result<void>(transaction&)>& change) {
        auto done = tries(change);
        BOOST_REQUIRE_MESSAGE(done, (done ? "" : to_string(done.error())));
    }
    void meets(const member& other) {
        hello_message hello;
        hello.cluster = "weft";
        hello.id = other.decisions.identity().id;
        hello.name = std::to_string(static_cast<std::uint64_t>(hello.id));
        hello.process_nonce = static_cast<std::uint64_t>(hello.id) + 1'000;
        hello.rules_version = other.decisions.conflicts().rules().version();
        session_id link{static_cast<std::uint32_t>(links.size() + 1)};
        links[hello.name] = link;
        happens(link_up{link, {}, "test:" + hello.name});
        happens(received{link, hello, 100});
    }
    void gets(const member& other) {
        std::string name =
            std::to_string(static_cast<std::uint64_t>(other.decisions.identity().id));
        if (!links.contains(name)) meets(other);
        for (const shared_bytes& run : other.runs)
            happens(received{links.at(name), runs_message{{run}}, 100});
        decisions.check_invariants();
    }

    [[nodiscard]] std::vector<open_conflict> all() {
        std::vector<open_conflict> out;
        for (const auto& [where, one] : decisions.conflicts().all())
            out.push_back(conflict_index::shown(decisions.state(), one));
        return out;
    }
    [[nodiscard]] open_conflict only() {
        auto there = all();
        BOOST_REQUIRE_EQUAL(there.size(), 1);
        return there.front();
    }
    template <class Read>
    auto reads(Read read) {
        BOOST_REQUIRE(decisions.begin_change(wall_ms++));
        transaction t(decisions);
        auto out = read(t);
        decisions.roll_back_change();
        BOOST_REQUIRE_MESSAGE(out, (out ? "" : to_string(out.error())));
        return *out;
    }
    std::string lww(const std::string& key) {
        auto found = reads([&](transaction& t) { return t.lww_register(key).get(); });
        return found ? to_string(*found) : "nothing";
    }
    std::string mv(const std::string& key) {
        std::string out;
        for (const value& v : reads([&](transaction& t) { return t.mv_register(key).get(); }))
            out += (out.empty() ? "" : " ") + to_string(v);
        return out;
    }
};

inline auto sets(const std::string& key, const value& content) {
    return [=](transaction& t) { return t.mv_register(key).set(content); };
}

inline void exchange(const std::vector<member*>& all) {
    for (member* to : all) {
        for (member* from : all) {
            if (to != from) to->gets(*from);
        }
    }
}

inline void check_alike(std::vector<member*> all) {
    for (member* each : all) {
        BOOST_TEST(to_string(each->decisions.state().digest()) ==
                   to_string(all.front()->decisions.state().digest()));
        auto mine = each->all();
        auto theirs = all.front()->all();
        BOOST_REQUIRE_EQUAL(mine.size(), theirs.size());
        for (std::size_t i = 0; i < mine.size(); ++i) {
            BOOST_TEST((mine[i].what == theirs[i].what));
            BOOST_TEST((mine[i].made == theirs[i].made));
        }
    }
}

// Two members with the same rules.
struct pair {
    member a;
    member b;
    explicit pair(const rules& all = {})
        : a("berlin", 10, all, "eu"), b("oslo", 20, all, "north") {}
    void sync() {
        exchange({&a, &b});
        check_alike({&a, &b});
    }
};

} // namespace weft::tests
