#include "crdt/dot_store.hpp"

#include <algorithm>

namespace weft {

causal_context context_of(std::vector<dot> dots) {
    // First what starts at 1 without a gap, as a vector; then the rest, in order. So nothing has to
    // be moved or compacted on the way.
    std::sort(dots.begin(), dots.end());
    version_vector vector;
    std::erase_if(dots, [&](dot d) {
        if (d.counter != vector.at(d.replica) + 1) return vector.covers(d);
        vector.advance(d.replica, d.counter);
        return true;
    });
    causal_context out(std::move(vector));
    for (dot d : dots) out.insert(d);
    return out;
}

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
        if (d.counter <= out.vector().at(d.replica) + 1) in.reject("cloud not beyond the vector");
        if (!out.cloud().empty() && out.cloud().back() >= d) in.reject("cloud out of order");
        if (!in.good()) break;
        out.insert(d);
    }
    return out;
}

} // namespace weft
