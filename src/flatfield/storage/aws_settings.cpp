#include "flatfield/storage/aws_settings.h"

#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>

#include "flatfield/core/error.h"
#include "flatfield/storage/local_store.h"

namespace flatfield::storage {
namespace {

std::string_view trimmed(std::string_view text) {
  constexpr std::string_view kSpace = " \t\r";
  const std::size_t first = text.find_first_not_of(kSpace);
  if (first == std::string_view::npos) return {};
  return text.substr(first, text.find_last_not_of(kSpace) - first + 1);
}

/// Name of the profile that a section heading begins; "" for a section of another kind.
std::string profile_of(std::string_view heading, bool is_credentials_file) {
  const std::string_view name =
      trimmed(heading.substr(1, heading.find(']') - std::min<std::size_t>(1, heading.find(']'))));
  if (is_credentials_file || name == "default") return std::string(name);
  constexpr std::string_view kWord = "profile";
  if (!name.starts_with(kWord) || name.size() == kWord.size() ||
      (name[kWord.size()] != ' ' && name[kWord.size()] != '\t'))
    return {};
  return std::string(trimmed(name.substr(kWord.size())));
}

/// Whether a file will not be readable later either. What fails for a moment must not pass for settings that nobody made.
bool is_never_readable(const std::string& path) {
  struct stat status {};
  if (::stat(path.c_str(), &status) == 0 && !S_ISREG(status.st_mode)) return true;
  return ::access(path.c_str(), R_OK) != 0 && (errno == EACCES || errno == EPERM || errno == ELOOP);
}

/// The text of a file; "" if there is none. Where nobody has named it, a file that may not be read is
/// none either: the home folder may be that of another user, and nothing in it be meant.
std::string read_file(const std::string& path, bool is_named) {
  const std::size_t slash = path.rfind('/');
  const std::string name = path.substr(slash == std::string::npos ? 0 : slash + 1);
  if (name.empty()) return {};
  const std::string folder = slash == std::string::npos ? "." : path.substr(0, slash + 1);
  // /dev/null is how people say that there is to be none. A pipe that is named is meant to hold something.
  if (struct stat status {}; ::stat(path.c_str(), &status) == 0 && S_ISCHR(status.st_mode)) return {};
  try {
    return get_text(*open_local_store(folder), name).value_or("");
  } catch (const Error& error) {
    if (is_named || error.code() != ErrorCode::kReadFailed || !is_never_readable(path)) throw;
    return {};
  }
}

}  // namespace

AwsProfiles parse_aws_profiles(std::string_view text, bool is_credentials_file) {
  AwsProfiles profiles;
  AwsProfile* section = nullptr;
  while (!text.empty()) {
    const std::size_t end = std::min(text.find('\n'), text.size());
    std::string_view line = text.substr(0, end);
    text.remove_prefix(std::min(end + 1, text.size()));
    if (line.empty() || line.front() == '#' || line.front() == ';') continue;
    if (line.front() == '[') {
      const std::string name = profile_of(line, is_credentials_file);
      section = name.empty() ? nullptr : &profiles[name];
      continue;
    }
    const std::size_t equals = line.find('=');
    // An indented line is a setting within the one above it.
    if (section == nullptr || equals == std::string_view::npos || line.front() == ' ' ||
        line.front() == '\t')
      continue;
    std::string_view value = line.substr(equals + 1);
    for (const std::string_view comment : {" #", " ;", "\t#", "\t;"})
      value = value.substr(0, value.find(comment));
    (*section)[std::string(trimmed(line.substr(0, equals)))] = std::string(trimmed(value));
  }
  return profiles;
}

const AwsProfile* AwsSettings::profile() const {
  const auto found = profiles.find(profile_name);
  return found == profiles.end() ? nullptr : &found->second;
}

std::string setting(const AwsProfile& profile, std::string_view key) {
  const auto found = profile.find(key);
  return found == profile.end() ? std::string() : found->second;
}

AwsSettings read_aws_settings(const Environment& environment) {
  AwsSettings settings;
  const auto variable = [&](const std::string& name) { return non_empty(environment, name); };
  const std::string home = variable("HOME").value_or("") + "/.aws/";
  for (const char* name : {"AWS_PROFILE", "AWS_DEFAULT_PROFILE"})
    if (const auto profile = variable(name); profile && !settings.profile_is_named) {
      settings.profile_name = *profile;
      settings.profile_is_named = true;
    }
  const auto read = [&](const char* name, const char* usual) {
    const auto path = variable(name);
    return read_file(path.value_or(home + usual), path || settings.profile_is_named);
  };
  settings.profiles = parse_aws_profiles(read("AWS_CONFIG_FILE", "config"), false);
  for (const auto& [name, profile] :
       parse_aws_profiles(read("AWS_SHARED_CREDENTIALS_FILE", "credentials"), true))
    for (const auto& [key, value] : profile) settings.profiles[name][key] = value;

  const AwsProfile* profile = settings.profile();
  // The first of the variables that is set, else the setting of the profile.
  const auto find = [&](std::initializer_list<const char*> names, std::string_view key) {
    for (const char* name : names)
      if (auto value = variable(name)) return *value;
    return profile == nullptr || key.empty() ? std::string() : setting(*profile, key);
  };
  settings.region = find({"AWS_REGION", "AWS_DEFAULT_REGION"}, "region");
  settings.s3_endpoint = find({"AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT_URL"}, "endpoint_url");
  settings.sts_endpoint = find({"AWS_ENDPOINT_URL_STS", "AWS_ENDPOINT_URL"}, "");
  settings.certificate_bundle = find({"AWS_CA_BUNDLE"}, "ca_bundle");
  const std::string no_sign = find({"AWS_NO_SIGN_REQUEST"}, "");
  settings.no_sign_request = no_sign == "true" || no_sign == "1" || no_sign == "yes";
  return settings;
}

}  // namespace flatfield::storage
