#include "node/commands.hpp"

namespace weft {

int run(const set_command& given) {
    return run_operation(given.to, "set",
                         {{"value", value_given(given.value, given.to.as_string)}});
}

} // namespace weft
