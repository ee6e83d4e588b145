#include "base/check.hpp"
#include "replica/core.hpp"

#include <algorithm>

// When a snapshot is taken, and which are kept.
namespace weft {

void core::take_snapshot(std::function<void(result<snapshot_info>)> whom) {
    snapshot_waiters_.push_back(std::move(whom));
}

bool core::grew_since_snapshot() const {
    return tail_.end() > (snapshots_.empty() ? log_index{0} : snapshots_.back().at);
}

state_image core::image() const {
    WEFT_CHECK(open_run_.empty() && !in_change_);
    state_image out;
    out.header.cluster = options_.cluster;
    out.header.at = tail_.end();
    out.header.newest = clock_.last();
    out.header.objects = state_.objects();
    out.header.digest = state_.digest();
    for (const auto& e : applied_.entries()) {
        const origin& known = origins_.at(e.replica);
        out.header.origins.push_back(
            {e.replica, e.counter, known.last, known.who, known.dependencies});
    }
    out.objects = state_;
    return out;
}

// When the next one is due by itself, as far as can be said now.
instant core::snapshot_due() const {
    if (snapshotting_ || !grew_since_snapshot()) return instant::never();
    bool by_size =
        options_.snapshot_log_bytes > 0 && bytes_since_snapshot_ >= options_.snapshot_log_bytes;
    return std::max(by_size ? now_ : next_snapshot_, snapshot_not_before_);
}

void core::want_snapshot() {
    if (!snapshotting_) {
        bool asked = !snapshot_waiters_.empty();
        if (asked && !grew_since_snapshot()) {
            answer_snapshot(snapshot_waiters_,
                            snapshots_.empty() ? snapshot_info{} : snapshots_.back());
            return;
        }
        if (!asked && now_ < snapshot_due()) return;
        snapshotting_ = true;
        taken_ = image();
        bytes_in_taken_ = bytes_since_snapshot_;
        // Who asks from here on wants what comes from here on, so the next one is theirs.
        snapshot_served_ = std::exchange(snapshot_waiters_, {});
    }
    // A snapshot that is visible proves that the log was durable up to it.
    if (!taken_) return;
    if (durable_end_ >= taken_->header.at) {
        effects_.push_back(write_snapshot{*std::exchange(taken_, std::nullopt)});
    } else {
        sync_asked_ = true;
    }
}

void core::on_snapshot_written(const snapshot_written& written) {
    snapshotting_ = false;
    if (written.failed) {
        snapshot_not_before_ = now_.after_ms(limits::snapshot_retry_ms);
        report_event(severity::warning, "snapshot.failed",
                     to_string(*written.failed) + "; the log is kept, and another is tried in " +
                         std::to_string(limits::snapshot_retry_ms / 1000) + " s");
        answer_snapshot(snapshot_served_, fail(*written.failed));
        return;
    }
    snapshots_.push_back(written.what);
    bytes_since_snapshot_ -= bytes_in_taken_;
    if (options_.snapshot_interval_ms > 0)
        next_snapshot_ = now_.after_ms(static_cast<std::int64_t>(options_.snapshot_interval_ms));
    report_event(severity::info, "snapshot.written",
                 "at log run " + std::to_string(static_cast<std::uint64_t>(written.what.at)) +
                     ", " + std::to_string(written.what.size_bytes) + " bytes");
    while (snapshots_.size() > limits::snapshots_kept) {
        effects_.push_back(remove_snapshot{snapshots_.front().at});
        snapshots_.erase(snapshots_.begin());
    }
    answer_snapshot(snapshot_served_, written.what);
}

void core::answer_snapshot(snapshot_callbacks& whose, const result<snapshot_info>& outcome) {
    for (auto& whom : std::exchange(whose, {})) {
        effects_.push_back(
            answer{[whom = std::move(whom), outcome](const result<void>&) { whom(outcome); }, {}});
    }
}

} // namespace weft
