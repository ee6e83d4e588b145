#include "recovery/snapshot.hpp"

#include "base/check.hpp"
#include "base/compress.hpp"
#include "base/frame.hpp"
#include "base/limits.hpp"
#include "recovery/repair.hpp"
#include "recovery/sealed.hpp"
#include "replica/state_release.hpp"

#include <xxhash.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <map>
#include <optional>

namespace weft {
namespace {

constexpr std::string_view snapshot_magic = "weft-sn\n";
constexpr std::uint32_t snapshot_version = 1;
constexpr std::size_t header_bytes =
    13; // of a record: checksum, kind and length, raw length, codec
// Written between two syncs: little, so that the log, which shares the disk, never waits long.
constexpr std::size_t sync_bytes = 1U << 20U;

enum class chunk_kind : std::uint8_t { objects = 0, end = 1 };

// XXH3-128 over all chunks as they are stored, one after another.
class whole_hash {
public:
    whole_hash() : state_(XXH3_createState(), XXH3_freeState) { XXH3_128bits_reset(state_.get()); }
    void add(byte_view stored) { XXH3_128bits_update(state_.get(), stored.data(), stored.size()); }
    [[nodiscard]] std::array<std::uint64_t, 2> words() const {
        XXH128_hash_t hash = XXH3_128bits_digest(state_.get());
        return {hash.low64, hash.high64};
    }

private:
    std::unique_ptr<XXH3_state_t, XXH_errorcode (*)(XXH3_state_t*)> state_;
};

// Covers the place of a record, so that an intact one that stands elsewhere is not taken for it.
std::uint32_t record_crc(log_index at, std::uint64_t offset, byte_view fields, byte_view stored) {
    byte_writer place;
    place.u64(static_cast<std::uint64_t>(at));
    place.u64(offset);
    return crc32c(stored, crc32c(fields, crc32c(place.view())));
}

bytes record_of(log_index at, std::uint64_t offset, chunk_kind kind, codec packed,
                std::size_t raw_bytes, byte_view stored) {
    byte_writer fields;
    fields.u32(static_cast<std::uint32_t>(kind) << 30U | static_cast<std::uint32_t>(stored.size()));
    fields.u32(static_cast<std::uint32_t>(raw_bytes));
    fields.u8(static_cast<std::uint8_t>(packed));
    byte_writer out;
    out.reserve(header_bytes + stored.size());
    out.u32(record_crc(at, offset, fields.view(), stored));
    out.raw(fields.view());
    out.raw(stored);
    return out.take();
}

// Writes the file of one snapshot under the name that it has until it is whole.
class snapshot_writer {
public:
    snapshot_writer(disk& files, state_image image)
        : files_(files), at_(image.header.at), header_(encode(image.header)),
          chunks_(std::move(image.objects), limits::snapshot_chunk_bytes) {}

    result<void> begin() {
        (void)files_.remove(fresh_name()); // of an attempt before
        auto made = files_.create(fresh_name());
        if (!made) return fail(made.error());
        out_ = std::move(*made);
        return append(seal(snapshot_magic, snapshot_version, header_));
    }
    // A chunk, or what ends the file.
    result<void> write_some() {
        WEFT_CHECK(!ended_);
        if (!chunks_.done()) return append_record(chunk_kind::objects, chunks_.next());
        ended_ = true;
        byte_writer end;
        end.u64(count_);
        for (std::uint64_t word : whole_.words()) end.u64(word);
        return append_record(chunk_kind::end, end.view());
    }
    [[nodiscard]] bool ended() const { return ended_; }
    [[nodiscard]] std::uint64_t size() const { return size_; }
    [[nodiscard]] file& out() { return *out_; }
    // Once it is whole and synced; then the directory has to be.
    result<void> make_visible() { return files_.rename(fresh_name(), snapshot_name(at_)); }
    void give_up() {
        if (!out_) return;
        out_.reset();
        (void)files_.remove(fresh_name()); // or the next start does it
    }
    [[nodiscard]] snapshot_info written() const { return {at_, size_}; }
    [[nodiscard]] keyspace take_state() { return chunks_.take(); }

private:
    std::string fresh_name() const { return snapshot_name(at_) + ".new"; }

    result<void> append(byte_view data) {
        auto written = out_->append(data);
        if (written) size_ += data.size();
        return written;
    }

    result<void> append_record(chunk_kind kind, byte_view content) {
        bytes packed = compress(codec::lz4, content);
        bool pays = packed.size() < content.size();
        byte_view stored = pays ? byte_view(packed) : content;
        if (kind == chunk_kind::objects) {
            whole_.add(stored);
            ++count_;
        }
        return append(
            record_of(at_, size_, kind, pays ? codec::lz4 : codec::none, content.size(), stored));
    }

    disk& files_;
    log_index at_;
    bytes header_;
    image_chunks chunks_;
    std::unique_ptr<file> out_;
    std::uint64_t size_ = 0;
    std::uint64_t count_ = 0; // of chunks
    whole_hash whole_;
    bool ended_ = false;
};

std::optional<log_index> parse_snapshot_name(std::string_view name) {
    if (name.size() != 30 || !name.starts_with("snapshot-") || !name.ends_with(".weft")) return {};
    auto digits = parse_replica_id(name.substr(9, 16)); // the same 16 digits
    if (!digits) return std::nullopt;
    return log_index{static_cast<std::uint64_t>(*digits)};
}

// Reads records of a snapshot file one after another.
class snapshot_reader {
public:
    snapshot_reader(file& from, std::string path, log_index at)
        : from_(from), path_(std::move(path)), at_(at) {}

    struct record {
        chunk_kind kind{};
        codec packed{};
        std::uint64_t raw_bytes = 0;
        bytes stored;
    };

    result<image_header> header(std::string_view cluster) {
        auto whole = header_raw();
        if (!whole) return fail(whole.error());
        auto opened = unseal(snapshot_magic, *whole);
        if (opened->version != snapshot_version) {
            return fail(errc::incompatible,
                        path_ + ": snapshot format " + std::to_string(opened->version) +
                            ", this release reads " + std::to_string(snapshot_version));
        }
        auto header = decode_image_header(opened->body);
        if (!header) return fail(damaged_at(0, header.error().detail));
        if (header->cluster != cluster) {
            return fail(errc::wrong_cluster, path_ + ": a snapshot of cluster '" + header->cluster +
                                                 "', not of '" + std::string(cluster) + "'");
        }
        if (header->at != at_)
            return fail(damaged_at(0, "its name and its header give different places"));
        return header;
    }

    result<record> next() {
        auto raw = next_raw();
        if (!raw) return fail(raw.error());
        byte_reader in(byte_view(*raw).subspan(4));
        record out;
        out.kind = static_cast<chunk_kind>(in.u32() >> 30U);
        out.raw_bytes = in.u32();
        out.packed = static_cast<codec>(in.u8());
        raw->erase(raw->begin(), raw->begin() + header_bytes);
        out.stored = std::move(*raw);
        return out;
    }

    // The whole record as it stands in the file, checked.
    result<bytes> next_raw() {
        auto size = next_size();
        if (!size) return fail(size.error());
        auto raw = from_.read(offset_, *size);
        if (!raw) return raw;
        if (raw->size() < *size) return fail(damaged("it ends inside a record"));
        byte_view all = *raw;
        byte_reader in(all);
        byte_view fields = all.subspan(4, header_bytes - 4);
        if (record_crc(at_, offset_, fields, all.subspan(header_bytes)) != in.u32())
            return fail(damaged("the checksum of a record does not match"));
        record_at_ = offset_;
        offset_ += *size;
        return raw;
    }

    // How long it claims to be.
    result<std::size_t> next_size() {
        auto head = from_.read(offset_, header_bytes);
        if (!head) return fail(head.error());
        if (head->size() < header_bytes) return fail(damaged("it ends before its end record"));
        byte_reader in(byte_view(*head).subspan(4));
        std::uint32_t kind_and_length = in.u32();
        (void)in.u32();
        std::uint8_t packed = in.u8();
        std::uint32_t length = kind_and_length & 0x3FFF'FFFFU;
        std::uint32_t kind = kind_and_length >> 30U;
        bool sensible = kind <= static_cast<std::uint32_t>(chunk_kind::end) && length > 0 &&
                        length <= limits::run_bytes_max &&
                        packed <= static_cast<std::uint8_t>(codec::gzip);
        if (!sensible) return fail(damaged("no record is there"));
        return header_bytes + length;
    }

    // The file's header as it stands there, checked.
    result<bytes> header_raw() {
        auto start = from_.read(0, sealed_magic_bytes + 12);
        if (!start) return start;
        if (start->size() < sealed_magic_bytes + 12)
            return fail(damaged_at(0, "it ends inside its header"));
        byte_reader in(byte_view(*start).subspan(sealed_magic_bytes + 4));
        std::uint64_t claimed = start->size() + in.u32();
        auto size = from_.size();
        if (!size) return fail(size.error());
        auto whole = from_.read(0, static_cast<std::size_t>(std::min(claimed, *size)));
        if (!whole) return whole;
        auto opened = unseal(snapshot_magic, *whole);
        if (!opened) return fail(damaged_at(0, opened.error().detail));
        offset_ = opened->size;
        return whole;
    }

    void go_to(std::uint64_t offset) { offset_ = offset; }
    [[nodiscard]] std::uint64_t place() const { return offset_; }

    [[nodiscard]] result<bool> at_end() const {
        auto size = from_.size();
        if (!size) return fail(size.error()); // an unreadable file is not a damaged one
        return *size == offset_;
    }
    [[nodiscard]] error damaged(const std::string& how) const { return damaged_at(offset_, how); }
    [[nodiscard]] error damaged_before(const std::string& how) const { // in the record just read
        return damaged_at(record_at_, how);
    }

private:
    [[nodiscard]] error damaged_at(std::uint64_t offset, const std::string& how) const {
        return {errc::log_damaged,
                path_ + ": damaged at byte " + std::to_string(offset) + ": " + how};
    }

    file& from_;
    std::string path_;
    log_index at_;
    std::uint64_t offset_ = 0;
    std::uint64_t record_at_ = 0;
};

// Gives any bytes of a snapshot file, each only after the checksum that covers it was checked.
class checked_reader {
public:
    checked_reader(std::unique_ptr<file> from, std::string path, const snapshot_info& which)
        : from_(std::move(from)), in_(*from_, std::move(path), which.at), size_(which.size_bytes) {}

    // Up to `size` bytes; none only at the end.
    result<bytes> read(std::uint64_t offset, std::size_t size) {
        if (offset >= size_) return bytes{};
        if (auto found = find(offset); !found) return fail(found.error());
        byte_view rest = byte_view(part_).subspan(static_cast<std::size_t>(offset - part_at_));
        rest = rest.first(std::min(rest.size(), size));
        return bytes(rest.begin(), rest.end());
    }

private:
    // Reads the part, the header or a record, in which that byte is.
    result<void> find(std::uint64_t offset) {
        if (offset >= part_at_ && offset - part_at_ < part_.size()) return {};
        if (parts_.empty()) { // also to learn where the records begin
            if (auto taken = take(0, in_.header_raw()); !taken) return taken;
            parts_ = {0, in_.place()};
        }
        while (parts_.back() <= offset) { // where one ends that was not looked at yet
            in_.go_to(parts_.back());
            auto length = in_.next_size();
            if (!length) return fail(length.error());
            parts_.push_back(parts_.back() + *length);
        }
        auto part = std::prev(std::upper_bound(parts_.begin(), parts_.end(), offset));
        if (part == parts_.begin()) return take(0, in_.header_raw());
        in_.go_to(*part);
        return take(*part, in_.next_raw());
    }

    result<void> take(std::uint64_t at, result<bytes> part) {
        if (!part) return fail(part.error());
        part_ = std::move(*part);
        part_at_ = at;
        return {};
    }

    std::unique_ptr<file> from_;
    snapshot_reader in_;
    std::uint64_t size_;
    std::vector<std::uint64_t>
        parts_;  // where they begin, ascending, and where the last of them ends
    bytes part_; // the one read last
    std::uint64_t part_at_ = 0;
};

class snapshot_files final : public snapshot_store {
public:
    snapshot_files(disk& files, loop& run, std::vector<snapshot_info> kept)
        : files_(files), run_(run), kept_(std::move(kept)) {}

    void write_later(state_image image, std::function<void(result<snapshot_info>)> done) override {
        WEFT_CHECK(!job_);
        job_.emplace(files_, std::move(image), std::move(done));
        run_.post([this, alive = std::weak_ptr(alive_)] {
            if (!alive.expired()) begin();
        });
    }
    std::uint64_t under_way_bytes() const override { return under_way_bytes_; }
    const std::vector<snapshot_info>& kept() const override { return kept_; }

    result<void> remove(log_index at) override {
        if (auto removed = files_.remove(snapshot_name(at)); !removed) return removed;
        std::erase_if(kept_, [at](const snapshot_info& s) { return s.at == at; });
        readers_.erase(at);
        return {};
    }

    result<std::string> put_aside(log_index at) override {
        auto aside = weft::put_aside(files_, snapshot_name(at));
        if (!aside) return aside;
        std::erase_if(kept_, [at](const snapshot_info& s) { return s.at == at; });
        readers_.erase(at);
        return aside;
    }

    void verify_later(log_index at, const std::string& cluster,
                      std::function<void(result<void>)> done) override {
        WEFT_CHECK(!verifying_);
        verifying_.emplace();
        verifying_->done = std::move(done);
        run_.post([this, at, cluster, alive = std::weak_ptr(alive_)] {
            if (!alive.expired()) begin_verifying(at, cluster);
        });
    }

    result<bytes> read(const snapshot_info& which, std::uint64_t offset,
                       std::size_t size) override {
        auto gone = [&] {
            return fail(errc::not_found,
                        path_of(which.at) + " is not there any more, or is a newer one by now");
        };
        auto known = std::find(kept_.begin(), kept_.end(), which);
        if (known == kept_.end()) return gone();
        auto& reader = readers_[which.at];
        if (!reader) {
            auto opened = files_.open(snapshot_name(which.at));
            if (!opened) return fail(opened.error());
            // A state that was joined takes the place of the file before it is known here.
            auto there = (*opened)->size();
            if (!there) return fail(there.error());
            if (*there != which.size_bytes) return gone();
            reader = std::make_unique<checked_reader>(std::move(*opened), path_of(which.at), which);
        }
        return reader->read(offset, size);
    }

private:
    struct job {
        job(disk& files, state_image image, std::function<void(result<snapshot_info>)> whom)
            : out(files, std::move(image)), done(std::move(whom)) {}

        snapshot_writer out;
        std::function<void(result<snapshot_info>)> done;
        std::uint64_t synced_bytes = 0; // or being synced
    };

    struct verification {
        std::unique_ptr<file> from;
        std::unique_ptr<snapshot_source> source;
        std::function<void(result<void>)> done;
    };

    std::string path_of(log_index at) const { return files_.place() + "/" + snapshot_name(at); }

    void begin_verifying(log_index at, const std::string& cluster) {
        auto opened = files_.open(snapshot_name(at));
        if (!opened) return end_verifying(fail(opened.error()));
        verifying_->from = std::move(*opened);
        verifying_->source = std::make_unique<snapshot_source>(*verifying_->from, path_of(at), at);
        auto header = verifying_->source->header(cluster);
        if (!header) return end_verifying(fail(header.error()));
        verify();
    }

    // A chunk, then what else there is to do, and so on.
    void verify() {
        auto more = verifying_->source->next({});
        if (!more || !*more) return end_verifying(more ? result<void>{} : fail(more.error()));
        run_.post([this, alive = std::weak_ptr(alive_)] {
            if (!alive.expired()) verify();
        });
    }

    void end_verifying(result<void> outcome) {
        auto done = std::move(verifying_->done);
        verifying_.reset();
        done(std::move(outcome));
    }

    void begin() {
        if (auto begun = job_->out.begin(); !begun) return finish(fail(begun.error()));
        write_some();
    }

    // A chunk, then what else there is to do, and so on: the loop is held for no longer than a chunk takes.
    // After each MiB a sync, so that the last one has not all of the file to write.
    void write_some() {
        snapshot_writer& out = job_->out;
        if (auto written = out.write_some(); !written) return finish(fail(written.error()));
        under_way_bytes_ = out.size();
        if (!out.ended() && out.size() - job_->synced_bytes < sync_bytes) {
            return run_.post([this, alive = std::weak_ptr(alive_)] {
                if (!alive.expired()) write_some();
            });
        }
        job_->synced_bytes = out.size();
        out.out().sync_later(guarded([this](const result<void>& synced) {
            if (!synced) return finish(fail(synced.error()));
            if (!job_->out.ended()) return write_some();
            make_visible();
        }));
    }

    void make_visible() {
        if (auto renamed = job_->out.make_visible(); !renamed) return finish(fail(renamed.error()));
        files_.sync_directory_later(guarded([this](const result<void>& synced) {
            if (!synced) return finish(fail(synced.error()));
            finish(job_->out.written());
        }));
    }

    void finish(result<snapshot_info> outcome) {
        if (outcome) {
            log_index at = outcome->at; // one there before was replaced
            std::erase_if(kept_, [at](const snapshot_info& s) { return s.at == at; });
            readers_.erase(at);
            kept_.push_back(*outcome);
        } else {
            job_->out.give_up();
        }
        auto done = std::move(job_->done);
        release_later(run_, job_->out.take_state());
        job_.reset();
        under_way_bytes_ = 0;
        done(std::move(outcome));
    }

    std::function<void(result<void>)> guarded(std::function<void(const result<void>&)> then) {
        return
            [alive = std::weak_ptr(alive_), then = std::move(then)](const result<void>& outcome) {
                if (!alive.expired()) then(outcome);
            };
    }

    disk& files_;
    loop& run_;
    std::vector<snapshot_info> kept_;
    std::optional<job> job_;
    std::atomic<std::uint64_t> under_way_bytes_ = 0;
    std::optional<verification> verifying_;
    std::map<log_index, std::unique_ptr<checked_reader>> readers_; // of those that peers fetch
    std::shared_ptr<bool> alive_ = std::make_shared<bool>(true);   // guards answers under way
};

} // namespace

std::string snapshot_name(log_index at) {
    return "snapshot-" + to_hex(static_cast<std::uint64_t>(at)) + ".weft";
}

result<void> write_snapshot_now(disk& files, state_image image) {
    snapshot_writer out(files, std::move(image));
    auto write = [&]() -> result<void> {
        if (auto begun = out.begin(); !begun) return begun;
        while (!out.ended()) {
            if (auto written = out.write_some(); !written) return written;
        }
        if (auto synced = out.out().sync(); !synced) return synced;
        if (auto renamed = out.make_visible(); !renamed) return renamed;
        return files.sync_directory();
    };
    auto written = write();
    if (!written) out.give_up();
    return written;
}

result<std::vector<snapshot_info>> list_snapshots(disk& files) {
    auto names = files.list();
    if (!names) return fail(names.error());
    std::vector<snapshot_info> kept;
    for (const std::string& name : *names) {
        auto at = parse_snapshot_name(name);
        if (!at) continue;
        auto opened = files.open(name);
        if (!opened) return fail(opened.error());
        auto size = (*opened)->size();
        if (!size) return fail(size.error());
        kept.push_back({*at, *size});
    }
    return kept;
}

result<std::unique_ptr<snapshot_store>> open_snapshots(disk& files, loop& run) {
    auto names = files.list();
    if (!names) return fail(names.error());
    for (const std::string& name : *names) {
        std::string_view whole = name;
        if (!whole.ends_with(".new") || !parse_snapshot_name(whole.substr(0, whole.size() - 4)))
            continue;
        if (auto removed = files.remove(name); !removed) return fail(removed.error());
    }
    auto kept = list_snapshots(files);
    if (!kept) return fail(kept.error());
    return std::make_unique<snapshot_files>(files, run, std::move(*kept));
}

struct snapshot_source::position {
    snapshot_reader in;
    whole_hash whole;
    std::uint64_t count = 0;
};

snapshot_source::snapshot_source(file& from, std::string path, log_index at)
    : at_(new position{snapshot_reader(from, std::move(path), at), {}, 0}) {}

snapshot_source::~snapshot_source() = default;

result<image_header> snapshot_source::header(std::string_view cluster) {
    return at_->in.header(cluster);
}

result<bool> snapshot_source::next(const std::function<result<void>(image_part&&)>& on_part) {
    snapshot_reader& in = at_->in;
    auto record = in.next();
    if (!record) return fail(record.error());
    if (record->kind == chunk_kind::objects) {
        at_->whole.add(record->stored);
        ++at_->count;
        if (!on_part) return true;
    }
    auto content = decompress(record->packed, record->stored, record->raw_bytes);
    if (!content) return fail(in.damaged_before(content.error().detail));
    if (record->kind == chunk_kind::objects) {
        if (auto read = read_image_chunk(*content, on_part); !read) {
            if (read.error().code != errc::bad_message) return fail(read.error());
            return fail(in.damaged_before(read.error().detail));
        }
        return true;
    }
    byte_reader end(*content);
    std::uint64_t stated = end.u64();
    std::array<std::uint64_t, 2> hash{end.u64(), end.u64()};
    if (!end.good() || !end.at_end() || stated != at_->count || hash != at_->whole.words())
        return fail(in.damaged_before("chunks are missing, or are of another snapshot"));
    auto at_end = in.at_end();
    if (!at_end) return fail(at_end.error());
    if (!*at_end) return fail(in.damaged("bytes after the end record"));
    return false;
}

result<image_header> read_snapshot_header(disk& files, log_index at, std::string_view cluster) {
    std::string name = snapshot_name(at);
    auto opened = files.open(name);
    if (!opened) return fail(opened.error());
    return snapshot_source(**opened, files.place() + "/" + name, at).header(cluster);
}

result<image_header> read_snapshot(disk& files, log_index at, std::string_view cluster,
                                   const std::function<result<void>(image_part&&)>& on_part) {
    std::string name = snapshot_name(at);
    auto opened = files.open(name);
    if (!opened) return fail(opened.error());
    snapshot_source in(**opened, files.place() + "/" + name, at);
    auto header = in.header(cluster);
    if (!header) return header;
    for (;;) {
        auto more = in.next(on_part);
        if (!more) return fail(more.error());
        if (!*more) return header;
    }
}

} // namespace weft
