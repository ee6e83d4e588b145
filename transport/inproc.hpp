#pragma once
#include "base/env.hpp"
#include "transport/link.hpp"

namespace weft {

// Where the `inproc:` listeners of a process are found by name. Any thread.
class inproc_hub {
public:
    inproc_hub();
    ~inproc_hub();
    inproc_hub(const inproc_hub&) = delete;
    inproc_hub& operator=(const inproc_hub&) = delete;

private:
    friend class inproc_transport;
    struct state;
    std::shared_ptr<state> state_;
};

// Links inside one process, `inproc:name`, between replicas on one loop or on several, real or
// simulated: all that happens is tasks posted to the two loops. Both outlive what is made here.
[[nodiscard]] std::unique_ptr<transport> make_inproc_transport(loop& run, inproc_hub& hub);

} // namespace weft
