#include "flatfield/storage/s3_signer.h"

#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <sstream>

#include "flatfield/core/buffer.h"
#include "flatfield/core/json.h"
#include "flatfield/storage/digest.h"
#include "flatfield/storage/uri_text.h"

namespace flatfield::storage {
namespace {

namespace fs = std::filesystem;

// "Signature Calculations for the Authorization Header", S3 API reference: its four examples.

const Credentials kDocumented{"AKIAIOSFODNN7EXAMPLE", "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY",
                              "", std::nullopt};
constexpr const char* kHashOfNothing =
    "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";

std::string documented_signature(std::string_view method, std::string_view path,
                                 const Fields& query, Fields headers,
                                 const std::string& payload_hash) {
  headers.emplace_back("Host", "examplebucket.s3.amazonaws.com");
  headers.emplace_back("x-amz-content-sha256", payload_hash);
  headers.emplace_back("x-amz-date", "20130524T000000Z");
  const std::string value =
      authorization({method, path, query, headers, payload_hash},
                    {"us-east-1", "s3", *parse_iso_time("2013-05-24T00:00:00Z")}, kDocumented);
  return value.substr(value.find("Signature=") + 10);
}

TEST(S3Signer, signs_the_examples_of_the_documentation) {
  EXPECT_EQ(documented_signature("GET", "/test.txt", {}, {{"Range", "bytes=0-9"}}, kHashOfNothing),
            "f0e8bdb87c964420e857bd35b5d6ed310bd44f0170aba48dd91039c6036bdb41");
  EXPECT_EQ(documented_signature("PUT", "/" + encode_path("test$file.text"), {},
                                 {{"Date", "Fri, 24 May 2013 00:00:00 GMT"},
                                  {"x-amz-storage-class", "REDUCED_REDUNDANCY"}},
                                 to_hex(sha256(as_bytes("Welcome to Amazon S3.")))),
            "98ad721746da40c64f1a55b78f14c238d841ea1380cd77a1b5971af0ece108bd");
  EXPECT_EQ(documented_signature("GET", "/", {{"lifecycle", ""}}, {}, kHashOfNothing),
            "fea454ca298b7da1c68078a5d1bdbfbbe0d65c699e0f91ac7a200a0136783543");
  EXPECT_EQ(
      documented_signature("GET", "/", {{"prefix", "J"}, {"max-keys", "2"}}, {}, kHashOfNothing),
      "34b48302e7b5fa45bde8084f4b7868a86f0a534bc59db6670ed5711ef69dc6f7");
}

/// The suite of Amazon's own clients (aws-c-auth), where it is at hand.
fs::path suite_folder() {
  const char* shared = std::getenv("FLATFIELD_SHARED");
  const fs::path repository = fs::path(FLATFIELD_TESTS_FOLDER).parent_path();
  return repository / (shared == nullptr ? "../shared" : shared) /
         "data/conformance/aws-sigv4-test-suite/v4";
}

std::string read_text(const fs::path& path) {
  std::stringstream text;
  text << std::ifstream(path, std::ios::binary).rdbuf();
  return text.str();
}

struct SuiteRequest {
  std::string method, path;
  Fields query, headers;
  std::string body;
};

SuiteRequest parse_request(const std::string& text) {
  SuiteRequest request;
  std::istringstream lines(text);
  std::string line;
  std::getline(lines, line);
  const std::size_t first = line.find(' ');
  std::string target = line.substr(first + 1, line.rfind(' ') - first - 1);
  request.method = line.substr(0, first);
  const std::size_t question = target.find('?');
  request.path = target.substr(0, question);
  if (question != std::string::npos) {
    std::istringstream pairs(target.substr(question + 1));
    for (std::string pair; std::getline(pairs, pair, '&');) {
      const std::size_t equals = pair.find('=');
      request.query.emplace_back(percent_decode(pair.substr(0, equals), false).value(),
                                 equals == std::string::npos
                                     ? ""
                                     : percent_decode(pair.substr(equals + 1), false).value());
    }
  }
  while (std::getline(lines, line) && !line.empty()) {
    const std::size_t colon = line.find(':');
    if (line.front() == ' ')  // goes on with the value above
      request.headers.back().second += line;
    else
      request.headers.emplace_back(line.substr(0, colon), line.substr(colon + 1));
  }
  const std::size_t head = text.find("\n\n");
  if (head != std::string::npos) request.body = text.substr(head + 2);
  return request;
}

TEST(S3Signer, signs_every_request_of_the_suite_to_the_letter) {
  const fs::path folder = suite_folder();
  if (!fs::is_directory(folder)) GTEST_SKIP() << "no shared data: set FLATFIELD_SHARED";
  int cases = 0;
  for (const auto& entry : fs::directory_iterator(folder)) {
    SCOPED_TRACE(entry.path().filename().string());
    const auto file = [&](const char* name) { return read_text(entry.path() / name); };
    const Json context = Json::parse(file("context.json"), "context.json");
    const auto text = [&](const char* key) { return context.find(key)->as_string(); };
    const Json& own = *context.find("credentials");
    const auto own_text = [&](const char* key) {
      return own.find(key) == nullptr ? "" : own.find(key)->as_string();
    };
    const Credentials credentials{own_text("access_key_id"), own_text("secret_access_key"),
                                  own_text("token"), std::nullopt};
    SuiteRequest request = parse_request(file("request.txt"));
    const SigningScope scope{"us-east-1", "service", *parse_iso_time(text("timestamp"))};
    ASSERT_EQ(text("region"), scope.region);
    request.headers.emplace_back("X-Amz-Date", basic_timestamp(scope.time));
    const Json* omitted = context.find("omit_session_token");
    if (!credentials.session_token.empty() && (omitted == nullptr || !omitted->as_bool()))
      request.headers.emplace_back("X-Amz-Security-Token", credentials.session_token);
    const std::string hash = to_hex(sha256(as_bytes(request.body)));
    if (context.find("sign_body")->as_bool())
      request.headers.emplace_back("X-Amz-Content-Sha256", hash);
    // S3 does not normalise paths; what a caller of another service would do is done here.
    if (context.find("normalize")->as_bool())
      request.path = fs::path(request.path).lexically_normal().generic_string();
    const std::string path = encode_path(request.path);
    const SignedRequest to_sign{request.method, path, request.query, request.headers, hash};
    const std::string canonical = canonical_request(to_sign);
    EXPECT_EQ(canonical, file("header-canonical-request.txt"));
    EXPECT_EQ(string_to_sign(canonical, scope), file("header-string-to-sign.txt"));
    const std::string value = authorization(to_sign, scope, credentials);
    EXPECT_EQ(value.substr(value.find("Signature=") + 10), file("header-signature.txt"));
    EXPECT_NE(file("header-signed-request.txt").find("Authorization:" + value), std::string::npos);
    ++cases;
  }
  EXPECT_GE(cases, 30);
}

}  // namespace
}  // namespace flatfield::storage
