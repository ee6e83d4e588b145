#include "node/api.hpp"

#include "base/limits.hpp"
#include "node/conflict_json.hpp"
#include "node/import.hpp"
#include "node/json.hpp"
#include "node/json_writer.hpp"

#include <algorithm>

namespace weft {
namespace json = boost::json;
namespace {

unsigned http_status(errc code) {
    switch (code) {
        case errc::invalid_argument:
        case errc::over_limit: return 400;
        case errc::not_found: return 404;
        case errc::wrong_type:
        case errc::outdated:
        case errc::bound_exceeded: return 409;
        case errc::closed: return 503;
        case errc::timed_out: return 504;
        case errc::disk_full:
        case errc::over_budget: return 507;
        default: return 500;
    }
}

result<std::optional<type_id>> asked_type(const http_request& request) {
    std::string_view name = request.parameter("type");
    if (name.empty()) return std::optional<type_id>();
    if (auto type = parse_type(name)) return type;
    return fail(errc::invalid_argument, "no type '" + std::string(name) + "'; see docs/types.md");
}

// What a bounded counter has beside its value.
void describe_bound(json::object& out, const object& there, replica_id self) {
    const auto& chosen = *there.as<bounded_store>().chosen();
    out[chosen.spec.at_most ? "at_most" : "at_least"] = chosen.spec.bound;
    out["rights"] = chosen.rights_of(self);
}

// Registers at and below a place, and the fields on the way there.
using visit_register =
    std::function<void(std::vector<std::string_view>&, type_id, const register_store<value>&)>;
void walk_registers(const object& there, type_id type, std::vector<std::string_view>& fields,
                    const visit_register& visit) {
    if (const auto* writes = std::get_if<register_store<value>>(&there.data())) {
        visit(fields, type, *writes);
    } else if (const auto* map = std::get_if<map_store>(&there.data())) {
        for (const auto& child : map->children()) {
            fields.push_back(child.key.name());
            walk_registers(child.value, child.key.type(), fields, visit);
            fields.pop_back();
        }
    }
}

// What was written concurrently: of a register, or, of a map, of each register in it that holds more than one
// write. Nothing if it is more than an answer holds.
std::optional<json::array> siblings_of(const object& there, type_id type,
                                       const conflict_index& conflicts) {
    constexpr std::size_t around = 150; // dot, names, stamp
    std::size_t left = limits::http_answer_bytes_max;
    bool fits = true;
    bool is_map = type.kind == type_kind::map;
    json::array out;
    std::vector<std::string_view> fields;
    auto visit = [&](const std::vector<std::string_view>& at, type_id of,
                     const register_store<value>& writes) {
        if (!fits || (is_map && writes.size() < 2)) return;
        json::array all;
        for (const sibling& s : conflicts.siblings(writes)) {
            std::size_t bytes = around + (s.content ? text_bytes(*s.content) : 0);
            fits = fits && bytes <= left;
            if (!fits) return;
            left -= bytes;
            all.push_back(json_of(s));
        }
        if (!is_map) {
            out = std::move(all);
            return;
        }
        json::array path;
        for (std::string_view field : at) path.push_back(json::string(field));
        out.push_back(json::object{
            {"field", std::move(path)}, {"type", to_string(of)}, {"siblings", std::move(all)}});
    };
    walk_registers(there, type, fields, visit);
    if (!fits) return std::nullopt;
    return out;
}

// An object that no answer holds.
http_response too_large(const std::string& key, type_id type, const object& there) {
    std::size_t parts = 1;
    if (const auto* map = std::get_if<map_store>(&there.data())) {
        parts = map->live_children();
    } else if (const auto* set = std::get_if<add_wins_store<value>>(&there.data())) {
        parts = set->size();
    } else if (const auto* marks = std::get_if<remove_wins_elements>(&there.data())) {
        parts = marks->present();
    }
    return refusal(413, {errc::over_limit,
                         "the " + to_string(type) + " '" + key + "', of " + std::to_string(parts) +
                             (parts == 1 ? " part" : " parts") + ", is more than " +
                             std::to_string(limits::http_answer_bytes_max) +
                             " bytes as JSON, and no answer holds more: read it through the "
                             "library, or spread it over several keys"});
}

} // namespace

http_response ok(const json::value& content) { return {200, to_text(content) + '\n'}; }

http_response refusal(unsigned status, const error& why) {
    return {status, to_text(json_of(why)) + '\n'};
}

http_response refusal(const error& why) { return refusal(http_status(why.code), why); }

std::optional<ack_level> parse_ack(std::string_view text) {
    if (text == "memory") return ack_level::memory();
    if (text == "disk") return ack_level::disk();
    if (text == "majority") return ack_level::majority();
    constexpr std::string_view counted = "replicated=";
    if (!text.starts_with(counted)) return std::nullopt;
    auto members = number<std::uint32_t>("", text.substr(counted.size()), 0);
    if (!members || *members == 0) return std::nullopt;
    return ack_level::replicated(*members);
}

result<api::awaited> api::awaited_by(const http_request& request) const {
    awaited out{ack_level::disk()};
    if (std::string_view text = request.parameter("ack"); !text.empty()) {
        auto level = parse_ack(text);
        if (!level) {
            return fail(errc::invalid_argument,
                        "ack is memory, disk, replicated=K or majority, not '" + std::string(text) +
                            "'");
        }
        out.level = *level;
    }
    // Before the change is made, not after.
    if (auto possible = node_.check(out.level); !possible) return fail(possible.error());
    auto timeout = number("timeout_ms", request.parameter("timeout_ms"), out.timeout_ms);
    if (!timeout) return fail(timeout.error());
    out.timeout_ms = *timeout;
    return out;
}

void api::answer(const http_request& request, const reply_function& reply) {
    struct route {
        std::string_view method;
        std::string_view name;
        std::size_t parts;
    };
    static constexpr route routes[] = {
        {"GET", "status", 2},     {"GET", "keys", 2},      {"GET", "objects", 3},
        {"DELETE", "objects", 3}, {"POST", "ops", 2},      {"POST", "import", 2},
        {"POST", "link", 4},      {"GET", "watch", 2},     {"POST", "snapshot", 2},
        {"GET", "conflicts", 2},  {"GET", "conflicts", 3}, {"POST", "conflicts", 3},
        {"GET", "audit", 2},      {"POST", "verify", 2},
    };
    const auto& path = request.path;
    bool known = false;
    bool allowed = false;
    for (const route& r : routes) {
        bool here = path.size() == r.parts && path[0] == "v1" && path[1] == r.name;
        known = known || here;
        allowed = allowed || (here && r.method == request.method);
    }
    if (!known) {
        return reply(
            refusal(404, {errc::not_found,
                          "no such path; there are /v1/status, keys, objects/KEY, ops, "
                          "watch, import, snapshot, verify, conflicts, conflicts/KEY, audit "
                          "and link/PEER/pause or resume"}));
    }
    if (!allowed) {
        return reply(
            refusal(405, {errc::invalid_argument, request.method + " is not for this path"}));
    }
    if (path[1] == "status") return reply(status());
    if (path[1] == "keys") return reply(keys(request));
    if (path[1] == "link") return reply(link(request));
    if (path[1] == "snapshot") return snapshot(reply);
    if (path[1] == "verify") return verify(request, reply);
    if (path[1] == "audit") return audit(request, reply);
    if (path[1] == "conflicts") {
        if (request.method == "POST") return resolve(request, reply);
        return reply(path.size() == 2 ? conflicts(request) : conflicts_at(request));
    }
    if (path[1] == "ops") return write(request, request.body, reply);
    if (path[1] == "import") return take_lines(request, reply);
    if (request.method == "GET") return reply(object_at(request));
    json::object removal{{"op", "delete"}, {"key", path[2]}};
    if (request.query.contains("type")) removal["type"] = request.parameter("type");
    write(request, to_text(json::array{removal}), reply);
}

http_response api::status() const {
    auto now = node_.status();
    if (!now) return refusal(now.error());
    json::object out = json_of(*now);
    json::array listen;
    for (const std::string& url : node_.listening()) listen.push_back(json::string(url));
    out["listen"] = std::move(listen);
    out["http_bytes"] = buffered_bytes->load();
    return ok(out);
}

http_response api::keys(const http_request& request) const {
    auto wanted = number("limit", request.parameter("limit"), limits::http_keys_max);
    if (!wanted) return refusal(wanted.error());
    std::size_t most = std::clamp<std::size_t>(*wanted, 1, limits::http_keys_max);
    std::string_view counting = request.parameter("count");
    bool count_only = request.query.contains("count") && counting != "0" && counting != "false";
    std::string_view prefix = request.parameter("prefix");
    std::string_view after = request.parameter("after");

    std::uint64_t count = 0;
    json::array found;
    std::size_t found_bytes = 0;
    bool more = false;
    auto read = node_.read([&](const keyspace& state) {
        const auto& children = state.root().children();
        std::string_view last;
        for (auto at = children.lower_bound(
                 child_ref{std::max(prefix, after), {type_kind{}, element_kind{}}});
             at != children.end(); ++at) {
            std::string_view key = at->key.name();
            if (!key.starts_with(prefix)) break;
            if (!at->value.live() || key == last || (!after.empty() && key <= after)) continue;
            last = key;
            ++count;
            if (count_only) continue;
            more = found.size() == most || found_bytes >= limits::http_keys_bytes_max;
            if (more) break;
            found_bytes += key.size();
            found.push_back(json::string(key));
        }
    });
    if (!read) return refusal(read.error());
    if (count_only) return ok(json::object{{"count", count}});
    json::value next = more ? found.back() : json::value();
    return ok(json::object{{"keys", std::move(found)}, {"next", std::move(next)}});
}

http_response api::object_at(const http_request& request) const {
    auto asked = asked_type(request);
    if (!asked) return refusal(asked.error());
    const std::string& key = request.path[2];
    std::string_view asks = request.parameter("siblings");
    bool siblings = request.query.contains("siblings") && asks != "0" && asks != "false";
    std::optional<json::object> out;
    std::optional<http_response> refused;
    auto read = node_.read([&](const state_view& now) {
        const keyspace& state = now.objects;
        std::string_view path[] = {key};
        std::vector<type_id> there = state.types_at(path);
        json::array types;
        for (type_id type : there) types.push_back(json::string(to_string(type)));
        if (*asked) std::erase_if(there, [&](type_id t) { return t != **asked; });
        if (there.empty()) return;
        const object& chosen = *state.find(path, there.front());
        // Counted first: what is built here holds the replica up while it is built.
        if (text_bytes(chosen, there.front(), limits::http_answer_bytes_max) >
            limits::http_answer_bytes_max) {
            refused = too_large(key, there.front(), chosen);
            return;
        }
        out = json::object{
            {"key", key}, {"type", to_string(there.front())}, {"types", std::move(types)}};
        auto content = json_of(chosen, there.front(), {key}, now.conflicts);
        (*out)["value"] = content ? std::move(*content) : json::value();
        if (there.front().kind == type_kind::bounded_counter)
            describe_bound(*out, chosen, now.self);
        bool map = there.front().kind == type_kind::map;
        if (siblings && (map || is_register(there.front().kind))) {
            auto all = siblings_of(chosen, there.front(), now.conflicts);
            if (!all) {
                refused = too_large(key, there.front(), chosen);
                return;
            }
            (*out)[map ? "field_siblings" : "siblings"] = std::move(*all);
        } else if (siblings) {
            refused = refusal({errc::wrong_type, "a " + to_string(there.front()) +
                                                     " has no siblings: registers have, also those "
                                                     "in a map"});
            return;
        }
        // A rule may say of what is there that it is not; who asks for siblings sees why.
        if (!content && !siblings) out.reset();
    });
    if (!read) return refusal(read.error());
    if (refused) return *refused;
    if (out) return ok(*out);
    std::string what(request.parameter("type"));
    return refusal({errc::not_found,
                    "no " + (what.empty() ? "object" : what) + " under the key '" + key + "'"});
}

http_response api::link(const http_request& request) {
    const std::string& peer = request.path[2];
    const std::string& what = request.path[3];
    if (what != "pause" && what != "resume") {
        return refusal(404,
                       {errc::not_found, "a link can be paused or resumed: /v1/link/PEER/pause"});
    }
    auto done = what == "pause" ? node_.pause_peer(peer) : node_.resume_peer(peer);
    if (!done) return refusal(done.error());
    return ok(json::object{{"peer", peer}, {"asked", what}});
}

void api::snapshot(const reply_function& reply) {
    node_.snapshot([reply](result<snapshot_info> written) {
        reply(written ? ok(json_of(*written)) : refusal(written.error()));
    });
}

void api::verify(const http_request& request, const reply_function& reply) {
    node_.verify(request.parameter("peer"), [reply](result<std::vector<peer_verification>> all) {
        if (!all) return reply(refusal(all.error()));
        json::array peers;
        for (const peer_verification& one : *all) peers.push_back(json_of(one));
        reply(ok(json::object{{"peers", std::move(peers)}}));
    });
}

void api::write(const http_request& request, std::string_view operations,
                const reply_function& reply) {
    auto wanted = awaited_by(request);
    if (!wanted) return reply(refusal(wanted.error()));
    auto parsed = parse_json(operations);
    if (!parsed) return reply(refusal(parsed.error()));
    const json::array* all = parsed->if_array();
    if (all == nullptr) {
        return reply(refusal({errc::invalid_argument, "the body must be an array of operations"}));
    }
    json::array results;
    auto done = node_.transact([&](transaction& change) {
        result<void> written;
        auto looked = node_.read([&](const keyspace& state) {
            json_writer writer(change, state);
            for (const json::value& operation : *all) {
                auto outcome = writer.apply(operation);
                if (!outcome) {
                    written = fail(outcome.error());
                    return;
                }
                results.push_back(std::move(*outcome));
            }
        });
        return looked ? written : looked;
    });
    if (!done) return reply(refusal(done.error()));
    json::object out{{"change", nullptr}, {"results", std::move(results)}};
    if (done->end() > done->id().counter) {
        last_ = *done;
        out["change"] = to_string(done->id());
        out["hlc"] = to_string(done->stamp());
    }
    acknowledge(*wanted, ok(out), reply);
}

void api::take_lines(const http_request& request, const reply_function& reply) {
    auto wanted = awaited_by(request);
    if (!wanted) return reply(refusal(wanted.error()));
    auto first_line = number<std::uint64_t>("line", request.parameter("line"), 1);
    if (!first_line) return reply(refusal(first_line.error()));
    import_batch batch{request.body, std::string(request.parameter("prefix"))};
    if (request.query.contains("key")) batch.key_field = request.parameter("key");
    batch.first_line = *first_line;

    import_outcome outcome = import_lines(node_, batch);
    if (outcome.last) last_ = outcome.last;
    if (outcome.stopped) return reply(refusal(*outcome.stopped));
    json::array errors;
    for (const auto& refused : outcome.refused) {
        errors.push_back(json::object{{"line", refused.line},
                                      {"code", to_string(refused.why.code)},
                                      {"detail", refused.why.detail}});
    }
    acknowledge(*wanted,
                ok(json::object{{"applied", outcome.applied}, {"errors", std::move(errors)}}),
                reply);
}

void api::acknowledge(awaited wanted, http_response then, const reply_function& reply) {
    if (!last_ || wanted.level.what == ack_level::kind::memory) return reply(std::move(then));
    last_->when(wanted.level, wanted.timeout_ms,
                [then = std::move(then), reply](result<void> done) {
                    reply(done ? then : refusal(done.error()));
                });
}

bool api::is_watch(const http_request& request) {
    return request.method == "GET" && request.path == std::vector<std::string>{"v1", "watch"};
}

result<subscription_id> api::watch(const http_request& request, change_callback tell,
                                   std::function<void(std::string line)> tell_line) {
    std::string prefix(request.parameter("prefix"));
    std::string_view of_conflicts = request.parameter("conflicts");
    if (request.query.contains("conflicts") && of_conflicts != "0" && of_conflicts != "false") {
        auto now = node_.status();
        if (!now) return fail(now.error());
        return node_.subscribe_conflicts([tell = std::move(tell_line), prefix,
                                          rules = now->rules_version](const conflict_event& event) {
            if (event.now.what.path.front().starts_with(prefix)) tell(watch_line(event, rules));
        });
    }
    return node_.subscribe_prefix(std::move(prefix), std::move(tell));
}

} // namespace weft
