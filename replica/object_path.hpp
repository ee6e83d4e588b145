#pragma once
#include <array>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace weft {

// Where an object is: its key, then fields of maps. Handles hold one each; for an object with a short key it
// needs no memory of its own.
class object_path {
public:
    object_path() = default; // of the keyspace itself

    [[nodiscard]] object_path child(std::string_view name) const {
        object_path out = *this;
        if (out.key_.empty()) {
            out.key_ = name;
        } else {
            out.fields_.emplace_back(name);
        }
        return out;
    }
    [[nodiscard]] const std::string& key() const { return key_; }
    [[nodiscard]] const std::string& last() const {
        return fields_.empty() ? key_ : fields_.back();
    }

    // Its parts, as operations and the keyspace take them. Borrows the path, and moves with nothing.
    class parts {
    public:
        explicit parts(const object_path& of) {
            if (of.fields_.size() < few_.size()) {
                few_[0] = of.key_;
                for (std::size_t i = 0; i < of.fields_.size(); ++i) few_[i + 1] = of.fields_[i];
                all_ = std::span(few_).first(of.fields_.size() + 1);
            } else {
                many_.push_back(of.key_);
                many_.insert(many_.end(), of.fields_.begin(), of.fields_.end());
                all_ = many_;
            }
        }
        parts(const parts&) = delete;
        parts& operator=(const parts&) = delete;
        operator std::span<const std::string_view>() const { return all_; }

    private:
        std::array<std::string_view, 4> few_;
        std::vector<std::string_view> many_;
        std::span<const std::string_view> all_;
    };

private:
    std::string key_; // no key is empty: then this is the keyspace
    std::vector<std::string> fields_;
};

} // namespace weft
