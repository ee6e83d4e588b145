#include "tests/sim/reference.hpp"

#include <algorithm>

namespace weft::sim {
namespace {

std::string line_of(std::span<const std::string> path, type_id type) {
    std::string out;
    for (const std::string& part : path) out += (out.empty() ? "" : "/") + part;
    return out + " (" + to_string(type) + ")";
}

std::string text_of(const value& v) {
    std::string all = to_string(v);
    if (all.size() <= 60) return all;
    return all.substr(0, 40) + "… " + to_hex(static_cast<std::uint64_t>(hash_of(as_bytes(all))));
}

std::string sibling(dot at, hlc stamp, const value& content) {
    return "[" + to_string(at) + " " + to_string(stamp) + " " + text_of(content) + "]";
}

std::string rights_line(const bounded_spec& spec, std::int64_t now,
                        const std::map<replica_id, std::int64_t>& rights) {
    std::string out = "{" + to_string(spec.creator) + " " + std::to_string(spec.bound) + ": " +
                      std::to_string(now);
    for (const auto& [who, how_many] : rights) {
        if (how_many != 0) out += " " + to_string(who) + "=" + std::to_string(how_many);
    }
    return out + "}";
}

} // namespace

bool reference_model::one::has_seen(const one& other) const {
    if (other.at.replica == at.replica) return other.at.counter < at.counter;
    return dependencies->at(other.at.replica) >= other.at.counter;
}

std::string reference_model::name_of(std::span<const std::string> path, type_id type) {
    return line_of(path, type);
}

void reference_model::add(const decoded_run& run) {
    version_vector& seen = dependencies_[run.header.origin];
    for (const change_view& change : run.changes) {
        for (const auto& e : change.dependencies) seen.advance(e.replica, e.counter);
        auto shared = std::make_shared<const version_vector>(seen);
        std::uint64_t counter = change.first;
        for (const operation& op : change.operations) {
            auto fresh = std::make_unique<one>();
            fresh->at = {run.header.origin, counter++};
            fresh->stamp = change.stamp;
            fresh->dependencies = shared;
            fresh->what = op.what;
            fresh->argument = op.what == action::retract ? value::absent() : op.argument;
            fresh->amount = op.amount;
            if (op.extra) {
                fresh->spec = op.extra->spec;
                fresh->to = op.extra->to;
            }
            std::vector<std::string> path(op.path.begin(), op.path.end());
            named_object& object = objects_[name_of(path, op.type)];
            if (object.path.empty()) {
                object.path = std::move(path);
                object.type = op.type;
            }
            if (op.what == action::remove || op.what == action::reset) {
                object.removals[fresh->at.replica] = fresh.get();
            } else if (op.what != action::resolve || is_register(op.type.kind)) {
                object.writes.push_back(fresh.get()); // else it only says who
            }
            operations_.push_back(std::move(fresh));
        }
    }
}

bool reference_model::undone(const one& write, const newest& by) {
    return std::any_of(by.begin(), by.end(),
                       [&](const auto& later) { return later.second->has_seen(write); });
}

std::vector<const reference_model::newest*>
reference_model::removals_of(const named_object& object) const {
    std::vector<const newest*> out{&object.removals};
    std::span<const std::string> path = object.path;
    for (std::size_t above = 1; above < path.size(); ++above) {
        auto found = objects_.find(name_of(path.first(above), {type_kind::map}));
        if (found != objects_.end()) out.push_back(&found->second.removals);
    }
    return out;
}

readings reference_model::read() const {
    readings out;
    for (const auto& [name, object] : objects_) {
        if (object.type.kind == type_kind::map) continue; // is there if something is in it
        std::string line;
        bool there = false;
        if (object.type.kind == type_kind::bounded_counter) {
            there = read_bounded(object, line);
        } else {
            auto removals = removals_of(object);
            std::vector<const one*> left;
            for (const one* write : object.writes) {
                bool gone = std::any_of(removals.begin(), removals.end(),
                                        [&](const newest* by) { return undone(*write, *by); });
                if (!gone) left.push_back(write);
            }
            if (is_set(object.type.kind)) {
                there = read_set(object, left, line);
            } else if (object.type.kind == type_kind::counter ||
                       object.type.kind == type_kind::grow_counter) {
                std::int64_t sum = 0;
                for (const one* write : left) sum += write->amount;
                there = !left.empty();
                line = std::to_string(sum);
            } else {
                newest writes; // each replaces what it had seen
                for (const one* write : object.writes) {
                    newest::mapped_type& last = writes[write->at.replica];
                    if (last == nullptr || last->at < write->at) last = write;
                }
                std::erase_if(left, [&](const one* write) { return undone(*write, writes); });
                if (object.type.kind == type_kind::enable_wins_flag ||
                    object.type.kind == type_kind::disable_wins_flag) {
                    auto on = [](const one* mark) { return mark->what == action::enable; };
                    bool any = std::any_of(left.begin(), left.end(), on);
                    bool all = std::all_of(left.begin(), left.end(), on);
                    there = !left.empty();
                    line = (object.type.kind == type_kind::enable_wins_flag ? any : all) ? "on"
                                                                                         : "off";
                } else {
                    there = read_register(left, line);
                }
            }
        }
        if (!there) continue;
        out[name] = line;
        std::span<const std::string> path = object.path;
        for (std::size_t above = 1; above < path.size(); ++above) {
            out[name_of(path.first(above), {type_kind::map})] = "there";
        }
    }
    return out;
}

bool reference_model::read_register(const std::vector<const one*>& left, std::string& out) {
    std::map<dot, const one*> siblings;
    const one* latest = nullptr;
    for (const one* write : left) {
        siblings[write->at] = write;
        if (write->argument.is_absent()) continue; // a remove that is kept
        if (latest == nullptr ||
            std::tie(latest->stamp, latest->at) < std::tie(write->stamp, write->at)) {
            latest = write;
        }
    }
    if (latest == nullptr) return false;
    out = text_of(latest->argument) + " of";
    for (const auto& [at, write] : siblings) out += sibling(at, write->stamp, write->argument);
    return true;
}

bool reference_model::read_set(const named_object& object, const std::vector<const one*>& left,
                               std::string& out) {
    std::map<value, newest> marks; // of each element: the newest add or remove of each origin
    for (const one* write : object.writes) {
        const one*& last = marks[write->argument][write->at.replica];
        if (last == nullptr || last->at < write->at) last = write;
    }
    std::map<value, std::map<dot, const one*>> standing;
    for (const one* write : left) {
        if (!undone(*write, marks[write->argument])) standing[write->argument][write->at] = write;
    }
    bool any = false;
    for (const auto& [element, writes] : standing) {
        bool added = false;
        bool removed = false;
        for (const auto& [at, write] : writes) {
            added = added || write->what == action::add;
            removed = removed || write->what == action::remove_element;
        }
        // A remove that had not seen an add beats it only here; elsewhere it has no say.
        bool present = added && !(removed && object.type.kind == type_kind::remove_wins_set);
        if (!present) continue;
        any = true;
        out += text_of(element);
        for (const auto& [at, write] : writes) {
            if (write->what == action::add) out += " " + to_string(at);
        }
        out += "; ";
    }
    return any;
}

bool reference_model::read_bounded(const named_object& object, std::string& out) {
    struct account {
        std::int64_t now = 0;
        std::map<replica_id, std::int64_t> rights;
    };
    std::map<bounded_spec, account> all;
    for (const one* write : object.writes) {
        auto [place, fresh] = all.try_emplace(write->spec);
        account& it = place->second;
        if (fresh) {
            it.now = write->spec.initial;
            it.rights[write->spec.creator] =
                static_cast<std::int64_t>(write->spec.initial_rights());
        }
        if (write->what == action::increment) {
            it.now += write->amount;
            it.rights[write->at.replica] += write->spec.at_most ? -write->amount : write->amount;
        } else if (write->what == action::transfer) {
            it.rights[write->at.replica] -= write->amount;
            it.rights[write->to] += write->amount;
        }
    }
    for (const auto& [spec, it] : all) {
        out += rights_line(spec, it.now, it.rights);
        bool crossed = spec.at_most ? it.now > spec.bound : it.now < spec.bound;
        if (crossed) out += " CROSSED";
        for (const auto& [who, rights] : it.rights) {
            if (rights < 0) out += " OVERSPENT by " + to_string(who);
        }
    }
    return !all.empty();
}

namespace {

std::string read_object(const object& what, type_id type) {
    std::string out;
    switch (type.kind) {
        case type_kind::lww_register:
        case type_kind::mv_register: {
            const auto& siblings = what.as<register_store<value>>();
            out = text_of(latest<value>(siblings)->payload.content) + " of";
            for (const auto& e : siblings) out += sibling(e.at, e.payload.at, e.payload.content);
            break;
        }
        case type_kind::counter:
        case type_kind::grow_counter: out = std::to_string(what.as<counter_store>().read()); break;
        case type_kind::enable_wins_flag:
            out = any_enabled(what.as<flag_store>()) ? "on" : "off";
            break;
        case type_kind::disable_wins_flag:
            out = all_enabled(what.as<flag_store>()) ? "on" : "off";
            break;
        case type_kind::add_wins_set:
        case type_kind::grow_set:
            for (const auto& e : what.as<add_wins_store<value>>()) {
                out += text_of(e.key);
                e.value.for_each_dot([&](dot at) { out += " " + to_string(at); });
                out += "; ";
            }
            break;
        case type_kind::remove_wins_set:
            for (const auto& e : what.as<remove_wins_elements>().marks()) {
                if (!all_enabled(e.value)) continue;
                out += text_of(e.key);
                for (const auto& mark : e.value) out += " " + to_string(mark.at);
                out += "; ";
            }
            break;
        case type_kind::bounded_counter:
            for (const auto& i : what.as<bounded_store>().instances()) {
                std::map<replica_id, std::int64_t> rights;
                auto note = [&](replica_id who) {
                    rights[who] = static_cast<std::int64_t>(i.rights_of(who));
                };
                note(i.spec.creator);
                for (const auto& row : i.rows) {
                    note(row.replica);
                    for (const auto& sent : row.sent) note(sent.to);
                }
                out += rights_line(i.spec, i.read(), rights);
            }
            break;
        case type_kind::map: out = "there"; break;
    }
    return out;
}

void read_children(const map_store& parent, std::vector<std::string>& path, readings& out) {
    for (const auto& child : parent.children()) {
        if (!child.value.live()) continue;
        path.emplace_back(child.key.name());
        out[line_of(path, child.key.type())] = read_object(child.value, child.key.type());
        if (child.key.type().kind == type_kind::map) {
            read_children(child.value.as<map_store>(), path, out);
        }
        path.pop_back();
    }
}

} // namespace

readings read_all(const keyspace& state) {
    readings out;
    std::vector<std::string> path;
    read_children(state.root(), path, out);
    return out;
}

std::string difference(const readings& model, const readings& replica) {
    std::string out;
    int lines = 0;
    auto note = [&](const std::string& name, const std::string& expected, const std::string& got) {
        if (++lines <= 3) out += name + ": model " + expected + ", replica " + got + "\n";
    };
    for (const auto& [name, expected] : model) {
        auto found = replica.find(name);
        std::string got = found == replica.end() ? "has none" : found->second;
        if (got != expected) note(name, expected, got);
    }
    for (const auto& [name, got] : replica) {
        if (!model.contains(name)) note(name, "has none", got);
    }
    return out;
}

} // namespace weft::sim
