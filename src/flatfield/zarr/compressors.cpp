#include "flatfield/zarr/compressors.h"

#include <blosc.h>
#include <bzlib.h>
#include <fmt/format.h>
#include <lz4.h>
#include <lzma.h>
#include <zlib.h>
#include <zstd.h>

#include <algorithm>
#include <array>
#include <climits>
#include <cstring>
#include <memory>
#include <new>

#include "flatfield/core/error.h"
#include "flatfield/zarr/checksums.h"

namespace flatfield::zarr {
namespace {

using ConstBytes = std::span<const std::byte>;
using Bytes = std::span<std::byte>;

[[noreturn]] void fail_corrupt(const std::string& what) { throw Error(ErrorCode::kBadInput, what); }

[[noreturn]] void fail_too_large(std::size_t expected) {
  fail_corrupt(fmt::format("the chunk decodes to more than the expected {} bytes", expected));
}

[[noreturn]] void fail_encode(std::string_view library) {
  throw Error(ErrorCode::kInternal, fmt::format("{} cannot encode a chunk", library));
}

// ---- blosc

/// Makes sure that the blosc functions may look at `encoded`, and says how much it holds.
std::size_t check_blosc_header(ConstBytes encoded) {
  std::size_t size = 0;
  if (blosc_cbuffer_validate(encoded.data(), encoded.size(), &size) != 0)
    fail_corrupt(
        fmt::format("the {} bytes of the chunk are not a valid blosc buffer", encoded.size()));
  // The reserved bit of the flags: blosc refuses it when it decodes a whole buffer, but not a part of one.
  if ((std::to_integer<int>(encoded[2]) & 0x08) != 0)
    fail_corrupt("the blosc data of the chunk are of a later format, or corrupt");
  return size;
}

ConstBytes decode_blosc(ConstBytes encoded, Bytes room) {
  const std::size_t size = check_blosc_header(encoded);
  if (size > room.size()) fail_decoded_size(size, room.size());
  const int n = blosc_decompress_ctx(encoded.data(), room.data(), room.size(), 1);
  if (n < 0)
    fail_corrupt(fmt::format("the blosc data of the chunk are corrupt (blosc error {})", n));
  return room.first(static_cast<std::size_t>(n));
}

void encode_blosc(const Compressor& compressor, std::size_t itemsize, ConstBytes raw,
                  Buffer& into) {
  const Bytes room = into.resize(raw.size() + BLOSC_MAX_OVERHEAD);
  const int n =
      blosc_compress_ctx(compressor.level, compressor.blosc_shuffle, itemsize, raw.size(),
                         raw.data(), room.data(), room.size(), compressor.blosc_cname.c_str(),
                         static_cast<std::size_t>(compressor.blosc_blocksize), 1);
  if (n <= 0) fail_encode("blosc");
  into.truncate(static_cast<std::size_t>(n));
}

// ---- zstd

struct FreeZstd {
  void operator()(ZSTD_CCtx* context) const noexcept { ZSTD_freeCCtx(context); }
  void operator()(ZSTD_DCtx* context) const noexcept { ZSTD_freeDCtx(context); }
};

// Contexts are large and slow to make: one per thread, for all chunks.
ZSTD_DCtx* zstd_decoder() {
  thread_local const std::unique_ptr<ZSTD_DCtx, FreeZstd> context(ZSTD_createDCtx());
  if (!context) throw std::bad_alloc();
  return context.get();
}

ZSTD_CCtx* zstd_encoder() {
  thread_local const std::unique_ptr<ZSTD_CCtx, FreeZstd> context(ZSTD_createCCtx());
  if (!context) throw std::bad_alloc();
  return context.get();
}

/// Frames need not say how much they hold, and there may be several: only the room counts.
ConstBytes decode_zstd(ConstBytes encoded, Bytes into) {
  const std::size_t n =
      ZSTD_decompressDCtx(zstd_decoder(), into.data(), into.size(), encoded.data(), encoded.size());
  if (ZSTD_isError(n) != 0)
    fail_corrupt(fmt::format("the zstd data do not decode to the expected {} bytes ({})",
                             into.size(), ZSTD_getErrorName(n)));
  return into.first(n);
}

void encode_zstd(const Compressor& compressor, std::size_t /*itemsize*/, ConstBytes raw,
                 Buffer& into) {
  const Bytes room = into.resize(ZSTD_compressBound(raw.size()));
  const std::size_t n = ZSTD_compressCCtx(zstd_encoder(), room.data(), room.size(), raw.data(),
                                          raw.size(), compressor.level);
  if (ZSTD_isError(n) != 0) fail_encode("zstd");
  into.truncate(n);
}

// ---- gzip and zlib: one algorithm, two frames

constexpr int kZlibFrame = 15;
constexpr int kGzipFrame = 15 + 16;

Bytef* zlib_bytes(const std::byte* bytes) {
  // zlib does not write to its input, but says so only if ZLIB_CONST is defined.
  return const_cast<Bytef*>(reinterpret_cast<const Bytef*>(bytes));
}

class Inflater {
 public:
  Inflater(int frame, ConstBytes encoded, Bytes into) {
    stream_.next_in = zlib_bytes(encoded.data());
    stream_.avail_in = static_cast<uInt>(encoded.size());
    stream_.next_out = zlib_bytes(into.data());
    stream_.avail_out = static_cast<uInt>(into.size());
    if (inflateInit2(&stream_, frame) != Z_OK) throw std::bad_alloc();
  }
  Inflater(const Inflater&) = delete;
  Inflater& operator=(const Inflater&) = delete;
  ~Inflater() { inflateEnd(&stream_); }

  /// Decodes one member of a stream and returns zlib's answer, Z_STREAM_END if all is well.
  int decode_member() { return inflate(&stream_, Z_FINISH); }
  void next_member() { inflateReset(&stream_); }
  [[nodiscard]] std::size_t input_left() const { return stream_.avail_in; }
  [[nodiscard]] std::size_t room_left() const { return stream_.avail_out; }

 private:
  z_stream stream_{};
};

ConstBytes decode_deflate(int frame, std::string_view name, ConstBytes encoded, Bytes into) {
  Inflater inflater(frame, encoded, into);
  for (;;) {
    const int answer = inflater.decode_member();
    if (answer == Z_MEM_ERROR) throw std::bad_alloc();
    if (answer == Z_BUF_ERROR && inflater.room_left() == 0 && inflater.input_left() > 0)
      fail_too_large(into.size());
    if (answer == Z_BUF_ERROR || answer == Z_OK)
      fail_corrupt(fmt::format("the {} data end too early, after {} of {} bytes", name,
                               into.size() - inflater.room_left(), into.size()));
    if (answer != Z_STREAM_END)
      fail_corrupt(
          fmt::format("the {} data of the chunk are corrupt (zlib error {})", name, answer));
    if (inflater.input_left() == 0) break;
    // Only gzip may have further members.
    if (frame != kGzipFrame)
      fail_corrupt(
          fmt::format("{} bytes follow the {} data of the chunk", inflater.input_left(), name));
    inflater.next_member();
  }
  return into.first(into.size() - inflater.room_left());
}

void encode_deflate(int frame, int level, ConstBytes raw, Buffer& into) {
  z_stream stream{};
  constexpr int kDefaultMemory = 8;
  const int answer =
      deflateInit2(&stream, level, Z_DEFLATED, frame, kDefaultMemory, Z_DEFAULT_STRATEGY);
  if (answer == Z_MEM_ERROR) throw std::bad_alloc();
  if (answer != Z_OK) fail_encode("zlib");
  const std::unique_ptr<z_stream, void (*)(z_stream*)> ended(&stream,
                                                             [](z_stream* s) { deflateEnd(s); });
  const Bytes room = into.resize(deflateBound(&stream, raw.size()));
  stream.next_in = zlib_bytes(raw.data());
  stream.avail_in = static_cast<uInt>(raw.size());
  stream.next_out = zlib_bytes(room.data());
  stream.avail_out = static_cast<uInt>(room.size());
  if (deflate(&stream, Z_FINISH) != Z_STREAM_END) fail_encode("zlib");
  into.truncate(stream.total_out);
}

ConstBytes decode_gzip(ConstBytes encoded, Bytes into) {
  return decode_deflate(kGzipFrame, "gzip", encoded, into);
}
ConstBytes decode_zlib(ConstBytes encoded, Bytes into) {
  return decode_deflate(kZlibFrame, "zlib", encoded, into);
}
void encode_gzip(const Compressor& compressor, std::size_t /*itemsize*/, ConstBytes raw,
                 Buffer& into) {
  encode_deflate(kGzipFrame, compressor.level, raw, into);
}
void encode_zlib(const Compressor& compressor, std::size_t /*itemsize*/, ConstBytes raw,
                 Buffer& into) {
  encode_deflate(kZlibFrame, compressor.level, raw, into);
}

// ---- lz4: the size as a little-endian 32-bit number, then one raw block

constexpr std::size_t kLz4Header = 4;

ConstBytes decode_lz4(ConstBytes encoded, Bytes into) {
  if (encoded.size() < kLz4Header)
    fail_corrupt(fmt::format("the lz4 chunk has only {} bytes", encoded.size()));
  std::size_t size = 0;
  for (std::size_t i = 0; i < kLz4Header; ++i)
    size |= std::to_integer<std::size_t>(encoded[i]) << (8 * i);
  if (size > into.size()) fail_decoded_size(size, into.size());
  const ConstBytes block = encoded.subspan(kLz4Header);
  const int n = LZ4_decompress_safe(reinterpret_cast<const char*>(block.data()),
                                    reinterpret_cast<char*>(into.data()),
                                    static_cast<int>(block.size()), static_cast<int>(size));
  if (n < 0) fail_corrupt("the lz4 data of the chunk are corrupt");
  if (static_cast<std::size_t>(n) != size) fail_decoded_size(static_cast<std::size_t>(n), size);
  return into.first(size);
}

void encode_lz4(const Compressor& compressor, std::size_t /*itemsize*/, ConstBytes raw,
                Buffer& into) {
  if (raw.size() > LZ4_MAX_INPUT_SIZE) fail_encode("lz4");
  const int bound = LZ4_compressBound(static_cast<int>(raw.size()));
  const Bytes room = into.resize(kLz4Header + static_cast<std::size_t>(bound));
  for (std::size_t i = 0; i < kLz4Header; ++i)
    room[i] = static_cast<std::byte>(raw.size() >> (8 * i));
  const int n = LZ4_compress_fast(reinterpret_cast<const char*>(raw.data()),
                                  reinterpret_cast<char*>(room.data() + kLz4Header),
                                  static_cast<int>(raw.size()), bound, compressor.level);
  if (n <= 0) fail_encode("lz4");
  into.truncate(kLz4Header + static_cast<std::size_t>(n));
}

// ---- bz2: one or more streams

char* bz2_chars(const std::byte* bytes) {
  // bzlib does not write to its input, but does not say so.
  return const_cast<char*>(reinterpret_cast<const char*>(bytes));
}

ConstBytes decode_bz2(ConstBytes encoded, Bytes into) {
  std::size_t read = 0;
  std::size_t written = 0;
  while (read < encoded.size()) {
    bz_stream stream{};
    if (BZ2_bzDecompressInit(&stream, 0, 0) != BZ_OK) throw std::bad_alloc();
    const std::unique_ptr<bz_stream, void (*)(bz_stream*)> ended(
        &stream, [](bz_stream* s) { BZ2_bzDecompressEnd(s); });
    stream.next_in = bz2_chars(encoded.data() + read);
    stream.avail_in = static_cast<unsigned>(encoded.size() - read);
    stream.next_out = bz2_chars(into.data() + written);
    stream.avail_out = static_cast<unsigned>(into.size() - written);
    const int answer = BZ2_bzDecompress(&stream);
    read = encoded.size() - stream.avail_in;
    written = into.size() - stream.avail_out;
    if (answer == BZ_MEM_ERROR) throw std::bad_alloc();
    if (answer == BZ_OK && written == into.size() && read < encoded.size())
      fail_too_large(into.size());
    if (answer == BZ_OK)
      fail_corrupt(
          fmt::format("the bz2 data end too early, after {} of {} bytes", written, into.size()));
    if (answer != BZ_STREAM_END)
      fail_corrupt(fmt::format("the bz2 data of the chunk are corrupt (bzlib error {})", answer));
  }
  return into.first(written);
}

void encode_bz2(const Compressor& compressor, std::size_t /*itemsize*/, ConstBytes raw,
                Buffer& into) {
  // The bound is that of the manual of bzlib.
  const Bytes room = into.resize(raw.size() + raw.size() / 100 + 600);
  auto size = static_cast<unsigned>(room.size());
  const int answer =
      BZ2_bzBuffToBuffCompress(bz2_chars(room.data()), &size, bz2_chars(raw.data()),
                               static_cast<unsigned>(raw.size()), compressor.level, 0, 0);
  if (answer == BZ_MEM_ERROR) throw std::bad_alloc();
  if (answer != BZ_OK) fail_encode("bzlib");
  into.truncate(size);
}

// ---- lzma: what Python's lzma module calls FORMAT_XZ and FORMAT_ALONE

ConstBytes decode_lzma(ConstBytes encoded, Bytes into) {
  // The header says how much is allocated; the highest preset needs 65 MiB.
  constexpr std::uint64_t kMostMemory = std::uint64_t{80} << 20;
  lzma_stream stream = LZMA_STREAM_INIT;
  const std::unique_ptr<lzma_stream, void (*)(lzma_stream*)> ended(&stream, lzma_end);
  lzma_ret answer = lzma_auto_decoder(&stream, kMostMemory, LZMA_CONCATENATED);
  if (answer == LZMA_MEM_ERROR) throw std::bad_alloc();
  stream.next_in = reinterpret_cast<const std::uint8_t*>(encoded.data());
  stream.avail_in = encoded.size();
  stream.next_out = reinterpret_cast<std::uint8_t*>(into.data());
  stream.avail_out = into.size();
  answer = lzma_code(&stream, LZMA_FINISH);
  if (answer == LZMA_MEM_ERROR) throw std::bad_alloc();
  if (answer == LZMA_MEMLIMIT_ERROR)
    fail_corrupt(fmt::format("the lzma data of the chunk claim more than {} MiB of memory",
                             kMostMemory >> 20));
  if (answer == LZMA_OK && stream.avail_out == 0) fail_too_large(into.size());
  if (answer != LZMA_STREAM_END)
    fail_corrupt(fmt::format("the lzma data of the chunk are corrupt (lzma error {})",
                             static_cast<int>(answer)));
  return into.first(into.size() - stream.avail_out);
}

// ---- the table

constexpr auto kAnySize = std::nullopt;

const std::array<CompressorInfo, 10>& table() {
  static const std::array<CompressorInfo, 10> rows{{
      {"blosc", "clevel", 5, 0, 9, decode_blosc, encode_blosc, kAnySize},
      {"zstd", "level", 1, ZSTD_minCLevel(), ZSTD_maxCLevel(), decode_zstd, encode_zstd, kAnySize},
      {"gzip", "level", 1, -1, 9, decode_gzip, encode_gzip, kAnySize},
      {"zlib", "level", 1, -1, 9, decode_zlib, encode_zlib, kAnySize},
      {"lz4", "acceleration", 1, 1, 65537, decode_lz4, encode_lz4, kAnySize},
      {"bz2", "level", 1, 1, 9, decode_bz2, encode_bz2, kAnySize},
      {"crc32c", "", 1, 1, 1, check_crc32c_at_end, append_crc32c, kChecksumBytes},
      // These are read, because others write them.
      {"lzma", "", 1, 1, 1, decode_lzma, nullptr, kAnySize},
      {"crc32", "", 1, 1, 1, check_crc32_at_start, nullptr, kChecksumBytes},
      {"adler32", "", 1, 1, 1, check_adler32_at_start, nullptr, kChecksumBytes},
  }};
  return rows;
}

}  // namespace

void fail_decoded_size(std::size_t found, std::size_t expected) {
  fail_corrupt(fmt::format("the chunk decodes to {} bytes, expected {}", found, expected));
}

const CompressorInfo* find_compressor(std::string_view id) noexcept {
  const auto it = std::find_if(table().begin(), table().end(),
                               [&](const CompressorInfo& row) { return row.id == id; });
  return it == table().end() ? nullptr : &*it;
}

std::string compressor_ids() {
  std::string ids;
  for (const CompressorInfo& row : table())
    if (row.encode != nullptr) ids += (ids.empty() ? "" : ", ") + std::string(row.id);
  return ids;
}

void check_compressor(const Compressor& compressor, std::string_view where) {
  const CompressorInfo* row = find_compressor(compressor.id);
  if (row == nullptr || row->encode == nullptr)
    throw Error(ErrorCode::kUsage, fmt::format("unknown compressor \"{}\"", compressor.id), where,
                "use one of " + compressor_ids());
  if (compressor.level < row->min_level || compressor.level > row->max_level)
    throw Error(ErrorCode::kUsage,
                fmt::format("{} of {} is {}", row->level_key, row->id, compressor.level), where,
                fmt::format("use a number in [{}, {}]", row->min_level, row->max_level));
  if (row->id != "blosc") return;
  if (blosc_compname_to_compcode(compressor.blosc_cname.c_str()) < 0)
    throw Error(ErrorCode::kUsage,
                fmt::format("unknown cname \"{}\" of blosc", compressor.blosc_cname), where,
                fmt::format("use one of {}", blosc_list_compressors()));
  if (compressor.blosc_shuffle < 0 || compressor.blosc_shuffle > 2)
    throw Error(ErrorCode::kUsage, fmt::format("shuffle of blosc is {}", compressor.blosc_shuffle),
                where, "use 0 (none), 1 (byte) or 2 (bit)");
  if (compressor.blosc_blocksize < 0 || compressor.blosc_blocksize > INT_MAX)
    throw Error(ErrorCode::kUsage,
                fmt::format("blocksize of blosc is {}", compressor.blosc_blocksize), where,
                "use 0 (automatic)");
}

bool decode_blosc_parts(ConstBytes encoded, std::size_t whole_size, std::span<const BytePart> parts,
                        Buffer& block) {
  const std::size_t size = check_blosc_header(encoded);
  if (size != whole_size) fail_decoded_size(size, whole_size);
  std::size_t itemsize = 0;  // that of the writer, which need not be ours
  int flags = 0;
  blosc_cbuffer_metainfo(encoded.data(), &itemsize, &flags);
  std::size_t held = 0;
  std::size_t compressed = 0;
  std::size_t block_size = 0;
  blosc_cbuffer_sizes(encoded.data(), &held, &compressed, &block_size);
  if (itemsize == 0 || block_size == 0 || size % itemsize != 0 || block_size % itemsize != 0)
    return false;
  const auto decode_items = [&](std::size_t begin, Bytes into) {
    const int n = blosc_getitem(encoded.data(), static_cast<int>(begin / itemsize),
                                static_cast<int>(into.size() / itemsize), into.data());
    if (n < 0)
      fail_corrupt(fmt::format("the blosc data of the chunk are corrupt (blosc error {})", n));
    if (static_cast<std::size_t>(n) != into.size())
      fail_decoded_size(static_cast<std::size_t>(n), into.size());
  };
  for (std::size_t begin = 0; begin < size; begin += block_size) {
    const std::size_t end = std::min(size, begin + block_size);
    bool decoded = false;
    for (const BytePart& part : parts) {
      const std::size_t from = std::max(begin, part.offset);
      const std::size_t to = std::min(end, part.offset + part.into.size());
      if (from >= to) continue;
      const Bytes target = part.into.subspan(from - part.offset, to - from);
      if (!decoded && target.size() == end - begin) {
        decode_items(begin, target);
        continue;
      }
      if (!decoded) decode_items(begin, block.resize(end - begin));
      decoded = true;
      std::memcpy(target.data(), block.data() + (from - begin), target.size());
    }
  }
  return true;
}

}  // namespace flatfield::zarr
