#pragma once

#include <algorithm>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "flatfield/core/error.h"
#include "flatfield/storage/store.h"

namespace flatfield::storage {

/// A Store that lives in memory: for tests, and for what is passed on as bytes.
class MemoryStore : public Store {
 public:
  bool get(std::string_view key, Buffer& into) const override {
    check_key(key);
    const std::scoped_lock lock(mutex_);
    into.truncate(0);
    const auto it = objects_.find(key);
    if (it == objects_.end()) return false;
    copy_into(it->second, into);
    return true;
  }
  bool get_range(std::string_view key, ByteRange range, Buffer& into) const override {
    check_key(key);
    const std::scoped_lock lock(mutex_);
    into.truncate(0);
    const auto it = objects_.find(key);
    if (it == objects_.end()) return false;
    const std::span<const std::byte> bytes = it->second;
    if (range.offset > bytes.size() || range.length > bytes.size() - range.offset)
      throw Error(ErrorCode::kBadInput, "the object ends before the range", describe(key));
    copy_into(bytes.subspan(range.offset, range.length), into);
    return true;
  }
  std::optional<std::uint64_t> get_tail(std::string_view key, std::uint64_t length,
                                        Buffer& into) const override {
    check_key(key);
    const std::scoped_lock lock(mutex_);
    into.truncate(0);
    const auto it = objects_.find(key);
    if (it == objects_.end()) return std::nullopt;
    const std::span<const std::byte> bytes = it->second;
    if (length > bytes.size())
      throw Error(ErrorCode::kBadInput, "the object is smaller than its tail", describe(key));
    copy_into(bytes.last(length), into);
    return bytes.size();
  }
  void put(std::string_view key, std::span<const std::byte> bytes) override {
    check_key(key);
    const std::scoped_lock lock(mutex_);
    objects_[std::string(key)].assign(bytes.begin(), bytes.end());
  }
  std::unique_ptr<ObjectWriter> create(std::string_view key) override {
    check_key(key);
    return std::make_unique<Writer>(*this, std::string(key));
  }
  std::optional<std::uint64_t> size(std::string_view key) const override {
    check_key(key);
    const std::scoped_lock lock(mutex_);
    const auto it = objects_.find(key);
    if (it == objects_.end()) return std::nullopt;
    return it->second.size();
  }
  std::vector<std::string> list(std::string_view prefix) const override {
    if (!prefix.empty()) check_key(prefix);
    const std::string start = prefix.empty() ? "" : std::string(prefix) + "/";
    const std::scoped_lock lock(mutex_);
    std::vector<std::string> names;
    for (auto it = objects_.lower_bound(start); it != objects_.end(); ++it) {
      if (!it->first.starts_with(start)) break;
      const std::string rest = it->first.substr(start.size());
      const std::size_t slash = rest.find('/');
      names.push_back(slash == std::string::npos ? rest : rest.substr(0, slash + 1));
    }
    std::sort(names.begin(), names.end());
    names.erase(std::unique(names.begin(), names.end()), names.end());
    return names;
  }
  void erase(std::string_view key) override {
    check_key(key);
    const std::scoped_lock lock(mutex_);
    objects_.erase(std::string(key));
  }
  void erase_prefix(std::string_view prefix) override {
    if (!prefix.empty()) check_key(prefix);
    const std::string start = prefix.empty() ? "" : std::string(prefix) + "/";
    const std::scoped_lock lock(mutex_);
    std::erase_if(objects_, [&](const auto& object) { return object.first.starts_with(start); });
  }
  std::string describe(std::string_view key) const override { return join_key("memory:/", key); }

 private:
  class Writer final : public ObjectWriter {
   public:
    Writer(MemoryStore& store, std::string key) : store_(store), key_(std::move(key)) {}
    void append(std::span<const std::byte> bytes) override {
      bytes_.insert(bytes_.end(), bytes.begin(), bytes.end());
    }
    void commit() override { store_.put(key_, bytes_); }

   private:
    MemoryStore& store_;
    std::string key_;
    std::vector<std::byte> bytes_;
  };

  static void copy_into(std::span<const std::byte> bytes, Buffer& into) {
    const std::span<std::byte> to = into.resize(bytes.size());
    std::copy(bytes.begin(), bytes.end(), to.begin());
  }

  mutable std::mutex mutex_;
  std::map<std::string, std::vector<std::byte>, std::less<>> objects_;
};

}  // namespace flatfield::storage
