#include "node/import.hpp"

#include "node/json.hpp"
#include "node/json_writer.hpp"

#include <algorithm>

namespace weft {
namespace json = boost::json;
namespace {

struct record {
    std::uint64_t line = 0;
    std::string key;
    json::object fields;
};

result<record> parse_record(std::string_view text, const import_batch& batch,
                            json::storage_ptr where) {
    auto parsed = parse_json(text, std::move(where));
    if (!parsed) return fail(parsed.error());
    json::object* fields = parsed->if_object();
    if (fields == nullptr) return fail(errc::invalid_argument, "not a JSON object");
    const json::value* name = fields->if_contains(batch.key_field);
    if (name == nullptr)
        return fail(errc::invalid_argument, "no field '" + batch.key_field + "' to be the key");
    record out;
    if (name->is_string()) {
        out.key = batch.prefix + std::string(name->get_string());
    } else if (name->is_int64()) {
        out.key = batch.prefix + std::to_string(name->get_int64());
    } else {
        return fail(errc::invalid_argument,
                    "the key field '" + batch.key_field + "' holds neither text nor an integer");
    }
    out.fields = std::move(*fields);
    return out;
}

bool is_fault_of_line(errc code) {
    return code == errc::invalid_argument || code == errc::over_limit || code == errc::wrong_type;
}

} // namespace

import_outcome import_lines(replica& into, const import_batch& batch) {
    import_outcome out;
    json::monotonic_resource memory;
    std::vector<record> records;
    std::uint64_t line = batch.first_line;
    for (std::string_view rest = batch.lines; !rest.empty(); ++line) {
        std::string_view text = rest.substr(0, rest.find('\n'));
        rest.remove_prefix(std::min(text.size() + 1, rest.size()));
        if (text.find_first_not_of(" \t\r") == std::string_view::npos) continue;
        auto parsed = parse_record(text, batch, &memory);
        if (parsed) {
            parsed->line = line;
            records.push_back(std::move(*parsed));
        } else {
            out.refused.push_back({line, parsed.error()});
        }
    }

    // [first, end) is tried as one transaction; `at` is where it was refused.
    std::size_t end = records.size();
    for (std::size_t first = 0; first < records.size();) {
        std::size_t at = first;
        auto done = into.transact([&](transaction& change) {
            result<void> written;
            auto looked = into.read([&](const keyspace& state) {
                json_writer writer(change, state);
                for (; at < end && written; ++at) {
                    written = writer.put_fields(records[at].key, records[at].fields);
                }
            });
            return looked ? written : looked;
        });
        if (done) {
            out.applied += end - first;
            out.last = *done;
            first = end;
            end = records.size();
        } else if (!is_fault_of_line(done.error().code)) {
            out.stopped = done.error();
            break;
        } else if (--at == first) {
            out.refused.push_back({records[first].line, done.error()});
            ++first;
            end = records.size();
        } else {
            end = at;
        }
    }
    std::sort(out.refused.begin(), out.refused.end(),
              [](const auto& a, const auto& b) { return a.line < b.line; });
    return out;
}

} // namespace weft
