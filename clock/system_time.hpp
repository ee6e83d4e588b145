#pragma once
#include "base/env.hpp"

namespace weft {

class system_time final : public time_source { // the machine's clocks; any thread
public:
    [[nodiscard]] instant now() override;
    [[nodiscard]] std::uint64_t wall_ms() override;
};

class system_random final : public random_source { // the operating system's generator; any thread
public:
    [[nodiscard]] std::uint64_t draw() override;
};

} // namespace weft
