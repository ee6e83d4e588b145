#pragma once
#include "transport/arrivals.hpp"
#include "transport/asio_loop.hpp"
#include "transport/link.hpp"

namespace weft {

// Links over stream sockets. The loop outlives what is made here.
//
//   tcp://host:port   a name, an IPv4 address or an IPv6 one in brackets; listening at port 0 takes
//                     a free one, at 0.0.0.0 or [::] every interface. Nothing is encrypted.
//   unix:/path        a socket file, at most 107 bytes of path. A file that a dead process left is
//                     replaced; it is removed with the listener.
[[nodiscard]] std::unique_ptr<transport> make_tcp_transport(asio_loop& run,
                                                            std::shared_ptr<arrivals> arriving);
[[nodiscard]] std::unique_ptr<transport> make_unix_transport(asio_loop& run,
                                                             std::shared_ptr<arrivals> arriving);

} // namespace weft
