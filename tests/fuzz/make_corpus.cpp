#include "base/compress.hpp"
#include "base/frame.hpp"
#include "recovery/sealed.hpp"
#include "replica/change_codec.hpp"
#include "replica/state_image.hpp"
#include "tests/sim/cluster.hpp"
#include "tests/sim/workload.hpp"
#include "transport/message.hpp"

#include <cstdio>
#include <filesystem>
#include <fstream>
#include <map>

// Writes the corpora that the fuzz targets start from: bytes of a simulated cluster at work. Say which
// folder; a file is named after what it holds.
using namespace weft;

namespace {

constexpr std::size_t of_a_kind = 6;
constexpr std::size_t file_bytes_max = 4096;

class corpus {
public:
    explicit corpus(std::filesystem::path at) : at_(std::move(at)) {}

    void keep(const std::string& target, const std::string& kind, byte_view data) {
        std::size_t& kept = kept_[target + '/' + kind];
        if (kept == of_a_kind || data.size() > file_bytes_max) return;
        auto folder = at_ / target;
        std::filesystem::create_directories(folder);
        std::ofstream out(folder / (kind + '_' + std::to_string(kept++)), std::ios::binary);
        out.write(reinterpret_cast<const char*>(data.data()),
                  static_cast<std::streamsize>(data.size()));
    }

private:
    std::filesystem::path at_;
    std::map<std::string, std::size_t> kept_;
};

bytes after(std::byte first, byte_view rest) {
    bytes out{first};
    out.insert(out.end(), rest.begin(), rest.end());
    return out;
}

} // namespace

int main(int count, char** words) {
    if (count != 2) {
        std::fprintf(stderr, "usage: make_corpus FOLDER\n");
        return 1;
    }
    corpus out(words[1]);
    sim::cluster world({.seed = 7});
    bytes stream;
    world.network().on_frame = [&](const std::string&, const std::string&, byte_view body) {
        auto decoded = decode_message(shared_bytes(bytes(body.begin(), body.end())));
        if (!decoded) return;
        out.keep("message", "kind" + std::to_string(decoded->index()), body);
        if (stream.size() < 2000) append_frame(stream, body);
    };
    world.add("a", {"b"});
    world.add("b", {"a"}, sync_policy::interval);
    std::vector<replica_id> ids;
    for (const auto& one : world.all()) {
        if (!one->start()) return 2;
        ids.push_back((*one)->id());
    }
    sim::workload load(world.random().fork(), {.large = 0, .burst = 0});
    for (int i = 0; i < 60; ++i) {
        (void)load.write(*world.at(i % 2 == 0 ? "a" : "b"), ids);
        world.run_ms(20);
    }
    world.at("a")->snapshot([](const result<snapshot_info>&) {});
    world.run_ms(1'000);
    auto looked = world.at("a")->read([&](const keyspace& state) {
        for (image_chunks chunks(state, 500); !chunks.done();)
            out.keep("snapshot", "chunk", after(std::byte{2}, chunks.next()));
    });
    if (!looked) return 2;
    (void)world.at("a").stop();
    (void)world.at("a").start();
    world.run_ms(1'000);

    out.keep("frame", "stream", after(std::byte{200}, stream));
    out.keep("frame", "in_small_pieces", after(std::byte{3}, stream));
    for (const auto& one : world.all()) {
        auto runs = one->read_log();
        if (!runs) return 2;
        for (const bytes& run : runs->all) {
            auto header = read_run_header(run);
            out.keep("run", header->first == 1 ? "first" : "later", run);
        }
        for (const std::string& name : one->directory().names()) {
            const bytes& content = one->directory().contents(name);
            byte_view some = byte_view(content).first(std::min(content.size(), file_bytes_max - 1));
            if (name == "identity.weft") out.keep("identity", "identity", content);
            if (name.starts_with("snapshot-")) {
                out.keep("snapshot", "whole", after(std::byte{0}, content));
                auto header = unseal("weft-sn\n", content);
                if (header) out.keep("snapshot", "header", after(std::byte{1}, header->body));
            }
            if (name.starts_with("audit-")) out.keep("audit", "raw", after(std::byte{0}, some));
            if (name.starts_with("log-")) out.keep("segment", "raw", after(std::byte{0}, some));
        }
    }
    digests_message digests{7, {{"", "b", {1, 2}}, {"b", "", {3, 4}}}, false};
    out.keep("message", "digests", encode_message(digests));
    version_vector vector{{replica_id{1}, 2}, {replica_id{3}, 4}};
    for (const check_message& check :
         {check_message{5, check_begin{vector}}, check_message{5, check_answer{vector}},
          check_message{5, check_digest{7, {1, 2}, {3, 4}}},
          check_message{5, error{errc::timed_out, "why"}}})
        out.keep("message", "check", encode_message(check));
    snapshot_ref ref{log_index{9}, 100};
    out.keep("message", "state_request", encode_message(state_request{ref, 10, 20}));
    shared_bytes part(bytes(7, std::byte{3}));
    out.keep("message", "state_chunk", encode_message(state_chunk{ref, 10, part}));
    std::string text = "the same words, the same words, the same words, and then some others";
    for (codec which : {codec::none, codec::lz4, codec::zstd, codec::gzip}) {
        bytes packed = compress(which, as_bytes(text));
        bytes head{static_cast<std::byte>(which), static_cast<std::byte>(text.size())};
        head.insert(head.end(), packed.begin(), packed.end());
        out.keep("unpack", std::string(to_string(which)), head);
    }
    return 0;
}
