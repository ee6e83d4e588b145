#include "resolve/audit_trail.hpp"

#include "base/limits.hpp"

#include <xxhash.h>

#include <algorithm>

namespace weft {
namespace {

std::array<std::uint64_t, 2> id_of(const conflict& what, std::uint64_t rules_version,
                                   audit_outcome outcome, dot by) {
    byte_writer out;
    out.reserve(256); // most are shorter
    for (const std::string& part : what.path) out.text(part);
    encode(out, what.type);
    out.u8(static_cast<std::uint8_t>(what.kind));
    bool named =
        what.type.kind == type_kind::lww_register || what.type.kind == type_kind::mv_register;
    for (const sibling& s : what.siblings) {
        encode(out, s.at);
        // Only a write's dot says what is there: not that of a part of a counter, nor the number of a type.
        bool whole = named && what.kind != conflict_kind::type_clash;
        if (!whole && s.content) encode(out, *s.content);
        if (s.holds != 0) out.u64(s.holds);
    }
    out.u64(rules_version);
    out.u8(static_cast<std::uint8_t>(outcome));
    if (by != dot{}) encode(out, by);
    XXH128_hash_t hash = XXH3_128bits(out.view().data(), out.size());
    return {hash.low64, hash.high64};
}

audit_entry about(const conflict& what, std::uint64_t rules_version, audit_outcome outcome,
                  dot by = {}) {
    audit_entry out;
    out.id = id_of(what, rules_version, outcome, by);
    out.kind = what.kind;
    out.path = what.path;
    out.type = what.type;
    out.rules_version = rules_version;
    out.outcome = outcome;
    std::size_t kept = std::min(what.siblings.size(), limits::audit_siblings_max);
    out.siblings.reserve(kept);
    for (const sibling& s : std::span(what.siblings).first(kept)) {
        std::optional<audited_value> content;
        if (s.content) content = audited(*s.content);
        out.siblings.push_back(
            {s.at, s.stamp, presentable(s.member, limits::name_bytes_max), std::move(content)});
    }
    out.siblings_left_out = what.siblings.size() - kept;
    return out;
}

std::string shortened(std::string text) {
    return presentable(std::move(text), limits::audit_value_bytes_max);
}

void keep_result(audit_entry& out, const reading& read) {
    std::size_t kept = std::min(read.values.size(), limits::audit_siblings_max);
    for (const value& v : std::span(read.values).first(kept)) out.result.push_back(audited(v));
}

void encode(byte_writer& out, const audited_value& v) {
    out.varint(v.hashed_bytes);
    weft::encode(out, v.content);
}

audited_value decode_audited_value(byte_reader& in) {
    audited_value out;
    out.hashed_bytes = in.varint();
    out.content = decode_value(in);
    return out;
}

} // namespace

audited_value audited(const value& content) {
    if (!is_present(content)) return {};
    if (auto text = content.as_text();
        text && text->size() <= limits::audit_value_bytes_max && !is_utf8(*text))
        return {value::of_bytes(as_bytes(*text))};
    if (content.content_bytes() <= limits::audit_value_bytes_max) return {content};
    auto text = content.as_text();
    byte_view data = text ? as_bytes(*text) : *content.as_binary();
    XXH128_hash_t hash = XXH3_128bits(data.data(), data.size());
    byte_writer both;
    both.u64(hash.low64);
    both.u64(hash.high64);
    return {value::of_bytes(both.view()), data.size()};
}

std::string_view to_string(audit_outcome outcome) {
    switch (outcome) {
        case audit_outcome::resolved: return "resolved";
        case audit_outcome::waits: return "waits";
        case audit_outcome::settled: return "settled";
    }
    return "unknown";
}

audit_entry audit_of(const conflict& what, const decision& made, std::uint64_t rules_version) {
    audit_entry out =
        about(what, rules_version, made.read ? audit_outcome::resolved : audit_outcome::waits);
    out.strategy = shortened(made.strategy);
    if (made.read) keep_result(out, *made.read);
    std::size_t told = std::min(made.failed.size(), limits::strategies_max + 1); // and a bound
    for (const error& why : std::span(made.failed).first(told))
        out.failed.push_back(shortened(to_string(why)));
    return out;
}

audit_entry audit_of_settled(const conflict& was, const reading& read, std::string_view strategy,
                             std::uint64_t rules_version) {
    audit_entry out = about(was, rules_version, audit_outcome::settled);
    out.strategy = strategy;
    keep_result(out, read);
    return out;
}

audit_entry audit_of_resolution(const conflict& was, const reading& read, std::string who, dot by,
                                std::uint64_t rules_version) {
    audit_entry out = about(was, rules_version, audit_outcome::settled, by);
    out.strategy = settled_by_person;
    out.who = presentable(std::move(who), limits::who_bytes_max);
    keep_result(out, read);
    return out;
}

void encode(byte_writer& out, const audit_entry& entry) {
    out.u64(entry.id[0]);
    out.u64(entry.id[1]);
    out.u8(static_cast<std::uint8_t>(entry.kind));
    out.u8(static_cast<std::uint8_t>(entry.outcome));
    out.u64(entry.at.raw);
    out.varint(static_cast<std::uint64_t>(entry.run));
    out.u64(static_cast<std::uint64_t>(entry.replica));
    out.text(entry.member);
    out.u64(entry.rules_version);
    encode(out, entry.type);
    out.varint(entry.path.size());
    for (const std::string& part : entry.path) out.text(part);
    out.text(entry.strategy);
    out.text(entry.who);
    out.varint(entry.siblings.size());
    for (const audited_sibling& s : entry.siblings) {
        out.u64(static_cast<std::uint64_t>(s.at.replica));
        out.varint(s.at.counter);
        out.u64(s.stamp.raw);
        out.text(s.member);
        out.u8(s.content ? 1 : 0);
        if (s.content) encode(out, *s.content);
    }
    out.varint(entry.siblings_left_out);
    out.varint(entry.result.size());
    for (const audited_value& v : entry.result) encode(out, v);
    out.varint(entry.failed.size());
    for (const std::string& why : entry.failed) out.text(why);
}

audit_entry decode_audit_entry(byte_reader& in) {
    constexpr std::size_t text_max = limits::audit_entry_bytes_max;
    audit_entry out;
    out.id = {in.u64(), in.u64()};
    out.kind = static_cast<conflict_kind>(in.u8());
    if (out.kind < conflict_kind::write_write || out.kind > conflict_kind::bound)
        in.reject("unknown kind of conflict");
    out.outcome = static_cast<audit_outcome>(in.u8());
    if (out.outcome < audit_outcome::resolved || out.outcome > audit_outcome::settled)
        in.reject("unknown outcome");
    out.at = hlc{in.u64()};
    out.run = log_index{in.varint()};
    out.replica = replica_id{in.u64()};
    out.member = in.text(limits::name_bytes_max);
    out.rules_version = in.u64();
    out.type = decode_type(in);
    for (std::size_t left = in.count(1); left > 0 && in.good(); --left)
        out.path.emplace_back(in.text(limits::key_bytes_max));
    if (out.path.empty()) in.reject("no key");
    out.strategy = in.text(text_max);
    out.who = in.text(limits::who_bytes_max);
    for (std::size_t left = in.count(19); left > 0 && in.good(); --left) {
        audited_sibling s;
        s.at = {replica_id{in.u64()}, in.varint()};
        s.stamp = hlc{in.u64()};
        s.member = in.text(limits::name_bytes_max);
        std::uint8_t there = in.u8();
        if (there > 1) in.reject("neither a value nor none");
        if (there == 1) s.content = decode_audited_value(in);
        out.siblings.push_back(std::move(s));
    }
    out.siblings_left_out = in.varint();
    for (std::size_t left = in.count(2); left > 0 && in.good(); --left)
        out.result.push_back(decode_audited_value(in));
    for (std::size_t left = in.count(1); left > 0 && in.good(); --left)
        out.failed.emplace_back(in.text(text_max));
    return out;
}

bool audit_query::matches(const audit_entry& entry) const {
    const std::string& of = entry.path.front();
    std::string_view how = entry.strategy;
    bool named = strategy.empty() || how == strategy || how.substr(0, how.find('(')) == strategy;
    bool there = replica.empty() ||
                 std::any_of(entry.siblings.begin(), entry.siblings.end(), [&](const auto& s) {
                     return s.member == replica ||
                            (s.at.replica != replica_id{} && to_string(s.at.replica) == replica);
                 });
    return (key.empty() || of == key) && of.starts_with(prefix) && named && there &&
           entry.at >= since && entry.at <= until;
}

} // namespace weft
