#include "base/frame.hpp"
#include "base/random.hpp"
#include "replica/change_codec.hpp"
#include "tests/seeds.hpp"
#include "transport/message.hpp"

#include <benchmark/benchmark.h>

using namespace weft;

namespace {

constexpr replica_id self{0x1234567890ABCDEF};

enum shape : std::uint8_t { counter_increment, register_of_100_bytes };

// One run of `changes` changes of one operation each, a millisecond apart.
bytes make_run(shape what, std::int64_t changes, codec packed) {
    random_generator random(seeds::bench);
    run_encoder encoder;
    std::string key = "visits";
    for (std::int64_t i = 0; i < changes; ++i) {
        operation op;
        if (what == counter_increment) {
            op.type = {type_kind::counter};
            op.what = action::increment;
            op.amount = 1;
        } else {
            key = to_hex(random.next()).substr(0, 8);
            bytes noise;
            for (int b = 0; b < 100; ++b) noise.push_back(static_cast<std::byte>(random.next()));
            op.type = {type_kind::lww_register};
            op.what = action::write;
            op.argument = value::of_bytes(noise);
        }
        std::string_view path[] = {key};
        op.path = path;
        encoder.begin_change(hlc::at_ms(1'700'000'000'000 + static_cast<std::uint64_t>(i)), {});
        encoder.add(op);
        encoder.end_change();
    }
    return encoder.seal(self, 100'000, run_hash{1}, {}, packed);
}

// How many bytes is a change on the wire, frame and message included?
void bytes_per_change(benchmark::State& state, shape what, codec packed) {
    bytes run = make_run(what, state.range(0), packed);
    runs_message message_of_run;
    message_of_run.runs.emplace_back(run);
    std::size_t frame = 0;
    for (auto _ : state) {
        bytes out;
        append_frame(out, encode_message(message_of_run));
        frame = out.size();
        benchmark::DoNotOptimize(out);
    }
    state.counters["bytes_per_change"] =
        static_cast<double>(frame) / static_cast<double>(state.range(0));
}
BENCHMARK_CAPTURE(bytes_per_change, counter, counter_increment, codec::none)->Arg(1)->Arg(100);
BENCHMARK_CAPTURE(bytes_per_change, counter_lz4, counter_increment, codec::lz4)->Arg(100);
BENCHMARK_CAPTURE(bytes_per_change, register_100, register_of_100_bytes, codec::none)
    ->Arg(1)
    ->Arg(100);

// What do encoding and decoding cost, an operation?
void encode_run(benchmark::State& state) {
    for (auto _ : state) benchmark::DoNotOptimize(make_run(counter_increment, 1'000, codec::none));
    state.SetItemsProcessed(state.iterations() * 1'000);
}
BENCHMARK(encode_run);

void decode_run_of(benchmark::State& state, shape what, codec packed) {
    bytes run = make_run(what, 1'000, packed);
    for (auto _ : state) benchmark::DoNotOptimize(decode_run(run));
    state.SetItemsProcessed(state.iterations() * 1'000);
    state.SetBytesProcessed(state.iterations() * static_cast<std::int64_t>(run.size()));
}
BENCHMARK_CAPTURE(decode_run_of, counter, counter_increment, codec::none);
BENCHMARK_CAPTURE(decode_run_of, counter_zstd, counter_increment, codec::zstd);
BENCHMARK_CAPTURE(decode_run_of, register_100, register_of_100_bytes, codec::none);

} // namespace
