#include "node/line_source.hpp"

#include "base/limits.hpp"

#include <zlib.h>
#include <zstd.h>

#include <array>
#include <cerrno>
#include <cstring>
#include <fcntl.h>
#include <optional>
#include <string_view>
#include <sys/stat.h>
#include <unistd.h>
#include <utility>

namespace weft {
namespace {

// Turns what is read into text. At the end of the file `finished` says whether that was also the end of
// what was packed.
class unpacker {
public:
    virtual ~unpacker() = default;
    // Appends what `packed` stands for; false if it is damaged.
    virtual bool put(std::string_view packed, std::string& text) = 0;
    [[nodiscard]] virtual bool finished() const = 0;
};

class plain_text final : public unpacker {
public:
    bool put(std::string_view packed, std::string& text) override {
        text += packed;
        return true;
    }
    [[nodiscard]] bool finished() const override { return true; }
};

class gzip final : public unpacker {
public:
    gzip() { ready_ = inflateInit2(&stream_, 16 + MAX_WBITS) == Z_OK; }
    gzip(const gzip&) = delete;
    gzip& operator=(const gzip&) = delete;
    ~gzip() override { inflateEnd(&stream_); }

    bool put(std::string_view packed, std::string& text) override {
        stream_.next_in = reinterpret_cast<Bytef*>(const_cast<char*>(packed.data()));
        stream_.avail_in = static_cast<uInt>(packed.size());
        while (ready_ && stream_.avail_in > 0) {
            // Another member may follow the last one.
            if (std::exchange(at_end_, false) && inflateReset(&stream_) != Z_OK) return false;
            do {
                stream_.next_out = reinterpret_cast<Bytef*>(part_.data());
                stream_.avail_out = static_cast<uInt>(part_.size());
                int outcome = inflate(&stream_, Z_NO_FLUSH);
                at_end_ = outcome == Z_STREAM_END;
                if (outcome != Z_OK && !at_end_ && outcome != Z_BUF_ERROR) return false;
                text.append(part_.data(), part_.size() - stream_.avail_out);
            } while (!at_end_ && stream_.avail_out == 0);
        }
        return ready_;
    }
    [[nodiscard]] bool finished() const override { return at_end_; }

private:
    z_stream stream_{};
    std::array<char, 65'536> part_;
    bool ready_ = false;
    bool at_end_ = false;
};

class zstd final : public unpacker {
public:
    bool put(std::string_view packed, std::string& text) override {
        ZSTD_inBuffer in{packed.data(), packed.size(), 0};
        for (bool more = !packed.empty(); more;) {
            ZSTD_outBuffer out{part_.data(), part_.size(), 0};
            std::size_t wanted = ZSTD_decompressStream(stream_.get(), &out, &in);
            if (ZSTD_isError(wanted) != 0) return false;
            at_end_ = wanted == 0;
            text.append(part_.data(), out.pos);
            more = in.pos < in.size || (out.pos == out.size && !at_end_);
        }
        return true;
    }
    [[nodiscard]] bool finished() const override { return at_end_; }

private:
    struct release {
        void operator()(ZSTD_DStream* stream) const { ZSTD_freeDStream(stream); }
    };
    std::unique_ptr<ZSTD_DStream, release> stream_{ZSTD_createDStream()};
    std::array<char, 131'072> part_;
    bool at_end_ = false;
};

std::unique_ptr<unpacker> unpacker_for(std::string_view first) {
    if (first.starts_with("\x1f\x8b")) return std::make_unique<gzip>();
    if (first.starts_with("\x28\xb5\x2f\xfd")) return std::make_unique<zstd>();
    return std::make_unique<plain_text>();
}

} // namespace

struct line_source::state {
    std::string name;
    int descriptor = -1;
    std::uint64_t packed_bytes = 0;
    std::uint64_t packed_bytes_read = 0;
    std::unique_ptr<unpacker> unpack;
    std::string text; // unpacked and not yet given
    std::size_t at = 0;
    std::uint64_t next_line = 1;
    bool at_end = false;
    std::optional<error> failed; // there is nothing more to read

    ~state() {
        if (descriptor > STDIN_FILENO) ::close(descriptor);
    }

    [[nodiscard]] auto system_error(const char* what) const {
        int why = errno;
        return fail(why == ENOENT ? errc::not_found : errc::io_failed,
                    std::string(what) + " " + name + ": " + std::strerror(why));
    }

    // Reads on; `at_end` after the last byte.
    result<void> read_on() {
        text.erase(0, std::exchange(at, 0));
        std::array<char, 65'536> part;
        std::size_t size = 0;
        // The first bytes tell how the file is packed, and a pipe may give them one by one.
        do {
            auto got = ::read(descriptor, part.data() + size, part.size() - size);
            if (got < 0 && errno == EINTR) continue;
            if (got < 0) return system_error("read");
            size += static_cast<std::size_t>(got);
            at_end = got == 0;
        } while (!unpack && !at_end && size < 4);
        packed_bytes_read += size;
        std::string_view packed(part.data(), size);
        if (!unpack) unpack = unpacker_for(packed);
        if (!unpack->put(packed, text)) {
            return fail(errc::io_failed, name + " is damaged near byte " +
                                             std::to_string(packed_bytes_read) + ", after line " +
                                             std::to_string(next_line - 1));
        }
        if (at_end && packed_bytes_read > 0 && !unpack->finished()) {
            return fail(errc::io_failed, name + " ends in the middle, after line " +
                                             std::to_string(next_line - 1) + "; fetch it again");
        }
        return {};
    }

    // One line without its newline, or nothing at the end of the file. A line that is too long comes
    // out empty, with `too_long` set.
    result<std::optional<std::string_view>> line(bool& too_long) {
        too_long = false;
        for (std::size_t searched = 0;;) {
            std::size_t end = std::min(text.find('\n', at + searched), text.size());
            std::string_view found(text.data() + at, end - at);
            bool last = at_end && !failed && (too_long || !found.empty());
            bool whole = end < text.size() || last;
            too_long = too_long || found.size() > limits::import_line_bytes_max;
            if (whole) {
                at = std::min(end + 1, text.size());
                ++next_line;
                return too_long ? std::string_view() : found;
            }
            if (failed) return fail(*failed);
            if (at_end) return std::nullopt;
            if (too_long) at = text.size(); // forget what there is of it
            searched = text.size() - at;
            if (auto more = read_on(); !more) failed = more.error();
        }
    }
};

line_source::line_source(std::unique_ptr<state> owned) : state_(std::move(owned)) {}
line_source::line_source(line_source&&) noexcept = default;
line_source& line_source::operator=(line_source&&) noexcept = default;
line_source::~line_source() = default;

result<line_source> line_source::open(const std::string& file) {
    auto owned = std::make_unique<state>();
    owned->name = file == "-" ? "standard input" : file;
    owned->descriptor = file == "-" ? STDIN_FILENO : ::open(file.c_str(), O_RDONLY | O_CLOEXEC);
    if (owned->descriptor < 0) return owned->system_error("open");
    struct stat facts{};
    if (::fstat(owned->descriptor, &facts) == 0 && S_ISREG(facts.st_mode)) {
        owned->packed_bytes = static_cast<std::uint64_t>(facts.st_size);
    }
    return line_source(std::move(owned));
}

result<line_source::batch> line_source::next(std::uint64_t lines_max) {
    state& s = *state_;
    batch out;
    out.first_line = s.next_line;
    while (out.lines < lines_max &&
           out.text.size() + limits::import_line_bytes_max < limits::http_body_bytes_max) {
        bool too_long = false;
        auto line = s.line(too_long);
        if (!line) {
            // The good lines first; the error comes again with the next call.
            if (out.lines > 0) break;
            return fail(line.error());
        }
        std::optional<std::string_view> text = *line;
        if (!text) break;
        if (too_long) out.too_long.push_back(s.next_line - 1);
        out.text += *text;
        out.text += '\n';
        ++out.lines;
    }
    out.packed_bytes_read = s.packed_bytes_read;
    return out;
}

std::uint64_t line_source::packed_bytes() const { return state_->packed_bytes; }

} // namespace weft
