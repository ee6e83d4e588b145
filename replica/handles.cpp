#include "replica/handles.hpp"

namespace weft {
result<void> object_handle::change(action what, value argument, std::int64_t amount,
                                   std::unique_ptr<operation_extra> extra) const {
    object_path::parts path(path_);
    operation op;
    op.path = path;
    op.type = type_;
    op.what = what;
    op.argument = std::move(argument);
    op.amount = amount;
    op.extra = std::move(extra);
    return access_->write(std::move(op));
}

result<void> object_handle::find(const std::function<void(const object&)>& see) const {
    object_path::parts path(path_);
    return access_->read([&](const state_view& now) {
        if (const object* there = now.objects.find(path, type_)) see(*there);
    });
}

result<std::vector<value>> object_handle::read_values() const {
    std::vector<value> out;
    object_path::parts path(path_);
    auto done = access_->read([&](const state_view& now) {
        const object* there = now.objects.find(path, type_);
        if (there == nullptr) return;
        const auto& writes = there->as<register_store<value>>();
        if (auto ruled = now.conflicts.read(path, type_, writes)) {
            out = std::move(ruled->values);
            return;
        }
        for (const auto& e : writes) {
            if (is_present(e.payload.content)) out.push_back(e.payload.content);
        }
    });
    if (!done) return fail(done.error());
    return out;
}

result<std::optional<value>> object_handle::read_value() const {
    std::optional<value> out;
    object_path::parts path(path_);
    auto done = access_->read([&](const state_view& now) {
        const object* there = now.objects.find(path, type_);
        if (there == nullptr) return;
        const auto& writes = there->as<register_store<value>>();
        auto ruled = now.conflicts.read(path, type_, writes);
        if (!ruled || ruled->values.size() > 1) {
            out = latest<value>(writes)->payload.content;
        } else if (!ruled->values.empty()) {
            out = std::move(ruled->values.front());
        }
    });
    if (!done) return fail(done.error());
    return out;
}

result<std::vector<sibling>> object_handle::read_siblings() const {
    std::vector<sibling> out;
    object_path::parts path(path_);
    auto done = access_->read([&](const state_view& now) {
        const object* there = now.objects.find(path, type_);
        if (there != nullptr) out = now.conflicts.siblings(there->as<register_store<value>>());
    });
    if (!done) return fail(done.error());
    return out;
}

result<void> counter_handle::decrement(std::int64_t by) {
    if (by == INT64_MIN) return fail(errc::over_limit, "decrement by -2^63");
    return increment(-by);
}

result<void> bounded_counter_handle::create(std::int64_t bound, std::int64_t initial,
                                            bool at_most) {
    auto extra = std::make_unique<operation_extra>();
    bool there = false;
    object_path::parts path(path_);
    auto looked = access_->read([&](const state_view& now) {
        extra->spec = {now.self, bound, initial, at_most};
        if (const object* found = now.objects.find(path, type_)) {
            // Alike but for the creator is alike enough: an earlier life, or another replica, made it.
            for (const auto& i : found->as<bounded_store>().instances()) {
                there = there || (i.spec.bound == bound && i.spec.initial == initial &&
                                  i.spec.at_most == at_most);
            }
        }
    });
    if (!looked || there) return looked;
    return change(action::create, {}, 0, std::move(extra));
}

result<void> bounded_counter_handle::create_at_least(std::int64_t bound, std::int64_t initial) {
    return create(bound, initial, false);
}

result<void> bounded_counter_handle::create_at_most(std::int64_t bound, std::int64_t initial) {
    return create(bound, initial, true);
}

result<void> bounded_counter_handle::with_spec(action what, std::int64_t amount, replica_id to) {
    auto extra = std::make_unique<operation_extra>();
    bool there = false;
    auto looked = find([&](const object& found) {
        extra->spec = found.as<bounded_store>().chosen()->spec;
        there = true;
    });
    if (!looked) return looked;
    if (!there)
        return fail(errc::not_found,
                    "bounded counter '" + path_.last() + "' was never created here");
    extra->to = to;
    return change(what, {}, amount, std::move(extra));
}

result<void> bounded_counter_handle::increment(std::int64_t by) {
    return with_spec(action::increment, by, {});
}

result<void> bounded_counter_handle::decrement(std::int64_t by) {
    if (by == INT64_MIN) return fail(errc::over_limit, "decrement by -2^63");
    return with_spec(action::increment, -by, {});
}

result<void> bounded_counter_handle::transfer(replica_id to, std::int64_t amount) {
    return with_spec(action::transfer, amount, to);
}

result<std::int64_t> bounded_counter_handle::read() const {
    std::optional<std::int64_t> out;
    auto looked =
        find([&](const object& found) { out = found.as<bounded_store>().chosen()->read(); });
    if (!looked) return fail(looked.error());
    if (!out)
        return fail(errc::not_found,
                    "bounded counter '" + path_.last() + "' was never created here");
    return *out;
}

result<std::uint64_t> bounded_counter_handle::rights() const {
    std::uint64_t out = 0;
    object_path::parts path(path_);
    auto looked = access_->read([&](const state_view& now) {
        const object* found = now.objects.find(path, type_);
        if (found != nullptr) out = found->as<bounded_store>().chosen()->rights_of(now.self);
    });
    if (!looked) return fail(looked.error());
    return out;
}

result<std::map<replica_id, std::uint64_t>> bounded_counter_handle::all_rights() const {
    std::map<replica_id, std::uint64_t> out;
    auto looked = find([&](const object& found) {
        const auto& chosen = *found.as<bounded_store>().chosen();
        for (const auto& row : chosen.rows) {
            out[row.replica] = chosen.rights_of(row.replica);
            for (const auto& sent : row.sent) out[sent.to] = chosen.rights_of(sent.to);
        }
    });
    if (!looked) return fail(looked.error());
    return out;
}

result<void> object_scope::remove(std::string_view name) const {
    object_path path = below(name);
    object_path::parts parts(path);
    return access_->together([&](store_access& all) -> result<void> {
        std::vector<type_id> types;
        auto looked = all.read([&](const state_view& now) { types = now.objects.types_at(parts); });
        if (!looked) return looked;
        for (type_id type : types) {
            if (type.kind == type_kind::bounded_counter) {
                return fail(errc::wrong_type,
                            "bounded counter '" + path.last() + "' cannot be removed");
            }
        }
        for (type_id type : types) {
            operation op;
            op.path = parts;
            op.type = type;
            op.what = action::remove;
            if (auto done = all.write(std::move(op)); !done) return done;
        }
        return {};
    });
}

result<std::vector<std::string>> map_handle::names() const {
    std::vector<std::string> out;
    auto looked = find([&](const object& found) {
        for (const auto& child : found.as<map_store>().children()) {
            std::string_view name = child.key.name();
            if (child.value.live() && (out.empty() || out.back() != name)) out.emplace_back(name);
        }
    });
    if (!looked) return fail(looked.error());
    return out;
}

} // namespace weft
