#pragma once
#include "clock/dot.hpp"

#include <cstddef>
#include <span>
#include <string>
#include <vector>

namespace weft {

// Replica id -> highest op counter seen, without gaps. Absent ids count as 0.
//
//   shape   a sorted array of 16-byte entries; no entry is 0
//   order   before, after, equal, concurrent: a partial order
//   cost    at: O(log n); advance, set: O(log n), a new id O(n); all else: O(n + m), one pass
//   source  Mattern 1989, Fidge 1988; as version vectors Parker et al. 1983
class version_vector {
public:
    struct entry {
        replica_id replica{};
        std::uint64_t counter = 0;

        auto operator<=>(const entry&) const = default;
    };

    version_vector() = default;
    version_vector(std::initializer_list<entry> entries);

    [[nodiscard]] std::uint64_t at(replica_id replica) const;
    [[nodiscard]] bool covers(dot d) const { return d.counter <= at(d.replica); }
    [[nodiscard]] bool covers(const version_vector& other) const; // at or after it
    [[nodiscard]] bool concurrent_with(const version_vector& other) const;

    // Raises the entry of `replica` to at least `counter`.
    void advance(replica_id replica, std::uint64_t counter);
    // Sets the entry of `replica`, also to less; 0 erases it.
    void set(replica_id replica, std::uint64_t counter);
    void join(const version_vector& other); // entry-wise maximum
    void meet(const version_vector& other); // entry-wise minimum

    // The entries of this vector that are above those of `other`: what it lacks, or what changed.
    [[nodiscard]] std::vector<entry> above(const version_vector& other) const;
    // How many operations this vector covers that `other` does not.
    [[nodiscard]] std::uint64_t operations_beyond(const version_vector& other) const;

    [[nodiscard]] std::span<const entry> entries() const { return entries_; }
    [[nodiscard]] std::size_t size() const { return entries_.size(); }
    [[nodiscard]] bool empty() const { return entries_.empty(); }
    bool operator==(const version_vector&) const = default;

private:
    std::vector<entry> entries_;
};

// "{00c0ffee00c0ffee:42, …}"
[[nodiscard]] std::string to_string(const version_vector& vector);

} // namespace weft
