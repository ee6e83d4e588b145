#include "replica/state_join.hpp"

#include "base/limits.hpp"

#include <algorithm>

namespace weft {
namespace {

bool share_an_origin(const version_vector& a, const version_vector& b) {
    return std::any_of(a.entries().begin(), a.entries().end(),
                       [&](const auto& e) { return b.at(e.replica) > 0; });
}

} // namespace

state_join::state_join(side mine, side theirs)
    : mine_(std::move(mine)), theirs_(std::move(theirs)),
      strangers_(!share_an_origin(mine_.seen, theirs_.seen)),
      mine_at_(mine_.objects.root().children().begin()),
      mine_end_(mine_.objects.root().children().end()),
      theirs_at_(theirs_.objects.root().children().begin()),
      theirs_end_(theirs_.objects.root().children().end()) {}

void state_join::step(std::size_t objects) {
    for (; objects > 0 && !done(); --objects) join_one();
}

void state_join::join_one() {
    child_less less;
    bool here = mine_at_ != mine_end_ &&
                (theirs_at_ == theirs_end_ || !less(theirs_at_->key, mine_at_->key));
    bool there = theirs_at_ != theirs_end_ &&
                 (mine_at_ == mine_end_ || !less(mine_at_->key, theirs_at_->key));
    const child_key& key = here ? mine_at_->key : theirs_at_->key;
    std::string_view name = key.name();
    object one = here ? mine_at_->value : object::of_type(key.type().kind);
    object_weight before;
    if (here) before = weigh(path_hash{}.child(name, key.type()), one);
    if (!here && strangers_) {
        one = theirs_at_->value;
    } else if (there || !strangers_) {
        one.join(there ? theirs_at_->value : object::of_type(key.type().kind), mine_.seen,
                 theirs_.seen);
    }
    object_weight after;
    if (!one.empty()) after = joined_.put({name, key.type()}, std::move(one));
    if (!(after.digest == before.digest) && (changed_.empty() || changed_.back() != name))
        changed_.emplace_back(name);
    if (here) ++mine_at_;
    if (there) ++theirs_at_;
}

error too_many_origins() {
    return {errc::over_limit, "a cluster holds at most " +
                                  std::to_string(limits::vector_entries_max) +
                                  " replica ids, and this would be one too many"};
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
