#include "recovery/identity.hpp"

#include "base/check.hpp"
#include "base/codec.hpp"
#include "recovery/log_format.hpp"
#include "recovery/sealed.hpp"
#include "recovery/snapshot.hpp"

#include <algorithm>

namespace weft {
namespace {

constexpr std::string_view identity_name = "identity.weft";
constexpr std::string_view fresh_name = "identity.weft.new";
constexpr std::string_view identity_magic = "weft-id\n";
constexpr std::uint32_t identity_version = 5;
constexpr std::size_t text_bytes_max = 1024;

static_assert(static_cast<int>(sync_policy::commit) == 0 &&
              static_cast<int>(sync_policy::interval) == 1 &&
              static_cast<int>(sync_policy::none) == 2);

bytes encode(const identity& who, const file_facts& self) {
    byte_writer out;
    out.u64(self.inode);
    out.u64(static_cast<std::uint64_t>(self.birth_ns));
    out.u64(static_cast<std::uint64_t>(who.id));
    out.u64(static_cast<std::uint64_t>(who.predecessor));
    out.text(who.cluster);
    out.text(who.member);
    out.text(who.region);
    out.text(who.where.machine);
    out.u64(who.where.device);
    out.u64(who.where.inode);
    out.u64(static_cast<std::uint64_t>(who.where.birth_ns));
    out.u64(who.ceiling.raw);
    out.u8(static_cast<std::uint8_t>(who.policy));
    out.u64(who.durable);
    out.u64(who.base ? static_cast<std::uint64_t>(*who.base) + 1 : 0);
    out.u64(who.log_first ? static_cast<std::uint64_t>(*who.log_first) + 1 : 0);
    out.varint(who.snapshots.size());
    for (log_index at : who.snapshots) out.u64(static_cast<std::uint64_t>(at));
    out.u64(who.rules_version);
    out.u64(static_cast<std::uint64_t>(who.rules_since));
    out.u64(static_cast<std::uint64_t>(who.forked));
    return seal(identity_magic, identity_version, out.view());
}

result<identity> decode(std::uint32_t version, byte_view body, const file_facts& self) {
    byte_reader in(body);
    file_facts written;
    written.inode = in.u64();
    written.birth_ns = static_cast<std::int64_t>(in.u64());
    identity out;
    out.id = replica_id{in.u64()};
    out.predecessor = replica_id{in.u64()};
    out.cluster = in.text(text_bytes_max);
    out.member = in.text(text_bytes_max);
    out.region = in.text(text_bytes_max);
    out.where.machine = in.text(text_bytes_max);
    out.where.device = in.u64();
    out.where.inode = in.u64();
    out.where.birth_ns = static_cast<std::int64_t>(in.u64());
    out.ceiling.raw = in.u64();
    std::uint8_t policy = in.u8();
    if (policy > static_cast<std::uint8_t>(sync_policy::none)) in.reject("unknown sync policy");
    out.policy = sync_policy{policy};
    out.durable = in.u64();
    if (std::uint64_t base = in.u64(); base > 0) out.base = log_index{base - 1};
    if (version > 1) {
        if (std::uint64_t first = in.u64(); first > 0) out.log_first = log_index{first - 1};
        for (std::uint64_t left = in.varint(); left > 0 && in.good(); --left)
            out.snapshots.push_back(log_index{in.u64()});
    }
    if (version > 2) {
        out.rules_version = in.u64();
        out.rules_since = log_index{in.u64()};
    }
    if (version == 4 && in.u8() == 1) { // a lost end: of which id, two fields that went, if forked
        replica_id which{in.u64()};
        (void)in.u64();
        (void)in.u64();
        if (in.u8() == 1) out.forked = which;
    }
    if (version > 4) out.forked = replica_id{in.u64()};
    if (!in.at_end()) in.reject("bytes left over");
    if (!in.good()) return fail(errc::log_damaged, in.problem());
    if (written != self) out.where = {};
    return out;
}

// The new contents under another name, written but not synced.
result<std::unique_ptr<file>> write_fresh(disk& files, const identity& who) {
    auto gone = files.remove(fresh_name); // left by a crash
    if (!gone && gone.error().code != errc::not_found) return fail(gone.error());
    auto fresh = files.create(fresh_name);
    if (!fresh) return fresh;
    auto self = (*fresh)->facts();
    if (!self) return fail(self.error());
    if (auto written = (*fresh)->append(encode(who, *self)); !written) return fail(written.error());
    return fresh;
}

} // namespace

identity_decision decide_identity(const std::optional<identity>& stored,
                                  const directory_facts& here, const log_report& log) {
    if (!stored && !log.exists) return {false, "a new directory"};
    if (!stored) return {false, "there is a log, but no readable identity file beside it"};
    if (stored->where == directory_facts{}) {
        return {false, "the identity file is a copy: the directory was restored, or repaired"};
    }
    if (stored->where.machine != here.machine) {
        return {false, "the directory was last used on another machine"};
    }
    if (stored->where != here) return {false, "the directory was copied, moved or restored"};
    if (!log.exists) return {false, "the log of the stored identity is gone"};
    if (log.cut) {
        return {false, "a torn tail of " + std::to_string(log.cut->bytes) +
                           " bytes was cut from the log at byte " +
                           std::to_string(log.cut->offset) + " of " + log.cut->file};
    }
    if (!log.clean && stored->policy != sync_policy::commit) {
        return {false, "the last stop was not clean, and under the sync policy '" +
                           std::string(to_string(stored->policy)) +
                           "' own changes may have left before they were durable"};
    }
    return {true, log.clean ? "the last stop was clean"
                            : "the last stop was not clean, but own changes leave only once "
                              "durable, and the log is whole"};
}

identity settle_identity(const std::optional<identity>& stored, const identity_decision& decision,
                         identity now, replica_id fresh) {
    if (stored) {
        now.ceiling = std::max(now.ceiling, stored->ceiling);
        now.durable = std::max(now.durable, stored->durable);
        now.base = stored->base;
        now.forked = stored->forked;
    }
    if (decision.keep) {
        WEFT_CHECK(stored.has_value());
        now.id = stored->id;
        now.predecessor = stored->predecessor;
    } else {
        now.id = fresh;
    }
    return now;
}

result<std::optional<identity>> load_identity(disk& files) {
    auto opened = files.open(identity_name);
    if (!opened && opened.error().code == errc::not_found) return std::nullopt;
    if (!opened) return fail(opened.error());
    auto size = (*opened)->size();
    if (!size) return fail(size.error());
    auto content = (*opened)->read(0, static_cast<std::size_t>(*size));
    if (!content) return fail(content.error());

    std::string path = files.place() + "/" + std::string(identity_name);
    auto damaged = [&](std::size_t at, const std::string& why) {
        return fail(errc::log_damaged, path + ": damaged at byte " + std::to_string(at) + ": " +
                                           why + ". Start without it, under a new replica id");
    };
    auto envelope = unseal(identity_magic, *content);
    if (!envelope) return damaged(0, envelope.error().detail);
    if (envelope->version == 0 || envelope->version > identity_version) {
        return fail(errc::incompatible,
                    path + ": identity format " + std::to_string(envelope->version) +
                        ", this release reads " + std::to_string(identity_version));
    }
    if (envelope->size != content->size()) return damaged(envelope->size, "bytes follow its end");
    auto self = (*opened)->facts();
    if (!self) return fail(self.error());
    auto who = decode(envelope->version, envelope->body, *self);
    if (!who) return damaged(0, who.error().detail);
    return *who;
}

result<std::vector<std::string>> missing_files(disk& files, const identity& who) {
    auto there = files.list();
    if (!there) return there;
    std::vector<std::string> out;
    auto look = [&](std::string name) {
        if (!std::binary_search(there->begin(), there->end(), name)) out.push_back(std::move(name));
    };
    if (who.log_first) look(segment_name(static_cast<std::uint64_t>(*who.log_first)));
    for (log_index at : who.snapshots) look(snapshot_name(at));
    return out;
}

result<void> store_identity(disk& files, const identity& who) {
    auto fresh = write_fresh(files, who);
    if (!fresh) return fail(fresh.error());
    if (auto synced = (*fresh)->sync(); !synced) return synced;
    if (auto renamed = files.rename(fresh_name, identity_name); !renamed) return renamed;
    return files.sync_directory();
}

std::shared_ptr<void> store_identity_later(disk& files, loop& run, const identity& who,
                                           std::function<void(result<void>)> done) {
    struct under_way {
        std::unique_ptr<file> fresh;
    };
    auto out = std::make_shared<under_way>();
    auto answer = [still = std::weak_ptr(out), done = std::move(done)](const result<void>& how) {
        if (!still.expired()) done(how);
    };
    auto fresh = write_fresh(files, who);
    if (!fresh) { // answered on the loop like every other outcome
        run.post([answer, failed = fresh.error()] { answer(fail(failed)); });
        return out;
    }
    out->fresh = std::move(*fresh);
    out->fresh->sync_later(
        [&files, answer, still = std::weak_ptr(out)](const result<void>& synced) {
            if (still.expired()) return;
            result<void> renamed = synced ? files.rename(fresh_name, identity_name) : synced;
            if (!renamed) return answer(renamed);
            files.sync_directory_later(answer);
        });
    return out;
}

} // namespace weft
