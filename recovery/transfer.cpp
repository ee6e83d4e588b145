#include "recovery/transfer.hpp"

#include "base/check.hpp"
#include "recovery/snapshot.hpp"
#include "replica/state_join.hpp"
#include "replica/state_release.hpp"

#include <array>
#include <utility>

namespace weft {
namespace {

// Joined between two looks at other work.
constexpr std::size_t join_entries = 4'000;

std::optional<transfer_ref> parse_transfer_name(std::string_view name) {
    if (name.size() != 63 || !name.starts_with("transfer-") || !name.ends_with(".new")) return {};
    std::array<std::uint64_t, 3> numbers{};
    for (std::size_t i = 0; i < 3; ++i) {
        auto digits = parse_replica_id(name.substr(9 + 17 * i, 16)); // the same 16 digits
        if (!digits || (i < 2 && name[25 + 17 * i] != '-')) return std::nullopt;
        numbers[i] = static_cast<std::uint64_t>(*digits);
    }
    return transfer_ref{replica_id{numbers[0]}, {log_index{numbers[1]}, numbers[2]}};
}

class transfer_files final : public transfer_store {
public:
    transfer_files(disk& files, loop& run, std::string cluster,
                   std::optional<staged_transfer> staged)
        : files_(files), run_(run), cluster_(std::move(cluster)), staged_(staged) {}

    std::optional<staged_transfer> staged() const override { return staged_; }

    result<void> append(const transfer_ref& what, std::uint64_t offset, byte_view data) override {
        if (job_) return fail(errc::io_failed, "the state before is still being joined");
        if (offset == 0) {
            if (auto gone = discard(); !gone) return gone;
            auto made = files_.create(transfer_name(what));
            if (!made) return fail(made.error());
            file_ = std::move(*made);
            staged_ = staged_transfer{what, 0};
        }
        WEFT_CHECK(staged_ && staged_->what == what && staged_->bytes == offset);
        if (auto opened = open(); !opened) return opened;
        if (auto written = file_->append(data); !written) {
            (void)file_->truncate(staged_->bytes);
            return written;
        }
        staged_->bytes += data.size();
        return {};
    }

    void join_later(state_image mine, std::function<void(result<joined_state>)> done) override {
        WEFT_CHECK(!job_);
        job_.emplace();
        job_->mine = std::move(mine);
        job_->done = std::move(done);
        go_on([this] { begin(); });
    }

    result<void> discard() override {
        if (!staged_) return {};
        file_.reset();
        auto removed = files_.remove(transfer_name(staged_->what));
        if (removed) staged_.reset();
        return removed;
    }

private:
    struct job {
        state_image mine;
        std::function<void(result<joined_state>)> done;
        std::unique_ptr<snapshot_source> source;
        state_image theirs;
        version_vector seen; // by them
        std::unique_ptr<state_join> join;
    };

    result<void> open() {
        if (file_) return {};
        auto opened = files_.open(transfer_name(staged_->what));
        if (!opened) return fail(opened.error());
        file_ = std::move(*opened);
        return {};
    }

    void go_on(std::function<void()> with) {
        run_.post([alive = std::weak_ptr(alive_), with = std::move(with)] {
            if (!alive.expired()) with();
        });
    }

    void begin() {
        if (!staged_ || staged_->bytes != staged_->what.snapshot.size) // a piece could not be kept
            return finish(fail(errc::io_failed, "a piece of the state is missing here"));
        if (auto opened = open(); !opened) return finish(fail(opened.error()));
        job_->source = std::make_unique<snapshot_source>(
            *file_, files_.place() + "/" + transfer_name(staged_->what), staged_->what.snapshot.at);
        auto header = job_->source->header(cluster_);
        if (!header) return finish(fail(header.error()));
        job_->theirs.header = std::move(*header);
        job_->seen = job_->theirs.header.vector();
        load();
    }

    void load() {
        auto more = job_->source->next([this](image_part&& part) -> result<void> {
            bool unseen = false;
            part.fragment.for_each_dot([&](dot d) { unseen = unseen || !job_->seen.covers(d); });
            if (unseen) {
                return fail(errc::log_damaged, "the state that came holds operations beyond the "
                                               "vector that it states");
            }
            job_->theirs.objects.load(part.path, part.type, std::move(part.fragment));
            return {};
        });
        if (!more) return finish(fail(more.error()));
        if (*more) return go_on([this] { load(); });
        const image_header& stated = job_->theirs.header;
        const keyspace& objects = job_->theirs.objects;
        if (objects.digest() != stated.digest || objects.objects() != stated.objects) {
            return finish(fail(errc::log_damaged,
                               "the state that came is not the one that it states: digest " +
                                   to_string(objects.digest()) + ", stated " +
                                   to_string(stated.digest)));
        }
        auto header = join_headers(job_->mine.header, stated);
        if (!header) return finish(fail(header.error()));
        job_->join = std::make_unique<state_join>(
            state_join::side{std::exchange(job_->mine.objects, {}), job_->mine.header.vector()},
            state_join::side{std::exchange(job_->theirs.objects, {}), std::move(job_->seen)});
        job_->mine.header = std::move(*header);
        join();
    }

    void join() {
        job_->join->step(join_entries);
        if (!job_->join->done()) return go_on([this] { join(); });
        joined_state out;
        out.changed = job_->join->changed();
        out.newest = job_->theirs.header.newest;
        out.image.objects = job_->join->take();
        out.image.header = std::move(job_->mine.header);
        out.image.header.objects = out.image.objects.objects();
        out.image.header.digest = out.image.objects.digest();
        finish(std::move(out));
    }

    void finish(result<joined_state> outcome) {
        auto done = std::move(job_->done);
        for (state_image* one : {&job_->mine, &job_->theirs})
            release_later(run_, std::move(one->objects));
        if (job_->join) {
            for (keyspace& side : job_->join->take_sides()) release_later(run_, std::move(side));
        }
        job_.reset();
        done(std::move(outcome));
    }

    disk& files_;
    loop& run_;
    std::string cluster_;
    std::optional<staged_transfer> staged_;
    std::unique_ptr<file> file_;
    std::optional<job> job_;
    std::shared_ptr<bool> alive_ = std::make_shared<bool>(true); // guards what is posted
};

} // namespace

std::string transfer_name(const transfer_ref& what) {
    return "transfer-" + to_string(what.from) + "-" +
           to_hex(static_cast<std::uint64_t>(what.snapshot.at)) + "-" + to_hex(what.snapshot.size) +
           ".new";
}

result<std::unique_ptr<transfer_store>> open_transfers(disk& files, loop& run,
                                                       std::string cluster) {
    auto names = files.list();
    if (!names) return fail(names.error());
    std::optional<staged_transfer> staged;
    for (const std::string& name : *names) {
        auto what = parse_transfer_name(name);
        if (!what) continue;
        auto opened = files.open(name);
        if (!opened) return fail(opened.error());
        auto size = (*opened)->size();
        if (!size) return fail(size.error());
        if (!staged && *size > 0 && *size <= what->snapshot.size) {
            staged = staged_transfer{*what, *size};
        } else if (auto removed = files.remove(name); !removed) {
            return fail(removed.error());
        }
    }
    return std::make_unique<transfer_files>(files, run, std::move(cluster), staged);
}

} // namespace weft
