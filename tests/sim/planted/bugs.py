"""Deliberate bugs: what the simulator must find. See plant.py.

Each is (name, file, text, planted text): the text stands exactly once in the file, and `PLANTED` in what
takes its place is true while that bug is switched on.
"""

BUGS = [
    # Acknowledgements and durability.
    ("ack_before_durable", "replica/core_callers.cpp",
     "waiting_.collect(durable_, durable_at_, now_)",
     "waiting_.collect(PLANTED ? applied_ : durable_, durable_at_, now_)"),
    ("ack_counts_what_peers_only_applied", "replica/session.cpp",
     "    for (const auto& e : ack.durable) their_durable.advance(e.replica, e.counter);",
     "    for (const auto& e : PLANTED ? ack.applied : ack.durable) their_durable.advance(e.replica, e.counter);"),
    ("majority_is_half", "replica/core_callers.cpp",
     "return (peers_configured_ + 1) / 2 + 1;",
     "return (peers_configured_ + 1) / 2 + (PLANTED ? 0 : 1);"),
    ("sent_before_durable", "replica/core_sync.cpp",
     "    if (own && options_.sync == sync_policy::commit && run.index >= durable_end_) return false;",
     "    if (!PLANTED && own && options_.sync == sync_policy::commit && run.index >= durable_end_) return false;"),
    ("acks_say_applied_is_durable", "replica/core_sync.cpp",
     "s.make_ack(applied_, durable_)", "s.make_ack(applied_, PLANTED ? applied_ : durable_)"),
    ("sync_covers_what_came_during_it", "recovery/wal.cpp",
     "        durable_end_ = std::max(durable_end_, sync_.end);",
     "        durable_end_ = PLANTED ? end_ : std::max(durable_end_, sync_.end);"),
    ("new_segment_without_directory_sync", "recovery/wal.cpp",
     "    segments_.push_back(std::move(added));\n    ++directory_changes_;",
     "    segments_.push_back(std::move(added));\n    if (!PLANTED) ++directory_changes_;"),
    ("torn_tail_stays", "recovery/wal.cpp",
     "truncate(segments_.back().size);", "truncate(segments_.back().size + (PLANTED ? 10 : 0));"),

    # Runs, causes, identities.
    ("dependencies_not_checked", "replica/core.cpp",
     "            if (applied_.covers(missing_)) continue;",
     "            if (PLANTED || applied_.covers(missing_)) continue;"),
    ("duplicate_applied", "replica/core.cpp",
     "    if (header->end <= expected) {\n        // Only",
     "    if (header->end <= expected && !PLANTED) {\n        // Only"),
    ("gap_applied", "replica/core.cpp",
     "    if (header->first > expected) {", "    if (header->first > expected && !PLANTED) {"),
    ("id_kept_after_lost_changes", "recovery/identity.cpp",
     "    if (!log.clean && stored->policy != sync_policy::commit) {",
     "    if (!PLANTED && !log.clean && stored->policy != sync_policy::commit) {"),
    ("id_kept_by_a_copy", "recovery/identity.cpp",
     "    if (stored->where != here) return", "    if (!PLANTED && stored->where != here) return"),
    ("ceiling_not_persisted", "replica/core.cpp",
     "        effects_.push_back(persist_identity{{id_, predecessor_, ceiling, base_}});",
     "        if (!PLANTED) effects_.push_back(persist_identity{{id_, predecessor_, ceiling, base_}});"),
    ("clock_goes_back", "clock/hlc.cpp",
     "last_ = wall_distrusted_ ? next : std::max(next, hlc::at_ms(wall_ms));",
     "last_ = PLANTED ? hlc::at_ms(wall_ms) : wall_distrusted_ ? next : std::max(next, hlc::at_ms(wall_ms));"),
    ("clock_ignores_what_it_saw", "clock/hlc.cpp",
     "    last_ = std::max(last_, seen);\n    return true;",
     "    if (!PLANTED) last_ = std::max(last_, seen);\n    return true;"),
    ("dependencies_not_stated", "replica/core.cpp",
     "    open_run_.begin_change(change_stamp_, grown);",
     "    if (PLANTED) grown.clear();\n    open_run_.begin_change(change_stamp_, grown);"),

    # Liveness of sessions.
    ("repair_never_asks_elsewhere", "replica/core_sync.cpp",
     "            source_of_[e.replica] = id;\n            refresh = true;",
     "            if (PLANTED) continue;\n            source_of_[e.replica] = id;\n            refresh = true;"),
    ("no_second_dial", "replica/core_links.cpp",
     "    entry.next_dial = now_.after_ms(static_cast<std::int64_t>(delay));",
     "    entry.next_dial = PLANTED && entry.failures > 2 ? instant::never()\n"
     "                                  : now_.after_ms(static_cast<std::int64_t>(delay));"),
    ("passed_over_is_forgotten", "replica/session.cpp",
     "        if (passed_over) cursor = std::min(cursor, *passed_over);",
     "        if (passed_over && !PLANTED) cursor = std::min(cursor, *passed_over);"),
    ("silence_is_not_noticed", "replica/core_sync.cpp",
     "        if (silent_ms >= limits::silence_ms_max) {",
     "        if (silent_ms >= limits::silence_ms_max && !PLANTED) {"),
    ("credit_leaks", "replica/session.cpp",
     "    acked_bytes = std::max(acked_bytes, std::min(ack.taken_bytes, sent_bytes));",
     "    if (!PLANTED) acked_bytes = std::max(acked_bytes, std::min(ack.taken_bytes, sent_bytes));"),
    ("held_back_runs_are_not_tried_again", "replica/core_sync.cpp",
     "            if (held_back_.runs() > 0) retry_held_back();",
     "            if (held_back_.runs() > 0 && !PLANTED) retry_held_back();"),

    # Types.
    ("remove_takes_what_it_did_not_see", "replica/keyspace.cpp",
     "            target.join(object::of_type(op.type.kind), nothing_seen{}, seen);\n"
     "            weight_.add(weigh(here, target));\n            break;",
     "            if (PLANTED) target = object::of_type(op.type.kind);\n"
     "            target.join(object::of_type(op.type.kind), nothing_seen{}, seen);\n"
     "            weight_.add(weigh(here, target));\n            break;"),
    ("lowest_writer_wins", "crdt/register.hpp",
     "std::tie(best->payload.at, best->at) < std::tie(e.payload.at, e.at)",
     "(PLANTED ? best->payload.at > e.payload.at :\n"
     "             std::tie(best->payload.at, best->at) < std::tie(e.payload.at, e.at))"),
    ("siblings_are_dropped", "crdt/dot_store.hpp",
     "            if (!my_seen.covers(e.at)) insert(e);\n        }\n    }\n\n    void\n    insert(",
     "            if (PLANTED) entries_.erase_if([](const entry&) { return true; });\n"
     "            if (!my_seen.covers(e.at)) insert(e);\n        }\n    }\n\n    void\n    insert("),
    ("reset_takes_concurrent_increments", "crdt/counter.cpp",
     "        mine.reset_sum = theirs.reset_sum;",
     "        mine.reset_sum = PLANTED ? mine.sum : theirs.reset_sum;"),
    ("rights_are_not_checked", "crdt/bounded_counter.cpp",
     "    std::uint64_t amount = magnitude(by);\n    if (!spends(spec, by)) {",
     "    std::uint64_t amount = magnitude(by);\n    if (PLANTED) return {};\n    if (!spends(spec, by)) {"),
    ("rollback_leaves_the_digest", "replica/keyspace.cpp",
     "    weight_ = undo.weight;", "    if (!PLANTED) weight_ = undo.weight;"),
    ("subscribers_hear_it_twice", "replica/core_callers.cpp",
     "        if (!what.objects.empty()) effects_.push_back(notify{who.whom, what});",
     "        if (!what.objects.empty()) effects_.push_back(notify{who.whom, what});\n"
     "        if (PLANTED && !what.local && !what.objects.empty()) effects_.push_back(notify{who.whom, what});"),

    # Snapshots, state transfer, retention.
    ("snapshot_before_the_log", "replica/core_snapshot.cpp",
     "    if (durable_end_ >= taken_->header.at) {",
     "    if (PLANTED || durable_end_ >= taken_->header.at) {"),
    ("snapshot_one_run_ahead", "replica/core_snapshot.cpp",
     "    out.header.at = tail_.end();",
     "    out.header.at = PLANTED ? next(tail_.end()) : tail_.end();"),
    ("snapshot_without_sync", "recovery/snapshot.cpp",
     "        job_->out.out().sync_later(guarded([this](const result<void>& synced) {",
     "        if (PLANTED) {\n            if (!job_->out.ended()) return write_some();\n"
     "            return make_visible();\n        }\n"
     "        job_->out.out().sync_later(guarded([this](const result<void>& synced) {"),
    ("segment_dropped_before_its_snapshot", "recovery/wal.cpp",
     "        if (log_index{s.first} > before) break;",
     "        if (!PLANTED && log_index{s.first} > before) break;"),
    ("transfer_resurrects", "replica/state_join.cpp",
     "        one.join(there ? theirs_at_->value : object::of_type(key.type.kind), mine_.seen,\n"
     "                 theirs_.seen);",
     "        one.join(there ? theirs_at_->value : object::of_type(key.type.kind),\n"
     "                 PLANTED ? version_vector{} : mine_.seen, theirs_.seen);"),
    ("transfer_does_not_catch_up", "replica/core_snapshot.cpp",
     "    if (joined) transfer_->at = transfer_phase::catching_up;",
     "    if (joined) transfer_->at = transfer_phase::catching_up;\n"
     "    if (joined && PLANTED) transfer_->next = tail_.end();"),
    ("transfer_makes_all_durable", "replica/core_transfer.cpp",
     "    durable_.join(done.written);", "    durable_.join(PLANTED ? done.applied : done.written);"),
    ("floor_does_not_rise", "replica/core_transfer.cpp",
     "    floor_.join(done.joined.image.header.floor);",
     "    if (!PLANTED) floor_.join(done.joined.image.header.floor);"),
    ("floor_is_not_told", "replica/core_links.cpp",
     "    hello.floor = floor_;", "    if (!PLANTED) hello.floor = floor_;"),
    ("transfer_keeps_old_hashes", "replica/core_transfer.cpp",
     "        known.last = o.last;", "        if (!PLANTED) known.last = o.last;"),
    ("covered_runs_are_replayed", "replica/core.cpp",
     "    if (loaded_.covers({header->origin, header->end - 1})) {",
     "    if (!PLANTED && loaded_.covers({header->origin, header->end - 1})) {"),
]
