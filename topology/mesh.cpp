#include "topology/mesh.hpp"

namespace weft {

result<std::vector<planned_link>> mesh_links(std::span<const member> members) {
    std::vector<planned_link> links;
    for (std::size_t i = 0; i < members.size(); ++i) {
        for (std::size_t j = i + 1; j < members.size(); ++j) {
            const member& first = members[i];
            const member& second = members[j];
            if (!second.url.empty()) {
                links.push_back({first.name, second.name});
            } else if (!first.url.empty()) {
                links.push_back({second.name, first.name});
            } else {
                return fail(errc::invalid_argument, "neither '" + first.name + "' nor '" +
                                                        second.name +
                                                        "' has a URL: give one of them a listener");
            }
        }
    }
    return links;
}

} // namespace weft
