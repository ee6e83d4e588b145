#pragma once
#include <algorithm>
#include <cstddef>
#include <memory>
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
//   invalid  insert and erase move other entries: keep no pointers across them
template <class Key, class Value, class Less = std::less<>>
class ordered_map {
public:
    struct entry {
        Key key;
        Value value;
    };

private:
    using page = std::vector<entry>;
    static constexpr std::size_t page_entries_max =
        std::clamp<std::size_t>(4096 / sizeof(entry), 16, 256);

    template <bool Const>
    class basic_iterator {
        using pages = std::conditional_t<Const, const std::vector<std::unique_ptr<page>>,
                                         std::vector<std::unique_ptr<page>>>;

    public:
        using reference = std::conditional_t<Const, const entry&, entry&>;
        using value_type = entry;
        using difference_type = std::ptrdiff_t;

        basic_iterator() = default;
        basic_iterator(pages* all, std::size_t at_page, std::size_t at)
            : pages_(all), page_(at_page), at_(at) {}

        reference operator*() const { return (*(*pages_)[page_])[at_]; }
        auto* operator->() const { return &**this; }
        basic_iterator& operator++() {
            if (++at_ == (*pages_)[page_]->size()) {
                ++page_;
                at_ = 0;
            }
            return *this;
        }
        basic_iterator operator++(int) {
            auto before = *this;
            ++*this;
            return before;
        }
        bool operator==(const basic_iterator& other) const {
            return page_ == other.page_ && at_ == other.at_;
        }

    private:
        friend class ordered_map;
        pages* pages_ = nullptr;
        std::size_t page_ = 0;
        std::size_t at_ = 0;
    };

public:
    using iterator = basic_iterator<false>;
    using const_iterator = basic_iterator<true>;

    ordered_map() = default;
    ordered_map(const ordered_map& other) : size_(other.size_) {
        pages_.reserve(other.pages_.size());
        for (const auto& p : other.pages_) pages_.push_back(std::make_unique<page>(*p));
    }
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
    [[nodiscard]] iterator begin() { return {&pages_, 0, 0}; }
    [[nodiscard]] iterator end() { return {&pages_, pages_.size(), 0}; }
    [[nodiscard]] const_iterator begin() const { return {&pages_, 0, 0}; }
    [[nodiscard]] const_iterator end() const { return {&pages_, pages_.size(), 0}; }

    template <class K>
    [[nodiscard]] const_iterator lower_bound(const K& key) const {
        auto [at_page, at] = place(key);
        return normal<const_iterator>(pages_, at_page, at);
    }

    template <class K>
    [[nodiscard]] Value* find(const K& key) {
        return const_cast<Value*>(std::as_const(*this).find(key));
    }
    template <class K>
    [[nodiscard]] const Value* find(const K& key) const {
        auto [at_page, at] = place(key);
        if (at_page == pages_.size() || at == pages_[at_page]->size()) return nullptr;
        const entry& found = (*pages_[at_page])[at];
        return less_(key, found.key) ? nullptr : &found.value;
    }

    // The value under `key`; if there is none, `make()` gives the entry's value and `Key(key)` its
    // key.
    template <class K, class Make>
    Value& find_or_insert(const K& key, Make make) {
        auto [at_page, at] = place(key);
        if (pages_.empty()) pages_.push_back(std::make_unique<page>());
        page* here = pages_[at_page].get();
        if (at < here->size() && !less_(key, (*here)[at].key)) return (*here)[at].value;
        if (here->size() == page_entries_max) {
            split(at_page, at);
            if (at > pages_[at_page]->size()) {
                at -= pages_[at_page]->size();
                ++at_page;
            }
            here = pages_[at_page].get();
        }
        ++size_;
        return here
            ->insert(here->begin() + static_cast<std::ptrdiff_t>(at), entry{Key(key), make()})
            ->value;
    }

    template <class K>
    bool erase(const K& key) {
        auto [at_page, at] = place(key);
        if (at_page == pages_.size() || at == pages_[at_page]->size()) return false;
        page& here = *pages_[at_page];
        if (less_(key, here[at].key)) return false;
        here.erase(here.begin() + static_cast<std::ptrdiff_t>(at));
        if (here.empty()) pages_.erase(pages_.begin() + static_cast<std::ptrdiff_t>(at_page));
        --size_;
        return true;
    }

    template <class Predicate> // called with entry&, in order
    void erase_if(Predicate drop) {
        for (auto& p : pages_) {
            size_ -= p->size();
            std::erase_if(*p, [&](entry& e) { return drop(e); });
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

    template <class Iterator, class Pages>
    static Iterator normal(Pages& pages, std::size_t at_page, std::size_t at) {
        if (at_page < pages.size() && at == pages[at_page]->size()) return {&pages, at_page + 1, 0};
        return {&pages, at_page, at};
    }

    // Halves a full page; appending at the very end starts a new page instead, so that keys that
    // come in order leave full pages behind.
    void split(std::size_t at_page, std::size_t at) {
        page& full = *pages_[at_page];
        bool appending = at_page + 1 == pages_.size() && at == full.size();
        std::size_t keep = appending ? full.size() - 1 : full.size() / 2;
        auto upper = std::make_unique<page>();
        upper->reserve(appending ? page_entries_max / 4 : full.size());
        auto middle = full.begin() + static_cast<std::ptrdiff_t>(keep);
        std::move(middle, full.end(), std::back_inserter(*upper));
        full.erase(middle, full.end());
        pages_.insert(pages_.begin() + static_cast<std::ptrdiff_t>(at_page) + 1, std::move(upper));
    }

    std::vector<std::unique_ptr<page>> pages_;
    std::size_t size_ = 0;
    [[no_unique_address]] Less less_;
};

} // namespace weft
