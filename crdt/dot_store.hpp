#pragma once
#include "base/codec.hpp"
#include "base/ordered_map.hpp"
#include "clock/causal_context.hpp"
#include "crdt/dot_vector.hpp"
#include "crdt/lattice.hpp" // IWYU pragma: export (every causal type states that it is one)
#include "crdt/value.hpp"

#include <algorithm>
#include <concepts>
#include <optional>
#include <vector>

// The data half of every causal type, without its context, so that many objects can share one
// context (a replica's version vector) or own theirs (`causal`).
//
//   join    keep a dot if both sides hold it, or if one side holds it and the other has not seen it
//   source  Almeida, Shoker, Baquero, "Delta state replicated data types", JPDC 2018, section 7
namespace weft {

// Whatever can say which dots it has seen: a version vector, a causal context, what an operation
// saw.
template <class S>
concept seen = requires(const S& s, dot d) {
    { s.covers(d) } -> std::convertible_to<bool>;
};

struct nothing_seen {
    [[nodiscard]] static bool covers(dot) { return false; }
};

struct no_payload {
    auto operator<=>(const no_payload&) const = default;
};

inline void encode(byte_writer& out, dot d) {
    out.u64(static_cast<std::uint64_t>(d.replica));
    out.varint(d.counter);
}
[[nodiscard]] inline dot decode_dot(byte_reader& in) {
    dot d{replica_id{in.u64()}, in.varint()};
    if (d.counter == 0) in.reject("dot with counter 0");
    return d;
}
// The context that has seen exactly these dots, in any order. O(n log n).
[[nodiscard]] causal_context context_of(std::vector<dot> dots);

template <class Store>
[[nodiscard]] std::vector<dot> dots_of(const Store& store) {
    std::vector<dot> out;
    store.for_each_dot([&](dot d) { out.push_back(d); });
    return out;
}

void encode(byte_writer& out, const causal_context& context);
[[nodiscard]] causal_context decode_context(byte_reader& in);

// How the parts of a store are written: payloads and keys become values unless they say otherwise.
template <class T>
void encode_part(byte_writer& out, const T& part) {
    if constexpr (std::same_as<T, no_payload>) {
    } else if constexpr (requires { part.encode_to(out); }) {
        part.encode_to(out);
    } else {
        encode(out, value_traits<T>::wrap(part));
    }
}
template <class T>
[[nodiscard]] T decode_part(byte_reader& in) {
    if constexpr (std::same_as<T, no_payload>) {
        return {};
    } else if constexpr (requires { T::decode_from(in); }) {
        return T::decode_from(in);
    } else {
        value raw = decode_value(in);
        auto part = value_traits<T>::unwrap(raw);
        if constexpr (requires { value_traits<T>::kind; }) {
            if (raw.kind() != value_traits<T>::kind) part.reset(); // 1 is not 1.0 here
        }
        if (!part) in.reject("value of another kind than the type's");
        return part ? std::move(*part) : T{};
    }
}

// DotFun: dot -> payload. With no payload it is DotSet.
//   cost  join: O(n log m + m log n) for n dots here and m there; one dot needs no allocation
template <class Payload>
class dot_fun {
public:
    static constexpr bool trivially_relocatable = weft::trivially_relocatable<Payload>;
    struct entry {
        dot at;
        [[no_unique_address]] Payload payload;
        bool operator==(const entry&) const = default;
    };

    dot_fun() = default;
    dot_fun(dot at, Payload payload) { entries_.push_back({at, std::move(payload)}); }
    explicit dot_fun(dot at)
        requires std::same_as<Payload, no_payload>
        : dot_fun(at, {}) {}

    [[nodiscard]] bool empty() const { return entries_.empty(); }
    [[nodiscard]] std::size_t size() const { return entries_.size(); }
    [[nodiscard]] auto begin() const { return entries_.begin(); }
    [[nodiscard]] auto end() const { return entries_.end(); }

    template <seen Mine, seen Theirs>
    void join(const dot_fun& other, const Mine& my_seen, const Theirs& their_seen) {
        entries_.erase_if(
            [&](const entry& e) { return their_seen.covers(e.at) && !other.has(e.at); });
        for (const entry& e : other) {
            if (!my_seen.covers(e.at)) insert(e);
        }
    }

    // Joins one entry whose dot is not here, and has not been: what was seen where it was written goes.
    template <seen Theirs>
    void write(entry fresh, const Theirs& their_seen) {
        entries_.erase_if([&](const entry& e) { return their_seen.covers(e.at); });
        insert(std::move(fresh));
    }

    // The same where the only entry here goes: its payload, now under the fresh dot, to be written over. Else
    // null, and nothing is changed.
    template <seen Theirs>
    [[nodiscard]] Payload* write_over(dot fresh, const Theirs& their_seen) {
        if (size() != 1 || !their_seen.covers(entries_[0].at)) return nullptr;
        entries_[0].at = fresh;
        return &entries_[0].payload;
    }

    void
    insert(entry fresh) { // keeps what is there under the same dot: equal dots have equal payloads
        auto place = std::lower_bound(entries_.begin(), entries_.end(), fresh.at,
                                      [](const entry& e, dot d) { return e.at < d; });
        if (place == entries_.end() || place->at != fresh.at)
            entries_.insert(place, std::move(fresh));
    }
    [[nodiscard]] bool has(dot d) const {
        auto place =
            std::lower_bound(begin(), end(), d, [](const entry& e, dot at) { return e.at < at; });
        return place != end() && place->at == d;
    }
    template <class Visit>
    void for_each_dot(Visit visit) const {
        for (const entry& e : entries_) visit(e.at);
    }

    void encode_to(byte_writer& out) const {
        out.varint(size());
        for (const entry& e : entries_) {
            encode(out, e.at);
            encode_part(out, e.payload);
        }
    }
    [[nodiscard]] static dot_fun decode_from(byte_reader& in) {
        dot_fun out;
        for (std::size_t left = in.count(9); left > 0 && in.good(); --left) {
            dot at = decode_dot(in);
            if (!out.empty() && !(out.entries_[out.size() - 1].at < at))
                in.reject("dots out of order");
            entry fresh{at, decode_part<Payload>(in)};
            if (in.good()) out.entries_.push_back(std::move(fresh));
        }
        return out;
    }

    bool operator==(const dot_fun&) const = default;

private:
    dot_vector<entry> entries_; // sorted by dot
};

using dot_set = dot_fun<no_payload>;
static_assert(sizeof(dot_set) == sizeof(dot));

// DotMap: key -> dot store, where an empty store means that the key is absent.
//
// A delta touches few keys, and its join must not visit the others. So a dot_map is either whole
// (it says something about every key: a state) or partial (only about the keys in it, and an empty
// store there means "seen and removed": a delta). Whether it is partial is not part of its value.
template <class Key, class Store>
class dot_map {
public:
    using map_type = ordered_map<Key, Store>;

    [[nodiscard]] static dot_map partial() {
        dot_map out;
        out.partial_ = true;
        return out;
    }
    [[nodiscard]] static dot_map partial(const Key& key, Store store) {
        dot_map out = partial();
        out.put(key, std::move(store));
        return out;
    }
    void put(const Key& key, Store store) {
        entries_.find_or_insert(key, [] { return Store{}; }) = std::move(store);
    }

    [[nodiscard]] const Store* find(const Key& key) const { return entries_.find(key); }
    [[nodiscard]] bool is_partial() const { return partial_; }
    [[nodiscard]] std::size_t size() const { return entries_.size(); }
    [[nodiscard]] bool empty() const { return entries_.empty(); }
    [[nodiscard]] bool any_present() const { // O(1) unless partial
        return partial_ ? std::any_of(begin(), end(), [](auto& e) { return !e.value.empty(); })
                        : !empty();
    }
    [[nodiscard]] auto begin() const { return entries_.begin(); }
    [[nodiscard]] auto end() const { return entries_.end(); }

    // Joins at one key only, and gives what is there now, or null. O(log n + size of both stores).
    template <seen Mine, seen Theirs>
    const Store* join_at(const Key& key, const Store& theirs, const Mine& my_seen,
                         const Theirs& their_seen) {
        Store& mine = entries_.find_or_insert(key, [] { return Store{}; });
        mine.join(theirs, my_seen, their_seen);
        if (!mine.empty() || partial_) return &mine;
        entries_.erase(key);
        return nullptr;
    }

    template <seen Mine, seen Theirs>
    void join(const dot_map& other, const Mine& my_seen, const Theirs& their_seen) {
        if (partial_ && !other.partial_) {
            partial_ = false;
        }
        if (!other.partial_) {
            entries_.erase_if([&](auto& e) {
                if (other.find(e.key) == nullptr) e.value.join(Store{}, my_seen, their_seen);
                return e.value.empty();
            });
        }
        for (const auto& e : other) join_at(e.key, e.value, my_seen, their_seen);
    }

    template <class Visit>
    void for_each_dot(Visit visit) const {
        for (const auto& e : entries_) e.value.for_each_dot(visit);
    }
    bool release(std::size_t& left) { // see ordered_map
        return entries_.release(left, [](Store&, std::size_t&) { return true; });
    }

    void encode_to(byte_writer& out) const {
        out.u8(partial_ ? 1 : 0);
        out.varint(size());
        for (const auto& e : entries_) {
            encode_part(out, e.key);
            e.value.encode_to(out);
        }
    }
    [[nodiscard]] static dot_map decode_from(byte_reader& in) {
        dot_map out;
        std::uint8_t form = in.u8();
        if (form > 1) in.reject("unknown form of a map");
        out.partial_ = form == 1;
        std::optional<Key> last;
        for (std::size_t left = in.count(2); left > 0 && in.good(); --left) {
            Key key = decode_part<Key>(in);
            if (last && !(*last < key)) in.reject("keys out of order");
            Store store = Store::decode_from(in);
            if (store.empty() && !out.partial_) in.reject("absent key in a whole map");
            if (!in.good()) break;
            out.put(key, std::move(store));
            last = std::move(key);
        }
        return out;
    }

    bool operator==(const dot_map& other) const {
        auto present = [](auto at, auto end) {
            while (at != end && at->value.empty()) ++at;
            return at;
        };
        auto mine = present(begin(), end());
        auto theirs = present(other.begin(), other.end());
        while (mine != end() && theirs != other.end()) {
            if (!(mine->key == theirs->key) || !(mine->value == theirs->value)) return false;
            mine = present(++mine, end());
            theirs = present(++theirs, other.end());
        }
        return mine == end() && theirs == other.end();
    }

private:
    map_type entries_;
    bool partial_ = false;
};

// A dot store with a context of its own: a stand-alone state, or a delta.
template <class Store>
struct causal {
    Store store;
    causal_context context;

    void join(const causal& other) {
        store.join(other.store, context, other.context);
        context.join(other.context);
    }
    bool operator==(const causal&) const = default;
};

// What the stand-alone types share. `Self` is the type itself, `Store` its dot store.
template <class Self, class Store>
class causal_type {
public:
    // The only way the state changes, for local writes as for remote ones.
    void join(const Self& delta_or_state) { state_.join(delta_or_state.state_); }

    [[nodiscard]] const causal_context& context() const { return state_.context; }
    [[nodiscard]] const Store& store() const { return state_.store; }

    [[nodiscard]] bytes encoded() const {
        byte_writer out;
        out.u8(1); // format version
        encode(out, state_.context);
        state_.store.encode_to(out);
        return out.take();
    }
    // bad_message, naming the byte, for anything that `encoded` would not write.
    [[nodiscard]] static result<Self> decoded(byte_view data) {
        byte_reader in(data);
        Self out;
        if (in.u8() != 1) in.reject("unknown format version");
        out.state_.context = decode_context(in);
        out.state_.store = Store::decode_from(in);
        out.state_.store.for_each_dot([&](dot d) {
            if (!out.state_.context.covers(d)) in.reject("dot that the context has not seen");
        });
        if (in.good() && !in.at_end()) in.reject("bytes after the end");
        if (!in.good()) return fail(errc::bad_message, "encoded CRDT: " + in.problem());
        return out;
    }

    bool operator==(const causal_type&) const = default;

protected:
    // A delta holding `store` that has seen `fresh` (if it has a counter) and every dot of
    // `replaced`.
    template <class Replaced>
    [[nodiscard]] static Self delta(Store store, dot fresh, const Replaced& replaced) {
        Self out;
        out.state_.store = std::move(store);
        out.state_.context = context_of(dots_of(replaced));
        if (fresh.counter != 0) out.state_.context.insert(fresh);
        return out;
    }

    causal<Store> state_;
};

} // namespace weft
