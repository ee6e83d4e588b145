#pragma once

namespace weft {

// Prints the expression and its place, then aborts. On in every build: a broken invariant must
// never reach the log or a peer.
[[noreturn]] void check_failed(const char* expression, const char* file, int line);

} // namespace weft

// For bugs in weft only. What comes from a caller, a peer or a disk is answered with `fail`.
#define WEFT_CHECK(expression)                                                                     \
    ((expression) ? void(0) : ::weft::check_failed(#expression, __FILE__, __LINE__))
