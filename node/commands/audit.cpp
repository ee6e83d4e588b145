#include "node/client.hpp"
#include "node/commands.hpp"
#include "node/json.hpp"
#include "node/terminal.hpp"

#include <charconv>
#include <chrono>
#include <cstdio>
#include <ctime>
#include <tuple>

namespace weft {
namespace json = boost::json;
namespace {

std::uint64_t now_ms() {
    auto since = std::chrono::system_clock::now().time_since_epoch();
    return static_cast<std::uint64_t>(
        std::chrono::duration_cast<std::chrono::milliseconds>(since).count());
}

// Unix milliseconds, as text: of a time, or of an age before now.
result<std::string> time_given(const std::string& text) {
    if (text.empty()) return text;
    std::uint64_t number = 0;
    auto read = std::from_chars(text.data(), text.data() + text.size(), number);
    std::string_view rest(read.ptr, static_cast<std::size_t>(text.data() + text.size() - read.ptr));
    if (read.ec == std::errc() && rest.size() == 1 && number < 100'000'000) {
        for (auto [unit, ms] :
             {std::pair{'s', 1'000U}, {'m', 60'000U}, {'h', 3'600'000U}, {'d', 86'400'000U}}) {
            if (rest.front() != unit) continue;
            std::uint64_t age = number * ms;
            std::uint64_t now = now_ms();
            return std::to_string(age < now ? now - age : 0);
        }
    }
    std::tm parts{};
    const char* end = ::strptime(text.c_str(), "%Y-%m-%dT%H:%M:%S", &parts);
    std::string_view left = end == nullptr ? std::string_view("?") : std::string_view(end);
    std::uint64_t ms = 0;
    if (left.starts_with('.')) {
        auto fraction = std::from_chars(left.data() + 1, left.data() + left.size(), ms);
        if (fraction.ptr != left.data() + 4)
            left = "?"; // three digits
        else
            left.remove_prefix(4);
    }
    std::tm stated = parts;
    std::int64_t seconds = ::timegm(&parts); // which makes 2 March of 30 February
    bool real =
        std::tie(stated.tm_mon, stated.tm_mday, stated.tm_hour, stated.tm_min, stated.tm_sec) ==
        std::tie(parts.tm_mon, parts.tm_mday, parts.tm_hour, parts.tm_min, parts.tm_sec);
    if ((!left.empty() && left != "Z") || seconds < 0 || !real) {
        return fail(errc::invalid_argument,
                    "'" + text +
                        "' is no time; write 2026-11-22T22:40:11Z, or an age: "
                        "90s, 30m, 2h, 7d");
    }
    return std::to_string(static_cast<std::uint64_t>(seconds) * 1'000 + ms);
}

// "2026-11-22T22:40:11.123Z  place:1/name  write_write: "a" of berlin, "b" of oslo; priority(oslo) gives "b""
void print(const json::object& entry) {
    std::string place = plain(entry.at("key"));
    if (const json::value* fields = entry.if_contains("field")) {
        for (const json::value& field : fields->as_array()) place += "/" + plain(field);
    }
    bool clash = entry.at("kind") == "type_clash"; // of which siblings and result are types
    auto shown = [&](const json::value& v) { return clash ? plain(v) : to_text(v); };
    std::string siblings;
    for (const json::value& s : entry.at("siblings").as_array()) {
        const json::value* content = s.as_object().if_contains("value");
        siblings += (siblings.empty() ? "" : ", ") +
                    (content == nullptr ? std::string("removed") : shown(*content));
        if (!s.at("member").is_null()) siblings += " of " + plain(s.at("member"));
    }
    std::string result;
    for (const json::value& v : entry.at("result").as_array())
        result += (result.empty() ? "" : " ") + shown(v);
    if (result.empty()) result = "nothing";
    std::string decided = plain(entry.at("strategy")) + " gives " + result;
    if (entry.at("outcome") == "waits") {
        decided = "waits for a person";
        std::string why;
        if (const json::value* failed = entry.if_contains("failed")) {
            for (const json::value& one : failed->as_array())
                why += (why.empty() ? "" : "; ") + plain(one);
        }
        if (!why.empty()) decided += " (" + why + ")";
    }
    if (entry.at("outcome") == "settled") {
        std::string who = !entry.at("who").is_null()                 ? plain(entry.at("who"))
                          : entry.at("strategy") == "state_transfer" ? "what came as a state"
                                                                     : "a plain write";
        decided = "settled by " + who + ": " + result;
    }
    std::string at = plain(entry.at("at"));
    say(at.substr(0, at.find('+')) + "  " + place + "  " + plain(entry.at("kind")) + ": " +
        siblings + "; " + decided);
}

} // namespace

int run(const audit_command& given) {
    auto since = time_given(given.since);
    auto until = time_given(given.until);
    for (const auto& time : {since, until}) {
        if (time) continue;
        (void)complain(time.error());
        return wrong_usage;
    }
    auto node = client::connect(given.dir);
    if (!node) return complain(node.error());
    bool damaged = false;
    for (std::string from;;) {
        auto answer = node->ask("GET", target_of({"audit"}, {{"since", *since},
                                                             {"until", *until},
                                                             {"key", given.key},
                                                             {"prefix", given.prefix},
                                                             {"strategy", given.strategy},
                                                             {"replica", given.replica},
                                                             {"from", from}}));
        if (!answer) return complain(answer.error());
        for (const json::value& entry : answer->at("entries").as_array()) {
            if (given.json) {
                std::puts(to_text(entry).c_str());
            } else {
                print(entry.as_object());
            }
        }
        for (const json::value& why : answer->at("damaged").as_array()) {
            say_error("weft: " + plain(why));
            damaged = true;
        }
        if (answer->at("next").is_null()) return damaged ? data_problem : done;
        from = to_text(answer->at("next"));
    }
}

} // namespace weft
