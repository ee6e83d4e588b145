// A chat between two processes. Every line is an element of a grow-only set, and a subscription prints what
// arrives, from whomever, in log order.
//
//   chat DIR NAME LISTEN-URL PEER-URL    lines on standard input are said; at its end, waits for the other's
#include <condition_variable>
#include <cstdio>
#include <iostream>
#include <mutex>
#include <weft/weft.hpp>

int main(int argc, char** argv) {
    if (argc != 5) {
        std::fprintf(stderr,
                     "usage: chat DIR NAME LISTEN-URL PEER-URL\n"
                     "  for example: chat /tmp/ann ann unix:/tmp/ann.sock unix:/tmp/bob.sock\n");
        return 1;
    }
    std::string name = argv[2];
    auto opened =
        weft::open_replica(argv[1], {.name = name, .listen = {argv[3]}, .peers = {argv[4]}},
                           [](const weft::log_event&) {});
    if (!opened) {
        std::fprintf(stderr, "%s\n", weft::to_string(opened.error()).c_str());
        return 2;
    }
    weft::replica& room = **opened;

    std::mutex lock;
    std::condition_variable changed;
    int goodbyes = 0;
    auto heard = room.subscribe_key("lines", [&](const weft::change_event& change) {
        for (const weft::object_change& line : change.objects) {
            std::string text(*line.argument.as_text());
            if (!change.local) std::printf("%s\n", text.c_str());
            std::fflush(stdout);
            std::lock_guard hold(lock);
            if (text.ends_with(": bye")) ++goodbyes;
            changed.notify_all();
        }
    });
    if (!heard) return 2;

    auto say = [&](const std::string& text) {
        return room.transact([&](weft::transaction& t) {
            return t.grow_set<std::string>("lines").add(name + ": " + text);
        });
    };
    for (std::string text; std::getline(std::cin, text);) {
        auto said = say(text);
        if (!said || !said->wait(weft::ack_level::replicated(2))) return 2;
    }
    auto bye = say("bye");
    if (!bye) return 2;
    std::unique_lock hold(lock);
    changed.wait(hold, [&] { return goodbyes == 2; });
    hold.unlock();
    // The other may have left as soon as it had read both: then there is nobody to tell us so.
    (void)bye->wait(weft::ack_level::replicated(2), 1'000);
}
