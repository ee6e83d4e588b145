#pragma once
#include <cstddef>
#include <string>
#include <string_view>

// All that the program says as text. What others wrote, keys, names and values, goes through here, so that it
// can neither make a line of its own nor steer a terminal. JSON is said as it is.
namespace weft {

// The same on one line: control characters, what turns the direction of writing, and bytes that are no UTF-8
// as "\n", "\u001b", "\x9b".
[[nodiscard]] std::string one_line(std::string_view text);

// A line on standard output, and one on standard error: one_line of it.
void say(std::string_view line);
void say_error(std::string_view line);

// With spaces behind it, up to that many bytes.
[[nodiscard]] std::string padded(std::string text, std::size_t width);

// Content that was asked for, and a newline: for a terminal on one line, for a pipe or a file as it is.
void say_content(std::string_view content);

} // namespace weft
