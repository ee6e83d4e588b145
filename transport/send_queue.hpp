#pragma once
#include "base/bytes.hpp"
#include "base/frame.hpp"
#include "base/limits.hpp"

#include <algorithm>
#include <deque>
#include <utility>
#include <vector>

namespace weft {

// Frames that wait to be written to a socket: in chunks, of which one system call takes several. Small ones
// share a chunk; the body of a large one is not copied.
class send_queue {
public:
    [[nodiscard]] bool empty() const { return chunks_.empty(); }
    [[nodiscard]] std::size_t bytes() const { return bytes_; } // not written yet

    void add(weft::bytes&& body) {
        std::size_t size = limits::frame_header_bytes + body.size();
        // Never behind what is being written: it must not move.
        bool fits = chunks_.size() > in_write_ && chunks_.back().large.empty() &&
                    chunks_.back().size() + size <= chunk_bytes_target;
        if (!fits) chunks_.emplace_back();
        chunks_.back().add(std::move(body));
        bytes_ += size;
    }
    // The next to be written, of which nothing moves until `written` says how much was, or that nothing was.
    void gather(std::vector<byte_view>& out) {
        out.clear();
        std::size_t skip = written_of_first_;
        for (const chunk& c : chunks_) {
            if (out.size() >= buffers_max) break;
            for (const weft::bytes* part : {&c.frames, &c.large}) {
                std::size_t left_out = std::min(skip, part->size());
                if (left_out < part->size()) out.push_back(byte_view(*part).subspan(left_out));
                skip -= left_out;
            }
            ++in_write_;
        }
    }
    void written(std::size_t size) {
        in_write_ = 0;
        if (chunks_.empty()) return; // they were given up meanwhile
        bytes_ -= size;
        written_of_first_ += size;
        while (!chunks_.empty() && written_of_first_ >= chunks_.front().size()) {
            written_of_first_ -= chunks_.front().size();
            chunks_.pop_front();
        }
    }
    // Gives up all of which nothing was written yet. A chunk is whole frames.
    void drop_unbegun() {
        std::size_t stay = std::max<std::size_t>(in_write_, written_of_first_ > 0 ? 1 : 0);
        for (; chunks_.size() > stay; chunks_.pop_back()) bytes_ -= chunks_.back().size();
    }
    void clear() { *this = {}; }

private:
    static constexpr std::size_t large_bytes = 16U << 10U; // of a body that is not worth a copy
    static constexpr std::size_t chunk_bytes_target = 64U << 10U;
    static constexpr std::size_t buffers_max = 63; // what one system call gathers, or one more

    struct chunk {
        weft::bytes frames; // back to back
        weft::bytes large;  // the body of the last of them

        [[nodiscard]] std::size_t size() const { return frames.size() + large.size(); }
        void add(weft::bytes&& body) {
            if (body.size() < large_bytes) return append_frame(frames, body);
            append_frame_header(frames, body);
            large = std::move(body);
        }
    };

    std::deque<chunk> chunks_;
    std::size_t written_of_first_ = 0;
    std::size_t in_write_ = 0; // chunks, from the front
    std::size_t bytes_ = 0;
};

} // namespace weft
