#pragma once
#include "clock/dot.hpp"
#include "clock/hlc.hpp"
#include "crdt/object.hpp"

#include <functional>
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

// One change, local or remote, with those of its operations that a subscription asked for. After a state
// transfer one event says which keys read otherwise now: its `first` is of counter 0, and each `what`
// "state".
struct change_event {
    dot first; // the change's name: its first dot
    hlc stamp;
    std::string member; // who made it; empty if not known
    bool local = false;
    std::vector<object_change> objects;
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

} // namespace weft
