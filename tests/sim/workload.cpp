#include "tests/sim/workload.hpp"

#include "base/limits.hpp"

namespace weft::sim {

std::string workload::key(std::string_view kind) {
    return std::string(kind) + std::to_string(random_.below(options_.keys));
}

std::string workload::word() {
    static constexpr std::string_view words[] = {"red", "green", "blue", "äöü",
                                                 "the quick brown fox"};
    return std::string(words[random_.below(std::size(words))]);
}

value workload::content() {
    if (random_.chance(options_.large)) {
        return std::string(1 + random_.below(options_.large_bytes),
                           static_cast<char>('a' + random_.below(26)));
    }
    switch (random_.below(6)) {
        case 0: return value();
        case 1: return random_.chance(0.5);
        case 2: return static_cast<double>(random_.between(-1000, 1000)) / 8;
        case 3: return word();
        case 4: return value::of_time_ms(random_.between(0, 1'000'000));
        default: return random_.between(-1'000'000, 1'000'000);
    }
}

void workload::claim(bool holds, std::string_view what) {
    if (!holds && problem_.empty()) problem_ = what;
}

// A person settles some conflict, in one of the ways there are.
std::optional<commit> workload::resolve(replica& at) {
    auto all = at.conflicts("", true);
    if (!all || all->empty()) return std::nullopt;
    const conflict& seen = (*all)[static_cast<std::size_t>(random_.below(all->size()))].what;
    resolution how{.who = "person" + std::to_string(random_.below(3))};
    const auto& siblings = seen.siblings;
    std::uint64_t way = random_.below(4);
    if (!is_register(seen.type.kind) && seen.kind == conflict_kind::bound) {
        how.content = random_.between(0, 20);
    } else if (way < 2 || seen.kind == conflict_kind::type_clash) {
        how.take = siblings[static_cast<std::size_t>(random_.below(siblings.size()))].at;
    } else if (way == 2) {
        how.content = content();
    }
    bool clash_of_bound = false; // which is never removed
    for (const sibling& s : siblings) {
        bool bounded = s.content && s.content->as_text() == "bounded_counter";
        clash_of_bound = clash_of_bound || (bounded && s.at != how.take);
    }
    auto done = at.resolve(seen, how);
    if (done) return *done;
    errc code = done.error().code;
    bool beyond = code == errc::bound_exceeded && is_register(seen.type.kind);
    bool several = code == errc::invalid_argument && seen.kind == conflict_kind::type_clash;
    claim(code == errc::disk_full || code == errc::closed || clash_of_bound || beyond || several,
          "a conflict could not be settled: " + to_string(done.error()));
    return std::nullopt;
}

std::optional<commit> workload::write(replica& at, std::span<const replica_id> known) {
    if (options_.resolves > 0 && random_.chance(options_.resolves)) return resolve(at);
    bool spoiled = random_.chance(options_.refused);
    std::uint64_t operations =
        random_.chance(options_.burst) ? 100 + random_.below(400) : 1 + random_.below(5);
    auto before = at.status();
    auto done = at.transact([&](transaction& t) {
        for (std::uint64_t i = 0; i < operations && !t.failure(); ++i) write_one(t, known);
        if (spoiled && !t.failure()) spoil(t);
    });
    if (done) {
        claim(!spoiled, "a transaction with a refused write was committed");
        return *done;
    }
    auto after = at.status();
    errc code = done.error().code;
    claim(before && after && before->digest == after->digest && before->objects == after->objects,
          "a transaction that was rolled back changed something: " + to_string(done.error()));
    claim(spoiled || code == errc::bound_exceeded || code == errc::disk_full ||
              code == errc::closed,
          "a good transaction was refused: " + to_string(done.error()));
    return std::nullopt;
}

void workload::spoil(transaction& t) {
    result<void> refused;
    switch (random_.below(5)) {
        case 0: return t.abort("a change of mind");
        case 1: refused = t.counter(std::string(limits::key_bytes_max + 1, 'k')).increment(); break;
        case 2: refused = t.lww_register(key("register")).set(value("\xff\xfe")); break;
        case 3: refused = t.grow_counter(key("grow_counter")).increment(-1); break;
        default: refused = t.counter("").increment(); break;
    }
    claim(!refused, "bad use was accepted");
}

void workload::write_one(transaction& t, std::span<const replica_id> known) {
    result<void> done;
    switch (random_.below(16)) {
        case 0:
        case 1: {
            auto r = t.lww_register(key("register"));
            value wanted = content();
            if (random_.chance(0.15)) {
                done = r.remove();
                claim(!*r.exists(), "a register was removed and is there");
            } else {
                done = r.set(wanted);
                auto now = r.get();
                claim(now && *now && **now == wanted, "a transaction does not read its own write");
            }
            break;
        }
        case 2: {
            auto r = t.mv_register(key("mv_register"));
            done = random_.chance(0.15) ? r.remove() : r.set(content());
            break;
        }
        case 3:
        case 4: {
            auto c = t.counter(key("counter"));
            done = random_.chance(0.1) ? c.reset() : c.increment(random_.between(-9, 9));
            break;
        }
        case 5: {
            auto c = t.grow_counter(key("grow_counter"));
            done = random_.chance(0.1) ? c.remove() : c.increment(random_.between(0, 9));
            break;
        }
        case 6:
        case 7: {
            auto s = t.set<std::string>(key("set"));
            std::string element = word();
            std::uint64_t what = random_.below(20);
            done = what == 0 ? s.remove() : what < 8 ? s.remove_element(element) : s.add(element);
            break;
        }
        case 8: {
            auto s =
                t.remove_wins_set<std::int64_t>(key("set")); // names shared with the sets above
            std::int64_t element = random_.between(0, 4);
            std::uint64_t what = random_.below(20);
            done = what == 0 ? s.remove() : what < 8 ? s.remove_element(element) : s.add(element);
            break;
        }
        case 9: {
            auto s = t.grow_set<value>(key("grow_set"));
            done = random_.chance(0.05) ? s.remove() : s.add(content());
            break;
        }
        case 10: {
            auto f = t.flag(key("flag"));
            std::uint64_t what = random_.below(10);
            done = what == 0 ? f.remove() : what < 5 ? f.disable() : f.enable();
            break;
        }
        case 11: {
            auto f = t.disable_wins_flag(key("flag"));
            std::uint64_t what = random_.below(10);
            done = what == 0 ? f.remove() : what < 5 ? f.disable() : f.enable();
            break;
        }
        case 12:
        case 13: {
            std::string name = key("map");
            if (random_.chance(0.08)) {
                done = t.remove(name);
            } else {
                write_in_map(t.map(name), 0);
            }
            break;
        }
        case 14: write_bounded(t.bounded_counter(key("stock")), known); break;
        default: done = t.remove(key(random_.chance(0.5) ? "register" : "set")); break;
    }
    claim(done.has_value() || t.failure(), "a write failed, its transaction did not");
}

void workload::write_in_map(const map_handle& map, int depth) {
    map_handle here = map;
    result<void> done;
    switch (random_.below(8)) {
        case 0:
        case 1: done = here.put(key("field"), content()); break;
        case 2: done = here.counter(key("field")).increment(random_.between(-5, 5)); break;
        case 3: done = here.set<std::string>("tags").add(word()); break;
        case 4: done = here.set<std::string>("tags").remove_element(word()); break;
        case 5: done = here.remove_field(key("field")); break;
        case 6: done = here.flag("on").enable(); break;
        default:
            if (depth >= 3) {
                done = here.remove_wins_set<std::string>("tags").remove_element(word());
            } else if (random_.chance(0.15)) {
                done = here.remove_field("below");
            } else {
                write_in_map(here.map("below"), depth + 1);
            }
            break;
    }
    claim(done.has_value(), "a write in a map failed");
}

void workload::write_bounded(const bounded_counter_handle& stock,
                             std::span<const replica_id> known) {
    bounded_counter_handle here = stock;
    auto now = here.read();
    if (!now) {
        claim(here.create_at_least(stock_bound, 20).has_value(),
              "a bounded counter was not created");
        return;
    }
    claim(*now >= stock_bound, "a bounded counter crossed its bound");
    // A refusal would fail the whole transaction, so mostly only what the rights allow.
    auto rights = here.rights();
    if (!rights) return;
    bool dare = random_.chance(0.05);
    std::int64_t amount = random_.between(1, 6);
    bool allowed = dare || static_cast<std::uint64_t>(amount) <= *rights;
    result<void> done;
    switch (random_.below(4)) {
        case 0: done = here.increment(amount); break;
        case 1:
            if (allowed && !known.empty()) {
                done = here.transfer(known[random_.below(known.size())], amount);
            }
            break;
        default:
            if (allowed) done = here.decrement(amount);
            break;
    }
    claim(done.has_value() || dare, "a bounded counter refused what the rights allow");
}

} // namespace weft::sim
