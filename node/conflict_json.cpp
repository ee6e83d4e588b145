#include "node/conflict_json.hpp"

#include "base/limits.hpp"
#include "node/json.hpp"

#include <algorithm>
#include <span>

namespace weft {
namespace json = boost::json;
namespace {

json::value text_or_null(const std::string& text) {
    return text.empty() ? json::value() : json::value(text);
}

// "field", only below a map.
void add_place(json::object& out, const std::vector<std::string>& path, type_id type) {
    out["key"] = path.front();
    if (path.size() > 1) out["field"] = json::array(path.begin() + 1, path.end());
    out["type"] = to_string(type);
}

json::value json_of(const audited_value& v) {
    if (v.hashed_bytes == 0) return weft::json_of(v.content);
    return json::object{{"xxh3_128", to_hex(v.content.as_binary().value_or(byte_view()))},
                        {"bytes", v.hashed_bytes}};
}

json::value stamp_or_null(hlc stamp) {
    return stamp == hlc{} ? json::value() : json::value(to_string(stamp));
}

json::object shown_sibling(const sibling& one, json::value content) {
    json::object out{{"dot", to_string(one.at)},
                     {"member", text_or_null(one.member)},
                     {"region", text_or_null(one.region)},
                     {"hlc", stamp_or_null(one.stamp)}};
    if (one.content) {
        out["value"] = std::move(content);
    } else {
        out["removed"] = true;
    }
    return out;
}

// More than that of one conflict, and what is large of it is given by its hash.
bool is_large(const open_conflict& one) {
    std::size_t bytes = 0;
    for (const sibling& s : one.what.siblings)
        bytes += s.content ? weft::text_bytes(*s.content) : 0;
    if (one.made.read) {
        for (const value& v : one.made.read->values) bytes += weft::text_bytes(v);
    }
    return bytes > limits::http_keys_bytes_max;
}

} // namespace

std::size_t text_bytes(const open_conflict& one) {
    constexpr std::size_t around = 150; // dot, names, stamp
    bool large = is_large(one);
    std::size_t out = around;
    auto add = [&](const value& v) {
        out += around + (large ? std::min(weft::text_bytes(v), 2 * limits::audit_value_bytes_max)
                               : weft::text_bytes(v));
    };
    std::size_t left = limits::siblings_max;
    for (const sibling& s : one.what.siblings) {
        if (left-- == 0) break;
        add(s.content.value_or(value()));
    }
    left = limits::siblings_max;
    if (one.made.read) {
        for (const value& v : one.made.read->values) {
            if (left-- == 0) break;
            add(v);
        }
    }
    return out;
}

std::string to_text(const conflict_index::place& where) {
    json::array out(where.path.begin(), where.path.end());
    bool clash = where.type == conflict_index::whole_name;
    out.push_back(clash ? json::value() : json::value(to_string(where.type)));
    return to_text(json::value(std::move(out)));
}

result<conflict_index::place> parse_place(std::string_view text) {
    auto bad = [&] {
        return fail(errc::invalid_argument,
                    "'" + std::string(text) + "' is no place; give what \"next\" gave");
    };
    auto parsed = parse_json(text);
    const json::array* parts = parsed ? parsed->if_array() : nullptr;
    if (parts == nullptr || parts->size() < 2) return bad();
    conflict_index::place out{{}, conflict_index::whole_name};
    for (const json::value& part : std::span(parts->begin(), parts->size() - 1)) {
        if (!part.is_string()) return bad();
        out.path.emplace_back(part.get_string());
    }
    if (parts->back().is_null()) return out;
    auto type = parts->back().is_string() ? parse_type(parts->back().get_string()) : std::nullopt;
    if (!type) return bad();
    out.type = *type;
    return out;
}

std::string id_of(const open_conflict& one, std::uint64_t rules_version) {
    return to_hex(audit_of(one.what, one.made, rules_version).id[0]);
}

json::object json_of(const sibling& one) {
    return shown_sibling(one, one.content ? json_of(*one.content) : json::value());
}

json::object json_of(const open_conflict& one, std::uint64_t rules_version, std::uint64_t now_ms) {
    json::object out;
    add_place(out, one.what.path, one.what.type);
    out["id"] = id_of(one, rules_version);
    out["kind"] = to_string(one.what.kind);
    out["waits"] = one.waits();
    out["since_ms"] = one.since_ms;
    out["age_ms"] = now_ms > one.since_ms ? now_ms - one.since_ms : 0;
    out["strategy"] = one.made.strategy;
    bool large = is_large(one);
    auto shown = [&](const value& v) { return large ? json_of(audited(v)) : json_of(v); };
    if (one.made.read) {
        json::array values;
        std::size_t most = std::min(one.made.read->values.size(), limits::siblings_max);
        for (const value& v : std::span(one.made.read->values).first(most))
            values.push_back(shown(v));
        out["result"] = std::move(values);
    } else {
        out["result"] = nullptr;
    }
    json::array failed;
    for (const error& why : one.made.failed) failed.push_back(json::string(to_string(why)));
    out["failed"] = std::move(failed);
    json::array siblings;
    std::size_t most = std::min(one.what.siblings.size(), limits::siblings_max);
    for (const sibling& s : std::span(one.what.siblings).first(most)) {
        siblings.push_back(shown_sibling(s, s.content ? shown(*s.content) : json::value()));
        siblings.back().as_object()["n"] = siblings.size();
    }
    out["siblings"] = std::move(siblings);
    if (most < one.what.siblings.size()) out["siblings_left_out"] = one.what.siblings.size() - most;
    return out;
}

json::object json_of(const audit_entry& entry) {
    json::object out;
    out["at"] = to_string(entry.at);
    add_place(out, entry.path, entry.type);
    out["kind"] = to_string(entry.kind);
    out["outcome"] = to_string(entry.outcome);
    out["strategy"] = entry.strategy;
    out["who"] = text_or_null(entry.who);
    json::array result;
    for (const audited_value& v : entry.result) result.push_back(json_of(v));
    out["result"] = std::move(result);
    json::array siblings;
    for (const audited_sibling& s : entry.siblings) {
        json::object one{{"dot", to_string(s.at)},
                         {"member", text_or_null(s.member)},
                         {"hlc", stamp_or_null(s.stamp)}};
        if (s.content) {
            one["value"] = json_of(*s.content);
        } else {
            one["removed"] = true;
        }
        siblings.push_back(std::move(one));
    }
    out["siblings"] = std::move(siblings);
    if (entry.siblings_left_out > 0) out["siblings_left_out"] = entry.siblings_left_out;
    if (!entry.failed.empty())
        out["failed"] = json::array(entry.failed.begin(), entry.failed.end());
    out["member"] = entry.member;
    out["replica_id"] = to_string(entry.replica);
    out["rules_version"] = to_hex(entry.rules_version);
    out["log_run"] = static_cast<std::uint64_t>(entry.run);
    out["id"] = to_hex(entry.id[0]) + to_hex(entry.id[1]);
    return out;
}

std::string watch_line(const conflict_event& event, std::uint64_t rules_version) {
    json::object out = json_of(event.now, rules_version, event.now.since_ms);
    out["event"] = to_string(event.happened);
    out["who"] = text_or_null(event.who);
    return to_text(out) + '\n';
}

} // namespace weft
