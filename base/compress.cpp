#include "base/compress.hpp"

#include "base/check.hpp"
#include "base/limits.hpp"

#include <lz4.h>
#include <zlib.h>
#include <zstd.h>

#include <string>

namespace weft {
namespace {

constexpr int zstd_level = 1;
constexpr int zstd_window_log_max = 24; // 16 MiB, a whole run
constexpr int gzip_level = 1;
constexpr int gzip_window = 15 + 16; // 32 KiB, with a gzip header

int to_int(std::size_t size) {
    WEFT_CHECK(size <= limits::frame_bytes_max);
    return static_cast<int>(size);
}

bytes compress_gzip(byte_view data) {
    z_stream stream{};
    WEFT_CHECK(deflateInit2(&stream, gzip_level, Z_DEFLATED, gzip_window, 8, Z_DEFAULT_STRATEGY) ==
               Z_OK);
    bytes out(deflateBound(&stream, data.size()));
    stream.next_in = reinterpret_cast<Bytef*>(const_cast<std::byte*>(data.data()));
    stream.avail_in = static_cast<uInt>(data.size());
    stream.next_out = reinterpret_cast<Bytef*>(out.data());
    stream.avail_out = static_cast<uInt>(out.size());
    WEFT_CHECK(deflate(&stream, Z_FINISH) == Z_STREAM_END);
    out.resize(stream.total_out);
    deflateEnd(&stream);
    return out;
}

bool decompress_gzip(byte_view data, bytes& out) {
    z_stream stream{};
    WEFT_CHECK(inflateInit2(&stream, gzip_window) == Z_OK);
    Bytef nowhere = 0; // zlib refuses a null pointer, even to write nothing to it
    stream.next_in = reinterpret_cast<Bytef*>(const_cast<std::byte*>(data.data()));
    stream.avail_in = static_cast<uInt>(data.size());
    stream.next_out = out.empty() ? &nowhere : reinterpret_cast<Bytef*>(out.data());
    stream.avail_out = static_cast<uInt>(out.size());
    bool whole = inflate(&stream, Z_FINISH) == Z_STREAM_END && stream.total_out == out.size() &&
                 stream.avail_in == 0;
    inflateEnd(&stream);
    return whole;
}

bool decompress_zstd(byte_view data, bytes& out) {
    ZSTD_DCtx* context = ZSTD_createDCtx();
    WEFT_CHECK(context != nullptr);
    ZSTD_DCtx_setParameter(context, ZSTD_d_windowLogMax, zstd_window_log_max);
    ZSTD_outBuffer to{out.data(), out.size(), 0};
    ZSTD_inBuffer from{data.data(), data.size(), 0};
    std::size_t left = ZSTD_decompressStream(context, &to, &from);
    ZSTD_freeDCtx(context);
    return left == 0 && to.pos == out.size() && from.pos == data.size();
}

} // namespace

std::string_view to_string(codec which) {
    switch (which) {
        case codec::none: return "none";
        case codec::lz4: return "lz4";
        case codec::zstd: return "zstd";
        case codec::gzip: return "gzip";
    }
    return "unknown";
}

std::optional<codec> parse_codec(std::string_view name) {
    for (codec which : {codec::none, codec::lz4, codec::zstd, codec::gzip}) {
        if (name == to_string(which)) return which;
    }
    return std::nullopt;
}

bytes compress(codec which, byte_view data) {
    switch (which) {
        case codec::none: return {data.begin(), data.end()};
        case codec::lz4: {
            bytes out(static_cast<std::size_t>(LZ4_compressBound(to_int(data.size()))));
            int size = LZ4_compress_default(reinterpret_cast<const char*>(data.data()),
                                            reinterpret_cast<char*>(out.data()),
                                            to_int(data.size()), to_int(out.size()));
            WEFT_CHECK(size > 0 || data.empty());
            out.resize(static_cast<std::size_t>(size));
            return out;
        }
        case codec::zstd: {
            bytes out(ZSTD_compressBound(data.size()));
            std::size_t size =
                ZSTD_compress(out.data(), out.size(), data.data(), data.size(), zstd_level);
            WEFT_CHECK(ZSTD_isError(size) == 0);
            out.resize(size);
            return out;
        }
        case codec::gzip: return compress_gzip(data);
    }
    WEFT_CHECK(false);
}

result<bytes> decompress(codec which, byte_view data, std::uint64_t raw_bytes) {
    if (raw_bytes > limits::run_bytes_max) {
        return fail(errc::over_limit, "declares " + std::to_string(raw_bytes) + " bytes, limit " +
                                          std::to_string(limits::run_bytes_max));
    }
    if (data.size() > limits::frame_bytes_max)
        return fail(errc::over_limit, "compressed data over a frame");
    bytes out(static_cast<std::size_t>(raw_bytes));
    bool whole = false;
    switch (which) {
        case codec::none:
            whole = data.size() == out.size();
            if (whole) out.assign(data.begin(), data.end());
            break;
        case codec::lz4:
            whole = LZ4_decompress_safe(reinterpret_cast<const char*>(data.data()),
                                        reinterpret_cast<char*>(out.data()), to_int(data.size()),
                                        to_int(out.size())) == to_int(out.size());
            break;
        case codec::zstd: whole = decompress_zstd(data, out); break;
        case codec::gzip: whole = decompress_gzip(data, out); break;
        default:
            return fail(errc::incompatible, "codec " + std::to_string(static_cast<int>(which)));
    }
    if (!whole) {
        return fail(errc::bad_run, std::string(to_string(which)) + " data does not give the " +
                                       std::to_string(raw_bytes) + " bytes it declares");
    }
    return out;
}

} // namespace weft
