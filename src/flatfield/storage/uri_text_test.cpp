#include "flatfield/storage/uri_text.h"

#include <gtest/gtest.h>

#include "flatfield/core/error.h"
#include "flatfield/storage/s3_location.h"

namespace flatfield::storage {
namespace {

TEST(PercentEncode, keeps_the_unreserved_characters_and_is_undone) {
  EXPECT_EQ(percent_encode("aZ09-._~"), "aZ09-._~");
  EXPECT_EQ(percent_encode("a b+c/ü\n"), "a%20b%2Bc%2F%C3%BC%0A");
  EXPECT_EQ(encode_path("a/b=c"), "a/b%3Dc");
  std::string every;
  for (int c = 0; c < 256; ++c) every += static_cast<char>(c);
  EXPECT_EQ(percent_decode(percent_encode(every), true), every);
}

TEST(PercentDecode, refuses_what_is_no_code) {
  for (const char* text : {"%", "%4", "%4g", "a%g4"})
    EXPECT_EQ(percent_decode(text, false), std::nullopt) << text;
  EXPECT_EQ(percent_decode("a+b%2b", false), "a+b+");
  EXPECT_EQ(percent_decode("a+b%2b", true), "a b+");
}

TEST(HttpUrl, is_taken_apart) {
  const HttpUrl url = parse_http_url("https://[::1]:9000/a/b//", "test");
  EXPECT_EQ(url.host, "[::1]:9000");
  EXPECT_EQ(url.host_name(), "::1");
  EXPECT_EQ(url.path, "/a/b");
  EXPECT_TRUE(url.secure());
  for (const char* text : {"", "host", "ftp://host", "http://", "http://a b", "http:///x"})
    EXPECT_THROW((void)parse_http_url(text, "test"), Error) << text;
}

TEST(HttpUrl, a_secret_in_it_is_not_repeated) {
  for (const char* text :
       {"http://user:secret@host/x", "http://host/x?token=secret", "http://h#secret"}) {
    try {
      (void)parse_http_url(text, "test");
      FAIL() << text;
    } catch (const Error& error) {
      EXPECT_EQ(std::string(error.what()).find("secret"), std::string::npos) << error.what();
    }
  }
}

TEST(S3Location, is_a_bucket_and_a_key_that_is_not_encoded) {
  const S3Location place = parse_s3_location("s3://aind-data/a b/%20/c+d//");
  EXPECT_EQ(place.bucket, "aind-data");
  EXPECT_EQ(place.key, "a b/%20/c+d");
  EXPECT_EQ(parse_s3_location("s3://bucket").key, "");
  for (const char* text : {"s3://", "s3:///key", "s3://a", "s3://arn:aws:x/k", "http://bucket/key"})
    EXPECT_THROW((void)parse_s3_location(text), Error) << text;
}

TEST(BucketUrl, has_a_host_of_its_own_at_amazon_where_its_name_is_one) {
  EXPECT_EQ(bucket_url("aind", "", "us-west-2").text(), "https://aind.s3.us-west-2.amazonaws.com");
  EXPECT_EQ(bucket_url("with.dots", "", "us-west-2").text(),
            "https://s3.us-west-2.amazonaws.com/with.dots");
  EXPECT_EQ(bucket_url("a-b", "", "cn-north-1").text(),
            "https://a-b.s3.cn-north-1.amazonaws.com.cn");
  EXPECT_EQ(bucket_url("aind", "http://localhost:9000/", "x").text(), "http://localhost:9000/aind");
}

TEST(S3Location, an_endpoint_is_known_for_one_of_amazon_by_its_host) {
  for (const char* endpoint : {"", "https://s3.us-west-2.amazonaws.com", "https://s3.cn-north-1.amazonaws.com.cn/",
                               "https://bucket.vpce-1a-2b.s3.us-east-1.vpce.amazonaws.com:443"})
    EXPECT_TRUE(is_amazon(endpoint)) << endpoint;
  for (const char* endpoint : {"http://localhost:9000", "https://amazonaws.com.example.org",
                               "https://example.org/s3.amazonaws.com", "https://notamazonaws.com"})
    EXPECT_FALSE(is_amazon(endpoint)) << endpoint;
}

}  // namespace
}  // namespace flatfield::storage
