#include "replica/state_release.hpp"

#include <memory>
#include <utility>

namespace weft {
namespace {

constexpr std::size_t entries_a_turn = 4'000;

void release_some(loop& run, const std::shared_ptr<keyspace>& old) {
    if (old->release(entries_a_turn)) return;
    run.post([&run, old] { release_some(run, old); });
}

} // namespace

void release_later(loop& run, keyspace old) {
    release_some(run, std::make_shared<keyspace>(std::move(old)));
}

} // namespace weft
