#pragma once
#include "base/result.hpp"
#include "topology/members.hpp"

#include <compare>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace weft {

enum class plan_kind : std::uint8_t { mesh }; // every pair linked

struct planned_link {
    std::string dialer;
    std::string acceptor;

    auto operator<=>(const planned_link&) const = default;
};

// Who links to whom, and who sends what over which link. A pure function of its inputs: all members
// that hold the same list make the same plan without talking.
class link_plan {
public:
    link_plan(std::uint64_t epoch, std::vector<planned_link> links);

    [[nodiscard]] std::uint64_t epoch() const { return epoch_; }
    [[nodiscard]] const std::vector<planned_link>& links() const { return links_; } // sorted
    [[nodiscard]] bool linked(std::string_view one, std::string_view other) const;
    // The members that `name` has a link with, sorted.
    [[nodiscard]] std::vector<std::string> neighbours(std::string_view name) const;

    // Whether `sender` sends the runs of `origin` to its neighbour `receiver`: its own always,
    // those of others only where the receiver has no link with the origin. So while all links are
    // up, each run of a mesh arrives once.
    [[nodiscard]] bool forwards(std::string_view sender, std::string_view origin,
                                std::string_view receiver) const;

    bool operator==(const link_plan&) const = default;

private:
    std::uint64_t epoch_;
    std::vector<planned_link> links_;
};

// The plan for these members, in whatever order they are given. invalid_argument if two have one
// name, or if neither end of a planned link has a URL.
[[nodiscard]] result<link_plan> plan(std::vector<member> members, plan_kind kind,
                                     std::uint64_t epoch);

} // namespace weft
