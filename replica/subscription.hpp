#pragma once
#include "clock/dot.hpp"
#include "clock/hlc.hpp"
#include "crdt/object.hpp"

#include <functional>
#include <memory>
#include <string>
#include <vector>

namespace weft {

// What one operation did to one object, as subscribers see it.
struct object_change {
    std::string key;
    std::vector<std::string> fields; // below the key's map; empty for the object itself
    type_id type;                    // of the object or field
    std::string what;                // an action's name: "write", "add", "increment", …
    value argument;                  // of write, add, remove_element
    std::int64_t amount = 0;         // of increment and transfer
};

struct operation;
[[nodiscard]] object_change describe(const operation& op);

// What one change did. Copies share it, so whoever is told may keep it.
class object_changes {
public:
    object_changes() = default;
    explicit object_changes(std::vector<object_change> all);

    [[nodiscard]] auto begin() const { return all_->begin(); }
    [[nodiscard]] auto end() const { return all_->end(); }
    [[nodiscard]] std::size_t size() const { return all_->size(); }
    [[nodiscard]] bool empty() const { return all_->empty(); }
    [[nodiscard]] const object_change& operator[](std::size_t at) const { return (*all_)[at]; }
    // About what it takes in memory, however many share it.
    [[nodiscard]] std::size_t memory_bytes() const { return bytes_; }
    [[nodiscard]] bool shares(const object_changes& other) const { return all_ == other.all_; }

private:
    std::shared_ptr<const std::vector<object_change>> all_ =
        std::make_shared<const std::vector<object_change>>();
    std::size_t bytes_ = 0;
};

// One change, local or remote, with those of its operations that a subscription asked for. After a state
// transfer events say which keys read otherwise now, a slice of them each (limits::state_keys_told_max):
// their `first` is of counter 0, and each `what` "state".
struct change_event {
    dot first; // the change's name: its first dot
    hlc stamp;
    std::string member; // who made it; empty if not known
    bool local = false;
    object_changes objects;
};

// Called on the loop, in log order, without any lock held: it may call the replica.
// Keep it short: it delays replication.
using change_callback = std::function<void(const change_event&)>;

enum class subscription_id : std::uint64_t {};

// What is subscribed: one key, or all keys with a prefix.
struct subscription_filter {
    std::string key_or_prefix;
    bool prefix = true;

    [[nodiscard]] bool matches(std::string_view key) const {
        return prefix ? key.starts_with(key_or_prefix) : key == key_or_prefix;
    }
};

struct subscriber {
    subscription_filter filter;
    change_callback whom;

    [[nodiscard]] bool wants(const object_changes& some) const;
    // Calls back with those that the filter asks for: all of them, as a rule, and then no copy is made.
    void tell(const change_event& what) const;
};

} // namespace weft
