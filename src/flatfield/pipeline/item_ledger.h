#pragma once

#include <atomic>
#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "flatfield/storage/store.h"

namespace flatfield::pipeline {

/// One object of an image, as it was written.
struct WrittenObject {
  int level = 0;            ///< of the image
  std::int64_t number = 0;  ///< of the object in its level, in C order of the objects
  std::uint64_t bytes = 0;
  std::uint32_t crc32c = 0;

  friend bool operator==(const WrittenObject&, const WrittenObject&) = default;
  friend auto operator<=>(const WrittenObject&, const WrittenObject&) = default;
};

/// Collects what the workers write of an item.
class WrittenObjects {
 public:
  void add(const WrittenObject& object) {
    const std::scoped_lock lock(mutex_);
    objects_.push_back(object);
  }
  /// What was collected, in order; it is empty again then.
  [[nodiscard]] std::vector<WrittenObject> take();

 private:
  std::mutex mutex_;
  std::vector<WrittenObject> objects_;
};

/// Which items of an image are done, and what they have written: one small object for each, so that many processes may
/// write at the same time. An entry is made after all objects of its item, and removed before them; so what is done is
/// there, whenever a process is killed. May be used from several threads.
class ItemLedger {
 public:
  /// Entries go below `path` in the store of the image. `check` is called before each; what it throws prevents the entry.
  /// What it has found holds for `pause` where an object is written (check_again).
  ItemLedger(std::shared_ptr<storage::Store> store, std::string path, std::function<void()> check = {},
             std::chrono::nanoseconds pause = std::chrono::seconds(10))
      : store_(std::move(store)), path_(std::move(path)), check_(std::move(check)), pause_(pause) {}

  /// The items of a pass that are done. `pass` is a key like "t0_c0/level_3".
  [[nodiscard]] std::set<std::int64_t> done(const std::string& pass) const;
  /// Notes that an item is done, as soon as the objects that were put soon are written (Store::put_last, for which
  /// Store::flush waits). Throws Error(kWriteFailed), also where one of these could not be.
  void note(const std::string& pass, std::int64_t item, const std::vector<WrittenObject>& objects);
  /// What an item that is done has written; none if its entry is damaged, as by a crash of the machine, or not there.
  [[nodiscard]] std::optional<std::vector<WrittenObject>> objects(const std::string& pass, std::int64_t item) const;
  /// Where the entry of an item is, for messages.
  [[nodiscard]] std::string describe(const std::string& pass, std::int64_t item) const {
    return store_->describe(key(pass, item));
  }
  /// Throws what prevents entries.
  void check() const;
  /// The same, unless that was looked at a moment ago: to be called before each object of an item is written. The clock runs
  /// on while the process or the machine stands still, so that the first object after that finds what became of the place.
  void check_again() const;
  /// Forgets an item, so that it is done again.
  void forget(const std::string& pass, std::int64_t item);

 private:
  [[nodiscard]] std::string key(const std::string& pass, std::int64_t item) const;

  std::shared_ptr<storage::Store> store_;
  std::string path_;
  std::function<void()> check_;
  std::chrono::nanoseconds pause_;
  mutable std::atomic<std::int64_t> checked_at_{-1};  ///< when the last check began that found nothing; -1 = never
};

}  // namespace flatfield::pipeline
