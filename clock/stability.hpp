#pragma once
#include "clock/version_vector.hpp"

#include <map>
#include <string>

namespace weft {

// What each member has durably seen, and so the stable frontier: the dots that every current member
// is known to have. Members are counted by name: one may have had several replica ids.
class stability {
public:
    void add_member(const std::string& name); // it has seen nothing until it says so
    void remove_member(const std::string& name);
    // Vectors of one member grow; an older one that arrives late changes nothing.
    void seen_by(const std::string& name, const version_vector& durable);

    // It has nothing beyond `applied`: it says so itself when it comes back, perhaps without its disk.
    void has_at_most(const std::string& name, const version_vector& applied);

    // The entry-wise minimum over the members; empty if there are none.
    [[nodiscard]] version_vector frontier() const;
    // How many members durably have `d`.
    [[nodiscard]] std::size_t members_with(dot d) const;
    [[nodiscard]] std::size_t members() const { return seen_.size(); }

private:
    std::map<std::string, version_vector> seen_;
};

} // namespace weft
