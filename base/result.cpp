#include "base/result.hpp"

#include <utility>

namespace weft {

std::string_view to_string(errc code) {
    switch (code) {
        case errc::invalid_argument: return "invalid_argument";
        case errc::over_limit: return "over_limit";
        case errc::wrong_type: return "wrong_type";
        case errc::not_found: return "not_found";
        case errc::outdated: return "outdated";
        case errc::bound_exceeded: return "bound_exceeded";
        case errc::nested_transaction: return "nested_transaction";
        case errc::aborted: return "aborted";
        case errc::closed: return "closed";
        case errc::over_budget: return "over_budget";
        case errc::timed_out: return "timed_out";
        case errc::bad_frame: return "bad_frame";
        case errc::bad_message: return "bad_message";
        case errc::bad_run: return "bad_run";
        case errc::dot_reused: return "dot_reused";
        case errc::duplicate_replica: return "duplicate_replica";
        case errc::wrong_cluster: return "wrong_cluster";
        case errc::incompatible: return "incompatible";
        case errc::clock_ahead: return "clock_ahead";
        case errc::unreachable: return "unreachable";
        case errc::link_lost: return "link_lost";
        case errc::io_failed: return "io_failed";
        case errc::disk_full: return "disk_full";
        case errc::log_damaged: return "log_damaged";
        case errc::locked: return "locked";
    }
    return "unknown";
}

reaction reaction_to(errc code) {
    switch (code) {
        case errc::invalid_argument:
        case errc::over_limit:
        case errc::wrong_type:
        case errc::not_found:
        case errc::outdated:
        case errc::bound_exceeded:
        case errc::nested_transaction:
        case errc::aborted:
        case errc::closed: return reaction::correct_call;
        case errc::over_budget:
        case errc::timed_out:
        case errc::disk_full: return reaction::retry;
        case errc::unreachable:
        case errc::link_lost: return reaction::reconnect;
        case errc::bad_frame:
        case errc::bad_message:
        case errc::bad_run:
        case errc::dot_reused:
        case errc::wrong_cluster:
        case errc::incompatible:
        case errc::clock_ahead: return reaction::drop_session;
        case errc::duplicate_replica:
        case errc::io_failed:
        case errc::log_damaged:
        case errc::locked: return reaction::stop_replica;
    }
    return reaction::stop_replica;
}

std::string to_string(const error& failure) {
    return std::string(to_string(failure.code)) + ": " + failure.detail;
}

tl::unexpected<error> fail(errc code, std::string detail) {
    return tl::unexpected<error>(error{code, std::move(detail)});
}

tl::unexpected<error> fail(error failure) { return tl::unexpected<error>(std::move(failure)); }

} // namespace weft
