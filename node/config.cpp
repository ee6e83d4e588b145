#include "node/config.hpp"

#include "crdt/object.hpp"
#include "node/api.hpp"
#include "node/config_file.hpp"
#include "node/terminal.hpp"

#include <CLI/CLI.hpp>

#include <algorithm>
#include <array>
#include <charconv>
#include <cstdio>
#include <functional>
#include <set>
#include <string_view>

namespace weft {
namespace {

const char* const overview =
    R"(A replica of a weft keyspace: 'weft serve' runs one, the other commands talk to it.

Exit status: 0 done, 1 usage, 2 data problem, 3 no node reached.

Example:
  weft serve --dir a --listen tcp://127.0.0.1:7411 --peer tcp://127.0.0.1:7412 &
  export WEFT_DIR=a
  weft incr visits
  weft get visits)";

std::string check_type(const std::string& name) {
    if (parse_type(name)) return {};
    return "no type '" + name +
           "'; there are register, mv_register, counter, grow_counter, bounded_counter, flag, "
           "disable_wins_flag, set, remove_wins_set, grow_set, map; sets may name what they hold: "
           "'set<string>'";
}

std::string check_ack(const std::string& text) {
    if (parse_ack(text)) return {};
    return "memory, disk, replicated=K or majority, not '" + text + "'";
}

// Describes one command after the other and remembers which one was given.
class command_line {
public:
    command_line() : app_(overview, "weft") {
        app_.require_subcommand(1);
        app_.set_help_flag("-h,--help", "this help");
        describe_serve();
        describe_repair();
        describe_reading();
        describe_writing();
        describe_conflicts();
        describe_import();
        describe_completion();
    }

    std::variant<command, int> parse(int count, const char* const* words) {
        auto dashes = std::find(words, words + count, std::string_view("--"));
        words_after_dashes_ =
            static_cast<std::size_t>(std::max<std::ptrdiff_t>(words + count - dashes - 1, 0));
        if (auto configured = read_config(count, words); !configured) {
            say_error("weft serve: " + configured.error().detail);
            return 1;
        }
        try {
            app_.parse(count, words);
        } catch (const CLI::Success& help) {
            return app_.exit(help);
        } catch (const CLI::ParseError& wrong) {
            std::string where = "weft";
            for (const CLI::App* chosen : app_.get_subcommands()) where += " " + chosen->get_name();
            std::string problem = wrong.what();
            if (count > 1 && words[1][0] == '-') {
                problem += "; options go after the command";
            } else if (count > 1 && app_.get_subcommands().empty()) {
                problem = "no command '" + std::string(words[1]) + "'";
            }
            say_error(where + ": " + problem);
            say_error("see '" + where + " --help'");
            return 1;
        }
        return make_();
    }

private:
    // The configuration file comes first, so that the command line has the last word.
    result<void> read_config(int count, const char* const* words) {
        constexpr std::string_view option = "--config";
        if (count < 2 || words[1] != std::string_view("serve")) return {};
        for (int i = 2; i < count; ++i) {
            std::string_view word = words[i];
            if (word == option && i + 1 < count) return read_config_file(words[i + 1], *serve_);
            if (word.starts_with("--config="))
                return read_config_file(std::string(word.substr(option.size() + 1)), *serve_);
        }
        return {};
    }
    // A command whose options fill a `Given`.
    template <class Given>
    std::pair<CLI::App&, Given&> add(const std::string& name, const std::string& what,
                                     const std::string& example) {
        auto given = std::make_shared<Given>();
        CLI::App* one = app_.add_subcommand(name, what);
        one->footer("Example:\n" + example);
        one->callback([this, given] {
            if constexpr (requires { given->members; }) {
                take_rest(*app_.get_subcommands().front(), given->members);
            }
            make_ = [given] { return command(*given); };
        });
        return {*one, *given};
    }
    // One or more members. CLI11 would take a list option's "[a,b]" apart, so the second and later ones are
    // what it leaves over.
    static void members(CLI::App& to, std::vector<std::string>& into) {
        to.add_option_function<std::string>(
              "MEMBER", [&into](const std::string& first) { into.push_back(first); },
              "one or more: JSON scalars, else text")
            ->required();
        to.allow_extras();
    }
    void take_rest(const CLI::App& from, std::vector<std::string>& into) const {
        std::vector<std::string> rest = from.remaining();
        std::erase(rest, "--");
        for (std::size_t at = 0; at < rest.size(); ++at) {
            const std::string& word = rest[at];
            bool literal = at + words_after_dashes_ >= rest.size() || word.size() < 2;
            bool option = !literal && word[0] == '-' && (word[1] < '0' || word[1] > '9');
            if (option) throw CLI::ExtrasError(from.get_name(), {word});
            into.push_back(word);
        }
    }
    static void directory(CLI::App& to, std::string& dir) {
        to.add_option("--dir", dir, "the replica's directory (or WEFT_DIR)")
            ->envname("WEFT_DIR")
            ->type_name("DIR")
            ->required();
    }
    static void typed(CLI::App& to, std::string& type) {
        to.add_option("--type", type, "of the object, where several have that key")
            ->type_name("TYPE")
            ->check(check_type);
    }
    static void acknowledged(CLI::App& to, std::string& ack, double& timeout_s) {
        to.add_option("--ack", ack, "wait for: memory, disk (default), replicated=K, majority")
            ->type_name("LEVEL")
            ->check(check_ack);
        to.add_option("--timeout", timeout_s, "how long to wait for it; 30 by default")
            ->type_name("SECONDS")
            ->check(CLI::Range(0.0, 1e6));
    }
    static void writes(CLI::App& to, write_options& how) {
        directory(to, how.dir);
        to.add_option("KEY", how.key, "the object's key")->required();
        typed(to, how.type);
        acknowledged(to, how.ack, how.timeout_s);
    }
    static void as_string(CLI::App& to, bool& flag) {
        to.add_flag("--string", flag,
                    "take it as text, also if it looks like a number, true, false or null");
    }

    void describe_serve();
    void describe_repair();
    void describe_reading();
    void describe_writing();
    void describe_conflicts();
    void describe_import();
    void describe_completion();
    [[nodiscard]] std::string completion_script() const;

    CLI::App app_;
    std::function<command()> make_;
    serve_command* serve_ = nullptr; // lives in app_
    std::size_t words_after_dashes_ = 0;
};

void command_line::describe_serve() {
    auto [serve, given] = add<serve_command>("serve", "run a replica until SIGTERM",
                                             "  weft serve --dir /var/lib/weft --listen "
                                             "tcp://127.0.0.1:7411 --peer tcp://127.0.0.1:7412");
    serve_ = &given;
    directory(serve, given.dir);
    serve
        .add_option("--config", given.config_file,
                    "TOML: these options, and rules for conflicts; what is said here counts more")
        ->type_name("FILE");
    replica_options& o = given.options;
    serve.add_option("--name", o.name, "of this member; by default made of host and directory")
        ->type_name("NAME");
    serve
        .add_option("--cluster", o.cluster, "replicas of other clusters are refused; default weft")
        ->type_name("NAME");
    serve.add_option("--region", o.region, "where it stands; free text")->type_name("NAME");
    serve.add_option("--listen", o.listen, "tcp://HOST:PORT or unix:/PATH; may be repeated")
        ->type_name("URL")
        ->expected(1)
        ->take_all();
    serve.add_option("--peer", o.peers, "the URL of another member; may be repeated")
        ->type_name("URL")
        ->expected(1)
        ->take_all();
    serve
        .add_option_function<std::string>(
            "--sync",
            [&o](const std::string& name) {
                for (auto policy :
                     {sync_policy::commit, sync_policy::interval, sync_policy::none}) {
                    if (to_string(policy) == name) o.sync = policy;
                }
            },
            "when the log is made durable: commit (default), interval, none")
        ->type_name("POLICY")
        ->check(CLI::IsMember({"commit", "interval", "none"}).description(""));
    serve
        .add_option("--http", given.http,
                    "serve HTTP here too; loopback only, port 0 takes a free one")
        ->type_name("HOST:PORT");
    serve
        .add_option(
            "--snapshot-log-bytes", o.snapshot_log_bytes,
            "write a snapshot whenever the log grew by so much; 0 for never, 128MB by default")
        ->transform(CLI::AsSizeValue(false))
        ->type_name("SIZE");
    serve
        .add_option_function<double>(
            "--snapshot-interval",
            [&o](double s) { o.snapshot_interval_ms = static_cast<std::uint64_t>(s * 1000); },
            "write one after so long, if anything changed; 0 for never, 3600 by default")
        ->type_name("SECONDS")
        ->check(CLI::Range(0.0, 1e8));
    serve
        .add_option(
            "--log-bytes-max", o.log_bytes_max,
            "keep log that snapshots made superfluous, for members that did not confirm it, "
            "until the log is so large; 1GB by default")
        ->transform(CLI::AsSizeValue(false))
        ->type_name("SIZE");
    serve
        .add_option(
            "--buffer-bytes-max", o.buffer_bytes_max,
            "memory for what is on its way, beside the state; 352MB by default, at least 160MB")
        ->transform(CLI::AsSizeValue(false))
        ->type_name("SIZE");
    serve.add_flag("--insecure-listen", given.insecure_listen,
                   "allow --listen on addresses that others reach, without TLS");
    serve.add_flag("--repair", given.repair,
                   "if the directory is damaged, do first what 'weft repair' does");
}

void command_line::describe_repair() {
    auto [repair, given] = add<repair_command>("repair",
                                               "make a damaged directory open again, while nothing "
                                               "runs on it: keeps what is good, puts the "
                                               "rest aside",
                                               "  weft repair --dir /var/lib/weft --dry-run");
    directory(repair, given.dir);
    repair.add_option("--cluster", given.cluster, "of the directory; default weft")
        ->type_name("NAME");
    repair.add_flag("--dry-run", given.dry_run, "say what it would do, and change nothing");
}

void command_line::describe_reading() {
    {
        auto [link, unused] = add<link_command>("link", "stop or restart replication with one peer",
                                                "  weft link pause oslo");
        link.require_subcommand(1);
        for (bool pause : {true, false}) {
            auto given = std::make_shared<link_command>();
            given->pause = pause;
            CLI::App* one = link.add_subcommand(
                pause ? "pause" : "resume", pause ? "stop replication with PEER" : "restart it");
            directory(*one, given->dir);
            one->add_option("PEER", given->peer, "its name, URL or replica id")->required();
            one->callback([this, given] { make_ = [given] { return command(*given); }; });
        }
        link.callback({});
    }
    {
        auto [status, given] = add<status_command>("status", "the replica and its peers",
                                                   "  weft status --json | jq .peers[].state");
        directory(status, given.dir);
        status.add_flag("--json", given.json, "one JSON object");
    }
    {
        auto [snapshot, given] = add<snapshot_command>(
            "snapshot", "write the state to disk now, so that the next start is quick",
            "  weft snapshot");
        directory(snapshot, given.dir);
    }
    {
        auto [verify, given] = add<verify_command>(
            "verify",
            "are the replicas equal? compares the whole state with that of each peer, while "
            "writing goes on",
            "  weft verify\n  weft verify --peer oslo --json\n\n"
            "Exit status: 0 all are equal, 2 one differs, 3 one could not be compared.");
        directory(verify, given.dir);
        verify.add_option("--peer", given.peer, "only this one: its name, URL or replica id")
            ->type_name("NAME");
        verify.add_flag("--json", given.json, "one JSON object");
    }
    {
        auto [get, given] = add<get_command>("get", "print an object", "  weft get user:42 --json");
        directory(get, given.dir);
        get.add_option("KEY", given.key, "the object's key")->required();
        typed(get, given.type);
        get.add_flag(
            "--siblings", given.siblings,
            "of a register, or of those in a map, all that was written concurrently, by whom "
            "and when");
        get.add_flag("--json", given.json, "one JSON object");
    }
    {
        auto [keys, given] =
            add<keys_command>("keys", "list keys, in order", "  weft keys user: --count");
        directory(keys, given.dir);
        keys.add_option("PREFIX", given.prefix, "only keys that begin so");
        keys.add_flag("--count", given.count, "print how many there are");
    }
    {
        auto [watch, given] =
            add<watch_command>("watch", "print changes as they come, a JSON line each",
                               "  weft watch user: | jq -c '[.key, .origin]'");
        directory(watch, given.dir);
        watch.add_option("PREFIX", given.prefix, "only keys that begin so");
    }
}

void command_line::describe_writing() {
    {
        auto [set, given] =
            add<set_command>("set", "write a register, or a flag",
                             "  weft set greeting hello\n  weft set zip 01234 --string\n"
                             "  weft set maintenance true --type flag");
        writes(set, given.to);
        set.add_option("VALUE", given.value, "a JSON scalar, else text")->required();
        as_string(set, given.to.as_string);
    }
    {
        auto [incr, given] = add<incr_command>("incr", "add to a counter, and print its value",
                                               "  weft incr visits\n  weft incr visits -5\n"
                                               "  weft incr stock 100 --at-least 0");
        writes(incr, given.to);
        incr.add_option("N", given.by, "how much; 1 by default");
        auto* least = incr.add_option("--at-least", given.at_least,
                                      "of a bounded counter, which is made if it is not there")
                          ->type_name("BOUND")
                          ->check(CLI::TypeValidator<std::int64_t>("").description(""));
        incr.add_option("--at-most", given.at_most, "the same, with a bound above")
            ->type_name("BOUND")
            ->check(CLI::TypeValidator<std::int64_t>("").description(""))
            ->excludes(least);
    }
    {
        auto [transfer, given] =
            add<transfer_command>("transfer", "give rights on a bounded counter to another member",
                                  "  weft transfer stock 20 oslo");
        writes(transfer, given.to);
        transfer.add_option("N", given.amount, "how many, of those that are here")
            ->required()
            ->check(CLI::Range(std::int64_t{1}, INT64_MAX).description(""));
        transfer.add_option("MEMBER", given.member, "its name or replica id")->required();
    }
    {
        auto [add_members, given] =
            add<add_command>("add", "add members to a set", "  weft add tags red green");
        writes(add_members, given.to);
        members(add_members, given.members);
        as_string(add_members, given.to.as_string);
    }
    {
        auto [remove, given] =
            add<remove_command>("remove", "remove members of a set", "  weft remove tags red");
        writes(remove, given.to);
        members(remove, given.members);
        as_string(remove, given.to.as_string);
    }
    {
        auto [put, given] =
            add<put_command>("put", "write one field of a map",
                             "  weft put user:42 name Ada\n  weft put user:42 born 1815");
        writes(put, given.to);
        put.add_option("FIELD", given.field, "the field's name")->required();
        put.add_option("VALUE", given.value, "a JSON scalar, else text")->required();
        as_string(put, given.to.as_string);
    }
    {
        auto [erase, given] = add<delete_command>(
            "delete", "delete an object: all of it that is seen here", "  weft delete tags");
        writes(erase, given.to);
    }
}

void command_line::describe_conflicts() {
    using what = conflicts_command::what;
    auto [conflicts, unused] =
        add<conflicts_command>("conflicts", "concurrent writes that wait for a person",
                               "  weft conflicts list\n  weft conflicts resolve place:1 --take 2");
    conflicts.require_subcommand(1);
    auto sub = [&app = conflicts, this](what asked, const std::string& name,
                                        const std::string& does) {
        auto given = std::make_shared<conflicts_command>();
        given->asked = asked;
        CLI::App* one = app.add_subcommand(name, does);
        directory(*one, given->to.dir);
        one->callback([this, given] { make_ = [given] { return command(*given); }; });
        return std::pair(one, given.get());
    };
    {
        auto [list, given] = sub(what::list, "list", "what waits, in order of keys");
        list->add_option("PREFIX", given->to.key, "only keys that begin so");
        list->add_flag("--all", given->all, "also what a rule has resolved");
        list->add_option("--limit", given->limit, "no more than so many; all by default")
            ->type_name("N")
            ->check(CLI::Range(std::uint64_t{1}, std::uint64_t{1} << 32U).description(""));
        list->add_flag("--json", given->json, "a JSON object each");
    }
    {
        auto [show, given] = sub(what::show, "show", "the conflicts of a key and of its fields");
        show->add_option("KEY", given->to.key, "the object's key")->required();
        show->add_flag("--json", given->json, "a JSON object each");
    }
    {
        auto [watch, given] =
            sub(what::watch, "watch", "print what opens, changes and closes, a JSON line each");
        watch->add_option("PREFIX", given->to.key, "only keys that begin so");
    }
    {
        auto [resolve, given] =
            sub(what::resolve, "resolve", "settle one, by a write that has seen its siblings");
        resolve->add_option("KEY", given->to.key, "the object's key")->required();
        auto* take =
            resolve->add_option("--take", given->take, "the sibling of that number")
                ->type_name("N")
                ->check(CLI::Range(std::uint64_t{1}, std::uint64_t{1} << 32U).description(""));
        auto* content =
            resolve->add_option("--value", given->value, "another value: a JSON scalar, else text")
                ->type_name("V");
        auto* merge = resolve
                          ->add_option("--merge", given->merge_file,
                                       "the same, from a file; - is standard input")
                          ->type_name("FILE");
        auto* remove = resolve->add_flag("--remove", given->remove, "it is to be removed");
        std::array all{take, content, merge, remove};
        for (auto* a : all) {
            for (auto* b : all) {
                if (a != b) a->excludes(b);
            }
        }
        resolve
            ->add_option("--seen", given->seen,
                         "its id, as list and show print it: if it has changed since, nothing is "
                         "done; needed where a key has several")
            ->type_name("ID");
        resolve->add_option("--who", given->who, "who decides; the user's name by default")
            ->type_name("NAME");
        as_string(*resolve, given->to.as_string);
        acknowledged(*resolve, given->to.ack, given->to.timeout_s);
    }
    conflicts.callback({});

    auto [audit, given] = add<audit_command>(
        "audit", "what was decided about conflicts, by which rule or person",
        "  weft audit --since 2h --strategy manual\n  weft audit --key place:1 --json");
    directory(audit, given.dir);
    const std::string times = "a time (2026-11-22T22:40:11Z) or an age (90s, 30m, 2h, 7d)";
    audit.add_option("--since", given.since, times)->type_name("T");
    audit.add_option("--until", given.until, times)->type_name("T");
    audit.add_option("--key", given.key, "of that key only")->type_name("K");
    audit.add_option("--prefix", given.prefix, "of keys that begin so")->type_name("P");
    audit.add_option("--strategy", given.strategy, "last_writer_wins, priority, manual, …")
        ->type_name("S");
    audit
        .add_option("--replica", given.replica,
                    "between writes of which that member or replica id made one")
        ->type_name("R");
    audit.add_flag("--json", given.json, "a JSON object a line");
}

void command_line::describe_import() {
    auto [lines, given] =
        add<import_command>("import", "make a map of every line of a file of JSON objects",
                            "  weft import cities.jsonl.gz --prefix city: --key id\n"
                            "  zcat dump.gz | weft import -");
    directory(lines, given.dir);
    lines
        .add_option("FILE", given.file, "plain, .gz or .zst, told by content; - is standard input")
        ->required();
    lines.add_option("--prefix", given.prefix, "put before every key")->type_name("P");
    lines.add_option("--key", given.key_field, "the field that holds the key; default id")
        ->type_name("FIELD");
    lines.add_option("--batch", given.batch_lines, "lines in one transaction; default 1000")
        ->type_name("N")
        ->check(CLI::Range(1, 100'000));
    acknowledged(lines, given.ack, given.timeout_s);
    lines.add_flag("--progress", given.progress,
                   "show rate and time left, also if this is no terminal");
}

void command_line::describe_completion() {
    auto [completion, given] = add<completion_command>(
        "completion", "print completions for a shell", "  source <(weft completion bash)");
    completion.add_option_function<std::string>(
                  "SHELL", [](const std::string&) {}, "bash")
        ->required()
        ->check(CLI::IsMember({"bash"}));
    command_line* self = this;
    completion.callback([self] {
        self->make_ = [self] { return command(completion_command{self->completion_script()}); };
    });
}

std::string command_line::completion_script() const {
    auto words = [this](const CLI::App* of) {
        std::set<std::string> out;
        auto add_options = [&out](const CLI::App* from) {
            for (const CLI::Option* option : from->get_options()) {
                for (const std::string& name : option->get_lnames()) out.insert("--" + name);
            }
        };
        add_options(of);
        for (const CLI::App* sub : of->get_subcommands(nullptr)) {
            out.insert(sub->get_name());
            if (of != &app_) add_options(sub); // link pause --dir
        }
        std::string text;
        for (const std::string& word : out) text += word + " ";
        return text;
    };
    std::string cases;
    for (const CLI::App* one : app_.get_subcommands(nullptr)) {
        std::string also = one->get_name() == "completion" ? "bash " : "";
        cases += "        " + one->get_name() + ") words='" + also + words(one) + "' ;;\n";
    }
    return R"(# bash completion for weft; made by 'weft completion bash'
_weft() {
    local current=${COMP_WORDS[COMP_CWORD]} words
    case ${COMP_WORDS[COMP_CWORD-1]} in
        --dir) mapfile -t COMPREPLY < <(compgen -d -- "$current"); return ;;
        --sync) words='commit interval none' ;;
        --ack) words='memory disk majority replicated=' ;;
        import) mapfile -t COMPREPLY < <(compgen -f -- "$current"); return ;;
        *) case ${COMP_WORDS[1]} in
)" + cases +
           "        *) words='" + words(&app_) + R"(' ;;
        esac ;;
    esac
    ((COMP_CWORD == 1)) && words=')" +
           words(&app_) + R"('
    mapfile -t COMPREPLY < <(compgen -W "$words" -- "$current")
}
complete -F _weft weft
)";
}

} // namespace

std::variant<command, int> parse_command_line(int count, const char* const* words) {
    return command_line().parse(count, words);
}

} // namespace weft
