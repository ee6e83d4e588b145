#include "recovery/posix_disk.hpp"

#include <algorithm>
#include <array>
#include <cerrno>
#include <condition_variable>
#include <cstring>
#include <deque>
#include <dirent.h>
#include <fcntl.h>
#include <mutex>
#include <optional>
#include <sys/file.h>
#include <sys/stat.h>
#include <thread>
#include <unistd.h>

namespace weft {
namespace {

constexpr std::string_view lock_name = "lock";

tl::unexpected<error> refused(std::string_view call, const std::string& path, int code = errno) {
    errc what = code == ENOSPC || code == EDQUOT ? errc::disk_full
                : code == ENOENT                 ? errc::not_found
                                                 : errc::io_failed;
    std::array<char, 128> room{};
    return fail(what, path + ": " + std::string(call) + ": " +
                          strerror_r(code, room.data(), room.size()) +
                          (what == errc::disk_full ? "; free space on that file system" : ""));
}

// Calls until it was not a signal that ended the call.
template <class Call>
auto uninterrupted(Call call) {
    auto outcome = call();
    while (outcome < 0 && errno == EINTR) outcome = call();
    return outcome;
}

struct descriptor {
    explicit descriptor(int opened) : number(opened) {}
    ~descriptor() {
        if (number >= 0) ::close(number);
    }
    descriptor(const descriptor&) = delete;
    descriptor& operator=(const descriptor&) = delete;

    const int number;
    std::mutex syncing;
    bool sync_failed = false; // under `syncing`
};
using shared_descriptor = std::shared_ptr<descriptor>;

// Linux reports a lost page to one fdatasync of a descriptor and then forgets it, so a failure is
// remembered here: no later sync may pass for a good one.
result<void> sync_now(descriptor& open, const std::string& path) {
    std::lock_guard hold(open.syncing);
    if (open.sync_failed) return fail(errc::io_failed, path + ": an earlier fdatasync failed");
    if (uninterrupted([&] { return ::fdatasync(open.number); }) != 0) {
        open.sync_failed = true;
        return refused("fdatasync", path);
    }
    return {};
}

// The one thread of a disk. It owns what it works on, so files may go while a sync is under way.
class sync_worker {
public:
    explicit sync_worker(loop& run) : run_(run) {}
    ~sync_worker() {
        {
            std::lock_guard hold(mutex_);
            stopping_ = true;
        }
        changed_.notify_one();
        if (thread_.joinable()) thread_.join();
    }
    sync_worker(const sync_worker&) = delete;
    sync_worker& operator=(const sync_worker&) = delete;

    void sync(shared_descriptor open, std::string path, std::function<void(result<void>)> done) {
        std::lock_guard hold(mutex_);
        jobs_.push_back({std::move(open), std::move(path), std::move(done)});
        if (!thread_.joinable()) thread_ = std::thread([this] { work(); });
        changed_.notify_one();
    }

private:
    struct job {
        shared_descriptor open;
        std::string path;
        std::function<void(result<void>)> done;
    };

    void work() {
        std::unique_lock hold(mutex_);
        for (;;) {
            changed_.wait(hold, [this] { return stopping_ || !jobs_.empty(); });
            if (jobs_.empty()) return;
            job next = std::move(jobs_.front());
            jobs_.pop_front();
            hold.unlock();
            result<void> outcome = sync_now(*next.open, next.path);
            run_.post([done = std::move(next.done), outcome] { done(outcome); });
            hold.lock();
        }
    }

    loop& run_;
    std::mutex mutex_;
    std::condition_variable changed_;
    std::deque<job> jobs_;
    bool stopping_ = false;
    std::thread thread_;
};

// Of an open file or directory; nothing, with errno set, if the system refuses.
std::optional<file_facts> facts_of(int number, std::uint64_t* device = nullptr) {
    struct statx found{};
    if (::statx(number, "", AT_EMPTY_PATH, STATX_INO | STATX_BTIME, &found) != 0)
        return std::nullopt;
    file_facts out;
    out.inode = found.stx_ino;
    if ((found.stx_mask & STATX_BTIME) != 0) {
        out.birth_ns = found.stx_btime.tv_sec * 1'000'000'000 + found.stx_btime.tv_nsec;
    }
    if (device != nullptr)
        *device = std::uint64_t{found.stx_dev_major} << 32U | found.stx_dev_minor;
    return out;
}

class posix_file final : public file {
public:
    posix_file(shared_descriptor open, std::string path, std::shared_ptr<sync_worker> worker)
        : open_(std::move(open)), path_(std::move(path)), worker_(std::move(worker)) {}

    result<void> append(byte_view data) override {
        while (!data.empty()) { // opened with O_APPEND
            ssize_t written =
                uninterrupted([&] { return ::write(open_->number, data.data(), data.size()); });
            if (written < 0) return refused("write", path_);
            data = data.subspan(static_cast<std::size_t>(written));
        }
        return {};
    }

    result<void> overwrite(std::uint64_t offset, byte_view data) override {
        // Linux appends whatever the offset while O_APPEND is set.
        int flags = ::fcntl(open_->number, F_GETFL);
        if (flags < 0 || ::fcntl(open_->number, F_SETFL, flags & ~O_APPEND) != 0)
            return refused("fcntl", path_);
        result<void> done;
        while (done && !data.empty()) {
            ssize_t written = uninterrupted([&] {
                return ::pwrite(open_->number, data.data(), data.size(),
                                static_cast<off_t>(offset));
            });
            if (written < 0) {
                done = refused("write", path_);
            } else {
                offset += static_cast<std::uint64_t>(written);
                data = data.subspan(static_cast<std::size_t>(written));
            }
        }
        if (::fcntl(open_->number, F_SETFL, flags) != 0) return refused("fcntl", path_);
        return done;
    }

    result<bytes> read(std::uint64_t offset, std::size_t size) override {
        auto whole = this->size();
        if (!whole) return fail(whole.error());
        if (offset >= *whole) return bytes{};
        bytes out(static_cast<std::size_t>(std::min<std::uint64_t>(size, *whole - offset)));
        std::size_t filled = 0;
        while (filled < out.size()) {
            ssize_t got = uninterrupted([&] {
                return ::pread(open_->number, out.data() + filled, out.size() - filled,
                               static_cast<off_t>(offset + filled));
            });
            if (got < 0) return refused("read", path_);
            if (got == 0) break;
            filled += static_cast<std::size_t>(got);
        }
        out.resize(filled);
        return out;
    }

    result<std::uint64_t> size() override {
        struct stat facts{};
        if (::fstat(open_->number, &facts) != 0) return refused("fstat", path_);
        return static_cast<std::uint64_t>(facts.st_size);
    }

    result<file_facts> facts() override {
        auto found = facts_of(open_->number);
        if (!found) return refused("statx", path_);
        return *found;
    }

    result<void> truncate(std::uint64_t size) override {
        auto call = [&] { return ::ftruncate(open_->number, static_cast<off_t>(size)); };
        if (uninterrupted(call) != 0) return refused("ftruncate", path_);
        return {};
    }

    result<void> sync() override { return sync_now(*open_, path_); }

    void sync_later(std::function<void(result<void>)> done) override {
        worker_->sync(open_, path_, std::move(done));
    }

private:
    shared_descriptor open_;
    std::string path_;
    std::shared_ptr<sync_worker> worker_;
};

class posix_lock final : public directory_lock {
public:
    explicit posix_lock(shared_descriptor open) : open_(std::move(open)) {}

private:
    shared_descriptor open_;
};

class posix_disk final : public disk {
public:
    posix_disk(shared_descriptor directory, std::string path, loop& run)
        : directory_(std::move(directory)), path_(std::move(path)),
          worker_(std::make_shared<sync_worker>(run)) {}

    result<std::unique_ptr<directory_lock>> lock() override {
        auto open = open_at(lock_name, O_RDWR | O_CREAT);
        if (!open) return fail(open.error());
        int number = (*open)->number;
        if (uninterrupted([&] { return ::flock(number, LOCK_EX | LOCK_NB); }) != 0) {
            if (errno != EWOULDBLOCK) return refused("flock", at(lock_name));
            std::array<char, 32> owner{};
            ssize_t got = ::pread(number, owner.data(), owner.size(), 0);
            std::string_view pid(owner.data(), got < 0 ? 0 : static_cast<std::size_t>(got));
            pid = pid.substr(0, pid.find('\n'));
            return fail(errc::locked,
                        path_ + ": in use by " +
                            (pid.empty() ? "another process" : "process " + std::string(pid)) +
                            "; a directory belongs to one replica at a time");
        }
        // Only for the message above: the lock holds without it, even on a full disk.
        std::string pid = std::to_string(::getpid()) + "\n";
        if (::ftruncate(number, 0) == 0) {
            [[maybe_unused]] ssize_t written = ::pwrite(number, pid.data(), pid.size(), 0);
        }
        return std::make_unique<posix_lock>(std::move(*open));
    }

    result<directory_facts> facts() override {
        directory_facts out;
        auto found = facts_of(directory_->number, &out.device);
        if (!found) return refused("statx", path_);
        out.machine = machine_id();
        out.inode = found->inode;
        out.birth_ns = found->birth_ns;
        return out;
    }

    result<std::vector<std::string>> list() override {
        int copy = ::openat(directory_->number, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        if (copy < 0) return refused("open", path_);
        std::unique_ptr<DIR, int (*)(DIR*)> stream(::fdopendir(copy), ::closedir);
        if (!stream) {
            auto why = refused("fdopendir", path_);
            ::close(copy);
            return why;
        }
        std::vector<std::string> out;
        errno = 0;
        while (const dirent* entry = ::readdir(stream.get())) {
            std::string name = entry->d_name;
            struct stat found{};
            bool plain = ::fstatat(copy, name.c_str(), &found, AT_SYMLINK_NOFOLLOW) == 0 &&
                         S_ISREG(found.st_mode);
            if (plain && name != lock_name) out.push_back(std::move(name));
            errno = 0;
        }
        if (errno != 0) return refused("readdir", path_);
        std::sort(out.begin(), out.end());
        return out;
    }

    result<std::unique_ptr<file>> create(std::string_view name) override {
        return file_at(name, O_RDWR | O_APPEND | O_CREAT | O_EXCL);
    }

    result<std::unique_ptr<file>> open(std::string_view name) override {
        return file_at(name, O_RDWR | O_APPEND);
    }

    result<void> rename(std::string_view from, std::string_view to) override {
        for (auto name : {from, to}) {
            if (auto good = check_name(name); !good) return good;
        }
        int moved = ::renameat(directory_->number, std::string(from).c_str(), directory_->number,
                               std::string(to).c_str());
        if (moved != 0) return refused("rename to " + std::string(to), at(from));
        return {};
    }

    result<void> remove(std::string_view name) override {
        if (auto good = check_name(name); !good) return good;
        if (::unlinkat(directory_->number, std::string(name).c_str(), 0) != 0) {
            return refused("unlink", at(name));
        }
        return {};
    }

    result<void> sync_directory() override { return sync_now(*directory_, path_); }

    void sync_directory_later(std::function<void(result<void>)> done) override {
        worker_->sync(directory_, path_, std::move(done));
    }

    std::string place() const override { return path_; }

private:
    std::string at(std::string_view name) const { return path_ + "/" + std::string(name); }

    result<void> check_name(std::string_view name) const {
        bool plain = !name.empty() && name != "." && name != ".." &&
                     name.find('/') == std::string_view::npos &&
                     name.find('\0') == std::string_view::npos;
        if (plain) return {};
        return fail(errc::invalid_argument, path_ + ": '" + std::string(name) +
                                                "' is not a plain file name in this directory");
    }

    result<shared_descriptor> open_at(std::string_view name, int flags) {
        if (auto good = check_name(name); !good) return fail(good.error());
        std::string text(name);
        int number = uninterrupted(
            [&] { return ::openat(directory_->number, text.c_str(), flags | O_CLOEXEC, 0640); });
        if (number < 0) return refused((flags & O_CREAT) != 0 ? "create" : "open", at(name));
        return std::make_shared<descriptor>(number);
    }

    result<std::unique_ptr<file>> file_at(std::string_view name, int flags) {
        auto open = open_at(name, flags);
        if (!open) return fail(open.error());
        return std::make_unique<posix_file>(std::move(*open), at(name), worker_);
    }

    static std::string machine_id() {
        descriptor open(::open("/etc/machine-id", O_RDONLY | O_CLOEXEC));
        std::array<char, 64> room{};
        ssize_t got = open.number < 0 ? 0 : ::read(open.number, room.data(), room.size());
        std::string_view text(room.data(), got < 0 ? 0 : static_cast<std::size_t>(got));
        return std::string(text.substr(0, text.find('\n')));
    }

    shared_descriptor directory_;
    std::string path_;
    std::shared_ptr<sync_worker> worker_;
};

// Makes `path` and what is missing above it, each made durable in its parent.
result<void> make_directories(const std::string& path) {
    if (::mkdir(path.c_str(), 0750) == 0 || errno == EEXIST) {
        std::size_t slash = path.find_last_of('/');
        std::string parent = slash == std::string::npos ? "." : path.substr(0, slash + 1);
        descriptor open(::open(parent.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
        // A parent that we may not read is one that we did not make either.
        return open.number < 0 ? result<void>{} : sync_now(open, parent);
    }
    std::size_t slash = path.find_last_of('/');
    if (errno != ENOENT || slash == std::string::npos || slash == 0) {
        return refused("mkdir", path);
    }
    if (auto made = make_directories(path.substr(0, slash)); !made) return made;
    if (::mkdir(path.c_str(), 0750) != 0 && errno != EEXIST) return refused("mkdir", path);
    return make_directories(path);
}

} // namespace

result<std::unique_ptr<disk>> open_posix_disk(std::string directory, loop& run) {
    while (directory.size() > 1 && directory.back() == '/') directory.pop_back();
    if (auto made = make_directories(directory); !made) {
        return fail(made.error().code,
                    made.error().detail + "; give a directory that can be made and written here");
    }
    int number = ::open(directory.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (number < 0) return refused("open", directory);
    return std::make_unique<posix_disk>(std::make_shared<descriptor>(number), std::move(directory),
                                        run);
}

} // namespace weft
