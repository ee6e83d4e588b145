#include "node/client.hpp"
#include "node/commands.hpp"
#include "node/line_source.hpp"
#include "node/terminal.hpp"

#include <chrono>
#include <cmath>
#include <cstdio>
#include <future>
#include <map>
#include <unistd.h>

namespace weft {
namespace json = boost::json;
namespace {

using steady = std::chrono::steady_clock;

// One line on standard error that is written again and again.
class progress_line {
public:
    progress_line(bool wanted, std::uint64_t packed_bytes)
        : wanted_(wanted), packed_bytes_(packed_bytes) {}

    void show(std::uint64_t lines, std::uint64_t packed_bytes_read) {
        auto now = steady::now();
        if (!wanted_ || now - shown_ < std::chrono::milliseconds(200)) return;
        shown_ = now;
        double seconds = std::chrono::duration<double>(now - began_).count();
        double part = packed_bytes_ == 0 ? 0
                                         : static_cast<double>(packed_bytes_read) /
                                               static_cast<double>(packed_bytes_);
        std::fprintf(stderr, "\r%llu lines, %.0f/s", static_cast<unsigned long long>(lines),
                     static_cast<double>(lines) / seconds);
        if (part > 0)
            std::fprintf(stderr, ", %.0f%%, %.0f s left ", part * 100, seconds / part - seconds);
        std::fflush(stderr);
        said_ = true;
    }
    void clear() {
        if (std::exchange(said_, false)) std::fputs("\r\033[K", stderr);
    }

private:
    bool wanted_;
    std::uint64_t packed_bytes_;
    bool said_ = false;
    steady::time_point began_ = steady::now();
    steady::time_point shown_;
};

} // namespace

int run(const import_command& given) {
    auto node = client::connect(given.dir);
    if (!node) return complain(node.error());
    auto source = line_source::open(given.file);
    if (!source) return complain(source.error());
    progress_line progress(given.progress || ::isatty(STDERR_FILENO) == 1, source->packed_bytes());
    std::uint64_t applied = 0;
    std::uint64_t skipped = 0;
    auto skip = [&](std::uint64_t line, const std::string& why) {
        progress.clear();
        say_error("weft: " + given.file + " line " + std::to_string(line) + ": " + why);
        ++skipped;
    };
    auto summary = [&] {
        progress.clear();
        say(std::to_string(applied) + " lines imported, " + std::to_string(skipped) + " skipped");
    };

    // While the node applies one batch, the next is read and unpacked.
    auto read = [&] { return source->next(given.batch_lines); };
    auto coming = std::async(std::launch::async, read);
    for (;;) {
        auto batch = coming.get();
        if (!batch) {
            summary();
            return complain(batch.error());
        }
        bool last = batch->lines == 0;
        if (!last) coming = std::async(std::launch::async, read);
        // The last request holds no lines: it waits for the acknowledgement of all before.
        auto answer = node->ask(
            "POST",
            target_of({"import"},
                      {{"prefix", given.prefix},
                       {"key", given.key_field},
                       {"line", std::to_string(batch->first_line)},
                       {"ack", last ? given.ack : "memory"},
                       {"timeout_ms", std::to_string(std::llround(given.timeout_s * 1000))}}),
            std::move(batch->text));
        if (!answer) {
            if (!last) coming.wait();
            summary();
            return complain(answer.error());
        }
        std::map<std::uint64_t, std::string> refused; // in order of lines
        for (std::uint64_t line : batch->too_long) refused[line] = "over_limit: longer than 4 MiB";
        for (const json::value& one : answer->at("errors").as_array()) {
            refused[one.at("line").to_number<std::uint64_t>()] =
                std::string(one.at("code").as_string()) + ": " +
                std::string(one.at("detail").as_string());
        }
        for (const auto& [line, why] : refused) skip(line, why);
        applied += answer->at("applied").to_number<std::uint64_t>();
        if (last) break;
        progress.show(applied + skipped, batch->packed_bytes_read);
    }
    summary();
    return skipped == 0 ? done : data_problem;
}

} // namespace weft
