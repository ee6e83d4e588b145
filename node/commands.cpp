#include "node/commands.hpp"

#include "node/client.hpp"
#include "node/json.hpp"
#include "node/terminal.hpp"

#include <cmath>
#include <cstdio>

namespace weft {
namespace json = boost::json;

int complain(const error& why) {
    say_error("weft: " + to_string(why));
    return why.code == errc::unreachable ? no_node : data_problem;
}

json::value value_given(const std::string& text, bool as_string) {
    if (!as_string) {
        auto parsed = parse_json(text);
        if (parsed && scalar_of(*parsed)) return *parsed;
    }
    return json::string(text);
}

json::array values_given(const std::vector<std::string>& texts, bool as_string) {
    json::array out;
    for (const std::string& text : texts) out.push_back(value_given(text, as_string));
    return out;
}

std::string plain(const json::value& content) {
    return content.is_string() ? std::string(content.as_string()) : to_text(content);
}

std::string plain_or_dash(const json::value& content) {
    return content.is_null() ? "-" : plain(content);
}

result<json::value> commit_operation(const write_options& to, std::string_view op,
                                     json::object operation) {
    operation["op"] = op;
    operation["key"] = to.key;
    if (!to.type.empty()) operation["type"] = to.type;
    auto node = client::connect(to.dir);
    if (!node) return fail(node.error());
    std::string timeout_ms = std::to_string(std::llround(to.timeout_s * 1000));
    auto answer =
        node->ask("POST", target_of({"ops"}, {{"ack", to.ack}, {"timeout_ms", timeout_ms}}),
                  to_text(json::array{std::move(operation)}));
    if (!answer) return fail(answer.error());
    return answer->at("results").at(0);
}

int run_operation(const write_options& to, std::string_view op, json::object operation) {
    auto outcome = commit_operation(to, op, std::move(operation));
    return outcome ? done : complain(outcome.error());
}

} // namespace weft
