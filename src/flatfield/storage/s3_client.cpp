#include "flatfield/storage/s3_client.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cstdlib>

#include "flatfield/core/buffer.h"
#include "flatfield/storage/credential_chain.h"
#include "flatfield/storage/digest.h"
#include "flatfield/storage/s3_location.h"

namespace flatfield::storage {
namespace {

constexpr const char* kUsualRegion = "us-east-1";
constexpr UnixSeconds kNoticeableSkew = 60;

bool means_expired(std::string_view code) {
  constexpr std::array<std::string_view, 4> kCodes{"ExpiredToken", "ExpiredTokenException",
                                                   "InvalidToken", "TokenRefreshRequired"};
  return std::find(kCodes.begin(), kCodes.end(), code) != kCodes.end();
}

std::string remedy_for(const S3Answer& answer, const S3Options& options, std::string_view source) {
  const HttpAnswer& http = answer.http();
  const std::string_view code = answer.code();
  switch (http.failure) {
    case TransportFailure::kUnreachable:
      return options.endpoint.empty() ? "check the network" : "check --s3-endpoint and the network";
    case TransportFailure::kUntrusted:
      return "AWS_CA_BUNDLE can name a file with the certificates to trust";
    default: break;
  }
  if (code == "NoSuchBucket") return "check the name of the bucket";
  if (http.status == 404 && code.empty())
    return "this is no answer of S3: check --s3-endpoint, and what is on the way to it";
  if (means_expired(code)) return fmt::format("renew the credentials (they come from {})", source);
  if (code == "SignatureDoesNotMatch" || code == "InvalidAccessKeyId")
    return fmt::format("check the credentials (they come from {})", source);
  if (code == "RequestTimeTooSkewed") return "set the clock of this machine";
  if (http.status == 301 || http.status == 307 || code == "AuthorizationHeaderMalformed")
    return "name the region of the bucket with --s3-region";
  if (judge_by_code(code, http) == Verdict::kOverload)
    return "start again later, or send fewer requests at once (--s3-concurrency)";
  if (http.status == 403)
    return fmt::format(
        "check what the credentials (they come from {}) are allowed to do; S3 also answers so for "
        "an object that does not exist where the bucket may not be listed",
        source);
  return "";
}

}  // namespace

bool may_pass(std::string_view code) {
  HttpAnswer answer;
  answer.status = 200;
  const Verdict verdict = judge_by_code(code, answer);
  return verdict == Verdict::kOverload || verdict == Verdict::kRetry;
}

struct S3Client::Signing {
  std::shared_ptr<const Credentials> signer;  ///< of the last attempt
  UnixSeconds time = 0;                       ///< that it was signed with
  std::string region;                         ///< that it was sent to
  bool renewed = false;                       ///< the credentials, for this call
};

S3Session::S3Session(S3Options options) : options_(std::move(options)) {
  const AwsSettings settings = read_aws_settings(options_.environment);
  if (options_.endpoint.empty()) options_.endpoint = settings.s3_endpoint;
  if (options_.region.empty()) options_.region = settings.region;
  if (options_.http.certificate_bundle.empty())
    options_.http.certificate_bundle = settings.certificate_bundle;
  if (!options_.endpoint.empty())
    static_cast<void>(parse_http_url(options_.endpoint, "the endpoint of S3"));
  if (!options_.checksums) options_.checksums = is_amazon(options_.endpoint);
  credentials_ = std::make_unique<CredentialProvider>(find_credential_source(options_, settings));
  http_ = std::make_shared<HttpClient>(options_.http);
}

bool S3Session::adopt_clock(UnixSeconds server_now) {
  const UnixSeconds off = server_now - now();
  if (std::abs(off) < kNoticeableSkew) return false;
  clock_offset_ = server_now - unix_now();
  return true;
}

bool S3Answer::absent() const {
  return http().failure == TransportFailure::kNone && outcome.verdict == Verdict::kFinal &&
         http().status == 404 && code() != "NoSuchBucket";
}

S3Client::S3Client(std::shared_ptr<S3Session> session, std::string bucket)
    : session_(std::move(session)),
      bucket_(std::move(bucket)),
      client_(session_->http(), session_->options().retry, session_->options().concurrency),
      region_(session_->region().empty() ? kUsualRegion : session_->region()) {}

S3Answer S3Client::call(const S3Call& call) {
  Signing signing;
  S3Answer answer;
  answer.outcome = client_.send([&](int /*attempt*/) { return make_request(call, signing); },
                                [&](const HttpAnswer& http) { return judge(call, http, signing); }, call.best_effort);
  const HttpAnswer& http = answer.http();
  if (http.failure == TransportFailure::kNone && (!http.success() || call.answers_early)) {
    answer.error = parse_error_document(http.text);
    if (!http.success() && !answer.error) answer.error = S3Error{};
  }
  return answer;
}

HttpRequest S3Client::make_request(const S3Call& call, Signing& signing) const {
  const S3Options& options = session_->options();
  signing.signer = session_->credentials().current();
  signing.time = session_->now();
  signing.region = region();
  const HttpUrl base = bucket_url(bucket_, options.endpoint, signing.region);
  std::string path = base.path;
  if (!call.key.empty() || path.empty()) path += "/" + encode_path(call.key);

  HttpRequest request;
  request.method = call.method;
  const std::string query = canonical_query(call.query);
  request.url = base.scheme + "://" + base.host + path + (query.empty() ? "" : "?" + query);
  request.body = call.body;
  request.room = call.room;
  request.headers = call.headers;
  request.headers.emplace_back("Host", base.host);
  if (options.request_payer) request.headers.emplace_back("X-Amz-Request-Payer", "requester");
  // An operation on a large object may be silent for minutes before its end.
  if (call.answers_early) request.stall_seconds = 10.0 * options.http.stall_seconds;
  if (!signing.signer) return request;

  // TLS protects the body already, and hashing it costs as much as compressing it.
  const std::string hash =
      base.secure() ? std::string(kUnsignedPayload) : to_hex(sha256(call.body));
  request.headers.emplace_back("X-Amz-Content-Sha256", hash);
  request.headers.emplace_back("X-Amz-Date", basic_timestamp(signing.time));
  if (!signing.signer->session_token.empty())
    request.headers.emplace_back("X-Amz-Security-Token", signing.signer->session_token);
  request.headers.emplace_back(
      "Authorization", authorization({call.method, path, call.query, request.headers, hash},
                                     {signing.region, "s3", signing.time}, *signing.signer));
  return request;
}

Verdict S3Client::judge(const S3Call& call, const HttpAnswer& answer, Signing& signing) {
  if (answer.failure != TransportFailure::kNone) return judge_by_status(answer);
  if (answer.success() && !call.answers_early) return Verdict::kFinal;
  const auto error = parse_error_document(answer.text);
  if (answer.success() && !error) return Verdict::kFinal;
  if (correct(call, answer, error.value_or(S3Error{}), signing)) return Verdict::kCorrected;
  // An error that comes after a good status is one that nobody foresaw.
  if (answer.success()) {
    const Verdict verdict = judge_by_code(error->code, answer);
    return verdict == Verdict::kFinal && error->code.empty() ? Verdict::kRetry : verdict;
  }
  // S3 says in a document that an object is absent. What is on the way to it (a proxy, a service that is
  // starting) answers 404 too, and an object that is taken for absent becomes fill value.
  if (!error && answer.status == 404 && call.method == "GET" && !call.key.empty()) return Verdict::kRetry;
  return judge_by_code(error ? error->code : std::string_view(), answer);
}

bool S3Client::correct(const S3Call& call, const HttpAnswer& answer, const S3Error& error,
                       Signing& signing) {
  // The answer to HEAD has no body: what it would have said must be guessed.
  const bool silent = call.method == "HEAD" && (answer.status == 400 || answer.status == 403);
  std::string region(answer.header("x-amz-bucket-region"));
  if (region.empty()) region = error.region;
  const bool elsewhere = answer.status == 301 || answer.status == 307 ||
                         error.code == "AuthorizationHeaderMalformed" || silent;
  if (elsewhere && !region.empty() && region != signing.region) {
    return adopt_region(region);
  }
  if (!signing.signer) return false;
  if ((error.code == "RequestTimeTooSkewed" || silent)) {
    const auto server_now = parse_http_date(answer.header("date"));
    // Another thread may have set the clock since this request was signed.
    if (server_now && std::abs(*server_now - signing.time) >= kNoticeableSkew) {
      static_cast<void>(session_->adopt_clock(*server_now));
      return true;
    }
  }
  const bool temporary = !signing.signer->session_token.empty();
  // A server that refuses fresh ones too means something else, above all where it is silent.
  if (signing.renewed || !(means_expired(error.code) || (silent && temporary))) return false;
  signing.renewed = true;
  return session_->credentials().replace(signing.signer);
}

std::string S3Client::region() const {
  const std::scoped_lock lock(mutex_);
  return region_;
}

bool S3Client::adopt_region(const std::string& region) {
  // It becomes part of a host name.
  const bool plausible =
      region.size() < 64 && std::all_of(region.begin(), region.end(), [](char c) {
        return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-';
      });
  if (!plausible) return false;
  const std::scoped_lock lock(mutex_);
  region_ = region;
  return true;
}

void S3Client::fail(const S3Answer& answer, ErrorCode code, std::string_view action,
                    std::string_view where) const {
  const HttpAnswer& http = answer.http();
  std::string why = http.failure_text;
  if (http.failure == TransportFailure::kNone) {
    why = fmt::format("the server answers {}", http.status);
    if (answer.error && !answer.error->code.empty()) why += " " + answer.error->code;
    if (answer.error && !answer.error->message.empty())
      why += ", \"" + answer.error->message + "\"";
  }
  const std::string effort = answer.outcome.effort();
  if (!effort.empty()) why += ", " + effort;
  std::string_view source = session_->credentials().source();
  throw Error(code, fmt::format("cannot {}: {}", action, why), where,
              remedy_for(answer, session_->options(), source));
}

}  // namespace flatfield::storage
