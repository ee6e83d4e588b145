#pragma once
#include "transport/link.hpp"

#include <functional>
#include <memory>
#include <string>
#include <vector>

namespace weft::tests {

// A transport under test and the loop that it lives on, which the test turns by hand.
class link_rig {
public:
    virtual ~link_rig() = default;

    [[nodiscard]] virtual std::unique_ptr<transport> make_transport() = 0;
    [[nodiscard]] virtual std::string free_url() = 0; // to listen at
    [[nodiscard]] virtual std::string deaf_url() = 0; // well formed, but nobody listens there
    [[nodiscard]] virtual std::vector<std::string> malformed_urls() = 0;

    // Runs one task of the loop. Waits for one, for seconds; false if none came.
    [[nodiscard]] virtual bool turn() = 0;
};

using rig_maker = std::function<std::unique_ptr<link_rig>()>;

// Adds what every transport must do as the test suite `name`, each claim with a rig of its own. Call
// it from the initializer of a namespace-scope constant.
bool register_link_suite(const std::string& name, rig_maker make);

// Turns the loop until `reached`; fails the test if that never comes.
void turn_until(link_rig& rig, const std::function<bool()>& reached);

// A link, and what its handlers were told.
struct recorded_link {
    explicit recorded_link(std::unique_ptr<link> which) : own(std::move(which)) {}
    void start();

    std::unique_ptr<link> own;
    std::vector<bytes> frames;
    std::size_t drained = 0;
    std::vector<error> closed;
};

// Two replicas, one link.
struct linked_pair {
    linked_pair(link_rig& rig, transport& how, const std::string& listen_url);

    std::unique_ptr<listener> accepting;
    std::unique_ptr<recorded_link> dialed;
    std::unique_ptr<recorded_link> accepted;
};

} // namespace weft::tests
