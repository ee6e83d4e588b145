#include "replica/digest_ranges.hpp"

#include "base/limits.hpp"
#include "replica/change_codec.hpp"

#include <algorithm>
#include <string_view>

namespace weft {

std::uint64_t hash_of_vector(const version_vector& vector) {
    byte_writer out;
    for (const auto& e : vector.entries()) {
        out.u64(static_cast<std::uint64_t>(e.replica));
        out.u64(e.counter);
    }
    return static_cast<std::uint64_t>(hash_of(out.view()));
}

std::vector<range_digest> digest_ranges(const keyspace& state, std::string_view first,
                                        std::string_view end, std::size_t parts) {
    const auto& children = state.root().children();
    auto from = children.lower_bound(child_ref{first, {type_kind{}, element_kind{}}});
    auto to = end.empty() ? children.end()
                          : children.lower_bound(child_ref{end, {type_kind{}, element_kind{}}});
    auto name_at = [](auto at) { return at->key.name(); };

    std::size_t names = 0; // objects of several types may share one
    std::string_view previous;
    for (auto at = from; at != to; ++at) {
        names += names == 0 || name_at(at) != previous ? 1 : 0;
        previous = name_at(at);
    }
    parts = std::clamp<std::size_t>(names, 1, parts);

    std::vector<range_digest> out;
    std::size_t name = 0;
    auto open_part = [&](std::string_view at) {
        if (!out.empty()) out.back().end = at;
        out.push_back({std::string(at), std::string(end), {}});
    };
    open_part(first);
    state_digest sum;
    for (auto at = from; at != to; ++at) {
        if (at != from && name_at(at) != previous) {
            ++name;
            if (name * parts / names != (name - 1) * parts / names) {
                out.back().digest = sum.words;
                sum = {};
                open_part(name_at(at));
            }
        }
        previous = name_at(at);
        sum.add(weigh(path_hash{}.child(name_at(at), at->key.type()), at->value).digest);
    }
    out.back().digest = sum.words;
    return out;
}

narrowed_ranges narrow(const keyspace& state, const std::vector<range_digest>& theirs) {
    std::vector<const range_digest*> differing;
    for (const range_digest& r : theirs) {
        if (digest_ranges(state, r.first, r.end, 1).front().digest != r.digest)
            differing.push_back(&r);
    }
    narrowed_ranges out;
    if (differing.empty()) return out;
    auto [lowest, highest] =
        std::minmax_element(differing.begin(), differing.end(),
                            [](const auto* x, const auto* y) { return x->first < y->first; });
    std::size_t ends = *lowest == *highest ? 1 : 2;
    out.ranges =
        digest_ranges(state, (*lowest)->first, (*lowest)->end, limits::digest_ranges_max / ends);
    if (ends == 2) {
        auto above = digest_ranges(state, (*highest)->first, (*highest)->end,
                                   limits::digest_ranges_max / ends);
        std::move(above.begin(), above.end(), std::back_inserter(out.ranges));
    }
    out.found = out.ranges.size() == ends;
    return out;
}

} // namespace weft
