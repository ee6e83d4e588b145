#include "node/config_file.hpp"

#include "base/limits.hpp"

#include <filesystem>
#include <fstream>
#include <functional>
#include <map>
#include <toml++/toml.h>

namespace weft {
namespace {

constexpr std::size_t file_bytes_max = 1U << 20U;

class config_reader {
public:
    explicit config_reader(const std::string& file_name) : file_name_(file_name) {}

    // Where it stands in the file, then what is wrong.
    [[nodiscard]] error at(const toml::node& there, const std::string& why) const {
        return {errc::invalid_argument,
                file_name_ + ":" + std::to_string(there.source().begin.line) + ": " + why};
    }

    using setters = std::map<std::string_view, std::function<result<void>(const toml::node&)>>;
    result<void> read(const toml::table& from, const std::string& of, const setters& known) const {
        for (const auto& [key, there] : from) {
            auto set = known.find(key.str());
            if (set == known.end()) {
                std::string all;
                for (const auto& [name, unused] : known)
                    all += (all.empty() ? "" : ", ") + std::string(name);
                return fail(
                    at(there, "no " + of + " '" + std::string(key.str()) + "'; there are " + all));
            }
            if (auto done = set->second(there); !done) return done;
        }
        return {};
    }

    [[nodiscard]] auto text(std::string& into) const {
        return [this, &into](const toml::node& there) -> result<void> {
            auto content = there.value_exact<std::string>();
            if (!content) return fail(at(there, "text in quotes belongs there"));
            into = std::move(*content);
            return {};
        };
    }
    [[nodiscard]] auto texts(std::vector<std::string>& into) const {
        return [this, &into](const toml::node& there) -> result<void> {
            std::vector<std::string> all;
            const toml::array* list = there.as_array();
            if (list == nullptr) {
                all.emplace_back();
                if (auto done = text(all.back())(there); !done) return done;
            } else {
                for (const toml::node& one : *list) {
                    all.emplace_back();
                    if (auto done = text(all.back())(one); !done) return done;
                }
            }
            into = std::move(all);
            return {};
        };
    }
    [[nodiscard]] auto flag(bool& into) const {
        return [this, &into](const toml::node& there) -> result<void> {
            auto content = there.value_exact<bool>();
            if (!content) return fail(at(there, "true or false belongs there"));
            into = *content;
            return {};
        };
    }
    [[nodiscard]] auto whole(std::uint64_t& into, std::uint64_t times, std::uint64_t most,
                             std::uint64_t least = 0) const {
        return [this, &into, times, most, least](const toml::node& there) -> result<void> {
            auto content = there.value_exact<std::int64_t>();
            if (!content || *content < 0 || static_cast<std::uint64_t>(*content) < least ||
                static_cast<std::uint64_t>(*content) > most) {
                return fail(at(there, "a whole number from " + std::to_string(least) + " to " +
                                          std::to_string(most) + " belongs there"));
            }
            into = static_cast<std::uint64_t>(*content) * times;
            return {};
        };
    }
    [[nodiscard]] auto bytes_of(std::uint64_t& into, std::uint64_t least = 0) const {
        return whole(into, 1, 1ULL << 50U, least);
    }
    [[nodiscard]] auto numeral(std::optional<value>& into) const {
        return [this, &into](const toml::node& there) -> result<void> {
            if (auto number = there.value_exact<std::int64_t>()) {
                into = value(*number);
            } else if (auto real = there.value_exact<double>()) {
                into = value(*real);
            } else {
                return fail(at(there, "a number belongs there"));
            }
            return {};
        };
    }

    result<rule> read_rule(const toml::table& from) const {
        rule out;
        result<void> read_all =
            read(from, "part of a rule",
                 {{"key", text(out.key)},
                  {"field", text(out.field)},
                  {"type",
                   [&](const toml::node& there) -> result<void> {
                       auto name = there.value_exact<std::string>();
                       auto type = name ? parse_type(*name) : std::nullopt;
                       if (!type) {
                           return fail(at(there, "register, mv_register, counter or grow_counter "
                                                 "belongs there, in quotes"));
                       }
                       out.type = type->kind;
                       return {};
                   }},
                  {"resolve",
                   [&](const toml::node& there) -> result<void> {
                       auto how = there.value_exact<std::string>();
                       if (!how) return fail(at(there, "strategies in quotes belong there"));
                       auto parsed = parse_resolver(*how);
                       if (!parsed) return fail(at(there, parsed.error().detail));
                       out.how = std::move(*parsed);
                       return {};
                   }},
                  {"keeps_removes", flag(out.keeps_removes)},
                  {"min", numeral(out.min)},
                  {"max", numeral(out.max)}});
        if (!read_all) return fail(read_all.error());
        if (auto alone = rules::make({out}); !alone)
            return fail(at(from, alone.error().detail)); // with its line
        return out;
    }

    result<void> read_rules(const toml::node& there, rules& into) const {
        const toml::array* list = there.as_array();
        std::vector<rule> all;
        for (std::size_t i = 0; list != nullptr && i < list->size(); ++i) {
            const toml::table* one = list->get(i)->as_table();
            if (one == nullptr) return fail(at(*list->get(i), "a table belongs there: [[rule]]"));
            auto made = read_rule(*one);
            if (!made) return fail(made.error());
            all.push_back(std::move(*made));
        }
        if (list == nullptr) return fail(at(there, "write [[rule]], with two brackets"));
        auto made = rules::make(all);
        for (std::size_t i = 1; !made && i <= all.size(); ++i) {
            auto first = rules::make({all.begin(), all.begin() + static_cast<std::ptrdiff_t>(i)});
            if (!first) return fail(at(*list->get(i - 1), first.error().detail));
        }
        into = std::move(*made);
        return {};
    }

private:
    const std::string& file_name_;
};

} // namespace

result<void> parse_config(std::string_view text, const std::string& file_name,
                          serve_command& into) {
    toml::table parsed;
    try {
        parsed = toml::parse(text, file_name);
    } catch (const toml::parse_error& wrong) {
        return fail(errc::invalid_argument,
                    file_name + ":" + std::to_string(wrong.source().begin.line) +
                        ": it is no TOML: " + std::string(wrong.description()));
    }
    config_reader reader(file_name);
    replica_options& o = into.options;
    constexpr std::uint64_t seconds_max = 100'000'000;
    constexpr std::uint64_t days_max = 36'500;
    return reader.read(
        parsed, "option",
        {{"name", reader.text(o.name)},
         {"cluster", reader.text(o.cluster)},
         {"region", reader.text(o.region)},
         {"listen", reader.texts(o.listen)},
         {"peer", reader.texts(o.peers)},
         {"http", reader.text(into.http)},
         {"insecure_listen", reader.flag(into.insecure_listen)},
         {"snapshot_log_bytes", reader.bytes_of(o.snapshot_log_bytes)},
         {"snapshot_interval_s", reader.whole(o.snapshot_interval_ms, 1'000, seconds_max)},
         {"log_bytes_max", reader.bytes_of(o.log_bytes_max)},
         {"buffer_bytes_max", reader.bytes_of(o.buffer_bytes_max)},
         {"audit_bytes_max", reader.bytes_of(o.audit_bytes_max, limits::audit_bytes_min)},
         {"audit_days", reader.whole(o.audit_age_ms_max, 86'400'000, days_max, 1)},
         {"sync",
          [&](const toml::node& there) -> result<void> {
              auto name = there.value_exact<std::string>();
              for (auto policy : {sync_policy::commit, sync_policy::interval, sync_policy::none}) {
                  if (name != to_string(policy)) continue;
                  o.sync = policy;
                  return {};
              }
              return fail(reader.at(there, "\"commit\", \"interval\" or \"none\" belongs there"));
          }},
         {"rule",
          [&](const toml::node& there) { return reader.read_rules(there, o.conflict_rules); }}});
}

result<void> read_config_file(const std::string& file_name, serve_command& into) {
    auto unread = [&](const std::string& why) {
        return fail(errc::not_found, file_name + ": cannot be read" + why);
    };
    std::error_code unknown;
    if (std::filesystem::is_directory(file_name, unknown)) return unread(": it is a directory");
    std::ifstream file(file_name, std::ios::binary);
    if (!file) return unread("");
    std::string text(file_bytes_max + 1, '\0');
    file.read(text.data(), static_cast<std::streamsize>(text.size()));
    if (file.bad()) return unread(", or not to its end");
    text.resize(static_cast<std::size_t>(file.gcount()));
    if (text.size() > file_bytes_max) {
        return fail(errc::over_limit,
                    file_name + ": larger than " + std::to_string(file_bytes_max) + " bytes");
    }
    return parse_config(text, file_name, into);
}

} // namespace weft
