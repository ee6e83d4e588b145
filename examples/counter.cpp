// Two replicas of one counter, each in a directory of its own. Both count while they are apart; once they
// are linked, both hold the sum, and it is still there after a restart.
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <unistd.h>
#include <weft/weft.hpp>

namespace {

void stop_on(const weft::error& why) {
    std::fprintf(stderr, "%s\n", weft::to_string(why).c_str());
    std::exit(1);
}

weft::durable_replica open(const std::filesystem::path& place, const std::string& name,
                           std::vector<std::string> listen, std::vector<std::string> peers) {
    auto opened =
        weft::open_replica((place / name).string(),
                           {.name = name, .listen = std::move(listen), .peers = std::move(peers)});
    if (!opened) stop_on(opened.error());
    return std::move(*opened);
}

} // namespace

int main() {
    auto place =
        std::filesystem::temp_directory_path() / ("weft-counter-" + std::to_string(getpid()));
    std::string socket = "unix:" + (place / "berlin.sock").string();
    {
        auto berlin = open(place, "berlin", {socket}, {});
        for (int i = 0; i < 3; ++i) (void)berlin->counter("visits").increment();

        // Oslo counts, too, and waits until a majority of the two has its change on disk.
        auto oslo = open(place, "oslo", {}, {socket});
        auto change =
            oslo->transact([](weft::transaction& t) { (void)t.counter("visits").increment(4); });
        if (!change) stop_on(change.error());
        if (auto safe = change->wait(weft::ack_level::majority()); !safe) stop_on(safe.error());
        std::printf("berlin has %lld\n", static_cast<long long>(*berlin->counter("visits").read()));
    }
    auto again = open(place, "berlin", {}, {});
    std::printf("after a restart: %lld\n",
                static_cast<long long>(*again->counter("visits").read()));
    std::filesystem::remove_all(place);
}
