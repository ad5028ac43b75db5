#include "flatfield/storage/s3_upload.h"

#include <gtest/gtest.h>

#include <cstddef>
#include <string>

#include "flatfield/core/error.h"
#include "flatfield/storage/open_store.h"
#include "flatfield/storage/store_exam.h"
#include "support/no_more_threads.h"
#include "support/s3_test_server.h"

namespace flatfield::storage {
namespace {

/// Options with which objects of some hundred kilobytes are uploaded in parts.
S3Options small_parts(const test::S3TestServer& server) {
  S3Options options = server.options();
  options.part_bytes = 100'000;
  options.largest_put = 200'000;
  options.queue_bytes = 200'000;
  return options;
}

std::string text_of(std::size_t bytes) {
  std::string text(bytes, '\0');
  for (std::size_t i = 0; i < text.size(); ++i) text[i] = static_cast<char>(i * 31 % 251);
  return text;
}

TEST(S3Upload, checksums_are_written_from_their_highest_byte_on) {
  EXPECT_EQ(crc32c_text(as_bytes("123456789")), "4waSgw==");
  EXPECT_EQ(crc32c_text({}), "AAAAAA==");
}

TEST(S3Upload, objects_and_parts_go_with_their_checksums_where_that_is_asked_for) {
  const test::S3TestServer& server = test::S3TestServer::fresh();
  Json settings;
  settings["smallest_part"] = 1000;
  server.control(settings);
  S3Options options = small_parts(server);
  // The server takes nothing else there.
  const std::string place = "s3://locked-objects/with checksums";
  EXPECT_EQ(error_code_of([&] { put_text(*StoreOpener(options).open(place), "none", "text"); }), ErrorCode::kWriteFailed);
  options.checksums = true;
  const auto store = StoreOpener(options).open(place);
  const std::string text = text_of(250'000);
  put_text(*store, "small", "123456789");
  const Json state = server.state();
  EXPECT_EQ(state.find("last_headers")->find("PUT")->find("x-amz-checksum-crc32c")->as_string(), "4waSgw==");
  put_text(*store, "at once", text);
  const auto writer = store->create("piece by piece");
  writer->append(as_bytes(text));
  writer->commit();
  EXPECT_EQ(get_text(*store, "small"), "123456789");
  for (const char* key : {"at once", "piece by piece"}) EXPECT_TRUE(get_text(*store, key) == text) << key;
}

TEST(S3Upload, checksums_go_to_amazon_and_not_to_other_servers_unless_that_is_asked_for) {
  S3Options options = test::S3TestServer::fresh().options();
  EXPECT_FALSE(S3Session(options).options().checksums.value_or(true));
  options.endpoint = "";
  EXPECT_TRUE(S3Session(options).options().checksums.value_or(false));
  options.checksums = false;
  EXPECT_FALSE(S3Session(options).options().checksums.value_or(true));
}

TEST(S3Upload, objects_are_written_and_read_where_no_thread_can_be_started) {
  const test::S3TestServer& server = test::S3TestServer::fresh();
  Json settings;
  settings["smallest_part"] = 1000;
  server.control(settings);
  const auto store = StoreOpener(small_parts(server)).open("s3://objects/where no thread can be started");
  const std::string text = text_of(1'000'000);

  const test::NoMoreThreads none;
  const auto writer = store->create("piece by piece");
  writer->append(as_bytes(text));
  writer->commit();
  put_text(*store, "at once", text);
  store->put_soon("larger than the queue", as_bytes(text));
  store->put_soon("small", as_bytes("text"));
  store->flush();
  EXPECT_EQ(get_text(*store, "small"), "text");
  for (const char* key : {"piece by piece", "at once", "larger than the queue"})
    EXPECT_TRUE(get_text(*store, key) == text) << key;
}

}  // namespace
}  // namespace flatfield::storage
