#include "base/check.hpp"
#include "node/api.hpp"
#include "node/import.hpp"
#include "tests/fuzz/targets.hpp"
#include "tests/sim/cluster.hpp"

namespace weft::fuzz {
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

} // namespace

// The first line is "METHOD part part ? name=value name=value", the rest the body.
void control(byte_view data) {
    std::string_view text = as_text(data);
    std::size_t line_end = std::min(text.find('\n'), text.size());
    http_request request;
    request.body = text.substr(std::min(line_end + 1, text.size()));
    std::string_view line = text.substr(0, line_end);
    bool in_query = false;
    for (std::size_t word = 0; !line.empty(); ++word) {
        std::size_t size = std::min(line.find(' '), line.size());
        std::string_view part = line.substr(0, size);
        line.remove_prefix(std::min(size + 1, line.size()));
        if (word == 0) {
            request.method = part;
        } else if (part == "?") {
            in_query = true;
        } else if (!in_query) {
            request.path.emplace_back(part);
        } else {
            std::size_t equals = std::min(part.find('='), part.size());
            request.query[std::string(part.substr(0, equals))] =
                part.substr(std::min(equals + 1, part.size()));
        }
    }
    request.query["ack"] = "memory"; // nobody waits
    node& one = node::grown_a_little();
    api routes(*one.replica());
    int answers = 0;
    routes.answer(request, [&](const http_response& response) {
        ++answers;
        WEFT_CHECK(response.status >= 200 && response.status < 600 && !response.body.empty());
    });
    WEFT_CHECK(answers == 1);
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

} // namespace weft::fuzz
