@0xa8ca9c0445daf31b;
# What two replicas say to each other: one Message per frame.
#
# A frame is a length, a CRC-32C and a body (base/frame.hpp); the body is one Message in Cap'n
# Proto's stream form: a segment table, then the segments, unpacked.  A reader checks the segment
# table itself before it hands anything to Cap'n Proto, and it sets a traversal limit and a nesting
# limit.  Every bound named here is in base/limits.hpp.  docs/protocol.md walks through a session.
#
# How this page may change:
#   - Fields and members are only ever added, with the next number.  Their default means "as before".
#   - A field that is no longer used keeps its number and tells its story.
#   - New behaviour is agreed in Hello, by protocol range and feature bit, never guessed.
#   - A member that a reader does not know arrives as an unknown discriminant, not as member 0.
#
# A Message that breaks a rule of this page is `bad_message`: the reader closes the session and
# nothing of the message takes effect.

using Cxx = import "/capnp/c++.capnp";
$Cxx.namespace("weft::wire");

struct Message {
  # One frame between two replicas; either may be a release older or newer.

  union {
    unimplemented @0 :UInt16;
    # The sender met this discriminant and does not know it.  May answer any unknown member, which is
    # otherwise passed over; is itself never answered.

    hello @1 :Hello;
    # The first message of both sides, sent at once; only who dials somebody for the first time waits
    # for the other's, since it may be linked with that one already under another URL.

    interest @2 :Interest;
    # Opens the stream towards its sender; a later Interest replaces the earlier one.

    run @3 :Data;
    # Exactly one encoded run (replica/change_codec.hpp), as its origin encoded it.  By far the most
    # frequent message of an idle link, so it is a member by itself: 32 bytes around the run, and up
    # to 7 that pad it to a word.

    runs @4 :List(Data);
    # Several encoded runs, in the order of the sender's log.  At most vector_entries_max of them.

    ack @5 :Ack;
    heartbeat @6 :Heartbeat;
    notice @7 :Notice;
    digests @8 :Digests;
    stateRequest @9 :StateRequest;
    stateChunk @10 :StateChunk;
    check @11 :Check;
  }
}

# ------------------------------------------------------------------------------------------------
# Shared parts

struct Entry {
  # One entry of a version vector: of `replica`, every operation up to `counter` is covered.
  #
  # Lists of entries are sorted by `replica`, strictly; no `counter` is 0; at most
  # vector_entries_max of them.  Vectors that are exchanged stand on run boundaries.

  replica @0 :UInt64;
  counter @1 :UInt64;
}

struct OriginState {
  # An Entry that also says which history it is: two runs that end at the same counter of one origin
  # but differ in `last` are a fork (`dot_reused`).  Lists of these obey the rules of Entry.

  origin @0 :UInt64;
  counter @1 :UInt64;
  last @2 :UInt64;
  # XXH3-64 of the encoded run that ends at `counter`.
}

# ------------------------------------------------------------------------------------------------
# Opening a session

struct Hello {
  # Who the sender is and what it can read.  A reader that finds no common ground says why in a
  # fatal Notice, and closes.

  protocolMin @0 :UInt16 = 1;
  protocolMax @1 :UInt16 = 1;
  # Both sides speak the highest version that lies in both ranges; none is `incompatible`.

  cluster @2 :Text;
  # UTF-8, at most name_bytes_max bytes.  Another cluster than the reader's is `wrong_cluster`.

  id @3 :UInt64;
  # The sender's replica id: one incarnation of a replica.

  name @4 :Text;
  # The member's name, for people and for membership.  UTF-8, at most name_bytes_max bytes.

  processNonce @5 :UInt64;
  # Random per process.  One id with two nonces, both alive, is `duplicate_replica`.

  applied @6 :List(OriginState);
  # How far the sender has got with each origin.  A peer that knows more of the reader's own
  # operations than the reader itself proves that the reader lost the tail of its log.

  codecs @7 :UInt32;
  # Bit n: the sender reads codec n (base/compress.hpp).

  features @8 :UInt64;
  # Bit n: the sender has optional behaviour n.  Bit 0: it knows Check, and answers Digests; nobody sends
  # either to who does not say so.

  clock @9 :UInt64;
  # The sender's hybrid logical clock: 48 bits of Unix milliseconds, 16 bits of logical counter.

  floor @10 :List(Entry);
  # What the sender holds only as state: it cannot send these operations.  A reader that lacks any of
  # them asks for the state (StateRequest) before it sends an Interest.

  rulesVersion @11 :UInt64;
  # A hash of the rules by which the sender settles concurrent writes; 0 for none.  They change what is
  # read, never what is stored, so a reader with others goes on, and tells its operator.
}

struct Interest {
  # Which origins the sender wants to receive on this link, and from where on.  The receiver of the
  # data decides, so that two links never carry the same runs by accident.

  onlyOwn @0 :Bool;
  # Only runs whose origin is the reader of this message; `except` is then empty.

  except @1 :List(UInt64);
  # Otherwise: all origins but these, because other links bring them.  At most vector_entries_max.

  applied @2 :List(Entry);
  # What the sender of this message has applied: the reader need not send it.

  resend @3 :Bool;
  # The sender dropped runs that it had received on this session, for lack of room or of their causes.
  # The reader forgets what it sent and starts again from the oldest run that `applied` lacks.
  # Otherwise it goes on where it is, and catches up on what the earlier Interest made it pass over.
}

# ------------------------------------------------------------------------------------------------
# The stream

struct Ack {
  # Returns credit and tells progress.  Sent when a quarter of the credit was taken, when something that
  # the peer waits for became durable, and otherwise ack_delay_ms after any of it changed.

  applied @0 :List(Entry);
  # The entries of the applied vector that grew since the last Ack of this session.

  durable @1 :List(Entry);
  # The same of the durable vector: what survives a power cut.  Only this counts for acknowledgements,
  # retention and causal stability.

  takenBytes @2 :UInt64;
  # Bytes of encoded runs taken off this session since it began, applied or not.  The peer starts no
  # run while it has sent credit_bytes more than this.

  waiting @3 :Bool;
  # Somebody at the sender waits for its operations to be durable elsewhere: for ack_at_once_ms from now on
  # each of them that is durable is acknowledged at once.  Said again while they wait.
}

struct Heartbeat {
  # Every heartbeat_ms, whatever else is sent; silence_ms_max without any message is a lost link.

  ping @0 :UInt64;
  # A number of the sender's choice that it wants back, usually its monotonic clock; 0 for none.

  pong @1 :UInt64;
  # The `ping` that this heartbeat answers; 0 if it answers none.  A heartbeat with a `ping` is
  # answered at once, by one with `pong` and without `ping`.

  clock @2 :UInt64;
  # The sender's hybrid logical clock.

  wallMs @3 :UInt64;
  # The sender's wall clock, Unix milliseconds.

  applied @4 :List(Entry);
  # The sender's applied vector, whole.  May be empty if it did not change since the last heartbeat of
  # this session.

  appliedHash @5 :UInt64;
  # XXH3-64 over the entries of the applied vector that the digest belongs to, `replica` and then
  # `counter`, each as 8 bytes little-endian; 0 if the sender has no digest to compare right now.

  digestLow @6 :UInt64;
  digestHigh @7 :UInt64;
  # The state digest at that vector.  Equal hashes with different digests mean that the states
  # diverged: both sides report it at once, and look for where with a Check.
}

struct Check {
  # Brings two states to one version vector and compares them there, while both replicas go on.  Each side
  # freezes a copy of its state; the common point is the join of the vectors that the two copies stand at;
  # each adds to its copy, from its own log, what is missing up to there.  A session has one check at a time.

  number @0 :UInt64;
  # Of this check: chosen by who begins it.  A reader passes over what is of another than the one under way,
  # but for a `begin`.

  union {
    begin @1 :List(Entry);
    # The vector of the sender's copy; answered by `answer`, or by `ended`.  If both begin at once, the check
    # of the lower replica id goes on: its owner passes the other's `begin` over, and the other answers.

    answer @2 :List(Entry);
    # The same of the other side.  From here on both know the common point.

    digest :group {
      # Once the sender's copy is at the common point.  Both send it; the states are equal if both pairs are.
      appliedHash @3 :UInt64;
      # Of the common point, as in Heartbeat.
      countedLow @4 :UInt64;
      countedHigh @5 :UInt64;
      # The digest, counted anew from the objects.
      keptLow @6 :UInt64;
      keptHigh @7 :UInt64;
      # The digest as it was kept while operations were applied.
    }

    ended :group {
      # The sender ends the check without an outcome, and why: as in Notice.
      code @8 :Text;
      detail @9 :Text;
    }
  }
}

struct Digests {
  # Digests of parts of the keyspace, once a check has shown that the states differ, of both copies at the
  # common point.  Who began the check sends the first; whoever gets them compares them with its own, and
  # answers with finer parts of the lowest and of the highest that differ, until they cannot be divided: so
  # both sides can name the keys, and the check ends.

  appliedHash @0 :UInt64;
  # Of the common point.  A reader that has no such check passes the message over.

  ranges @1 :List(Range);
  # At most digest_ranges_max.

  struct Range {
    first @0 :Text;
    end @1 :Text;
    # The keys from `first` on and before `end`, which is after `first` in byte order, or empty for no
    # end.  UTF-8, each at most key_bytes_max bytes.
    digestLow @2 :UInt64;
    digestHigh @3 :UInt64;
  }

  found @2 :Bool;
  # The sender cannot divide these further; the reader reports and does not answer.
}

# ------------------------------------------------------------------------------------------------
# State transfer: for a reader that the sender's log no longer reaches

struct Snapshot {
  # One of the sender's snapshot files: no two of one replica id have the same `at` and `size`.

  at @0 :UInt64;
  # The log index that it stands at.
  size @1 :UInt64;
  # Of the file, in bytes.
}

struct StateRequest {
  # Asks for bytes of a snapshot file of the reader.  Its sender keeps what came, so that a transfer
  # goes on where a cut link or a restart left it.

  snapshot @0 :Snapshot;
  # `size` 0: the newest, whichever that is.  One that is gone is answered from the newest's first byte.
  from @1 :UInt64;
  until @2 :UInt64;
  # What is wanted now, half-open; `until` may be beyond the end of the file, and is at most
  # transfer_window_bytes after `from`.  A request that begins where the one before ends extends it.
}

struct StateChunk {
  snapshot @0 :Snapshot;
  offset @1 :UInt64;
  data @2 :Data;
  # At most transfer_chunk_bytes, and inside `size`.  The file's own checksums are verified when it is
  # whole.
}

struct Notice {
  # What the sender holds against the reader.

  code @0 :Text;
  # The name of an error code of base/result.hpp, "dot_reused" for one; at most name_bytes_max
  # bytes.  A name and not a number, so that a code of a newer release still tells people something;
  # programs take an unknown one for `incompatible`.

  detail @1 :Text;
  # What, where and why, for people.  UTF-8, at most notice_bytes_max (message.hpp) bytes.

  fatal @2 :Bool;
  # The sender closes the session after this.
}
