#include "flatfield/storage/s3_answers.h"

#include <gtest/gtest.h>

#include "flatfield/core/error.h"
#include "flatfield/storage/ranged_read.h"
#include "flatfield/storage/xml.h"

namespace flatfield::storage {
namespace {

TEST(Xml, is_read_without_prefixes_and_written_as_it_was) {
  const XmlElement root =
      parse_xml("<s:a xmlns:s=\"x\"><s:b>1&amp;2</s:b><c/><b>3</b></s:a>", "test");
  EXPECT_EQ(root.name, "a");
  EXPECT_EQ(root.children.size(), 3U);
  EXPECT_EQ(root.child_text("b"), "1&2");
  EXPECT_EQ(root.child_text("d"), "");
  const std::string text = "a<b>&\"c\"\r\n\t";
  EXPECT_EQ(parse_xml("<a>" + escape_xml(text) + "</a>", "test").text, text);
}

TEST(Xml, refuses_documents_that_are_damaged_deep_or_have_entities) {
  std::string deep;
  for (int i = 0; i < 100; ++i) deep += "<a>";
  for (const std::string& text :
       {std::string(), std::string("<a>"), std::string("<a></b>"), std::string("{}"), deep,
        std::string("<!DOCTYPE a [<!ENTITY b \"c\">]><a>&b;</a>")})
    EXPECT_THROW((void)parse_xml(text, "test"), Error) << text;
}

TEST(S3Answers, errors_are_told_from_other_documents_and_from_pages_of_proxies) {
  const auto error = parse_error_document(
      "<?xml version=\"1.0\"?>\n<Error><Code>ExpiredToken</Code><Message>m</Message>"
      "<Token-0>secret</Token-0><Region>eu-west-1</Region></Error>");
  ASSERT_TRUE(error.has_value());
  EXPECT_EQ(error->code, "ExpiredToken");
  EXPECT_EQ(error->message, "m");
  EXPECT_EQ(error->region, "eu-west-1");
  EXPECT_EQ(
      parse_error_document("<ErrorResponse><Error><Code>x</Code></Error></ErrorResponse>")->code,
      "x");
  for (const char* text : {"", "<html><body>502</html>", "<ListBucketResult/>", "Bad Gateway"})
    EXPECT_FALSE(parse_error_document(text).has_value()) << text;
}

TEST(S3Answers, a_listing_that_goes_on_must_say_where) {
  EXPECT_THROW((void)parse_listing(
                   "<ListBucketResult><IsTruncated>true</IsTruncated></ListBucketResult>", "t"),
               Error);
  EXPECT_THROW(
      (void)parse_listing("<ListBucketResult><Contents><Key>a</Key><Size>-1</Size></Contents>"
                          "</ListBucketResult>",
                          "t"),
      Error);
  EXPECT_THROW((void)parse_listing("<Other/>", "t"), Error);
  const S3Listing plain = parse_listing(
      "<ListBucketResult><Contents><Key>a+b%20</Key><Size>5</Size></Contents></ListBucketResult>",
      "t");
  EXPECT_EQ(plain.objects.at(0).key, "a+b%20");  // no encoding was named
}

TEST(S3Answers, keys_are_escaped_in_what_is_sent) {
  const XmlElement document = parse_xml(delete_document({"a&b", "c<\r\n>"}), "test");
  EXPECT_EQ(document.children.at(1).child_text("Key"), "a&b");
  EXPECT_EQ(document.children.at(2).child_text("Key"), "c<\r\n>");
}

TEST(S3Answers, an_upload_is_completed_by_the_etags_of_its_parts_and_their_checksums_if_they_have_any) {
  const XmlElement document = parse_xml(complete_document({{"\"a&b\"", "4waSgw=="}, {"\"c\"", ""}}), "test");
  EXPECT_EQ(document.name, "CompleteMultipartUpload");
  ASSERT_EQ(document.children.size(), 2U);
  const XmlElement& first = document.children[0];
  EXPECT_EQ(first.child_text("PartNumber"), "1");
  EXPECT_EQ(first.child_text("ETag"), "\"a&b\"");
  EXPECT_EQ(first.child_text("ChecksumCRC32C"), "4waSgw==");
  EXPECT_EQ(document.children[1].child_text("PartNumber"), "2");
  EXPECT_EQ(document.children[1].child("ChecksumCRC32C"), nullptr);
}

TEST(ContentRange, is_read_or_refused) {
  const auto range = parse_content_range("bytes 5-9/10");
  ASSERT_TRUE(range.has_value());
  EXPECT_EQ(range->length(), 5U);
  EXPECT_EQ(range->total, 10U);
  for (const char* text : {"", "bytes 5-9", "bytes 9-5/10", "bytes 5-10/10", "bytes 5-9/*",
                           "5-9/10", "bytes 5-9/10 ", "bytes -1-9/10"})
    EXPECT_EQ(parse_content_range(text), std::nullopt) << text;
}

TEST(UtcTime, reads_and_writes_the_forms_of_aws_and_of_http) {
  EXPECT_EQ(basic_timestamp(1440938160), "20150830T123600Z");
  for (const char* text :
       {"2015-08-30T12:36:00Z", "2015-08-30T12:36:00.123Z", "2015-08-30T14:36:00+02:00"})
    EXPECT_EQ(parse_iso_time(text), 1440938160) << text;
  for (const char* text :
       {"", "2015-08-30", "2015-13-30T12:36:00Z", "2015-08-30T12:36:00", "2015-08-30T12:36:00Zx"})
    EXPECT_EQ(parse_iso_time(text), std::nullopt) << text;
  EXPECT_EQ(parse_http_date("Sun, 30 Aug 2015 12:36:00 GMT"), 1440938160);
  EXPECT_EQ(parse_http_date("Sun, 30 Foo 2015 12:36:00 GMT"), std::nullopt);
}

}  // namespace
}  // namespace flatfield::storage
