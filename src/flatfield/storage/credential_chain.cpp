#include "flatfield/storage/credential_chain.h"

#include <fmt/format.h>

#include <algorithm>

#include "flatfield/core/error.h"
#include "flatfield/storage/credential_requests.h"
#include "flatfield/storage/local_store.h"
#include "flatfield/storage/shell_command.h"

namespace flatfield::storage {
namespace {

constexpr double kProcessSeconds = 60.0;
constexpr int kLongestRoleChain = 8;

[[noreturn]] void refuse(const std::string& what, const std::string& remedy) {
  throw Error(ErrorCode::kUsage, "credentials: " + what, "", remedy);
}

/// The content of a small file that holds a token, without white space at its end.
std::string read_token(const std::string& path) {
  const std::size_t slash = path.rfind('/');
  const std::string folder = slash == std::string::npos ? "." : path.substr(0, slash + 1);
  auto token = get_text(*open_local_store(folder), path.substr(slash + 1));
  if (!token)
    throw Error(ErrorCode::kReadFailed, "there is no such file with a token", path,
                "check the settings of the credentials");
  while (!token->empty() &&
         (token->back() == '\n' || token->back() == '\r' || token->back() == ' '))
    token->pop_back();
  return *token;
}

/// Where a container's service may be without TLS: nowhere that a token could be read on the way.
bool is_local_host(const std::string& host) {
  return host == "localhost" || host.starts_with("127.") || host == "::1" ||
         host == "169.254.170.2" || host == "169.254.170.23" || host == "fd00:ec2::23";
}

class Chain {
 public:
  Chain(const S3Options& options, const AwsSettings& settings)
      : environment_(options.environment), http_(options.http), settings_(settings) {
    const std::string& region = options.region.empty() ? settings.region : options.region;
    region_ = region.empty() ? "us-east-1" : region;
    if (http_.certificate_bundle.empty()) http_.certificate_bundle = settings.certificate_bundle;
    if (!settings.sts_endpoint.empty()) {
      sts_ = parse_http_url(settings.sts_endpoint, "AWS_ENDPOINT_URL_STS");
    } else {
      const char* domain = region_.starts_with("cn-") ? "amazonaws.com.cn" : "amazonaws.com";
      sts_ = {"https", fmt::format("sts.{}.{}", region_, domain), ""};
    }
  }

  CredentialSource find() const {
    if (auto source = from_variables()) return *source;
    const auto token_file = variable("AWS_WEB_IDENTITY_TOKEN_FILE");
    const auto role_arn = variable("AWS_ROLE_ARN");
    if (token_file && role_arn)
      return web_identity(*token_file, {*role_arn, session_name("AWS_ROLE_SESSION_NAME"), "", ""});
    if (const AwsProfile* profile = settings_.profile()) {
      if (auto source = from_profile(settings_.profile_name, *profile, 0)) return *source;
    } else if (settings_.profile_is_named) {
      refuse("there is no profile \"" + settings_.profile_name + "\"",
             "check AWS_PROFILE, AWS_CONFIG_FILE and AWS_SHARED_CREDENTIALS_FILE");
    }
    if (auto source = from_container()) return *source;
    return from_instance();
  }

 private:
  std::optional<std::string> variable(const std::string& name) const {
    return non_empty(environment_, name);
  }
  std::string session_name(const std::string& name) const {
    return variable(name).value_or(fmt::format("exaspim-flatfield-{}", unix_now()));
  }

  static CredentialSource fixed(std::string name, Credentials credentials) {
    return {std::move(name), [credentials] { return std::optional(credentials); }};
  }

  std::optional<CredentialSource> from_variables() const {
    const auto id = variable("AWS_ACCESS_KEY_ID");
    const auto secret = variable("AWS_SECRET_ACCESS_KEY");
    if (!id && !secret) return std::nullopt;
    if (!id || !secret)
      refuse("only one of AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY is set", "set both or none");
    return fixed("the environment",
                 {*id, *secret, variable("AWS_SESSION_TOKEN").value_or(""), std::nullopt});
  }

  CredentialSource web_identity(const std::string& token_file, const RoleRequest& role) const {
    return {"a web identity", [sts = sts_, http = http_, token_file, role] {
              // Read every time: the token is renewed too.
              return std::optional(
                  assume_role_with_web_identity(sts, role, read_token(token_file), http));
            }};
  }

  std::optional<CredentialSource> from_profile(const std::string& name, const AwsProfile& profile,
                                               int depth) const {
    const std::string label = fmt::format("the profile \"{}\"", name);
    if (depth > kLongestRoleChain)
      refuse("the roles of " + label + " never end", "check source_profile");
    const bool names_itself = setting(profile, "source_profile") == name && depth > 0;
    if (!setting(profile, "role_arn").empty() && !names_itself)
      return role_of(name, profile, depth);
    const std::string id = setting(profile, "aws_access_key_id");
    const std::string secret = setting(profile, "aws_secret_access_key");
    if (id.empty() != secret.empty())
      refuse("only one of the two keys of " + label + " is set",
             "set aws_access_key_id and aws_secret_access_key, or none");
    if (!id.empty())
      return fixed(label, {id, secret, setting(profile, "aws_session_token"), std::nullopt});
    if (const std::string command = setting(profile, "credential_process"); !command.empty()) {
      const std::string what = "credential_process of " + label;
      return CredentialSource{
          what, [command, what] {
            return std::optional(parse_credentials_json(
                run_shell_command(command, kProcessSeconds, what), "SessionToken", what));
          }};
    }
    for (const char* key : {"sso_session", "sso_start_url", "login_session"})
      if (!setting(profile, key).empty())
        refuse(label + " signs in through a browser, which is not supported",
               "run `aws configure export-credentials --profile NAME --format env`, or name that "
               "command with --format process as credential_process");
    return std::nullopt;
  }

  CredentialSource role_of(const std::string& name, const AwsProfile& profile, int depth) const {
    const std::string label = fmt::format("the profile \"{}\"", name);
    const std::string session = setting(profile, "role_session_name");
    const RoleRequest role{setting(profile, "role_arn"),
                           session.empty() ? session_name("AWS_ROLE_SESSION_NAME") : session,
                           setting(profile, "external_id"), setting(profile, "duration_seconds")};
    if (const std::string file = setting(profile, "web_identity_token_file"); !file.empty())
      return web_identity(file, role);
    if (!setting(profile, "mfa_serial").empty())
      refuse("the role of " + label + " asks for a code of a device, which is not supported",
             "name a command that asks for it as credential_process");
    const CredentialSource own = source_of(name, profile, depth);
    return {"the role of " + label, [sts = sts_, http = http_, region = region_, role, own] {
              const auto credentials = own.fetch();
              if (!credentials)
                throw Error(ErrorCode::kReadFailed, "there are no credentials to take a role with",
                            own.name, "check the settings of the credentials");
              return std::optional(assume_role(sts, region, role, *credentials, http));
            }};
  }

  /// What a role is taken on with.
  CredentialSource source_of(const std::string& name, const AwsProfile& profile, int depth) const {
    std::optional<CredentialSource> own;
    const std::string other = setting(profile, "source_profile");
    const std::string kind = setting(profile, "credential_source");
    if (!other.empty()) {
      const auto found = settings_.profiles.find(other);
      if (found != settings_.profiles.end()) own = from_profile(other, found->second, depth + 1);
    } else if (kind == "Environment") {
      own = from_variables();
    } else if (kind == "EcsContainer") {
      own = from_container();
    } else if (kind == "Ec2InstanceMetadata") {
      own = from_instance();
    }
    if (!own)
      refuse(fmt::format("the role of the profile \"{}\" has nothing to be taken on with", name),
             "check source_profile or credential_source");
    return *own;
  }

  std::optional<CredentialSource> from_container() const {
    std::string url;
    if (const auto relative = variable("AWS_CONTAINER_CREDENTIALS_RELATIVE_URI")) {
      url = "http://169.254.170.2" + *relative;
    } else if (const auto full = variable("AWS_CONTAINER_CREDENTIALS_FULL_URI")) {
      url = *full;
      const std::string where = url.substr(0, url.find('?'));
      const HttpUrl parsed = parse_http_url(where, "AWS_CONTAINER_CREDENTIALS_FULL_URI");
      if (!parsed.secure() && !is_local_host(parsed.host_name()))
        refuse("AWS_CONTAINER_CREDENTIALS_FULL_URI leads to another machine without TLS",
               "use https");
    } else {
      return std::nullopt;
    }
    return CredentialSource{
        "the container", [url, environment = environment_] {
          std::string token;
          if (const auto file = non_empty(environment, "AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE"))
            token = read_token(*file);
          else
            token = non_empty(environment, "AWS_CONTAINER_AUTHORIZATION_TOKEN").value_or("");
          return std::optional(fetch_container_credentials(url, token));
        }};
  }

  CredentialSource from_instance() const {
    const std::string disabled = variable("AWS_EC2_METADATA_DISABLED").value_or("");
    if (disabled == "true" || disabled == "TRUE" || disabled == "1")
      return {"nowhere", [] { return std::optional<Credentials>(); }};
    const HttpUrl endpoint = parse_http_url(
        variable("AWS_EC2_METADATA_SERVICE_ENDPOINT").value_or("http://169.254.169.254"),
        "AWS_EC2_METADATA_SERVICE_ENDPOINT");
    return {"the instance", [endpoint] { return fetch_instance_credentials(endpoint); }};
  }

  Environment environment_;
  HttpOptions http_;
  const AwsSettings& settings_;
  std::string region_;
  HttpUrl sts_;
};

}  // namespace

CredentialSource find_credential_source(const S3Options& options, const AwsSettings& settings) {
  if (options.anonymous || (settings.no_sign_request && !options.credentials))
    return {"nowhere, as asked", [] { return std::optional<Credentials>(); }};
  if (options.credentials)
    return {"the caller", [own = *options.credentials] { return std::optional(own); }};
  return Chain(options, settings).find();
}

}  // namespace flatfield::storage
