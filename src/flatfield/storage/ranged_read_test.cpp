#include "flatfield/storage/ranged_read.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <functional>
#include <string>

#include "flatfield/core/error.h"
#include "flatfield/storage/store_exam.h"

namespace flatfield::storage {
namespace {

/// A server that heeds ranges, but no If-Match.
struct Server {
  std::string content;
  std::string etag;
  int requests = 0;
  std::function<void(Server&)> before_request = [](Server&) {};

  HttpAnswer answer(const Fields& headers, const BodyRoom& room) {
    ++requests;
    before_request(*this);
    const std::string& range = headers.at(0).second;  // bytes=FIRST-LAST
    const std::size_t first = std::stoull(range.substr(6));
    const std::size_t last = std::min<std::size_t>(std::stoull(range.substr(range.find('-') + 1)), content.size() - 1);
    HttpAnswer answer;
    answer.status = 206;
    answer.headers.emplace_back("content-range", "bytes " + std::to_string(first) + "-" + std::to_string(last) + "/" +
                                                     std::to_string(content.size()));
    if (!etag.empty()) answer.headers.emplace_back("etag", etag);
    const auto bytes = as_bytes(content).subspan(first, last - first + 1);
    std::ranges::copy(bytes, room(answer, bytes.size()).begin());
    return answer;
  }

  RemoteObject object() {
    return {[this](const std::string&, const Fields& headers, const BodyRoom& room) {
              return std::optional(answer(headers, room));
            },
            "here", 10, 1};
  }
};

/// An object of a server that knows no ranges; `content` must outlive it.
RemoteObject object_without_ranges(const std::string& content) {
  return {[&content](const std::string&, const Fields&, const BodyRoom& room) {
            HttpAnswer answer;
            answer.status = 200;
            const auto bytes = as_bytes(content);
            std::ranges::copy(bytes, room(answer, bytes.size()).begin());
            return std::optional(answer);
          },
          "here", 10, 1};
}

/// Reads an object that becomes `content` before its second piece is read.
void expect_read_again(const Server& before, const std::string& content, const std::string& etag) {
  Server server = before;
  server.before_request = [&](Server& self) {
    if (self.requests != 2) return;
    self.content = content;
    self.etag = etag;
  };
  Buffer into;
  ASSERT_TRUE(read_object(server.object(), into));
  EXPECT_EQ(into.text(), content);
  server.content = before.content;
  server.etag = before.etag;
  server.requests = 0;
  ASSERT_TRUE(read_object_range(server.object(), {1, 24}, into));
  EXPECT_EQ(into.text(), content.substr(1, 24));
}

TEST(RangedRead, pieces_of_another_version_are_told_by_their_etag) {
  const std::string before(32, 'a');
  const std::string after(32, 'b');
  expect_read_again({before, "\"1\""}, after, "\"2\"");
  expect_read_again({before, "W/\"1\""}, after, "W/\"2\"");
}

TEST(RangedRead, pieces_of_another_version_are_told_by_its_size) {
  const std::string before(32, 'a');
  expect_read_again({before, ""}, std::string(28, 'b'), "");
  expect_read_again({before, ""}, std::string(40, 'b'), "");
}

TEST(RangedRead, an_object_that_keeps_changing_is_an_error) {
  Server server{std::string(32, 'a'), ""};
  server.before_request = [](Server& self) { self.content += 'a'; };
  Buffer into;
  EXPECT_EQ(error_code_of([&] { static_cast<void>(read_object(server.object(), into)); }), ErrorCode::kReadFailed);
}

TEST(RangedRead, of_servers_without_ranges_parts_of_small_objects_are_read_and_of_large_ones_none) {
  const std::string small = std::string(30, 'a') + std::string(10, 'b');
  const std::string large = small + "c";
  Buffer into;
  ASSERT_TRUE(read_object_range(object_without_ranges(small), {29, 2}, into));
  EXPECT_EQ(into.text(), "ab");
  EXPECT_EQ(read_object_tail(object_without_ranges(small), 3, into), 40U);
  EXPECT_EQ(into.text(), "bbb");
  EXPECT_EQ(error_code_of([&] { static_cast<void>(read_object_range(object_without_ranges(large), {29, 2}, into)); }),
            ErrorCode::kUnsupported);
  EXPECT_EQ(error_code_of([&] { static_cast<void>(read_object_tail(object_without_ranges(large), 3, into)); }),
            ErrorCode::kUnsupported);
  ASSERT_TRUE(read_object(object_without_ranges(large), into));
  EXPECT_EQ(into.text(), large);
}

TEST(RangedRead, servers_that_give_no_etag_for_pieces_are_read) {
  Server server{std::string(32, 'a'), "\"1\""};
  server.before_request = [](Server& self) { if (self.requests == 2) self.etag = ""; };
  Buffer into;
  ASSERT_TRUE(read_object(server.object(), into));
  EXPECT_EQ(into.text(), server.content);
}

}  // namespace
}  // namespace flatfield::storage
