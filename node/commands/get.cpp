#include "node/client.hpp"
#include "node/commands.hpp"
#include "node/json.hpp"
#include "node/terminal.hpp"

#include <algorithm>
#include <cstdio>

namespace weft {
namespace json = boost::json;
namespace {

// A map's fields in two columns, what is nested indented below.
void print_fields(const json::object& fields, std::size_t indent) {
    std::size_t width = 0;
    for (const auto& field : fields) width = std::max(width, field.key().size());
    for (const auto& field : fields) {
        std::string name = std::string(indent, ' ') + std::string(field.key());
        if (const json::object* nested = field.value().if_object()) {
            say(name);
            print_fields(*nested, indent + 2);
        } else {
            say(padded(name, indent + width) + "  " + plain(field.value()));
        }
    }
}

} // namespace

int run(const get_command& given) {
    auto node = client::connect(given.dir);
    if (!node) return complain(node.error());
    auto answer = node->ask(
        "GET", target_of({"objects", given.key},
                         {{"type", given.type}, {"siblings", given.siblings ? "true" : ""}}));
    if (!answer) return complain(answer.error());
    const json::value& content = answer->at("value");
    const json::array& types = answer->at("types").as_array();
    if (types.size() > 1 && given.type.empty()) {
        std::string others;
        for (const json::value& type : types) {
            if (type != answer->at("type")) others += (others.empty() ? "" : ", ") + plain(type);
        }
        say_error("weft: this is the " + plain(answer->at("type")) +
                  " of that key; there is also: " + others + "; --type picks");
    }
    if (given.json) {
        std::puts(to_text(*answer).c_str());
    } else if (const json::value* siblings = answer->as_object().if_contains("siblings")) {
        for (const json::value& one : siblings->as_array()) say(sibling_line(one.as_object()));
    } else if (const json::value* fields = answer->as_object().if_contains("field_siblings")) {
        for (const json::value& field : fields->as_array()) {
            std::string place;
            for (const json::value& name : field.at("field").as_array())
                place += (place.empty() ? "" : "/") + plain(name);
            say(place + "  " + plain(field.at("type")));
            for (const json::value& one : field.at("siblings").as_array())
                say("   " + sibling_line(one.as_object()));
        }
    } else if (content.is_object() && answer->at("type") == "map") {
        print_fields(content.as_object(), 0);
    } else if (const json::array* items = content.if_array()) {
        for (const json::value& item : *items) say_content(plain(item));
    } else {
        say_content(plain(content));
    }
    return done;
}

} // namespace weft
