#pragma once
#include <kj/string.h>

// Include this before any header of Cap'n Proto. Those of 0.9 write `text == string` and rely on
// C++20 to turn the operands of kj::StringPtr's member operator around. By P2468 a compiler does so
// only for classes without operator!=, and clang 19 keeps to that; so here are the operators.
namespace kj {

inline bool operator==(const char* a, const StringPtr& b) { return b.operator==(StringPtr(a)); }
inline bool operator!=(const char* a, const StringPtr& b) { return b.operator!=(StringPtr(a)); }

} // namespace kj
