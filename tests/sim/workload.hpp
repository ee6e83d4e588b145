#pragma once
#include "base/random.hpp"
#include "replica/replica.hpp"

#include <optional>
#include <span>
#include <string>

namespace weft::sim {

inline constexpr std::int64_t stock_bound = 0;

struct workload_options {
    std::uint64_t keys = 3;             // of each type: few, so that replicas meet
    double large = 0.02;                // of values …
    std::uint64_t large_bytes = 20'000; // … up to so much
    double burst = 0.01;                // of transactions: hundreds of operations
    double refused = 0.05; // of transactions: a bad use, or a change of mind, at the end
    double resolves = 0;   // of transactions: a person settles a conflict
};

// Writes random things of every type.
class workload {
public:
    workload(random_generator random, workload_options options)
        : random_(random), options_(options) {}

    // A random transaction. `known` are ids that may be given rights to. Nothing if it was rolled
    // back, as it should be.
    [[nodiscard]] std::optional<commit> write(replica& at, std::span<const replica_id> known);

    // What a replica did wrong; empty if nothing.
    [[nodiscard]] const std::string& problem() const { return problem_; }

private:
    [[nodiscard]] std::optional<commit> resolve(replica& at);
    void write_one(transaction& t, std::span<const replica_id> known);
    void write_in_map(const map_handle& map, int depth);
    void write_bounded(const bounded_counter_handle& stock, std::span<const replica_id> known);
    void spoil(transaction& t);
    [[nodiscard]] std::string key(std::string_view kind);
    [[nodiscard]] value content();
    [[nodiscard]] std::string word();
    void claim(bool holds, std::string_view what);

    random_generator random_;
    workload_options options_;
    std::string problem_;
};

} // namespace weft::sim
