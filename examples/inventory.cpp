// Ten seats, two box offices, one cut line: a bounded counter never sells an eleventh seat. Each office may
// sell the rights that it holds; when they run out it is refused, and the other can send some of its own.
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <unistd.h>
#include <weft/weft.hpp>

namespace {

template <class T>
T must(weft::result<T> outcome) {
    if (outcome) return std::move(*outcome);
    std::fprintf(stderr, "%s\n", weft::to_string(outcome.error()).c_str());
    std::exit(1);
}

int sell(weft::replica& office, const char* name, int wanted) {
    int sold = 0;
    while (sold < wanted && office.bounded_counter("seats").decrement()) ++sold;
    std::printf("%s sold %d of %d wanted\n", name, sold, wanted);
    return sold;
}

// Runs `change` here, and returns once it has reached the other office.
template <class Change>
void share(weft::replica& here, Change change) {
    auto done = must(here.transact(change));
    if (auto seen = done.wait(weft::ack_level::replicated(2)); !seen)
        must<int>(weft::fail(seen.error()));
}

} // namespace

int main() {
    auto place =
        std::filesystem::temp_directory_path() / ("weft-inventory-" + std::to_string(getpid()));
    std::string socket = "unix:" + (place / "north.sock").string();
    auto north =
        must(weft::open_replica((place / "north").string(), {.name = "north", .listen = {socket}}));
    auto south =
        must(weft::open_replica((place / "south").string(), {.name = "south", .peers = {socket}}));

    // South creates the counter and so holds all ten rights; it sends six to the north.
    weft::replica_id north_id = north->id();
    share(*south, [&](weft::transaction& t) {
        (void)t.bounded_counter("seats").create_at_least(0, 10);
        return t.bounded_counter("seats").transfer(north_id, 6);
    });

    std::puts("the line is cut");
    if (auto cut = south->pause_peer(socket); !cut) must<int>(weft::fail(cut.error()));
    int sold = sell(*north, "north", 7) + sell(*south, "south", 3);
    auto refused = north->bounded_counter("seats").decrement();
    std::printf("north again: %s\n",
                refused ? "sold" : std::string(weft::to_string(refused.error().code)).c_str());

    std::puts("the line is back, south sends what it has left");
    if (auto joined = south->resume_peer(socket); !joined) must<int>(weft::fail(joined.error()));
    share(*south,
          [&](weft::transaction& t) { return t.bounded_counter("seats").transfer(north_id, 1); });
    sold += sell(*north, "north", 1);
    std::printf("%d seats sold, %lld left\n", sold,
                static_cast<long long>(must(north->bounded_counter("seats").read())));
    std::filesystem::remove_all(place);
}
