#pragma once
#include "replica/change_codec.hpp"
#include "replica/keyspace.hpp"

#include <map>
#include <memory>
#include <string>
#include <vector>

namespace weft::sim {

// What every object reads, one line each: path and type -> reading. Only what is there.
using readings = std::map<std::string, std::string>;

// The plain model of what replicated objects mean. It knows the set of all operations and what each
// had seen when it was made, and nothing of dot stores, deltas, joins or logs:
//
//   an operation is undone if an operation that had seen it removed its object, or anything above,
//   or replaced it (a later write, mark of that flag, add or remove of that element, reset);
//   an object reads what its operations say that are not undone
class reference_model {
public:
    // Runs of one origin in order; origins in any order.
    void add(const decoded_run& run);
    [[nodiscard]] readings read() const;
    [[nodiscard]] std::size_t operations() const { return operations_.size(); }

private:
    struct one {
        dot at;
        hlc stamp;
        std::shared_ptr<const version_vector> dependencies;
        action what{};
        value argument;
        std::int64_t amount = 0;
        bounded_spec spec;
        replica_id to{};

        [[nodiscard]] bool has_seen(const one& other) const;
    };
    // Seeing only grows along an origin, so of those that could undo something only the newest of
    // each origin counts.
    using newest = std::map<replica_id, const one*>;
    struct named_object {
        std::vector<std::string> path;
        type_id type;
        std::vector<const one*> writes; // all but removals of the whole
        newest removals;
    };

    static bool undone(const one& write, const newest& by);
    [[nodiscard]] static std::string name_of(std::span<const std::string> path, type_id type);
    [[nodiscard]] std::vector<const newest*> removals_of(const named_object& object) const;
    [[nodiscard]] static bool read_register(const std::vector<const one*>& left, std::string& out);
    [[nodiscard]] static bool read_set(const named_object& object,
                                       const std::vector<const one*>& left, std::string& out);
    [[nodiscard]] static bool read_bounded(const named_object& object, std::string& out);

    std::vector<std::unique_ptr<one>> operations_;
    std::map<std::string, named_object> objects_;
    std::map<replica_id, version_vector> dependencies_; // of the newest change
};

// The same, as a replica has it.
[[nodiscard]] readings read_all(const keyspace& state);

// The first lines in which the two differ; empty if they do not.
[[nodiscard]] std::string difference(const readings& model, const readings& replica);

} // namespace weft::sim
