#include "tests/fuzz/targets.hpp"

#include <cstddef>
#include <cstdint>

// One target as a libFuzzer program; the build names it in WEFT_FUZZ_TARGET.
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    weft::fuzz::WEFT_FUZZ_TARGET({reinterpret_cast<const std::byte*>(data), size});
    return 0;
}
