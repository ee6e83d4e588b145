#include "clock/system_time.hpp"

#include "base/check.hpp"

#include <ctime>
#include <sys/random.h>

namespace weft {
namespace {

std::int64_t read_ns(clockid_t which) {
    timespec reading{};
    WEFT_CHECK(clock_gettime(which, &reading) == 0);
    return static_cast<std::int64_t>(reading.tv_sec) * 1'000'000'000 + reading.tv_nsec;
}

} // namespace

instant system_time::now() { return {read_ns(CLOCK_MONOTONIC)}; }

std::uint64_t system_time::wall_ms() {
    return static_cast<std::uint64_t>(read_ns(CLOCK_REALTIME) / 1'000'000);
}

std::uint64_t system_random::draw() {
    std::uint64_t number = 0;
    WEFT_CHECK(getrandom(&number, sizeof number, 0) == sizeof number);
    return number;
}

} // namespace weft
