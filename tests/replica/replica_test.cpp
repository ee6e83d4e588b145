#include "recovery/restart.hpp"
#include "replica/driver.hpp"

#include <boost/test/unit_test.hpp>

#include <atomic>
#include <filesystem>
#include <future>
#include <mutex>
#include <thread>

using namespace weft;

namespace {

// A directory that goes with the test, and replicas in it.
struct place {
    std::filesystem::path path;

    place() {
        std::string pattern =
            (std::filesystem::temp_directory_path() / "weft-test-XXXXXX").string();
        path = mkdtemp(pattern.data());
    }
    ~place() { std::filesystem::remove_all(path); }

    durable_replica open(const std::string& name, std::vector<std::string> listen = {},
                         std::vector<std::string> peers = {}, replica_options more = {}) {
        more.name = name;
        more.listen = std::move(listen);
        more.peers = std::move(peers);
        more.sync = sync_policy::interval;
        auto opened = open_replica((path / name).string(), more, [](const log_event&) {});
        BOOST_REQUIRE_MESSAGE(opened, (opened ? "" : to_string(opened.error())));
        return std::move(*opened);
    }
    [[nodiscard]] std::string socket(const std::string& name) const {
        return "unix:" + (path / (name + ".sock")).string();
    }
};

template <class T>
errc code_of(const result<T>& outcome) {
    BOOST_REQUIRE(!outcome);
    return outcome.error().code;
}

// Waits until `done` says so; the bound only ends a test that has failed.
template <class Done>
void wait_until(Done done) {
    for (int i = 0; i < 3'000 && !done(); ++i)
        std::this_thread::sleep_for(std::chrono::milliseconds(10));
    BOOST_REQUIRE(done());
}

} // namespace

namespace boost::test_tools::tt_detail {
template <>
struct print_log_value<errc> {
    void operator()(std::ostream& out, errc code) { out << to_string(code); }
};
} // namespace boost::test_tools::tt_detail

struct city {
    std::string name;
    std::int64_t population = 0;
    double lat = 0;
    bool capital = false;
};
template <>
struct weft::fields<city> {
    static constexpr auto list =
        std::tuple(weft::field("name", &city::name), weft::field("population", &city::population),
                   weft::field("lat", &city::lat), weft::field("capital", &city::capital));
};

BOOST_AUTO_TEST_CASE(every_type_is_written_and_read_through_its_handle) {
    place here;
    auto r = here.open("a");
    BOOST_REQUIRE(r->lww_register<std::string>("name").set("berlin"));
    BOOST_TEST(**r->lww_register<std::string>("name").get() == "berlin");
    BOOST_REQUIRE(r->mv_register<int>("numbers").set(7));
    BOOST_TEST(*r->mv_register<int>("numbers").get() == std::vector<int>{7},
               boost::test_tools::per_element());
    BOOST_REQUIRE(r->counter("visits").increment(5));
    BOOST_REQUIRE(r->counter("visits").decrement(2));
    BOOST_TEST(*r->counter("visits").read() == 3);
    BOOST_REQUIRE(r->counter("visits").reset());
    BOOST_TEST(*r->counter("visits").read() == 0);
    BOOST_REQUIRE(r->grow_counter("born").increment(2));
    BOOST_TEST(*r->grow_counter("born").read() == 2);
    BOOST_REQUIRE(r->flag("open").enable());
    BOOST_TEST(*r->flag("open").enabled());
    BOOST_REQUIRE(r->disable_wins_flag("safe").disable());
    BOOST_TEST(!*r->disable_wins_flag("safe").enabled());
    BOOST_TEST(*r->disable_wins_flag("safe").exists());
    BOOST_REQUIRE(r->set<std::string>("tags").add("red"));
    BOOST_REQUIRE(r->set<std::string>("tags").add("blue"));
    BOOST_REQUIRE(r->set<std::string>("tags").remove_element("red"));
    BOOST_TEST(*r->set<std::string>("tags").elements() == std::vector<std::string>{"blue"},
               boost::test_tools::per_element());
    BOOST_REQUIRE(r->remove_wins_set<int>("banned").add(4));
    BOOST_TEST(*r->remove_wins_set<int>("banned").contains(4));
    BOOST_REQUIRE(r->grow_set<int>("seen").add(1));
    BOOST_TEST(*r->grow_set<int>("seen").size() == 1U);
    BOOST_REQUIRE(r->bounded_counter("stock").create_at_least(0, 3));
    BOOST_REQUIRE(r->bounded_counter("stock").decrement(3));
    BOOST_TEST(code_of(r->bounded_counter("stock").decrement(1)) == errc::bound_exceeded);
    BOOST_TEST(*r->bounded_counter("stock").read() == 0);
    auto inner = r->map("user:1").map("address");
    BOOST_REQUIRE(inner.put("city", "Oslo"));
    BOOST_REQUIRE(inner.counter("moves").increment());
    BOOST_TEST(**inner.lww_register<std::string>("city").get() == "Oslo");
    BOOST_TEST(*r->map("user:1").names() == std::vector<std::string>{"address"},
               boost::test_tools::per_element());
    BOOST_REQUIRE(r->map("user:1").remove_field("address"));
    BOOST_TEST(!*r->map("user:1").exists());
    BOOST_TEST(*inner.counter("moves").read() == 0);
}

BOOST_AUTO_TEST_CASE(a_struct_is_a_map_with_a_register_per_member) {
    place here;
    auto r = here.open("a");
    city berlin{"Berlin", 3'426'354, 52.52, true};
    BOOST_REQUIRE(r->map("city:1").put(berlin));
    auto back = r->map("city:1").get<city>();
    BOOST_REQUIRE((back && *back));
    BOOST_TEST((*back)->name == "Berlin");
    BOOST_TEST((*back)->population == 3'426'354);
    BOOST_TEST((*back)->lat == 52.52);
    BOOST_TEST((*back)->capital);
    wait_until(
        [&] { return r->status()->vector.at(r->id()) == 4; }); // sealed, soon after it returned
    std::uint64_t before = 4;
    berlin.population = 1;
    BOOST_REQUIRE(r->transact([&](transaction& t) { return t.map("city:1").put(berlin); }));
    wait_until([&] { return r->status()->vector.at(r->id()) > before; });
    BOOST_TEST(r->status()->vector.at(r->id()) == before + 1); // one member differs
    BOOST_TEST(!r->map("city:2").get<city>()->has_value());
    BOOST_REQUIRE(r->map("city:1").put("lat", "north"));
    BOOST_TEST(code_of(r->map("city:1").get<city>()) == errc::wrong_type);
}

BOOST_AUTO_TEST_CASE(a_transaction_is_all_or_nothing) {
    place here;
    auto r = here.open("a");
    BOOST_REQUIRE(r->counter("kept").increment());
    state_digest before = r->status()->digest;
    auto failed = r->transact([](transaction& t) -> result<void> {
        (void)t.counter("kept").increment(9);
        (void)t.set<std::string>("tags").add("x");
        BOOST_TEST(*t.counter("kept").read() == 10); // reads its own writes
        BOOST_TEST(*t.set<std::string>("tags").contains("x"));
        return fail(errc::aborted, "changed my mind");
    });
    BOOST_TEST(code_of(failed) == errc::aborted);
    BOOST_TEST(*r->counter("kept").read() == 1);
    BOOST_TEST(!*r->set<std::string>("tags").exists());
    BOOST_TEST((r->status()->digest == before));

    // A refused write fails the whole, also if nobody looks at its result.
    auto poisoned = r->transact([](transaction& t) {
        (void)t.counter("kept").increment(9);
        (void)t.counter("").increment();
    });
    BOOST_TEST(code_of(poisoned) == errc::invalid_argument);
    BOOST_TEST(*r->counter("kept").read() == 1);

    auto thrower = [](transaction& t) {
        (void)t.counter("kept").increment(9);
        throw std::runtime_error("stop");
    };
    BOOST_CHECK_THROW((void)r->transact(thrower), std::runtime_error);
    BOOST_TEST(*r->counter("kept").read() == 1);
    BOOST_TEST((r->status()->digest == before));
    BOOST_REQUIRE(r->counter("kept").increment()); // and it goes on
}

BOOST_AUTO_TEST_CASE(bad_use_is_an_error_value_and_changes_nothing) {
    place here;
    replica_options small;
    small.state_bytes_max = 100'000;
    auto r = here.open("a", {}, {}, small);
    BOOST_REQUIRE(r->counter("c").increment(INT64_MAX));
    state_digest before = r->status()->digest;
    BOOST_TEST(code_of(r->counter(std::string(limits::key_bytes_max + 1, 'k')).increment()) ==
               errc::over_limit);
    BOOST_TEST(code_of(r->counter("\xff\xfe").increment()) == errc::invalid_argument);
    BOOST_TEST(code_of(r->counter("").increment()) == errc::invalid_argument);
    BOOST_TEST(code_of(r->lww_register("r").set(
                   value(std::string(limits::value_bytes_max + 1, 'v')))) == errc::over_limit);
    BOOST_TEST(code_of(r->lww_register("r").set(value("\xc3\x28"))) == errc::invalid_argument);
    BOOST_TEST(code_of(r->counter("c").increment(1)) == errc::over_limit);
    BOOST_TEST(code_of(r->counter("c").decrement(INT64_MIN)) == errc::over_limit);
    BOOST_TEST(code_of(r->grow_counter("g").increment(-1)) == errc::invalid_argument);
    BOOST_TEST(code_of(r->bounded_counter("b").decrement()) == errc::not_found);
    BOOST_TEST(code_of(r->map("m").bounded_counter("b").create_at_least(0, 1)) ==
               errc::invalid_argument);
    BOOST_TEST(code_of(r->bounded_counter("b").create_at_least(5, 1)) == errc::invalid_argument);
    auto deep = r->map("m");
    for (std::size_t i = 0; i < limits::map_depth_max; ++i) deep = deep.map("m");
    BOOST_TEST(code_of(deep.put("f", 1)) == errc::over_limit);
    auto nested = r->transact([&](transaction&) -> result<void> {
        auto inside = r->transact([](transaction&) {});
        BOOST_TEST(code_of(inside) == errc::nested_transaction);
        BOOST_TEST(code_of(r->counter("c").decrement()) == errc::nested_transaction);
        return fail(errc::aborted, "done");
    });
    BOOST_TEST(code_of(nested) == errc::aborted);
    operation wrong;
    std::string_view path[] = {"c"};
    wrong.path = path;
    wrong.type = {type_kind::counter};
    wrong.what = action::enable;
    auto unknown = r->apply(std::move(wrong));
    BOOST_TEST(code_of(unknown) == errc::wrong_type);
    BOOST_TEST((r->status()->digest == before));

    // Over the state's budget additions are refused, removals are not.
    result<void> filled;
    for (int i = 0; i < 1000 && filled; ++i) {
        filled = r->lww_register("big:" + std::to_string(i)).set(value(std::string(1000, 'x')));
    }
    BOOST_TEST(code_of(filled) == errc::over_budget);
    BOOST_REQUIRE(r->remove("big:0"));
    BOOST_REQUIRE(r->remove("big:1"));
    BOOST_TEST(r->lww_register("small").set(1).has_value());

    BOOST_REQUIRE(r->close());
    BOOST_TEST(code_of(r->counter("c").increment()) == errc::closed);
    BOOST_TEST(code_of(r->counter("c").read()) == errc::closed);
    BOOST_TEST(code_of(r->keys()) == errc::closed);
    BOOST_TEST(code_of(r->status()) == errc::closed);
    BOOST_REQUIRE(r->close()); // again: nothing to do
}

BOOST_AUTO_TEST_CASE(keys_come_in_order_by_prefix_and_each_once) {
    place here;
    auto r = here.open("a");
    for (const char* key : {"b", "a:2", "a:10", "c", "a:1"})
        BOOST_REQUIRE(r->counter(key).increment());
    BOOST_REQUIRE(r->lww_register("a:1").set(1)); // another type of one name
    std::vector<std::string> expected = {"a:1", "a:10", "a:2"};
    BOOST_TEST(*r->keys("a:") == expected, boost::test_tools::per_element());
    BOOST_TEST(r->keys()->size() == 5U);
    BOOST_TEST(r->status()->objects == 6U);
    BOOST_REQUIRE(r->remove("a:1"));
    BOOST_TEST(r->keys("a:")->size() == 2U);
}

BOOST_AUTO_TEST_CASE(what_was_acknowledged_on_disk_is_there_after_a_restart) {
    place here;
    replica_id id{};
    state_digest digest;
    {
        auto r = here.open("a");
        auto done = r->transact([](transaction& t) {
            (void)t.counter("visits").increment(3);
            (void)t.set<std::string>("tags").add("red");
        });
        BOOST_REQUIRE(done);
        BOOST_REQUIRE(done->wait(ack_level::disk()));
        BOOST_TEST(code_of(done->wait(ack_level::replicated(2), 50)) == errc::invalid_argument);
        id = r->id();
        digest = r->status()->digest;
    }
    auto again = here.open("a");
    BOOST_TEST((again->id() == id)); // a clean stop keeps the id, whatever the sync policy
    BOOST_TEST((again->status()->digest == digest));
    BOOST_TEST(*again->counter("visits").read() == 3);
    BOOST_REQUIRE(again->counter("visits").increment());
    BOOST_TEST(*again->counter("visits").read() == 4);
}

BOOST_AUTO_TEST_CASE(two_replicas_converge_and_acknowledge_each_other) {
    place here;
    auto a = here.open("a", {here.socket("a")}, {here.socket("b")});
    auto b = here.open("b", {here.socket("b")}, {here.socket("a")});
    for (int i = 0; i < 50; ++i) {
        BOOST_REQUIRE(a->counter("n").increment());
        BOOST_REQUIRE(b->counter("n").increment());
        BOOST_REQUIRE(b->set<int>("s").add(i));
    }
    auto last = a->transact([](transaction& t) { (void)t.counter("n").increment(); });
    BOOST_REQUIRE(last);
    auto safe = last->wait(ack_level::majority());
    BOOST_REQUIRE_MESSAGE(safe, (safe ? "" : to_string(safe.error())));
    wait_until([&] {
        return a->status()->vector == b->status()->vector && *b->counter("n").read() == 101;
    });
    BOOST_TEST((a->status()->digest == b->status()->digest));
    wait_until([&] { return a->status()->digest_compared_ms >= 0; });
    BOOST_TEST(!a->status()->digest_mismatch);
}

BOOST_AUTO_TEST_CASE(two_replicas_are_compared_while_both_are_written) {
    place here;
    auto a = here.open("a", {here.socket("a")});
    auto b = here.open("b", {}, {here.socket("a")});
    wait_until(
        [&] { return a->status()->peers.size() == 1 && b->status()->peers.at(0).id == a->id(); });
    std::atomic<bool> stop{false};
    auto write = [&stop](replica& at) {
        for (int i = 0; !stop; ++i) (void)at.set<int>("s").add(i);
    };
    std::thread at_a([&] { write(*a); });
    std::thread at_b([&] { write(*b); });
    auto found = a->verify();
    auto one = b->verify("a");
    auto unknown = b->verify("nobody");
    stop = true;
    at_a.join();
    at_b.join();
    for (const auto& outcome : {found, one}) {
        BOOST_REQUIRE(outcome);
        BOOST_REQUIRE(outcome->size() == 1U);
        BOOST_REQUIRE(outcome->front().outcome);
        BOOST_TEST(outcome->front().outcome->equal);
    }
    BOOST_TEST(found->front().peer == "b");
    BOOST_TEST((found->front().id == b->id()));
    BOOST_TEST(code_of(unknown) == errc::not_found);
    BOOST_TEST(a->status()->digest_compared_ms >= 0);
    (void)a->transact([&](transaction&) {
        BOOST_TEST(code_of(a->verify()) == errc::invalid_argument, "it would wait for itself");
    });
    BOOST_REQUIRE(a->close());
    BOOST_TEST(code_of(a->verify()) == errc::closed);
}

BOOST_AUTO_TEST_CASE(subscribers_hear_local_and_remote_changes_once_and_in_order) {
    place here;
    auto a = here.open("a", {here.socket("a")});
    auto b = here.open("b", {}, {here.socket("a")});
    std::mutex lock;
    std::vector<std::int64_t> heard;
    bool foreign_key = false;
    bool wrong_member = false;
    // Called on b's loop thread: the checks of Boost.Test are for one thread.
    auto id = b->subscribe_prefix("n:", [&](const change_event& change) {
        std::lock_guard hold(lock);
        for (const auto& o : change.objects) {
            foreign_key = foreign_key || o.key != "n:1";
            heard.push_back(o.amount);
        }
        wrong_member = wrong_member || change.local != (change.member == "b");
    });
    BOOST_REQUIRE(id);
    for (int i = 1; i <= 100; ++i) {
        BOOST_REQUIRE(a->counter("n:1").increment(i));
        BOOST_REQUIRE(a->counter("other").increment());
    }
    wait_until([&] {
        std::lock_guard hold(lock);
        return heard.size() == 100;
    });
    BOOST_REQUIRE(b->counter("n:1").increment(101));
    wait_until([&] {
        std::lock_guard hold(lock);
        return heard.size() == 101;
    });
    std::lock_guard hold(lock);
    for (int i = 0; i < 101; ++i) BOOST_TEST(heard[static_cast<std::size_t>(i)] == i + 1);
    BOOST_TEST(!foreign_key);
    BOOST_TEST(!wrong_member);
}

BOOST_AUTO_TEST_CASE(many_threads_may_call_one_replica) {
    place here;
    auto r = here.open("a");
    std::atomic<int> good = 0; // the checks of Boost.Test are for one thread
    std::vector<std::thread> threads;
    for (int t = 0; t < 4; ++t) {
        threads.emplace_back([&] {
            for (int i = 0; i < 200; ++i) {
                auto done =
                    r->transact([](transaction& tx) { return tx.counter("n").increment(); });
                bool kept = done && (i % 50 != 0 || done->wait());
                good += kept && r->keys("n") && r->status() ? 1 : 0;
            }
        });
    }
    for (auto& t : threads) t.join();
    BOOST_TEST(good == 800);
    BOOST_TEST(*r->counter("n").read() == 800);
}

BOOST_AUTO_TEST_CASE(who_writes_faster_than_the_log_waits_for_it) {
    place here;
    auto r = here.open("a", {}, {}, {.packed = codec::none});
    // Holds up the loop, as a slow disk or a long callback does.
    std::promise<void> released;
    r->engine().run().post([until = released.get_future().share()] { until.wait(); });
    constexpr std::size_t value_bytes = 1U << 20U;
    constexpr int values = 60;
    std::atomic<int> written = 0;
    std::atomic<bool> refused = false;
    std::thread writer([&] {
        for (int i = 0; i < values; ++i) {
            auto done = r->transact([&](transaction& t) {
                (void)t.lww_register<std::string>("r").set(std::string(value_bytes, 'x'));
            });
            refused = refused || !done;
            ++written;
        }
    });
    wait_until([&] { return r->status()->writers_waiting == 1; });
    BOOST_TEST(static_cast<std::size_t>(written) * value_bytes <=
               limits::unlogged_bytes_max + 2 * value_bytes);
    released.set_value();
    writer.join();
    BOOST_TEST(!refused);
    BOOST_TEST(written == values);
    BOOST_TEST(r->status()->writers_waiting == 0U);
}

BOOST_AUTO_TEST_CASE(a_paused_peer_gets_nothing_until_it_is_resumed) {
    place here;
    auto a = here.open("a", {here.socket("a")});
    auto b = here.open("b", {}, {here.socket("a")});
    BOOST_REQUIRE(a->counter("n").increment());
    wait_until([&] { return *b->counter("n").read() == 1; });
    BOOST_REQUIRE(b->pause_peer("a"));
    wait_until([&] { return b->status()->peers.at(0).state == peer_state::paused; });
    BOOST_REQUIRE(a->counter("n").increment());
    BOOST_TEST(*b->counter("n").read() == 1);
    BOOST_TEST(code_of(b->pause_peer("nobody")) == errc::not_found);
    BOOST_REQUIRE(b->resume_peer("a"));
    wait_until([&] { return *b->counter("n").read() == 2; });
    wait_until([&] { return b->status()->peers.at(0).state == peer_state::active; });
}

BOOST_AUTO_TEST_CASE(whoever_comes_while_it_closes_is_answered) {
    for (int round = 0; round < 20; ++round) {
        place here;
        auto opened = std::make_unique<durable_replica>(here.open("a"));
        replica* r = &**opened;
        BOOST_REQUIRE(r->counter("n").increment());
        std::atomic<int> acknowledged = 0;
        std::atomic<bool> begun = false;
        std::vector<std::thread> threads;
        for (int t = 0; t < 3; ++t) {
            threads.emplace_back([&] {
                for (;;) {
                    auto done =
                        r->transact([](transaction& tx) { return tx.counter("n").increment(); });
                    if (!done) return;
                    begun = true;
                    (void)r->status();
                    if (done->wait()) ++acknowledged;
                }
            });
        }
        while (!begun) std::this_thread::yield();
        BOOST_REQUIRE(r->close());
        for (auto& t : threads) t.join();
        opened.reset();
        BOOST_TEST(*here.open("a")->counter("n").read() >= 1 + acknowledged);
    }
}

BOOST_AUTO_TEST_CASE(what_is_removed_by_name_is_removed_at_once_or_not_at_all) {
    place here;
    auto r = here.open("a");
    BOOST_REQUIRE(r->lww_register<std::string>("k").set("text"));
    BOOST_REQUIRE(r->set<std::string>("k").add("member"));
    std::size_t told = 0;
    std::mutex lock;
    BOOST_REQUIRE(r->subscribe_key("k", [&](const change_event&) {
        std::lock_guard hold(lock);
        ++told;
    }));
    BOOST_REQUIRE(r->bounded_counter("b").create_at_least(0, 10));
    BOOST_REQUIRE(r->counter("b").increment());
    BOOST_TEST(code_of(r->remove("b")) == errc::wrong_type);
    BOOST_TEST(*r->counter("b").read() == 1, "and the rest of that name is still there");
    BOOST_REQUIRE(r->remove("k"));
    BOOST_TEST(r->keys("k")->empty());
    wait_until([&] {
        std::lock_guard hold(lock);
        return told > 0;
    });
    BOOST_REQUIRE(r->close());
    std::lock_guard hold(lock);
    BOOST_TEST(told == 1U, "one change");
    BOOST_TEST(code_of(r->remove("k")) == errc::closed);
}

// A callback on the loop cannot wait for the loop to take to the log what it writes.
BOOST_AUTO_TEST_CASE(what_callbacks_write_at_once_is_bounded) {
    place here;
    auto r = here.open("a", {}, {}, {.packed = codec::none});
    std::string large(limits::value_bytes_max, 'x');
    // Each is counted twice: in the run, and in what subscribers are to be told.
    constexpr std::size_t most = limits::unlogged_on_loop_bytes_max / limits::value_bytes_max / 2;
    std::atomic<std::size_t> rounds = 0;
    std::vector<std::size_t> written(2);
    std::vector<result<void>> ended(2);
    BOOST_REQUIRE(r->subscribe_key("go", [&](const change_event&) {
        std::size_t round = rounds;
        while (ended[round] && written[round] < 2 * most) {
            ended[round] = r->lww_register<std::string>("k").set(large);
            if (ended[round]) ++written[round];
        }
        ++rounds;
    }));
    for (std::size_t round = 0; round < 2; ++round) {
        BOOST_REQUIRE(r->counter("go").increment());
        wait_until([&] { return rounds > round; });
        BOOST_TEST(code_of(ended[round]) == errc::over_budget);
        BOOST_TEST(written[round] >= most - 1);
        BOOST_TEST(written[round] <= most + 1);
    }
}

BOOST_AUTO_TEST_CASE(an_acknowledgement_that_cannot_be_is_known_before) {
    place here;
    auto r = here.open("a", {}, {"unix:/nowhere"});
    BOOST_TEST(r->check(ack_level::majority()).has_value());
    BOOST_TEST(r->check(ack_level::replicated(2)).has_value());
    BOOST_TEST(code_of(r->check(ack_level::replicated(3))) == errc::invalid_argument);
}

BOOST_AUTO_TEST_CASE(a_bounded_counter_is_made_once) {
    place here;
    auto r = here.open("a");
    auto stock = r->bounded_counter("stock");
    BOOST_REQUIRE(stock.create_at_least(0, 10));
    BOOST_REQUIRE(stock.decrement(7));
    // As from a second thread that saw nothing there when it looked.
    static constexpr std::string_view key = "stock";
    auto again = [&](std::unique_ptr<operation_extra> extra) {
        operation op;
        op.path = {&key, 1};
        op.type = {type_kind::bounded_counter};
        op.what = action::create;
        op.extra = std::move(extra);
        return r->apply(std::move(op));
    };
    auto extra = std::make_unique<operation_extra>();
    extra->spec = {r->id(), 0, 10, false};
    BOOST_REQUIRE(again(std::move(extra)));
    BOOST_TEST(*stock.read() == 3);
    BOOST_TEST(code_of(stock.decrement(4)) == errc::bound_exceeded);
    BOOST_TEST(code_of(again(nullptr)) == errc::invalid_argument);
}

BOOST_AUTO_TEST_CASE(a_type_that_cannot_be_is_refused_before_it_is_written) {
    place here;
    auto r = here.open("a");
    static constexpr std::string_view key = "k";
    auto write = [&](type_id type, action what) {
        operation op;
        op.path = {&key, 1};
        op.type = type;
        op.what = what;
        op.argument = 1;
        return r->apply(std::move(op));
    };
    BOOST_TEST(code_of(write({type_kind::lww_register, element_kind::integer}, action::write)) ==
               errc::wrong_type);
    BOOST_TEST(code_of(write({type_kind::add_wins_set, element_kind{0}}, action::add)) ==
               errc::wrong_type);
    BOOST_TEST(code_of(write({type_kind::add_wins_set, element_kind{99}}, action::add)) ==
               errc::wrong_type);
    BOOST_TEST(r->status()->objects == 0U);
}

// For TSan above all: callers on several threads while the loop writes snapshots, sends a state and
// joins one.
BOOST_AUTO_TEST_CASE(threads_write_while_snapshots_are_written_and_a_state_is_joined) {
    place here;
    replica_options forgetful;
    forgetful.snapshot_log_bytes = 20'000;
    forgetful.log_segment_bytes = 4'000;
    forgetful.log_bytes_max = 20'000;
    auto a = here.open("a", {here.socket("a")}, {here.socket("b")}, forgetful);
    auto write = [](durable_replica& to, int who, int n) {
        std::string name = std::to_string(who);
        return to->transact([&](transaction& t) {
            (void)t.counter("n").increment();
            (void)t.set<std::string>("s" + name).add(std::to_string(n % 50));
            (void)t.lww_register<std::string>("r" + std::to_string(n % 100)).set(name);
        });
    };
    std::atomic<bool> stop = false;
    std::atomic<int> written = 0;
    std::atomic<int> refused = 0;
    std::vector<std::thread> threads;
    struct join_all { // also where a check fails
        std::atomic<bool>& stop;
        std::vector<std::thread>& threads;
        ~join_all() {
            stop = true;
            for (std::thread& one : threads) one.join();
        }
    };
    std::optional<durable_replica> b;
    {
        join_all at_end{stop, threads};
        auto start = [&](durable_replica& to, int who) {
            threads.emplace_back([&, who] {
                for (int n = 0; !stop; ++n) {
                    auto done = write(to, who, n);
                    written += done ? 1 : 0;
                    refused += done ? 0 : 1;
                    if (done && n % 64 == 0) (void)done->wait();
                    (void)to->status();
                }
            });
        };
        for (int who : {0, 1}) start(a, who);
        wait_until([&] { return a->status()->log_first > 0; });
        BOOST_REQUIRE(a->snapshot().has_value());
        b = here.open("b", {here.socket("b")}, {here.socket("a")}, forgetful);
        for (int who : {2, 3}) start(*b, who);
        // It comes while both write; then its floor is what the state covers.
        wait_until([&] { return !(*b)->status()->floor.empty(); });
        BOOST_TEST(a->snapshot().has_value());
        BOOST_TEST((*b)->snapshot().has_value());
    }
    BOOST_TEST(refused == 0);
    wait_until([&] {
        return *a->counter("n").read() == written && *(*b)->counter("n").read() == written;
    });
    wait_until([&] { return a->status()->vector == (*b)->status()->vector; });
    BOOST_TEST((a->status()->digest == (*b)->status()->digest));
}

BOOST_AUTO_TEST_CASE(a_subscription_ends_inside_a_transaction_too) {
    place here;
    auto r = here.open("a");
    std::atomic<int> told = 0;
    auto id = r->subscribe_prefix("", [&](const change_event&) { ++told; });
    BOOST_REQUIRE(id);
    BOOST_REQUIRE(r->transact([&](transaction&) { r->unsubscribe(*id); }));
    auto done = r->transact([](transaction& t) { return t.counter("n").increment(); });
    BOOST_REQUIRE(done && done->wait());
    BOOST_TEST(told == 0);
}
