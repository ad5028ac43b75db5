#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "flatfield/storage/s3_signer.h"

namespace flatfield::storage {

// The XML documents of the S3 and STS interfaces. What comes from a server is checked: all throw
// Error(kReadFailed) that names `where` for a document that is not what it should be.

/// An <Error>, which may also come with HTTP status 200. Fields other than these are never kept:
/// S3 repeats tokens and signed texts in some of them.
struct S3Error {
  std::string code;     ///< "NoSuchKey", ...
  std::string message;  ///< for people; may be ""
  std::string region;   ///< where the bucket is, if the error says so
};
/// None if the text is not XML or its root is not an error (of S3, or of STS, which wraps it).
[[nodiscard]] std::optional<S3Error> parse_error_document(std::string_view text);

/// One page of a listing (ListObjectsV2).
struct S3Listing {
  struct Object {
    std::string key;
    std::uint64_t size = 0;
  };
  std::vector<Object> objects;
  std::vector<std::string> prefixes;  ///< common prefixes, up to and with their delimiter
  std::string next_token;             ///< of the next page; "" if this is the last
};
[[nodiscard]] S3Listing parse_listing(std::string_view text, std::string_view where);

/// One page of the uploads that were begun and not completed (ListMultipartUploads).
struct S3Uploads {
  struct Upload {
    std::string key;
    std::string id;
  };
  std::vector<Upload> uploads;
  std::string next_key;  ///< after which the next page begins; "" if this is the last
  std::string next_id;
};
[[nodiscard]] S3Uploads parse_uploads(std::string_view text, std::string_view where);

/// Keys that DeleteObjects did not remove, in quiet mode.
struct S3DeleteFailure {
  std::string key;
  S3Error error;
};
[[nodiscard]] std::vector<S3DeleteFailure> parse_delete_result(std::string_view text,
                                                               std::string_view where);
/// The request of DeleteObjects in quiet mode.
[[nodiscard]] std::string delete_document(const std::vector<std::string>& keys);

/// The UploadId of CreateMultipartUpload.
[[nodiscard]] std::string parse_upload_id(std::string_view text, std::string_view where);
/// A part of an upload that is there.
struct S3Part {
  std::string etag;
  std::string crc32c;  ///< as it was sent with it; "" where it was not
};
/// The request of CompleteMultipartUpload for parts 1, 2, ...
[[nodiscard]] std::string complete_document(const std::vector<S3Part>& parts);
/// The ETag of CompleteMultipartUpload; none if the document is something else.
[[nodiscard]] std::optional<std::string> parse_complete_result(std::string_view text);

/// Credentials of AssumeRole and AssumeRoleWithWebIdentity.
[[nodiscard]] Credentials parse_sts_credentials(std::string_view text, std::string_view where);

}  // namespace flatfield::storage
