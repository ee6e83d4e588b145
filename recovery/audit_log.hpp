#pragma once
#include "base/env.hpp"
#include "base/limits.hpp"
#include "resolve/audit_trail.hpp"

#include <atomic>
#include <map>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace weft {

struct audit_log_options {
    std::uint64_t age_ms_max = limits::audit_age_ms_max;
    std::uint64_t bytes_max = limits::audit_bytes_max;
    std::uint64_t segment_bytes = limits::audit_segment_bytes;
};

// The audit trail on a disk: segments of entries, `audit-<position>.weft`; docs/formats.md, "Audit trail".
//
//   damage     never stops a start, and never gives a wrong entry: what is behind it is still found, also
//              behind a damaged header, and it is reported by name and offset. A torn tail is cut, with a
//              warning; nothing else is, and what cannot be read at all stays until there is too much, or
//              until something behind it is too old
//   retention  the oldest segments go, whole, when they are too old or too much. A segment takes entries of
//              an eighth of the age (limits::audit_segments_an_age), and what is too old is looked for every
//              limits::audit_look_ms while there are entries: so no entry stays longer than the age, an
//              eighth of it and that. Of what is too much the newest segment stays
//   restart    a replay decides again what it decided before, in the same order. The run of the log and the
//              id tell what is here, and what came before the oldest that is here: retention took that; of
//              what a snapshot holds nobody knows the run: `take_replayed` adds it where neither the trail
//              has it nor retention may have taken it, which the times of its writes tell
class audit_log final : public audit_trail {
public:
    // Nothing is on the disk before the first entry is.
    [[nodiscard]] static result<std::unique_ptr<audit_log>> open(env& doors,
                                                                 audit_log_options options);

    // Takes the decisions of a replay that the trail does not have and has not had, and those about what is
    // `open` now, but where that is decided `anew`, under other rules, and will be appended. Gives what is
    // open the times since when the trail knows it. Once, before anything is appended.
    [[nodiscard]] result<void> take_replayed(std::vector<audit_entry>& decided,
                                             std::span<audit_entry> open, bool anew = false);

    [[nodiscard]] result<void> append(std::vector<audit_entry>& entries) override;
    void sync_later(std::function<void(result<void>)> done) override;
    [[nodiscard]] result<audit_page> find(const audit_query& asked) override;
    [[nodiscard]] std::uint64_t size_bytes() const override { return size_bytes_; }
    void stop() override { looks_.reset(); }

private:
    struct segment {
        std::uint64_t start = 0; // the bytes of all segments before it, of those that are gone, too
        std::uint64_t size = 0;
        hlc oldest{UINT64_MAX};
        hlc newest{};

        [[nodiscard]] bool readable() const { return newest != hlc{}; } // some entry of it is
    };
    audit_log(env& doors, audit_log_options options);
    [[nodiscard]] result<void> read_segments();
    [[nodiscard]] result<void> read_segment(std::uint64_t start, bool last);
    void know(const audit_entry& entry);
    [[nodiscard]] result<void> begin_segment();
    [[nodiscard]] result<void> append_some(std::span<const audit_entry> entries,
                                           std::size_t& written);
    [[nodiscard]] result<void> write(byte_view records, hlc oldest, hlc newest);
    [[nodiscard]] bool takes_more() const; // the newest segment, without being too old for it
    [[nodiscard]] bool too_old(const segment& one) const;
    void retain();
    void look_again(); // for what will be too old, in a while
    void count_bytes();
    using sync_callback = std::function<void(result<void>)>;
    void sync_next(std::vector<std::shared_ptr<file>> left);
    void synced(const result<void>& outcome);

    env doors_; // they outlive it
    audit_log_options options_;
    std::vector<segment> segments_; // oldest first
    std::atomic<std::uint64_t> size_bytes_{0};
    std::shared_ptr<file> open_; // the newest one, if it can be appended to
    std::vector<std::shared_ptr<file>> unsynced_;
    bool new_names_ = false;                  // in the directory, not synced
    std::vector<sync_callback> syncing_;      // whom the sync under way serves …
    std::vector<sync_callback> sync_waiters_; // … and the next
    std::unique_ptr<timer> looks_;
    bool will_look_ = false;
    std::shared_ptr<const bool> alive_ = std::make_shared<const bool>(true);
    // Until take_replayed: the newest run that made an entry of that id, since when what is not settled is
    // there, and the first entry of all.
    using hash = std::array<std::uint64_t, 2>;
    struct first_entry {
        hash id{};
        hlc at;
        log_index run{};
    };
    std::map<hash, log_index> known_;
    struct first_known {
        hlc at;
        std::uint64_t rules = 0;
    };
    std::map<hash, first_known> since_;
    std::optional<first_entry> oldest_;
};

[[nodiscard]] std::string audit_name(std::uint64_t start);
[[nodiscard]] std::optional<std::uint64_t> parse_audit_name(std::string_view name);

} // namespace weft
