#include "replica/state_image.hpp"

#include "base/check.hpp"
#include "base/limits.hpp"
#include "replica/path_codec.hpp"

#include <algorithm>

namespace weft {

version_vector image_header::vector() const {
    version_vector out;
    for (const image_origin& o : origins) out.advance(o.id, o.counter);
    return out;
}

namespace {

void encode(byte_writer& out, const version_vector& vector) {
    out.varint(vector.size());
    for (const auto& e : vector.entries()) {
        out.u64(static_cast<std::uint64_t>(e.replica));
        out.varint(e.counter);
    }
}

// Ascending by id, without `except`.
version_vector decode_vector(byte_reader& in, replica_id except, const char* disorder) {
    version_vector out;
    replica_id last{};
    for (std::size_t left = in.count(9); left > 0 && in.good(); --left) {
        replica_id replica{in.u64()};
        std::uint64_t counter = in.varint();
        if (counter == 0 || replica == except || (!out.empty() && !(last < replica)))
            in.reject(disorder);
        if (in.good()) out.advance(replica, counter);
        last = replica;
    }
    return out;
}

} // namespace

error too_many_origins() {
    return {errc::over_limit, "a cluster holds at most " +
                                  std::to_string(limits::vector_entries_max) +
                                  " replica ids, and this would be one too many"};
}

result<void> apply_run(state_image& to, const run_header& header, const shared_bytes& run) {
    auto& origins = to.header.origins;
    auto at = std::lower_bound(origins.begin(), origins.end(), header.origin,
                               [](const image_origin& o, replica_id id) { return o.id < id; });
    bool known = at != origins.end() && at->id == header.origin;
    std::uint64_t expected = (known ? at->counter : 0) + 1;
    if (header.end <= expected) return {};
    if (!known && origins.size() >= limits::vector_entries_max) return fail(too_many_origins());
    if (header.first != expected || header.previous != (known ? at->last : run_hash{})) {
        return fail(errc::dot_reused, "run " + to_string(dot{header.origin, header.first}) +
                                          " of this replica's log does not continue the state that "
                                          "it is added to: two histories under one replica id");
    }
    if (!known) at = origins.insert(at, image_origin{header.origin, 0, {}, {}, {}});
    auto decoded = decode_run(header, run.view);
    WEFT_CHECK(decoded.has_value()); // it was applied here before
    if (const auto& who = header.who) at->who = *who;
    for (const change_view& change : (*decoded)->changes) {
        for (const auto& e : change.dependencies) at->dependencies.advance(e.replica, e.counter);
        std::uint64_t counter = change.first;
        for (const operation& op : change.operations) {
            to.objects.apply(op, {header.origin, counter++}, change.stamp, at->dependencies,
                             nullptr);
        }
    }
    at->counter = header.end - 1;
    at->last = hash_of(run.view);
    return {};
}

bytes encode(const image_header& header) {
    byte_writer out;
    out.text(header.cluster);
    out.u64(static_cast<std::uint64_t>(header.at));
    out.u64(header.newest.raw);
    out.u64(header.objects);
    out.u64(header.digest.words[0]);
    out.u64(header.digest.words[1]);
    out.varint(header.origins.size());
    for (const image_origin& o : header.origins) {
        out.u64(static_cast<std::uint64_t>(o.id));
        out.varint(o.counter);
        out.u64(static_cast<std::uint64_t>(o.last));
        out.text(o.who.member);
        out.text(o.who.region);
        out.u64(static_cast<std::uint64_t>(o.who.predecessor));
        encode(out, o.dependencies);
    }
    encode(out, header.floor);
    return out.take();
}

result<image_header> decode_image_header(byte_view data) {
    byte_reader in(data);
    image_header out;
    out.cluster = in.text(limits::name_bytes_max);
    out.at = log_index{in.u64()};
    out.newest = hlc{in.u64()};
    out.objects = in.u64();
    out.digest.words = {in.u64(), in.u64()};
    std::size_t origins = in.count(28);
    if (origins > limits::vector_entries_max) in.reject("more origins than a cluster can have");
    for (; origins > 0 && in.good(); --origins) {
        image_origin o;
        o.id = replica_id{in.u64()};
        o.counter = in.varint();
        o.last = run_hash{in.u64()};
        o.who.member = in.text(limits::name_bytes_max);
        o.who.region = in.text(limits::name_bytes_max);
        o.who.predecessor = replica_id{in.u64()};
        if (o.counter == 0 || (!out.origins.empty() && !(out.origins.back().id < o.id)))
            in.reject("origins out of order");
        o.dependencies = decode_vector(in, o.id, "dependencies out of order");
        out.origins.push_back(std::move(o));
    }
    out.floor = decode_vector(in, replica_id{}, "floor out of order");
    if (in.good() && !in.at_end()) in.reject("bytes after the end");
    if (!in.good()) return fail(errc::bad_message, "header of a state image: " + in.problem());
    return out;
}

// ---- writing

image_chunks::image_chunks(keyspace frozen, std::size_t bytes_target)
    : frozen_(std::move(frozen)), bytes_target_(bytes_target) {
    const map_store& root = frozen_.root();
    if (!root.empty()) levels_.push_back({&root, root.children().begin()});
}

bytes image_chunks::next() {
    WEFT_CHECK(!done());
    byte_writer out;
    path_.clear();
    while (!levels_.empty() && out.size() < bytes_target_) {
        const level& here = levels_.back();
        if (const auto* map = std::get_if<map_store>(&here.at->value.data())) {
            levels_.push_back({map, map->children().begin()});
        } else {
            write_head(out, here.at->key.type());
            write_part(out, here.at->value);
            if (!std::holds_alternative<std::monostate>(inside_)) break;
            ++levels_.back().at;
        }
        leave_what_is_done();
    }
    return out.take();
}

void image_chunks::leave_what_is_done() {
    while (levels_.back().at == levels_.back().map->children().end()) {
        levels_.pop_back();
        if (levels_.empty()) return;
        ++levels_.back().at;
    }
}

void image_chunks::write_head(byte_writer& out, type_id type) {
    std::size_t kept = 0;
    auto name_at = [&](std::size_t i) { return levels_[i].at->key.name(); };
    while (kept < path_.size() && kept < levels_.size() && path_[kept] == name_at(kept)) ++kept;
    encode(out, type);
    encode_path_lead(out, {kept, levels_.size()});
    path_.resize(kept);
    for (std::size_t i = kept; i < levels_.size(); ++i) {
        path_.push_back(name_at(i));
        out.text(path_.back());
    }
}

// As the fragment of the whole store that comes next, in the store's own encoding.
void image_chunks::write_part(byte_writer& out, const object& leaf) {
    if (const auto* adds = std::get_if<add_wins_store<value>>(&leaf.data()))
        return write_elements(out, *adds);
    if (const auto* marks = std::get_if<remove_wins_elements>(&leaf.data()))
        return write_elements(out, marks->marks());
    if (const auto* rights = std::get_if<bounded_store>(&leaf.data()))
        return write_rows(out, *rights);
    const auto* writes = std::get_if<register_store<value>>(&leaf.data());
    if (writes == nullptr) return leaf.encode_to(out);
    const auto* from = std::get_if<std::size_t>(&inside_);
    std::size_t at = from == nullptr ? 0 : *from;
    register_store<value> fragment;
    std::size_t size = out.size();
    do {
        const auto& entry = *(writes->begin() + static_cast<std::ptrdiff_t>(at++));
        fragment.insert(entry);
        size += 32 + entry.payload.content.content_bytes();
    } while (at < writes->size() && size < bytes_target_);
    fragment.encode_to(out);
    inside_ = at < writes->size() ? place(at) : place();
}

void image_chunks::write_rows(byte_writer& out, const bounded_store& rights) {
    const auto* from = std::get_if<std::size_t>(&inside_);
    std::size_t skip = from == nullptr ? 0 : *from;
    std::size_t at = 0;
    std::size_t size = out.size();
    bounded_store fragment;
    for (const bounded_store::instance& counter : rights.instances()) {
        for (const bounded_store::row& r : counter.rows) {
            if (at++ < skip) continue;
            if (!fragment.empty() && size >= bytes_target_) {
                fragment.encode_to(out);
                inside_ = at - 1;
                return;
            }
            fragment.join(counter.spec, r);
            size += 48 + 16 * r.sent.size();
        }
    }
    fragment.encode_to(out);
    inside_ = place();
}

template <class Store>
void image_chunks::write_elements(byte_writer& out, const Store& elements) {
    using iterator = typename Store::map_type::const_iterator;
    const auto* from = std::get_if<iterator>(&inside_);
    iterator at = from == nullptr ? elements.begin() : *from;
    byte_writer content;
    std::size_t count = 0;
    do {
        encode(content, at->key);
        at->value.encode_to(content);
        ++count;
    } while (++at != elements.end() && out.size() + content.size() < bytes_target_);
    out.u8(1); // partial: says nothing about other elements
    out.varint(count);
    out.raw(content.view());
    inside_ = at != elements.end() ? place(at) : place();
}

// ---- reading

result<void> read_image_chunk(byte_view chunk,
                              const std::function<result<void>(image_part&&)>& part) {
    byte_reader in(chunk);
    std::vector<std::string_view> path;
    while (in.good() && !in.at_end()) {
        image_part out;
        out.type = decode_type(in);
        path_lead lead = decode_path_lead(in, path.size());
        path.resize(lead.kept);
        for (std::size_t i = lead.kept; i < lead.size; ++i) path.push_back(decode_path_name(in, i));
        if (out.type.kind == type_kind::map) in.reject("a map has no content of its own");
        if (out.type.kind == type_kind::bounded_counter && lead.size > 1)
            in.reject("bounded_counter in a map");
        if (!in.good()) break;
        out.fragment = object::decode_from(in, out.type.kind, 0);
        if (is_set(out.type.kind) && !out.fragment.is_partial())
            in.reject("a set that is not a part");
        if (out.fragment.empty()) in.reject("a part that holds nothing");
        if (const auto* adds = std::get_if<add_wins_store<value>>(&out.fragment.data())) {
            for (const auto& e : *adds) {
                if (e.value.empty()) in.reject("element without a dot");
                if (!admits(out.type.element, e.key))
                    in.reject("element of another kind than the set's");
            }
        } else if (const auto* marks = std::get_if<remove_wins_elements>(&out.fragment.data())) {
            for (const auto& e : marks->marks()) {
                if (e.value.empty()) in.reject("element without a dot");
                if (!admits(out.type.element, e.key))
                    in.reject("element of another kind than the set's");
            }
        }
        if (!in.good()) break;
        out.path = path;
        if (auto taken = part(std::move(out)); !taken) return taken;
    }
    if (!in.good()) return fail(errc::bad_message, "chunk of a state image: " + in.problem());
    return {};
}

} // namespace weft
