#include "recovery/sealed.hpp"

#include "base/check.hpp"
#include "base/codec.hpp"
#include "base/frame.hpp"

namespace weft {

bytes seal(std::string_view magic, std::uint32_t version, byte_view body) {
    WEFT_CHECK(magic.size() == sealed_magic_bytes);
    byte_writer counted;
    counted.u32(version);
    counted.u32(static_cast<std::uint32_t>(body.size()));
    byte_writer out;
    out.raw(as_bytes(magic));
    out.raw(counted.view());
    out.u32(crc32c(body, crc32c(counted.view())));
    out.raw(body);
    return out.take();
}

result<sealed> unseal(std::string_view magic, byte_view content) {
    byte_reader in(content);
    if (as_text(in.raw(magic.size())) != magic) {
        return fail(errc::log_damaged, "it does not start with the magic number of its kind");
    }
    byte_view counted = in.raw(8);
    std::uint32_t crc = in.u32();
    byte_reader fields(counted);
    sealed out;
    out.version = fields.u32();
    out.body = in.raw(fields.u32());
    out.size = in.position();
    if (!in.good()) return fail(errc::log_damaged, "its header is cut short");
    if (crc32c(out.body, crc32c(counted)) != crc) {
        return fail(errc::log_damaged, "the checksum of its header does not match");
    }
    return out;
}

} // namespace weft
