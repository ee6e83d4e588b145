#pragma once
#include "base/limits.hpp"
#include "node/api.hpp"

#include <memory>
#include <string>

namespace weft {

// HTTP/1.1 on the control socket, for the owner of the directory only (mode 0600), and if wanted on
// TCP, loopback only. One thread of its own; connections, headers, bodies and what a watcher has not
// taken are bounded by base/limits.hpp.
//
//   TCP      answers only requests whose Host is this machine and that no web page of another site
//            sent (no Origin): a browser on the machine is not a way in
//   closing  destroy it after the replica was closed: then nothing waits for it any more
class http_server {
public:
    struct places {
        std::string control_path; // what lies there is replaced: the caller holds the directory
        std::string tcp;          // "127.0.0.1:7480", "[::1]:0"; empty for none
        std::size_t bytes_max = limits::buffer_share(limits::buffer_bytes_max);
    };
    // invalid_argument: not a loopback address, or a path over 107 bytes. io_failed: in use, no right
    [[nodiscard]] static result<std::unique_ptr<http_server>> open(api& routes,
                                                                   const places& where);
    ~http_server();

    [[nodiscard]] std::string tcp_url() const; // with the port really bound; empty without TCP

private:
    struct state;
    explicit http_server(std::unique_ptr<state> owned);
    std::unique_ptr<state> state_;
};

// The bytes that a path of a Unix socket may have.
inline constexpr std::size_t socket_path_bytes_max = 107;
[[nodiscard]] result<void> check_socket_path(const std::string& path);

} // namespace weft
