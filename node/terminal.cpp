#include "node/terminal.hpp"

#include "base/bytes.hpp"

#include <algorithm>
#include <cstdio>
#include <unistd.h>

namespace weft {
namespace {

struct character {
    char32_t code = 0;
    std::size_t size = 0; // in bytes; 0: what begins there is none
};

character first_of(std::string_view text) {
    auto lead = static_cast<unsigned char>(text.front());
    std::size_t size = lead < 0x80 ? 1 : lead < 0xE0 ? 2 : lead < 0xF0 ? 3 : 4;
    if (!is_utf8(text.substr(0, size))) return {lead, 0};
    char32_t code = size == 1 ? lead : lead & (0x7FU >> size);
    for (char next : text.substr(1, size - 1))
        code = code << 6U | (static_cast<unsigned char>(next) & 0x3FU);
    return {code, size};
}

bool steers(char32_t c) {
    return c < 0x20 || (c >= 0x7F && c < 0xA0) || c == 0x61C || c == 0x200E || c == 0x200F ||
           (c >= 0x2028 && c <= 0x202E) || (c >= 0x2066 && c <= 0x2069);
}

void write_line(std::FILE* to, std::string line) {
    line += '\n';
    std::fwrite(line.data(), 1, line.size(), to); // at once: other threads have lines, too
}

} // namespace

std::string one_line(std::string_view text) {
    std::string out;
    out.reserve(text.size());
    while (!text.empty()) {
        character c = first_of(text);
        std::size_t size = std::max<std::size_t>(c.size, 1);
        if (c.size > 0 && !steers(c.code)) {
            out += text.substr(0, size);
        } else if (c.code == '\n' || c.code == '\t' || c.code == '\r') {
            out += c.code == '\n' ? "\\n" : c.code == '\t' ? "\\t" : "\\r";
        } else {
            std::string digits = to_hex(std::uint64_t{c.code});
            out += c.size == 0 ? "\\x" + digits.substr(14) : "\\u" + digits.substr(12);
        }
        text.remove_prefix(size);
    }
    return out;
}

void say(std::string_view line) { write_line(stdout, one_line(line)); }
void say_error(std::string_view line) { write_line(stderr, one_line(line)); }

std::string padded(std::string text, std::size_t width) {
    if (text.size() < width) text.resize(width, ' ');
    return text;
}

void say_content(std::string_view content) {
    write_line(stdout, ::isatty(STDOUT_FILENO) == 1 ? one_line(content) : std::string(content));
}

} // namespace weft
