#include "base/bytes.hpp"
#include "node/client.hpp"
#include "node/commands.hpp"
#include "node/json.hpp"
#include "node/terminal.hpp"

#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <iostream>
#include <iterator>
#include <pwd.h>
#include <unistd.h>

namespace weft {
namespace json = boost::json;
namespace {

std::string age_of(const json::object& one) {
    auto seconds = one.at("age_ms").to_number<std::uint64_t>() / 1'000;
    if (seconds < 120) return std::to_string(seconds) + " s";
    if (seconds < 7'200) return std::to_string(seconds / 60) + " min";
    if (seconds < 172'800) return std::to_string(seconds / 3'600) + " h";
    return std::to_string(seconds / 86'400) + " d";
}

std::string place_of(const json::object& one) {
    std::string out = plain_or_dash(one.at("key"));
    if (const json::value* fields = one.if_contains("field")) {
        for (const json::value& field : fields->as_array()) out += "/" + plain_or_dash(field);
    }
    return out;
}

void print(const json::object& one) {
    std::string decided = "waits";
    if (!one.at("waits").as_bool()) {
        decided = plain_or_dash(one.at("strategy")) + " gives";
        const json::array& result = one.at("result").as_array();
        for (const json::value& v : result) decided += " " + to_text(v);
        if (result.empty()) decided += " nothing";
    }
    bool clash = one.at("kind") == "type_clash"; // of which siblings are types, and nobody's
    std::string what = clash ? "" : plain_or_dash(one.at("type")) + " ";
    say(place_of(one) + "  " + what + plain_or_dash(one.at("kind")) + ", " + decided + " for " +
        age_of(one) + ", id " + plain_or_dash(one.at("id")));
    for (const json::value& why : one.at("failed").as_array()) say("     " + plain_or_dash(why));
    for (const json::value& s : one.at("siblings").as_array()) {
        std::string number = plain_or_dash(s.at("n"));
        say((number.size() < 2 ? "   " : "  ") + number + " " +
            (clash ? plain_or_dash(s.at("value")) : sibling_line(s.as_object())));
    }
    if (const json::value* left_out = one.if_contains("siblings_left_out"))
        say("     and " + plain_or_dash(*left_out) + " more");
}

void print_all(const json::array& conflicts, bool as_json) {
    for (const json::value& one : conflicts) {
        if (as_json) {
            std::puts(to_text(one).c_str());
        } else {
            print(one.as_object());
        }
    }
}

std::string user_name() {
    if (const passwd* user = ::getpwuid(::geteuid())) return user->pw_name;
    return std::to_string(::geteuid());
}

result<std::string> whole_file(const std::string& name) {
    std::string out;
    if (name == "-") {
        out.assign(std::istreambuf_iterator<char>(std::cin), {});
    } else {
        std::ifstream file(name, std::ios::binary);
        if (!file) return fail(errc::not_found, name + ": cannot be read");
        out.assign(std::istreambuf_iterator<char>(file), {});
    }
    if (out.ends_with('\n')) out.pop_back();
    if (!is_utf8(out)) {
        return fail(
            errc::invalid_argument,
            (name == "-" ? "standard input" : name) +
                ": it is no UTF-8; bytes are resolved over HTTP, as {\"bytes\": hexadecimal}");
    }
    return out;
}

int resolve(client& node, const conflicts_command& given) {
    json::object body{{"id", given.seen}, {"who", given.who.empty() ? user_name() : given.who}};
    if (given.take > 0) {
        body["take"] = given.take;
    } else if (given.remove) {
        body["remove"] = true;
    } else if (!given.merge_file.empty()) {
        auto text = whole_file(given.merge_file);
        if (!text) return complain(text.error());
        body["value"] = value_given(*text, given.to.as_string);
    } else {
        body["value"] = value_given(given.value.value_or(""), given.to.as_string);
    }
    if (given.seen.empty()) {
        auto there = node.ask("GET", target_of({"conflicts", given.to.key}));
        if (!there) return complain(there.error());
        const json::array& all = there->at("conflicts").as_array();
        if (all.size() > 1) {
            return complain({errc::invalid_argument, "the key '" + given.to.key + "' has " +
                                                         std::to_string(all.size()) +
                                                         " conflicts; name one with --seen ID"});
        }
        body["id"] = all.front().at("id");
    }
    std::string timeout_ms = std::to_string(std::llround(given.to.timeout_s * 1000));
    auto answer = node.ask(
        "POST",
        target_of({"conflicts", given.to.key}, {{"ack", given.to.ack}, {"timeout_ms", timeout_ms}}),
        to_text(body));
    return answer ? done : complain(answer.error());
}

} // namespace

std::string sibling_line(const json::object& one) {
    std::string what = "removed";
    if (const json::value* content = one.if_contains("value")) what = to_text(*content);
    std::string by = plain_or_dash(one.at("member"));
    if (!one.at("region").is_null()) by += " (" + plain_or_dash(one.at("region")) + ")";
    return what + "  " + by + "  " + plain_or_dash(one.at("hlc")) + "  " +
           plain_or_dash(one.at("dot"));
}

int run(const conflicts_command& given) {
    using what = conflicts_command::what;
    bool decides =
        given.take > 0 || given.remove || !given.merge_file.empty() || given.value.has_value();
    if (given.asked == what::resolve && !decides) {
        say_error("weft conflicts resolve: one of --take, --value, --merge and --remove is needed");
        return wrong_usage;
    }
    auto node = client::connect(given.to.dir);
    if (!node) return complain(node.error());
    if (given.asked == what::resolve) return resolve(*node, given);
    if (given.asked == what::watch) {
        bool dropped = false;
        auto ended =
            node->stream(target_of({"watch"}, {{"conflicts", "true"}, {"prefix", given.to.key}}),
                         [&](std::string_view line) {
                             dropped = line.starts_with(R"({"error":)");
                             std::fprintf(dropped ? stderr : stdout, "%.*s\n",
                                          static_cast<int>(line.size()), line.data());
                             std::fflush(stdout);
                             return !dropped;
                         });
        if (dropped) return data_problem;
        return ended ? complain({errc::unreachable, "the node stopped"}) : complain(ended.error());
    }
    bool show = given.asked == what::show;
    std::uint64_t left = given.limit;
    for (std::string after;;) {
        std::string limit = left > 0 ? std::to_string(left) : "";
        std::string target = show ? target_of({"conflicts", given.to.key}, {{"after", after}})
                                  : target_of({"conflicts"}, {{"prefix", given.to.key},
                                                              {"all", given.all ? "true" : ""},
                                                              {"limit", limit},
                                                              {"after", after}});
        auto answer = node->ask("GET", target);
        if (!answer) return complain(answer.error());
        const json::array& page = answer->at("conflicts").as_array();
        print_all(page, given.json);
        const json::value& next = answer->at("next");
        if (next.is_null()) return done;
        if (given.limit > 0 && (left -= page.size()) == 0) {
            say_error("weft: there are more; raise --limit, or name a prefix");
            return done;
        }
        after = next.as_string();
    }
}

} // namespace weft
