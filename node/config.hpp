#pragma once
#include "replica/options.hpp"

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

// What the command line says. docs/operations.md describes every command.
namespace weft {

struct serve_command {
    std::string dir;
    replica_options options; // an empty name means the default one
    std::string http;        // HOST:PORT, empty for none
    bool insecure_listen = false;
    bool repair = false;     // what is damaged, before it opens
    std::string config_file; // what it says counts where the command line says nothing
};

struct repair_command {
    std::string dir;
    std::string cluster = "weft";
    bool dry_run = false;
};

struct link_command {
    std::string dir;
    std::string peer;
    bool pause = false;
};

struct snapshot_command {
    std::string dir;
};

struct status_command {
    std::string dir;
    bool json = false;
};

// What the commands that write share: where, the object's type if asked for, and what is waited for.
struct write_options {
    std::string dir;
    std::string key;
    std::string type;
    std::string ack;
    double timeout_s = 30;
    bool as_string = false; // values are text, whatever they look like
};

struct set_command {
    write_options to;
    std::string value;
};

struct incr_command {
    write_options to;
    std::int64_t by = 1;
    std::string at_least;
    std::string at_most;
};

struct transfer_command {
    write_options to;
    std::int64_t amount = 0;
    std::string member;
};

struct add_command {
    write_options to;
    std::vector<std::string> members;
};

struct remove_command {
    write_options to;
    std::vector<std::string> members;
};

struct put_command {
    write_options to;
    std::string field;
    std::string value;
};

struct delete_command {
    write_options to;
};

struct get_command {
    std::string dir;
    std::string key;
    std::string type;
    bool json = false;
    bool siblings = false;
};

// What of conflicts is asked for, and how one is settled.
struct conflicts_command {
    enum class what : std::uint8_t { list, show, resolve, watch };
    what asked = what::list;
    write_options to;        // where; its key is the prefix of list and watch
    bool all = false;        // those that a rule resolved, too
    std::uint64_t limit = 0; // of list: no more than that; 0: all
    bool json = false;
    std::uint64_t take = 0; // the number of a sibling
    std::optional<std::string> value;
    std::string merge_file; // "-" for standard input
    bool remove = false;
    std::string seen; // the id of the conflict that it was decided on
    std::string who;
};

struct audit_command {
    std::string dir;
    std::string since;
    std::string until;
    std::string key;
    std::string prefix;
    std::string strategy;
    std::string replica;
    bool json = false;
};

struct keys_command {
    std::string dir;
    std::string prefix;
    bool count = false;
};

struct watch_command {
    std::string dir;
    std::string prefix;
};

struct import_command {
    std::string dir;
    std::string file; // "-" for standard input
    std::string prefix;
    std::string key_field = "id";
    std::string ack;
    double timeout_s = 30;
    std::uint64_t batch_lines = 1'000;
    bool progress = false;
};

struct verify_command {
    std::string dir;
    std::string peer; // empty: all
    bool json = false;
};

struct completion_command {
    std::string script;
};

using command = std::variant<serve_command, repair_command, link_command, snapshot_command,
                             status_command, set_command, incr_command, transfer_command,
                             add_command, remove_command, put_command, delete_command, get_command,
                             keys_command, watch_command, import_command, completion_command,
                             conflicts_command, audit_command, verify_command>;

// The command, or the exit status if help was asked for (0) or the usage is wrong (1); then all is
// said.
[[nodiscard]] std::variant<command, int> parse_command_line(int count, const char* const* words);

} // namespace weft
