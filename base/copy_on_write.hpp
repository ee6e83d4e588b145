#pragma once
#include <atomic>
#include <cstdint>
#include <utility>

namespace weft {

// A value that its copies share until one of them changes it. So a copy of a large structure made of these
// costs little, stays as it was, and may be read by another thread while the original goes on.
//
//   cost     copy: one atomic increment; change: a copy of the value if it is shared
//   threads  one copy belongs to one thread at a time; different copies are independent
template <class T>
class copy_on_write {
public:
    explicit copy_on_write(T content = {}) : shared_(new node{std::move(content)}) {}
    copy_on_write(const copy_on_write& other) noexcept : shared_(other.shared_) {
        shared_->owners.fetch_add(1, std::memory_order_relaxed);
    }
    copy_on_write(copy_on_write&& other) noexcept
        : shared_(std::exchange(other.shared_, nullptr)) {}
    copy_on_write& operator=(copy_on_write other) noexcept {
        std::swap(shared_, other.shared_);
        return *this;
    }
    ~copy_on_write() { release(); }

    const T& operator*() const { return shared_->content; }
    const T* operator->() const { return &shared_->content; }

    // To be changed: this copy's own from now on.
    [[nodiscard]] T& change() {
        // Acquire: what the last other owner read, it read before we write.
        if (shared_->owners.load(std::memory_order_acquire) != 1) {
            node* own = new node{shared_->content};
            release();
            shared_ = own;
        }
        return shared_->content;
    }

private:
    struct node {
        T content;
        std::atomic<std::uint32_t> owners{1};
    };

    void release() noexcept {
        if (shared_ != nullptr && shared_->owners.fetch_sub(1, std::memory_order_acq_rel) == 1)
            delete shared_;
    }

    node* shared_; // null only when moved from
};

} // namespace weft
