#include "node/commands.hpp"

namespace weft {

int run(const delete_command& given) { return run_operation(given.to, "delete", {}); }

} // namespace weft
