#include "base/check.hpp"
#include "base/limits.hpp"
#include "node/api.hpp"
#include "node/config_file.hpp"
#include "node/import.hpp"
#include "tests/fuzz/targets.hpp"
#include "tests/sim/cluster.hpp"

#include <boost/asio/buffer.hpp>
#include <boost/beast/http/parser.hpp>
#include <boost/beast/http/string_body.hpp>

namespace weft::fuzz {
namespace net = boost::asio;
namespace http = boost::beast::http;
namespace {

// A replica alone on a simulated machine, made anew once it has grown.
class node {
public:
    node() : world_({.seed = 1}) {
        WEFT_CHECK(world_.add("a", {"b"}).start().has_value()); // b is never there
    }
    static node& grown_a_little() {
        static std::unique_ptr<node> current;
        if (!current || current->replica()->status()->objects > 200) {
            current = std::make_unique<node>();
        }
        return *current;
    }
    [[nodiscard]] weft::replica* replica() { return &*world_.at("a"); }
    // Lets the replica log and answer, and looks at its state.
    void settle() {
        world_.run_ms(10);
        WEFT_CHECK(!world_.at("a").failed());
        world_.at("a").check_invariants();
    }

private:
    sim::cluster world_;
};

void answer(node& one, api& routes, http_request request) {
    if (api::is_watch(request)) {
        auto subscribed =
            routes.watch(request, [](const change_event&) {}, [](const std::string&) {});
        if (subscribed) routes.unwatch(*subscribed);
        return;
    }
    request.query["ack"] = "memory"; // nobody waits
    auto answers = std::make_shared<int>(0);
    routes.answer(request, [answers](const http_response& response) {
        ++*answers;
        WEFT_CHECK(response.status >= 200 && response.status < 600 && !response.body.empty());
    });
    for (int i = 0; i < 100 && *answers == 0; ++i) one.settle(); // a snapshot takes its time
    WEFT_CHECK(*answers == 1);
}

} // namespace

// Bytes of a connection, parsed as the server does (node/http.cpp). A newline before them says that it is
// one over TCP.
void control(byte_view data) {
    node& one = node::grown_a_little();
    api routes(*one.replica());
    bool over_tcp = !data.empty() && data[0] == std::byte{'\n'};
    std::string_view left = as_text(over_tcp ? data.subspan(1) : data);
    for (int requests = 0; !left.empty() && requests < 4; ++requests) {
        http::request_parser<http::string_body> parser;
        parser.eager(true);
        parser.header_limit(limits::http_header_bytes_max);
        parser.body_limit(limits::http_body_bytes_max);
        boost::system::error_code failure;
        while (!left.empty() && !parser.is_done() && !failure)
            left.remove_prefix(parser.put(net::buffer(left), failure));
        if (failure == http::error::need_more) parser.put_eof(failure);
        if (failure || !parser.is_done()) break;
        bool more = parser.get().keep_alive();
        auto parsed = parser.release();
        std::string method(parsed.method_string());
        auto request = taken_apart({method, std::string(parsed.target()),
                                    std::string(parsed[http::field::host]),
                                    std::string(parsed[http::field::origin]), parsed.body()},
                                   over_tcp);
        if (request) answer(one, routes, std::move(*request));
        if (!more) break;
    }
    one.settle();
}

// The first byte says whether the lines have a prefix and which field is their key.
void import(byte_view data) {
    if (data.empty()) return;
    auto how = static_cast<unsigned>(data[0]);
    import_batch batch;
    batch.lines = as_text(data.subspan(1));
    if ((how & 1U) != 0) batch.prefix = "p/";
    if ((how & 2U) != 0) batch.key_field = "name";
    node& one = node::grown_a_little();
    import_outcome outcome = import_lines(*one.replica(), batch);
    for (const auto& refused : outcome.refused) WEFT_CHECK(refused.line >= 1);
    one.settle();
}

void config(byte_view data) {
    serve_command given;
    auto read = parse_config(as_text(data), "weft.toml", given);
    if (!read) {
        // It says where: the file, and a line of it.
        WEFT_CHECK(read.error().detail.starts_with("weft.toml:"));
        return;
    }
    for (const rule& one : given.options.conflict_rules.all()) {
        std::string_view path[] = {one.key, one.field};
        (void)given.options.conflict_rules.find(path, {type_kind::mv_register});
        (void)to_string(one);
    }
}

} // namespace weft::fuzz
