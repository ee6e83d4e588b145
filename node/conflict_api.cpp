#include "base/limits.hpp"
#include "node/api.hpp"
#include "node/conflict_json.hpp"
#include "node/json.hpp"

#include <algorithm>

// The routes about conflicts and about what was decided.
namespace weft {
namespace json = boost::json;
namespace {

constexpr std::size_t conflicts_max = 1'000; // in one answer

result<resolution> resolution_of(const json::object& asked, const open_conflict& one) {
    auto bad = [](std::string why) { return fail(errc::invalid_argument, std::move(why)); };
    resolution out;
    if (const json::value* who = asked.if_contains("who")) {
        if (!who->is_string()) return bad("\"who\" is text");
        out.who = who->get_string();
    }
    const json::value* take = asked.if_contains("take");
    const json::value* given = asked.if_contains("value");
    const json::value* removes = asked.if_contains("remove");
    bool remove = removes != nullptr && removes->is_bool() && removes->get_bool();
    if ((take != nullptr) + (given != nullptr) + (remove ? 1 : 0) != 1)
        return bad("one of \"take\", \"value\" and \"remove\": true says how it is settled");
    if (take != nullptr) {
        std::size_t count = one.what.siblings.size();
        bool there = take->is_int64() && take->get_int64() >= 1 &&
                     static_cast<std::uint64_t>(take->get_int64()) <= count;
        if (!there)
            return bad("\"take\" is the number of a sibling, 1 to " + std::to_string(count));
        out.take = one.what.siblings[static_cast<std::size_t>(take->get_int64()) - 1].at;
    } else if (given != nullptr) {
        auto content = value_of(*given);
        if (!content) return fail(content.error());
        out.content = std::move(*content);
    }
    return out;
}

} // namespace

// A page of those that `wanted` names, from the first behind `after` on, up to `limit` of them and to so many
// bytes; `next` is where the next page goes on.
http_response
api::page_of_conflicts(const http_request& request, const conflict_index::place& first,
                       const std::function<bool(const conflict_index::place&)>& within) const {
    auto wanted = number("limit", request.parameter("limit"), conflicts_max);
    if (!wanted) return refusal(wanted.error());
    std::size_t most = std::clamp<std::size_t>(*wanted, 1, conflicts_max);
    std::optional<conflict_index::place> after;
    if (auto given = request.parameter("after"); !given.empty()) {
        auto parsed = parse_place(given);
        if (!parsed) return refusal(parsed.error());
        after = std::move(*parsed);
    }
    std::string_view asks = request.parameter("all");
    bool all = request.path.size() > 2 ||
               (request.query.contains("all") && asks != "0" && asks != "false");
    std::uint64_t now_ms = node_.wall_ms();
    json::array out;
    json::value next;
    auto read = node_.read([&](const state_view& now) {
        const auto& open = now.conflicts.all();
        std::size_t page_bytes = 0;
        std::string last;
        auto at = after && first < *after ? open.upper_bound(*after) : open.lower_bound(first);
        for (; at != open.end() && within(at->first); ++at) {
            if (!all && !at->second.waits()) continue;
            if (out.size() == most || page_bytes >= limits::http_keys_bytes_max) {
                next = last;
                return;
            }
            out.push_back(json_of(conflict_index::shown(now.objects, at->second),
                                  now.conflicts.rules().version(), now_ms));
            page_bytes += text_bytes(at->second);
            last = to_text(at->first);
        }
    });
    if (!read) return refusal(read.error());
    if (out.empty() && request.path.size() > 2 && !after)
        return refusal({errc::not_found, "no conflict under the key '" + request.path[2] + "'"});
    return ok(json::object{{"conflicts", std::move(out)}, {"next", std::move(next)}});
}

http_response api::conflicts(const http_request& request) const {
    std::string prefix(request.parameter("prefix"));
    return page_of_conflicts(
        request, {{prefix}, conflict_index::whole_name},
        [&](const conflict_index::place& at) { return at.path.front().starts_with(prefix); });
}

http_response api::conflicts_at(const http_request& request) const {
    const std::string& key = request.path[2];
    return page_of_conflicts(
        request, {{key}, conflict_index::whole_name},
        [&](const conflict_index::place& at) { return at.path.front() == key; });
}

void api::resolve(const http_request& request, const reply_function& reply) {
    auto wanted = awaited_by(request);
    if (!wanted) return reply(refusal(wanted.error()));
    auto parsed = parse_json(request.body);
    if (!parsed) return reply(refusal(parsed.error()));
    const json::object* asked = parsed->if_object();
    const json::value* id = asked == nullptr ? nullptr : asked->if_contains("id");
    if (id == nullptr || !id->is_string()) {
        return reply(
            refusal({errc::invalid_argument,
                     "the body is an object with the \"id\" of the conflict as it was seen"}));
    }
    const std::string& key = request.path[2];
    std::optional<open_conflict> seen;
    auto read = node_.read([&](const state_view& now) {
        std::string_view path[] = {key};
        for (const auto& where : now.conflicts.at_and_below(path)) {
            open_conflict one = conflict_index::shown(now.objects, now.conflicts.all().at(where));
            if (id_of(one, now.conflicts.rules().version()) == id->get_string())
                seen = std::move(one);
        }
    });
    if (!read) return reply(refusal(read.error()));
    if (!seen) {
        return reply(refusal({errc::outdated, "no conflict " + std::string(id->get_string()) +
                                                  " under '" + key +
                                                  "': it has other siblings by now, or is settled; "
                                                  "look again"}));
    }
    auto how = resolution_of(*asked, *seen);
    if (!how) return reply(refusal(how.error()));
    auto done = node_.resolve(seen->what, *how);
    if (!done) return reply(refusal(done.error()));
    last_ = *done;
    acknowledge(
        *wanted,
        ok(json::object{{"change", to_string(done->id())}, {"hlc", to_string(done->stamp())}}),
        reply);
}

void api::audit(const http_request& request, const reply_function& reply) {
    audit_query asked;
    auto since = number<std::uint64_t>("since", request.parameter("since"), 0);
    if (!since) return reply(refusal(since.error()));
    auto until = number<std::uint64_t>("until", request.parameter("until"), UINT64_MAX >> 16U);
    if (!until) return reply(refusal(until.error()));
    auto from = number<std::uint64_t>("from", request.parameter("from"), 0);
    if (!from) return reply(refusal(from.error()));
    auto limit = number("limit", request.parameter("limit"), limits::audit_page_entries);
    if (!limit) return reply(refusal(limit.error()));
    for (std::uint64_t ms : {*since, *until}) {
        if (ms > UINT64_MAX >> 16U)
            return reply(refusal({errc::invalid_argument, "times are Unix milliseconds"}));
    }
    asked.since = hlc::at_ms(*since);
    asked.until = {hlc::at_ms(*until).raw | 0xFFFFU};
    asked.from = *from;
    asked.entries_max = std::clamp<std::size_t>(*limit, 1, limits::audit_page_entries);
    asked.key = request.parameter("key");
    asked.prefix = request.parameter("prefix");
    asked.strategy = request.parameter("strategy");
    asked.replica = request.parameter("replica");
    node_.audit(std::move(asked), [reply](result<audit_page> page) {
        if (!page) return reply(refusal(page.error()));
        json::array entries;
        for (const audit_entry& entry : page->entries) entries.push_back(json_of(entry));
        json::array damaged;
        for (const error& why : page->damaged) damaged.push_back(json::string(why.detail));
        json::value next = page->next ? json::value(*page->next) : json::value();
        reply(ok(json::object{{"entries", std::move(entries)},
                              {"next", std::move(next)},
                              {"damaged", std::move(damaged)}}));
    });
}

} // namespace weft
