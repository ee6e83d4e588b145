#pragma once
#include "base/bytes.hpp"
#include "base/ids.hpp"
#include "base/result.hpp"
#include "clock/hlc.hpp"
#include "clock/version_vector.hpp"

#include <array>
#include <cstdint>
#include <string>
#include <variant>
#include <vector>

// The protocol's messages as plain structs; transport/wire.capnp is their specification.
namespace weft {

struct origin_state { // how far a replica has got with one origin
    replica_id origin{};
    std::uint64_t counter = 0; // highest op counter applied
    run_hash last{};           // hash of the run that ends there

    bool operator==(const origin_state&) const = default;
};

using digest128 = std::array<std::uint64_t, 2>;

// Bits of `features`: what the sender of a Hello can do that others may lack.
inline constexpr std::uint64_t feature_checks = 1; // bit 0: Check and Digests as below

struct hello_message { // the first message of both sides
    std::uint16_t protocol_min = 1;
    std::uint16_t protocol_max = 1;
    std::string cluster;
    replica_id id{};
    std::string name;
    std::uint64_t process_nonce =
        0; // random per process: tells two live replicas with one id apart
    std::vector<origin_state> applied; // sorted by origin
    std::uint32_t codecs = 0;          // bit n: reads codec n
    std::uint64_t features = 0;
    hlc clock{};
    version_vector floor;            // what the sender holds only as state
    std::uint64_t rules_version = 0; // of the rules by which it settles conflicts; 0 for none

    bool operator==(const hello_message&) const = default;
};

struct interest_message {  // which origins the sender wants on this link, and what it has of them
    bool only_own = false; // only runs whose origin is the receiver itself
    std::vector<replica_id> except; // otherwise: all origins but these
    version_vector applied;         // what the sender has
    bool resend = false; // runs sent before were dropped: send again what `applied` lacks

    bool operator==(const interest_message&) const = default;
};

struct runs_message {
    std::vector<shared_bytes> runs; // whole encoded runs, in the sender's log order
};

struct ack_message {
    std::vector<version_vector::entry> applied; // what grew since the last ack on this session
    std::vector<version_vector::entry> durable;
    std::uint64_t taken_bytes = 0; // run bytes taken on this session so far: returns credit
    bool waiting = false;          // for such an ack of what the sender made: at once, for a while

    bool operator==(const ack_message&) const = default;
};

struct heartbeat_message {
    std::uint64_t ping = 0; // the sender's clock, to be sent back; 0 in an answer
    std::uint64_t pong = 0; // the ping that this answers, or 0
    hlc clock{};
    std::uint64_t wall_ms = 0;
    version_vector applied; // whole; empty in an answer
    std::uint64_t applied_hash = 0;
    digest128 digest{}; // of the state at the vector with that hash

    bool operator==(const heartbeat_message&) const = default;
};

struct range_digest { // of the keys from `first` on and before `end`
    std::string first;
    std::string end; // empty: there is no end
    digest128 digest{};

    bool operator==(const range_digest&) const = default;
};

struct digests_message {            // where do two states differ?
    std::uint64_t applied_hash = 0; // of the common point of the check that is under way
    std::vector<range_digest> ranges;
    bool found = false; // these cannot be divided further

    bool operator==(const digests_message&) const = default;
};

// Are two states equal? Both sides freeze theirs, bring the copies to one version vector, and compare there.
struct check_begin {
    version_vector applied; // where the sender's copy stands

    bool operator==(const check_begin&) const = default;
};
struct check_answer {
    version_vector applied;

    bool operator==(const check_answer&) const = default;
};
struct check_digest { // of the sender's copy at the common point
    std::uint64_t applied_hash = 0;
    digest128 counted{}; // anew, from the objects
    digest128 kept{};    // as operations were applied

    bool operator==(const check_digest&) const = default;
};
struct check_message {
    std::uint64_t number = 0; // of the check, chosen by who begins it
    std::variant<check_begin, check_answer, check_digest, error> step; // an error: it ends

    bool operator==(const check_message&) const = default;
};

struct snapshot_ref { // a snapshot file of one replica id
    log_index at{};
    std::uint64_t size = 0; // of the file; 0 for none

    bool operator==(const snapshot_ref&) const = default;
};

struct
    state_request { // asks for bytes of the reader's snapshot; of the newest if the name is empty
    snapshot_ref snapshot;
    std::uint64_t from = 0;
    std::uint64_t until = 0;

    bool operator==(const state_request&) const = default;
};

struct state_chunk {
    snapshot_ref snapshot;
    std::uint64_t offset = 0;
    shared_bytes data;
};

inline constexpr std::size_t notice_bytes_max = 1024;

struct notice_message { // what the sender holds against the receiver
    errc code{};        // `incompatible` for one that this release does not know
    std::string detail; // for people; cut to notice_bytes_max when it is encoded
    bool fatal = false; // the sender closes the session after it

    bool operator==(const notice_message&) const = default;
};

// The protocol grew on one side. A session passes it over; it may send one back with `answer` set if
// it was not itself an answer.
struct unknown_message {
    std::uint16_t discriminant = 0;
    bool answer = false; // the peer does not know what we sent; else we do not know what it sent

    bool operator==(const unknown_message&) const = default;
};

using message = std::variant<hello_message, interest_message, runs_message, ack_message,
                             heartbeat_message, notice_message, digests_message, check_message,
                             state_request, state_chunk, unknown_message>;

// One frame body holding `what`, which must be within base/limits.hpp; of unknown messages only
// answers are ever sent. One run costs at most 39 bytes around it.
[[nodiscard]] bytes encode_message(const message& what);

// bad_message for anything that is not a whole, well-formed message within the limits. Runs are
// parts of `body`, not copies; they are not looked into.
[[nodiscard]] result<message> decode_message(shared_bytes body);

} // namespace weft
