#include "flatfield/core/interruption.h"

#include <atomic>
#include <csignal>

#include "flatfield/core/error.h"

namespace flatfield {
namespace {

std::atomic<bool> g_requested{false};
std::atomic<int> g_scopes{0};
static_assert(std::atomic<bool>::is_always_lock_free, "a signal handler may not wait");

extern "C" void note_interruption(int signal) {
  if (!g_requested.exchange(true)) return;
  std::signal(signal, SIG_DFL);
  std::raise(signal);
}

}  // namespace

void catch_interruptions() {
  struct sigaction action {};
  action.sa_handler = note_interruption;
  // What was begun is brought to its end, so what was waited for is waited for again.
  action.sa_flags = SA_RESTART;
  ::sigaction(SIGINT, &action, nullptr);
  ::sigaction(SIGTERM, &action, nullptr);
}

struct CaughtInterruptions::Handlers {
  struct sigaction interrupt {};
  struct sigaction terminate {};
};

CaughtInterruptions::CaughtInterruptions() {
  if (g_scopes++ > 0) return;
  before_ = std::make_unique<Handlers>();
  ::sigaction(SIGINT, nullptr, &before_->interrupt);
  ::sigaction(SIGTERM, nullptr, &before_->terminate);
  catch_interruptions();
}

CaughtInterruptions::~CaughtInterruptions() {
  --g_scopes;
  if (!before_) return;
  ::sigaction(SIGINT, &before_->interrupt, nullptr);
  ::sigaction(SIGTERM, &before_->terminate, nullptr);
  g_requested = false;
}

bool interruption_requested() noexcept { return g_requested.load(std::memory_order_relaxed); }

void stop_if_interrupted() {
  if (interruption_requested()) throw Error(ErrorCode::kInterrupted, "the run was asked to stop");
}

}  // namespace flatfield
