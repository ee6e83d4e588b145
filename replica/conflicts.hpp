#pragma once
#include "replica/keyspace.hpp"
#include "resolve/audit_trail.hpp"
#include "resolve/rules.hpp"

#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

namespace weft {

// A conflict that is there now, and what the rules of this replica make of it.
struct open_conflict {
    conflict what;
    decision made;
    std::uint64_t since_ms = 0; // Unix milliseconds: since when this replica knows it

    [[nodiscard]] bool waits() const { return !made.read; } // for a person
};

// What subscribers are told of conflicts, those that a rule resolves among them.
struct conflict_event {
    enum class kind : std::uint8_t { opened, changed, closed };
    kind happened{};
    open_conflict now; // of one that closed: as it was
    std::string who;   // settled it, if a person did
};
[[nodiscard]] std::string_view to_string(conflict_event::kind what);
using conflict_callback = std::function<void(const conflict_event&)>;

// How a person settles a conflict: one sibling as it is, or a value, or neither: then it is removed.
struct resolution {
    std::optional<dot> take = {};
    std::optional<value> content = {};
    std::string who = {}; // for the audit trail; up to limits::who_bytes_max
};

// A path to keep, and one to look along.
[[nodiscard]] std::vector<std::string> owned_path(std::span<const std::string_view> path);
[[nodiscard]] std::vector<std::string_view> path_views(const std::vector<std::string>& path);

// The conflicts of a keyspace, in the order of their paths: what rules decide, and what waits. It is derived
// from the state and from nothing else, so replicas with equal states and rules have the same.
//
//   cost    read: that of the strategies, where several writes stand; else a look.
//           update: O(log n + siblings); rebuild: one pass over the state
class conflict_index {
public:
    static constexpr type_id whole_name{type_kind{}, element_kind{}};
    struct place {
        std::vector<std::string> path;
        type_id type; // or `whole_name`: what stands under the name, for a type clash

        auto operator<=>(const place&) const = default;
    };
    // Something that happened there; if it was a resolution, who it was, of what, and what they gave.
    struct touched {
        place where;
        std::string who = {};
        conflict_kind settles = {};
        sibling given = {};
    };
    // What came of an update, behind what came of those before it.
    struct outcome {
        std::vector<audit_entry> entries;
        std::vector<conflict_event> events;
        bool tells = false;  // somebody wants the events
        bool records = true; // decisions are made now, or were made then, and become entries
    };

    explicit conflict_index(weft::rules all = {}) : rules_(std::move(all)) {}

    [[nodiscard]] const weft::rules& rules() const { return rules_; }
    // Who stands behind a replica id. Strategies see it as member and region.
    void know(replica_id id, const incarnation& who) { known_[id] = {who.member, who.region}; }

    // Without any conflict, but with the same rules and the same knowledge of who is who.
    [[nodiscard]] conflict_index of_same_rules() const {
        conflict_index out(rules_);
        out.known_ = known_;
        return out;
    }

    // What is read of a register, where a rule says; nothing where it reads as if there were none.
    [[nodiscard]] std::optional<reading> read(std::span<const std::string_view> path, type_id type,
                                              const register_store<value>& writes) const;
    // All writes of a register, in the order of their dots.
    [[nodiscard]] std::vector<sibling> siblings(const register_store<value>& writes) const;

    // Looks again at places, which it takes, in a state that has changed there. `stamp_ms` is when.
    void update(const keyspace& state, std::span<touched> where, std::uint64_t stamp_ms,
                outcome& out);
    // Looks at the whole state. What was known with the same siblings stays as it is.
    void rebuild(const keyspace& state, std::uint64_t stamp_ms, outcome& out);
    // What is in a state that was loaded: it was decided before, and each is as old as its newest write, or,
    // where no write is known, as the newest of all.
    void load(const keyspace& state, std::uint64_t newest_ms);
    // Entries about all that is there, in order, with the time since when it is.
    [[nodiscard]] std::vector<audit_entry> decisions() const;
    // Gives them the times of such entries.
    void date(std::span<const audit_entry> all);

    // Somebody is going to be told what happens to what there is.
    void show(const keyspace& state);

    [[nodiscard]] const std::map<place, open_conflict>& all() const { return open_; }
    // What is there in a state, known or not.
    [[nodiscard]] std::optional<open_conflict>
    look(const keyspace& state, std::span<const std::string_view> path, type_id type) const;
    // The same conflict as people are shown it, and as they settle it: of a clash each type with a digest of
    // what it holds, for that changes while the types stay. As long as what is in the objects takes to read.
    [[nodiscard]] static open_conflict shown(const keyspace& state, open_conflict one);
    // Those at a path, whatever their type, and below it.
    [[nodiscard]] std::vector<place> at_and_below(std::span<const std::string_view> path) const;
    [[nodiscard]] std::size_t waiting() const { return waiting_; }
    // Strategies that failed, in conflicts that are there now.
    [[nodiscard]] std::size_t failing() const { return failing_; }
    [[nodiscard]] std::size_t out_of_bounds() const { return out_of_bounds_; }

private:
    struct member_name {
        std::string member;
        std::string region;
    };
    using path_view = std::span<const std::string_view>;
    [[nodiscard]] std::optional<open_conflict> look(path_view path, type_id type,
                                                    const register_store<value>& writes) const;
    [[nodiscard]] std::optional<open_conflict> look(path_view path, type_id type,
                                                    const counter_store& rows) const;
    void note(touched&& at, std::optional<open_conflict> now, const keyspace& state,
              std::string_view settles, std::uint64_t stamp_ms, outcome& out);
    [[nodiscard]] sibling written_by(dot at) const;
    [[nodiscard]] conflict settled(const touched& at, const conflict* was,
                                   const keyspace& state) const;
    [[nodiscard]] reading read(const keyspace& state, const place& where) const;
    void walk(const map_store& parent, std::vector<std::string_view>& path,
              const std::function<void(type_id)>& visit) const;
    void count(const open_conflict& one, bool comes);

    weft::rules rules_;
    std::map<replica_id, member_name> known_;
    std::map<place, open_conflict> open_;
    std::map<place, conflict> shown_; // clashes of which subscribers know: as they were shown
    std::size_t waiting_ = 0;
    std::size_t failing_ = 0;
    std::size_t out_of_bounds_ = 0;
};

// What a reader of a replica stands on.
struct state_view {
    const keyspace& objects;
    replica_id self;
    const conflict_index& conflicts;
};

} // namespace weft
