#pragma once
#include "resolve/resolver.hpp"

#include <array>
#include <cstdint>
#include <functional>
#include <optional>
#include <span>
#include <string>
#include <vector>

namespace weft {

// A value as the trail keeps it: as it is, or, of a large text or binary, its XXH3-128 and its size. What no
// write can hold, and no resolver lets pass, it keeps as it can: absent as null, text that is not UTF-8 as
// bytes. So whatever is written can be read.
struct audited_value {
    value content;                  // of a large one 16 bytes
    std::uint64_t hashed_bytes = 0; // 0: it is there as it is

    bool operator==(const audited_value&) const = default;
};
[[nodiscard]] audited_value audited(const value& content);

struct audited_sibling {
    dot at;
    hlc stamp;
    std::string member;
    std::optional<audited_value> content; // nothing: a remove that is kept

    bool operator==(const audited_sibling&) const = default;
};

// What came of a conflict. The numbers are part of the format.
enum class audit_outcome : std::uint8_t {
    resolved = 1, // by a rule
    waits = 2,    // for a person
    settled = 3,  // by a later write
};
[[nodiscard]] std::string_view to_string(audit_outcome outcome);

// One decision about one conflict, as one replica came to know it. Which conflicts lie on the way to a state
// depends on what arrived when, so trails may differ in between. About what is still open they agree, but how
// far a bound is crossed: whose writes stand beside each other there they say, not what these added since.
struct audit_entry {
    std::array<std::uint64_t, 2>
        id{}; // of path, kind, type, siblings' dots, rules, outcome, resolution
    conflict_kind kind{};
    std::vector<std::string> path;
    type_id type;
    std::vector<audited_sibling> siblings; // limits::audit_siblings_max of them at most …
    std::uint64_t siblings_left_out = 0;   // … and so many more
    std::uint64_t rules_version = 0;
    audit_outcome outcome{};
    std::string strategy;              // that decided, or, of what is settled, one of these below
    std::vector<audited_value> result; // what is read then; none: nothing
    std::vector<std::string> failed;   // strategies that could not say, and why
    std::string who;                   // settled it, as the resolution says
    replica_id replica{};              // that recorded it …
    std::string member;                // … and its name
    hlc at;                            // when, by its clock
    log_index run{}; // which run of its log made it decide: a conflict may come back

    bool operator==(const audit_entry&) const = default;
};

// How a conflict is settled.
inline constexpr std::string_view settled_by_person = "manual";
inline constexpr std::string_view settled_by_write = "overwritten";
inline constexpr std::string_view settled_within_state =
    "state_transfer"; // of a peer: who is not known

// All but who recorded it, and when.
[[nodiscard]] audit_entry audit_of(const conflict& what, const decision& made,
                                   std::uint64_t rules_version);
// The same of a conflict that is settled by nobody in particular; `read` is what is read then.
[[nodiscard]] audit_entry audit_of_settled(const conflict& was, const reading& read,
                                           std::string_view strategy, std::uint64_t rules_version);
// The same of one that a person settled, by an operation of that dot.
[[nodiscard]] audit_entry audit_of_resolution(const conflict& was, const reading& read,
                                              std::string who, dot by, std::uint64_t rules_version);

void encode(byte_writer& out, const audit_entry& entry);
[[nodiscard]] audit_entry decode_audit_entry(byte_reader& in);

// What is asked for. What is not said matches everything.
struct audit_query {
    std::string key = {};
    std::string prefix = {};   // of the key
    std::string strategy = {}; // "priority" finds "priority(berlin)", too
    std::string replica = {};  // name or id of who wrote a sibling that is kept
    hlc since = {};
    hlc until = {UINT64_MAX};
    std::uint64_t from = 0; // a page's `next`: where to go on
    std::size_t entries_max = 1'000;

    [[nodiscard]] bool matches(const audit_entry& entry) const;
};
struct audit_page {
    std::vector<audit_entry> entries;  // oldest first
    std::optional<std::uint64_t> next; // there may be more
    std::vector<error> damaged;        // what could not be read, by file and offset
};

// Where decisions are kept. recovery/audit_log fulfils it on a disk. Loop thread only.
class audit_trail {
public:
    virtual ~audit_trail() = default;

    // Takes them away from the front as it writes them, so that what is left after an error can be tried
    // again. They survive the process, not yet a power cut.
    [[nodiscard]] virtual result<void> append(std::vector<audit_entry>& entries) = 0;
    // Makes everything appended so far durable; `done` is called once, on the loop.
    virtual void sync_later(std::function<void(result<void>)> done) = 0;
    // A page of what matches. It looks at a bounded part of the trail, so a page may be empty and still have
    // a `next`.
    [[nodiscard]] virtual result<audit_page> find(const audit_query& asked) = 0;
    [[nodiscard]] virtual std::uint64_t size_bytes() const = 0; // from any thread
    // Nothing happens by itself any more, and the loop need not outlive the trail.
    virtual void stop() = 0;
};

} // namespace weft
