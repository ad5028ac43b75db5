#pragma once

#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <utility>

#include "flatfield/storage/local_store.h"
#include "flatfield/storage/s3_options.h"
#include "flatfield/storage/store.h"

namespace flatfield::storage {

class S3Client;
class S3Session;

/// Opens stores by their location: a local path, "file://PATH", "s3://BUCKET/KEY", or for reading
/// "http(s)://HOST/PATH". Stores of one opener share connections, credentials and, per bucket, the
/// number of requests under way. May be used from several threads at once; stores may outlive it.
/// A forked process may go on with the stores that were only read from, over connections of its own, if no other thread was
/// using any of them at the moment of the fork: whoever waits for credentials or for leave to send waits for that thread too.
/// Stores that were written to are not for it: what they write behind the work is left to threads that only its parent has.
/// With libcurl before 7.87 a program must ignore SIGPIPE, as Python does, or a connection that a server closes may end it.
class StoreOpener {
 public:
  explicit StoreOpener(S3Options s3 = {}, Sync sync = Sync::kNone);

  /// `caching` is that of local files. Throws Error(kUnsupported) for another scheme, Error(kUsage, kReadFailed) for
  /// settings of S3 that are not good. Nothing is asked over the network yet.
  [[nodiscard]] std::shared_ptr<Store> open(const std::string& location, Caching caching = Caching::kKept);

  /// The store that holds one object, which may be anywhere, and the object's key in it.
  /// Throws like `open`, and Error(kUsage) if the location names no object.
  [[nodiscard]] std::pair<std::shared_ptr<Store>, std::string> open_object(
      const std::string& location);

 private:
  [[nodiscard]] std::shared_ptr<S3Client> bucket(const std::string& name);

  S3Options s3_;
  Sync sync_;
  std::mutex mutex_;
  std::shared_ptr<S3Session> session_;
  std::map<std::string, std::shared_ptr<S3Client>> buckets_;
  std::shared_ptr<const HttpClient> http_;
};

/// The store at a location, opened on its own and with the settings of the environment.
/// Throws like StoreOpener::open.
[[nodiscard]] std::shared_ptr<Store> open_store(const std::string& location);

/// True for a URL of any scheme but file://: such a location is no path of this machine.
[[nodiscard]] bool is_remote(const std::string& location);

}  // namespace flatfield::storage
