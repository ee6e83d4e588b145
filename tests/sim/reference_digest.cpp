#include "tests/sim/reference_digest.hpp"

#include "base/codec.hpp"

#include <xxhash.h>

#include <array>

namespace weft::sim {
namespace {

using words = std::array<std::uint64_t, 2>;

template <std::size_t N>
words hash_words(const std::array<std::uint64_t, N>& fields) {
    XXH128_hash_t hash = XXH3_128bits(fields.data(), 8 * N);
    return {hash.low64, hash.high64};
}

std::uint64_t hash_bytes(const void* data, std::size_t size, std::uint64_t seed = 0) {
    return XXH3_64bits_withSeed(data, size, seed);
}

std::uint64_t hash_value(const value& v) {
    auto kind = static_cast<std::uint64_t>(v.kind());
    auto of_number = [&](auto number) { return hash_bytes(&number, sizeof number, kind); };
    switch (v.kind()) {
        case value_kind::null: return 0;
        case value_kind::absent: return 7;
        case value_kind::boolean: return *v.as_bool() ? 11 : 10;
        case value_kind::integer: return of_number(*v.as_int());
        case value_kind::timestamp: return of_number(*v.as_time_ms());
        case value_kind::real: return of_number(*v.as_double());
        case value_kind::text: return hash_bytes(v.as_text()->data(), v.as_text()->size(), kind);
        case value_kind::binary:
            return hash_bytes(v.as_binary()->data(), v.as_binary()->size(), kind);
    }
    return 0;
}

class sum {
public:
    void add(const map_store& parent, const words& above) {
        for (const auto& child : parent.children()) {
            const std::string_view name = child.key.name();
            std::uint64_t type = static_cast<std::uint64_t>(child.key.type().kind) * 256 +
                                 static_cast<std::uint64_t>(child.key.type().element);
            path_ = hash_words<4>({above[0], above[1], hash_bytes(name.data(), name.size()), type});
            add(child.value, child.key.type().kind);
        }
    }
    [[nodiscard]] state_digest total() const { return total_; }

private:
    void leaf(dot at, std::uint64_t element, std::uint64_t first, std::uint64_t second) {
        words hash =
            hash_words<7>({path_[0], path_[1], element, static_cast<std::uint64_t>(at.replica),
                           at.counter, first, second});
        total_.words[0] += hash[0];
        total_.words[1] += hash[1];
    }

    void add(const object& what, type_kind kind) {
        switch (kind) {
            case type_kind::lww_register:
            case type_kind::mv_register:
                if (!what.live()) break; // removes that are kept, alone
                for (const auto& e : what.as<register_store<value>>()) {
                    leaf(e.at, 0, hash_value(e.payload.content), e.payload.at.raw);
                }
                break;
            case type_kind::counter:
            case type_kind::grow_counter:
                for (const auto& row : what.as<counter_store>().rows()) {
                    if (row.last_op <= row.reset_op) continue;
                    leaf({row.replica, row.last_op}, 0,
                         static_cast<std::uint64_t>(row.sum) -
                             static_cast<std::uint64_t>(row.reset_sum),
                         0);
                }
                break;
            case type_kind::enable_wins_flag:
            case type_kind::disable_wins_flag:
                for (const auto& mark : what.as<flag_store>())
                    leaf(mark.at, 0, mark.payload ? 1 : 0, 0);
                break;
            case type_kind::add_wins_set:
            case type_kind::grow_set:
                for (const auto& e : what.as<add_wins_store<value>>()) {
                    std::uint64_t element = hash_value(e.key);
                    e.value.for_each_dot([&](dot at) { leaf(at, element, 0, 0); });
                }
                break;
            case type_kind::remove_wins_set:
                for (const auto& e : what.as<remove_wins_elements>().marks()) {
                    bool is_in = true;
                    for (const auto& mark : e.value) is_in = is_in && mark.payload;
                    if (!is_in) continue;
                    for (const auto& mark : e.value) leaf(mark.at, hash_value(e.key), 0, 0);
                }
                break;
            case type_kind::bounded_counter: add(what.as<bounded_store>()); break;
            case type_kind::map: {
                words here = path_;
                add(what.as<map_store>(), here);
                break;
            }
        }
    }

    void add(const bounded_store& counters) {
        for (const auto& instance : counters.instances()) {
            byte_writer spec;
            encode(spec, instance.spec);
            std::uint64_t which = hash_bytes(spec.view().data(), spec.size());
            for (const auto& row : instance.rows) {
                dot at{row.replica, row.last_op};
                leaf(at, which, row.gained, row.spent);
                for (const auto& sent : row.sent)
                    leaf(at, which, static_cast<std::uint64_t>(sent.to), ~sent.amount);
            }
        }
    }

    words path_{};
    state_digest total_;
};

} // namespace

state_digest reference_digest(const keyspace& state) {
    sum out;
    out.add(state.root(), {});
    return out.total();
}

} // namespace weft::sim
