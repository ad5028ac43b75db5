#pragma once

#include <atomic>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>

#include "flatfield/core/error.h"
#include "flatfield/storage/aws_settings.h"
#include "flatfield/storage/credential_provider.h"
#include "flatfield/storage/retry_policy.h"
#include "flatfield/storage/s3_answers.h"
#include "flatfield/storage/s3_options.h"
#include "flatfield/storage/uri_text.h"

namespace flatfield::storage {

/// What the buckets of a run share: who signs, with which clock, over which connections.
class S3Session {
 public:
  /// Reads settings; nothing is asked over the network yet. Throws Error(kUsage, kReadFailed).
  explicit S3Session(S3Options options);

  [[nodiscard]] const S3Options& options() const { return options_; }
  /// The options, else the settings; "" if nothing says.
  [[nodiscard]] const std::string& endpoint() const { return options_.endpoint; }
  [[nodiscard]] const std::string& region() const { return options_.region; }
  [[nodiscard]] CredentialProvider& credentials() { return *credentials_; }
  [[nodiscard]] const std::shared_ptr<const HttpClient>& http() const { return http_; }

  /// Now, by the clock of the servers as far as it is known.
  [[nodiscard]] UnixSeconds now() const { return unix_now() + clock_offset_; }
  /// Takes the clock of a server; true if it was off by more than a minute.
  bool adopt_clock(UnixSeconds server_now);

 private:
  S3Options options_;
  std::unique_ptr<CredentialProvider> credentials_;
  std::shared_ptr<const HttpClient> http_;
  std::atomic<std::int64_t> clock_offset_{0};
};

/// One operation of the S3 interface. What it points to must live until it is over.
struct S3Call {
  std::string method = "GET";
  std::string key;  ///< of the object; "" = the bucket itself
  Fields query;
  Fields headers;  ///< beside those that every request has
  std::span<const std::byte> body;
  BodyRoom room;
  /// A success is only one if its body is a document that is no error: of operations that answer
  /// before they are done.
  bool answers_early = false;
  bool best_effort = false;  ///< one attempt, but for what can be put right
};

/// What came of an operation.
struct S3Answer {
  Outcome outcome;
  std::optional<S3Error> error;

  [[nodiscard]] const HttpAnswer& http() const { return outcome.answer; }
  [[nodiscard]] bool success() const { return http().success() && !error; }
  /// There is no such object (but a bucket).
  [[nodiscard]] bool absent() const;
  [[nodiscard]] std::string_view code() const { return error ? error->code : std::string_view(); }
};

/// Whether another attempt may not meet an error of S3 with this code.
[[nodiscard]] bool may_pass(std::string_view code);

/// The operations on one bucket: signed, sent to where the bucket is, repeated as the retry policy
/// says. Expired credentials, a wrong clock and a wrong region are put right on the way.
/// May be used from several threads at once.
class S3Client {
 public:
  S3Client(std::shared_ptr<S3Session> session, std::string bucket);

  /// Without credentials the request is not signed. Throws only where no answer of the server can be
  /// had: the Error of a configured source of credentials that fails, and what HttpClient::exchange
  /// throws, as what `room` throws.
  [[nodiscard]] S3Answer call(const S3Call& call);

  /// Throws the Error(`code`) for an answer that is none of those expected; `action` completes
  /// "cannot ...".
  [[noreturn]] void fail(const S3Answer& answer, ErrorCode code, std::string_view action,
                         std::string_view where) const;

  [[nodiscard]] const S3Options& options() const { return session_->options(); }
  [[nodiscard]] const std::string& bucket() const { return bucket_; }

 private:
  /// How the last attempt of a call was signed.
  struct Signing;

  [[nodiscard]] HttpRequest make_request(const S3Call& call, Signing& signing) const;
  [[nodiscard]] Verdict judge(const S3Call& call, const HttpAnswer& answer, Signing& signing);
  /// Puts right what an error complains about; true if another attempt will differ for it. The
  /// number of attempts bounds how often.
  [[nodiscard]] bool correct(const S3Call& call, const HttpAnswer& answer, const S3Error& error,
                             Signing& signing);
  [[nodiscard]] std::string region() const;
  [[nodiscard]] bool adopt_region(const std::string& region);

  std::shared_ptr<S3Session> session_;
  std::string bucket_;
  PatientClient client_;
  mutable std::mutex mutex_;
  std::string region_;
};

}  // namespace flatfield::storage
