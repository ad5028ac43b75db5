#include "flatfield/storage/credential_requests.h"

#include <fmt/format.h>

#include "flatfield/core/buffer.h"
#include "flatfield/core/error.h"
#include "flatfield/core/json.h"
#include "flatfield/storage/digest.h"
#include "flatfield/storage/s3_answers.h"

namespace flatfield::storage {
namespace {

constexpr std::string_view kForm = "application/x-www-form-urlencoded; charset=utf-8";

/// Credentials are asked for while others wait: a minute is all that is spent on them.
RetryOptions service_patience() {
  RetryOptions options;
  options.max_attempts = 6;
  options.cap_seconds = 5.0;
  options.budget_seconds = 60.0;
  options.outage_seconds = 30.0;
  return options;
}

/// An instance has its metadata service at hand, or is no such instance.
RetryOptions instance_patience() {
  RetryOptions options = service_patience();
  options.max_attempts = 3;
  options.unreached_seconds = 0.5;
  return options;
}

/// Services on the machine itself: never through a proxy.
HttpOptions local_http() {
  HttpOptions options;
  options.connect_seconds = 1.0;
  options.stall_seconds = 5.0;
  options.use_proxy = false;
  return options;
}

[[noreturn]] void fail(const Outcome& outcome, const std::string& what, const std::string& where) {
  const HttpAnswer& answer = outcome.answer;
  std::string why = answer.failure_text;
  if (answer.failure == TransportFailure::kNone) {
    const auto error = parse_error_document(answer.text);
    why = fmt::format("it answers {}{}", answer.status,
                      error && !error->code.empty() ? " " + error->code : "");
  }
  const std::string effort = outcome.effort();
  throw Error(
      ErrorCode::kReadFailed,
      fmt::format("{} gives no credentials: {}{}{}", what, why, effort.empty() ? "" : " ", effort),
      where, "check the settings of the credentials");
}

/// STS answers 400 where it is asked too often, and where it cannot ask somebody else.
Verdict judge_sts(const HttpAnswer& answer) {
  const auto error = parse_error_document(answer.text);
  return judge_by_code(error ? error->code : std::string_view(), answer);
}

Credentials ask_sts(const HttpUrl& endpoint, const Fields& form, const HttpOptions& http,
                    const std::string& region, const Credentials* own) {
  const std::string body = canonical_query(form);
  const std::string path = endpoint.path.empty() ? "/" : endpoint.path;
  PatientClient client(std::make_shared<HttpClient>(http), service_patience(), 1);
  const auto make_request = [&](int /*attempt*/) {
    HttpRequest request;
    request.method = "POST";
    request.url = endpoint.scheme + "://" + endpoint.host + path;
    request.body = as_bytes(body);
    request.total_seconds = 20.0;
    request.headers = {{"Host", endpoint.host}, {"Content-Type", std::string(kForm)}};
    if (own != nullptr) {
      const UnixSeconds now = unix_now();
      request.headers.emplace_back("X-Amz-Date", basic_timestamp(now));
      if (!own->session_token.empty())
        request.headers.emplace_back("X-Amz-Security-Token", own->session_token);
      const std::string hash = to_hex(sha256(as_bytes(body)));
      const std::string signature =
          authorization({"POST", path, {}, request.headers, hash}, {region, "sts", now}, *own);
      request.headers.emplace_back("Authorization", signature);
    }
    return request;
  };
  const Outcome outcome = client.send(make_request, judge_sts);
  if (!outcome.answer.success()) fail(outcome, "STS", endpoint.text());
  return parse_sts_credentials(outcome.answer.text, endpoint.text());
}

Fields role_form(const std::string& action, const RoleRequest& role) {
  Fields form{{"Action", action},
              {"Version", "2011-06-15"},
              {"RoleArn", role.role_arn},
              {"RoleSessionName", role.session_name}};
  if (!role.external_id.empty()) form.emplace_back("ExternalId", role.external_id);
  if (!role.duration_seconds.empty()) form.emplace_back("DurationSeconds", role.duration_seconds);
  return form;
}

}  // namespace

Credentials assume_role(const HttpUrl& endpoint, const std::string& region, const RoleRequest& role,
                        const Credentials& own, const HttpOptions& http) {
  return ask_sts(endpoint, role_form("AssumeRole", role), http, region, &own);
}

Credentials assume_role_with_web_identity(const HttpUrl& endpoint, const RoleRequest& role,
                                          const std::string& token, const HttpOptions& http) {
  Fields form = role_form("AssumeRoleWithWebIdentity", role);
  form.emplace_back("WebIdentityToken", token);
  return ask_sts(endpoint, form, http, "", nullptr);
}

Credentials fetch_container_credentials(const std::string& url, const std::string& authorization) {
  PatientClient client(std::make_shared<HttpClient>(local_http()), service_patience(), 1);
  const Outcome outcome = client.send([&](int /*attempt*/) {
    HttpRequest request;
    request.url = url;
    request.total_seconds = 10.0;
    if (!authorization.empty()) request.headers.emplace_back("Authorization", authorization);
    return request;
  });
  if (!outcome.answer.success()) fail(outcome, "the container's credential service", url);
  return parse_credentials_json(outcome.answer.text, "Token", url);
}

std::optional<Credentials> fetch_instance_credentials(const HttpUrl& endpoint) {
  PatientClient client(std::make_shared<HttpClient>(local_http()), instance_patience(), 1);
  const std::string base = endpoint.text() + "/latest/";
  const auto ask = [&](const std::string& method, const std::string& path, const Fields& headers) {
    return client.send([&](int /*attempt*/) {
      HttpRequest request;
      request.method = method;
      request.url = base + path;
      request.headers = headers;
      request.total_seconds = 5.0;
      return request;
    });
  };
  const std::string what = "the metadata service of the instance";
  const Outcome session =
      ask("PUT", "api/token", {{"X-aws-ec2-metadata-token-ttl-seconds", "21600"}});
  // Nothing there, or something else: not an EC2 instance, or a container on one that is too many
  // hops away.
  if (session.answer.status == 0 || session.answer.status == 403 || session.answer.status == 404 ||
      session.answer.status == 405)
    return std::nullopt;
  if (!session.answer.success()) fail(session, what, base);
  const Fields token{{"X-aws-ec2-metadata-token", session.answer.text}};
  const std::string roles = "meta-data/iam/security-credentials/";
  const Outcome listed = ask("GET", roles, token);
  if (listed.answer.status == 404) return std::nullopt;  // an instance without a role
  if (!listed.answer.success()) fail(listed, what, base);
  const std::string role = listed.answer.text.substr(0, listed.answer.text.find('\n'));
  const Outcome found = ask("GET", roles + percent_encode(role), token);
  if (!found.answer.success()) fail(found, what, base);
  return parse_credentials_json(found.answer.text, "Token", base);
}

Credentials parse_credentials_json(std::string_view text, std::string_view token_key,
                                   std::string_view where) {
  const auto refuse = [&](const std::string& what) {
    throw Error(ErrorCode::kReadFailed, "the credentials are not what they should be: " + what,
                where);
  };
  Json object;
  try {
    object = Json::parse(text, where);
  } catch (const Error&) {
    refuse("no JSON");  // the message of the parser might repeat a part of them
  }
  if (!object.is_object()) refuse("no JSON object");
  const auto member = [&](std::string_view key) {
    const Json* value = object.find(key);
    return value != nullptr && value->is_string() ? value->as_string() : std::string();
  };
  const std::string code = member("Code");
  if (!code.empty() && code != "Success") refuse("its code is not \"Success\"");
  Credentials credentials{member("AccessKeyId"), member("SecretAccessKey"), member(token_key),
                          std::nullopt};
  if (credentials.access_key_id.empty() || credentials.secret_access_key.empty())
    refuse("AccessKeyId or SecretAccessKey is missing");
  if (const std::string expiration = member("Expiration"); !expiration.empty()) {
    credentials.expiration = parse_iso_time(expiration);
    if (!credentials.expiration) refuse("Expiration is no time");
  }
  return credentials;
}

}  // namespace flatfield::storage
