#pragma once
#include "base/codec.hpp"
#include "base/compress.hpp"
#include "replica/change.hpp"

#include <optional>

// A run: consecutive changes of one origin, encoded once, by that origin. docs/formats.md, "Runs".
namespace weft {

// What can be read of a run without decompressing it.
struct run_header {
    replica_id origin{};
    std::uint64_t first = 0; // op counters [first, end)
    std::uint64_t end = 0;
    std::uint64_t changes = 0;
    run_hash previous{};            // of the origin's run before this one; 0 for its first
    hlc oldest{};                   // stamp of its first change
    std::optional<incarnation> who; // in the run that starts at 1
    codec packed = codec::none;
    std::uint64_t raw_bytes = 0; // of the body, decompressed
    std::size_t body_at = 0;     // where the body starts in the run
};

// bad_run unless `run` starts with a whole, sensible header. Does not look into the body.
[[nodiscard]] result<run_header> read_run_header(byte_view run);

// XXH3-64 of the whole encoded run; never 0.
[[nodiscard]] run_hash hash_of(byte_view run);

// Builds the open run of local changes. A change is written operation by operation and then ended or
// rolled back; nothing of it is kept in between but its bytes.
class run_encoder {
public:
    void begin_change(hlc stamp, std::span<const version_vector::entry> dependencies);
    void add(const operation& op);
    void end_change();
    void roll_back_change();

    [[nodiscard]] bool empty() const { return operations_ == 0; }
    [[nodiscard]] std::size_t body_bytes() const { return body_.size(); }
    [[nodiscard]] std::size_t change_bytes() const { return body_.size() - change_at_; }
    [[nodiscard]] std::uint64_t change_operations() const { return change_operations_; }
    [[nodiscard]] std::uint64_t operations() const { return operations_; } // of ended changes

    // Where the parts of the path of the last operation were written; and what is there.
    struct name_place {
        std::size_t at = 0;
        std::size_t size = 0;
    };
    [[nodiscard]] std::span<const name_place> path() const { return path_; }
    [[nodiscard]] std::string_view name(name_place where) const {
        return as_text(body_.view().subspan(where.at, where.size));
    }

    // The finished run, compressed with `wanted` if that pays; the encoder is empty after.
    [[nodiscard]] bytes seal(replica_id origin, std::uint64_t first, run_hash previous,
                             const incarnation& who, codec wanted);

private:
    void write_path(std::span<const std::string_view> path);

    byte_writer body_;
    std::vector<name_place> path_;
    std::vector<name_place> path_before_; // as path_ was when the change began
    std::size_t change_at_ = 0;
    std::uint64_t change_operations_ = 0;
    std::uint64_t operations_ = 0;
    std::uint64_t changes_ = 0;
    hlc oldest_;
    hlc newest_;
    hlc newest_before_;
};

// A run, decoded whole and checked against every limit, so that applying it cannot fail. Borrows the run,
// and lends its values.
struct decoded_run {
    run_header header;
    std::vector<change_view>
        changes; // their operations and paths point into the rest, or into the run

    bytes body; // if it was compressed
    std::vector<operation> operations;
    std::vector<std::string_view> path_parts;
};
// bad_run, naming the run and the byte, for anything that run_encoder would not write.
[[nodiscard]] result<std::unique_ptr<decoded_run>> decode_run(byte_view run);
// Of a run whose header was read already.
[[nodiscard]] result<std::unique_ptr<decoded_run>> decode_run(const run_header& header,
                                                              byte_view run);

} // namespace weft
