#pragma once
#include "transport/link.hpp"

#include <map>

namespace weft {

// URL scheme -> transport, filled explicitly by whoever builds the node. Loop thread only.
class transport_registry {
public:
    void add(std::string scheme, std::unique_ptr<transport> how);

    // invalid_argument, naming the known schemes, if the URL has none of them.
    [[nodiscard]] result<std::unique_ptr<listener>>
    listen(std::string_view url, std::function<void(std::unique_ptr<link>)> on_link);
    void dial(std::string_view url, std::uint32_t timeout_ms,
              std::function<void(result<std::unique_ptr<link>>)> done);

    // Whether some transport takes this URL; the error names the remedy.
    [[nodiscard]] result<void> check(std::string_view url) const;

private:
    [[nodiscard]] result<transport*> find(std::string_view url) const;

    std::map<std::string, std::unique_ptr<transport>, std::less<>> transports_;
};

// The host and port, or path, of "scheme:rest" or "scheme://rest".
[[nodiscard]] std::string_view url_scheme(std::string_view url);
[[nodiscard]] std::string_view url_rest(std::string_view url);

} // namespace weft
