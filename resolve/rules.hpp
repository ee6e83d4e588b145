#pragma once
#include "resolve/strategies.hpp"

#include <bitset>
#include <functional>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace weft {

// A bound that two numbers do not state, of a type of one's own that is kept in a register, or of a counter.
// It must be pure, and the same on every replica: its name goes into the version of the rules.
struct bound_check {
    std::string name;
    std::function<std::string(const value&)> violated; // why a value is refused; empty if it is not
};

// Where a resolver applies. What is not said matches everything.
//
//   key    of the object: "config", or "place:*" for all that begin so; a star may stand at the end only
//   field  of a map: the last name of the path, at any depth
//   type   mv_register or lww_register: what can hold several concurrent writes; a counter or grow_counter,
//          if a bound is given. Without it both registers, and no counter
//   how    without it, a rule that states bounds and nothing else leaves it, and what becomes of removes, to
//          the next less specific one that says it, or to what the type does by itself; any other asks nobody
struct rule {
    std::string key = {};
    std::string field = {};
    std::optional<type_kind> type = {};
    std::optional<resolver> how = {};
    // A remove that did not see a write is kept beside it, as a sibling without a value.
    bool keeps_removes = false;
    // Numbers between which the value that is read must lie, and a check that it must pass. One that is
    // outside waits for a person, as it stands; so does one for which the check throws.
    std::optional<value> min = {};
    std::optional<value> max = {};
    std::optional<bound_check> check = {};

    // Why a value is refused; empty if it is not.
    [[nodiscard]] std::string outside(const value& read) const;
    [[nodiscard]] bool bounded() const { return min || max || check; }
};

// All rules of a replica. Which one applies to an object is the same everywhere that has the same rules: the
// most specific, by key (the exact one, then the longest beginning), then by field, then by type.
//
//   cost    find: O(r) for r rules
class rules {
public:
    rules() = default; // none: every conflict waits for a person
    // invalid_argument: two that apply to just the same, or one that can apply to nothing.
    [[nodiscard]] static result<rules> make(std::vector<rule> all);

    // The one for the object at a path; null if there is none.
    [[nodiscard]] const rule* find(std::span<const std::string_view> path, type_id type) const;
    // The one that says how, which has `how`: the same, or the next that does; null if there is none.
    [[nodiscard]] const rule* find_how(std::span<const std::string_view> path, type_id type) const;

    // The same rules, each strategy and each check replaced by what is made of it, which has its name. The
    // check is that of the rule, which has one.
    [[nodiscard]] rules
    with_functions(const std::function<strategy(const strategy&)>& around_strategy,
                   const std::function<bound_check(const rule&)>& around_check) const;

    [[nodiscard]] bool empty() const { return all_.empty(); }
    [[nodiscard]] bool any_keeps_removes() const { return any_keeps_removes_; }
    // Whether some rule that states a bound fits the object, the most specific or not. Each change asks:
    // O(log r), and a first byte that no such rule's key has says so at once.
    [[nodiscard]] bool may_bound(std::span<const std::string_view> path, type_id type) const {
        return (bounded_kinds_ >> static_cast<unsigned>(type.kind) & 1U) != 0 && !path.empty() &&
               (bounded_keys_.holds(path.front()) || bounds_field(path));
    }
    [[nodiscard]] std::span<const rule> all() const { return all_; } // most specific first
    // Differs where the rules do; 0 for none. Strategies count by their names.
    [[nodiscard]] std::uint64_t version() const { return version_; }

private:
    std::vector<rule> all_;
    std::uint64_t version_ = 0;
    bool any_keeps_removes_ = false;

    // The keys that some rules are about, of which no rule's are among another's.
    class keys {
    public:
        keys() = default;
        explicit keys(std::vector<std::pair<std::string, bool>> stems);
        [[nodiscard]] bool holds(std::string_view key) const {
            return every_ ||
                   (!key.empty() && first_[static_cast<unsigned char>(key[0])] && find(key));
        }

    private:
        [[nodiscard]] bool find(std::string_view key) const;

        std::vector<std::pair<std::string, bool>> stems_; // in order; true: just that key
        std::bitset<256> first_;                          // bytes of them
        bool every_ = false;
    };
    [[nodiscard]] bool bounds_field(std::span<const std::string_view> path) const;

    std::uint32_t bounded_kinds_ = 0; // bit k: of kind k
    keys bounded_keys_;               // of rules that name no field …
    keys bounded_field_keys_;         // … and of those that name one of these
    std::vector<std::string> bounded_fields_;
};

// One rule in words: "place:* field name type mv_register: max, keeps removes, from 0 to 9".
[[nodiscard]] std::string to_string(const rule& one);

} // namespace weft
