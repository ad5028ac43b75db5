#pragma once

#include <map>
#include <string>
#include <string_view>

#include "flatfield/core/environment.h"

namespace flatfield::storage {

using AwsProfile = std::map<std::string, std::string, std::less<>>;
using AwsProfiles = std::map<std::string, AwsProfile, std::less<>>;

/// The sections of a file of the AWS command line: "[profile NAME]" and "[default]" of `config`,
/// with `is_credentials_file` "[NAME]" of `credentials`. Sections of other kinds, nested settings
/// and lines that are no settings are left out, as its own reader does.
[[nodiscard]] AwsProfiles parse_aws_profiles(std::string_view text, bool is_credentials_file);

/// What the environment and the files of the AWS command line say ("Configuration and credential
/// file settings", AWS CLI user guide). The environment wins.
struct AwsSettings {
  AwsProfiles profiles;  ///< of both files; that for credentials wins
  std::string profile_name = "default";
  bool profile_is_named = false;   ///< by AWS_PROFILE: it must exist
  std::string region;              ///< "" if nothing says
  std::string s3_endpoint;         ///< AWS_ENDPOINT_URL_S3, AWS_ENDPOINT_URL, endpoint_url
  std::string sts_endpoint;        ///< AWS_ENDPOINT_URL_STS, AWS_ENDPOINT_URL
  std::string certificate_bundle;  ///< AWS_CA_BUNDLE, ca_bundle
  bool no_sign_request = false;    ///< AWS_NO_SIGN_REQUEST

  /// The profile in use; null if there is none of that name.
  [[nodiscard]] const AwsProfile* profile() const;
};
/// Throws Error(kReadFailed) for a file that is there and cannot be read. One in the home folder that nobody
/// asks for, neither by a variable nor by the name of a profile, is as good as absent where it will not be
/// readable later either: without permission, behind a loop of links, or as no regular file.
[[nodiscard]] AwsSettings read_aws_settings(const Environment& environment);

/// A setting of a profile; "" if it is not there.
[[nodiscard]] std::string setting(const AwsProfile& profile, std::string_view key);

}  // namespace flatfield::storage
