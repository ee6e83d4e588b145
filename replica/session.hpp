#pragma once
#include "base/env.hpp"
#include "base/ids.hpp"
#include "transport/message.hpp"

#include <optional>
#include <set>

namespace weft {

// The protocol state of two replicas over one link. It lives as long as the link; what must outlive a
// reconnect (counts, the operator's wishes, the backoff) is in the peer table of the core.
//
//   sending    a cursor into the log plus credit: no queue of changes, so a slow peer costs no memory.
//              Runs that the peer has, or has said it does not want here, are passed over.
//   receiving  how much was taken (which returns credit) and what was last acknowledged
struct session {
    session_id id{};
    std::optional<peer_id> peer; // the peer table's entry
    bool dialed = false;         // by this side
    std::string url;

    bool greeted = false;      // our Hello was sent …
    version_vector told_floor; // … with this floor

    // Who is there: from its Hello.
    bool open = false; // both said Hello, and neither refuses
    std::string name;
    replica_id their_id{};
    std::uint64_t nonce = 0;
    std::uint64_t rules_version = 0; // of what settles conflicts there
    std::uint64_t features = 0;      // what it can do that others may lack
    version_vector their_start;      // what it had applied then
    version_vector our_start;        // what we had then
    version_vector their_floor;      // what it holds only as state …
    bool below_floor = false;        // … and we lack some of it: nothing streams until we have it
    instant bad_state_until{}; // the state that it sent was no good: not asked for again before
    bool caught_up = false;

    // Sending.
    bool wanted = false;        // its Interest came: streaming may start
    interest_message interest;  // what it wants here
    version_vector known;       // what it has, or was sent here
    log_index cursor{};         // everything before it was considered
    bool holds = false;         // something is withheld: core::is_withheld
    version_vector lacked_past; // of our ids before, what it had more of than we: core::note_more
    std::optional<replica_id> passed_over; // the first id of ours of which a run was withheld
    bool reading = false;                  // a read_log is under way …
    log_index read_from{};                 // … for the cursor as it stood then
    std::size_t undrained_bytes = 0;       // sent since the link was last drained
    instant moved; // when the peer last took some of what it owes for, or owed nothing
    std::uint64_t sent_bytes = 0; // of runs
    std::uint64_t acked_bytes = 0;
    // Whatever was sent, in frames, and what of it the link has taken.
    std::uint64_t frames_bytes = 0;
    std::uint64_t frames_taken = 0;
    std::uint64_t owed_end = 0; // of the last frame that runs or a state's bytes were in
    instant link_moved;         // when it last took something, or had taken all
    // State transfer. Here it is sent: one of our snapshots, as far as it was asked for.
    std::optional<snapshot_ref> serving;
    std::uint64_t serve_next = 0;
    std::uint64_t serve_until = 0;
    bool serve_reading = false; // a read_state is under way
    instant served;             // when it was last asked for, or some of it sent

    // Receiving.
    interest_message asked; // the Interest that we sent last
    bool asked_once = false;
    bool ask_resend = false; // a run from here was dropped
    bool repairing = false;  // causes were missing: everything is wanted here until they came
    instant took;            // when a run last came
    std::uint64_t taken_bytes = 0;
    std::uint64_t reported_bytes = 0;
    version_vector reported_applied;
    version_vector reported_durable;
    instant at_once_until; // somebody there waits for what is durable here …
    instant next_asking;   // … and here for what is there: when to say so again

    // What the peer said of itself since.
    version_vector their_applied;
    version_vector their_durable;
    std::optional<error> blocked; // one of its runs cannot be applied
    bool forked = false;          // it has another history of an origin: no state goes either way
    std::set<replica_id>
        unreadable; // origins of which it sent an unreadable run: asked for elsewhere

    // Health.
    instant opened;
    instant last_heard;
    instant next_heartbeat;
    instant next_repair;      // when to look whether something does not come
    version_vector lacked;    // what it had and we lacked at the last look …
    version_vector lacked_at; // … and what we had then
    version_vector probe;     // their lag: what was here when it was last measured …
    instant probe_at;         // … and when
    bool probing = false;
    bool probe_stale = true;     // an acknowledgement came since it was looked at …
    log_index probed_end{0};     // … when the log ended here
    instant next_mismatch_check; // where heartbeats say that the two states differ
    std::int64_t rtt_us = 0;

    std::size_t counted_bytes = 0; // of vectors, in the core's sum

    // What the vectors of this session take.
    [[nodiscard]] std::size_t vector_bytes() const;
    // Whether runs of `origin` are wanted on this link.
    [[nodiscard]] bool wants(replica_id origin, replica_id self) const;
    // Whether runs of `origin` were asked for on this link.
    [[nodiscard]] bool asked_for(replica_id origin) const;
    // Takes a new Interest. The cursor is then to be rewound to the first run that is lacked now.
    void take_interest(interest_message fresh);
    void take_ack(const ack_message& ack);
    // What grew since the last Ack, and whether somebody waits; nothing if nothing is worth telling.
    [[nodiscard]] std::optional<ack_message> make_ack(const version_vector& applied,
                                                      const version_vector& durable, bool waiting);
};

} // namespace weft
