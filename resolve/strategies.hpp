#pragma once
#include "resolve/resolver.hpp"

#include <optional>
#include <string>
#include <string_view>
#include <vector>

// The strategies that come with weft. Each folds the whole set of siblings; none depends on their order.
namespace weft {

// The sibling with the highest (HLC, replica id, counter).
[[nodiscard]] strategy last_writer_wins();

// By version vectors: the write that has seen all others. Siblings are concurrent, so it always defers; it
// stands in a chain to say that what does dominate is settled, and what does not goes on.
[[nodiscard]] strategy dominance();

// The sibling whose writer comes first in `order`, a list of member names and regions; of several of that one
// the last. A name counts before a region. Defers if no writer is in it.
[[nodiscard]] strategy priority(std::vector<std::string> order);

// Whether `a` is less than `b` as a number, both an integer or a double: exactly, also where an integer has
// no double of its own. NaN is the largest. Of an integer and a double that are equal neither is less.
[[nodiscard]] bool number_less(const value& a, const value& b);

// Folds of values. They look at no remove; where there are only removes, the object is absent.
//   max, min   by the order of values, within one kind; integers and doubles are one kind
//   sum        of integers, exact, or over_limit; with doubles among them a double, added in order of value
//   average    a double
//   union      every value once, in order
// All but union: wrong_type if values of several kinds are there, or what cannot be added.
[[nodiscard]] strategy fold_max();
[[nodiscard]] strategy fold_min();
[[nodiscard]] strategy fold_sum();
[[nodiscard]] strategy fold_average();
[[nodiscard]] strategy fold_union();

// A function of yours. It must be pure, and the same on every replica: its name goes into the version of the
// rules, so give another name to another function.
//   kind  if given, what it must return; another kind is wrong_type, and the siblings stay
using merge_function = std::function<std::optional<value>(const conflict&)>; // nothing: it defers
[[nodiscard]] strategy custom(std::string name, merge_function merge,
                              std::optional<value_kind> kind = std::nullopt);

// Reads "priority(berlin, oslo) > last_writer_wins" or "manual", which must come last. Custom strategies are
// found by name among `known`.
//   errors  invalid_argument: where it is wrong, and what there is
[[nodiscard]] result<resolver> parse_resolver(std::string_view text,
                                              const std::vector<strategy>& known = {});

} // namespace weft
