#include "flatfield/storage/s3_answers.h"

#include <fmt/format.h>

#include <charconv>

#include "flatfield/core/error.h"
#include "flatfield/storage/uri_text.h"
#include "flatfield/storage/xml.h"

namespace flatfield::storage {
namespace {

[[noreturn]] void fail(const std::string& what, std::string_view where) {
  throw Error(ErrorCode::kReadFailed, "the answer is not what it should be: " + what, where);
}

XmlElement parse_document(std::string_view text, std::string_view root, std::string_view where) {
  XmlElement document = parse_xml(text, where);
  if (document.name != root)
    fail(fmt::format("expected <{}>, found <{}>", root, document.name), where);
  return document;
}

S3Error error_of(const XmlElement& element) {
  return {element.child_text("Code"), element.child_text("Message"), element.child_text("Region")};
}

std::uint64_t parse_size(const std::string& text, std::string_view where) {
  std::uint64_t size = 0;
  const char* end = text.data() + text.size();
  const auto [stop, error] = std::from_chars(text.data(), end, size);
  if (text.empty() || error != std::errc() || stop != end)
    fail(fmt::format("expected a size, found \"{}\"", text), where);
  return size;
}

/// A key as a listing gives it, which may be URL-encoded.
std::string decoded_key(const XmlElement& document, const std::string& name, std::string_view where) {
  if (document.child_text("EncodingType") != "url") return name;
  const auto plain = percent_decode(name, true);
  if (!plain) fail(fmt::format("the key \"{}\" is not URL-encoded", name), where);
  return *plain;
}

}  // namespace

std::optional<S3Error> parse_error_document(std::string_view text) {
  if (text.empty()) return std::nullopt;
  try {
    const XmlElement document = parse_xml(text, "");
    if (document.name == "Error") return error_of(document);
    if (document.name == "ErrorResponse")
      if (const XmlElement* inner = document.child("Error")) return error_of(*inner);
  } catch (const Error&) {
    // Proxies and load balancers answer in HTML.
  }
  return std::nullopt;
}

S3Listing parse_listing(std::string_view text, std::string_view where) {
  const XmlElement document = parse_document(text, "ListBucketResult", where);
  const auto decoded = [&](const std::string& name) { return decoded_key(document, name, where); };
  S3Listing listing;
  for (const XmlElement& element : document.children) {
    if (element.name == "Contents")
      listing.objects.push_back(
          {decoded(element.child_text("Key")), parse_size(element.child_text("Size"), where)});
    else if (element.name == "CommonPrefixes")
      listing.prefixes.push_back(decoded(element.child_text("Prefix")));
  }
  if (document.child_text("IsTruncated") != "true") return listing;
  listing.next_token = document.child_text("NextContinuationToken");
  if (listing.next_token.empty()) fail("a listing goes on without saying where", where);
  return listing;
}

S3Uploads parse_uploads(std::string_view text, std::string_view where) {
  const XmlElement document = parse_document(text, "ListMultipartUploadsResult", where);
  S3Uploads page;
  for (const XmlElement& element : document.children)
    if (element.name == "Upload")
      page.uploads.push_back(
          {decoded_key(document, element.child_text("Key"), where), element.child_text("UploadId")});
  if (document.child_text("IsTruncated") != "true") return page;
  page.next_key = decoded_key(document, document.child_text("NextKeyMarker"), where);
  page.next_id = document.child_text("NextUploadIdMarker");
  if (page.next_key.empty()) fail("a listing goes on without saying where", where);
  return page;
}

std::vector<S3DeleteFailure> parse_delete_result(std::string_view text, std::string_view where) {
  const XmlElement document = parse_document(text, "DeleteResult", where);
  std::vector<S3DeleteFailure> failures;
  for (const XmlElement& element : document.children)
    if (element.name == "Error") failures.push_back({element.child_text("Key"), error_of(element)});
  return failures;
}

std::string delete_document(const std::vector<std::string>& keys) {
  std::string text =
      "<Delete xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\"><Quiet>true</Quiet>";
  for (const std::string& key : keys) text += "<Object><Key>" + escape_xml(key) + "</Key></Object>";
  return text + "</Delete>";
}

std::string parse_upload_id(std::string_view text, std::string_view where) {
  std::string id =
      parse_document(text, "InitiateMultipartUploadResult", where).child_text("UploadId");
  if (id.empty()) fail("an upload without an id", where);
  return id;
}

std::string complete_document(const std::vector<S3Part>& parts) {
  std::string text = "<CompleteMultipartUpload xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\">";
  for (std::size_t i = 0; i < parts.size(); ++i) {
    text += fmt::format("<Part><PartNumber>{}</PartNumber><ETag>{}</ETag>", i + 1, escape_xml(parts[i].etag));
    if (!parts[i].crc32c.empty()) text += "<ChecksumCRC32C>" + escape_xml(parts[i].crc32c) + "</ChecksumCRC32C>";
    text += "</Part>";
  }
  return text + "</CompleteMultipartUpload>";
}

std::optional<std::string> parse_complete_result(std::string_view text) {
  try {
    const XmlElement document = parse_xml(text, "");
    if (document.name == "CompleteMultipartUploadResult") return document.child_text("ETag");
  } catch (const Error&) {
    // A body that breaks off: the upload may or may not be complete.
  }
  return std::nullopt;
}

Credentials parse_sts_credentials(std::string_view text, std::string_view where) {
  const XmlElement document = parse_xml(text, where);
  // <AssumeRoleResponse><AssumeRoleResult><Credentials>, or the same WithWebIdentity.
  for (const XmlElement& result : document.children) {
    const XmlElement* element = result.child("Credentials");
    if (element == nullptr) continue;
    Credentials credentials{
        element->child_text("AccessKeyId"), element->child_text("SecretAccessKey"),
        element->child_text("SessionToken"), parse_iso_time(element->child_text("Expiration"))};
    if (credentials.access_key_id.empty() || credentials.secret_access_key.empty())
      fail("credentials without a key", where);
    return credentials;
  }
  fail("it holds no credentials", where);
}

}  // namespace flatfield::storage
