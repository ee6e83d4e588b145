#pragma once
#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <initializer_list>
#include <memory>
#include <type_traits>
#include <utility>

namespace weft {

// A vector that holds one element without an allocation: almost every dot store entry has exactly
// one dot, and a replica has millions of them. 8 bytes more than T itself; at most 2^32 - 1
// elements.
template <class T>
class small_vector {
    static_assert(std::is_nothrow_move_constructible_v<T>);

public:
    small_vector() noexcept : many_(nullptr) {}
    small_vector(std::initializer_list<T> items) : small_vector() {
        for (const T& item : items) push_back(item);
    }
    small_vector(const small_vector& other) : small_vector() {
        reserve(other.size_);
        for (const T& item : other) push_back(item);
    }
    small_vector(small_vector&& other) noexcept : small_vector() { steal(other); }
    small_vector& operator=(const small_vector& other) {
        if (this != &other) *this = small_vector(other);
        return *this;
    }
    small_vector& operator=(small_vector&& other) noexcept {
        if (this != &other) {
            release();
            steal(other);
        }
        return *this;
    }
    ~small_vector() { release(); }

    [[nodiscard]] std::size_t size() const { return size_; }
    [[nodiscard]] bool empty() const { return size_ == 0; }
    [[nodiscard]] T* begin() { return data(); }
    [[nodiscard]] T* end() { return data() + size_; }
    [[nodiscard]] const T* begin() const { return data(); }
    [[nodiscard]] const T* end() const { return data() + size_; }
    [[nodiscard]] T& operator[](std::size_t i) { return data()[i]; }
    [[nodiscard]] const T& operator[](std::size_t i) const { return data()[i]; }

    void push_back(T item) { insert(end(), std::move(item)); }

    T* insert(const T* before, T item) {
        auto at = static_cast<std::size_t>(before - data());
        reserve(size_ + 1U);
        T* items = data();
        if (at == size_) {
            std::construct_at(items + at, std::move(item));
        } else {
            std::construct_at(items + size_, std::move(items[size_ - 1U]));
            std::move_backward(items + at, items + size_ - 1, items + size_);
            items[at] = std::move(item);
        }
        ++size_;
        return items + at;
    }

    template <class Predicate>
    std::size_t erase_if(Predicate drop) {
        T* items = data();
        std::size_t kept = 0;
        for (std::size_t i = 0; i < size_; ++i) {
            if (drop(std::as_const(items[i]))) continue;
            if (kept != i) items[kept] = std::move(items[i]);
            ++kept;
        }
        std::size_t dropped = size_ - kept;
        std::destroy(items + kept, items + size_);
        size_ = static_cast<std::uint32_t>(kept);
        return dropped;
    }

    void clear() { release(); }

    bool operator==(const small_vector& other) const {
        if (size_ != other.size_) return false;
        for (std::size_t i = 0; i < size_; ++i) {
            if (!((*this)[i] == other[i])) return false;
        }
        return true;
    }

private:
    [[nodiscard]] bool is_inline() const { return capacity_ == 1; }
    [[nodiscard]] T* data() { return is_inline() ? reinterpret_cast<T*>(&one_) : many_; }
    [[nodiscard]] const T* data() const {
        return is_inline() ? reinterpret_cast<const T*>(&one_) : many_;
    }

    void reserve(std::size_t wanted) {
        if (wanted <= capacity_) return;
        auto grown = static_cast<std::uint32_t>(std::max(wanted, std::size_t{capacity_} * 2));
        T* fresh = std::allocator<T>().allocate(grown);
        std::uninitialized_move(begin(), end(), fresh);
        std::destroy(begin(), end());
        if (!is_inline()) std::allocator<T>().deallocate(many_, capacity_);
        many_ = fresh;
        capacity_ = grown;
    }

    void release() {
        std::destroy(begin(), end());
        if (!is_inline()) std::allocator<T>().deallocate(many_, capacity_);
        size_ = 0;
        capacity_ = 1;
    }

    void steal(small_vector& other) noexcept {
        if (other.is_inline()) {
            if (other.size_ == 1) std::construct_at(data(), std::move(other[0]));
            size_ = other.size_;
            other.release();
        } else {
            many_ = other.many_;
            size_ = std::exchange(other.size_, 0U);
            capacity_ = std::exchange(other.capacity_, 1U);
        }
    }

    union {
        T* many_;
        alignas(T) std::byte one_[sizeof(T)];
    };
    std::uint32_t size_ = 0;
    std::uint32_t capacity_ = 1;
};

} // namespace weft
