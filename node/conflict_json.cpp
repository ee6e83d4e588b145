#include "node/conflict_json.hpp"

#include "node/json.hpp"

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

} // namespace

std::string id_of(const open_conflict& one, std::uint64_t rules_version) {
    return to_hex(audit_of(one.what, one.made, rules_version).id[0]);
}

json::object json_of(const sibling& one) {
    json::object out{{"dot", to_string(one.at)},
                     {"member", text_or_null(one.member)},
                     {"region", text_or_null(one.region)},
                     {"hlc", stamp_or_null(one.stamp)}};
    if (one.content) {
        out["value"] = json_of(*one.content);
    } else {
        out["removed"] = true;
    }
    return out;
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
    if (one.made.read) {
        json::array values;
        for (const value& v : one.made.read->values) values.push_back(json_of(v));
        out["result"] = std::move(values);
    } else {
        out["result"] = nullptr;
    }
    json::array failed;
    for (const error& why : one.made.failed) failed.push_back(json::string(to_string(why)));
    out["failed"] = std::move(failed);
    json::array siblings;
    for (const sibling& s : one.what.siblings) {
        siblings.push_back(json_of(s));
        siblings.back().as_object()["n"] = siblings.size();
    }
    out["siblings"] = std::move(siblings);
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
