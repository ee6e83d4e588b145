#include "crdt/dot_store.hpp"

namespace weft {

void encode(byte_writer& out, const causal_context& context) {
    out.varint(context.vector().size());
    for (const auto& e : context.vector().entries()) encode(out, dot{e.replica, e.counter});
    out.varint(context.cloud().size());
    for (dot d : context.cloud()) encode(out, d);
}

causal_context decode_context(byte_reader& in) {
    version_vector vector;
    for (std::size_t left = in.count(9); left > 0 && in.good(); --left) {
        dot highest = decode_dot(in);
        if (!vector.empty() && vector.entries().back().replica >= highest.replica) {
            in.reject("vector out of order");
        }
        vector.advance(highest.replica, highest.counter);
    }
    causal_context out(std::move(vector));
    for (std::size_t left = in.count(9); left > 0 && in.good(); --left) {
        dot d = decode_dot(in);
        if (out.covers(d)) in.reject("cloud not beyond the vector");
        out.insert(d);
    }
    return out;
}

} // namespace weft
