#include "base/check.hpp"
#include "base/limits.hpp"
#include "replica/core.hpp"
#include "replica/state_image.hpp"

// A local change: it begins, takes operations, and ends or is rolled back.
namespace weft {
namespace {

// The largest value of an operation that a caller may give, and text that is text.
result<void> check_value(const operation& op) {
    const value& v = op.argument;
    if (v.is_absent() && op.what != action::resolve)
        return fail(errc::invalid_argument, "no value; remove it instead");
    if (op.what == action::resolve && (op.extra == nullptr || !is_utf8(op.extra->who) ||
                                       op.extra->who.size() > limits::who_bytes_max)) {
        return fail(errc::invalid_argument, "who resolves it is said in at most " +
                                                std::to_string(limits::who_bytes_max) +
                                                " bytes of UTF-8");
    }
    if (v.content_bytes() > limits::value_bytes_max) {
        return fail(errc::over_limit, "value of " + std::to_string(v.content_bytes()) +
                                          " bytes, limit " +
                                          std::to_string(limits::value_bytes_max));
    }
    if (auto text = v.as_text(); text && !is_utf8(*text)) {
        return fail(errc::invalid_argument, "text that is not UTF-8; store it as bytes");
    }
    return {};
}

result<void> check_path(std::span<const std::string_view> path) {
    if (path.size() > 1 + limits::map_depth_max) {
        return fail(errc::over_limit, "map nested " + std::to_string(path.size() - 1) +
                                          " deep, limit " + std::to_string(limits::map_depth_max));
    }
    for (std::string_view name : path) {
        if (name.empty()) return fail(errc::invalid_argument, "empty key or field");
        if (name.size() > limits::key_bytes_max) {
            return fail(errc::over_limit, "key or field of " + std::to_string(name.size()) +
                                              " bytes, limit " +
                                              std::to_string(limits::key_bytes_max));
        }
        if (!is_utf8(name)) return fail(errc::invalid_argument, "key or field that is not UTF-8");
    }
    return {};
}

bool adds_state(action what) {
    return what != action::remove && what != action::remove_element && what != action::reset &&
           what != action::transfer && what != action::retract && what != action::resolve;
}

std::string joined_path(std::span<const std::string_view> path) {
    std::string out;
    for (std::string_view part : path) out += (out.empty() ? "" : "/") + std::string(part);
    return out;
}

// The live counters at and below a path: what a removal must reset by name.
void find_counters(const object& here, type_id type, std::vector<std::string_view>& path,
                   std::vector<std::pair<std::vector<std::string_view>, type_id>>& out) {
    if (const auto* rows = std::get_if<counter_store>(&here.data())) {
        if (rows->live()) out.emplace_back(path, type);
    } else if (const auto* map = std::get_if<map_store>(&here.data())) {
        for (const auto& child : map->children()) {
            path.push_back(child.key.name());
            find_counters(child.value, child.key.type(), path, out);
            path.pop_back();
        }
    }
}

} // namespace

result<void> core::begin_change(std::uint64_t wall_ms) {
    if (in_change_) return fail(errc::nested_transaction, "a transaction is already open");
    if (disk_full_) {
        return fail(errc::disk_full, "no space for the log; free some, then writes work again");
    }
    if (next_counter_ == 1 && knows_all_ids()) {
        return fail(errc::over_limit, "nothing can be written under the new id " + to_string(id_) +
                                          ": " + too_many_origins().detail +
                                          "; peers' changes are taken, and reads go on");
    }
    change_stamp_ = clock_.stamp(wall_ms);
    if (open_run_.empty()) open_run_first_ = next_counter_;
    std::vector<version_vector::entry> grown = applied_.above(stated_dependencies_);
    std::erase_if(grown, [this](const auto& e) { return e.replica == id_; });
    stated_before_ = stated_dependencies_;
    for (const auto& e : grown) stated_dependencies_.advance(e.replica, e.counter);
    open_run_.begin_change(change_stamp_, grown);
    change_first_ = next_counter_;
    in_change_ = true;
    return {};
}

result<void> core::apply(operation&& op) {
    WEFT_CHECK(in_change_ && !op.path.empty());
    auto where = [&] { return to_string(op.type) + " '" + joined_path(op.path) + "': "; };
    if (auto good = check_path(op.path); !good) return good;
    if (auto good = check_value(op); !good)
        return fail(good.error().code, where() + good.error().detail);
    if (!applies_to(op.what, op.type.kind)) {
        bool for_ever = op.type.kind == type_kind::bounded_counter && op.what == action::remove;
        return fail(errc::wrong_type,
                    where() + (for_ever ? "a bounded counter is never removed"
                                        : "does not know " + std::string(to_string(op.what))));
    }
    bool needs_spec = op.type.kind == type_kind::bounded_counter;
    if (needs_spec && op.extra == nullptr) {
        return fail(errc::invalid_argument,
                    where() + "the counter's bound and creator are missing");
    }
    if (is_set(op.type.kind)
            ? op.type.element < element_kind::boolean || op.type.element > element_kind::any
            : op.type.element != element_kind::any) {
        return fail(errc::wrong_type, where() + "no such type: its element kind is not one of it");
    }
    if (op.type.kind == type_kind::bounded_counter && op.path.size() > 1) {
        return fail(errc::invalid_argument, where() + "a bounded counter cannot be in a map");
    }
    if (is_set(op.type.kind) && op.what != action::remove &&
        !admits(op.type.element, op.argument)) {
        return fail(errc::wrong_type, where() + "an element of kind " +
                                          std::string(to_string(op.argument.kind())) +
                                          " does not fit");
    }
    if (adds_state(op.what) && state_.state_bytes() > options_.state_bytes_max) {
        return fail(errc::over_budget,
                    where() + "the state holds " + std::to_string(state_.state_bytes()) +
                        " bytes, its limit is " + std::to_string(options_.state_bytes_max) +
                        "; remove something or raise the limit");
    }
    auto room_for_one = [&]() -> result<void> {
        if (open_run_.change_operations() < limits::change_operations_max &&
            open_run_.change_bytes() < limits::change_bytes_max - limits::value_bytes_max * 2) {
            return {};
        }
        return fail(errc::over_limit, "a transaction holds at most " +
                                          std::to_string(limits::change_operations_max) +
                                          " operations and about 6 MiB; split it");
    };
    bool blind = op.what == action::write || op.what == action::enable ||
                 op.what == action::disable || op.what == action::add ||
                 op.what == action::retract || op.what == action::resolve;
    if (blind) {
        if (auto room = room_for_one(); !room) return room;
        if (!subscribers_.empty()) change_objects_.push_back(describe(op));
        open_run_.add(op);
        pending_.add(std::move(op), open_run_.path());
        ++next_counter_;
        return {};
    }
    apply_pending(&undo_);
    auto apply_one = [&](const operation& one) -> result<void> {
        if (auto room = room_for_one(); !room) return room;
        open_run_.add(one);
        dot at{id_, next_counter_};
        contested found = state_.apply(one, at, change_stamp_, applied_, &undo_);
        if (may_touch(one, found)) touch(one, at, change_stamp_, found);
        ++next_counter_;
        if (!subscribers_.empty()) change_objects_.push_back(describe(one));
        return {};
    };
    const object* there = state_.find_record(op.path, op.type);
    switch (op.what) {
        case action::increment:
            if (op.type.kind == type_kind::bounded_counter) {
                if (there == nullptr) return fail(errc::not_found, where() + "not created yet");
                auto allowed = there->as<bounded_store>().check_add(id_, op.extra->spec, op.amount);
                if (!allowed) return fail(allowed.error().code, where() + allowed.error().detail);
            } else {
                if (op.type.kind == type_kind::grow_counter && op.amount < 0) {
                    return fail(errc::invalid_argument, where() + "cannot fall");
                }
                if (there != nullptr && there->as<counter_store>().would_overflow(id_, op.amount)) {
                    return fail(errc::over_limit,
                                where() + "this replica's sum would leave 64 bits");
                }
            }
            return apply_one(op);
        case action::create:
            if (op.extra->spec.creator != id_ || !op.extra->spec.valid() ||
                op.extra->spec.initial_rights() > std::uint64_t{1} << 62U) {
                return fail(errc::invalid_argument,
                            where() + "starts beyond its bound or too far from it");
            }
            // Made here already, perhaps by another thread: a second creation would mint its rights again.
            if (there != nullptr && there->as<bounded_store>().find(op.extra->spec) != nullptr)
                return {};
            return apply_one(op);
        case action::transfer: {
            if (there == nullptr) return fail(errc::not_found, where() + "not created yet");
            auto allowed = there->as<bounded_store>().check_transfer(
                id_, op.extra->spec, op.amount <= 0 ? 0 : static_cast<std::uint64_t>(op.amount));
            if (!allowed) return fail(allowed.error().code, where() + allowed.error().detail);
            return apply_one(op);
        }
        case action::remove_element:
            // An add-wins set keeps no mark, so removing what is not there says nothing.
            if (op.type.kind == type_kind::add_wins_set &&
                (there == nullptr ||
                 there->as<add_wins_store<value>>().find(op.argument) == nullptr)) {
                return {};
            }
            return apply_one(op);
        case action::reset:
        case action::remove: {
            if (there == nullptr) return {};
            std::vector<owned_place> kept;
            if (conflicts_.rules().any_keeps_removes()) {
                std::vector<std::string> at(op.path.begin(), op.path.end());
                find_kept(*there, op.type, at, kept);
                // A register leaves its mark, and a map those of the registers in it, once it is gone.
                if (keeps_removes(op.path, op.type)) return retract(kept);
            }
            std::vector<std::string_view> path(op.path.begin(), op.path.end());
            std::vector<std::pair<std::vector<std::string_view>, type_id>> counters;
            find_counters(*there, op.type, path, counters);
            for (const auto& [at, type] : counters) {
                operation reset;
                reset.path = at;
                reset.type = type;
                reset.what = action::reset;
                reset.extra = std::make_unique<operation_extra>();
                reset.extra->rows = state_.find_record(at, type)->as<counter_store>().reset();
                if (auto done = apply_one(reset); !done) return done;
            }
            there = state_.find_record(op.path, op.type);
            bool counts =
                op.type.kind == type_kind::counter || op.type.kind == type_kind::grow_counter;
            if (counts || there == nullptr) return {};
            bool nothing_there = true;
            there->for_each_dot([&](dot) { nothing_there = false; });
            if (nothing_there) return {};
            if (auto done = apply_one(op); !done) return done;
            return retract(kept);
        }
        case action::write:
        case action::enable:
        case action::disable:
        case action::add:
        case action::retract:
        case action::resolve: break; // see above
    }
    return {};
}

// With `undo` the change goes on, and may still be taken back.
void core::apply_pending(undo_log* undo) {
    std::span<operation> all = pending_.with_paths(open_run_);
    dot at{id_, next_counter_ - all.size()};
    keyspace::series applied(state_, all);
    for (const operation& op : all) {
        contested where = applied.take(at, change_stamp_, applied_, undo);
        if (may_touch(op, where)) touch(op, at, change_stamp_, where);
        ++at.counter;
    }
    pending_.clear();
}

core::committed core::end_change() {
    WEFT_CHECK(in_change_);
    committed out{{id_, change_first_}, next_counter_, change_stamp_};
    if (out.end == change_first_) {
        roll_back_change();
        return out;
    }
    apply_pending(nullptr);
    open_run_.end_change();
    undo_.clear();
    in_change_ = false;
    if (!change_objects_.empty()) notify_local(out);
    if (!touched_.empty()) settle_touched(change_stamp_.ms());
    if (open_run_.body_bytes() >= limits::run_bytes_target ||
        open_run_.operations() >= limits::run_operations_target) {
        seal();
    }
    return out;
}

void core::roll_back_change() {
    WEFT_CHECK(in_change_);
    pending_.clear();
    state_.roll_back(std::exchange(undo_, {}));
    open_run_.roll_back_change();
    next_counter_ = change_first_;
    stated_dependencies_ = stated_before_;
    change_objects_.clear();
    touched_.clear();
    in_change_ = false;
}

} // namespace weft
