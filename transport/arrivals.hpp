#pragma once
#include "base/limits.hpp"

#include <atomic>

namespace weft {

// What has come of frames that are not whole yet, over all links that share it. At its bound one link alone
// goes on reading, until it has its frame and so makes room; the others wait, and their peers with them.
// Loop thread only.
class arrivals {
public:
    void set_limit(std::size_t bytes_max) { bytes_max_ = bytes_max; }

    // Whether a link that holds so much of a frame may read `more` bytes now.
    [[nodiscard]] bool may_read(const void* link, std::size_t holds, std::size_t more) {
        if (favored_ == link || bytes_ + more <= bytes_max_) return true;
        if (favored_ != nullptr || holds == 0) return false;
        favored_ = link;
        return true;
    }
    // It held `before` and holds `now`; 0 once it reads no more.
    void changed(const void* link, std::size_t before, std::size_t now) {
        bytes_ += now - before;
        if (favored_ == link && now < before) favored_ = nullptr;
    }

    [[nodiscard]] std::size_t bytes() const { return bytes_; } // from any thread

private:
    std::size_t bytes_max_ = limits::buffer_share(limits::buffer_bytes_max);
    std::atomic<std::size_t> bytes_ = 0;
    const void* favored_ = nullptr;
};

} // namespace weft
