#pragma once
#include "clock/version_vector.hpp"

#include <vector>

namespace weft {

// What a delta or a state has seen: a version vector plus a cloud of single dots beyond it. The
// cloud is kept compact: a dot that continues the vector moves into it.
//
//   shape   vector entries of 16 bytes, and one sorted array of dots
//   cost    covers: O(log n); insert: O(log n + c) for a cloud of c; join: O(n + m + c)
//   source  Almeida, Shoker, Baquero, "Delta state replicated data types", JPDC 2018, section 7.2
class causal_context {
public:
    causal_context() = default;
    explicit causal_context(version_vector seen) : vector_(std::move(seen)) {}

    [[nodiscard]] bool covers(dot d) const;
    // The next dot of `replica`: one above everything seen of it.
    [[nodiscard]] dot next(replica_id replica) const;

    void insert(dot d);
    void join(const causal_context& other);

    [[nodiscard]] const version_vector& vector() const { return vector_; }
    [[nodiscard]] const std::vector<dot>& cloud() const { return cloud_; }
    [[nodiscard]] bool empty() const { return vector_.empty() && cloud_.empty(); }
    bool operator==(const causal_context&) const = default;

private:
    void compact();

    version_vector vector_;
    std::vector<dot> cloud_; // sorted, all beyond vector_, none the next of its replica
};

} // namespace weft
