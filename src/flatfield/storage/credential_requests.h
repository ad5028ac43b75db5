#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "flatfield/storage/retry_policy.h"
#include "flatfield/storage/s3_signer.h"
#include "flatfield/storage/uri_text.h"

namespace flatfield::storage {

// One function per service that hands out credentials. Each makes its requests at once, with its
// share of the retry policy. Errors (kReadFailed) name the service, never what it answered beyond
// the code of an error.

/// A role to take on.
struct RoleRequest {
  std::string role_arn;
  std::string session_name;
  std::string external_id;       ///< "" = none
  std::string duration_seconds;  ///< "" = as the service has it
};

/// AssumeRole of STS at `endpoint`, signed with `own`.
[[nodiscard]] Credentials assume_role(const HttpUrl& endpoint, const std::string& region,
                                      const RoleRequest& role, const Credentials& own,
                                      const HttpOptions& http);

/// AssumeRoleWithWebIdentity of STS, with a token instead of a signature.
[[nodiscard]] Credentials assume_role_with_web_identity(const HttpUrl& endpoint,
                                                        const RoleRequest& role,
                                                        const std::string& token,
                                                        const HttpOptions& http);

/// The credentials that a container service (ECS, EKS Pod Identity) has at `url`; `authorization`
/// is the header to send, "" = none.
[[nodiscard]] Credentials fetch_container_credentials(const std::string& url,
                                                      const std::string& authorization);

/// The credentials of the role of an EC2 instance (IMDSv2) at `endpoint`; none if there is no such
/// service, or the instance has no role.
[[nodiscard]] std::optional<Credentials> fetch_instance_credentials(const HttpUrl& endpoint);

/// Credentials as the services above and credential_process print them. `token_key` is "Token" or
/// "SessionToken". Throws Error(kReadFailed).
[[nodiscard]] Credentials parse_credentials_json(std::string_view text, std::string_view token_key,
                                                 std::string_view where);

}  // namespace flatfield::storage
