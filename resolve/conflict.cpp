#include "resolve/conflict.hpp"

#include <algorithm>

namespace weft {

std::string_view to_string(conflict_kind kind) {
    switch (kind) {
        case conflict_kind::write_write: return "write_write";
        case conflict_kind::delete_write: return "delete_write";
        case conflict_kind::type_clash: return "type_clash";
        case conflict_kind::bound: return "bound";
    }
    return "unknown";
}

void arrange(std::vector<sibling>& siblings) {
    auto before = [](const sibling& a, const sibling& b) { return a.at < b.at; };
    auto same = [](const sibling& a, const sibling& b) { return a.at == b.at; };
    std::sort(siblings.begin(), siblings.end(), before);
    siblings.erase(std::unique(siblings.begin(), siblings.end(), same), siblings.end());
}

bool same_siblings(const conflict& a, const conflict& b) {
    auto same = [](const sibling& one, const sibling& other) {
        return one.at == other.at && one.content == other.content && one.holds == other.holds;
    };
    return a.kind == b.kind && std::equal(a.siblings.begin(), a.siblings.end(), b.siblings.begin(),
                                          b.siblings.end(), same);
}

} // namespace weft
