#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "flatfield/core/buffer.h"

namespace flatfield::storage {

/// Bytes [offset, offset + length) of an object.
struct ByteRange {
  std::uint64_t offset = 0;
  std::uint64_t length = 0;
};

/// By what an object that was replaced can be told from the one before.
struct ObjectStamp {
  std::uint64_t bytes = 0;
  std::string version;  ///< time of the last change of a file, ETag of an object; "" where there is neither

  friend bool operator==(const ObjectStamp&, const ObjectStamp&) = default;
};

/// A new object that is written piece by piece. Nothing of it can be seen before `commit`, and
/// without one nothing is left of it. For one thread at a time.
class ObjectWriter {
 public:
  virtual ~ObjectWriter() = default;
  /// Adds bytes at the end. Throws Error(kWriteFailed); the object cannot be committed then.
  virtual void append(std::span<const std::byte> bytes) = 0;
  /// Makes what was appended the object, atomically, as `Store::put` does; to be called once, last.
  /// Throws Error(kWriteFailed); an old object of the same name is then still there, or the new one, as after `put`.
  virtual void commit() = 0;
};

/// Bytes by key. Keys are relative, '/'-separated, without empty, "." or ".." parts.
///
/// All members may be called from several threads at once. Absence of a key is a value, never an
/// error; every other failure is an Error that names the object in full.
class Store {
 public:
  virtual ~Store() = default;

  /// Reads a whole object into `into`; false (and `into` empty) if there is none.
  /// Throws Error(kReadFailed).
  [[nodiscard]] virtual bool get(std::string_view key, Buffer& into) const = 0;
  /// Reads one range; false if there is no such object. Throws Error(kBadInput) if the object ends
  /// before the range does, Error(kReadFailed).
  [[nodiscard]] virtual bool get_range(std::string_view key, ByteRange range,
                                       Buffer& into) const = 0;
  /// Reads the last `length` bytes of an object and returns the size of the whole of it; none if
  /// there is no such object. Throws Error(kBadInput) if it is smaller, Error(kReadFailed).
  [[nodiscard]] virtual std::optional<std::uint64_t> get_tail(std::string_view key,
                                                              std::uint64_t length,
                                                              Buffer& into) const = 0;
  /// Writes a whole object, atomically: a reader sees the old bytes, or all of the new ones. What was put soon or last
  /// before is written then. Throws Error(kWriteFailed); then the old object is there, or where only making it durable
  /// failed, or the answer of a server was lost, the new one, and nothing else is left.
  virtual void put(std::string_view key, std::span<const std::byte> bytes) = 0;
  /// Like `put`, but may return before the object is written, and holds a bounded copy of it meanwhile. Whoever asks this
  /// store for the object afterwards, or for what is below a prefix, waits for it. Where one could not be written,
  /// every other function throws Error(kWriteFailed) from then on.
  virtual void put_soon(std::string_view key, std::span<const std::byte> bytes) { put(key, bytes); }
  /// Like `put_soon`, but the object is written after all that were put soon before it, and never where one of them could
  /// not be: for what says that they are there. Waits while many such objects do.
  virtual void put_last(std::string_view key, std::span<const std::byte> bytes) { put(key, bytes); }
  /// Waits until all that was put soon or last before is written. Throws Error(kWriteFailed) if one could not be.
  virtual void flush() {}
  /// Begins an object that is too large to hold in memory. Nothing is made before the first append
  /// or the commit. Throws Error(kWriteFailed).
  [[nodiscard]] virtual std::unique_ptr<ObjectWriter> create(std::string_view key) = 0;
  /// Size in bytes; none if there is no such object. Throws Error(kReadFailed).
  [[nodiscard]] virtual std::optional<std::uint64_t> size(std::string_view key) const = 0;
  /// What the object is known by without reading it; none if there is no such object.
  /// Throws Error(kReadFailed).
  [[nodiscard]] virtual std::optional<ObjectStamp> stamp(std::string_view key) const {
    const auto bytes = size(key);
    return bytes ? std::optional(ObjectStamp{*bytes, ""}) : std::nullopt;
  }
  /// Names directly below a prefix ("" = the root; no '/' at its end), sorted, without duplicates.
  /// Names that are themselves prefixes end in '/'. Throws Error(kReadFailed).
  [[nodiscard]] virtual std::vector<std::string> list(std::string_view prefix) const = 0;
  /// Removes one object; absence is not an error. Throws Error(kWriteFailed).
  virtual void erase(std::string_view key) = 0;
  /// Removes every object below a prefix ("" = all); an object named like the prefix itself stays.
  /// Absence is not an error. Throws Error(kWriteFailed).
  virtual void erase_prefix(std::string_view prefix) = 0;
  /// Calls `visit(key, bytes)` for every object below a prefix ("" = all), in any order.
  /// Throws Error(kReadFailed).
  using Visit = std::function<void(const std::string& key, std::uint64_t bytes)>;
  virtual void visit_all(std::string_view prefix, const Visit& visit) const;
  /// Removes what writers that were killed have left below a prefix ("" = all) and no reader sees: temporary files,
  /// uploads that were not completed. No other writer may be at work there. Throws Error(kWriteFailed).
  virtual void erase_leftovers(std::string_view prefix) { static_cast<void>(prefix); }
  /// How many objects a thread that needs several does well to read at once: more than one where a
  /// reading is mostly waiting, for a server far away.
  [[nodiscard]] virtual int reads_at_once() const { return 1; }
  /// Full name of an object for messages: a path or a URL. "" names the root.
  [[nodiscard]] virtual std::string describe(std::string_view key) const = 0;
};

/// Joins two key parts with '/', either of which may be empty.
[[nodiscard]] std::string join_key(std::string_view a, std::string_view b);

/// Refuses a key that could leave the store: Error(kInternal) for empty keys, for empty, "." or
/// ".." parts, and for NUL characters. Names that come from a file must be checked before they are
/// used.
void check_key(std::string_view key);

/// The text of a (small) object; none if it does not exist.
[[nodiscard]] std::optional<std::string> get_text(const Store& store, std::string_view key);
/// Writes a text as a whole object.
void put_text(Store& store, std::string_view key, std::string_view text);

}  // namespace flatfield::storage
