#pragma once
#include "base/env.hpp"
#include "transport/arrivals.hpp"
#include "transport/link.hpp"

#include <map>

namespace weft {

// URL scheme -> transport, filled explicitly by whoever builds the node. Loop thread only.
class transport_registry {
public:
    explicit transport_registry(loop& run) : run_(run) {} // must outlive it

    // For transports whose links share it.
    [[nodiscard]] const std::shared_ptr<arrivals>& arriving() const { return arriving_; }

    // Replaces an earlier one of that scheme.
    void add(std::string scheme, std::unique_ptr<transport> how);

    // invalid_argument, naming the known schemes, if the URL has none of them.
    [[nodiscard]] result<std::unique_ptr<listener>>
    listen(std::string_view url, std::function<void(std::unique_ptr<link>)> on_link);

    // As transport::dial. The same error comes through `done`.
    void dial(std::string_view url, std::uint32_t timeout_ms,
              std::function<void(result<std::unique_ptr<link>>)> done);

    // Whether the URL's scheme is known; the error names the remedy.
    [[nodiscard]] result<void> check(std::string_view url) const;

private:
    [[nodiscard]] result<transport*> find(std::string_view url) const;

    loop& run_;
    std::shared_ptr<arrivals> arriving_ = std::make_shared<arrivals>();
    std::map<std::string, std::unique_ptr<transport>, std::less<>> transports_;
    std::shared_ptr<void> alive_ = std::make_shared<char>(); // what was posted asks for it
};

// The two halves of "scheme:rest" or "scheme://rest"; without a colon the scheme is empty.
[[nodiscard]] std::string_view url_scheme(std::string_view url);
[[nodiscard]] std::string_view url_rest(std::string_view url);

} // namespace weft
