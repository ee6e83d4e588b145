#include "replica/pending_operations.hpp"

namespace weft {

void pending_operations::add(operation&& op, std::span<const run_encoder::name_place> path) {
    operations_.push_back(std::move(op));
    path_sizes_.push_back(path.size());
    places_.insert(places_.end(), path.begin(), path.end());
}

std::span<operation> pending_operations::with_paths(const run_encoder& written) {
    names_.clear();
    for (const auto& place : places_) names_.push_back(written.name(place));
    std::span<const std::string_view> left = names_;
    for (std::size_t i = 0; i < operations_.size(); ++i) {
        operations_[i].path = left.first(path_sizes_[i]);
        left = left.subspan(path_sizes_[i]);
    }
    return operations_;
}

void pending_operations::clear() {
    operations_.clear();
    path_sizes_.clear();
    places_.clear();
    names_.clear();
}

} // namespace weft
