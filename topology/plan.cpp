#include "topology/plan.hpp"

#include "topology/mesh.hpp"

#include <algorithm>
#include <utility>

namespace weft {
namespace {

result<std::vector<planned_link>> links_for(const std::vector<member>& members, plan_kind kind) {
    switch (kind) {
        case plan_kind::mesh: return mesh_links(members);
    }
    return fail(errc::invalid_argument, "no such kind of plan");
}

} // namespace

link_plan::link_plan(std::uint64_t epoch, std::vector<planned_link> links)
    : epoch_(epoch), links_(std::move(links)) {
    std::sort(links_.begin(), links_.end());
}

bool link_plan::linked(std::string_view one, std::string_view other) const {
    return std::any_of(links_.begin(), links_.end(), [=](const planned_link& link) {
        return (link.dialer == one && link.acceptor == other) ||
               (link.dialer == other && link.acceptor == one);
    });
}

std::vector<std::string> link_plan::neighbours(std::string_view name) const {
    std::vector<std::string> out;
    for (const planned_link& link : links_) {
        if (link.dialer == name) out.push_back(link.acceptor);
        if (link.acceptor == name) out.push_back(link.dialer);
    }
    std::sort(out.begin(), out.end());
    return out;
}

bool link_plan::forwards(std::string_view sender, std::string_view origin,
                         std::string_view receiver) const {
    if (!linked(sender, receiver) || origin == receiver) return false;
    return origin == sender || !linked(origin, receiver);
}

result<link_plan> plan(std::vector<member> members, plan_kind kind, std::uint64_t epoch) {
    std::sort(members.begin(), members.end(),
              [](const member& x, const member& y) { return x.name < y.name; });
    auto twice =
        std::adjacent_find(members.begin(), members.end(),
                           [](const member& x, const member& y) { return x.name == y.name; });
    if (twice != members.end()) {
        return fail(errc::invalid_argument, "two members are named '" + twice->name + "'");
    }
    auto links = links_for(members, kind);
    if (!links) return fail(links.error());
    return link_plan(epoch, *std::move(links));
}

} // namespace weft
