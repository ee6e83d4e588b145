#include "node/commands.hpp"

namespace weft {

int run(const remove_command& given) {
    return run_operation(given.to, "remove",
                         {{"members", values_given(given.members, given.to.as_string)}});
}

} // namespace weft
