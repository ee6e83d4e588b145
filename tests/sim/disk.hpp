#pragma once
#include "base/env.hpp"
#include "base/random.hpp"

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

namespace weft {

// Which operations a fault counts and fails.
enum class sim_operations : std::uint8_t {
    all,
    syncs,  // sync, sync_later and their directory twins
    growth, // create and append: what a full disk refuses
};

// Which operation of a simulated directory fails, counted from 0.
struct sim_fault {
    std::uint64_t at = 0;
    errc code = errc::io_failed;
    bool lasting = false; // from then on, not once
    sim_operations of = sim_operations::all;
};

// What lies on a simulated disk. It outlives the `sim_disk` that a process opens on it, so a
// process can crash and start again. Each file has durable contents and a list of what was done to
// it since it was last synced; the directory likewise.
class sim_directory {
public:
    explicit sim_directory(directory_facts facts, std::string place = "sim")
        : facts_(std::move(facts)), place_(std::move(place)) {}

    // Power cut. Unsynced directory operations survive up to a random one. Per file so do unsynced
    // appends and truncates; the last survivor may be torn, and a random part of the unsynced bytes
    // may be zeros or garbage, for blocks reach a disk in any order.
    void crash(random_generator& random);
    // kill -9: all that was written stays.
    void kill();

    // The same disk elsewhere, or an earlier state of it, as a clone or a snapshot of a machine makes it;
    // all of it durable. To copy the files alone, `overwrite` each.
    [[nodiscard]] std::unique_ptr<sim_directory> copy(directory_facts facts) const;

    void fail(std::optional<sim_fault> fault); // nullopt heals it; counting starts again
    [[nodiscard]] std::uint64_t operations() const { return operations_; } // since `fail`
    [[nodiscard]] std::uint64_t waits() const { return waits_; } // syncs that somebody waited for

    // Called after each operation that changes what a power cut would leave, from inside it.
    std::function<void()> on_change;

    // For tests that damage a file, past all operations. The file must exist.
    [[nodiscard]] const bytes& contents(const std::string& name) const;
    void overwrite(const std::string& name, bytes contents); // durable at once; creates
    void alter(const std::string& name, bytes contents);     // it stays the same file
    void erase(const std::string& name);
    // Everything is as it was in `backup`, durably, the identity of each file with it; where it lies stays.
    void restore_in_place(const sim_directory& backup);
    // From now on syncs say that they did and do nothing.
    void lie_about_syncs() { lies_ = true; }
    [[nodiscard]] std::vector<std::string> names() const;
    [[nodiscard]] const directory_facts& facts() const { return facts_; }
    // Of files numbered in their names, those that were removed while they were the first but not the only
    // one, as they were then: for checkers that need what a replica has dropped.
    [[nodiscard]] const std::map<std::string, bytes>& removed() const { return removed_; }
    void forget_removed() { removed_.clear(); }

private:
    friend class sim_disk;
    friend class sim_file;
    friend class sim_lock;
    friend class crash_images;

    enum class write_kind : std::uint8_t { append, overwrite, truncate };
    struct write {
        write_kind kind{};
        bytes data;
        std::uint64_t at = 0;     // of an overwrite: its offset; of a truncation: the new size
        std::uint64_t number = 0; // of all changes, in order
        // A sync failed: the system counts these bytes as written, readers see them, and they never reach the
        // disk, whatever is synced later. The size of the file does: it is in the journal.
        bool lost = false;
    };
    struct inode {
        std::uint64_t number = 0;
        bytes written; // what a reader sees
        bytes durable;
        std::vector<write> unsynced;
        std::uint64_t synced = 0; // how many writes were moved to `durable`, ever
    };
    struct entry_change { // a name taken away, an inode put under another; rename is both at once
        std::string gone;
        std::string name;
        std::shared_ptr<inode> put;
        std::uint64_t number = 0;
    };
    using entries = std::map<std::string, std::shared_ptr<inode>>;

    [[nodiscard]] std::optional<errc> count(sim_operations kind); // how it fails, if it does
    void change(entry_change done);
    void change(inode& what, write done);
    void changed() const {
        if (on_change) on_change();
    }
    static void perform(bytes& contents, const write& done, bool on_disk);
    static void perform(entries& names, const entry_change& done);
    static void make_durable(inode& what, std::uint64_t writes_end);
    static void lose(inode& what, std::uint64_t writes_end);
    static bytes after_power_cut(const inode& what, random_generator& random);

    directory_facts facts_;
    std::string place_;
    entries names_;
    entries durable_names_;
    std::map<std::string, bytes> removed_;
    std::vector<entry_change> unsynced_;
    std::uint64_t synced_ = 0; // how many directory changes were made durable, ever
    std::uint64_t next_inode_ = 1;
    std::uint64_t boot_ = 0; // raised by crash and kill: what was open before is dead
    bool locked_ = false;
    std::optional<sim_fault> fault_;
    std::uint64_t operations_ = 0;
    std::uint64_t waits_ = 0;
    std::uint64_t changes_ = 0;
    bool lies_ = false;
};

// One process's view of a `sim_directory`. After a crash or kill of the directory it answers
// `closed`, and syncs still under way are never answered.
class sim_disk final : public disk {
public:
    // `sync_ms` is asked for the length of each sync_later. All of them outlive the disk.
    sim_disk(sim_directory& on, loop& run, time_source& time,
             std::function<std::int64_t()> sync_ms);
    ~sim_disk() override;

    result<std::unique_ptr<directory_lock>> lock() override;
    result<directory_facts> facts() override;
    result<std::vector<std::string>> list() override;
    result<std::unique_ptr<file>> create(std::string_view name) override;
    result<std::unique_ptr<file>> open(std::string_view name) override;
    result<void> rename(std::string_view from, std::string_view to) override;
    result<void> remove(std::string_view name) override;
    result<void> sync_directory() override;
    void sync_directory_later(std::function<void(result<void>)> done) override;
    std::string place() const override { return on_.place_; }

private:
    friend class sim_file;
    struct pending_syncs;

    result<void> begin(sim_operations kind, std::string_view call, std::string_view name);
    result<void> check_name(std::string_view name) const;
    void answer_later(std::function<result<void>()> finish, std::function<void(result<void>)> done);
    void answer_due();

    sim_directory& on_;
    loop& run_;
    time_source& time_;
    std::function<std::int64_t()> sync_ms_;
    std::uint64_t boot_;
    std::shared_ptr<pending_syncs> pending_;
    std::unique_ptr<timer> alarm_;
    result<void> sync_outcome_; // of the directory; stays as it is once it is a failure
};

} // namespace weft
