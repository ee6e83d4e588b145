#include "node/client.hpp"
#include "node/commands.hpp"
#include "node/json.hpp"
#include "node/terminal.hpp"

#include <algorithm>
#include <cstdio>
#include <vector>

namespace weft {
namespace json = boost::json;
namespace {

std::string bytes_of(const json::value& content) {
    auto number = content.to_number<double>();
    const char* units[] = {"B", "KiB", "MiB", "GiB", "TiB"};
    std::size_t unit = 0;
    for (; number >= 1024 && unit + 1 < std::size(units); ++unit) number /= 1024;
    char out[32];
    std::snprintf(out, sizeof out, unit == 0 ? "%.0f %s" : "%.1f %s", number, units[unit]);
    return out;
}

// Columns as wide as their widest cell; the first two to the left, the rest to the right.
void print_table(const std::vector<std::vector<std::string>>& rows) {
    std::vector<std::size_t> widths(rows.front().size());
    for (const auto& row : rows) {
        for (std::size_t at = 0; at < row.size(); ++at)
            widths[at] = std::max(widths[at], row[at].size());
    }
    for (const auto& row : rows) {
        std::string line;
        for (std::size_t at = 0; at < row.size(); ++at) {
            std::string space(widths[at] - row[at].size(), ' ');
            line += (at == 0 ? "" : "  ") + (at < 2 ? row[at] + space : space + row[at]);
        }
        say(line);
    }
}

std::string snapshots_of(const json::object& status) {
    std::string out;
    for (const json::value& one : status.at("snapshots").as_array())
        out += (out.empty() ? "" : ", ") + bytes_of(one.as_object().at("bytes"));
    if (out.empty()) out = "none yet";
    if (status.at("snapshot_under_way").as_bool()) {
        out += ", another under way: " + bytes_of(status.at("snapshot_bytes_written")) + " written";
    }
    return out + "; log since the newest " + bytes_of(status.at("log_bytes_since_snapshot"));
}

std::string log_of(const json::object& status) {
    return bytes_of(status.at("log_bytes")) + " of " + bytes_of(status.at("log_bytes_max")) +
           ", sync " + plain_or_dash(status.at("sync"));
}

// A line for each part of the log and each snapshot.
std::vector<std::string> held_of(const json::object& status) {
    std::vector<std::string> out;
    auto add = [&](const std::string& what, const json::object& one) {
        out.push_back(what + ", " + bytes_of(one.at("bytes")) + ": " +
                      plain_or_dash(one.at("why")));
    };
    for (const json::value& each : status.at("log_held").as_array()) {
        const json::object& part = each.as_object();
        add("log runs " + plain_or_dash(part.at("first_run")) + " to " +
                plain_or_dash(part.at("end_run")),
            part);
    }
    for (const json::value& each : status.at("snapshots").as_array()) {
        const json::object& one = each.as_object();
        add("snapshot at log run " + plain_or_dash(one.at("log_run")), one);
    }
    return out;
}

std::string buffers_of(const json::object& status) {
    std::string parts;
    std::uint64_t sum = 0;
    for (auto [key, what] : {std::pair{"log_tail_bytes", "log"},
                             {"held_back_bytes", "held back"},
                             {"sending_bytes", "sending"},
                             {"arriving_bytes", "arriving"},
                             {"vector_bytes", "vectors"},
                             {"http_bytes", "HTTP"}}) {
        const json::value& bytes = status.at(key);
        sum += bytes.to_number<std::uint64_t>();
        parts += (parts.empty() ? "" : ", ") + std::string(what) + " " + bytes_of(bytes);
    }
    return bytes_of(sum) + " of " + bytes_of(status.at("buffer_bytes_max")) + ": " + parts;
}

std::string transfer_of(const json::object& transfer) {
    return plain_or_dash(transfer.at("phase")) + " the state of " +
           plain_or_dash(transfer.at("peer")) + ", " + bytes_of(transfer.at("bytes")) + " of " +
           bytes_of(transfer.at("bytes_total"));
}

void print(const json::object& status) {
    std::vector<std::pair<std::string, std::string>> lines{
        {"replica",
         plain_or_dash(status.at("name")) + " (" + plain_or_dash(status.at("replica_id")) + ")"},
        {"cluster", plain_or_dash(status.at("cluster"))},
        {"objects", plain_or_dash(status.at("objects"))},
        {"digest", plain_or_dash(status.at("digest"))},
        {"log", log_of(status)},
        {"snapshot", snapshots_of(status)},
    };
    for (const std::string& line : held_of(status)) lines.emplace_back("held", line);
    lines.emplace_back("state", bytes_of(status.at("state_bytes")) + " of " +
                                    bytes_of(status.at("state_bytes_max")));
    lines.emplace_back("buffers", buffers_of(status));
    if (status.at("conflicts").to_number<std::uint64_t>() > 0 ||
        status.at("rules").to_number<std::uint64_t>() > 0) {
        lines.emplace_back("conflicts",
                           plain_or_dash(status.at("conflicts")) + ", of which " +
                               plain_or_dash(status.at("conflicts_waiting")) +
                               " wait for a person; " + plain_or_dash(status.at("rules")) +
                               " rules; audit trail " + bytes_of(status.at("audit_bytes")));
    }
    if (status.at("conflicts_failing").to_number<std::uint64_t>() > 0) {
        lines.emplace_back("WARNING", plain_or_dash(status.at("conflicts_failing")) +
                                          " conflicts that a strategy could not decide; see 'weft "
                                          "conflicts list --all'");
    }
    if (status.at("conflicts_out_of_bounds").to_number<std::uint64_t>() > 0) {
        lines.emplace_back("WARNING", plain_or_dash(status.at("conflicts_out_of_bounds")) +
                                          " values lie outside of what a rule allows; see 'weft "
                                          "conflicts list'");
    }
    lines.emplace_back("ids", plain_or_dash(status.at("known_ids")) + " of " +
                                  plain_or_dash(status.at("known_ids_max")));
    if (!status.at("transfer").is_null())
        lines.emplace_back("transfer", transfer_of(status.at("transfer").as_object()));
    std::string vector;
    for (const auto& e : status.at("version_vector").as_object()) {
        vector +=
            (vector.empty() ? "" : " ") + std::string(e.key()) + ":" + plain_or_dash(e.value());
    }
    lines.emplace_back("vector", vector);
    for (const json::value& url : status.at("listen").as_array())
        lines.emplace_back("listening", plain_or_dash(url));
    auto warn = [&](std::string_view name, const char* text) {
        if (status.at(name).as_bool()) lines.emplace_back("WARNING", text);
    };
    warn("disk_full", "the disk is full: writes are refused until there is space");
    warn("clock_ahead", "a peer says that this machine's clock is ahead; check its time source");
    for (const json::value& one : status.at("peers").as_array()) {
        const json::object& p = one.as_object();
        if (p.at("other_rules").as_bool()) {
            lines.emplace_back("WARNING",
                               plain_or_dash(p.at("name")) +
                                   " settles conflicts by other rules: it may read the same "
                                   "siblings differently");
        }
        if (!p.at("digest_mismatch").as_bool()) continue;
        std::string keys = plain_or_dash(p.at("digest_mismatch_keys"));
        lines.emplace_back("WARNING", "this replica and " + plain_or_dash(p.at("name")) +
                                          " differ though they saw the same changes" +
                                          (keys.empty() ? "" : "; in: " + keys));
    }
    for (const auto& [name, content] : lines) say(padded(name, 9) + "  " + content);

    const json::array& peers = status.at("peers").as_array();
    if (peers.empty()) return;
    std::vector<std::vector<std::string>> table{
        {"PEER", "STATE", "LAG ms", "LAG ops", "RTT us", "IN", "OUT", "CHANGES IN", "OUT"}};
    for (const json::value& one : peers) {
        const json::object& p = one.as_object();
        const json::value& name = p.at("name");
        table.push_back({plain_or_dash(name.as_string().empty() ? p.at("url") : name),
                         plain_or_dash(p.at("state")), plain_or_dash(p.at("lag_ms")),
                         plain_or_dash(p.at("lag_ops")), plain_or_dash(p.at("rtt_us")),
                         bytes_of(p.at("bytes_in")), bytes_of(p.at("bytes_out")),
                         plain_or_dash(p.at("changes_in")), plain_or_dash(p.at("changes_out"))});
    }
    say("");
    print_table(table);
    for (std::size_t at = 0; at < peers.size(); ++at) {
        const json::object& p = peers[at].as_object();
        bool away = p.at("state") == "failed" || p.at("state") == "blocked";
        if (away && !p.at("error").is_null()) {
            say(table[at + 1][0] + ": " + plain_or_dash(p.at("error")));
        }
    }
}

} // namespace

int run(const status_command& given) {
    auto node = client::connect(given.dir);
    if (!node) return complain(node.error());
    auto answer = node->ask("GET", target_of({"status"}));
    if (!answer) return complain(answer.error());
    if (given.json) {
        std::puts(to_text(*answer).c_str());
    } else {
        print(answer->as_object());
    }
    return done;
}

} // namespace weft
