#pragma once
#include "base/check.hpp"
#include "clock/dot.hpp"

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <memory>
#include <new>
#include <type_traits>
#include <utility>

namespace weft {

// The entries of a dot store: a vector whose elements begin with their dot, `Entry::at`. Almost every store
// has exactly one, and a replica has millions of stores: one entry lies inside, and takes no byte more than
// itself, for no dot has the counter 0 that tells that none does. At most 2^32 - 1 entries.
template <class Entry>
class dot_vector {
    static_assert(std::is_nothrow_move_constructible_v<Entry>);
    static_assert(std::is_standard_layout_v<Entry>, "so its first member is where it begins");
    static_assert(std::is_standard_layout_v<dot> && sizeof(dot) == 16);
    static_assert(alignof(Entry) <= alignof(std::max_align_t));

public:
    dot_vector() noexcept { become_empty(); }
    dot_vector(const dot_vector& other) : dot_vector() {
        reserve(other.size());
        for (const Entry& e : other) push_back(e);
    }
    dot_vector(dot_vector&& other) noexcept : dot_vector() { steal(other); }
    dot_vector& operator=(const dot_vector& other) {
        if (this != &other) *this = dot_vector(other);
        return *this;
    }
    dot_vector& operator=(dot_vector&& other) noexcept {
        if (this != &other) {
            clear();
            steal(other);
        }
        return *this;
    }
    ~dot_vector() { clear(); }

    [[nodiscard]] std::size_t size() const {
        if (is_one()) return 1;
        const block* all = many();
        return all == nullptr ? 0 : all->size;
    }
    [[nodiscard]] bool empty() const { return size() == 0; }
    [[nodiscard]] Entry* begin() { return data(); }
    [[nodiscard]] Entry* end() { return data() + size(); }
    [[nodiscard]] const Entry* begin() const { return const_cast<dot_vector*>(this)->data(); }
    [[nodiscard]] const Entry* end() const { return begin() + size(); }
    [[nodiscard]] Entry& operator[](std::size_t i) { return data()[i]; }
    [[nodiscard]] const Entry& operator[](std::size_t i) const { return begin()[i]; }

    void push_back(Entry item) { (void)insert(end(), std::move(item)); }

    Entry* insert(const Entry* before, Entry item) {
        WEFT_CHECK(item.at.counter != 0);
        auto at = static_cast<std::size_t>(before - data());
        std::size_t count = size();
        if (count == 0 && many() == nullptr) return std::construct_at(one(), std::move(item));
        reserve(count + 1);
        Entry* items = data();
        if (at == count) {
            std::construct_at(items + at, std::move(item));
        } else {
            std::construct_at(items + count, std::move(items[count - 1]));
            std::move_backward(items + at, items + count - 1, items + count);
            items[at] = std::move(item);
        }
        ++many()->size;
        return items + at;
    }

    template <class Predicate>
    std::size_t erase_if(Predicate drop) {
        Entry* items = data();
        std::size_t count = size();
        std::size_t kept = 0;
        for (std::size_t i = 0; i < count; ++i) {
            if (drop(std::as_const(items[i]))) continue;
            if (kept != i) items[kept] = std::move(items[i]);
            ++kept;
        }
        if (kept == count) return 0;
        if (is_one()) {
            clear();
        } else {
            std::destroy(items + kept, items + count);
            many()->size = static_cast<std::uint32_t>(kept);
            if (kept <= 1) take_inside();
        }
        return count - kept;
    }

    void clear() {
        std::destroy(begin(), end());
        if (!is_one()) ::operator delete(many());
        become_empty();
    }

    bool operator==(const dot_vector& other) const {
        return std::equal(begin(), end(), other.begin(), other.end());
    }

private:
    struct alignas(std::max_align_t) block { // the entries follow
        std::uint32_t size = 0;
        std::uint32_t room;
    };
    struct outside { // what the place of one entry holds if that is not there
        block* all;
        std::uint64_t no_counter;
    };
    static_assert(sizeof(outside) == sizeof(dot));

    [[nodiscard]] bool is_one() const {
        std::uint64_t counter;
        std::memcpy(&counter, raw_ + offsetof(dot, counter), sizeof counter);
        return counter != 0;
    }
    [[nodiscard]] block* many() const {
        if (is_one()) return nullptr;
        outside there;
        std::memcpy(&there, raw_, sizeof there);
        return there.all;
    }
    void hold(block* all) {
        outside there{all, 0};
        std::memcpy(raw_, &there, sizeof there);
    }
    void become_empty() { hold(nullptr); }
    [[nodiscard]] Entry* one() { return reinterpret_cast<Entry*>(raw_); }
    [[nodiscard]] static Entry* items(block* of) { return reinterpret_cast<Entry*>(of + 1); }
    [[nodiscard]] Entry* data() {
        if (is_one()) return one();
        block* all = many();
        return all == nullptr ? one() : items(all);
    }

    void reserve(std::size_t wanted) {
        block* before = many();
        std::size_t room = before == nullptr ? 1 : before->room;
        if (wanted <= room) return;
        room = std::max(wanted, room * 2);
        auto* fresh = ::new (::operator new(sizeof(block) + room * sizeof(Entry)))
            block{static_cast<std::uint32_t>(size()), static_cast<std::uint32_t>(room)};
        std::uninitialized_move(begin(), end(), items(fresh));
        std::destroy(begin(), end());
        ::operator delete(before);
        hold(fresh);
    }
    void take_inside() { // what is left outside: one entry, or none
        block* left = many();
        if (left->size == 0) {
            become_empty();
        } else {
            std::construct_at(one(), std::move(*items(left)));
            std::destroy_at(items(left));
        }
        ::operator delete(left);
    }
    void steal(dot_vector& other) noexcept {
        if (other.is_one()) {
            std::construct_at(one(), std::move(other[0]));
            other.clear();
        } else {
            hold(other.many());
            other.become_empty();
        }
    }

    alignas(Entry) std::byte raw_[sizeof(Entry)];
};

} // namespace weft
