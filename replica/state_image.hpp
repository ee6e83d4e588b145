#pragma once
#include "replica/change_codec.hpp"
#include "replica/keyspace.hpp"

#include <functional>
#include <string>
#include <variant>
#include <vector>

// The state at a version vector as bytes: a header and chunks of objects in order. The same bytes are in a
// snapshot and in a state transfer. docs/formats.md, "State image".
namespace weft {

struct image_origin { // what a replica knows of one replica id, beside its objects
    replica_id id{};
    std::uint64_t counter = 0; // highest op counter applied
    run_hash last{};           // of the run that ends there
    incarnation who;
    version_vector dependencies; // of its newest change, without its own entry

    bool operator==(const image_origin&) const = default;
};

struct image_header {
    std::string cluster;
    log_index at{};            // of the log: the runs before it, and no others, are in the state
    hlc newest;                // where the clock of who wrote it stood
    std::uint64_t objects = 0; // live ones
    state_digest digest;       // of the whole state
    std::vector<image_origin> origins; // sorted by id
    version_vector floor;              // operations up to it may be missing in the log

    [[nodiscard]] version_vector vector() const;
    bool operator==(const image_header&) const = default;
};

// A state that stays as it was while the replica goes on.
struct state_image {
    image_header header;
    keyspace objects;
};

// Adds a run of the log that the state stands in, behind what it has. dot_reused if the run does not continue
// what is there of its origin, over_limit if that would be one origin too many; then nothing is changed. The
// header's objects and digest stay what they were.
[[nodiscard]] result<void> apply_run(state_image& to, const run_header& header,
                                     const shared_bytes& run);
[[nodiscard]] error too_many_origins();

[[nodiscard]] bytes encode(const image_header& header);
[[nodiscard]] result<image_header> decode_image_header(byte_view data);

// Gives the objects of a frozen state as chunks of about `bytes_target`, in order; an object that is larger
// continues in the next chunk. A chunk can be read without the others.
//
//   cost    one pass over the state in all; memory of one chunk
class image_chunks {
public:
    image_chunks(keyspace frozen, std::size_t bytes_target);
    image_chunks(const image_chunks&) = delete; // its places point into its own state
    image_chunks& operator=(const image_chunks&) = delete;
    ~image_chunks() = default;

    [[nodiscard]] bool done() const { return levels_.empty(); }
    [[nodiscard]] bytes next();     // not when done
    [[nodiscard]] keyspace take() { // the state, for who frees it; nothing else may follow
        levels_.clear();
        return std::move(frozen_);
    }

private:
    struct level { // a map, and where in it
        const map_store* map;
        map_store::children_type::const_iterator at;
    };
    // Where to go on in a store that did not fit a chunk.
    using place =
        std::variant<std::monostate, std::size_t, add_wins_store<value>::map_type::const_iterator,
                     remove_wins_store<value>::map_type::const_iterator>;

    void leave_what_is_done();
    void write_head(byte_writer& out, type_id type);
    void write_part(byte_writer& out, const object& leaf);
    void write_rows(byte_writer& out, const bounded_store& rights);
    template <class Store>
    void write_elements(byte_writer& out, const Store& elements);

    keyspace frozen_;
    std::size_t bytes_target_;
    std::vector<level> levels_;
    place inside_;
    std::vector<std::string_view> path_; // of the part before, in this chunk
};

// Calls `part` for each part of a chunk: a path, a type and a fragment of that object to join. bad_message
// for anything that image_chunks does not write. Parts come in order.
struct image_part {
    std::vector<std::string_view> path; // into the chunk
    type_id type;
    object fragment;
};
[[nodiscard]] result<void> read_image_chunk(byte_view chunk,
                                            const std::function<result<void>(image_part&&)>& part);

} // namespace weft
