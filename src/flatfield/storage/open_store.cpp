#include "flatfield/storage/open_store.h"

#include "flatfield/core/error.h"
#include "flatfield/storage/aws_settings.h"
#include "flatfield/storage/http_store.h"
#include "flatfield/storage/local_store.h"
#include "flatfield/storage/s3_client.h"
#include "flatfield/storage/s3_location.h"
#include "flatfield/storage/s3_store.h"

namespace flatfield::storage {
namespace {

/// "s3" of "s3://bucket"; "" for a path.
std::string scheme_of(const std::string& location) {
  const std::size_t end = location.find("://");
  return end == std::string::npos ? "" : location.substr(0, end);
}

}  // namespace

StoreOpener::StoreOpener(S3Options s3, Sync sync) : s3_(std::move(s3)), sync_(sync) {}

std::shared_ptr<Store> StoreOpener::open(const std::string& location, Caching caching) {
  const std::string scheme = scheme_of(location);
  if (scheme.empty()) return open_local_store(location, sync_, caching);
  if (scheme == "file") return open_local_store(location.substr(scheme.size() + 3), sync_, caching);
  if (scheme == "s3") {
    S3Location place = parse_s3_location(location);
    return open_s3_store(bucket(place.bucket), std::move(place.key));
  }
  if (scheme == "http" || scheme == "https") {
    {
      const std::scoped_lock lock(mutex_);
      if (!http_) {
        HttpOptions options = s3_.http;
        if (options.certificate_bundle.empty())
          options.certificate_bundle = read_aws_settings(s3_.environment).certificate_bundle;
        http_ = std::make_shared<HttpClient>(options);
      }
    }
    return open_http_store(location, http_, s3_.retry, s3_.concurrency);
  }
  throw Error(ErrorCode::kUnsupported, "locations of the form " + scheme + ":// cannot be opened",
              location, "give a local folder, or an s3:// or https:// location");
}

std::pair<std::shared_ptr<Store>, std::string> StoreOpener::open_object(
    const std::string& location) {
  const std::size_t slash = location.rfind('/');
  const std::string name = slash == std::string::npos ? location : location.substr(slash + 1);
  const std::string folder = slash == std::string::npos ? "." : location.substr(0, slash + 1);
  if (name.empty() || name == "." || name == ".." || folder.ends_with("://"))
    throw Error(ErrorCode::kUsage, "this is not the name of a file", location, "name a file");
  return {open(folder), name};
}

std::shared_ptr<S3Client> StoreOpener::bucket(const std::string& name) {
  const std::scoped_lock lock(mutex_);
  if (!session_) session_ = std::make_shared<S3Session>(s3_);
  std::shared_ptr<S3Client>& client = buckets_[name];
  if (!client) client = std::make_shared<S3Client>(session_, name);
  return client;
}

std::shared_ptr<Store> open_store(const std::string& location) {
  return StoreOpener().open(location);
}

bool is_remote(const std::string& location) {
  const std::string scheme = scheme_of(location);
  return !scheme.empty() && scheme != "file";
}

}  // namespace flatfield::storage
