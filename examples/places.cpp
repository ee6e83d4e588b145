// A struct of yours as a map: one line per member says which field it is. Every member is a register of its
// own, so two people who edit two members of one place at the same time both keep their edit.
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <unistd.h>
#include <weft/weft.hpp>

struct place {
    std::string name;
    std::string country;
    std::int64_t population = 0;
    double lat = 0;
    double lon = 0;
};

template <>
struct weft::fields<place> {
    static constexpr auto list =
        std::tuple(weft::field("name", &place::name), weft::field("country", &place::country),
                   weft::field("population", &place::population), weft::field("lat", &place::lat),
                   weft::field("lon", &place::lon));
};

namespace {

template <class T>
T must(weft::result<T> outcome) {
    if (outcome) return std::move(*outcome);
    std::fprintf(stderr, "%s\n", weft::to_string(outcome.error()).c_str());
    std::exit(1);
}

void print(const char* who, const place& p) {
    std::printf("%s: %s (%s), %lld people\n", who, p.name.c_str(), p.country.c_str(),
                static_cast<long long>(p.population));
}

} // namespace

int main() {
    auto base =
        std::filesystem::temp_directory_path() / ("weft-places-" + std::to_string(getpid()));
    std::string socket = "unix:" + (base / "a.sock").string();
    auto a = must(weft::open_replica((base / "a").string(), {.name = "a", .listen = {socket}}));
    auto b = must(weft::open_replica((base / "b").string(), {.name = "b", .peers = {socket}}));
    auto reached_both = [](const weft::commit& change) {
        if (auto done = change.wait(weft::ack_level::replicated(2)); !done) std::exit(1);
    };

    // B knows A as a configured peer, so B's changes can be waited for on both.
    reached_both(must(b->transact([](weft::transaction& t) {
        return t.map("place:2950159").put(place{"Berlin", "DE", 3'426'354, 52.52437, 13.41053});
    })));
    print("a", *must(a->map("place:2950159").get<place>()));

    // Apart, one renames it and the other counts again.
    if (!b->pause_peer(socket)) return 1;
    (void)a->map("place:2950159").put("name", "Berlin an der Spree");
    auto counted = must(b->transact([](weft::transaction& t) {
        auto here = t.map("place:2950159");
        place now = *must(here.get<place>());
        now.population = 3'685'265;
        return here.put(now); // writes only the member that differs
    }));
    if (!b->resume_peer(socket)) return 1;
    reached_both(counted);
    print("a", *must(a->map("place:2950159").get<place>()));
    std::filesystem::remove_all(base);
}
