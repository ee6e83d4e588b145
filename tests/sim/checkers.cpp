#include "tests/sim/checkers.hpp"

#include "replica/driver.hpp"
#include "tests/sim/reference.hpp"
#include "tests/sim/reference_digest.hpp"

#include <algorithm>
#include <set>

namespace weft::sim {

void durability_checker::on_ack(const std::string& from,
                                std::span<const version_vector::entry> durable) {
    auto& told = told_.try_emplace(from, version_vector()).first->second;
    if (!told) return;
    for (const auto& e : durable) told->advance(e.replica, e.counter);
}

problems durability_checker::check(const host& started) const {
    auto told = told_.find(started.name());
    if (told == told_.end() || !told->second) return {};
    problems out;
    for (const auto& e : told->second->above(started.applied())) {
        out.push_back(started.name() + " told a peer that operation " +
                      to_string(dot{e.replica, e.counter}) + " was durable, and starts with only " +
                      std::to_string(started.applied().at(e.replica)));
    }
    return out;
}

void dot_checker::on_run(std::initializer_list<std::string_view> where, byte_view run) {
    auto place_of = [&] {
        std::string out;
        for (std::string_view part : where) out += part;
        return out;
    };
    auto header = read_run_header(run);
    if (!header) {
        found_.push_back(place_of() + ": " + to_string(header.error()));
        return;
    }
    run_hash hash = hash_of(run);
    auto& of_origin = runs_[header->origin];
    auto place = of_origin.lower_bound(header->first);
    bool known = place != of_origin.end() && place->first == header->first;
    auto reused = [&](std::uint64_t counter, const std::string& other) {
        found_.push_back("dot " + to_string(dot{header->origin, counter}) + " has one content at " +
                         other + " and another at " + place_of());
    };
    if (known) {
        if (place->second.hash != hash) reused(header->first, place->second.where);
        return;
    }
    place = of_origin.emplace_hint(
        place, header->first, known_run{header->end, hash, place_of(), {run.begin(), run.end()}});
    if (place != of_origin.begin()) {
        auto before = std::prev(place);
        if (before->second.end > header->first) reused(header->first, before->second.where);
    }
    if (auto after = std::next(place); after != of_origin.end() && after->first < header->end) {
        reused(after->first, after->second.where);
    }
}

problems check_log_order(const std::string& name, std::span<const bytes> log,
                         const version_vector& floor, bool near_clocks) {
    problems out;
    version_vector seen;
    std::map<replica_id, run_hash> last;
    std::map<replica_id, std::map<std::uint64_t, hlc>>
        stamps; // of changes, by their last operation
    for (const bytes& run : log) {
        auto decoded = decode_run(run);
        if (!decoded) {
            out.push_back(name + "'s log: " + to_string(decoded.error()));
            return out;
        }
        const run_header& header = (*decoded)->header;
        std::string what = name + "'s log: run " + to_string(dot{header.origin, header.first});
        bool jumps = header.first != seen.at(header.origin) + 1;
        if (jumps && (header.first <= seen.at(header.origin) ||
                      header.first - 1 > floor.at(header.origin))) {
            out.push_back(what + " follows operation " + std::to_string(seen.at(header.origin)));
        }
        if (!jumps && header.previous != last[header.origin]) {
            out.push_back(what + " does not continue the hash chain");
        }
        for (const change_view& change : (*decoded)->changes) {
            for (const auto& e : change.dependencies) {
                dot cause{e.replica, e.counter};
                if (seen.covers(cause) || floor.covers(cause)) continue;
                out.push_back(what + " depends on " + to_string(dot{e.replica, e.counter}) +
                              ", which is not before it");
            }
            auto above = [&](replica_id origin, std::uint64_t counter) {
                auto& its = stamps[origin];
                auto newest = its.upper_bound(counter);
                if (newest == its.begin()) return;
                hlc earlier = std::prev(newest)->second;
                if (earlier < change.stamp) return;
                out.push_back(what + " is stamped " + to_string(change.stamp) + ", not above " +
                              to_string(earlier) + " of what it had seen");
            };
            above(header.origin, change.first);
            for (const auto& e : change.dependencies) {
                if (near_clocks) above(e.replica, e.counter);
            }
            stamps[header.origin][change.end - 1] = change.stamp;
        }
        seen.advance(header.origin, header.end - 1);
        last[header.origin] = hash_of(run);
    }
    return out;
}

namespace {

std::string tell(const promise& p) {
    std::string level = p.level.what == ack_level::kind::disk       ? "disk"
                        : p.level.what == ack_level::kind::majority ? "majority"
                                                                    : "replicated";
    return "change " + to_string(p.first) + ", which " + p.host + " acknowledged at " + level +
           "(" + std::to_string(p.level.members) + "),";
}

} // namespace

problems check_promises(const hosts& all, std::span<const promise> given, const dot_checker& seen) {
    problems out;
    std::map<dot, hlc> stamps;
    for (const auto& [origin, runs] : seen.runs()) {
        for (const auto& [first, run] : runs) {
            auto decoded = decode_run(run.content);
            if (!decoded) continue;
            for (const change_view& change : (*decoded)->changes)
                stamps[{origin, change.first}] = change.stamp;
        }
    }
    for (const promise& p : given) {
        if (p.void_now) continue;
        for (const auto& one : all) {
            if (one->applied().at(p.first.replica) >= p.end - 1) continue;
            out.push_back(tell(p) + " is not at " + one->name());
        }
        auto found = stamps.find(p.first);
        if (found != stamps.end() && found->second == p.stamp) continue;
        out.push_back(tell(p) + " has become another: " +
                      (found == stamps.end() ? "none starts there" : to_string(found->second)));
    }
    return out;
}

problems check_kept(const host& one, std::span<const promise> given) {
    problems out;
    version_vector applied = one.applied();
    for (const promise& p : given) {
        bool its_own = p.host == one.name() && p.level.what == ack_level::kind::disk && !p.void_now;
        if (!its_own || applied.at(p.first.replica) >= p.end - 1) continue;
        out.push_back(tell(p) + " was not there when it started again: of " +
                      std::to_string(p.end - 1) + " operations " +
                      std::to_string(applied.at(p.first.replica)));
    }
    return out;
}

bool all_active(const hosts& all) {
    return std::all_of(all.begin(), all.end(), [](const auto& one) {
        auto status = (*one)->status();
        return status && std::all_of(status->peers.begin(), status->peers.end(), [](auto& peer) {
                   return !peer.configured ||
                          (peer.state == peer_state::active && peer.lag_ops == 0);
               });
    });
}

problems check_equal(const hosts& all) {
    problems out;
    for (const auto& one : all) {
        one->check_invariants();
        if (one->applied() != all[0]->applied()) {
            out.push_back(one->name() + " has " + to_string(one->applied()) + ", " +
                          all[0]->name() + " has " + to_string(all[0]->applied()));
        } else if (one->digest() != all[0]->digest()) {
            out.push_back(one->name() + " and " + all[0]->name() +
                          " have equal vectors and other digests");
        }
        state_digest whole =
            (*one)->engine().with_core([](core& c) { return reference_digest(c.state()); });
        if (whole != one->digest()) {
            out.push_back(one->name() + " has the digest " + to_string(one->digest()) +
                          ", and its state makes " + to_string(whole));
        }
        auto status = (*one)->status();
        if (!status) {
            out.push_back(one->name() + ": " + to_string(status.error()));
        } else if (status->held_back_runs > 0) {
            out.push_back(one->name() + " still holds back " +
                          std::to_string(status->held_back_runs) + " runs");
        }
    }
    return out;
}

problems check_conflicts(const hosts& all) {
    problems out;
    using found = std::map<conflict_index::place, open_conflict>;
    auto of = [](const host& one) {
        return one->engine().with_core([](core& c) { return c.conflicts().all(); });
    };
    auto compare = [&](const found& mine, const found& theirs, const std::string& who) {
        for (const auto& [where, there] : mine) {
            auto other = theirs.find(where);
            std::string name = "'" + where.path.back() + "'";
            if (other == theirs.end()) {
                out.push_back(who + ": no conflict at " + name + ", or only there");
            } else if (!(other->second.what == there.what)) {
                out.push_back(who + ": other siblings of " + name);
            } else if (!(other->second.made == there.made)) {
                out.push_back(who + ": " + name + " is decided by " + there.made.strategy +
                              ", and by " + other->second.made.strategy);
            }
        }
        if (mine.size() != theirs.size()) out.push_back(who + ": another number of conflicts");
    };
    found first = of(*all[0]);
    for (const auto& one : all) {
        found here = of(*one);
        compare(here, first, one->name() + " and " + all[0]->name());
        // As if it had just been loaded.
        found fresh = (*one)->engine().with_core([](core& c) {
            conflict_index again = c.conflicts().of_same_rules();
            conflict_index::outcome unused;
            again.rebuild(c.state(), 1, unused);
            return again.all();
        });
        compare(here, fresh, one->name() + " and its state");
    }
    return out;
}

problems check_decisions(const host& one, std::span<const audit_entry> trail) {
    problems out;
    auto [open, rules] = one->engine().with_core(
        [](core& c) { return std::pair(c.conflicts().all(), c.conflicts().rules().version()); });
    std::set<std::array<std::uint64_t, 2>> known;
    // A bound is decided when it is crossed, and when writes of somebody else come to stand beside others.
    std::map<std::vector<std::string>, std::set<replica_id>> crossed;
    for (const audit_entry& entry : trail) {
        known.insert(entry.id);
        if (entry.kind != conflict_kind::bound) continue;
        if (entry.outcome == audit_outcome::settled) crossed.erase(entry.path);
        if (entry.outcome != audit_outcome::waits) continue;
        for (const auto& s : entry.siblings) crossed[entry.path].insert(s.at.replica);
    }
    auto knows_all_of = [&](const conflict& what) {
        auto by = crossed.find(what.path);
        if (what.kind != conflict_kind::bound || by == crossed.end()) return false;
        return what.siblings.size() == 1 ||
               std::all_of(what.siblings.begin(), what.siblings.end(),
                           [&](const sibling& s) { return by->second.contains(s.at.replica); });
    };
    for (const auto& [where, there] : open) {
        if (known.contains(audit_of(there.what, there.made, rules).id)) continue;
        if (knows_all_of(there.what)) continue;
        out.push_back(one.name() + "'s audit trail does not know what was decided about '" +
                      where.path.back() + "'");
    }
    return out;
}

problems check_reference(const hosts& all, const dot_checker& seen) {
    problems out;
    reference_model model;
    version_vector everywhere = all[0]->applied();
    for (const auto& e : everywhere.entries()) {
        std::uint64_t added = 0;
        auto of_origin = seen.runs().find(e.replica);
        if (of_origin != seen.runs().end()) {
            for (const auto& [first, run] : of_origin->second) {
                auto decoded = decode_run(run.content);
                if (!decoded || first != added + 1 || run.end - 1 > e.counter) break;
                model.add(**decoded);
                added = run.end - 1;
            }
        }
        if (added == e.counter) continue;
        out.push_back("operation " + to_string(dot{e.replica, added + 1}) +
                      " is everywhere, and was on no link and in no log");
    }
    readings expected = model.read();
    for (const auto& [name, line] : expected) {
        bool wrong = line.find("CROSSED") != std::string::npos ||
                     line.find("OVERSPENT") != std::string::npos;
        if (wrong) out.push_back("the operations of " + name + " give " + line);
    }
    for (const auto& one : all) {
        readings got;
        auto read = (*one)->read([&](const keyspace& state) { got = read_all(state); });
        if (!read) {
            out.push_back(one->name() + ": " + to_string(read.error()));
        } else if (std::string wrong = difference(expected, got); !wrong.empty()) {
            out.push_back(one->name() + " reads otherwise than the model: " + wrong);
        }
    }
    return out;
}

problems check_subscriptions(const host& one, const host::kept_runs& log) {
    problems out;
    std::vector<dot> expected;
    std::uint64_t from = one.runs_at_start() - std::min(one.runs_at_start(), log.first);
    for (auto i = static_cast<std::size_t>(from); i < log.all.size(); ++i) {
        auto decoded = decode_run(log.all[i]);
        if (!decoded) continue;
        for (const change_view& change : (*decoded)->changes) {
            expected.push_back({(*decoded)->header.origin, change.first});
        }
    }
    for (std::size_t i = 0; i < std::max(expected.size(), one.seen().size()); ++i) {
        std::string next = i < expected.size() ? to_string(expected[i]) : "nothing";
        std::string told = i < one.seen().size() ? to_string(one.seen()[i].first) : "nothing";
        if (next == told) continue;
        out.push_back("subscribers at " + one.name() + " were told of " + told + " as change " +
                      std::to_string(i) + ", in the log is " + next);
        break;
    }
    return out;
}

problems check_reports(const hosts& all, bool cloned) {
    problems out;
    for (const auto& one : all) {
        for (const log_event& event : one->events()) {
            bool never = event.what == "digest.mismatch" || event.what == "session.blocked" ||
                         event.what == "session.bad_run" ||
                         event.text.find("dot_reused") != std::string::npos ||
                         (!cloned && event.text.find("duplicate_replica") != std::string::npos);
            if (never) out.push_back(one->name() + " reported " + event.what + ": " + event.text);
        }
    }
    return out;
}

} // namespace weft::sim
