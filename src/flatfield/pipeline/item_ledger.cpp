#include "flatfield/pipeline/item_ledger.h"

#include <algorithm>
#include <charconv>
#include <cstdint>
#include <ctime>
#include <limits>

#include "flatfield/core/error.h"
#include "flatfield/core/object_reader.h"

namespace flatfield::pipeline {
namespace {

/// Nanoseconds of a clock that runs on while the machine sleeps.
std::int64_t boot_nanoseconds() {
  timespec time{};
  ::clock_gettime(CLOCK_BOOTTIME, &time);
  return std::int64_t{time.tv_sec} * 1'000'000'000 + time.tv_nsec;
}

}  // namespace

std::vector<WrittenObject> WrittenObjects::take() {
  const std::scoped_lock lock(mutex_);
  std::sort(objects_.begin(), objects_.end());
  return std::exchange(objects_, {});
}

std::string ItemLedger::key(const std::string& pass, std::int64_t item) const {
  return storage::join_key(storage::join_key(path_, pass), std::to_string(item) + ".json");
}

std::set<std::int64_t> ItemLedger::done(const std::string& pass) const {
  std::set<std::int64_t> items;
  for (const std::string& name : store_->list(storage::join_key(path_, pass))) {
    std::int64_t item = 0;
    const auto [end, error] = std::from_chars(name.data(), name.data() + name.size(), item);
    if (error == std::errc() && std::string_view(end, name.data() + name.size()) == ".json") items.insert(item);
  }
  return items;
}

void ItemLedger::check() const {
  if (!check_) return;
  const std::int64_t now = boot_nanoseconds();
  check_();
  checked_at_ = now;
}

void ItemLedger::check_again() const {
  if (!check_) return;
  const std::int64_t last = checked_at_;
  if (last < 0 || boot_nanoseconds() - last >= pause_.count()) check();
}

void ItemLedger::note(const std::string& pass, std::int64_t item, const std::vector<WrittenObject>& objects) {
  check();
  Json entry;
  Json& rows = entry["level_number_bytes_crc32c"];
  rows = Json::array();
  for (const WrittenObject& object : objects)
    rows.push_back(Json(Json::Array{object.level, object.number, object.bytes, object.crc32c}));
  const std::string text = entry.dump() + "\n";
  store_->put_last(key(pass, item), as_bytes(text));
}

std::optional<std::vector<WrittenObject>> ItemLedger::objects(const std::string& pass, std::int64_t item) const {
  const auto text = storage::get_text(*store_, key(pass, item));
  if (!text) return std::nullopt;
  try {
    std::vector<WrittenObject> objects;
    const std::string where = describe(pass, item);
    const Json entry = Json::parse(*text, where);
    for (const Json& row : ObjectReader(entry, where).get_array("level_number_bytes_crc32c")) {
      const bool good = row.is_array() && row.as_array().size() == 4 &&
                        std::all_of(row.as_array().begin(), row.as_array().end(),
                                    [](const Json& number) { return number.is_integer() && number.as_double() >= 0; }) &&
                        row.as_array()[0].as_double() <= std::numeric_limits<int>::max() &&
                        row.as_array()[3].as_double() <= std::numeric_limits<std::uint32_t>::max();
      if (!good) return std::nullopt;
      const Json::Array& numbers = row.as_array();
      objects.push_back({static_cast<int>(numbers[0].as_int64()), numbers[1].as_int64(), numbers[2].as_uint64(),
                         static_cast<std::uint32_t>(numbers[3].as_uint64())});
    }
    return objects;
  } catch (const Error& error) {
    if (error.code() != ErrorCode::kBadInput) throw;
    return std::nullopt;
  }
}

void ItemLedger::forget(const std::string& pass, std::int64_t item) { store_->erase(key(pass, item)); }

}  // namespace flatfield::pipeline
