#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>

#include "flatfield/core/buffer.h"
#include "flatfield/storage/http_client.h"
#include "flatfield/storage/store.h"

namespace flatfield::storage {

/// An object on a web server, to be read by one or many requests.
struct RemoteObject {
  /// Sends "GET" or "HEAD" with these headers. None if there is no such object. Answers of status
  /// 200, 206, 412 and 416 come back; for all others it throws Error(kReadFailed).
  using Ask = std::function<std::optional<HttpAnswer>(const std::string& method,
                                                      const Fields& headers, const BodyRoom& room)>;
  Ask ask;
  std::string where;        ///< for messages
  std::size_t piece_bytes;  ///< more than that is read in pieces, several at once
  int pieces_at_once;
};

// `get`, `get_range`, `get_tail`, `size` and `stamp` of a Store (store.h), by ranges (RFC 9110, section 14).
// The pieces of one reading are of one version of the object (If-Match; ETag and size of each answer): one that is replaced
// meanwhile is read again, three times at most. Of servers that know no ranges the whole object is read; where only a part
// of it is wanted, one of more than four pieces is Error(kUnsupported).

[[nodiscard]] bool read_object(const RemoteObject& object, Buffer& into);
[[nodiscard]] bool read_object_range(const RemoteObject& object, ByteRange range, Buffer& into);
[[nodiscard]] std::optional<std::uint64_t> read_object_tail(const RemoteObject& object,
                                                            std::uint64_t length, Buffer& into);
[[nodiscard]] std::optional<std::uint64_t> read_object_size(const RemoteObject& object);
[[nodiscard]] std::optional<ObjectStamp> read_object_stamp(const RemoteObject& object);

/// A Content-Range header, "bytes 0-99/1234".
struct ContentRange {
  std::uint64_t first = 0;
  std::uint64_t last = 0;
  std::uint64_t total = 0;  ///< size of the whole object

  [[nodiscard]] std::uint64_t length() const { return last - first + 1; }
  friend bool operator==(const ContentRange&, const ContentRange&) = default;
};
/// None if it is not of that form, or says nonsense.
[[nodiscard]] std::optional<ContentRange> parse_content_range(std::string_view text);

}  // namespace flatfield::storage
