#include "flatfield/storage/credential_provider.h"

#include <random>

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
  const std::scoped_lock lock(mutex_);
  if (!fetched_) {
    fetch();
    return credentials_;
  }
  if (!credentials_ || !credentials_->expiration) return credentials_;
  const UnixSeconds left = *credentials_->expiration - unix_now();
  if (left > early_seconds() || std::chrono::steady_clock::now() < next_fetch_) return credentials_;
  try {
    fetch();
    // A source may hand out what it has although it expires soon: it is not asked every time.
    next_fetch_ = std::chrono::steady_clock::now() + kPauseAfterFailure;
  } catch (const Error&) {
    if (left <= 0) throw;
    next_fetch_ = std::chrono::steady_clock::now() + kPauseAfterFailure;
  }
  return credentials_;
}

bool CredentialProvider::replace(const std::shared_ptr<const Credentials>& used) {
  const std::scoped_lock lock(mutex_);
  if (credentials_ != used) return true;  // another thread has been here
  if (!credentials_) return false;
  fetch();
  return credentials_ && *credentials_ != *used;
}

void CredentialProvider::fetch() {
  std::optional<Credentials> fresh = source_.fetch();
  // It had some, so it is a trouble of the moment: to go on without any would be to go on as somebody else.
  if (!fresh && credentials_)
    throw Error(ErrorCode::kReadFailed, "there are no new credentials where those of this run came from", source_.name,
                "look whether it can be reached, and start again");
  credentials_ = fresh ? std::make_shared<const Credentials>(std::move(*fresh)) : nullptr;
  fetched_ = true;
}

}  // namespace flatfield::storage
