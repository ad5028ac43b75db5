#include "store_input.h"

#include <algorithm>
#include <string>

#include "flatfield/core/error.h"

namespace flatfield::fuzz {

std::shared_ptr<storage::MemoryStore> read_store(Input input) {
  constexpr int kMostObjects = 64;
  auto store = std::make_shared<storage::MemoryStore>();
  const std::string_view text(reinterpret_cast<const char*>(input.data()), input.size());
  if (!text.starts_with(kKeyMark)) return store;
  const std::string mark = "\n" + std::string(kKeyMark);
  std::size_t begin = kKeyMark.size();
  for (int count = 0; count < kMostObjects && begin < text.size(); ++count) {
    const std::size_t line_end = std::min(text.find('\n', begin), text.size());
    const std::string_view key = text.substr(begin, line_end - begin);
    const std::size_t bytes_begin = std::min(line_end + 1, text.size());
    // An empty object ends with the line break of its own key.
    const std::size_t end = std::min(text.find(mark, std::min(line_end, text.size())), text.size());
    const std::size_t bytes_end = std::max(bytes_begin, end);
    try {
      store->put(key, as_bytes(text.substr(bytes_begin, bytes_end - bytes_begin)));
    } catch (const Error&) {  // NOLINT(bugprone-empty-catch): not the key of an object
    }
    begin = end + mark.size();
  }
  return store;
}

}  // namespace flatfield::fuzz
