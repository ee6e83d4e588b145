#include "base/check.hpp"
#include "base/limits.hpp"
#include "recovery/audit_log.hpp"
#include "recovery/identity.hpp"
#include "recovery/log_format.hpp"
#include "recovery/snapshot.hpp"
#include "recovery/wal.hpp"
#include "replica/core.hpp"
#include "tests/fuzz/targets.hpp"
#include "tests/sim/disk.hpp"
#include "tests/sim/host.hpp"
#include "tests/sim/time.hpp"

namespace weft::fuzz {
namespace {

constexpr std::uint64_t wall_ms = 1'800'000'000'000;

core fresh_core() { return core({.name = "fuzz"}, 1); }

// What a process needs to open a log, on a directory with one file in it.
struct machine {
    sim_timeline all;
    sim_time time{all, 0, 0};
    sim_loop loop{all, time};
    sim_directory directory{sim::fresh_facts(1)};
    sim_disk files{directory, loop, time, [] { return 0; }};
    struct : event_sink {
        void on(const log_event&) override {}
    } nobody;

    machine(const std::string& name, byte_view content) {
        directory.overwrite(name, bytes(content.begin(), content.end()));
    }
    // The log, its runs given to `into`.
    result<std::unique_ptr<wal>> open(std::vector<bytes>& into) {
        return open_wal(files, loop, nobody, {.cluster = "fuzz"},
                        [&](log_index, const shared_bytes& one) -> result<void> {
                            into.emplace_back(one.view.begin(), one.view.end());
                            return {};
                        });
    }
};

// A segment of sound records whose kinds, marks and contents the input chooses.
bytes sealed(byte_view data) {
    byte_reader in(data);
    segment_header header;
    header.cluster = "fuzz";
    byte_writer out;
    out.raw(encode(header));
    std::uint64_t runs = 0;
    while (in.good() && !in.at_end()) {
        record next;
        next.kind = static_cast<record_kind>(in.u8() % 4);
        next.index = runs + in.u8() / 255U; // now and then not the next one
        std::uint64_t back = in.varint();
        next.durable = back > out.size() ? 0 : out.size() - back;
        next.payload = in.raw(std::min<std::uint64_t>(in.varint(), in.left()));
        std::size_t offset = out.size();
        append_record(out, 0, offset, next);
        if (next.kind == record_kind::run) ++runs;
    }
    return out.take();
}

} // namespace

void run(byte_view data) {
    auto decoded = decode_run(data);
    if (decoded) WEFT_CHECK(read_run_header(data)->end == (*decoded)->header.end);
    core state = fresh_core();
    if (!state.replay(shared_bytes(bytes(data.begin(), data.end())), wall_ms)) return;
    state.state().check_invariants();
}

// What was opened and started is the same when it is opened again.
void segment(byte_view data) {
    if (data.empty()) return;
    bool raw = data[0] == std::byte{0};
    data = data.subspan(1);
    machine on(segment_name(0), raw ? bytes(data.begin(), data.end()) : sealed(data));
    std::vector<bytes> first;
    {
        auto log = on.open(first);
        if (!log) return;
        WEFT_CHECK((*log)->report().runs == first.size());
        if (!(*log)->start()) return;
        auto read = (*log)->read((*log)->first(), limits::run_bytes_max);
        WEFT_CHECK(read.has_value());
        WEFT_CHECK(read->empty() == first.empty());
    }
    std::vector<bytes> second;
    auto again = on.open(second);
    WEFT_CHECK(again.has_value() && second == first && !(*again)->report().cut);
}

void snapshot(byte_view data) {
    if (data.empty()) return;
    std::byte part = data[0];
    data = data.subspan(1);
    keyspace state;
    auto load = [](keyspace& into) {
        return [&into](image_part&& one) {
            into.load(one.path, one.type, std::move(one.fragment));
            return result<void>{};
        };
    };
    if (part == std::byte{0}) {
        machine on(snapshot_name(log_index{7}), data);
        if (!read_snapshot(on.files, log_index{7}, "sim", load(state))) return;
    } else if (part == std::byte{1}) {
        auto header = decode_image_header(data);
        if (header) WEFT_CHECK(equal(encode(*header), data));
        return;
    } else {
        (void)read_image_chunk(data, load(state));
    }
    state.check_invariants();
    keyspace again;
    for (image_chunks chunks(state, 100); !chunks.done();)
        WEFT_CHECK(read_image_chunk(chunks.next(), load(again)).has_value());
    WEFT_CHECK(again.root() == state.root());
    WEFT_CHECK(again.digest() == state.digest());
}

void identity(byte_view data) {
    machine on("identity.weft", data);
    auto found = load_identity(on.files);
    if (!found) return;
    WEFT_CHECK(found->has_value());
    WEFT_CHECK(store_identity(on.files, **found).has_value());
    auto again = load_identity(on.files);
    WEFT_CHECK(again.has_value() && *again == *found);
}

void audit(byte_view data) {
    if (data.empty()) return;
    bool raw = data[0] == std::byte{0};
    data = data.subspan(1);
    if (!raw) {
        byte_reader in(data);
        audit_entry entry = decode_audit_entry(in);
        if (!in.good() || !in.at_end()) return;
        byte_writer out;
        encode(out, entry);
        WEFT_CHECK(equal(out.view(), data));
        return;
    }
    machine on(audit_name(0), data);
    struct : random_source {
        std::uint64_t draw() override { return 4; }
    } random;
    env doors{on.time, random, on.files, on.loop, on.nobody};
    std::size_t before = 0;
    {
        auto trail = audit_log::open(doors, {});
        WEFT_CHECK(trail.has_value()); // damage stops nothing
        auto page = (*trail)->find({});
        WEFT_CHECK(page.has_value());
        before = page->entries.size();
    }
    auto again = audit_log::open(doors, {});
    WEFT_CHECK(again.has_value());
    auto page = (*again)->find({});
    WEFT_CHECK(page.has_value() && page->entries.size() == before);
}

} // namespace weft::fuzz
