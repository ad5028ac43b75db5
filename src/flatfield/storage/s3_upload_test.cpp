#include "flatfield/storage/s3_upload.h"

#include <gtest/gtest.h>

#include <cstddef>
#include <string>

#include "flatfield/storage/open_store.h"
#include "support/no_more_threads.h"
#include "support/s3_test_server.h"

namespace flatfield::storage {
namespace {

TEST(S3Upload, large_objects_are_written_and_read_where_no_thread_can_be_started) {
  const test::S3TestServer& server = test::S3TestServer::fresh();
  Json settings;
  settings["smallest_part"] = 1000;
  server.control(settings);
  S3Options options = server.options();
  options.part_bytes = 100'000;
  options.largest_put = 200'000;
  options.queue_bytes = 200'000;
  const auto store = StoreOpener(options).open("s3://objects/where no thread can be started");
  std::string text(1'000'000, '\0');
  for (std::size_t i = 0; i < text.size(); ++i) text[i] = static_cast<char>(i * 31 % 251);

  const test::NoMoreThreads none;
  const auto writer = store->create("piece by piece");
  writer->append(as_bytes(text));
  writer->commit();
  put_text(*store, "at once", text);
  store->put_soon("larger than the queue", as_bytes(text));
  for (const char* key : {"piece by piece", "at once", "larger than the queue"})
    EXPECT_TRUE(get_text(*store, key) == text) << key;
}

}  // namespace
}  // namespace flatfield::storage
