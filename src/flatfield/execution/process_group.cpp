#include "flatfield/execution/process_group.h"

#include <array>

namespace flatfield::execution {

void ProcessGroup::first_only(const std::function<void()>& work) {
  together([&] {
    if (is_first()) work();
  });
}

bool ProcessGroup::ask_first(const std::function<bool()>& question) {
  std::array<std::uint64_t, 1> yes{};
  first_only([&] { yes[0] = question() ? 1 : 0; });
  sum(yes);
  return yes[0] != 0;
}

Stretch stretch_of(const ProcessGroup& processes, std::int64_t count) {
  return {count * processes.rank() / processes.size(), count * (processes.rank() + 1) / processes.size()};
}

}  // namespace flatfield::execution
