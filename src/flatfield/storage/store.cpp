#include "flatfield/storage/store.h"

#include <fmt/format.h>

#include <algorithm>

#include "flatfield/core/error.h"

namespace flatfield::storage {

void Store::visit_all(std::string_view prefix, const Visit& visit) const {
  for (const std::string& name : list(prefix)) {
    if (name.ends_with('/'))
      visit_all(join_key(prefix, name.substr(0, name.size() - 1)), visit);
    else if (const std::string key = join_key(prefix, name); const auto bytes = size(key))
      visit(key, *bytes);
  }
}

std::string join_key(std::string_view a, std::string_view b) {
  if (a.empty()) return std::string(b);
  if (b.empty()) return std::string(a);
  std::string key;
  key.reserve(a.size() + 1 + b.size());
  key.append(a).append(1, '/').append(b);
  return key;
}

void check_key(std::string_view key) {
  bool valid = key.find('\0') == std::string_view::npos;
  for (std::size_t begin = 0; begin <= key.size();) {
    const std::size_t end = std::min(key.find('/', begin), key.size());
    const std::string_view part = key.substr(begin, end - begin);
    if (part.empty() || part == "." || part == "..") valid = false;
    begin = end + 1;
  }
  if (!valid)
    throw Error(ErrorCode::kInternal, fmt::format("\"{}\" is not the key of an object", key));
}

std::optional<std::string> get_text(const Store& store, std::string_view key) {
  Buffer bytes;
  if (!store.get(key, bytes)) return std::nullopt;
  return std::string(bytes.text());
}

void put_text(Store& store, std::string_view key, std::string_view text) {
  store.put(key, as_bytes(text));
}

}  // namespace flatfield::storage
