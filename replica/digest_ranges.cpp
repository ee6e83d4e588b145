#include "replica/digest_ranges.hpp"

#include "base/check.hpp"
#include "replica/change_codec.hpp"

#include <algorithm>
#include <iterator>

namespace weft {
namespace {

constexpr std::size_t bytes_an_entry = 512; // of a value: about the time that an entry takes

} // namespace

std::uint64_t hash_of_vector(const version_vector& vector) {
    byte_writer out;
    for (const auto& e : vector.entries()) {
        out.u64(static_cast<std::uint64_t>(e.replica));
        out.u64(e.counter);
    }
    return static_cast<std::uint64_t>(hash_of(out.view()));
}

digest_count::digest_count(keyspace frozen, std::vector<range> ranges, std::size_t parts_max)
    : frozen_(std::move(frozen)), ranges_(std::move(ranges)), parts_max_(parts_max) {
    WEFT_CHECK(parts_max_ >= 2 && parts_max_ % 2 == 0);
    begin_range();
}

// Behind the last range there is an empty one, which says that all are done.
void digest_count::begin_range() {
    const range* next = parts_.size() < ranges_.size() ? &ranges_[parts_.size()] : nullptr;
    parts_.emplace_back();
    if (next == nullptr) return;
    parts_.back().push_back({next->first, next->end, {}});
    keys_in_last_ = 0;
    keys_a_part_ = 1;
    const auto& all = frozen_.root().children();
    auto from = [&](const std::string& key) {
        return all.lower_bound(child_ref{key, {type_kind{}, element_kind{}}});
    };
    levels_.push_back({from(next->first), next->end.empty() ? all.end() : from(next->end), {}});
    leave();
}

void digest_count::step(std::size_t entries) {
    for (left_ = entries; left_ > 0 && !done();) count_next();
}

void digest_count::count_next() {
    const level& here = levels_.back();
    std::string_view name = here.at->key.name();
    bool in_set = !std::holds_alternative<std::monostate>(inside_);
    if (levels_.size() == 1 && !in_set) begin_key(name);
    path_hash path = here.path.child(name, here.at->key.type());
    const object& one = here.at->value;
    if (const auto* map = std::get_if<map_store>(&one.data())) {
        --left_;
        levels_.push_back({map->children().begin(), map->children().end(), path});
        return leave();
    }
    if (const auto* adds = std::get_if<add_wins_store<value>>(&one.data()))
        return count_elements(*adds, path);
    if (const auto* marks = std::get_if<remove_wins_elements>(&one.data()))
        return count_elements(marks->marks(), path);
    count(weigh(path, one));
    ++levels_.back().at;
    leave();
}

void digest_count::count(const object_weight& one) {
    left_ -= std::min(left_, 1 + one.state_bytes / bytes_an_entry);
    add(one.digest);
}

// Goes on behind what is finished: maps, and ranges.
void digest_count::leave() {
    while (levels_.back().at == levels_.back().end) {
        levels_.pop_back();
        if (levels_.empty()) return begin_range();
        ++levels_.back().at;
    }
}

template <class Store>
void digest_count::count_elements(const Store& elements, const path_hash& path) {
    using iterator = typename Store::map_type::const_iterator;
    const auto* from = std::get_if<iterator>(&inside_);
    iterator at = from == nullptr ? elements.begin() : *from;
    for (; left_ > 0 && at != elements.end(); ++at) count(weigh_element(path, at->key, &at->value));
    if (at != elements.end()) {
        inside_ = at;
        return;
    }
    inside_ = std::monostate();
    ++levels_.back().at;
    leave();
}

// Parts hold one key each; when there are too many, each two become one, which from then on hold twice as
// many. So no key has to be counted beforehand. Objects of several types may share a key.
void digest_count::begin_key(std::string_view name) {
    auto& parts = parts_.back();
    bool counts = keys_in_last_ == 0 || name != key_;
    key_ = name;
    if (!counts) return;
    if (keys_in_last_ == keys_a_part_) {
        if (parts.size() == parts_max_) {
            for (std::size_t i = 0; i < parts_max_ / 2; ++i) {
                range_digest& low = parts[2 * i];
                const range_digest& high = parts[2 * i + 1];
                state_digest sum{low.digest};
                sum.add({high.digest});
                parts[i] = {std::move(low.first), high.end, sum.words};
            }
            parts.resize(parts_max_ / 2);
            keys_a_part_ *= 2;
        }
        std::string end = std::exchange(parts.back().end, std::string(name));
        parts.push_back({std::string(name), std::move(end), {}});
        keys_in_last_ = 0;
    }
    ++keys_in_last_;
}

void digest_count::add(const state_digest& digest) {
    auto& last = parts_.back().back().digest;
    state_digest sum{last};
    sum.add(digest);
    last = sum.words;
}

std::vector<std::vector<range_digest>> digest_count::take() {
    WEFT_CHECK(done());
    parts_.pop_back();
    return std::move(parts_);
}

state_digest sum_of(const std::vector<range_digest>& parts) {
    state_digest out;
    for (const range_digest& part : parts) out.add({part.digest});
    return out;
}

narrowed_ranges narrow(const std::vector<range_digest>& theirs,
                       std::vector<std::vector<range_digest>> ours) {
    std::vector<std::size_t> differing;
    for (std::size_t i = 0; i < theirs.size(); ++i) {
        if (sum_of(ours[i]).words != theirs[i].digest) differing.push_back(i);
    }
    narrowed_ranges out;
    if (differing.empty()) return out;
    auto [lowest, highest] =
        std::minmax_element(differing.begin(), differing.end(), [&](std::size_t x, std::size_t y) {
            return theirs[x].first < theirs[y].first;
        });
    out.ranges = std::move(ours[*lowest]);
    std::size_t ends = *lowest == *highest ? 1 : 2;
    if (ends == 2)
        std::move(ours[*highest].begin(), ours[*highest].end(), std::back_inserter(out.ranges));
    out.found = out.ranges.size() == ends;
    return out;
}

} // namespace weft
