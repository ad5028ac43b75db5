#include "flatfield/core/interruption.h"

#include <pthread.h>

#include <atomic>
#include <csignal>
#include <new>
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

void restore_if_noted(int signal, const struct sigaction& before) {
  struct sigaction now {};
  ::sigaction(signal, nullptr, &now);
  if (now.sa_handler == note_interruption) ::sigaction(signal, &before, nullptr);
}

/// In a forked process: what is caught for a while is work of its parent. Nobody does it here, and nobody would ever look at a
/// request.
void forget_scopes() {
  if (g_scopes == 0) return;
  restore_if_noted(SIGINT, g_interrupt_before);
  restore_if_noted(SIGTERM, g_terminate_before);
  g_scopes = 0;
  g_requested = false;
}

/// Counts one more scope; true if it is the outermost.
bool enter_scope() {
  static const int failure = ::pthread_atfork(nullptr, nullptr, &forget_scopes);
  if (failure != 0) throw std::bad_alloc();
  return g_scopes++ == 0;
}

}  // namespace

void catch_interruptions() {
  for (const int signal : {SIGINT, SIGTERM}) {
    struct sigaction before {};
    note_unless_ignored(signal, before);
  }
}

CaughtInterruptions::CaughtInterruptions() : is_outermost_(enter_scope()) {
  if (!is_outermost_) return;
  note_unless_ignored(SIGINT, g_interrupt_before);
  note_unless_ignored(SIGTERM, g_terminate_before);
}

CaughtInterruptions::~CaughtInterruptions() { static_cast<void>(release()); }

bool CaughtInterruptions::release() noexcept {
  // Without scopes, this one is that of the process that this was forked from.
  if (!std::exchange(is_held_, false) || g_scopes == 0) return false;
  if (!is_outermost_) {
    --g_scopes;
    return interruption_requested();
  }
  ::sigaction(SIGINT, &g_interrupt_before, nullptr);
  ::sigaction(SIGTERM, &g_terminate_before, nullptr);
  --g_scopes;  // after that: who is forked in between has nothing to restore, or does it again
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
