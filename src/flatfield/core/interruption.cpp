#include "flatfield/core/interruption.h"

#include <atomic>
#include <csignal>
#include <utility>

#include "flatfield/core/error.h"

namespace flatfield {
namespace {

std::atomic<bool> g_requested{false};
std::atomic<int> g_scopes{0};
static_assert(std::atomic<bool>::is_always_lock_free, "a signal handler may not wait");

/// What SIGINT and SIGTERM did before they were caught for a while; the default where they are caught for good.
struct sigaction g_interrupt_before {};
struct sigaction g_terminate_before {};

extern "C" void note_interruption(int signal) {
  if (!g_requested.exchange(true)) return;
  ::sigaction(signal, signal == SIGINT ? &g_interrupt_before : &g_terminate_before, nullptr);
  std::raise(signal);
}

void note(int signal) {
  struct sigaction action {};
  action.sa_handler = note_interruption;
  // What was begun is brought to its end, so what was waited for is waited for again.
  action.sa_flags = SA_RESTART;
  ::sigaction(signal, &action, nullptr);
}

void note_unless_ignored(int signal, struct sigaction& before) {
  ::sigaction(signal, nullptr, &before);
  if (before.sa_handler != SIG_IGN) note(signal);
}

}  // namespace

void catch_interruptions() {
  for (const int signal : {SIGINT, SIGTERM}) {
    struct sigaction before {};
    note_unless_ignored(signal, before);
  }
}

CaughtInterruptions::CaughtInterruptions() : is_outermost_(g_scopes++ == 0) {
  if (!is_outermost_) return;
  note_unless_ignored(SIGINT, g_interrupt_before);
  note_unless_ignored(SIGTERM, g_terminate_before);
}

CaughtInterruptions::~CaughtInterruptions() { static_cast<void>(release()); }

bool CaughtInterruptions::release() noexcept {
  if (!std::exchange(is_held_, false)) return false;
  --g_scopes;
  if (!is_outermost_) return interruption_requested();
  ::sigaction(SIGINT, &g_interrupt_before, nullptr);
  ::sigaction(SIGTERM, &g_terminate_before, nullptr);
  g_interrupt_before = {};
  g_terminate_before = {};
  return g_requested.exchange(false);
}

bool interruption_requested() noexcept { return g_requested.load(std::memory_order_relaxed); }

void throw_interrupted() {
  throw Error(ErrorCode::kInterrupted, "this was asked to stop", "", "start it again; a run goes on where it was");
}

void stop_if_interrupted() {
  if (interruption_requested()) throw_interrupted();
}

}  // namespace flatfield
