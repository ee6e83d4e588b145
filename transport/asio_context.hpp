#pragma once

namespace boost::asio {
class io_context;
}

namespace weft {

class asio_loop;

// For the sources that put sockets on the loop: those of transport/ and node/. Lives as long as the
// loop.
[[nodiscard]] boost::asio::io_context& context_of(asio_loop& run);

} // namespace weft
