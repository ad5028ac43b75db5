#include "flatfield/core/fail_point.h"

#include <atomic>
#include <csignal>
#include <cstdlib>
#include <string>

#include "flatfield/core/environment.h"

namespace flatfield {
namespace {

struct KillOrder {
  std::string name;  ///< "" = no point
  std::atomic<long> passes_left{0};
  int signal = SIGKILL;

  KillOrder() {
    const std::string text = process_environment("FLATFIELD_KILL_AT").value_or("");
    const std::size_t colon = text.find(':');
    if (colon == std::string::npos) return;
    name = text.substr(0, colon);
    passes_left = std::strtol(text.c_str() + colon + 1, nullptr, 10);
    if (text.ends_with(":TERM")) signal = SIGTERM;
  }
};

}  // namespace

void fail_point(std::string_view name) {
  static KillOrder order;
  if (order.name.empty() || order.name != name) return;
  if (order.passes_left.fetch_sub(1) == 1) std::raise(order.signal);
}

}  // namespace flatfield
