#include "node/commands.hpp"

namespace weft {

int run(const add_command& given) {
    return run_operation(given.to, "add",
                         {{"members", values_given(given.members, given.to.as_string)}});
}

} // namespace weft
