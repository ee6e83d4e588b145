#include "node/commands.hpp"

namespace weft {

int run(const put_command& given) {
    return run_operation(
        given.to, "put",
        {{"field", given.field}, {"value", value_given(given.value, given.to.as_string)}});
}

} // namespace weft
