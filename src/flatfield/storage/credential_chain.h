#pragma once

#include "flatfield/storage/aws_settings.h"
#include "flatfield/storage/credential_provider.h"
#include "flatfield/storage/s3_options.h"

namespace flatfield::storage {

/// The first of these that is configured; one that fails is an error, never a reason to go on:
///
/// 1. `options.anonymous`, AWS_NO_SIGN_REQUEST: no credentials.
/// 2. `options.credentials`.
/// 3. AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY, AWS_SESSION_TOKEN.
/// 4. AWS_WEB_IDENTITY_TOKEN_FILE and AWS_ROLE_ARN, by STS.
/// 5. The profile: role_arn (with web_identity_token_file, source_profile or credential_source, by
///    STS), keys, or credential_process.
/// 6. AWS_CONTAINER_CREDENTIALS_RELATIVE_URI or _FULL_URI (ECS, EKS).
/// 7. The metadata service of an EC2 instance (IMDSv2), unless AWS_EC2_METADATA_DISABLED; where it
///    does not answer within a second there are no credentials.
///
/// ("Standardized credential providers", AWS SDKs and tools reference guide.) Nothing is asked over
/// the network before the first fetch. Throws Error(kUsage) for settings that contradict
/// themselves.
[[nodiscard]] CredentialSource find_credential_source(const S3Options& options,
                                                      const AwsSettings& settings);

}  // namespace flatfield::storage
