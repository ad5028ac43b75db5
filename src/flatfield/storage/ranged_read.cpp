#include "flatfield/storage/ranged_read.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <cstring>

#include "flatfield/core/error.h"
#include "flatfield/storage/fan_out.h"

namespace flatfield::storage {
namespace {

constexpr int kMostReadings = 3;
/// Pieces' worth of an object that is held whole where only a part of it is wanted.
constexpr std::size_t kMostPiecesHeld = 4;

/// The object was replaced between two pieces of a reading.
struct Replaced {};

[[noreturn]] void fail_odd(const RemoteObject& object, const HttpAnswer& answer) {
  throw Error(ErrorCode::kReadFailed,
              fmt::format("the server answers a range with status {} and Content-Range \"{}\"",
                          answer.status, answer.header("content-range")),
              object.where);
}

[[noreturn]] void fail_short(const RemoteObject& object, std::uint64_t expected,
                             std::uint64_t size) {
  throw Error(ErrorCode::kBadInput,
              fmt::format("expected at least {} bytes, but the object has only {}", expected, size),
              object.where, "the object is truncated: copy it again from its source");
}

/// A part of an object was asked for, and all of it, `length` bytes, is on the way: memory that nobody has counted, in each of
/// many threads, and for each part the time of the whole.
void refuse_if_large(const RemoteObject& object, std::uint64_t length) {
  if (length <= kMostPiecesHeld * object.piece_bytes) return;
  throw Error(ErrorCode::kUnsupported,
              fmt::format("the server sends no parts of objects, and this one of {} bytes is too large to hold", length),
              object.where, "copy it to a disk, or serve it with a server that answers ranges");
}

Fields range_header(std::uint64_t first, std::uint64_t length) {
  return {{"Range", fmt::format("bytes={}-{}", first, first + length - 1)}};
}

/// The Content-Range of a partial answer; it must begin where it was asked to.
ContentRange checked_range(const RemoteObject& object, const HttpAnswer& answer,
                           std::uint64_t first, std::uint64_t most) {
  const auto range = parse_content_range(answer.header("content-range"));
  if (answer.status != 206 || !range || range->first != first || range->length() > most)
    fail_odd(object, answer);
  return *range;
}

/// Of an object, as far as an answer tells.
struct Version {
  std::string etag;  ///< "" if it is not said
  std::uint64_t total = 0;
};

/// An ETag without the mark of a weak one, which a cache may add to some answers.
std::string_view opaque_tag(std::string_view etag) { return etag.substr(etag.starts_with("W/") ? 2 : 0); }

/// Reads bytes [first, first + into.size()) of `version`, in pieces.
void read_pieces(const RemoteObject& object, std::uint64_t first, std::span<std::byte> into,
                 const Version& version) {
  const std::string& etag = version.etag;
  const std::size_t piece = object.piece_bytes;
  const auto count = static_cast<std::int64_t>((into.size() + piece - 1) / piece);
  fan_out(count, object.pieces_at_once, [&](std::int64_t i) {
    const std::size_t offset = static_cast<std::size_t>(i) * piece;
    const auto target = into.subspan(offset, std::min(piece, into.size() - offset));
    Fields headers = range_header(first + offset, target.size());
    // A weak one never matches (RFC 9110, section 13.1.1): it is compared when the answer is there.
    const bool is_weak = etag.starts_with("W/");
    if (!etag.empty() && !is_weak) headers.emplace_back("If-Match", etag);
    const auto answer =
        object.ask("GET", headers, [&](const HttpAnswer& head, std::uint64_t length) {
          const ContentRange range = checked_range(object, head, first + offset, target.size());
          if (range.total != version.total) throw Replaced();
          if (length != target.size() || range.length() != length) fail_odd(object, head);
          return target;
        });
    if (!answer || answer->status == 412 || answer->status == 416) throw Replaced();
    // Not every server, or what is on the way to it, heeds If-Match.
    const std::string_view found = answer->header("etag");
    if (found.empty() ? is_weak : !etag.empty() && opaque_tag(found) != opaque_tag(etag)) throw Replaced();
  });
}

/// Calls `reading` again where the object was replaced meanwhile.
template <class F>
auto repeat_if_replaced(const RemoteObject& object, F reading) {
  for (int i = 1;; ++i) {
    try {
      return reading();
    } catch (const Replaced&) {
      if (i == kMostReadings)
        throw Error(ErrorCode::kReadFailed, "the object changes while it is read", object.where,
                    "let nothing else write to it and start again");
    }
  }
}

}  // namespace

bool read_object(const RemoteObject& object, Buffer& into) {
  return repeat_if_replaced(object, [&] {
    into.truncate(0);
    std::uint64_t read = 0;
    const auto room = [&](const HttpAnswer& head, std::uint64_t length) {
      std::uint64_t total = length;
      if (head.status == 206) {
        const ContentRange range = checked_range(object, head, 0, object.piece_bytes);
        if (range.length() != length) fail_odd(object, head);
        total = range.total;
      }
      read = length;
      return into.resize(total).first(length);
    };
    auto answer = object.ask("GET", range_header(0, object.piece_bytes), room);
    // An empty object has no first byte.
    if (answer && answer->status == 416) answer = object.ask("GET", {}, room);
    if (!answer) {
      into.truncate(0);
      return false;
    }
    if (!answer->success()) fail_odd(object, *answer);
    if (read < into.size())
      read_pieces(object, read, into.span().subspan(read), {std::string(answer->header("etag")), into.size()});
    return true;
  });
}

bool read_object_range(const RemoteObject& object, ByteRange range, Buffer& into) {
  into.truncate(0);
  if (range.length == 0) {
    const auto size = read_object_size(object);
    if (size && *size < range.offset) fail_short(object, range.offset, *size);
    return size.has_value();
  }
  return repeat_if_replaced(object, [&] {
    into.truncate(0);
    const std::uint64_t first_piece = std::min<std::uint64_t>(range.length, object.piece_bytes);
    Buffer whole;
    bool is_whole = false;
    std::uint64_t total = 0;
    const auto room = [&](const HttpAnswer& head, std::uint64_t length) {
      is_whole = head.status == 200;
      if (is_whole) {
        refuse_if_large(object, length);
        return whole.resize(length);
      }
      const ContentRange got = checked_range(object, head, range.offset, first_piece);
      total = got.total;
      if (got.length() != length) fail_odd(object, head);
      if (length < first_piece || got.total < range.offset + range.length)
        fail_short(object, range.offset + range.length, got.total);
      return into.resize(range.length).first(length);
    };
    const auto answer = object.ask("GET", range_header(range.offset, first_piece), room);
    if (!answer) return false;
    if (answer->status == 416) {
      const auto size = read_object_size(object);
      if (!size) return false;
      fail_short(object, range.offset + range.length, *size);
    }
    if (!answer->success()) fail_odd(object, *answer);
    if (is_whole) {
      if (range.offset > whole.size() || range.length > whole.size() - range.offset)
        fail_short(object, range.offset + range.length, whole.size());
      std::memcpy(into.resize(range.length).data(), whole.data() + range.offset, range.length);
    } else if (first_piece < range.length) {
      read_pieces(object, range.offset + first_piece, into.span().subspan(first_piece),
                  {std::string(answer->header("etag")), total});
    }
    return true;
  });
}

std::optional<std::uint64_t> read_object_tail(const RemoteObject& object, std::uint64_t length,
                                              Buffer& into) {
  into.truncate(0);
  std::uint64_t total = 0;
  if (length > 0) {
    bool is_whole = false;
    const auto answer =
        object.ask("GET", {{"Range", fmt::format("bytes=-{}", length)}},
                   [&](const HttpAnswer& head, std::uint64_t bytes) {
                     is_whole = head.status == 200;
                     total = bytes;
                     if (is_whole) {
                       refuse_if_large(object, bytes);
                     } else {
                       const auto range = parse_content_range(head.header("content-range"));
                       if (!range || range->length() != bytes || range->last + 1 != range->total)
                         fail_odd(object, head);
                       total = range->total;
                     }
                     return into.resize(bytes);
                   });
    if (!answer) return std::nullopt;
    if (answer->success()) {
      if (total < length) fail_short(object, length, total);
      if (into.size() > length) {
        std::memmove(into.data(), into.data() + (into.size() - length), length);
        into.truncate(length);
      }
      if (into.size() != length) fail_odd(object, *answer);
      return total;
    }
    // 416: the object is empty, or the server knows no ranges from the end.
  }
  const auto size = read_object_size(object);
  if (!size) return std::nullopt;
  if (*size < length) fail_short(object, length, *size);
  if (!read_object_range(object, {*size - length, length}, into)) return std::nullopt;
  return size;
}

std::optional<std::uint64_t> read_object_size(const RemoteObject& object) {
  const auto stamp = read_object_stamp(object);
  return stamp ? std::optional(stamp->bytes) : std::nullopt;
}

std::optional<ObjectStamp> read_object_stamp(const RemoteObject& object) {
  const auto answer = object.ask("HEAD", {}, {});
  if (!answer) return std::nullopt;
  const std::string_view text = answer->header("content-length");
  std::uint64_t size = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), size);
  if (!answer->success() || text.empty() || error != std::errc() ||
      end != text.data() + text.size())
    throw Error(ErrorCode::kReadFailed, "the server does not say how large the object is",
                object.where);
  const std::string_view tag = answer->header("etag");
  return ObjectStamp{size, std::string(tag.empty() ? answer->header("last-modified") : tag)};
}

std::optional<ContentRange> parse_content_range(std::string_view text) {
  constexpr std::string_view kUnit = "bytes ";
  if (!text.starts_with(kUnit)) return std::nullopt;
  text.remove_prefix(kUnit.size());
  const auto number = [&](char end, std::uint64_t& value) {
    const auto [stop, error] = std::from_chars(text.data(), text.data() + text.size(), value);
    text.remove_prefix(static_cast<std::size_t>(stop - text.data()));
    if (error != std::errc()) return false;
    if (end == '\0') return text.empty();
    if (!text.starts_with(end)) return false;
    text.remove_prefix(1);
    return true;
  };
  ContentRange range;
  if (!number('-', range.first) || !number('/', range.last) || !number('\0', range.total) ||
      range.first > range.last || range.last >= range.total)
    return std::nullopt;
  return range;
}

}  // namespace flatfield::storage
