#pragma once
#include <concepts>

namespace weft {

// A state that can be joined with any other state or delta of its type: commutative, associative,
// idempotent. The laws are tested for every type in tests/crdt/laws_test.cpp.
template <class T>
concept join_semilattice = std::regular<T> && requires(T state, const T& other) {
    { state.join(other) } -> std::same_as<void>;
};

template <join_semilattice T>
[[nodiscard]] T joined(T state, const T& other) {
    state.join(other);
    return state;
}

} // namespace weft
