#include "base/frame.hpp"
#include "base/limits.hpp"
#include "base/random.hpp"
#include "tests/conformance/link_suite.hpp"
#include "transport/tcp.hpp"

#include <boost/asio/buffer.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/local/stream_protocol.hpp>
#include <boost/asio/write.hpp>
#include <boost/test/unit_test.hpp>

#include <chrono>
#include <filesystem>
#include <fstream>
#include <stdlib.h>
#include <sys/resource.h>

namespace weft::tests {

namespace net = boost::asio;

namespace {

// Both ends of peers_max links live in this process.
void allow_many_files() {
    rlimit files{};
    getrlimit(RLIMIT_NOFILE, &files);
    files.rlim_cur = std::min<rlim_t>(files.rlim_max, 4 * limits::peers_max);
    setrlimit(RLIMIT_NOFILE, &files);
}

class socket_rig : public link_rig {
public:
    socket_rig() { allow_many_files(); }
    bool turn() override { return context_of(run).run_one_for(std::chrono::seconds(60)) > 0; }

    asio_loop run;
};

class tcp_rig final : public socket_rig {
public:
    std::unique_ptr<transport> make_transport() override {
        return make_tcp_transport(run, std::make_shared<arrivals>());
    }
    std::string free_url() override { return "tcp://127.0.0.1:0"; }
    std::string deaf_url() override { return "tcp://127.0.0.1:1"; }
    std::vector<std::string> malformed_urls() override {
        return {"tcp://",           "tcp://host",       "tcp://:7411",        "tcp://host:port",
                "tcp://host:7411x", "tcp://host:65536", "tcp://fe80::1:7411", "tcp://host:-1",
                "tcp://a/b:7411"};
    }
};

class folder { // a fresh one, gone at the end
public:
    folder() {
        std::string name = (std::filesystem::temp_directory_path() / "weft-XXXXXX").string();
        BOOST_REQUIRE(mkdtemp(name.data()) != nullptr);
        path_ = name;
    }
    ~folder() { std::filesystem::remove_all(path_); }
    folder(const folder&) = delete;
    folder& operator=(const folder&) = delete;
    [[nodiscard]] std::string operator/(const std::string& name) const {
        return path_ + "/" + name;
    }

private:
    std::string path_;
};

class unix_rig final : public socket_rig {
public:
    std::unique_ptr<transport> make_transport() override {
        return make_unix_transport(run, std::make_shared<arrivals>());
    }
    std::string free_url() override { return "unix:" + here / std::to_string(++names_); }
    std::string deaf_url() override { return "unix:" + here / "nobody"; }
    std::vector<std::string> malformed_urls() override {
        return {"unix:", "unix:" + here / std::string(200, 'x')};
    }

    folder here;

private:
    int names_ = 0;
};

const bool tcp_registered = register_link_suite("tcp", [] { return std::make_unique<tcp_rig>(); });
const bool unix_registered =
    register_link_suite("unix", [] { return std::make_unique<unix_rig>(); });

std::uint16_t port_of(const std::string& url) {
    return static_cast<std::uint16_t>(std::stoi(url.substr(url.rfind(':') + 1)));
}

// A program that knows nothing of frames.
template <class Protocol>
struct stranger {
    explicit stranger(const typename Protocol::endpoint& where) : socket(context) {
        socket.connect(where);
    }
    void say(const bytes& anything) { net::write(socket, net::buffer(anything)); }

    net::io_context context;
    typename Protocol::socket socket;
};

template <class Protocol>
void check_garbage_closes_only_its_link(
    socket_rig& rig, const std::string& url,
    const std::function<typename Protocol::endpoint(const std::string& listening)>& where) {
    auto how = rig.make_transport();
    std::vector<std::unique_ptr<recorded_link>> accepted;
    auto accepting = how->listen(url, [&](std::unique_ptr<link> fresh) {
        accepted.push_back(std::make_unique<recorded_link>(std::move(fresh)));
        accepted.back()->start();
    });
    BOOST_REQUIRE(accepting.has_value());
    stranger<Protocol> honest(where((*accepting)->url()));
    bytes frame;
    append_frame(frame, bytes(10));
    honest.say(frame);
    turn_until(rig, [&] { return accepted.size() == 1 && accepted[0]->frames.size() == 1; });

    bytes flipped = frame;
    flipped.back() ^= std::byte{1};
    bytes huge(limits::frame_header_bytes, std::byte{0xFF});
    bytes second_bad = frame;
    second_bad.insert(second_bad.end(), flipped.begin(), flipped.end());
    random_generator random(7);
    bytes noise(100'000);
    for (std::byte& one : noise) one = static_cast<std::byte>(random.next());

    struct attack {
        bytes what;
        std::size_t frames;
    };
    for (const attack& each : {attack{flipped, 0}, {huge, 0}, {second_bad, 1}, {noise, 0}}) {
        std::size_t index = accepted.size();
        stranger<Protocol> rude(where((*accepting)->url()));
        rude.say(each.what);
        turn_until(rig,
                   [&] { return accepted.size() > index && !accepted[index]->closed.empty(); });
        const error& why = accepted[index]->closed.front();
        BOOST_TEST((why.code == errc::bad_frame || why.code == errc::over_limit), to_string(why));
        BOOST_TEST(accepted[index]->frames.size() == each.frames);
    }
    honest.say(frame);
    turn_until(rig, [&] { return accepted[0]->frames.size() == 2; });
    BOOST_TEST(accepted[0]->closed.empty());
}

} // namespace

BOOST_AUTO_TEST_SUITE(sockets)

BOOST_AUTO_TEST_CASE(garbage_closes_only_its_tcp_link) {
    tcp_rig rig;
    check_garbage_closes_only_its_link<net::ip::tcp>(
        rig, rig.free_url(), [](const std::string& listening) {
            return net::ip::tcp::endpoint(net::ip::address_v4::loopback(), port_of(listening));
        });
}

BOOST_AUTO_TEST_CASE(garbage_closes_only_its_unix_link) {
    unix_rig rig;
    check_garbage_closes_only_its_link<net::local::stream_protocol>(
        rig, rig.free_url(), [](const std::string& listening) {
            return net::local::stream_protocol::endpoint(listening.substr(5));
        });
}

BOOST_AUTO_TEST_CASE(a_frame_may_arrive_byte_by_byte) {
    tcp_rig rig;
    auto how = rig.make_transport();
    std::unique_ptr<recorded_link> accepted;
    auto accepting = how->listen(rig.free_url(), [&](std::unique_ptr<link> fresh) {
        accepted = std::make_unique<recorded_link>(std::move(fresh));
        accepted->start();
    });
    BOOST_REQUIRE(accepting.has_value());
    stranger<net::ip::tcp> slow({net::ip::address_v4::loopback(), port_of((*accepting)->url())});
    bytes frame;
    append_frame(frame, bytes(3, std::byte{42}));
    turn_until(rig, [&] { return accepted != nullptr; });
    std::size_t said = 0;
    for (std::byte one : frame) {
        BOOST_TEST(accepted->frames.empty());
        slow.say({one});
        if (++said < frame.size()) turn_until(rig, [&] { return accepted->parts == said; });
    }
    turn_until(rig, [&] { return accepted->frames.size() == 1; });
    BOOST_TEST((accepted->frames[0] == bytes(3, std::byte{42})));
    BOOST_TEST(accepted->parts == frame.size() - 1, "each showed that the peer lives");
}

// Where what arrives is at its bound, who waits is not silent, and small frames come all the same.
BOOST_AUTO_TEST_CASE(a_link_that_is_not_read_counts_as_one_that_lives) {
    tcp_rig rig;
    auto arriving = std::make_shared<arrivals>();
    arriving->set_limit(0);
    auto how = make_tcp_transport(rig.run, arriving);
    std::vector<std::unique_ptr<recorded_link>> accepted;
    auto accepting = how->listen(rig.free_url(), [&](std::unique_ptr<link> fresh) {
        accepted.push_back(std::make_unique<recorded_link>(std::move(fresh)));
        accepted.back()->start();
    });
    BOOST_REQUIRE(accepting.has_value());
    net::ip::tcp::endpoint where{net::ip::address_v4::loopback(), port_of((*accepting)->url())};
    bytes large;
    append_frame(large, bytes(1U << 20U));
    constexpr std::size_t part = 2 * limits::link_arriving_bytes_min;
    stranger<net::ip::tcp> first(where);
    first.say(bytes(large.begin(), large.begin() + part));
    turn_until(rig, [&] { return arriving->bytes() == part; }); // it is the one that goes on
    stranger<net::ip::tcp> second(where);
    second.say(bytes(large.begin(), large.begin() + part));
    turn_until(rig, [&] { return accepted.size() == 2 && accepted[1]->parts > 5; });
    BOOST_TEST(arriving->bytes() == part + limits::link_arriving_bytes_min);

    stranger<net::ip::tcp> third(where);
    bytes small;
    append_frame(small, bytes(100));
    third.say(small);
    turn_until(rig, [&] { return accepted.size() == 3 && accepted[2]->frames.size() == 1; });

    first.say(bytes(large.begin() + part, large.end()));
    turn_until(rig, [&] { return accepted[0]->frames.size() == 1; });
    second.say(bytes(large.begin() + part, large.end()));
    turn_until(rig, [&] { return accepted[1]->frames.size() == 1; });
    BOOST_TEST(arriving->bytes() == 0U);
}

BOOST_AUTO_TEST_CASE(port_0_becomes_the_port_really_bound) {
    tcp_rig rig;
    auto how = rig.make_transport();
    auto first = how->listen("tcp://127.0.0.1:0", [](std::unique_ptr<link>) {});
    auto second = how->listen("tcp://127.0.0.1:0", [](std::unique_ptr<link>) {});
    BOOST_REQUIRE((first && second));
    BOOST_TEST(port_of((*first)->url()) != 0);
    BOOST_TEST((*first)->url() != (*second)->url());
    BOOST_TEST((*first)->url().starts_with("tcp://127.0.0.1:"));
}

BOOST_AUTO_TEST_CASE(a_name_is_resolved_on_both_sides) {
    tcp_rig rig;
    auto how = rig.make_transport();
    linked_pair pair(rig, *how, "tcp://localhost:0");
    BOOST_TEST(pair.accepting->url().starts_with("tcp://localhost:"));
    BOOST_TEST(pair.dialed->own->peer() == pair.accepting->url());
}

BOOST_AUTO_TEST_CASE(an_ipv6_address_stands_in_brackets) {
    net::io_context context;
    boost::system::error_code missing;
    net::ip::tcp::acceptor probe(context);
    probe.open(net::ip::tcp::v6(), missing);
    if (!missing) probe.bind({net::ip::address_v6::loopback(), 0}, missing);
    if (missing) {
        BOOST_TEST_MESSAGE("this machine has no IPv6 loopback: " << missing.message());
        return;
    }
    tcp_rig rig;
    auto how = rig.make_transport();
    linked_pair pair(rig, *how, "tcp://[::1]:0");
    BOOST_TEST(pair.accepting->url().starts_with("tcp://[::1]:"));
    BOOST_TEST(pair.accepted->own->peer().starts_with("tcp://[::1]:"));
}

BOOST_AUTO_TEST_CASE(a_name_that_does_not_exist_is_unreachable_within_the_timeout) {
    tcp_rig rig;
    auto how = rig.make_transport();
    std::string failure;
    how->dial("tcp://no-such-host.invalid:7411", 500, [&](result<std::unique_ptr<link>> outcome) {
        BOOST_REQUIRE(!outcome);
        failure = to_string(outcome.error());
    });
    turn_until(rig, [&] { return !failure.empty(); });
    BOOST_TEST(failure.starts_with("unreachable: "), failure);
}

// A listener whose backlog is full lets the kernel drop what else comes, as a broken network does.
BOOST_AUTO_TEST_CASE(silence_is_unreachable_after_the_timeout) {
    tcp_rig rig;
    auto how = rig.make_transport();
    net::ip::tcp::acceptor deaf(context_of(rig.run), net::ip::tcp::v4());
    deaf.bind({net::ip::address_v4::loopback(), 0});
    deaf.listen(0);
    std::string url = "tcp://127.0.0.1:" + std::to_string(deaf.local_endpoint().port());
    std::vector<std::unique_ptr<link>> held;
    std::string failure;
    while (failure.empty() && held.size() < 64) {
        bool done = false;
        how->dial(url, 200, [&](result<std::unique_ptr<link>> outcome) {
            done = true;
            if (outcome) {
                held.push_back(std::move(*outcome));
            } else {
                failure = to_string(outcome.error());
            }
        });
        turn_until(rig, [&] { return done; });
    }
    if (failure.empty()) {
        BOOST_TEST_MESSAGE("this kernel answers for a listener that does not accept");
        return;
    }
    BOOST_TEST(failure.starts_with("unreachable: "), failure);
}

BOOST_AUTO_TEST_CASE(accepting_survives_a_lack_of_descriptors) {
    tcp_rig rig;
    auto how = rig.make_transport();
    std::size_t accepted = 0;
    auto accepting = how->listen(rig.free_url(), [&](const std::unique_ptr<link>&) { ++accepted; });
    BOOST_REQUIRE(accepting.has_value());
    stranger<net::ip::tcp> waiting({net::ip::address_v4::loopback(), port_of((*accepting)->url())});

    rlimit files{};
    getrlimit(RLIMIT_NOFILE, &files);
    rlimit none = files;
    none.rlim_cur = 3; // what is open stays open; nothing more opens
    setrlimit(RLIMIT_NOFILE, &none);
    for (int i = 0; i < 3; ++i) (void)context_of(rig.run).run_one_for(std::chrono::seconds(1));
    setrlimit(RLIMIT_NOFILE, &files);
    BOOST_TEST(accepted == 0U);
    turn_until(rig, [&] { return accepted == 1; });
}

BOOST_AUTO_TEST_CASE(the_socket_file_of_a_dead_process_is_replaced) {
    unix_rig rig;
    std::string path = rig.here / "stale";
    {
        net::io_context context;
        net::local::stream_protocol::acceptor dead(context, {path});
    }
    BOOST_TEST(std::filesystem::is_socket(path));
    auto how = rig.make_transport();
    {
        linked_pair pair(rig, *how, "unix:" + path);
    }
    BOOST_TEST(!std::filesystem::exists(path), "removed with its listener");
}

BOOST_AUTO_TEST_CASE(a_file_that_is_no_socket_stays) {
    unix_rig rig;
    std::string path = rig.here / "precious";
    std::ofstream(path) << "data";
    auto how = rig.make_transport();
    auto listening = how->listen("unix:" + path, [](std::unique_ptr<link>) {});
    BOOST_REQUIRE(!listening);
    BOOST_TEST(to_string(listening.error().code) == "io_failed");
    BOOST_TEST(std::filesystem::file_size(path) == 4U);
}

BOOST_AUTO_TEST_CASE(a_missing_folder_is_an_error_that_names_it) {
    unix_rig rig;
    auto how = rig.make_transport();
    std::string url = "unix:" + rig.here / "no/such/folder";
    auto listening = how->listen(url, [](std::unique_ptr<link>) {});
    BOOST_REQUIRE(!listening);
    BOOST_TEST(listening.error().detail.find(url) != std::string::npos, listening.error().detail);
}

BOOST_AUTO_TEST_SUITE_END()

} // namespace weft::tests
