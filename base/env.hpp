#pragma once
#include "base/bytes.hpp"
#include "base/result.hpp"

#include <compare>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

// The doors: everything outside a replica, as five narrow interfaces that are borrowed for its
// lifetime. Above them nothing reads a clock, draws a number, touches a file or waits. The real
// ones live with their topic (clock/system_time, recovery/posix_disk, transport/asio_loop),
// simulated ones in tests/sim.
namespace weft {

// A reading of the monotonic clock. Meaningful only within one process.
struct instant {
    std::int64_t ns = 0;

    auto operator<=>(const instant&) const = default;
    [[nodiscard]] instant after_ms(std::int64_t ms) const { return {ns + ms * 1'000'000}; }
    [[nodiscard]] std::int64_t ms_since(instant earlier) const {
        return (ns - earlier.ns) / 1'000'000;
    }
    static constexpr instant never() { return {INT64_MAX}; }
};

class time_source {
public:
    virtual ~time_source() = default;
    [[nodiscard]] virtual instant now() = 0;           // monotonic
    [[nodiscard]] virtual std::uint64_t wall_ms() = 0; // Unix milliseconds; may jump
};

class random_source {
public:
    virtual ~random_source() = default;
    [[nodiscard]] virtual std::uint64_t draw() = 0; // for seeds and ids; nothing else draws
};

// Which file this is, whatever its name and contents: a copy of it is another.
struct file_facts {
    std::uint64_t inode = 0;
    std::int64_t birth_ns = 0; // 0 if the file system keeps none

    bool operator==(const file_facts&) const = default;
};

// An open file of a `disk`. One thread at a time.
class file {
public:
    virtual ~file() = default;
    // All of `data` or an error; after an error the end of the file is unspecified.
    [[nodiscard]] virtual result<void> append(byte_view data) = 0;
    // Writes over bytes that are there already; after an error each of them is the old or the new one.
    [[nodiscard]] virtual result<void> overwrite(std::uint64_t offset, byte_view data) = 0;
    // Up to `size` bytes from `offset`; fewer only at the end of the file.
    [[nodiscard]] virtual result<bytes> read(std::uint64_t offset, std::size_t size) = 0;
    [[nodiscard]] virtual result<std::uint64_t> size() = 0;
    [[nodiscard]] virtual result<file_facts> facts() = 0;
    [[nodiscard]] virtual result<void> truncate(std::uint64_t size) = 0;
    // Returns when all that was written before is durable. Once one has failed, every later one fails too:
    // what was lost is not known. Through a file that is opened anew a sync succeeds again, and says nothing
    // of what was written before: that is durable only if it is written again.
    [[nodiscard]] virtual result<void> sync() = 0;
    // The same without waiting; `done` is called once, on the loop. At most one runs at a time per
    // file; the file stays open until `done` was called.
    virtual void sync_later(std::function<void(result<void>)> done) = 0;
};

class directory_lock { // held until destroyed
public:
    virtual ~directory_lock() = default;
};

// Where a directory lies; any difference between two starts means that it was copied or restored.
struct directory_facts {
    std::string machine;       // the operating system's machine id; empty if it has none
    std::uint64_t device = 0;  // of the identity file's file system
    std::uint64_t inode = 0;   // of the directory
    std::int64_t birth_ns = 0; // of the directory; 0 if the file system keeps none

    bool operator==(const directory_facts&) const = default;
};

// One replica's directory. Names are plain file names in it.
class disk {
public:
    virtual ~disk() = default;
    [[nodiscard]] virtual result<std::unique_ptr<directory_lock>> lock() = 0;
    [[nodiscard]] virtual result<directory_facts> facts() = 0;
    [[nodiscard]] virtual result<std::vector<std::string>> list() = 0; // sorted
    [[nodiscard]] virtual result<std::unique_ptr<file>>
    create(std::string_view name) = 0; // must not exist
    [[nodiscard]] virtual result<std::unique_ptr<file>>
    open(std::string_view name) = 0; // must exist
    [[nodiscard]] virtual result<void> rename(std::string_view from,
                                              std::string_view to) = 0; // replaces
    [[nodiscard]] virtual result<void> remove(std::string_view name) = 0;
    // Makes create, rename and remove durable.
    [[nodiscard]] virtual result<void> sync_directory() = 0;
    // The same without waiting; `done` is called once, on the loop.
    virtual void sync_directory_later(std::function<void(result<void>)> done) = 0;
    [[nodiscard]] virtual std::string place() const = 0; // the directory's path, for messages
};

class timer { // calls its function once per `set`, on the loop; destroying it cancels
public:
    virtual ~timer() = default;
    virtual void set(instant when) = 0; // replaces an earlier time
    virtual void cancel() = 0;
};

class loop {
public:
    virtual ~loop() = default;
    virtual void post(std::function<void()> task) = 0; // from any thread; tasks run in order
    [[nodiscard]] virtual std::unique_ptr<timer> make_timer(std::function<void()> task) = 0;
    [[nodiscard]] virtual bool in_loop_thread() const = 0;
};

enum class severity : std::uint8_t { debug, info, warning, error };

struct log_event {
    severity level = severity::info;
    std::string what; // stable, for programs: "session.blocked"
    std::string text; // for people: where, why, remedy
};

class event_sink { // one stream for logs, metrics and the traces that tests compare
public:
    virtual ~event_sink() = default;
    virtual void on(const log_event& event) = 0;
};

struct env {
    time_source& time;
    random_source& random;
    disk& files;
    loop& run;
    event_sink& events;
};

} // namespace weft
