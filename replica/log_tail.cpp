#include "replica/log_tail.hpp"

#include "base/check.hpp"
#include "base/limits.hpp"

namespace weft {

void log_tail::push(logged_run run) {
    WEFT_CHECK(run.index == end());
    bytes_ += run.bytes.view.size();
    runs_.push_back(std::move(run));
    while (bytes_ > limits::log_tail_bytes_max && runs_.size() > 1) {
        const logged_run& oldest = runs_.front();
        bytes_ -= oldest.bytes.view.size();
        before_.advance(oldest.origin, oldest.end - 1);
        begin_ = next(begin_);
        runs_.pop_front();
    }
}

void log_tail::compact() {
    for (logged_run& run : runs_) run.bytes = run.bytes.compact();
}

log_index log_tail::end() const {
    return log_index{static_cast<std::uint64_t>(begin_) + runs_.size()};
}

const logged_run& log_tail::at(log_index index) const {
    WEFT_CHECK(index >= begin_ && index < end());
    return runs_[static_cast<std::size_t>(index) - static_cast<std::size_t>(begin_)];
}

} // namespace weft
