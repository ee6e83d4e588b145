#include "replica/state_join.hpp"

#include "base/limits.hpp"

#include <algorithm>

namespace weft {
namespace {

bool share_an_origin(const version_vector& a, const version_vector& b) {
    return std::any_of(a.entries().begin(), a.entries().end(),
                       [&](const auto& e) { return b.at(e.replica) > 0; });
}

// How many it holds; counted no further than a little beyond `enough`.
std::size_t entries_of(const object& of, std::size_t enough) {
    if (const auto* adds = std::get_if<add_wins_store<value>>(&of.data())) return 1 + adds->size();
    if (const auto* marks = std::get_if<remove_wins_elements>(&of.data()))
        return 1 + marks->marks().size();
    const auto* map = std::get_if<map_store>(&of.data());
    std::size_t out = 1;
    if (map == nullptr) return out;
    for (const auto& child : map->children()) {
        if (out > enough) break;
        out += entries_of(child.value, enough - out);
    }
    return out;
}

} // namespace

state_join::state_join(side mine, side theirs, std::size_t large)
    : mine_(std::move(mine)), theirs_(std::move(theirs)), large_(large),
      strangers_(!share_an_origin(mine_.seen, theirs_.seen)) {
    levels_.emplace_back().begin(mine_.objects.root().children().begin(),
                                 theirs_.objects.root().children().begin());
    if (levels_.back().done()) levels_.pop_back();
}

void state_join::step(std::size_t entries) {
    for (left_ = entries; left_ > 0 && !done();) join_next();
}

void state_join::join_next() {
    if (auto* adds = std::get_if<adds_place>(&set_)) return join_elements(*adds);
    if (auto* marks = std::get_if<marks_place>(&set_)) return join_elements(*marks);
    const level& at = levels_.back();
    const object* mine = at.here ? &at.mine->value : nullptr;
    const object* theirs = at.there ? &at.theirs->value : nullptr;
    std::size_t size = 0;
    for (const object* each : {mine, theirs}) {
        if (each != nullptr) size += entries_of(*each, large_);
    }
    type_kind kind = at.key().type().kind;
    if (size > large_ && (kind == type_kind::map || is_set(kind))) return open(at, mine, theirs);
    join_whole(at, mine, theirs);
    left_ -= std::min(left_, size);
    leave();
}

// Goes on behind what the last level stands at; and where that was its end, behind that level.
void state_join::leave() {
    levels_.back().advance();
    while (levels_.back().done()) {
        levels_.pop_back();
        if (levels_.empty()) return;
        levels_.back().advance();
    }
}

// A large object is joined entry by entry.
void state_join::open(const level& at, const object* mine, const object* theirs) {
    auto begin_of = [](const object* from, auto entries_in) {
        using iterator = decltype(entries_in(*from).begin());
        return from == nullptr ? iterator() : entries_in(*from).begin();
    };
    auto children = [](const object& o) -> const auto& { return o.as<map_store>().children(); };
    auto adds = [](const object& o) -> const auto& { return o.as<add_wins_store<value>>(); };
    auto marks = [](const object& o) -> const auto& {
        return o.as<remove_wins_elements>().marks();
    };
    type_id type = at.key().type();
    if (type.kind == type_kind::map) {
        level below;
        below.path = at.path.child(at.key().name(), type);
        below.begin(begin_of(mine, children), begin_of(theirs, children));
        levels_.push_back(below);
    } else if (type.kind == type_kind::remove_wins_set) {
        set_.emplace<marks_place>().begin(begin_of(mine, marks), begin_of(theirs, marks));
    } else {
        set_.emplace<adds_place>().begin(begin_of(mine, adds), begin_of(theirs, adds));
    }
}

void state_join::join_whole(const level& at, const object* mine, const object* theirs) {
    std::string_view name = at.key().name();
    type_id type = at.key().type();
    object one = mine != nullptr ? *mine : object::of_type(type.kind);
    object_weight before;
    if (mine != nullptr) before = weigh(at.path.child(name, type), one);
    if (mine == nullptr && strangers_) {
        one = *theirs;
    } else if (theirs != nullptr || !strangers_) {
        one.join(theirs != nullptr ? *theirs : object::of_type(type.kind), mine_.seen,
                 theirs_.seen);
    }
    object_weight after;
    if (!one.empty()) {
        if (levels_.size() == 1) {
            after = joined_.put({name, type}, std::move(one));
        } else {
            after = weigh(at.path.child(name, type), one);
            joined_.load(path(), type, std::move(one));
        }
    }
    if (!(after.digest == before.digest)) note_changed();
}

template <class Place>
void state_join::join_elements(Place& at) {
    const level& of = levels_.back();
    type_id type = of.key().type();
    path_hash here = of.path.child(of.key().name(), type);
    object part = object::of_type(type.kind);
    for (; left_ > 0 && !at.done(); --left_) {
        const value& element = at.key();
        using marks_type = std::decay_t<decltype(at.mine->value)>;
        const marks_type* mine = at.here ? &at.mine->value : nullptr;
        marks_type one = mine != nullptr ? *mine : marks_type();
        one.join(at.there ? at.theirs->value : marks_type(), mine_.seen, theirs_.seen);
        if (!(weigh_element(here, element, mine).digest ==
              weigh_element(here, element, &one).digest))
            note_changed();
        if (!one.empty()) {
            if constexpr (std::same_as<Place, adds_place>) {
                part.as<add_wins_store<value>>().put(element, std::move(one));
            } else {
                part.as<remove_wins_elements>().put(element, std::move(one));
            }
        }
        at.advance();
    }
    if (!part.empty()) joined_.load(path(), type, std::move(part));
    if (!at.done()) return;
    set_ = std::monostate();
    leave();
}

void state_join::note_changed() {
    std::string_view name = levels_.front().key().name();
    if (changed_.empty() || changed_.back() != name) changed_.emplace_back(name);
}

std::vector<std::string_view> state_join::path() const {
    std::vector<std::string_view> out;
    for (const level& each : levels_) out.push_back(each.key().name());
    return out;
}

result<image_header> join_headers(const image_header& mine, const image_header& theirs) {
    image_header out = mine;
    for (const image_origin& other : theirs.origins) {
        auto at = std::lower_bound(out.origins.begin(), out.origins.end(), other.id,
                                   [](const image_origin& o, replica_id id) { return o.id < id; });
        bool known = at != out.origins.end() && at->id == other.id;
        if (known && at->counter == other.counter && at->last != other.last) {
            return fail(errc::dot_reused,
                        "operation " + to_string(dot{other.id, other.counter}) +
                            " has another content in the state that came: two histories under one "
                            "replica id. Remedy: stop the copy, remove its directory, start it "
                            "again empty");
        }
        if (known && at->counter >= other.counter) continue;
        out.floor.advance(other.id, other.counter);
        if (known) {
            *at = other;
        } else {
            out.origins.insert(at, other);
        }
    }
    if (out.origins.size() > limits::vector_entries_max) return fail(too_many_origins());
    return out;
}

} // namespace weft
