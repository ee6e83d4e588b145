#pragma once
#include "base/bytes.hpp"
#include "base/result.hpp"
#include "clock/dot.hpp"
#include "crdt/lattice.hpp"

#include <rapidcheck/boost_test.h>

#include <array>
#include <cstdint>
#include <vector>

// The lattice laws, for any type, on reachable states only: three replicas mutate and exchange
// states, deltas, delayed deltas and groups of deltas, as a random program says.
namespace weft {

// What a type under test offers, by specialisation:
//
//   static result<T> delta(const T& state, dot fresh, std::uint32_t choice);  one random mutation;
//                                             an error if the type refuses it in that state
//   static void read(const T& state);         calls every reading, which must not crash
template <class T>
struct lawful;

namespace laws {

// One number of a program: who does what, and a number for the details.
struct step {
    std::size_t self;
    std::uint32_t action;
    std::uint32_t choice;

    explicit step(std::uint32_t word)
        : self(word % 3), action(word / 3 % 8), choice(word / 24 % 1'000'003) {}
};

template <class T>
void check_encoding(const T& state, std::uint32_t choice) {
    bytes written = state.encoded();
    auto back = T::decoded(written);
    RC_ASSERT(back.has_value());
    RC_ASSERT(*back == state);
    RC_ASSERT(back->encoded() == written);

    // Every prefix, and some random damage: refused, or the one encoding of what was read.
    auto check_damaged = [&](const bytes& damaged) {
        auto read = T::decoded(damaged);
        if (!read) {
            RC_ASSERT(read.error().code == errc::bad_message);
            return;
        }
        RC_ASSERT(read->encoded() == damaged);
        lawful<T>::read(*read);
        lawful<T>::read(joined(state, *read));
        lawful<T>::read(joined(*read, state));
    };
    for (std::size_t size = 0; size < written.size(); ++size) {
        check_damaged(bytes(written.begin(), written.begin() + static_cast<std::ptrdiff_t>(size)));
    }
    std::uint32_t random = choice * 2'654'435'761U + 1;
    for (int i = 0; i < 24; ++i) {
        bytes damaged = written;
        for (int flips = i % 3; flips >= 0; --flips) {
            random = random * 1'664'525U + 1'013'904'223U;
            damaged[(random >> 8U) % damaged.size()] ^= std::byte{1} << (random >> 29U);
        }
        check_damaged(damaged);
    }
}

template <class T>
void check_laws_on(const T& x, const T& y, const T& z) {
    RC_ASSERT(joined(x, x) == x);
    T itself = x;
    itself.join(itself);
    RC_ASSERT(itself == x);
    RC_ASSERT(joined(x, T{}) == x);
    RC_ASSERT(joined(T{}, x) == x);
    RC_ASSERT(joined(x, y) == joined(y, x));
    RC_ASSERT(joined(joined(x, y), y) == joined(x, y));
    T left = joined(joined(x, y), z);
    T right = joined(x, joined(y, z));
    RC_ASSERT(left == right);
    lawful<T>::read(left);
}

// Applying a delta is the same as taking the whole state it led to, wherever `before` is known; and
// a delta that names its few keys is the same as a state that holds only it.
template <class T>
void check_delta(const std::array<T, 3>& replicas, const T& before, const T& delta) {
    T after = joined(before, delta);
    T as_state = joined(T{}, delta);
    for (const T& other : replicas) {
        T knows_before = joined(other, before);
        RC_ASSERT(joined(knows_before, delta) == joined(knows_before, after));
        RC_ASSERT(joined(other, delta) == joined(other, as_state));
        // States are one function of what they have seen, to the byte.
        RC_ASSERT(joined(knows_before, delta).encoded() == joined(after, other).encoded());
    }
}

} // namespace laws

template <class T>
void check_join_laws() {
    rc::detail::checkBoostTest([] {
        auto program = *rc::gen::container<std::vector<std::uint32_t>>(
            rc::gen::inRange<std::uint32_t>(0, 24'000'000));
        std::array<T, 3> replicas;
        std::array<std::uint64_t, 3> counters{};
        std::vector<T> deltas{T{}}; // everything ever sent, which may arrive again and late
        auto any_delta = [&](std::uint32_t choice) -> const T& {
            return deltas[choice % deltas.size()];
        };
        for (std::uint32_t word : program) {
            laws::step now(word);
            T& mine = replicas[now.self];
            if (now.action < 4) {
                dot fresh{replica_id{now.self + 1}, ++counters[now.self]};
                T before = mine;
                result<T> delta = lawful<T>::delta(before, fresh, now.choice);
                RC_ASSERT(before == mine);
                if (!delta) {
                    --counters[now.self];
                    continue;
                }
                laws::check_delta(replicas, before, *delta);
                mine.join(*delta);
                deltas.push_back(std::move(*delta));
            } else if (now.action == 4) {
                mine.join(replicas[now.choice % 3]);
            } else if (now.action == 5) {
                mine.join(any_delta(now.choice));
            } else if (now.action == 6) {
                T group = any_delta(now.choice);
                group.join(any_delta(now.choice / 7));
                group.join(any_delta(now.choice / 49));
                deltas.push_back(std::move(group));
            } else {
                deltas.push_back(mine); // a state, as old as it will be when it arrives
            }
        }
        std::uint32_t last = program.empty() ? 0 : program.back();
        for (std::uint32_t i = 0; i < 4; ++i) {
            std::uint32_t choice = last / 24 + i * 7'919;
            laws::check_laws_on(any_delta(choice), any_delta(choice / 5), replicas[i % 3]);
            laws::check_laws_on(replicas[i % 3], any_delta(choice / 11), any_delta(choice / 3));
        }
        laws::check_laws_on(replicas[0], replicas[1], replicas[2]);
        laws::check_encoding(replicas[last % 3], last);
        laws::check_encoding(any_delta(last / 24), last);
    });
}

} // namespace weft
