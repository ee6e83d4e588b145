#pragma once
#include "base/result.hpp"

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

namespace weft {

// The lines of a file that is plain, gzip (also of several members) or Zstd, told by its first bytes.
class line_source {
public:
    // "-" is standard input. not_found, io_failed: the file and what the system says.
    [[nodiscard]] static result<line_source> open(const std::string& file);
    line_source(line_source&&) noexcept;
    line_source& operator=(line_source&&) noexcept;
    ~line_source();

    struct batch {
        std::string text; // whole lines, each with its newline
        std::uint64_t first_line = 1;
        std::uint64_t lines = 0;             // 0 at the end of the file
        std::vector<std::uint64_t> too_long; // their numbers; in `text` they are empty
        std::uint64_t packed_bytes_read = 0; // of the file, so far
    };
    // At most that many lines, and no more than fit one request to the node. io_failed: the file is
    // damaged or ends too early; what came before stays good.
    [[nodiscard]] result<batch> next(std::uint64_t lines_max);

    [[nodiscard]] std::uint64_t packed_bytes() const; // of the whole file; 0 if not known

private:
    struct state;
    explicit line_source(std::unique_ptr<state> owned);
    std::unique_ptr<state> state_;
};

} // namespace weft
