#include "replica/state_digest.hpp"

#define XXH_INLINE_ALL // of what is hashed most is short, and its size known
#include <xxhash.h>

#include <bit>

namespace weft {
namespace {

// Bytes that an entry takes beside its value's own: page slack, key and dot.
constexpr std::uint64_t entry_bytes = 80;
constexpr std::uint64_t dot_bytes = 24;

std::uint64_t hash_of_value(const value& v) {
    std::uint64_t seed = static_cast<std::uint64_t>(v.kind());
    switch (v.kind()) {
        case value_kind::null:
        case value_kind::absent: return seed;
        case value_kind::boolean: return *v.as_bool() ? 11 : 10;
        case value_kind::integer: {
            std::int64_t number = *v.as_int();
            return XXH3_64bits_withSeed(&number, sizeof number, seed);
        }
        case value_kind::timestamp: {
            std::int64_t number = *v.as_time_ms();
            return XXH3_64bits_withSeed(&number, sizeof number, seed);
        }
        case value_kind::real: {
            auto number = std::bit_cast<std::uint64_t>(*v.as_double());
            return XXH3_64bits_withSeed(&number, sizeof number, seed);
        }
        case value_kind::text:
            return XXH3_64bits_withSeed(v.as_text()->data(), v.as_text()->size(), seed);
        case value_kind::binary:
            return XXH3_64bits_withSeed(v.as_binary()->data(), v.as_binary()->size(), seed);
    }
    return 0;
}

// One live dot with what it says, in fixed fields, so that no two can be confused.
struct leaf {
    path_hash path;
    std::uint64_t element = 0;
    std::uint64_t replica = 0;
    std::uint64_t counter = 0;
    std::uint64_t first = 0;
    std::uint64_t second = 0;

    [[nodiscard]] state_digest hashed() const {
        static_assert(sizeof(leaf) == 7 * sizeof(std::uint64_t), "no padding is hashed");
        XXH128_hash_t hash = XXH3_128bits(this, sizeof *this);
        return {{hash.low64, hash.high64}};
    }
};

leaf leaf_of(const path_hash& path, dot d) {
    return {path, 0, static_cast<std::uint64_t>(d.replica), d.counter, 0, 0};
}

} // namespace

void state_digest::add(const state_digest& part) {
    words[0] += part.words[0];
    words[1] += part.words[1];
}

void state_digest::subtract(const state_digest& part) {
    words[0] -= part.words[0];
    words[1] -= part.words[1];
}

std::string to_string(const state_digest& digest) {
    return to_hex(digest.words[0]) + to_hex(digest.words[1]);
}

path_hash path_hash::child(std::string_view name, type_id type) const {
    struct {
        std::uint64_t low, high, name, type;
    } parts{low, high, XXH3_64bits(name.data(), name.size()),
            static_cast<std::uint64_t>(type.kind) << 8U | static_cast<std::uint64_t>(type.element)};
    XXH128_hash_t hash = XXH3_128bits(&parts, sizeof parts);
    return {hash.low64, hash.high64};
}

void object_weight::add(const object_weight& part) {
    digest.add(part.digest);
    state_bytes += part.state_bytes;
}

void object_weight::subtract(const object_weight& part) {
    digest.subtract(part.digest);
    state_bytes -= part.state_bytes;
}

object_weight weigh(const path_hash& path, const register_store<value>& store) {
    object_weight out;
    if (!store.empty()) out.state_bytes = entry_bytes;
    bool covered = any_present(store);
    for (const auto& e : store) {
        if (covered) {
            leaf l = leaf_of(path, e.at);
            l.first = hash_of_value(e.payload.content);
            l.second = e.payload.at.raw;
            out.digest.add(l.hashed());
        }
        out.state_bytes += dot_bytes + 24 + e.payload.content.heap_bytes();
    }
    return out;
}

object_weight weigh(const path_hash& path, const flag_store& store) {
    object_weight out;
    if (!store.empty()) out.state_bytes = entry_bytes;
    for (const auto& e : store) {
        leaf l = leaf_of(path, e.at);
        l.first = e.payload ? 1 : 0;
        out.digest.add(l.hashed());
        out.state_bytes += dot_bytes;
    }
    return out;
}

object_weight weigh(const path_hash& path, const counter_store& store) {
    object_weight out;
    if (!store.empty()) out.state_bytes = entry_bytes;
    for (const auto& row : store.rows()) {
        out.state_bytes += sizeof row;
        if (!row.live()) continue;
        leaf l = leaf_of(path, {row.replica, row.last_op});
        l.first = static_cast<std::uint64_t>(row.sum) - static_cast<std::uint64_t>(row.reset_sum);
        out.digest.add(l.hashed());
    }
    return out;
}

object_weight weigh(const path_hash& path, const bounded_store& store) {
    object_weight out;
    if (!store.empty()) out.state_bytes = entry_bytes;
    for (const auto& instance : store.instances()) {
        byte_writer spec;
        encode(spec, instance.spec);
        std::uint64_t which = XXH3_64bits(spec.view().data(), spec.size());
        for (const auto& row : instance.rows) {
            leaf l = leaf_of(path, {row.replica, row.last_op});
            l.element = which;
            l.first = row.gained;
            l.second = row.spent;
            out.digest.add(l.hashed());
            out.state_bytes += sizeof row;
            for (const auto& sent : row.sent) {
                l.first = static_cast<std::uint64_t>(sent.to);
                l.second = ~sent.amount;
                out.digest.add(l.hashed());
                out.state_bytes += sizeof sent;
            }
        }
    }
    return out;
}

object_weight weigh_element(const path_hash& path, const value& element, const dot_set* adds) {
    object_weight out;
    if (adds == nullptr || adds->empty()) return out;
    out.state_bytes = 48 + element.heap_bytes();
    std::uint64_t which = hash_of_value(element);
    for (const auto& e : *adds) {
        leaf l = leaf_of(path, e.at);
        l.element = which;
        out.digest.add(l.hashed());
    }
    return out;
}

object_weight weigh_element(const path_hash& path, const value& element, const flag_store* marks) {
    object_weight out;
    if (marks == nullptr || marks->empty()) return out;
    out.state_bytes = 56 + element.heap_bytes();
    if (!all_enabled(*marks)) return out; // marks go when they are stable, so they are not covered
    std::uint64_t which = hash_of_value(element);
    for (const auto& e : *marks) {
        leaf l = leaf_of(path, e.at);
        l.element = which;
        out.digest.add(l.hashed());
    }
    return out;
}

object_weight weigh(const path_hash& path, const object& whole) {
    return std::visit(
        [&](const auto& store) -> object_weight {
            using store_type = std::decay_t<decltype(store)>;
            object_weight out;
            if constexpr (std::same_as<store_type, map_store>) {
                for (const auto& child : store.children()) {
                    out.add(weigh(path.child(child.key.name(), child.key.type()), child.value));
                }
            } else if constexpr (std::same_as<store_type, add_wins_store<value>>) {
                for (const auto& e : store) out.add(weigh_element(path, e.key, &e.value));
            } else if constexpr (std::same_as<store_type, remove_wins_elements>) {
                for (const auto& e : store.marks()) out.add(weigh_element(path, e.key, &e.value));
            } else {
                out = weigh(path, store);
            }
            return out;
        },
        whole.data());
}

} // namespace weft
