#pragma once
#include "crdt/object.hpp"

#include <array>
#include <string_view>

namespace weft {

// A commutative 128-bit sum of hashes of live dots and values. Equal version vectors have equal digests;
// it detects faults, not adversaries. It covers nothing that depends on stability, time or configuration:
// no reset rows of counters, no remove marks, no removes that are kept and stand beside no write.
//
//   cost    add and subtract: one XXH3-128 per live dot
struct state_digest {
    std::array<std::uint64_t, 2> words{};

    void add(const state_digest& part);
    void subtract(const state_digest& part);
    bool operator==(const state_digest&) const = default;
};
[[nodiscard]] std::string to_string(const state_digest& digest); // 32 hexadecimal digits

// The hash of a path, made part by part from the root.
struct path_hash {
    std::uint64_t low = 0;
    std::uint64_t high = 0;

    [[nodiscard]] path_hash child(std::string_view name, type_id type) const;
};

// The digest of what one object holds at `path`, and of its parts. Also says how many bytes of memory
// they take, roughly: the state limit is kept with it.
struct object_weight {
    state_digest digest;
    std::uint64_t state_bytes = 0;

    void add(const object_weight& part);
    void subtract(const object_weight& part);
    bool operator==(const object_weight&) const = default;
};
[[nodiscard]] object_weight weigh(const path_hash& path, const register_store<value>& store);
[[nodiscard]] object_weight weigh(const path_hash& path, const flag_store& store);
[[nodiscard]] object_weight weigh(const path_hash& path, const counter_store& store);
[[nodiscard]] object_weight weigh(const path_hash& path, const bounded_store& store);
[[nodiscard]] object_weight weigh_element(const path_hash& path, const value& element,
                                          const dot_set* adds);
[[nodiscard]] object_weight weigh_element(const path_hash& path, const value& element,
                                          const flag_store* marks);
[[nodiscard]] object_weight weigh(const path_hash& path, const object& whole); // with all below it

} // namespace weft
