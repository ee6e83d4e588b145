#pragma once
#include "base/check.hpp"

#include <algorithm>
#include <array>
#include <atomic>
#include <concepts>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <functional>
#include <memory>
#include <new>
#include <type_traits>
#include <utility>

namespace weft {

// Whether an object may be moved by moving its bytes, and what was there forgotten without a destructor: true
// of everything that holds no pointer into itself. A class says so by a static member of this name.
//   source  O'Dwyer, P1144, "std::is_trivially_relocatable", 2018 on
template <class T>
inline constexpr bool trivially_relocatable =
    std::is_trivially_copyable_v<T> || requires { requires T::trivially_relocatable; };

// A sorted map as a B+ tree, whose copies share nodes until one of them changes an entry there. Entries
// lie side by side in leaves of about 4 KiB, which are no larger than what they hold asks for: a small
// entry costs little more than its own bytes, and a scan runs over arrays. An empty map owns nothing.
//
//   cost     find, insert, erase: O(log n) comparisons plus a move inside one leaf; a full leaf splits
//   order    of Less, which may compare Key with other types (transparent); with `Less::tag(key)`, eight bits
//            of a hash that are equal for equal keys, and `Less::equal`, what is sought is found in a leaf at
//            one look, and almost always so is that it is not there; with `Less::head(key)`, 64 bits that are
//            not greater for a key that is less, the way to the leaf mostly compares these
//   copy     O(1): one atomic increment; what either changes from then on, it copies first, leaf by leaf
//   threads  one map belongs to one thread at a time; different copies are independent
//   invalid  insert and erase move other entries, and after a copy so does every access that may change
//            one: keep no pointers across them
//   source   Comer 1979, "The Ubiquitous B-Tree"; path copying: Driscoll, Sarnak, Sleator, Tarjan 1989
template <class Key, class Value, class Less = std::less<>>
class ordered_map {
public:
    struct entry {
        Key key;
        Value value;
        static constexpr bool trivially_relocatable =
            weft::trivially_relocatable<Key> && weft::trivially_relocatable<Value>;
    };

private:
    // A node: this, and `room` items behind it, `count` of them made. Items of height 0 are entries, else
    // fences. Between lie their marks, if there are any: the tags of entries, the heads of fences. Items
    // are far apart in memory, and to compare with several of them is what costs time.
    struct alignas(std::uint64_t) node {
        std::atomic<std::uint32_t> owners{1};
        std::uint16_t count = 0;
        std::uint16_t room;
        std::uint32_t height;

        node(std::uint32_t h, std::size_t items)
            : room(static_cast<std::uint16_t>(items)), height(h) {}
    };
    struct fence;
    static constexpr std::size_t height_max = 12;
    static constexpr std::size_t cache_line_bytes = 64;
    using path = std::array<std::uint16_t, height_max + 1>; // which item, by height

    static std::size_t items_max(std::uint32_t height) {
        return std::clamp<std::size_t>(4096 / (height == 0 ? sizeof(entry) : sizeof(fence)), 16,
                                       256);
    }
    static constexpr bool tagged = requires(const Key& k) { Less::tag(k); };
    static constexpr bool headed = requires(const Key& k) { Less::head(k); };
    template <class Item>
    static constexpr bool marked = std::same_as<Item, entry> ? tagged : headed;
    template <class Item>
    using mark = std::conditional_t<std::same_as<Item, entry>, std::uint8_t, std::uint64_t>;
    template <class Item>
    static std::size_t items_at(std::size_t room) {
        std::size_t before = sizeof(node) + (marked<Item> ? room * sizeof(mark<Item>) : 0);
        return (before + alignof(Item) - 1) / alignof(Item) * alignof(Item);
    }
    template <class Item>
    static mark<Item>* marks(const node* of) {
        return reinterpret_cast<mark<Item>*>(const_cast<node*>(of) + 1);
    }
    template <class Item>
    static Item* items(const node* of) {
        static_assert(alignof(Item) <= alignof(std::max_align_t));
        return reinterpret_cast<Item*>(reinterpret_cast<std::byte*>(const_cast<node*>(of)) +
                                       items_at<Item>(of->room));
    }

    // Owns a node together with other pointers to it.
    class node_pointer {
    public:
        node_pointer() = default;
        template <class Item>
        static node_pointer make(std::uint32_t height, std::size_t room) {
            node_pointer out;
            std::size_t size = items_at<Item>(room) + room * sizeof(Item);
            out.to_ = ::new (::operator new(size)) node(height, room);
            return out;
        }
        node_pointer(const node_pointer& other) noexcept : to_(other.to_) {
            if (to_ != nullptr) to_->owners.fetch_add(1, std::memory_order_relaxed);
        }
        node_pointer(node_pointer&& other) noexcept : to_(std::exchange(other.to_, nullptr)) {}
        node_pointer& operator=(node_pointer other) noexcept {
            std::swap(to_, other.to_);
            return *this;
        }
        ~node_pointer() {
            if (to_ == nullptr || to_->owners.fetch_sub(1, std::memory_order_acq_rel) != 1) return;
            if (to_->height == 0) {
                std::destroy_n(items<entry>(to_), to_->count);
            } else {
                std::destroy_n(items<fence>(to_), to_->count);
            }
            to_->~node();
            ::operator delete(to_);
        }
        explicit operator bool() const { return to_ != nullptr; }
        node* operator->() const { return to_; }
        node* get() const { return to_; }
        // Acquire: what the last other owner read, it read before we write.
        [[nodiscard]] bool shared() const {
            return to_->owners.load(std::memory_order_acquire) != 1;
        }

    private:
        node* to_ = nullptr;
    };
    struct fence { // no key below is less than `first`, but for the first fence of a node
        Key first;
        node_pointer below;
        static constexpr bool trivially_relocatable = weft::trivially_relocatable<Key>;
    };

public:
    class const_iterator {
    public:
        using reference = const entry&;
        using value_type = entry;
        using difference_type = std::ptrdiff_t;

        const_iterator() = default;

        reference operator*() const { return items<entry>(nodes_[0])[at_[0]]; }
        const entry* operator->() const { return &**this; }
        const_iterator& operator++() {
            ++at_[0];
            settle();
            return *this;
        }
        const_iterator operator++(int) {
            auto before = *this;
            ++*this;
            return before;
        }
        bool operator==(const const_iterator& other) const {
            return nodes_[0] == other.nodes_[0] && (nodes_[0] == nullptr || at_[0] == other.at_[0]);
        }

    private:
        friend class ordered_map;
        const_iterator(const node* root, const path& at) : at_(at) {
            if (root == nullptr) return;
            height_ = root->height;
            nodes_[height_] = root;
            descend(height_);
            settle();
        }
        void descend(std::size_t from) {
            for (std::size_t h = from; h > 0; --h) {
                nodes_[h - 1] = items<fence>(nodes_[h])[at_[h]].below.get();
            }
        }
        void settle() { // behind the last entry of a leaf is the first of the next
            std::size_t h = 0;
            while (at_[h] == nodes_[h]->count) {
                if (h == height_) {
                    *this = {};
                    return;
                }
                at_[h++] = 0;
                ++at_[h];
            }
            descend(h);
        }

        std::array<const node*, height_max + 1> nodes_{};
        path at_{};
        std::size_t height_ = 0;
    };

    ordered_map() = default;
    ordered_map(const ordered_map&) = default;
    ordered_map(ordered_map&& other) noexcept
        : root_(std::move(other.root_)), size_(std::exchange(other.size_, 0)) {}
    ordered_map& operator=(ordered_map other) noexcept {
        std::swap(root_, other.root_);
        std::swap(size_, other.size_);
        return *this;
    }
    ~ordered_map() = default;

    [[nodiscard]] std::size_t size() const { return size_; }
    [[nodiscard]] bool empty() const { return size_ == 0; }
    [[nodiscard]] const_iterator begin() const { return {root_.get(), {}}; }
    [[nodiscard]] const_iterator end() const { return {}; }

    template <class K>
    [[nodiscard]] const_iterator lower_bound(const K& key) const {
        place where = descend(key);
        if (where.leaf != nullptr) where.at[0] = lower_bound(where.leaf, key);
        return {root_.get(), where.at};
    }

    template <class K>
    [[nodiscard]] Value* find(const K& key) {
        place where = seek(key);
        return where.found ? &items<entry>(own(where))[where.at[0]].value : nullptr;
    }
    template <class K>
    [[nodiscard]] const Value* find(const K& key) const {
        place where = seek(key);
        return where.found ? &items<entry>(where.leaf)[where.at[0]].value : nullptr;
    }

private:
    struct place {
        path at{};
        const node* leaf = nullptr;
        bool found = false;
    };

public:
    // What is known of a key while the memory that would tell more is still on its way. `approach` many keys,
    // then `sight` each, then `find_or_insert` each: so they wait for memory together, not one by one.
    // Between the first two nothing must change the map. Costs nothing but time if the key is not there.
    class glimpse {
        friend class ordered_map;
        place where_;
        std::uint32_t moves_ = 0;
    };
    template <class K>
    [[nodiscard]] glimpse approach(const K& key) const
        requires tagged
    {
        glimpse out;
        out.where_ = descend(key);
        out.moves_ = moves_;
        if (out.where_.leaf == nullptr) return out;
        __builtin_prefetch(out.where_.leaf);
        __builtin_prefetch(marks<entry>(out.where_.leaf) + cache_line_bytes);
        return out;
    }
    // Most likely the entry of that key; null if it is not there.
    template <class K>
    [[nodiscard]] const entry* sight(const glimpse& from, const K& key) const
        requires tagged
    {
        const node* leaf = from.where_.leaf;
        if (leaf == nullptr) return nullptr;
        const std::uint8_t* first = marks<entry>(leaf);
        const void* found = std::memchr(first, Less::tag(key), leaf->count);
        if (found == nullptr) return nullptr;
        const entry* out = items<entry>(leaf) + (static_cast<const std::uint8_t*>(found) - first);
        __builtin_prefetch(out, 1);
        __builtin_prefetch(reinterpret_cast<const std::byte*>(out + 1) - 1,
                           1); // if it is cut by a line's end
        return out;
    }

    // The value under `key`; if there is none, `make()` gives the entry's value and `Key(key)` its key.
    template <class K, class Make>
    Value& find_or_insert(const K& key, Make make) {
        return find_or_insert(key, make, [](const Key*, const Key*) {});
    }
    // The same; `between(before, after)` is told the keys next to a new one, null where there is none. If one
    // of them lies in another leaf, which would have to be looked for, it is not told. With `from`, which was
    // one of this key, it is faster if no leaf has come, gone or moved since.
    template <class K, class Make, class Between>
    Value& find_or_insert(const K& key, Make make, Between between, const glimpse* from = nullptr) {
        place where;
        if (from == nullptr || from->moves_ != moves_) {
            where = seek(key);
        } else {
            where = from->where_;
            if (where.leaf != nullptr) seek_in_leaf(where, key);
        }
        if (where.found) return items<entry>(own(where))[where.at[0]].value;
        entry fresh{Key(key), make()};
        if (!root_) root_ = node_pointer::template make<entry>(0, 1);
        if (tagged && where.leaf != nullptr) where.at[0] = lower_bound(where.leaf, key);
        tell_neighbours(where.at, between);
        node_pointer right = insert(root_, where.at, fresh, true);
        ++size_;
        if (!right) {
            node* leaf = leaf_at(where.at);
            if (leaf != where.leaf) ++moves_;
            return items<entry>(leaf)[where.at[0]].value;
        }
        ++moves_;
        if (right->height == root_->height) raise(std::move(right));
        return *find(key);
    }

    template <class K>
    bool erase(const K& key) {
        place where = seek(key);
        if (!where.found) return false;
        erase_at(root_, where.at);
        --size_;
        ++moves_;
        lower();
        return true;
    }

    template <class Predicate> // called with entry&, in order
    void erase_if(Predicate drop) {
        if (!root_) return;
        erase_below(root_, drop);
        ++moves_;
        lower();
    }

    void clear() { *this = {}; }

    // Frees entries from the last on until `left` of them went, for who cannot wait for all at once; what
    // other maps hold too goes at once, and costs nothing. `part` does the same with a value, which may be
    // large, and says whether all of it went. True once nothing is left; before, the map is only to be
    // released further.
    template <class Part> // called with Value& and std::size_t& left
    bool release(std::size_t& left, Part part) {
        return !root_ || release_below(root_, left, part);
    }

private:
    // The leaf that holds or would hold `key`.
    template <class K>
    [[nodiscard]] place descend(const K& key) const {
        place out;
        out.leaf = root_.get();
        if (out.leaf == nullptr) return out;
        // Heights are counted, not read: the leaf, which is mostly not in a cache, is not looked at here.
        for (std::uint32_t height = out.leaf->height; height > 0; --height) {
            const fence* first = items<fence>(out.leaf);
            const fence* begin = first + 1;
            const fence* end = first + out.leaf->count;
            if constexpr (headed) { // only those of the same head are left to compare
                const std::uint64_t* heads = marks<fence>(out.leaf);
                std::uint64_t head = Less::head(key);
                std::size_t same = count_below(heads + 1, out.leaf->count - 1U, head) + 1;
                begin = first + same;
                end = begin;
                while (end < first + out.leaf->count && heads[end - first] == head) ++end;
            }
            auto after = std::upper_bound(
                begin, end, key, [this](const K& k, const fence& f) { return less_(k, f.first); });
            out.at[height] = static_cast<std::uint16_t>(after - first - 1);
            out.leaf = (after - 1)->below.get();
        }
        return out;
    }
    // How many of the sorted `numbers` are less than `limit`. Without branches that depend on them: which way
    // a search goes is as good as random, and a wrong guess costs more than the rest.
    static std::size_t count_below(const std::uint64_t* numbers, std::size_t count,
                                   std::uint64_t limit) {
        const std::uint64_t* from = numbers;
        while (count > 1) {
            std::size_t half = count / 2;
            from += static_cast<std::size_t>(from[half - 1] < limit) * half;
            count -= half;
        }
        return static_cast<std::size_t>(from - numbers) + (count == 1 && *from < limit ? 1 : 0);
    }
    // Of the entries of a leaf the first that is not less.
    template <class K>
    [[nodiscard]] std::uint16_t lower_bound(const node* leaf, const K& key) const {
        const entry* first = items<entry>(leaf);
        auto found =
            std::lower_bound(first, first + leaf->count, key,
                             [this](const entry& e, const K& k) { return less_(e.key, k); });
        return static_cast<std::uint16_t>(found - first);
    }
    // Where `key` is. If it is not there and entries have no tags, where it would be.
    template <class K>
    [[nodiscard]] place seek(const K& key) const {
        place out = descend(key);
        if (out.leaf != nullptr) seek_in_leaf(out, key);
        return out;
    }
    // The same within the leaf that `where` names.
    template <class K>
    void seek_in_leaf(place& where, const K& key) const {
        const entry* all = items<entry>(where.leaf);
        if constexpr (tagged) {
            const std::uint8_t* first = marks<entry>(where.leaf);
            std::uint8_t tag = Less::tag(key);
            for (std::size_t at = 0; at < where.leaf->count; ++at) {
                const void* found = std::memchr(first + at, tag, where.leaf->count - at);
                if (found == nullptr) return;
                at = static_cast<std::size_t>(static_cast<const std::uint8_t*>(found) - first);
                if (!Less::equal(all[at].key, key)) continue;
                where.at[0] = static_cast<std::uint16_t>(at);
                where.found = true;
                return;
            }
        } else {
            where.at[0] = lower_bound(where.leaf, key);
            where.found = where.at[0] < where.leaf->count && !less_(key, all[where.at[0]].key);
        }
    }

    template <class Between>
    void tell_neighbours(const path& at, Between& between) const {
        bool first = true; // leaf of all
        bool last = true;
        const node* leaf = root_.get();
        for (; leaf->height > 0; leaf = items<fence>(leaf)[at[leaf->height]].below.get()) {
            first = first && at[leaf->height] == 0;
            last = last && at[leaf->height] + 1U == leaf->count;
        }
        const entry* all = items<entry>(leaf);
        const Key* before = at[0] > 0 ? &all[at[0] - 1].key : nullptr;
        const Key* after = at[0] < leaf->count ? &all[at[0]].key : nullptr;
        if ((before != nullptr || first) && (after != nullptr || last)) between(before, after);
    }

    // What moves with items.
    template <class Item>
    static void move_marks(node* to, std::size_t at, const node* from, std::size_t begin,
                           std::size_t end) {
        if constexpr (marked<Item>) {
            std::memmove(marks<Item>(to) + at, marks<Item>(from) + begin,
                         (end - begin) * sizeof(mark<Item>));
        }
    }
    static void put_mark(node* into, std::size_t at, const entry& of) {
        if constexpr (tagged) marks<entry>(into)[at] = Less::tag(of.key);
    }
    static void put_mark(node* into, std::size_t at, const fence& of) {
        if constexpr (headed) marks<fence>(into)[at] = Less::head(of.first);
    }

    // A node with room for `room` and the items of `from` in [begin, end), which leave it if nobody shares
    // it: then they are its last.
    template <class Item>
    static node_pointer taken(node_pointer& from, std::size_t begin, std::size_t end,
                              std::size_t room) {
        auto out = node_pointer::template make<Item>(from->height, room);
        Item* there = items<Item>(from.get()) + begin;
        Item* here = items<Item>(out.get());
        std::size_t count = end - begin;
        move_marks<Item>(out.get(), 0, from.get(), begin, end);
        if (from.shared()) {
            std::uninitialized_copy_n(there, count, here);
        } else {
            relocate(there, count, here);
            from->count = static_cast<std::uint16_t>(begin);
        }
        out->count = static_cast<std::uint16_t>(count);
        return out;
    }
    // Moves items to where there are none, which may be places that they leave themselves.
    template <class Item>
    static void relocate(Item* from, std::size_t count, Item* to) {
        if constexpr (Item::trivially_relocatable) {
            if (count > 0)
                std::memmove(static_cast<void*>(to), static_cast<const void*>(from),
                             count * sizeof(Item));
        } else if (to < from) {
            for (std::size_t i = 0; i < count; ++i) relocate_one(from + i, to + i);
        } else {
            for (std::size_t i = count; i > 0; --i) relocate_one(from + i - 1, to + i - 1);
        }
    }
    template <class Item>
    static void relocate_one(Item* from, Item* to) {
        std::construct_at(to, std::move(*from));
        std::destroy_at(from);
    }
    // In steps of eight, but for the smallest: nodes that come in few sizes leave few holes in memory.
    static std::size_t roomy(std::size_t count) {
        return count < 8 ? count + 1 : (count + 8) / 8 * 8;
    }

    template <class Item>
    static void own(node_pointer& which) {
        if (which.shared()) which = taken<Item>(which, 0, which->count, which->count);
    }
    static fence& own_fence(node_pointer& which, const path& at) {
        own<fence>(which);
        return items<fence>(which.get())[at[which->height]];
    }
    node* own(const place& where) { // the leaf, this map's own, as all above it
        node_pointer* which = &root_;
        while ((*which)->height > 0) which = &own_fence(*which, where.at).below;
        own<entry>(*which);
        if (which->get() != where.leaf) ++moves_;
        return which->get();
    }
    node* leaf_at(const path& at) {
        node* which = root_.get();
        while (which->height > 0) which = items<fence>(which)[at[which->height]].below.get();
        return which;
    }

    // Puts `fresh` where `at` says. Where a node is full it splits, and what this gives is its new right
    // neighbour, which is also linked above it if there is an above.
    node_pointer insert(node_pointer& which, const path& at, entry& fresh, bool last) {
        if (which->height == 0) return insert_item(which, at[0], fresh, last);
        std::size_t here = at[which->height];
        fence& down = own_fence(which, at);
        node_pointer split = insert(down.below, at, fresh, last && here + 1U == which->count);
        if (!split || split->height + 1 != which->height) return split;
        fence next{first_of(split.get()), split};
        node_pointer right = insert_item(which, here + 1, next, last);
        return right ? right : split;
    }

    // Halves a full node; at the very end of the map it starts a new one instead, so that keys that come
    // in order leave full nodes behind.
    template <class Item>
    static node_pointer insert_item(node_pointer& which, std::size_t at, Item& fresh, bool last) {
        std::size_t count = which->count;
        std::size_t most = items_max(which->height);
        if (count < most) {
            bool full = count == which->room;
            if (full || which.shared()) {
                which =
                    taken<Item>(which, 0, count, full ? std::min(most, roomy(count)) : which->room);
            }
            put(which.get(), at, fresh);
            return {};
        }
        if (last && at == count) {
            auto right = node_pointer::template make<Item>(which->height, most);
            put(right.get(), 0, fresh);
            return right;
        }
        std::size_t half = count / 2;
        auto right = taken<Item>(which, half, count, roomy(count - half));
        which = taken<Item>(which, 0, half, roomy(half));
        if (at <= half) {
            put(which.get(), at, fresh);
        } else {
            put(right.get(), at - half, fresh);
        }
        return right;
    }
    template <class Item>
    static void put(node* into, std::size_t at, Item& fresh) { // it has room
        Item* all = items<Item>(into);
        std::size_t count = into->count;
        move_marks<Item>(into, at + 1, into, at, count);
        put_mark(into, at, fresh);
        relocate(all + at, count - at, all + at + 1);
        std::construct_at(all + at, std::move(fresh));
        ++into->count;
    }
    static const Key& first_of(const node* which) {
        return which->height == 0 ? items<entry>(which)->key : items<fence>(which)->first;
    }
    void raise(node_pointer right) {
        WEFT_CHECK(root_->height < height_max);
        auto top = node_pointer::template make<fence>(root_->height + 1, items_max(1));
        fence left{first_of(root_.get()), root_};
        fence next{first_of(right.get()), std::move(right)};
        put(top.get(), 0, left);
        put(top.get(), 1, next);
        root_ = std::move(top);
    }

    template <class Item>
    static void take_out(node_pointer& which, std::size_t at) {
        Item* all = items<Item>(which.get());
        move_marks<Item>(which.get(), at, which.get(), at + 1, which->count);
        std::destroy_at(all + at);
        relocate(all + at + 1, which->count - at - 1, all + at);
        --which->count;
        if (which->count < which->room / 2U && which->count > 0)
            which = taken<Item>(which, 0, which->count, roomy(which->count));
    }
    static void erase_at(node_pointer& which, const path& at) {
        if (which->height == 0) {
            own<entry>(which);
            return take_out<entry>(which, at[0]);
        }
        fence& down = own_fence(which, at);
        erase_at(down.below, at);
        if (down.below->count == 0) take_out<fence>(which, at[which->height]);
    }
    template <class Predicate>
    void erase_below(node_pointer& which, Predicate& drop) {
        if (which->height == 0) {
            own<entry>(which);
            erase_items<entry>(which, [&](entry& e) {
                bool gone = drop(e);
                size_ -= gone ? 1 : 0;
                return gone;
            });
        } else {
            own<fence>(which);
            erase_items<fence>(which, [&](fence& f) {
                erase_below(f.below, drop);
                return f.below->count == 0;
            });
        }
    }
    template <class Item, class Predicate>
    static void erase_items(node_pointer& which, Predicate drop) {
        Item* all = items<Item>(which.get());
        std::uint16_t kept = 0;
        for (std::uint16_t i = 0; i < which->count; ++i) {
            if (drop(all[i])) continue;
            if (kept != i) all[kept] = std::move(all[i]);
            move_marks<Item>(which.get(), kept++, which.get(), i, i + 1U);
        }
        std::destroy(all + kept, all + which->count);
        which->count = kept;
    }
    template <class Part>
    static bool release_below(node_pointer& which, std::size_t& left, Part& part) {
        if (!which.shared() && which->height == 0) {
            entry* all = items<entry>(which.get());
            for (; which->count > 0; --which->count) {
                entry& last = all[which->count - 1];
                if (left == 0 || !part(last.value, left)) return false;
                std::destroy_at(&last);
                if (left > 0) --left;
            }
        } else if (!which.shared()) {
            fence* all = items<fence>(which.get());
            for (; which->count > 0; --which->count) {
                fence& last = all[which->count - 1];
                if (last.below && !release_below(last.below, left, part)) return false;
                std::destroy_at(&last);
            }
        }
        which = {};
        return true;
    }
    void lower() { // no root without items, and none with a single way down
        while (root_ && root_->height > 0 && root_->count == 1) {
            node_pointer only = items<fence>(root_.get())->below;
            root_ = std::move(only);
        }
        if (root_ && root_->count == 0) root_ = {};
    }

    node_pointer root_;
    std::size_t size_ = 0;
    std::uint32_t moves_ = 0; // grows with each change of the nodes
    [[no_unique_address]] Less less_;
};

} // namespace weft
