#pragma once
#include "base/env.hpp"
#include "clock/stability.hpp"

#include <functional>
#include <map>
#include <vector>

namespace weft {

// Who waits for which change to be durable at how many members.
class acknowledgements {
public:
    using callback = std::function<void(result<void>)>;
    struct due {
        callback whom;
        result<void> outcome;
    };

    // `members` is how many members must durably have `last`, a change's last dot; this replica must be
    // one of them, so every level but `memory` also means that it survives here.
    void wait(dot last, std::size_t members, instant deadline, callback whom);

    // Those whose wait is over, by durability first, then by time.
    [[nodiscard]] std::vector<due> collect(const version_vector& own_durable, const stability& seen,
                                           instant now);
    // Everybody, with this outcome.
    [[nodiscard]] std::vector<due> cancel(const error& why);

    [[nodiscard]] instant deadline() const;
    // Whether somebody waits for another member than this one.
    [[nodiscard]] bool for_others() const;
    [[nodiscard]] std::size_t size() const { return size_; }

private:
    void forget_deadline(instant when, std::pair<std::size_t, dot> whose);

    struct waiter {
        instant deadline;
        callback whom;
    };
    std::map<std::size_t, std::multimap<dot, waiter>> waiting_; // by number of members
    std::multimap<instant, std::pair<std::size_t, dot>> deadlines_;
    std::size_t size_ = 0;
};

} // namespace weft
