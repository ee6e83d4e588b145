#pragma once
#include "base/copy_on_write.hpp"

#include <algorithm>
#include <cstddef>
#include <utility>
#include <vector>

namespace weft {

// A sorted map in pages: entries lie side by side in pages of about 4 KiB, so a small entry costs
// little more than its own bytes, and a scan runs over arrays. A map of up to one page is one
// array.
//
//   cost     find, insert, erase: O(log n) comparisons plus a move inside one page; a full page
//            splits
//   order    of Less, which may compare Key with other types (transparent)
//   copy     O(n / page): copies share pages until one of them changes an entry there
//   invalid  insert and erase move other entries, and after a copy so does every access that may change
//            one: keep no pointers across them
template <class Key, class Value, class Less = std::less<>>
class ordered_map {
public:
    struct entry {
        Key key;
        Value value;
    };

private:
    using page = std::vector<entry>;
    using page_list = std::vector<copy_on_write<page>>;
    static constexpr std::size_t page_entries_max =
        std::clamp<std::size_t>(4096 / sizeof(entry), 16, 256);

public:
    class const_iterator {
    public:
        using reference = const entry&;
        using value_type = entry;
        using difference_type = std::ptrdiff_t;

        const_iterator() = default;

        reference operator*() const { return (*(*pages_)[page_])[at_]; }
        const entry* operator->() const { return &**this; }
        const_iterator& operator++() {
            if (++at_ == (*pages_)[page_]->size()) {
                ++page_;
                at_ = 0;
            }
            return *this;
        }
        const_iterator operator++(int) {
            auto before = *this;
            ++*this;
            return before;
        }
        bool operator==(const const_iterator& other) const {
            return page_ == other.page_ && at_ == other.at_;
        }

    private:
        friend class ordered_map;
        const_iterator(const page_list* all, std::size_t at_page, std::size_t at)
            : pages_(all), page_(at_page), at_(at) {}

        const page_list* pages_ = nullptr;
        std::size_t page_ = 0;
        std::size_t at_ = 0;
    };

    ordered_map() = default;
    ordered_map(const ordered_map&) = default;
    ordered_map(ordered_map&& other) noexcept
        : pages_(std::move(other.pages_)), size_(std::exchange(other.size_, 0)) {}
    ordered_map& operator=(ordered_map other) noexcept {
        std::swap(pages_, other.pages_);
        std::swap(size_, other.size_);
        return *this;
    }
    ~ordered_map() = default;

    [[nodiscard]] std::size_t size() const { return size_; }
    [[nodiscard]] bool empty() const { return size_ == 0; }
    [[nodiscard]] const_iterator begin() const { return {&pages_, 0, 0}; }
    [[nodiscard]] const_iterator end() const { return {&pages_, pages_.size(), 0}; }

    template <class K>
    [[nodiscard]] const_iterator lower_bound(const K& key) const {
        auto [at_page, at] = place(key);
        if (at_page < pages_.size() && at == pages_[at_page]->size())
            return {&pages_, at_page + 1, 0};
        return {&pages_, at_page, at};
    }

    template <class K>
    [[nodiscard]] Value* find(const K& key) {
        auto [at_page, at] = place(key);
        if (!is_at(at_page, at, key)) return nullptr;
        return &pages_[at_page].change()[at].value;
    }
    template <class K>
    [[nodiscard]] const Value* find(const K& key) const {
        auto [at_page, at] = place(key);
        return is_at(at_page, at, key) ? &(*pages_[at_page])[at].value : nullptr;
    }

    // The value under `key`; if there is none, `make()` gives the entry's value and `Key(key)` its
    // key.
    template <class K, class Make>
    Value& find_or_insert(const K& key, Make make) {
        auto [at_page, at] = place(key);
        if (pages_.empty()) pages_.emplace_back();
        if (is_at(at_page, at, key)) return pages_[at_page].change()[at].value;
        if (pages_[at_page]->size() == page_entries_max) {
            split(at_page, at);
            if (at > pages_[at_page]->size()) {
                at -= pages_[at_page]->size();
                ++at_page;
            }
        }
        page& here = pages_[at_page].change();
        ++size_;
        return here.insert(here.begin() + static_cast<std::ptrdiff_t>(at), entry{Key(key), make()})
            ->value;
    }

    template <class K>
    bool erase(const K& key) {
        auto [at_page, at] = place(key);
        if (!is_at(at_page, at, key)) return false;
        page& here = pages_[at_page].change();
        here.erase(here.begin() + static_cast<std::ptrdiff_t>(at));
        if (here.empty()) pages_.erase(pages_.begin() + static_cast<std::ptrdiff_t>(at_page));
        --size_;
        return true;
    }

    template <class Predicate> // called with entry&, in order
    void erase_if(Predicate drop) {
        for (auto& p : pages_) {
            size_ -= p->size();
            std::erase_if(p.change(), [&](entry& e) { return drop(e); });
            size_ += p->size();
        }
        std::erase_if(pages_, [](const auto& p) { return p->empty(); });
    }

    void clear() {
        pages_.clear();
        size_ = 0;
    }

private:
    // The page that holds or would hold `key`, and the first entry there that is not less.
    template <class K>
    [[nodiscard]] std::pair<std::size_t, std::size_t> place(const K& key) const {
        if (pages_.empty()) return {0, 0};
        auto after =
            std::upper_bound(pages_.begin(), pages_.end(), key, [this](const K& k, const auto& p) {
                return less_(k, p->front().key);
            });
        auto at_page = static_cast<std::size_t>(after - pages_.begin());
        if (at_page > 0) --at_page;
        const page& here = *pages_[at_page];
        auto found =
            std::lower_bound(here.begin(), here.end(), key,
                             [this](const entry& e, const K& k) { return less_(e.key, k); });
        return {at_page, static_cast<std::size_t>(found - here.begin())};
    }

    template <class K>
    [[nodiscard]] bool is_at(std::size_t at_page, std::size_t at, const K& key) const {
        return at_page < pages_.size() && at < pages_[at_page]->size() &&
               !less_(key, (*pages_[at_page])[at].key);
    }

    // Halves a full page; appending at the very end starts a new page instead, so that keys that
    // come in order leave full pages behind.
    void split(std::size_t at_page, std::size_t at) {
        page& full = pages_[at_page].change();
        bool appending = at_page + 1 == pages_.size() && at == full.size();
        std::size_t keep = appending ? full.size() - 1 : full.size() / 2;
        page upper;
        upper.reserve(appending ? page_entries_max / 4 : full.size());
        auto middle = full.begin() + static_cast<std::ptrdiff_t>(keep);
        std::move(middle, full.end(), std::back_inserter(upper));
        full.erase(middle, full.end());
        pages_.emplace(pages_.begin() + static_cast<std::ptrdiff_t>(at_page) + 1, std::move(upper));
    }

    page_list pages_;
    std::size_t size_ = 0;
    [[no_unique_address]] Less less_;
};

} // namespace weft
