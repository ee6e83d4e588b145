#include "replica/change_codec.hpp"

#include "base/check.hpp"
#include "base/limits.hpp"
#include "replica/path_codec.hpp"

#include <xxhash.h>

namespace weft {
namespace {

constexpr std::uint8_t run_version = 2; // 1 did not say what is settled
// Below this a run is not worth compressing: headers cost more than they save.
constexpr std::size_t compress_from_bytes = 128;

std::string place_of(const run_header& header) {
    return "run " + to_string(dot{header.origin, header.first});
}

bool may_settle(conflict_kind what, type_kind of) {
    switch (what) {
        case conflict_kind::write_write:
        case conflict_kind::delete_write: return is_register(of);
        case conflict_kind::type_clash: return of == type_kind::map;
        case conflict_kind::bound:
            return is_register(of) || of == type_kind::counter || of == type_kind::grow_counter;
    }
    return false;
}

void encode_operation(byte_writer& out, const operation& op) {
    switch (op.what) {
        case action::write:
        case action::add:
        case action::remove_element: encode(out, op.argument); break;
        case action::enable:
        case action::disable: break;
        case action::increment:
            out.zigzag(op.amount);
            if (op.type.kind == type_kind::bounded_counter) encode(out, op.extra->spec);
            break;
        case action::reset: op.extra->rows.encode_to(out); break;
        case action::create: encode(out, op.extra->spec); break;
        case action::transfer:
            encode(out, op.extra->spec);
            out.u64(static_cast<std::uint64_t>(op.extra->to));
            out.zigzag(op.amount);
            break;
        case action::remove:
        case action::retract: break;
        case action::resolve:
            out.u8(static_cast<std::uint8_t>(op.extra->settles));
            out.text(op.extra->who);
            encode(out, op.argument);
            break;
    }
}

void decode_operation(byte_reader& in, operation& op, replica_id origin) {
    auto extra = [&]() -> operation_extra& {
        if (!op.extra) op.extra = std::make_unique<operation_extra>();
        return *op.extra;
    };
    switch (op.what) {
        case action::write: op.argument = lend_value(in); break;
        case action::add:
        case action::remove_element:
            op.argument = lend_value(in);
            if (!admits(op.type.element, op.argument))
                in.reject("element of another kind than the set's");
            break;
        case action::enable:
        case action::disable:
        case action::remove:
        case action::retract: break;
        case action::increment:
            op.amount = in.zigzag();
            if (op.type.kind == type_kind::grow_counter && op.amount < 0)
                in.reject("grow_counter that falls");
            if (op.type.kind == type_kind::bounded_counter) extra().spec = decode_bounded_spec(in);
            break;
        case action::reset:
            extra().rows = counter_store::decode_from(in);
            for (const counter_store::row& r : extra().rows.rows()) {
                if (r.last_op != 0) in.reject("reset that increments");
            }
            break;
        case action::create:
            extra().spec = decode_bounded_spec(in);
            if (extra().spec.creator != origin) in.reject("created in another's name");
            break;
        case action::transfer:
            extra().spec = decode_bounded_spec(in);
            extra().to = replica_id{in.u64()};
            op.amount = in.zigzag();
            if (op.amount <= 0) in.reject("transfer of no rights");
            break;
        case action::resolve:
            extra().settles = static_cast<conflict_kind>(in.u8());
            if (!may_settle(extra().settles, op.type.kind)) in.reject("settles what is not there");
            extra().who = in.text(limits::who_bytes_max);
            op.argument = decode_value_or_absent(in);
            break;
    }
}

// Reads one path: some parts of the path before, then new ones. Gives where it starts in `parts`.
std::size_t decode_path(byte_reader& in, std::vector<std::string_view>& parts, std::size_t before,
                        std::size_t before_size, std::size_t& size) {
    path_lead lead = decode_path_lead(in, before_size);
    size = lead.size;
    if (size == 0) return before;
    if (lead.kept == size && size == before_size) return before; // the same path again
    std::size_t at = parts.size();
    for (std::size_t i = 0; i < lead.kept; ++i) parts.push_back(parts[before + i]);
    for (std::size_t i = lead.kept; i < size; ++i) parts.push_back(decode_path_name(in, i));
    return at;
}

} // namespace

bool applies_to(action what, type_kind kind) {
    bool counts = kind == type_kind::counter || kind == type_kind::grow_counter;
    switch (what) {
        case action::write:
        case action::retract: return is_register(kind);
        case action::resolve: return is_register(kind) || counts || kind == type_kind::map;
        case action::enable:
        case action::disable:
            return kind == type_kind::enable_wins_flag || kind == type_kind::disable_wins_flag;
        case action::add: return is_set(kind);
        case action::remove_element:
            return kind == type_kind::add_wins_set || kind == type_kind::remove_wins_set;
        case action::increment: return counts || kind == type_kind::bounded_counter;
        case action::reset: return counts;
        case action::create:
        case action::transfer: return kind == type_kind::bounded_counter;
        case action::remove: return kind != type_kind::bounded_counter;
    }
    return false;
}

std::string_view to_string(action what) {
    switch (what) {
        case action::write: return "write";
        case action::enable: return "enable";
        case action::disable: return "disable";
        case action::add: return "add";
        case action::remove_element: return "remove_element";
        case action::increment: return "increment";
        case action::reset: return "reset";
        case action::create: return "create";
        case action::transfer: return "transfer";
        case action::remove: return "remove";
        case action::retract: return "retract";
        case action::resolve: return "resolve";
    }
    return "unknown";
}

run_hash hash_of(byte_view run) {
    std::uint64_t hash = XXH3_64bits(run.data(), run.size());
    return run_hash{hash == 0 ? 1 : hash};
}

result<run_header> read_run_header(byte_view run) {
    byte_reader in(run);
    run_header out;
    std::uint8_t version = in.u8();
    if (version != run_version) {
        return fail(errc::incompatible, "run format " + std::to_string(version) + ", known is " +
                                            std::to_string(run_version));
    }
    std::uint8_t packed = in.u8();
    if (packed > static_cast<std::uint8_t>(codec::gzip)) {
        return fail(errc::incompatible, "run in codec " + std::to_string(packed));
    }
    out.packed = static_cast<codec>(packed);
    out.origin = replica_id{in.u64()};
    out.first = in.varint();
    std::uint64_t operations = in.varint();
    out.changes = in.varint();
    out.previous = run_hash{in.u64()};
    out.oldest = hlc{in.u64()};
    if (out.packed != codec::none) out.raw_bytes = in.varint();
    if (out.first == 1) {
        incarnation who;
        who.member = in.text(limits::name_bytes_max);
        who.region = in.text(limits::name_bytes_max);
        who.predecessor = replica_id{in.u64()};
        out.who = std::move(who);
    }
    out.body_at = in.position();
    if (out.packed == codec::none) out.raw_bytes = in.left();
    if (out.first == 0 || operations == 0 || out.changes == 0 || out.changes > operations)
        in.reject("run without operations");
    if (UINT64_MAX - out.first < operations) in.reject("run beyond the last counter");
    if ((out.first == 1) != (out.previous == run_hash{}))
        in.reject("run without its predecessor's hash");
    if (operations > limits::run_operations_max) in.reject("run with too many operations");
    if (out.raw_bytes > limits::run_bytes_max) in.reject("run over its limit");
    if (!in.good()) return fail(errc::bad_run, "run header: " + in.problem());
    out.end = out.first + operations;
    return out;
}

void run_encoder::begin_change(hlc stamp, std::span<const version_vector::entry> dependencies) {
    if (empty()) oldest_ = newest_ = stamp;
    change_at_ = body_.size();
    change_operations_ = 0;
    path_before_ = path_;
    newest_before_ = newest_;
    WEFT_CHECK(stamp >= newest_ && stamp.raw - newest_.raw < UINT64_MAX / 2);
    body_.varint((stamp.raw - newest_.raw) << 1U | (dependencies.empty() ? 0U : 1U));
    newest_ = stamp;
    if (dependencies.empty()) return;
    body_.varint(dependencies.size());
    for (const auto& e : dependencies) {
        body_.u64(static_cast<std::uint64_t>(e.replica));
        body_.varint(e.counter);
    }
}

void run_encoder::write_path(std::span<const std::string_view> path) {
    std::size_t kept = 0;
    while (kept < path.size() && kept < path_.size()) {
        if (name(path_[kept]) != path[kept]) break;
        ++kept;
    }
    encode_path_lead(body_, {kept, path.size()});
    path_.resize(kept);
    for (std::size_t i = kept; i < path.size(); ++i) {
        body_.text(path[i]);
        path_.push_back({body_.size() - path[i].size(), path[i].size()});
    }
}

void run_encoder::add(const operation& op) {
    WEFT_CHECK(applies_to(op.what, op.type.kind) && !op.path.empty());
    body_.u8(static_cast<std::uint8_t>(static_cast<unsigned>(op.type.kind) << 4U |
                                       static_cast<unsigned>(op.what)));
    write_path(op.path);
    if (is_set(op.type.kind)) body_.u8(static_cast<std::uint8_t>(op.type.element));
    encode_operation(body_, op);
    ++change_operations_;
}

void run_encoder::end_change() {
    WEFT_CHECK(change_operations_ > 0);
    body_.u8(0);
    operations_ += change_operations_;
    ++changes_;
    change_operations_ = 0;
    change_at_ = body_.size();
}

void run_encoder::roll_back_change() {
    body_.shrink_to(change_at_);
    path_ = path_before_;
    newest_ = newest_before_;
    change_operations_ = 0;
}

bytes run_encoder::seal(replica_id origin, std::uint64_t first, run_hash previous,
                        const incarnation& who, codec wanted) {
    WEFT_CHECK(!empty() && change_operations_ == 0);
    bytes packed;
    if (wanted != codec::none && body_.size() >= compress_from_bytes) {
        packed = compress(wanted, body_.view());
        if (packed.size() + 4 >= body_.size()) packed.clear();
    }
    bool pays = !packed.empty();
    byte_writer out;
    out.reserve(64 + (pays ? packed.size() : body_.size()));
    out.u8(run_version);
    out.u8(static_cast<std::uint8_t>(pays ? wanted : codec::none));
    out.u64(static_cast<std::uint64_t>(origin));
    out.varint(first);
    out.varint(operations_);
    out.varint(changes_);
    out.u64(static_cast<std::uint64_t>(previous));
    out.u64(oldest_.raw);
    if (pays) out.varint(body_.size());
    if (first == 1) {
        out.text(who.member);
        out.text(who.region);
        out.u64(static_cast<std::uint64_t>(who.predecessor));
    }
    out.raw(pays ? byte_view(packed) : body_.view());
    body_.clear();
    path_.clear();
    change_at_ = 0;
    operations_ = 0;
    changes_ = 0;
    return out.take();
}

result<std::unique_ptr<decoded_run>> decode_run(byte_view run) {
    auto header = read_run_header(run);
    if (!header) return fail(header.error());
    return decode_run(*header, run);
}

result<std::unique_ptr<decoded_run>> decode_run(const run_header& header, byte_view run) {
    auto out = std::make_unique<decoded_run>();
    out->header = header;
    byte_view packed = run.subspan(header.body_at);
    byte_view body = packed;
    if (header.packed != codec::none) {
        auto raw = decompress(header.packed, packed, header.raw_bytes);
        if (!raw) return fail(errc::bad_run, place_of(header) + ": " + raw.error().detail);
        out->body = std::move(*raw);
        body = out->body;
    }

    std::uint64_t operations = header.end - header.first;
    out->operations.reserve(static_cast<std::size_t>(operations));
    out->path_parts.reserve(static_cast<std::size_t>(operations)); // or more, in maps
    out->changes.reserve(static_cast<std::size_t>(header.changes));
    struct path_range {
        std::size_t at = 0;
        std::size_t size = 0;
    };
    std::vector<path_range> paths;
    paths.reserve(static_cast<std::size_t>(operations));
    byte_reader in(body);
    path_range path;
    hlc stamp = header.oldest;
    while (in.good() && !in.at_end()) {
        change_view change;
        change.first = header.first + out->operations.size();
        std::uint64_t lead = in.varint();
        if (UINT64_MAX - stamp.raw < lead >> 1U) in.reject("time stamp beyond the last");
        stamp.raw += lead >> 1U;
        change.stamp = stamp;
        if ((lead & 1U) != 0) {
            std::size_t entries = in.count(9);
            if (entries == 0 || entries > limits::vector_entries_max)
                in.reject("dependencies without entries");
            if (in.good()) change.dependencies.reserve(entries);
            for (; entries > 0 && in.good(); --entries) {
                version_vector::entry e{replica_id{in.u64()}, in.varint()};
                bool ordered =
                    change.dependencies.empty() || change.dependencies.back().replica < e.replica;
                if (!ordered || e.counter == 0 || e.replica == header.origin)
                    in.reject("dependencies out of order");
                change.dependencies.push_back(e);
            }
        }
        for (std::uint8_t lead_byte = in.u8(); lead_byte != 0 && in.good(); lead_byte = in.u8()) {
            operation op;
            op.type.kind = static_cast<type_kind>(lead_byte >> 4U);
            op.what = static_cast<action>(lead_byte & 15U);
            if (op.type.kind > type_kind::map || op.type.kind < type_kind::lww_register ||
                !applies_to(op.what, op.type.kind)) {
                in.reject("unknown operation");
                break;
            }
            std::size_t size = 0;
            path.at = decode_path(in, out->path_parts, path.at, path.size, size);
            path.size = size;
            if (op.type.kind == type_kind::bounded_counter && size > 1)
                in.reject("bounded_counter in a map");
            if (is_set(op.type.kind)) {
                op.type.element = static_cast<element_kind>(in.u8());
                if (op.type.element < element_kind::boolean ||
                    op.type.element > element_kind::any) {
                    in.reject("unknown element kind");
                }
            }
            decode_operation(in, op, header.origin);
            if (out->operations.size() == operations)
                in.reject("more operations than the header says");
            if (!in.good()) break;
            out->operations.push_back(std::move(op));
            paths.push_back(path);
        }
        change.end = header.first + out->operations.size();
        if (change.end == change.first) in.reject("change without operations");
        out->changes.push_back(std::move(change));
    }
    if (in.good() &&
        (out->operations.size() != operations || out->changes.size() != header.changes)) {
        in.reject("fewer operations or other changes than the header says");
    }
    if (!in.good()) return fail(errc::bad_run, place_of(header) + ": " + in.problem());

    // The vectors do not grow any more: now views into them are safe.
    for (std::size_t i = 0; i < paths.size(); ++i) {
        out->operations[i].path = std::span(out->path_parts).subspan(paths[i].at, paths[i].size);
    }
    for (change_view& change : out->changes) {
        change.operations = std::span(out->operations)
                                .subspan(static_cast<std::size_t>(change.first - header.first),
                                         static_cast<std::size_t>(change.end - change.first));
    }
    return out;
}

} // namespace weft
