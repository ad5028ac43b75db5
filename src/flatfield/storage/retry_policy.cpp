#include "flatfield/storage/retry_policy.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>
#include <random>
#include <thread>

namespace flatfield::storage {
namespace {

constexpr double kLongestRetryAfter = 60.0;
constexpr double kLongestPauseUnreached = 1.0;
/// Attempts without a pause after something was put right: where it does not last, haste does not
/// help.
constexpr int kMostImmediate = 3;

template <std::size_t N>
bool is_one_of(std::string_view code, const std::array<std::string_view, N>& codes) {
  return std::find(codes.begin(), codes.end(), code) != codes.end();
}

double uniform_random() {
  // Seeded by the machine: many processes that failed at the same moment must not try again at the
  // same moment.
  thread_local std::mt19937_64 generator{std::random_device{}()};
  return std::uniform_real_distribution<double>(0.0, 1.0)(generator);
}

}  // namespace

Verdict judge_by_status(const HttpAnswer& answer) {
  switch (answer.failure) {
    case TransportFailure::kNone: break;
    case TransportFailure::kUnreachable: return Verdict::kOverload;
    case TransportFailure::kBroken: return Verdict::kRetry;
    case TransportFailure::kUntrusted:
    case TransportFailure::kImpossible: return Verdict::kFinal;
  }
  switch (answer.status) {
    case 429:
    case 503:
    case 509: return Verdict::kOverload;
    case 408:
    case 500:
    case 502:
    case 504: return Verdict::kRetry;
    default: return Verdict::kFinal;
  }
}

Verdict judge_by_code(std::string_view code, const HttpAnswer& answer) {
  // "Error responses" of the S3 API reference.
  constexpr std::array<std::string_view, 11> kOverload{
      "SlowDown",           "ServiceUnavailable", "Throttling",      "ThrottlingException",
      "ThrottledException", "RequestThrottled",   "TooManyRequests", "BandwidthLimitExceeded",
      "SlowDownRead",       "SlowDownWrite",      "ServerBusy"};  // the last three are MinIO's
  constexpr std::array<std::string_view, 9> kPassing{
      "InternalError",  "RequestTimeout", "OperationAborted",          "RequestTimeTooSkewed",
      "IncompleteBody", "BadDigest",      "XAmzContentSHA256Mismatch", "ClientDisconnected",
      "IDPCommunicationError"};  // STS cannot reach who vouches for a web identity
  if (is_one_of(code, kOverload)) return Verdict::kOverload;
  if (is_one_of(code, kPassing)) return Verdict::kRetry;
  return judge_by_status(answer);
}

void pause_before_attempt(const RetryOptions& options, int attempt) {
  std::this_thread::sleep_for(std::chrono::duration<double>(pause_seconds(options, attempt - 1, uniform_random())));
}

double pause_seconds(const RetryOptions& options, int attempt, double random) {
  return random * std::min(options.cap_seconds, std::ldexp(options.base_seconds, attempt - 1));
}

std::optional<double> retry_after_seconds(const HttpAnswer& answer) {
  const std::string_view text = answer.header("retry-after");
  if (text.empty()) return std::nullopt;
  double seconds = 0.0;
  if (const auto date = parse_http_date(text)) {
    seconds = static_cast<double>(*date - unix_now());
  } else {
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), seconds);
    if (error != std::errc() || end != text.data() + text.size() || !std::isfinite(seconds))
      return std::nullopt;
  }
  return std::clamp(seconds, 0.0, kLongestRetryAfter);
}

std::string Outcome::effort() const {
  return attempts < 2 ? "" : fmt::format("after {} attempts in {:.0f} s", attempts, seconds);
}

PatientClient::PatientClient(std::shared_ptr<const HttpClient> http, RetryOptions options,
                             int most_at_once)
    : http_(std::move(http)),
      options_(options),
      most_at_once_(std::max(1, most_at_once)),
      window_(most_at_once_) {}

Outcome PatientClient::send(const MakeRequest& make_request, const Judge& judge, bool once) {
  Outcome outcome;
  int corrections = 0;
  for (int attempt = 1;; ++attempt) {
    Clock::time_point began;
    {
      const RequestWindow::Place place(window_);
      // What it waits for others of this process tells nothing of the server, and does not count.
      began = Clock::now();
      outcome.answer = http_->exchange(make_request(attempt));
      outcome.verdict = judge(outcome.answer);
      if (outcome.verdict == Verdict::kOverload) window_.note_overload(began);
      if (outcome.verdict == Verdict::kFinal) window_.note_success();
      outcome.seconds += std::chrono::duration<double>(Clock::now() - began).count();
    }
    outcome.attempts = attempt;
    note_health(outcome.answer, outcome.verdict, began);
    if (outcome.verdict == Verdict::kFinal || attempt >= options_.max_attempts || out_of_order() ||
        (once && outcome.verdict != Verdict::kCorrected))
      return outcome;
    if (outcome.verdict == Verdict::kCorrected && ++corrections <= kMostImmediate) continue;
    double pause = pause_seconds(options_, attempt, uniform_random());
    // Whether there is a server at all is to be known soon.
    if (!reached()) pause = std::min(pause, kLongestPauseUnreached);
    if (const auto asked = retry_after_seconds(outcome.answer)) pause = std::max(pause, *asked);
    if (outcome.seconds + pause > options_.budget_seconds) return outcome;
    std::this_thread::sleep_for(std::chrono::duration<double>(pause));
    outcome.seconds += pause;
  }
}

void PatientClient::note_health(const HttpAnswer& answer, Verdict verdict, Clock::time_point began) {
  const std::scoped_lock lock(mutex_);
  if (answer.status != 0) reached_ = true;
  if (verdict == Verdict::kFinal || verdict == Verdict::kCorrected) {
    failing_since_.reset();
    return;
  }
  // Where nobody has tried for longer than pauses last, what failed before tells nothing of the server as it is now.
  const Clock::time_point now = Clock::now();
  if (!failing_since_ || began > trying_until_) failing_since_ = now;
  const std::chrono::duration<double> pause(2.0 * options_.cap_seconds + retry_after_seconds(answer).value_or(0.0));
  trying_until_ = std::max(trying_until_, now + std::chrono::duration_cast<Clock::duration>(pause));
}

bool PatientClient::reached() const {
  const std::scoped_lock lock(mutex_);
  return reached_;
}

bool PatientClient::out_of_order() const {
  const std::scoped_lock lock(mutex_);
  const double patience = reached_ ? options_.outage_seconds : options_.unreached_seconds;
  return failing_since_ &&
         std::chrono::duration<double>(Clock::now() - *failing_since_).count() > patience;
}

}  // namespace flatfield::storage
