#include "base/check.hpp"
#include "base/compress.hpp"
#include "base/frame.hpp"
#include "base/limits.hpp"
#include "crdt/value.hpp"
#include "node/json.hpp"
#include "tests/fuzz/targets.hpp"
#include "transport/message.hpp"

#include <algorithm>

namespace weft::fuzz {

// The first byte says how large the pieces are. What comes out, framed again, is what went in.
void frame(byte_view data) {
    if (data.empty()) return;
    std::size_t piece = 1 + static_cast<std::size_t>(data[0]);
    data = data.subspan(1);
    frame_decoder decoder;
    bytes again;
    for (std::size_t at = 0; at < data.size(); at += piece) {
        decoder.add(data.subspan(at, std::min(piece, data.size() - at)));
        for (;;) {
            auto body = decoder.next();
            if (!body) return;
            if (!*body) break;
            append_frame(again, **body);
            WEFT_CHECK(again.size() <= data.size());
            WEFT_CHECK(equal(again, data.first(again.size())));
        }
    }
}

void message(byte_view data) {
    auto first = decode_message(shared_bytes(bytes(data.begin(), data.end())));
    if (!first) return;
    const auto* unknown = std::get_if<unknown_message>(&*first);
    if (unknown != nullptr && !unknown->answer) return; // only the peer's release could write it
    bytes written = encode_message(*first);
    auto second = decode_message(shared_bytes(written));
    WEFT_CHECK(second.has_value() && second->index() == first->index());
    WEFT_CHECK(encode_message(*second) == written);
}

// Codec and declared size, then the stream.
void unpack(byte_view data) {
    byte_reader in(data);
    auto which = static_cast<codec>(in.u8() % 4);
    std::uint64_t declared = in.varint();
    byte_view packed = in.raw(in.left());
    if (!in.good()) return;
    auto raw = decompress(which, packed, declared);
    if (!raw) return;
    WEFT_CHECK(raw->size() == declared && declared <= limits::run_bytes_max);
    auto again = decompress(which, compress(which, *raw), declared);
    WEFT_CHECK(again.has_value() && *again == *raw);
}

void value(byte_view data) {
    byte_reader in(data);
    weft::value read = decode_value(in);
    if (in.good()) {
        byte_writer out;
        encode(out, read);
        byte_reader again(out.view());
        WEFT_CHECK(decode_value(again) == read && again.good() && again.at_end());
        auto text = parse_json(to_text(json_of(read)));
        WEFT_CHECK(text.has_value());
        auto back = value_of(*text);
        WEFT_CHECK(back.has_value() && *back == read);
    }
    if (auto json = parse_json(as_text(data))) {
        if (auto made = value_of(*json)) WEFT_CHECK(value_of(json_of(*made)) == *made);
    }
}

} // namespace weft::fuzz
