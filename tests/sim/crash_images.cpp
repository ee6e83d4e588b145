#include "tests/sim/crash_images.hpp"

#include "base/codec.hpp"
#include "replica/change_codec.hpp"

#include <algorithm>

namespace weft {
namespace {

constexpr std::size_t all_parts_of = 6; // unsynced changes

} // namespace

struct crash_images::moment {
    using directory = sim_directory;

    const directory& now;
    std::uint64_t promised;
    const std::function<void(std::unique_ptr<sim_directory>)>& check;
    std::vector<std::shared_ptr<directory::inode>> inodes; // that some image may show
    std::vector<std::uint64_t> unsynced;                   // changes, in order

    explicit moment(const directory& of, std::uint64_t what,
                    const std::function<void(std::unique_ptr<sim_directory>)>& whom)
        : now(of), promised(what), check(whom) {
        auto add = [this](const std::shared_ptr<directory::inode>& one) {
            if (one && std::find(inodes.begin(), inodes.end(), one) == inodes.end())
                inodes.push_back(one);
        };
        for (const auto& [name, what_there] : now.durable_names_) add(what_there);
        for (const auto& change : now.unsynced_) {
            add(change.put);
            unsynced.push_back(change.number);
        }
        for (const auto& one : inodes) {
            for (const auto& write : one->unsynced) unsynced.push_back(write.number);
        }
        std::sort(unsynced.begin(), unsynced.end());
    }

    [[nodiscard]] bool legal(const std::set<std::uint64_t>& there) const {
        std::set<std::string> gone; // names of changes that did not happen
        for (const auto& change : now.unsynced_) {
            bool needs = gone.contains(change.gone) || gone.contains(change.name);
            if (there.contains(change.number)) {
                if (needs) return false;
            } else {
                for (const auto* name : {&change.gone, &change.name}) {
                    if (!name->empty()) gone.insert(*name);
                }
            }
        }
        for (const auto& one : inodes) {
            bool cut_short = false;
            for (const auto& write : one->unsynced) {
                if (there.contains(write.number) && cut_short) return false;
                bool cuts = write.kind == directory::write_kind::truncate;
                if (!there.contains(write.number) && cuts) cut_short = true;
            }
        }
        return true;
    }
};

void crash_images::each(const sim_directory& now, std::uint64_t promised,
                        const std::function<void(std::unique_ptr<sim_directory>)>& check) {
    moment at(now, promised, check);
    auto all = std::span(at.unsynced);
    std::size_t older = all.size() - std::min(all.size(), all_parts_of);
    auto newest = all.subspan(older);
    for (std::uint64_t part = 0; part < (1U << newest.size()); ++part) {
        std::set<std::uint64_t> there(all.begin(),
                                      all.begin() + static_cast<std::ptrdiff_t>(older));
        for (std::size_t i = 0; i < newest.size(); ++i) {
            if ((part >> i & 1U) != 0) there.insert(newest[i]);
        }
        give(at, there);
    }
    for (std::size_t i = 0; older > 0 && i < samples_; ++i) {
        std::set<std::uint64_t> there;
        double kept = static_cast<double>(i + 1) / static_cast<double>(samples_);
        for (std::uint64_t change : all) {
            if (random_.chance(kept)) there.insert(change);
        }
        give(at, there);
    }
}

void crash_images::give(const moment& at, const std::set<std::uint64_t>& there) {
    if (!at.legal(there)) return;
    give_one(at, there, {}, 0, false);
    std::optional<std::uint64_t> newest;
    std::size_t size = 0;
    for (const auto& one : at.inodes) {
        for (const auto& write : one->unsynced) {
            bool cuts = write.kind == sim_directory::write_kind::truncate;
            if (cuts || !there.contains(write.number)) continue;
            if (newest && *newest > write.number) continue;
            newest = write.number;
            size = write.data.size();
        }
    }
    for (std::size_t torn_at : {std::size_t{1}, std::size_t{20}, size / 2, size - 1}) {
        if (!newest || torn_at >= size) continue;
        give_one(at, there, newest, torn_at, false);
        give_one(at, there, newest, torn_at, true); // the new size was durable before the bytes
    }
}

void crash_images::give_one(const moment& at, const std::set<std::uint64_t>& there,
                            std::optional<std::uint64_t> torn, std::size_t torn_at, bool zeros) {
    auto names = at.now.durable_names_;
    for (const auto& change : at.now.unsynced_) {
        if (there.contains(change.number)) sim_directory::perform(names, change);
    }
    auto image = std::make_unique<sim_directory>(at.now.facts_, at.now.place_);
    byte_writer looks;
    looks.u64(at.promised);
    for (const auto& [name, what] : names) {
        bytes content = what->durable;
        std::size_t end = content.size(); // of the file as it was written
        for (const auto& write : what->unsynced) {
            bool is_there = there.contains(write.number);
            if (write.kind == sim_directory::write_kind::truncate) {
                end = static_cast<std::size_t>(write.at);
                if (is_there) content.resize(end);
                continue;
            }
            bool appends = write.kind == sim_directory::write_kind::append;
            std::size_t offset = appends ? end : static_cast<std::size_t>(write.at);
            std::size_t size = torn == write.number ? torn_at : write.data.size();
            if (is_there) {
                content.resize(
                    std::max(content.size(), offset + (zeros ? write.data.size() : size)));
                std::copy_n(write.data.begin(), size,
                            content.begin() + static_cast<std::ptrdiff_t>(offset));
            }
            if (appends) end += write.data.size();
        }
        looks.text(name);
        looks.u64(what->number);
        looks.varint(content.size());
        looks.raw(content);
        image->overwrite(name, std::move(content));
        image->names_[name]->number = what->number;
    }
    image->next_inode_ = at.now.next_inode_;
    if (!seen_.insert(static_cast<std::uint64_t>(hash_of(looks.view()))).second) return;
    at.check(std::move(image));
}

} // namespace weft
