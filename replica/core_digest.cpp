#include "base/limits.hpp"
#include "replica/core.hpp"
#include "replica/digest_ranges.hpp"

// Two replicas whose version vectors happen to be equal compare what they hold, as heartbeats tell it.
namespace weft {

void core::compare_digest(session& s, const heartbeat_message& beat) {
    // The digest belongs to the sealed state; an open run would make it another one.
    bool same_vector = beat.applied_hash != 0 && open_run_.empty() &&
                       beat.applied_hash == hash_of_vector(applied_);
    peer_entry* entry = entry_of(s);
    if (entry == nullptr || !same_vector) return;
    note_comparison(s, state_.digest(), {beat.digest});
    // Where they differ is found on copies, so that writing does not end the search.
    bool search = entry->digest_mismatch && entry->mismatch_keys.empty();
    if (!search || now_ < s.next_mismatch_check) return;
    s.next_mismatch_check = now_.after_ms(limits::mismatch_check_ms);
    checks_[s.id].wanted = true;
}

void core::note_comparison(session& s, const state_digest& ours, const state_digest& theirs) {
    peer_entry* entry = entry_of(s);
    if (entry == nullptr) return;
    digest_compared_ = now_;
    entry->digest_compared = now_;
    if (ours == theirs) {
        entry->digest_mismatch = false;
        entry->mismatch_keys.clear();
        return;
    }
    if (std::exchange(entry->digest_mismatch, true)) return;
    report_event(severity::error, "digest.mismatch",
                 "equal version vectors, but another state at " + s.name + ": here " +
                     to_string(ours) + ", there " + to_string(theirs) +
                     ". One of the two is damaged in memory or by a defect, or a directory that "
                     "was put back wrote under an id that others knew more of; keep both "
                     "directories");
}

} // namespace weft
