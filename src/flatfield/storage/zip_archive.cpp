#include "flatfield/storage/zip_archive.h"

#include <fmt/format.h>
#include <zlib.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <utility>

#include "flatfield/core/crc32c.h"
#include "flatfield/core/error.h"

namespace flatfield::storage {
namespace {

constexpr std::uint32_t kLocalMark = 0x04034b50;
constexpr std::uint32_t kDescriptorMark = 0x08074b50;
constexpr std::uint32_t kCentralMark = 0x02014b50;
constexpr std::uint32_t kEnd64Mark = 0x06064b50;
constexpr std::uint32_t kEnd64LocatorMark = 0x07064b50;
constexpr std::uint32_t kEndMark = 0x06054b50;

constexpr std::uint16_t kVersion = 45;               ///< that knows Zip64
constexpr std::uint16_t kFlags = 0x0008;             ///< sizes and checksum come behind the content
constexpr std::uint16_t kDeflated = 8;
constexpr std::uint16_t kStored = 0;
constexpr std::uint16_t kDate = (1 << 5) + 1;        ///< 1 January 1980, the earliest
constexpr std::uint16_t kZip64Field = 1;
constexpr std::uint16_t kElsewhere16 = 0xffff;       ///< the value is in a field of Zip64
constexpr std::uint32_t kElsewhere32 = 0xffffffff;

constexpr std::size_t kLocalBytes = 30;
constexpr std::size_t kCentralBytes = 46;
constexpr std::size_t kCentralFieldBytes = 28;  ///< mark, length, and three numbers of 8 bytes
constexpr std::size_t kLocalFieldBytes = 20;    ///< mark, length, and two
constexpr std::size_t kEnd64Bytes = 56;
constexpr std::size_t kEnd64LocatorBytes = 20;
constexpr std::size_t kEndBytes = 22;
constexpr std::string_view kCommentStart = "crc32c ";
constexpr std::size_t kCommentBytes = kCommentStart.size() + 8;
constexpr std::size_t kTailBytes = kEnd64Bytes + kEnd64LocatorBytes + kEndBytes + kCommentBytes;

constexpr std::size_t kPieceBytes = std::size_t{1} << 20;
constexpr int kDeflateLevel = 1;
constexpr int kRawDeflate = -15;  ///< without the header of zlib

void put(std::string& out, std::uint64_t value, int bytes) {
  for (int i = 0; i < bytes; ++i) out.push_back(static_cast<char>(value >> (8 * i)));
}

/// Takes little-endian numbers off the front of some bytes.
class Fields {
 public:
  explicit Fields(std::span<const std::byte> bytes) : bytes_(bytes) {}
  [[nodiscard]] std::size_t left() const { return bytes_.size(); }
  std::uint64_t number(std::size_t bytes) {
    if (bytes > bytes_.size()) throw Error(ErrorCode::kBadInput, "the archive ends too early");
    std::uint64_t value = 0;
    for (std::size_t i = 0; i < bytes; ++i) value |= std::to_integer<std::uint64_t>(bytes_[i]) << (8 * i);
    bytes_ = bytes_.subspan(bytes);
    return value;
  }
  /// A number that can only have one value.
  void expect(std::uint64_t value, std::size_t bytes) {
    if (number(bytes) != value) throw Error(ErrorCode::kBadInput, "the archive is damaged, or was not written by this program");
  }
  std::string text(std::size_t bytes) {
    if (bytes > bytes_.size()) throw Error(ErrorCode::kBadInput, "the archive ends too early");
    std::string text(reinterpret_cast<const char*>(bytes_.data()), bytes);
    bytes_ = bytes_.subspan(bytes);
    return text;
  }

 private:
  std::span<const std::byte> bytes_;
};

std::uint32_t crc32_of(std::uint32_t before, std::span<const std::byte> bytes) {
  // An empty span may begin nowhere, for which zlib begins anew.
  if (bytes.empty()) return before;
  return static_cast<std::uint32_t>(::crc32_z(before, reinterpret_cast<const Bytef*>(bytes.data()), bytes.size()));
}

Bytef* zlib_bytes(const std::byte* bytes) { return reinterpret_cast<Bytef*>(const_cast<std::byte*>(bytes)); }

}  // namespace

/// A deflate stream whose output goes to a function.
class ZipWriter::Deflater {
 public:
  Deflater() {
    if (deflateInit2(&stream_, kDeflateLevel, Z_DEFLATED, kRawDeflate, 8, Z_DEFAULT_STRATEGY) != Z_OK)
      throw std::bad_alloc();
  }
  ~Deflater() { deflateEnd(&stream_); }
  Deflater(const Deflater&) = delete;
  Deflater& operator=(const Deflater&) = delete;

  template <class Write>
  void feed(std::span<const std::byte> bytes, bool last, Write write) {
    do {
      const std::size_t count = std::min(bytes.size(), kPieceBytes);
      stream_.next_in = zlib_bytes(bytes.data());
      stream_.avail_in = static_cast<uInt>(count);
      bytes = bytes.subspan(count);
      const int flush = last && bytes.empty() ? Z_FINISH : Z_NO_FLUSH;
      do {
        stream_.next_out = zlib_bytes(room_.data());
        stream_.avail_out = static_cast<uInt>(room_.size());
        static_cast<void>(deflate(&stream_, flush));
        write(std::span<const std::byte>(room_.data(), room_.size() - stream_.avail_out));
      } while (stream_.avail_out == 0);
    } while (!bytes.empty());
  }

 private:
  z_stream stream_{};
  std::vector<std::byte> room_ = std::vector<std::byte>(kPieceBytes);
};

ZipWriter::ZipWriter(std::unique_ptr<ObjectWriter> object) : object_(std::move(object)) {}
ZipWriter::~ZipWriter() = default;

void ZipWriter::write(std::span<const std::byte> bytes) {
  object_->append(bytes);
  crc32c_ = crc32c(bytes, crc32c_);
  written_ += bytes.size();
}

void ZipWriter::write(const std::string& bytes) { write(as_bytes(bytes)); }

void ZipWriter::begin(std::string_view name, bool deflated) {
  end_entry();
  Entry entry;
  entry.name = name;
  entry.deflated = deflated;
  entry.offset = written_;
  std::string head;
  put(head, kLocalMark, 4);
  put(head, kVersion, 2);
  put(head, kFlags, 2);
  put(head, deflated ? kDeflated : kStored, 2);
  put(head, 0, 2);
  put(head, kDate, 2);
  put(head, 0, 4);
  put(head, kElsewhere32, 4);
  put(head, kElsewhere32, 4);
  put(head, entry.name.size(), 2);
  put(head, kLocalFieldBytes, 2);
  head += entry.name;
  put(head, kZip64Field, 2);
  put(head, kLocalFieldBytes - 4, 2);
  put(head, 0, 8);
  put(head, 0, 8);
  write(head);
  entries_.push_back(std::move(entry));
  open_ = true;
  if (deflated) deflater_ = std::make_unique<Deflater>();
}

void ZipWriter::append(std::span<const std::byte> bytes) {
  Entry& entry = entries_.back();
  entry.crc32 = crc32_of(entry.crc32, bytes);
  entry.raw_bytes += bytes.size();
  const auto add = [&](std::span<const std::byte> packed) {
    write(packed);
    entry.packed_bytes += packed.size();
  };
  if (deflater_)
    deflater_->feed(bytes, false, add);
  else
    add(bytes);
}

void ZipWriter::end_entry() {
  if (!open_) return;
  Entry& entry = entries_.back();
  if (deflater_)
    deflater_->feed({}, true, [&](std::span<const std::byte> packed) {
      write(packed);
      entry.packed_bytes += packed.size();
    });
  deflater_.reset();
  open_ = false;
  std::string descriptor;
  put(descriptor, kDescriptorMark, 4);
  put(descriptor, entry.crc32, 4);
  put(descriptor, entry.packed_bytes, 8);
  put(descriptor, entry.raw_bytes, 8);
  write(descriptor);
}

void ZipWriter::finish() {
  end_entry();
  const std::uint64_t start = written_;
  std::string list;
  for (const Entry& entry : entries_) {
    put(list, kCentralMark, 4);
    put(list, kVersion, 2);
    put(list, kVersion, 2);
    put(list, kFlags, 2);
    put(list, entry.deflated ? kDeflated : kStored, 2);
    put(list, 0, 2);
    put(list, kDate, 2);
    put(list, entry.crc32, 4);
    put(list, kElsewhere32, 4);
    put(list, kElsewhere32, 4);
    put(list, entry.name.size(), 2);
    put(list, kCentralFieldBytes, 2);
    put(list, 0, 2);  // no comment
    put(list, 0, 2);  // first disk
    put(list, 0, 2);  // no attributes
    put(list, 0, 4);
    put(list, kElsewhere32, 4);
    list += entry.name;
    put(list, kZip64Field, 2);
    put(list, kCentralFieldBytes - 4, 2);
    put(list, entry.raw_bytes, 8);
    put(list, entry.packed_bytes, 8);
    put(list, entry.offset, 8);
  }
  const std::uint64_t list_bytes = list.size();
  put(list, kEnd64Mark, 4);
  put(list, kEnd64Bytes - 12, 8);
  put(list, kVersion, 2);
  put(list, kVersion, 2);
  put(list, 0, 4);
  put(list, 0, 4);
  put(list, entries_.size(), 8);
  put(list, entries_.size(), 8);
  put(list, list_bytes, 8);
  put(list, start, 8);
  put(list, kEnd64LocatorMark, 4);
  put(list, 0, 4);
  put(list, start + list_bytes, 8);
  put(list, 1, 4);
  put(list, kEndMark, 4);
  put(list, 0, 2);
  put(list, 0, 2);
  put(list, kElsewhere16, 2);
  put(list, kElsewhere16, 2);
  put(list, kElsewhere32, 4);
  put(list, kElsewhere32, 4);
  put(list, kCommentBytes, 2);
  write(list);
  object_->append(as_bytes(fmt::format("{}{:08x}", kCommentStart, crc32c_)));
  object_->commit();
}

ZipReader::ZipReader(std::shared_ptr<const Store> store, std::string key)
    : store_(std::move(store)), key_(std::move(key)) {
  const auto size = store_->size(key_);
  if (!size) throw Error(ErrorCode::kNotFound, "there is no such file", describe(), "check the name");
  size_ = *size;
  if (size_ < kTailBytes) fail("it is too short to be an archive of this program");
  Buffer bytes;
  try {
    read_range(size_ - kTailBytes, kTailBytes, bytes);
    Fields end(bytes.span());
    end.expect(kEnd64Mark, 4);
    end.expect(kEnd64Bytes - 12, 8);
    end.expect(kVersion, 2);
    end.expect(kVersion, 2);
    end.expect(0, 8);
    const std::uint64_t count = end.number(8);
    end.expect(count, 8);
    const std::uint64_t list_bytes = end.number(8);
    const std::uint64_t start = end.number(8);
    end.expect(kEnd64LocatorMark, 4);
    end.expect(0, 4);
    if (start > size_ || list_bytes != size_ - kTailBytes - start) fail("its list of entries is damaged");
    end.expect(start + list_bytes, 8);
    end.expect(1, 4);
    end.expect(kEndMark, 4);
    end.expect(0, 4);
    end.expect(kElsewhere32, 4);
    end.expect(0xffffffffffffffff, 8);
    end.expect(kCommentBytes, 2);
    const std::string comment = end.text(kCommentBytes);
    std::from_chars(comment.data() + kCommentStart.size(), comment.data() + kCommentBytes, recorded_crc32c_, 16);
    // As it was written: a bit that makes a letter a capital is damage too.
    if (comment != fmt::format("{}{:08x}", kCommentStart, recorded_crc32c_)) fail("its checksum is damaged");

    read_range(start, list_bytes, bytes);
    Fields list(bytes.span());
    for (std::uint64_t i = 0; i < count; ++i) {
      Entry entry;
      list.expect(kCentralMark, 4);
      list.expect(kVersion, 2);
      list.expect(kVersion, 2);
      list.expect(kFlags, 2);
      const std::uint64_t method = list.number(2);
      if (method != kDeflated && method != kStored) fail("its list of entries is damaged");
      entry.deflated = method == kDeflated;
      list.expect(0, 2);
      list.expect(kDate, 2);
      entry.crc32 = static_cast<std::uint32_t>(list.number(4));
      list.expect(0xffffffffffffffff, 8);
      const std::uint64_t name_bytes = list.number(2);
      list.expect(kCentralFieldBytes, 2);
      list.expect(0, 8);  // comment, disk, attributes
      list.expect(0, 2);
      list.expect(kElsewhere32, 4);
      entry.name = list.text(name_bytes);
      list.expect(kZip64Field, 2);
      list.expect(kCentralFieldBytes - 4, 2);
      entry.raw_bytes = list.number(8);
      entry.packed_bytes = list.number(8);
      entry.offset = list.number(8);
      const std::uint64_t head = kLocalBytes + name_bytes + kLocalFieldBytes;
      if (entry.offset > start || head > start - entry.offset || entry.packed_bytes > start - entry.offset - head)
        fail("its list of entries is damaged");
      entry.offset += head;
      entries_.push_back(std::move(entry));
    }
    if (list.left() != 0) fail("its list of entries is damaged");
  } catch (const Error& error) {
    if (error.code() != ErrorCode::kBadInput || !error.where().empty()) throw;
    fail(error.message());
  }
}

void ZipReader::fail(const std::string& what) const {
  throw Error(ErrorCode::kBadInput, what, describe(), "make it again, or copy it again from its source");
}

void ZipReader::read_range(std::uint64_t offset, std::uint64_t length, Buffer& into) const {
  if (length == 0) {
    into.truncate(0);
    return;
  }
  if (!store_->get_range(key_, {offset, length}, into)) fail("the file vanished while it was read");
}

const ZipReader::Entry* ZipReader::find(std::string_view name) const {
  const auto found = std::find_if(entries_.begin(), entries_.end(),
                                  [&](const Entry& entry) { return entry.name == name; });
  return found == entries_.end() ? nullptr : &*found;
}

namespace {

/// Where an entry goes: two pieces of memory, filled one after the other.
class Destination {
 public:
  Destination(std::span<std::byte> head, std::span<std::byte> body) : pieces_{head, body} {}
  /// What can be filled next; empty at the end.
  [[nodiscard]] std::span<std::byte> room() const {
    for (const std::span<std::byte>& piece : pieces_)
      if (!piece.empty()) return piece;
    return {};
  }
  void filled(std::size_t bytes) {
    std::span<std::byte>& piece = pieces_[0].empty() ? pieces_[1] : pieces_[0];
    piece = piece.subspan(bytes);
  }

 private:
  std::array<std::span<std::byte>, 2> pieces_;
};

}  // namespace

void ZipReader::read(const Entry& entry, std::span<std::byte> head, std::span<std::byte> body) const {
  if (head.size() + body.size() != entry.raw_bytes)
    throw Error(ErrorCode::kInternal, "the memory for an entry has another size than it", describe());
  const auto damaged = [&] { fail(fmt::format("the entry {} is damaged", entry.name)); };
  if (!entry.deflated && entry.packed_bytes != entry.raw_bytes) damaged();
  z_stream stream{};
  if (inflateInit2(&stream, kRawDeflate) != Z_OK) throw std::bad_alloc();
  const std::unique_ptr<z_stream, decltype(&inflateEnd)> released(&stream, &inflateEnd);
  Destination to(head, body);
  bool ended = !entry.deflated;
  Buffer piece;
  for (std::uint64_t at = 0; at < entry.packed_bytes; at += kPieceBytes) {
    read_range(entry.offset + at, std::min<std::uint64_t>(kPieceBytes, entry.packed_bytes - at), piece);
    std::span<const std::byte> from = std::as_const(piece).span();
    while (!entry.deflated && !from.empty()) {
      const std::size_t count = std::min(from.size(), to.room().size());
      std::copy_n(from.begin(), count, to.room().begin());
      to.filled(count);
      from = from.subspan(count);
    }
    stream.next_in = zlib_bytes(piece.data());
    stream.avail_in = static_cast<uInt>(piece.size());
    while (!ended) {
      std::byte none{};
      const std::size_t room = std::min(to.room().size(), kPieceBytes);
      stream.next_out = zlib_bytes(room == 0 ? &none : to.room().data());
      stream.avail_out = static_cast<uInt>(room);
      const int status = inflate(&stream, Z_NO_FLUSH);
      to.filled(room - stream.avail_out);
      ended = status == Z_STREAM_END;
      if (status == Z_BUF_ERROR && stream.avail_in == 0) break;
      if (status != Z_OK && !ended) damaged();
    }
  }
  if (!ended || !to.room().empty() || crc32_of(crc32_of(0, head), body) != entry.crc32) damaged();
}

void ZipReader::check_whole() const {
  const std::uint64_t checked = size_ - kCommentBytes;
  std::uint32_t found = 0;
  Buffer piece;
  for (std::uint64_t at = 0; at < checked; at += kPieceBytes) {
    read_range(at, std::min<std::uint64_t>(kPieceBytes, checked - at), piece);
    found = crc32c(piece.span(), found);
  }
  if (found != recorded_crc32c_)
    fail(fmt::format("its checksum is {:08x}, but the bytes have {:08x}", recorded_crc32c_, found));
}

}  // namespace flatfield::storage
