#pragma once
#include "replica/keyspace.hpp"
#include "replica/transaction.hpp"

#include <boost/json.hpp>

#include <initializer_list>
#include <string_view>
#include <vector>

namespace weft {

// Writes whose types are known at run time only: what the HTTP interface does inside a transaction.
//
//   type    the one asked for; else that of the object that is there, if it takes the operation; else
//           what the operation makes by itself: a register, a counter, a set of the members' kind
//   errors  wrong_type if only objects that do not take the operation are there: it would silently
//           make a second object beside them; those of the library's handles
class json_writer {
public:
    json_writer(transaction& change, const keyspace& state) : change_(change), state_(state) {}

    // One operation of POST /v1/ops; answers what it has to say: a counter's new value, else null.
    result<boost::json::value> apply(const boost::json::value& operation);

    // A map under `key` with what `fields` say: registers, nested maps, and sets for arrays of scalars.
    // Fields and elements that are there and not named stay.
    result<void> put_fields(std::string_view key, const boost::json::object& fields);

private:
    using path_type = std::vector<std::string_view>;

    [[nodiscard]] result<type_id>
    choose(const path_type& path, std::initializer_list<type_kind> taking, type_id otherwise) const;
    result<void> write(const path_type& path, type_id type, action what, value argument = {},
                       std::int64_t amount = 0);
    result<void> set(const path_type& path, value content, std::optional<type_id> asked);
    result<void> members(const path_type& path, const boost::json::array& members, action what,
                         std::optional<type_id> asked);
    result<boost::json::value> increment(const path_type& path,
                                         const boost::json::object& operation,
                                         std::optional<type_id> asked);
    result<void> transfer(const path_type& path, const boost::json::object& operation);
    result<void> increment_bounded(std::string_view key, const boost::json::object& operation,
                                   std::int64_t by);
    result<void> remove(const path_type& path, std::optional<type_id> asked);
    result<void> fields_below(path_type& path, const boost::json::object& fields);

    transaction& change_;
    const keyspace& state_;
};

} // namespace weft
