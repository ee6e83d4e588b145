#pragma once
#include "base/result.hpp"

#include <boost/json.hpp>

#include <functional>
#include <initializer_list>
#include <memory>
#include <string>
#include <string_view>
#include <utility>

namespace weft {

// "/v1/objects/a%2Fb?type=set": parts and parameters, percent-encoded; empty parameters are left out.
[[nodiscard]] std::string
target_of(std::initializer_list<std::string_view> path,
          std::initializer_list<std::pair<std::string_view, std::string_view>> query = {});

// Talks to the node that runs in a directory, through its control socket. One thread.
//
//   errors  unreachable: no node runs there, or it went away in between. Else the node's own answer
class client {
public:
    [[nodiscard]] static result<client> connect(const std::string& directory);
    client(client&&) noexcept;
    client& operator=(client&&) noexcept;
    ~client();

    [[nodiscard]] result<boost::json::value> ask(std::string_view method, std::string_view target,
                                                 std::string body = {});
    // GET; gives each line to `take` as it comes, until the node ends the answer or `take` says false.
    [[nodiscard]] result<void> stream(std::string_view target,
                                      const std::function<bool(std::string_view line)>& take);

private:
    struct state;
    explicit client(std::unique_ptr<state> owned);
    std::unique_ptr<state> state_;
};

} // namespace weft
