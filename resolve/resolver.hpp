#pragma once
#include "base/result.hpp"
#include "resolve/conflict.hpp"

#include <functional>
#include <optional>
#include <string>
#include <vector>

namespace weft {

// What readers get where a conflict was resolved.
struct reading {
    std::vector<value> values; // mostly one; none: absent; several: a union, in order, each once
    std::optional<dot> taken;  // the sibling that was taken as it is

    bool operator==(const reading&) const = default;
};

// A strategy: a pure function of a whole conflict. It has no state, reads no clock and draws no number, so
// every replica that knows the same siblings reads the same.
//
//   nothing    it defers to the next strategy of its chain
//   an error   the same, and it is told: the siblings stay as they are. So it is with a result that no write
//              could have: absent among the values, text that is not UTF-8, more than the limits of a write
//              and of a conflict (limits::value_bytes_max, siblings_max, sibling_bytes_max)
using resolve_function = std::function<result<std::optional<reading>>(const conflict&)>;

struct strategy {
    std::string name; // as it is written in rules: "last_writer_wins", "priority(berlin, oslo)"
    resolve_function resolve;
};

// What came of a conflict.
struct decision {
    std::optional<reading> read; // nothing: it waits for a person
    std::string strategy;        // who decided it; "manual" if nobody did
    std::vector<error> failed; // strategies that could not say, in their order; UTF-8, and bounded

    bool operator==(const decision&) const = default;
};

// Strategies that are asked one after the other, until one of them decides.
//
//   cost     that of the strategies asked, and O(n) for n siblings
//   errors   over_limit if there are more siblings, or more bytes in them, than limits::siblings_max and
//            limits::sibling_bytes_max: then none is asked. What a function throws becomes an error here
//   threads  any, if the functions of its own strategies are
class resolver {
public:
    resolver() = default; // asks nobody: everything waits for a person
    explicit resolver(std::vector<strategy> chain) : chain_(std::move(chain)) {}

    [[nodiscard]] decision resolve(const conflict& what) const;
    [[nodiscard]] const std::vector<strategy>& chain() const { return chain_; }
    // "priority(berlin) > last_writer_wins"; "manual" if it is empty.
    [[nodiscard]] std::string name() const;

private:
    std::vector<strategy> chain_;
};

} // namespace weft
