// Berlin and Oslo rename one place while they cannot hear each other, and count its visitors. The same story
// under each strategy: what was written, what everybody reads then, and what the audit trail says about it.
#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <thread>
#include <unistd.h>
#include <weft/weft.hpp>

namespace {

template <class T>
T must(weft::result<T> outcome) {
    if (outcome) return std::move(*outcome);
    std::fprintf(stderr, "%s\n", weft::to_string(outcome.error()).c_str());
    std::exit(1);
}

// A strategy of one's own: a pure function, and the same on every replica.
weft::strategy longest() {
    return weft::custom("longest", [](const weft::conflict& what) {
        std::optional<weft::value> best;
        for (const weft::sibling& s : what.siblings) {
            if (s.content && (!best || s.content->content_bytes() > best->content_bytes()))
                best = s.content;
        }
        return best;
    });
}

struct region {
    std::filesystem::path place;
    std::string name;
    std::string where;
    weft::rules rules;

    weft::durable_replica open(std::vector<std::string> listen, std::vector<std::string> peers) {
        weft::replica_options options{.name = name, .region = where};
        options.listen = std::move(listen);
        options.peers = std::move(peers);
        options.conflict_rules = rules;
        return must(weft::open_replica((place / name).string(), options));
    }
    void write_alone(const std::string& field, const weft::value& content) {
        auto alone = open({}, {});
        auto done = alone->map("place:1").mv_register(field).set(content);
        if (!done) must<int>(weft::fail(done.error()));
    }
};

std::string shown(const std::vector<weft::audited_value>& values) {
    std::string out;
    for (const auto& v : values) out += (out.empty() ? "" : " and ") + to_string(v.content);
    return out.empty() ? "nothing" : out;
}

struct story {
    std::string field;
    weft::value ours;
    weft::value theirs;
};

void tell(const std::string& strategies, const story& of) {
    auto place =
        std::filesystem::temp_directory_path() / ("weft-conflicts-" + std::to_string(getpid()));
    auto resolver = must(weft::parse_resolver(strategies, {longest()}));
    auto rules = must(weft::rules::make({{.key = "place:*", .field = of.field, .how = resolver}}));
    region berlin{place, "berlin", "eu", rules};
    region oslo{place, "oslo", "north", rules};
    berlin.write_alone(of.field, of.ours);
    oslo.write_alone(of.field, of.theirs);

    std::string socket = "unix:" + (place / "berlin.sock").string();
    auto here = berlin.open({socket}, {});
    auto there = oslo.open({}, {socket});
    auto content = there->map("place:1").mv_register(of.field);
    while (must(content.siblings()).size() < 2)
        std::this_thread::sleep_for(std::chrono::milliseconds(5));

    std::printf("%s\n", strategies.c_str());
    auto siblings = must(content.siblings());
    std::sort(siblings.begin(), siblings.end(),
              [](const auto& a, const auto& b) { return a.member < b.member; });
    for (const auto& s : siblings) {
        std::printf("  sibling  %s of %s (%s)\n", to_string(*s.content).c_str(), s.member.c_str(),
                    s.region.c_str());
    }
    // What no rule decides waits for a person, on every replica.
    for (const auto& open : must(there->conflicts())) {
        auto oldest = std::min_element(open.what.siblings.begin(), open.what.siblings.end(),
                                       [](auto& a, auto& b) { return a.stamp < b.stamp; });
        auto settled = must(there->resolve(open.what, {.take = oldest->at, .who = "Ada"}));
        if (auto safe = settled.wait(); !safe) must<int>(weft::fail(safe.error()));
    }
    std::string read;
    for (const auto& v : must(content.get())) read += (read.empty() ? "" : " and ") + to_string(v);
    std::printf("  reads    %s\n", read.c_str());
    for (const auto& entry : must(there->audit({})).entries) {
        std::printf("  audit    %s %s by %s%s%s: %s\n", std::string(to_string(entry.kind)).c_str(),
                    std::string(to_string(entry.outcome)).c_str(), entry.strategy.c_str(),
                    entry.who.empty() ? "" : " of ", entry.who.c_str(),
                    shown(entry.result).c_str());
    }
    (void)here->close();
    (void)there->close();
    std::filesystem::remove_all(place);
}

} // namespace

int main() {
    const story name{"name", "Spreeathen", "Berlin an der Spree"};
    for (const char* strategies :
         {"last_writer_wins", "priority(eu) > last_writer_wins", "dominance > last_writer_wins",
          "min", "max", "union", "longest", "manual"}) {
        tell(strategies, name);
    }
    const story visitors{"visitors", 120, 45};
    for (const char* strategies : {"max", "sum", "average > manual", "dominance > min"})
        tell(strategies, visitors);
}
