#pragma once
#include "replica/change_codec.hpp"

#include <span>
#include <string_view>
#include <vector>

namespace weft {

// Operations of the open change that the state does not hold yet. Those that look at nothing wait for the end
// of the change, or for who reads. Applied together, they wait for memory together (keyspace::series); what
// was never applied need not be taken back.
class pending_operations {
public:
    // `op`, which the encoder has just written with its path at those places.
    void add(operation&& op, std::span<const run_encoder::name_place> path);

    [[nodiscard]] std::size_t size() const { return operations_.size(); }
    // All of them. Their paths lie in `written` until that grows.
    [[nodiscard]] std::span<operation> with_paths(const run_encoder& written);
    void clear(); // keeps its space for the next change

private:
    std::vector<operation> operations_; // their paths are set by with_paths
    std::vector<std::size_t> path_sizes_;
    std::vector<run_encoder::name_place> places_; // of the parts of all paths, one after the other
    std::vector<std::string_view> names_;
};

} // namespace weft
