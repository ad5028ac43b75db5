#include "flatfield/storage/credential_provider.h"

#include <exception>
#include <limits>
#include <random>
#include <utility>

#include "flatfield/core/error.h"

namespace flatfield::storage {
namespace {

constexpr UnixSeconds kEarly = 300;
constexpr UnixSeconds kEarlyJitter = 60;
constexpr std::chrono::seconds kPauseAfterFailure{10};

/// Processes that began together must not all ask at the same moment.
UnixSeconds early_seconds() {
  static const UnixSeconds jitter = [] {
    std::random_device random;
    return std::uniform_int_distribution<UnixSeconds>(0, kEarlyJitter)(random);
  }();
  return kEarly + jitter;
}

}  // namespace

CredentialProvider::CredentialProvider(CredentialSource source) : source_(std::move(source)) {}

std::shared_ptr<const Credentials> CredentialProvider::current() {
  std::unique_lock lock(mutex_);
  bool waited = false;
  for (;;) {
    // All who waited are told why there are no others, and not only the one who asked.
    if (waited && !fetching_ && failure_ && (!fetched_ || seconds_left() <= 0)) std::rethrow_exception(failure_);
    if (fetched_ && !is_renewal_due()) return credentials_;
    if (!fetching_) break;
    if (fetched_ && seconds_left() > 0) return credentials_;
    changed_.wait(lock);
    waited = true;
  }
  if (!fetched_) {
    fetch(lock);
    return credentials_;
  }
  try {
    fetch(lock);
    // A source may hand out what it has although it expires soon: it is not asked every time.
    next_fetch_ = std::chrono::steady_clock::now() + kPauseAfterFailure;
  } catch (const Error&) {
    if (seconds_left() <= 0) throw;
  }
  return credentials_;
}

bool CredentialProvider::replace(const std::shared_ptr<const Credentials>& used) {
  std::unique_lock lock(mutex_);
  changed_.wait(lock, [this] { return !fetching_; });
  if (credentials_ != used) return true;  // another thread has been here
  if (!credentials_) return false;
  // Who is refused while or just after another thread has asked in vain does not ask anew, each after the other.
  if (failure_ && std::chrono::steady_clock::now() < next_fetch_) std::rethrow_exception(failure_);
  fetch(lock);
  return credentials_ && *credentials_ != *used;
}

void CredentialProvider::fetch(std::unique_lock<std::mutex>& lock) {
  fetching_ = true;
  // Only the thread that fetches changes them.
  const bool had_some = credentials_ != nullptr;
  lock.unlock();
  std::shared_ptr<const Credentials> fresh;
  std::exception_ptr failure;
  try {
    if (std::optional<Credentials> fetched = source_.fetch())
      fresh = std::make_shared<const Credentials>(std::move(*fetched));
    // It had some, so it is a trouble of the moment: to go on without any would be to go on as somebody else.
    if (!fresh && had_some)
      throw Error(ErrorCode::kReadFailed, "there are no new credentials where those of this run came from", source_.name,
                  "look whether it can be reached, and start again");
  } catch (...) {
    failure = std::current_exception();
  }
  lock.lock();
  fetching_ = false;
  changed_.notify_all();
  failure_ = failure;
  if (failure) {
    next_fetch_ = std::chrono::steady_clock::now() + kPauseAfterFailure;
    std::rethrow_exception(failure);
  }
  credentials_ = std::move(fresh);
  fetched_ = true;
}

UnixSeconds CredentialProvider::seconds_left() const {
  if (!credentials_ || !credentials_->expiration) return std::numeric_limits<UnixSeconds>::max();
  return *credentials_->expiration - unix_now();
}

bool CredentialProvider::is_renewal_due() const {
  return seconds_left() <= early_seconds() && std::chrono::steady_clock::now() >= next_fetch_;
}

}  // namespace flatfield::storage
