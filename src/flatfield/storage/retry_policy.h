#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>

#include "flatfield/storage/http_client.h"
#include "flatfield/storage/request_window.h"

namespace flatfield::storage {

/// When to try again, and when to give up.
struct RetryOptions {
  int max_attempts = 16;      ///< of one request, >= 1
  double base_seconds = 0.1;  ///< the first pause is random in [0, base], each next one twice that,
  double cap_seconds = 20.0;  ///< up to [0, cap]: "full jitter"
  double budget_seconds = 300;  ///< of one request with all its attempts, and the pauses between them
  /// A server that nobody of this process has ever had an answer from is given up after so long,
  double unreached_seconds = 10;
  /// and one that answered before and is now out of order after so long.
  double outage_seconds = 120;
};

/// What is to be done about an answer.
enum class Verdict : std::uint8_t {
  kFinal,      ///< nothing: a success, or an error that another attempt would not change
  kRetry,      ///< try again after a pause
  kOverload,   ///< the same, and send less at once
  kCorrected,  ///< what was wrong with the request has been put right: try again at once, a few
               ///< times
};

/// The verdict on an answer by what HTTP says alone: broken connections, 408, 429, 500, 502, 503,
/// 504 and 509 are worth another attempt.
[[nodiscard]] Verdict judge_by_status(const HttpAnswer& answer);

/// The verdict on an answer of S3 or STS with an error of this code: some are worth another attempt whatever their status.
/// All others, and "" for an answer without a code, are judged by their status.
[[nodiscard]] Verdict judge_by_code(std::string_view code, const HttpAnswer& answer);

/// The pause before attempt `attempt` + 1; `random` is uniform in [0, 1).
[[nodiscard]] double pause_seconds(const RetryOptions& options, int attempt, double random);

/// Waits before an attempt that is not the first.
void pause_before_attempt(const RetryOptions& options, int attempt);

/// What a Retry-After header asks for, in seconds from now and at most a minute; none without one.
[[nodiscard]] std::optional<double> retry_after_seconds(const HttpAnswer& answer);

/// What came of a request with all its attempts.
struct Outcome {
  HttpAnswer answer;                  ///< the last one
  Verdict verdict = Verdict::kFinal;  ///< on it; kFinal unless it was given up, or tried only once
  int attempts = 0;
  double seconds = 0.0;  ///< of the attempts and pauses, without what it waited for its turn

  /// "after 16 attempts in 82 s", for messages; "" after a single one.
  [[nodiscard]] std::string effort() const;
};

/// HTTP with the one retry policy of this program: full jitter, an adaptive window of requests
/// under way, Retry-After, and a server that is out of order given up for all requests at once. One
/// per server; may be used from several threads at once.
class PatientClient {
 public:
  PatientClient(std::shared_ptr<const HttpClient> http, RetryOptions options, int most_at_once);

  /// Makes the request anew for each attempt (numbered from 1), so that it is freshly signed.
  using MakeRequest = std::function<HttpRequest(int attempt)>;
  using Judge = std::function<Verdict(const HttpAnswer&)>;
  /// With `once` only what has been put right is tried again.
  [[nodiscard]] Outcome send(const MakeRequest& make_request, const Judge& judge = judge_by_status, bool once = false);

  /// Requests that may be under way at once at most.
  [[nodiscard]] int most_at_once() const { return most_at_once_; }

 private:
  using Clock = std::chrono::steady_clock;
  /// `began`: when the attempt did.
  void note_health(const HttpAnswer& answer, Verdict verdict, Clock::time_point began);
  [[nodiscard]] bool reached() const;
  [[nodiscard]] bool out_of_order() const;

  std::shared_ptr<const HttpClient> http_;
  RetryOptions options_;
  int most_at_once_;
  RequestWindow window_;
  mutable std::mutex mutex_;
  bool reached_ = false;  ///< there was an answer, good or not
  std::optional<Clock::time_point>
      failing_since_;  ///< the first failure after the last good answer, or after nobody had tried for long
  Clock::time_point trying_until_ = Clock::time_point::min();  ///< by then, who failed has tried again or given up
};

}  // namespace flatfield::storage
