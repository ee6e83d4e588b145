#include "crdt/grow.hpp"

namespace weft {

bytes grow_counter::encoded() const {
    byte_writer out;
    out.u8(1);
    out.varint(sums_.size());
    for (const auto& [replica, sum] : sums_) {
        out.u64(static_cast<std::uint64_t>(replica));
        out.varint(sum);
    }
    return out.take();
}

result<grow_counter> grow_counter::decoded(byte_view data) {
    byte_reader in(data);
    grow_counter out;
    if (in.u8() != 1) in.reject("unknown format version");
    for (std::size_t left = in.count(9); left > 0 && in.good(); --left) {
        replica_id replica{in.u64()};
        if (!out.sums_.empty() && out.sums_.rbegin()->first >= replica)
            in.reject("replicas out of order");
        out.sums_[replica] = in.varint();
    }
    if (in.good() && !in.at_end()) in.reject("bytes after the end");
    if (!in.good()) return fail(errc::bad_message, "encoded CRDT: " + in.problem());
    return out;
}

} // namespace weft
