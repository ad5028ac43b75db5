#pragma once

#include <chrono>
#include <condition_variable>
#include <exception>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <string>

#include "flatfield/storage/s3_signer.h"

namespace flatfield::storage {

/// Where credentials come from, and a way to get fresh ones. `fetch` returns none if there are none
/// to be had, and then the requests stay unsigned; it throws Error if a source that is configured
/// fails: another, weaker identity is never taken instead.
struct CredentialSource {
  std::string name;  ///< for messages, e.g. "the environment"
  std::function<std::optional<Credentials>()> fetch;
};

/// The credentials of a run, fetched when they are first needed and again before they expire.
/// May be used from several threads at once.
class CredentialProvider {
 public:
  explicit CredentialProvider(CredentialSource source);

  /// What to sign with now; null to leave requests unsigned. Credentials that expire within five
  /// minutes are replaced, by one thread; the others go on with them while they are good. They are also used
  /// on where that fails. Throws Error.
  [[nodiscard]] std::shared_ptr<const Credentials> current();

  /// Says that a server did not take `used` any more. True if others are to be tried: those that
  /// `current` returns now. Throws Error if none can be fetched, or could not within the last ten seconds.
  [[nodiscard]] bool replace(const std::shared_ptr<const Credentials>& used);

  /// Name of the source.
  [[nodiscard]] const std::string& source() const { return source_.name; }

 private:
  // Under the lock:
  /// Asks the source, without the lock meanwhile; only where no other thread does.
  void fetch(std::unique_lock<std::mutex>& lock);
  [[nodiscard]] UnixSeconds seconds_left() const;
  [[nodiscard]] bool is_renewal_due() const;

  CredentialSource source_;
  std::mutex mutex_;
  std::condition_variable changed_;  ///< a fetch has ended
  bool fetching_ = false;
  bool fetched_ = false;
  std::exception_ptr failure_;  ///< of the last fetch; null where it went well
  std::shared_ptr<const Credentials> credentials_;
  std::chrono::steady_clock::time_point next_fetch_;  ///< not before, where the last one failed
};

}  // namespace flatfield::storage
