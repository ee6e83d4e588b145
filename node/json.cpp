#include "node/json.hpp"

#include "base/limits.hpp"

#include <boost/json/basic_parser_impl.hpp>

#include <charconv>
#include <cmath>
#include <limits>

namespace weft {
namespace json = boost::json;
namespace {

void write(std::string& out, const json::value& content) {
    if (content.is_double()) {
        out += to_string(value(content.get_double()));
    } else if (const json::array* array = content.if_array()) {
        out += '[';
        for (const json::value& item : *array) {
            if (&item != array->begin()) out += ',';
            write(out, item);
        }
        out += ']';
    } else if (const json::object* fields = content.if_object()) {
        out += '{';
        for (const auto& field : *fields) {
            if (&field != fields->begin()) out += ',';
            out += json::serialize(field.key());
            out += ':';
            write(out, field.value());
        }
        out += '}';
    } else {
        out += json::serialize(content);
    }
}

// Builds a value from what the parser meets, with doubles rounded as IEEE 754 asks. Boost.JSON 1.81's own
// conversion is off by one in the last place now and then.
struct value_builder {
    static constexpr std::size_t max_object_size = json::object::max_size();
    static constexpr std::size_t max_array_size = json::array::max_size();
    static constexpr std::size_t max_key_size = json::string::max_size();
    static constexpr std::size_t max_string_size = json::string::max_size();
    using error_code = json::error_code;
    using string_view = json::string_view;

    explicit value_builder(json::storage_ptr where) { stack.reset(std::move(where)); }

    bool on_document_begin(error_code&) { return true; }
    bool on_document_end(error_code&) { return true; }
    bool on_object_begin(error_code&) { return true; }
    bool on_object_end(std::size_t size, error_code&) {
        stack.push_object(size);
        return true;
    }
    bool on_array_begin(error_code&) { return true; }
    bool on_array_end(std::size_t size, error_code&) {
        stack.push_array(size);
        return true;
    }
    bool on_key_part(string_view part, std::size_t, error_code&) {
        stack.push_chars(part);
        return true;
    }
    bool on_key(string_view part, std::size_t, error_code&) {
        stack.push_key(part);
        return true;
    }
    bool on_string_part(string_view part, std::size_t, error_code&) {
        stack.push_chars(part);
        return true;
    }
    bool on_string(string_view part, std::size_t, error_code&) {
        stack.push_string(part);
        return true;
    }
    bool on_number_part(string_view part, error_code&) {
        number += part;
        return true;
    }
    bool on_int64(std::int64_t whole, string_view, error_code&) {
        number.clear();
        stack.push_int64(whole);
        return true;
    }
    bool on_uint64(std::uint64_t whole, string_view, error_code&) {
        number.clear();
        stack.push_uint64(whole);
        return true;
    }
    bool on_double(double nearly, string_view part, error_code& failure) {
        number += part;
        double exact = 0;
        auto read = std::from_chars(number.data(), number.data() + number.size(), exact);
        number.clear();
        if (read.ec == std::errc::result_out_of_range && std::abs(nearly) > 1) {
            failure = json::error::exponent_overflow;
            return false;
        }
        if (read.ec == std::errc::result_out_of_range) exact = std::copysign(0.0, nearly);
        stack.push_double(exact);
        return true;
    }
    bool on_bool(bool b, error_code&) {
        stack.push_bool(b);
        return true;
    }
    bool on_null(error_code&) {
        stack.push_null();
        return true;
    }
    bool on_comment_part(string_view, error_code&) { return true; }
    bool on_comment(string_view, error_code&) { return true; }

    json::value_stack stack;
    std::string number; // the characters of the one under way
};

result<bytes> from_hex(std::string_view digits) {
    bytes out;
    for (std::size_t at = 0; at + 1 < digits.size(); at += 2) {
        std::uint8_t byte = 0;
        auto read = std::from_chars(&digits[at], &digits[at] + 2, byte, 16);
        if (read.ptr != &digits[at] + 2) break;
        out.push_back(std::byte{byte});
    }
    if (out.size() * 2 != digits.size()) {
        return fail(errc::invalid_argument, "bytes that are not pairs of hexadecimal digits");
    }
    return out;
}

// With what is escaped.
std::size_t text_bytes(std::string_view text) {
    std::size_t out = text.size();
    for (char c : text) {
        bool control = static_cast<unsigned char>(c) < 0x20;
        out += control ? 5 : c == '"' || c == '\\' ? 1 : 0;
    }
    return out;
}

json::object tagged(std::string_view tag, json::value what) {
    json::object out;
    out[tag] = std::move(what);
    return out;
}

json::value ms_or_null(std::int64_t ms) { return ms < 0 ? json::value() : json::value(ms); }

json::object json_of(const version_vector& vector) {
    json::object out;
    for (const auto& e : vector.entries()) out[to_string(e.replica)] = e.counter;
    return out;
}

json::object json_of(const peer_status& peer) {
    return {
        {"name", peer.name},
        {"replica_id", peer.id == replica_id{} ? json::value() : json::value(to_string(peer.id))},
        {"url", peer.url},
        {"configured", peer.configured},
        {"state", to_string(peer.state)},
        {"error", peer.error.empty() ? json::value() : json::value(peer.error)},
        {"lag_ms", peer.lag_ms},
        {"lag_ops", peer.lag_ops},
        {"rtt_us", peer.rtt_us},
        {"bytes_in", peer.bytes_in},
        {"bytes_out", peer.bytes_out},
        {"changes_in", peer.changes_in},
        {"changes_out", peer.changes_out},
        {"duplicate_runs", peer.duplicate_runs},
        {"digest_compared_ms", ms_or_null(peer.digest_compared_ms)},
        {"digest_mismatch", peer.digest_mismatch},
        {"digest_mismatch_keys", peer.digest_mismatch_keys},
        {"other_rules", peer.other_rules},
        {"state_bytes_sent", peer.state_bytes_sent},
        {"state_bytes_total", peer.state_bytes_total},
    };
}

std::optional<json::value> json_of(const register_store<value>& writes, type_id type,
                                   std::span<const std::string_view> path,
                                   const conflict_index& conflicts) {
    auto ruled = conflicts.read(path, type, writes);
    if (type.kind == type_kind::lww_register) {
        if (ruled && ruled->values.empty()) return std::nullopt;
        if (ruled && ruled->values.size() == 1) return json_of(ruled->values.front());
        return json_of(latest<value>(writes)->payload.content);
    }
    if (ruled && ruled->values.empty()) return std::nullopt;
    json::array out;
    if (ruled) {
        for (const value& v : ruled->values) out.push_back(json_of(v));
        return out;
    }
    for (const auto& e : writes) {
        if (is_present(e.payload.content)) out.push_back(json_of(e.payload.content));
    }
    return out;
}

json::object json_of(const object_change& change) {
    json::object out{{"what", change.what}};
    if (change.what == "state") return out; // all of the key, whatever its types
    out["type"] = to_string(change.type);
    if (!change.fields.empty())
        out["field"] = json::array(change.fields.begin(), change.fields.end());
    if (change.what == "write" || change.what == "add" || change.what == "remove_element") {
        out["value"] = json_of(change.argument);
    }
    if (change.what == "increment" || change.what == "transfer") out["amount"] = change.amount;
    return out;
}

} // namespace

std::size_t text_bytes(const value& content) {
    if (auto text = content.as_text()) return 3 + text_bytes(*text);
    if (auto data = content.as_binary()) return 13 + 2 * data->size();
    return to_string(content).size() + 1;
}

std::string to_text(const json::value& content) {
    std::string out;
    write(out, content);
    return out;
}

result<json::value> parse_json(std::string_view text, json::storage_ptr where) {
    json::error_code failure;
    json::basic_parser<value_builder> parser({}, std::move(where));
    std::size_t read = parser.write_some(false, text.data(), text.size(), failure);
    if (!failure && read < text.size()) failure = json::error::extra_data;
    if (failure) {
        return fail(errc::invalid_argument,
                    "not JSON at byte " + std::to_string(read) + ": " + failure.message());
    }
    return parser.handler().stack.release();
}

result<value> scalar_of(const json::value& content) {
    switch (content.kind()) {
        case json::kind::null: return value();
        case json::kind::bool_: return value(content.get_bool());
        case json::kind::int64: return value(content.get_int64());
        case json::kind::double_: return value(content.get_double());
        case json::kind::string: return value(std::string_view(content.get_string()));
        case json::kind::uint64:
            return fail(errc::invalid_argument, std::to_string(content.get_uint64()) +
                                                    " is beyond 64 signed bits; make it a string");
        case json::kind::array:
        case json::kind::object: break;
    }
    return fail(errc::invalid_argument, "an array or object where a single value belongs");
}

result<value> value_of(const json::value& content) {
    const json::object* only = content.if_object();
    if (only == nullptr || only->size() != 1) return scalar_of(content);
    std::string_view tag = only->begin()->key();
    const json::value& what = only->begin()->value();
    if (tag == "time" && what.is_int64()) return value::of_time_ms(what.get_int64());
    if (tag == "bytes" && what.is_string()) {
        auto data = from_hex(what.get_string());
        if (!data) return fail(data.error());
        return value::of_bytes(*data);
    }
    if (tag == "real" && what.is_string()) {
        constexpr double infinity = std::numeric_limits<double>::infinity();
        if (what == "nan") return value(std::numeric_limits<double>::quiet_NaN());
        if (what == "inf") return value(infinity);
        if (what == "-inf") return value(-infinity);
    }
    return scalar_of(content);
}

json::value json_of(const value& content) {
    switch (content.kind()) {
        case value_kind::null:
        case value_kind::absent: return nullptr;
        case value_kind::boolean: return content.as_bool().value_or(false);
        case value_kind::integer: return content.as_int().value_or(0);
        case value_kind::text: return json::string(content.as_text().value_or(""));
        case value_kind::binary:
            return tagged("bytes", json::string(to_hex(content.as_binary().value_or(byte_view()))));
        case value_kind::timestamp: return tagged("time", content.as_time_ms().value_or(0));
        case value_kind::real: break;
    }
    double number = content.as_double().value_or(0);
    if (std::isnan(number)) return tagged("real", "nan");
    if (std::isinf(number)) return tagged("real", number > 0 ? "inf" : "-inf");
    return number;
}

std::optional<json::value> json_of(const object& there, type_id type,
                                   std::vector<std::string_view> path,
                                   const conflict_index& conflicts) {
    switch (type.kind) {
        case type_kind::lww_register:
        case type_kind::mv_register:
            return json_of(there.as<register_store<value>>(), type, path, conflicts);
        case type_kind::counter:
        case type_kind::grow_counter: return there.as<counter_store>().read();
        case type_kind::bounded_counter: return there.as<bounded_store>().chosen()->read();
        case type_kind::enable_wins_flag: return any_enabled(there.as<flag_store>());
        case type_kind::disable_wins_flag: return all_enabled(there.as<flag_store>());
        case type_kind::add_wins_set:
        case type_kind::grow_set: {
            json::array out;
            for (const auto& e : there.as<add_wins_store<value>>()) out.push_back(json_of(e.key));
            return out;
        }
        case type_kind::remove_wins_set: {
            json::array out;
            for (const auto& e : there.as<remove_wins_elements>().marks()) {
                if (all_enabled(e.value)) out.push_back(json_of(e.key));
            }
            return out;
        }
        case type_kind::map: break;
    }
    json::object out;
    for (const auto& child : there.as<map_store>().children()) {
        std::string_view name = child.key.name();
        if (!child.value.live() || out.contains(name)) continue;
        path.push_back(name);
        if (auto content = json_of(child.value, child.key.type(), path, conflicts))
            out[name] = std::move(*content);
        path.pop_back();
    }
    return out;
}

std::size_t text_bytes(const object& there, type_id type, std::size_t most) {
    std::size_t out = 8; // a number or a word
    auto add = [&](const value& content) { out += text_bytes(content); };
    switch (type.kind) {
        case type_kind::lww_register:
        case type_kind::mv_register:
            for (const auto& sibling : there.as<register_store<value>>())
                add(sibling.payload.content);
            break;
        case type_kind::counter:
        case type_kind::grow_counter:
        case type_kind::bounded_counter:
        case type_kind::enable_wins_flag:
        case type_kind::disable_wins_flag: break;
        case type_kind::add_wins_set:
        case type_kind::grow_set:
            for (const auto& e : there.as<add_wins_store<value>>()) {
                if (out > most) break;
                add(e.key);
            }
            break;
        case type_kind::remove_wins_set:
            for (const auto& e : there.as<remove_wins_elements>().marks()) {
                if (out > most) break;
                if (all_enabled(e.value)) add(e.key);
            }
            break;
        case type_kind::map:
            for (const auto& child : there.as<map_store>().children()) {
                if (out > most) break;
                if (!child.value.live()) continue;
                out += 4 + text_bytes(child.key.name());
                out += text_bytes(child.value, child.key.type(), most - std::min(most, out));
            }
            break;
    }
    return out;
}

json::object json_of(const snapshot_info& snapshot) {
    return {{"log_run", static_cast<std::uint64_t>(snapshot.at)}, {"bytes", snapshot.size_bytes}};
}

json::object json_of(const peer_verification& one) {
    json::object out{{"peer", one.peer},
                     {"replica_id", to_string(one.id)},
                     {"outcome", "not_compared"},
                     {"keys", nullptr},
                     {"error", nullptr}};
    if (!one.outcome) {
        out["error"] = json_of(one.outcome.error()).at("error");
        return out;
    }
    out["outcome"] = one.outcome->equal ? "equal" : "differs";
    if (!one.outcome->keys.empty()) out["keys"] = one.outcome->keys;
    return out;
}

json::object json_of(const transfer_status& transfer) {
    return {{"peer", transfer.peer},
            {"phase", to_string(transfer.phase)},
            {"bytes", transfer.bytes},
            {"bytes_total", transfer.bytes_total}};
}

json::object json_of(const replica_status& status) {
    json::array snapshots;
    for (const held_snapshot& one : status.snapshots) {
        snapshots.push_back(json_of(one.what));
        snapshots.back().as_object()["why"] = one.why;
    }
    json::array log;
    for (const held_log& part : status.log_held) {
        log.push_back(json::object{{"first_run", part.first},
                                   {"end_run", part.end},
                                   {"bytes", part.bytes},
                                   {"why", part.why}});
    }
    json::array peers;
    for (const peer_status& peer : status.peers) peers.push_back(json_of(peer));
    return {
        {"name", status.name},
        {"replica_id", to_string(status.id)},
        {"cluster", status.cluster},
        {"region", status.region},
        {"objects", status.objects},
        {"version_vector", json_of(status.vector)},
        {"durable_vector", json_of(status.durable)},
        {"digest", to_string(status.digest)},
        {"digest_mismatch", status.digest_mismatch},
        {"digest_compared_ms", ms_or_null(status.digest_compared_ms)},
        {"log_bytes", status.log_bytes},
        {"log_bytes_max", status.log_bytes_max},
        {"buffer_bytes_max", status.buffer_bytes_max},
        {"log_tail_bytes", status.log_tail_bytes},
        {"sending_bytes", status.sending_bytes},
        {"arriving_bytes", status.arriving_bytes},
        {"vector_bytes", status.vector_bytes},
        {"known_ids_max", status.known_ids_max},
        {"log_runs", status.log_runs},
        {"log_first_run", status.log_first},
        {"log_held", std::move(log)},
        {"floor", json_of(status.floor)},
        {"transfer", status.transfer ? json::value(json_of(*status.transfer)) : nullptr},
        {"snapshots", std::move(snapshots)},
        {"snapshot_under_way", status.snapshot_under_way},
        {"snapshot_bytes_written", status.snapshot_bytes_written},
        {"log_bytes_since_snapshot", status.log_bytes_since_snapshot},
        {"state_bytes", status.state_bytes},
        {"state_bytes_max", status.state_bytes_max},
        {"held_back_runs", status.held_back_runs},
        {"held_back_bytes", status.held_back_bytes},
        {"known_ids", status.known_ids},
        {"sync", to_string(status.sync)},
        {"writers_waiting", status.writers_waiting},
        {"disk_full", status.disk_full},
        {"clock_ahead", status.clock_ahead},
        {"conflicts", status.conflicts},
        {"conflicts_waiting", status.conflicts_waiting},
        {"conflicts_failing", status.conflicts_failing},
        {"conflicts_out_of_bounds", status.conflicts_out_of_bounds},
        {"rules", status.rules},
        {"rules_version", to_hex(status.rules_version)},
        {"audit_bytes", status.audit_bytes},
        {"peers", std::move(peers)},
    };
}

json::object json_of(const error& failure) {
    return tagged("error",
                  json::object{{"code", to_string(failure.code)}, {"detail", failure.detail}});
}

std::string watch_lines(const change_event& change, std::size_t& at) {
    std::string out;
    auto top = [](const object_change& o) {
        return o.fields.empty() ? o.type : type_id{type_kind::map};
    };
    while (at < change.objects.size() && out.size() < limits::watch_slice_bytes) {
        const object_change& first = change.objects[at];
        json::array changes;
        std::size_t line_bytes = 0;
        do {
            const object_change& one = change.objects[at++];
            line_bytes += sizeof one + one.argument.content_bytes();
            changes.push_back(json_of(one));
        } while (line_bytes < limits::watch_slice_bytes && at < change.objects.size() &&
                 change.objects[at].key == first.key && top(change.objects[at]) == top(first));
        bool whole_state = change.first.counter == 0;
        out += to_text(json::object{
            {"key", first.key},
            {"type", whole_state ? json::value() : json::value(to_string(top(first)))},
            {"changes", std::move(changes)},
            {"origin", change.member},
            {"replica_id", to_string(change.first.replica)},
            {"change", to_string(change.first)},
            {"hlc", to_string(change.stamp)},
            {"local", change.local},
        });
        out += '\n';
    }
    return out;
}

} // namespace weft
