#include "tests/sim/disk.hpp"

#include "base/check.hpp"

#include <algorithm>

namespace weft {

void sim_directory::perform(bytes& contents, const write& done, bool on_disk) {
    bool lost = on_disk && done.lost;
    std::size_t at =
        done.kind == write_kind::append ? contents.size() : static_cast<std::size_t>(done.at);
    if (done.kind == write_kind::truncate) return contents.resize(at);
    contents.resize(std::max(contents.size(), at + done.data.size()));
    if (!lost)
        std::copy(done.data.begin(), done.data.end(),
                  contents.begin() + static_cast<std::ptrdiff_t>(at));
}

void sim_directory::perform(entries& names, const entry_change& done) {
    names.erase(done.gone);
    if (done.put) names[done.name] = done.put;
}

void sim_directory::change(entry_change done) {
    perform(names_, done);
    done.number = changes_++;
    unsynced_.push_back(std::move(done));
    changed();
}

void sim_directory::change(inode& what, write done) {
    perform(what.written, done, false);
    done.number = changes_++;
    what.unsynced.push_back(std::move(done));
    changed();
}

void sim_directory::make_durable(inode& what, std::uint64_t writes_end) {
    std::uint64_t moved = 0;
    while (what.synced < writes_end) {
        perform(what.durable, what.unsynced[static_cast<std::size_t>(moved++)], true);
        ++what.synced;
    }
    what.unsynced.erase(what.unsynced.begin(),
                        what.unsynced.begin() + static_cast<std::ptrdiff_t>(moved));
}

void sim_directory::lose(inode& what, std::uint64_t writes_end) {
    for (std::size_t i = 0; i < what.unsynced.size() && what.synced + i < writes_end; ++i)
        what.unsynced[i].lost = true;
}

std::optional<errc> sim_directory::count(sim_operations kind) {
    if (fault_ && fault_->of != sim_operations::all && fault_->of != kind) return std::nullopt;
    std::uint64_t number = operations_++;
    if (!fault_ || number < fault_->at || (number > fault_->at && !fault_->lasting)) {
        return std::nullopt;
    }
    return fault_->code;
}

void sim_directory::fail(std::optional<sim_fault> fault) {
    fault_ = fault;
    operations_ = 0;
}

bytes sim_directory::after_power_cut(const inode& what, random_generator& random) {
    bytes out = what.durable;
    std::size_t safe = out.size(); // bytes before this were durable and never cut off since
    std::uint64_t kept = random.below(what.unsynced.size() + 1);
    for (std::uint64_t i = 0; i < kept; ++i) {
        perform(out, what.unsynced[static_cast<std::size_t>(i)], true);
        safe = std::min(safe, out.size());
    }
    const write* next =
        kept < what.unsynced.size() ? &what.unsynced[static_cast<std::size_t>(kept)] : nullptr;
    if (next != nullptr && next->kind == write_kind::overwrite && !next->lost) {
        write part = *next;
        part.data.resize(static_cast<std::size_t>(random.below(part.data.size() + 1)));
        perform(out, part, true);
    } else if (next != nullptr && next->kind == write_kind::append && !next->lost) {
        const bytes& torn = next->data;
        auto survives = static_cast<std::ptrdiff_t>(random.below(torn.size() + 1));
        out.insert(out.end(), torn.begin(), torn.begin() + survives);
        // The new size may be durable before the bytes are.
        if (random.chance(0.25)) {
            out.resize(out.size() + torn.size() - static_cast<std::size_t>(survives));
        }
    }
    std::size_t exposed = out.size() - safe;
    if (exposed > 0 && random.chance(0.5)) {
        std::size_t first = safe + static_cast<std::size_t>(random.below(exposed));
        std::size_t size = 1 + static_cast<std::size_t>(random.below(out.size() - first));
        bool zeros = random.chance(0.5);
        for (std::size_t i = first; i < first + size; ++i) {
            out[i] = zeros ? std::byte{0} : static_cast<std::byte>(random.next());
        }
    }
    return out;
}

void sim_directory::crash(random_generator& random) {
    std::uint64_t kept = random.below(unsynced_.size() + 1);
    for (std::uint64_t i = 0; i < kept; ++i) {
        perform(durable_names_, unsynced_[static_cast<std::size_t>(i)]);
    }
    entries after;
    for (const auto& [name, what] : durable_names_) {
        auto fresh = std::make_shared<inode>();
        fresh->number = what->number;
        fresh->durable = after_power_cut(*what, random);
        fresh->written = fresh->durable;
        after.emplace(name, std::move(fresh));
    }
    names_ = after;
    durable_names_ = std::move(after);
    unsynced_.clear();
    kill();
}

void sim_directory::kill() {
    ++boot_;
    locked_ = false;
}

std::unique_ptr<sim_directory> sim_directory::copy(directory_facts facts) const {
    auto out = std::make_unique<sim_directory>(std::move(facts), place_);
    for (const auto& [name, what] : names_) {
        out->overwrite(name, what->written);
        out->names_[name]->number = what->number;
    }
    out->next_inode_ = next_inode_;
    out->removed_ = removed_;
    return out;
}

const bytes& sim_directory::contents(const std::string& name) const {
    auto found = names_.find(name);
    WEFT_CHECK(found != names_.end());
    return found->second->written;
}

void sim_directory::overwrite(const std::string& name, bytes contents) {
    auto fresh = std::make_shared<inode>();
    fresh->number = next_inode_++;
    fresh->written = contents;
    fresh->durable = std::move(contents);
    names_[name] = fresh;
    durable_names_[name] = fresh;
    for (entry_change& done : unsynced_) { // else its sync would put the file back that was there
        if (done.put && done.name == name) done.put = fresh;
    }
}

void sim_directory::alter(const std::string& name, bytes contents) {
    std::uint64_t number = names_.at(name)->number;
    overwrite(name, std::move(contents));
    names_[name]->number = number;
}

void sim_directory::erase(const std::string& name) {
    names_.erase(name);
    durable_names_.erase(name);
    for (entry_change& done : unsynced_) { // else its sync would bring it back
        if (done.name == name) done.put = nullptr;
    }
}

void sim_directory::restore_in_place(const sim_directory& backup) {
    auto restored = backup.copy(facts_);
    names_ = restored->names_;
    durable_names_ = restored->durable_names_;
    removed_ = restored->removed_;
    unsynced_.clear();
}

std::vector<std::string> sim_directory::names() const {
    std::vector<std::string> out;
    for (const auto& [name, what] : names_) out.push_back(name);
    return out;
}

// The syncs under way, by when they end; they go with the disk.
struct sim_disk::pending_syncs {
    struct one {
        std::function<result<void>()> finish;
        std::function<void(result<void>)> done;
    };
    std::map<std::pair<instant, std::uint64_t>, one> running;
    std::uint64_t next = 0;
};

class sim_lock final : public directory_lock {
public:
    explicit sim_lock(sim_directory& on) : on_(on), boot_(on.boot_) { on_.locked_ = true; }
    ~sim_lock() override {
        if (on_.boot_ == boot_) on_.locked_ = false;
    }

private:
    sim_directory& on_;
    std::uint64_t boot_;
};

class sim_file final : public file {
public:
    sim_file(sim_disk& disk, std::string name, std::shared_ptr<sim_directory::inode> what)
        : disk_(disk), name_(std::move(name)), what_(std::move(what)) {}

    result<void> append(byte_view data) override {
        if (auto good = disk_.begin(sim_operations::growth, "write", name_); !good) {
            // A failed write may have written a part.
            if (good.error().code != errc::closed) write_now(data.first(data.size() / 2));
            return good;
        }
        write_now(data);
        return {};
    }

    result<void> overwrite(std::uint64_t offset, byte_view data) override {
        auto good = disk_.begin(sim_operations::all, "write", name_);
        if (!good && good.error().code == errc::closed) return good;
        WEFT_CHECK(offset + data.size() <= what_->written.size());
        if (!good) data = data.first(data.size() / 2); // a failed write may have written a part
        disk_.on_.change(*what_, {sim_directory::write_kind::overwrite,
                                  bytes(data.begin(), data.end()), offset});
        return good;
    }

    result<bytes> read(std::uint64_t offset, std::size_t size) override {
        if (auto good = disk_.begin(sim_operations::all, "read", name_); !good)
            return weft::fail(good.error());
        byte_view all = what_->written;
        if (offset >= all.size()) return bytes{};
        all = all.subspan(static_cast<std::size_t>(offset));
        all = all.first(std::min(size, all.size()));
        return bytes(all.begin(), all.end());
    }

    result<std::uint64_t> size() override {
        if (auto good = disk_.begin(sim_operations::all, "size", name_); !good)
            return weft::fail(good.error());
        return what_->written.size();
    }

    result<file_facts> facts() override {
        if (auto good = disk_.begin(sim_operations::all, "facts", name_); !good)
            return weft::fail(good.error());
        return file_facts{what_->number, 1};
    }

    result<void> truncate(std::uint64_t size) override {
        if (auto good = disk_.begin(sim_operations::all, "truncate", name_); !good) return good;
        disk_.on_.change(*what_, {sim_directory::write_kind::truncate, {}, size});
        return {};
    }

    result<void> sync() override {
        ++disk_.on_.waits_;
        if (auto good = begin_sync(); !good) return good;
        if (!disk_.on_.lies_) sim_directory::make_durable(*what_, writes());
        disk_.on_.changed();
        return {};
    }

    void sync_later(std::function<void(result<void>)> done) override {
        auto good = begin_sync();
        auto finish = [&on = disk_.on_, what = what_, end = writes(), good]() -> result<void> {
            if (good && !on.lies_) sim_directory::make_durable(*what, end);
            if (good) on.changed();
            return good;
        };
        disk_.answer_later(finish, std::move(done));
    }

private:
    void write_now(byte_view data) {
        disk_.on_.change(*what_,
                         {sim_directory::write_kind::append, bytes(data.begin(), data.end())});
    }
    std::uint64_t writes() const { return what_->synced + what_->unsynced.size(); }

    result<void> begin_sync() {
        if (!sync_outcome_) return sync_outcome_;
        sync_outcome_ = disk_.begin(sim_operations::syncs, "sync", name_);
        if (!sync_outcome_) sim_directory::lose(*what_, writes());
        return sync_outcome_;
    }

    sim_disk& disk_;
    std::string name_;
    std::shared_ptr<sim_directory::inode> what_;
    result<void> sync_outcome_; // stays as it is once it is a failure
};

sim_disk::sim_disk(sim_directory& on, loop& run, time_source& time,
                   std::function<std::int64_t()> sync_ms)
    : on_(on), run_(run), time_(time), sync_ms_(std::move(sync_ms)), boot_(on.boot_),
      pending_(std::make_shared<pending_syncs>()),
      alarm_(run.make_timer([this] { answer_due(); })) {}

sim_disk::~sim_disk() = default;

result<void> sim_disk::begin(sim_operations kind, std::string_view call, std::string_view name) {
    bool crashed = boot_ != on_.boot_;
    auto injected = crashed ? std::nullopt : on_.count(kind);
    if (!crashed && !injected) return {};
    std::string where = place() + "/" + std::string(name) + ": " + std::string(call) + ": ";
    if (crashed) return fail(errc::closed, where + "crashed");
    return fail(*injected,
                where + "injected fault at operation " + std::to_string(on_.operations() - 1));
}

result<void> sim_disk::check_name(std::string_view name) const {
    bool plain =
        !name.empty() && name != "." && name != ".." && name.find('/') == std::string_view::npos;
    if (plain) return {};
    return fail(errc::invalid_argument,
                place() + ": '" + std::string(name) + "' is not a plain file name");
}

void sim_disk::answer_later(std::function<result<void>()> finish,
                            std::function<void(result<void>)> done) {
    instant when = time_.now().after_ms(sync_ms_());
    pending_->running[{when, pending_->next++}] = {std::move(finish), std::move(done)};
    alarm_->set(pending_->running.begin()->first.first);
}

void sim_disk::answer_due() {
    if (boot_ != on_.boot_) return;
    auto& running = pending_->running;
    while (!running.empty() && running.begin()->first.first <= time_.now()) {
        auto due = std::move(running.begin()->second);
        running.erase(running.begin());
        // Posted, so that an answer may destroy this disk.
        run_.post([this, alive = std::weak_ptr(pending_), outcome = due.finish(),
                   done = std::move(due.done)] {
            if (!alive.expired() && boot_ == on_.boot_) done(outcome);
        });
    }
    if (!running.empty()) alarm_->set(running.begin()->first.first);
}

result<std::unique_ptr<directory_lock>> sim_disk::lock() {
    if (auto good = begin(sim_operations::all, "lock", ""); !good) return fail(good.error());
    if (on_.locked_) return fail(errc::locked, place() + ": in use by another process");
    return std::make_unique<sim_lock>(on_);
}

result<directory_facts> sim_disk::facts() {
    if (auto good = begin(sim_operations::all, "facts", ""); !good) return fail(good.error());
    return on_.facts_;
}

result<std::vector<std::string>> sim_disk::list() {
    if (auto good = begin(sim_operations::all, "list", ""); !good) return fail(good.error());
    return on_.names();
}

result<std::unique_ptr<file>> sim_disk::create(std::string_view name) {
    if (auto good = check_name(name); !good) return fail(good.error());
    if (auto good = begin(sim_operations::growth, "create", name); !good) return fail(good.error());
    std::string key(name);
    if (on_.names_.contains(key)) return fail(errc::io_failed, place() + "/" + key + ": exists");
    auto fresh = std::make_shared<sim_directory::inode>();
    fresh->number = on_.next_inode_++;
    on_.change({{}, key, fresh});
    return std::make_unique<sim_file>(*this, key, fresh);
}

result<std::unique_ptr<file>> sim_disk::open(std::string_view name) {
    if (auto good = check_name(name); !good) return fail(good.error());
    if (auto good = begin(sim_operations::all, "open", name); !good) return fail(good.error());
    auto found = on_.names_.find(std::string(name));
    if (found == on_.names_.end()) {
        return fail(errc::not_found, place() + "/" + std::string(name) + ": no such file");
    }
    return std::make_unique<sim_file>(*this, std::string(name), found->second);
}

result<void> sim_disk::rename(std::string_view from, std::string_view to) {
    if (auto good = check_name(from); !good) return good;
    if (auto good = check_name(to); !good) return good;
    if (auto good = begin(sim_operations::all, "rename", from); !good) return good;
    auto found = on_.names_.find(std::string(from));
    if (found == on_.names_.end()) {
        return fail(errc::not_found, place() + "/" + std::string(from) + ": no such file");
    }
    on_.change({std::string(from), std::string(to), found->second});
    return {};
}

result<void> sim_disk::remove(std::string_view name) {
    if (auto good = check_name(name); !good) return good;
    if (auto good = begin(sim_operations::all, "remove", name); !good) return good;
    std::string key(name);
    if (!on_.names_.contains(key)) {
        return fail(errc::not_found, place() + "/" + key + ": no such file");
    }
    auto alike =
        [&](const auto& e) { // the same word and as many digits: not one that was put aside
            return e.first.size() == key.size() && e.first.substr(0, 4) == key.substr(0, 4);
        };
    auto first = std::find_if(on_.names_.begin(), on_.names_.end(), alike);
    bool more = std::find_if(std::next(first), on_.names_.end(), alike) != on_.names_.end();
    if (first->first == key && more) on_.removed_[key] = first->second->written;
    on_.change({key, {}, nullptr});
    return {};
}

result<void> sim_disk::sync_directory() {
    ++on_.waits_;
    if (sync_outcome_) sync_outcome_ = begin(sim_operations::syncs, "sync", "");
    if (!sync_outcome_) return sync_outcome_;
    for (const auto& done : on_.unsynced_) sim_directory::perform(on_.durable_names_, done);
    on_.synced_ += on_.unsynced_.size();
    on_.unsynced_.clear();
    on_.changed();
    return {};
}

void sim_disk::sync_directory_later(std::function<void(result<void>)> done) {
    if (sync_outcome_) sync_outcome_ = begin(sim_operations::syncs, "sync", "");
    auto good = sync_outcome_;
    auto finish = [this, end = on_.synced_ + on_.unsynced_.size(), good]() -> result<void> {
        if (!good) return good;
        std::uint64_t moved = end > on_.synced_ ? end - on_.synced_ : 0;
        for (std::uint64_t i = 0; i < moved; ++i) {
            sim_directory::perform(on_.durable_names_, on_.unsynced_[static_cast<std::size_t>(i)]);
        }
        on_.unsynced_.erase(on_.unsynced_.begin(),
                            on_.unsynced_.begin() + static_cast<std::ptrdiff_t>(moved));
        on_.synced_ += moved;
        on_.changed();
        return {};
    };
    answer_later(finish, std::move(done));
}

} // namespace weft
