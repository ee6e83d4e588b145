#include "replica/core.hpp"
#include "replica/digest_ranges.hpp"

// Two replicas with equal version vectors compare what they hold. If it differs, they find out where.
namespace weft {
namespace {

std::string keys_in(const std::vector<range_digest>& ranges) {
    std::string out;
    for (const range_digest& r : ranges) {
        out += (out.empty() ? "keys from '" : ", and from '") + r.first + "'";
        out += r.end.empty() ? " on" : " before '" + r.end + "'";
    }
    return out;
}

std::vector<std::vector<range_digest>>
counted(const keyspace& state, std::vector<digest_count::range> ranges, std::size_t parts_max) {
    digest_count all(state, std::move(ranges), parts_max);
    while (!all.done()) all.step(SIZE_MAX);
    return all.take();
}

} // namespace

bool core::stands_at(std::uint64_t vector_hash) const {
    // The digest belongs to the sealed state; an open run would make it another one.
    return vector_hash != 0 && open_run_.empty() && vector_hash == hash_of_vector(applied_);
}

void core::compare_digest(session& s, const heartbeat_message& beat) {
    peer_entry* entry = entry_of(s);
    if (entry == nullptr || !stands_at(beat.applied_hash)) return;
    digest_compared_ = now_;
    entry->digest_compared = now_;
    if (beat.digest == state_.digest().words) {
        entry->digest_mismatch = false;
        entry->mismatch_keys.clear();
        return;
    }
    if (!std::exchange(entry->digest_mismatch, true)) {
        report_event(
            severity::error, "digest.mismatch",
            "equal version vectors, but another state at " + s.name + ": here " +
                to_string(state_.digest()) + ", there " + to_string(state_digest{beat.digest}) +
                ". One of the two is damaged in memory or by a defect, or a directory that was put "
                "back wrote under an id that others knew more of; keep both directories");
    }
    // It ends early if somebody writes, or if the peer has not seen the mismatch yet: then another is made.
    if (!entry->mismatch_keys.empty() || now_ < s.next_narrowing) return;
    s.next_narrowing = now_.after_ms(limits::digest_narrow_ms);
    s.narrowing_steps = 0;
    send(s, digests_message{beat.applied_hash,
                            counted(state_, {{}}, limits::digest_ranges_max).front()});
}

void core::on_digests(session& s, const digests_message& digests) {
    peer_entry* entry = entry_of(s);
    if (entry == nullptr || !entry->digest_mismatch || !entry->mismatch_keys.empty()) return;
    if (!stands_at(digests.applied_hash)) return;
    if (now_ >= s.next_narrowing) { // the peer began
        s.next_narrowing = now_.after_ms(limits::digest_narrow_ms);
        s.narrowing_steps = 0;
    }
    if (++s.narrowing_steps > limits::digest_narrow_steps_max)
        return; // each costs a look at the state
    std::vector<digest_count::range> asked;
    for (const range_digest& r : digests.ranges) asked.push_back({r.first, r.end});
    narrowed_ranges ours =
        narrow(digests.ranges, counted(state_, std::move(asked), limits::digest_ranges_max / 2));
    bool found = digests.found || ours.found || ours.ranges.empty();
    if (found) {
        entry->mismatch_keys = digests.found ? keys_in(digests.ranges) : keys_in(ours.ranges);
        if (entry->mismatch_keys.empty())
            entry->mismatch_keys = "no key: only the sums of all differ";
        report_event(severity::error, "digest.mismatch_keys",
                     "the states here and at " + s.name + " differ in: " + entry->mismatch_keys);
        if (digests.found) return;
    }
    send(s, digests_message{digests.applied_hash, std::move(ours.ranges), found});
}

} // namespace weft
