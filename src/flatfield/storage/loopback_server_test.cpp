#include "flatfield/storage/loopback_server.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <atomic>
#include <new>
#include <string>
#include <thread>

#include "flatfield/core/error.h"
#include "flatfield/storage/http_client.h"
#include "support/no_more_threads.h"

namespace flatfield::storage {
namespace {

TEST(LoopbackServer, ReadsMethodPathAndHeadersOfARequest) {
  const auto request = parse_request("GET /a%20b/c?d=%2F HTTP/1.1\r\nHost: 127.0.0.1:80\r\nRaNge:  bytes=0-1 ");
  ASSERT_TRUE(request);
  EXPECT_EQ(request->method, "GET");
  EXPECT_EQ(request->path, "/a b/c");
  EXPECT_EQ(request->header("host"), "127.0.0.1:80");
  EXPECT_EQ(request->header("range"), "bytes=0-1");
  EXPECT_EQ(request->header("origin"), "");
}

TEST(LoopbackServer, RefusesWhatIsNoRequest) {
  for (const char* head : {"", "GET", "GET /", "GET / FTP/1.1", "GET a HTTP/1.1", "GET http://x/ HTTP/1.1", "GET /%zz HTTP/1.1",
                           "GET / HTTP/1.1\r\nno colon", "GET / HTTP/1.1\r\n: x", "/ HTTP/1.1"})
    EXPECT_FALSE(parse_request(head)) << head;
}

TEST(LoopbackServer, RangesAreClippedToTheObject) {
  const auto range = [](std::string_view header, std::uint64_t size) -> std::pair<std::uint64_t, std::uint64_t> {
    const auto found = parse_byte_range(header, size);
    return found ? std::pair(found->offset, found->length) : std::pair<std::uint64_t, std::uint64_t>(0, 0);
  };
  EXPECT_EQ(range("bytes=0-0", 10), std::pair(0UL, 1UL));
  EXPECT_EQ(range("bytes=2-5", 10), std::pair(2UL, 4UL));
  EXPECT_EQ(range("bytes=2-", 10), std::pair(2UL, 8UL));
  EXPECT_EQ(range("bytes=2-99", 10), std::pair(2UL, 8UL));
  EXPECT_EQ(range("bytes=-4", 10), std::pair(6UL, 4UL));
  EXPECT_EQ(range("bytes=-40", 10), std::pair(0UL, 10UL));
}

TEST(LoopbackServer, RangesOfNothingAndOtherTextsAreNone) {
  for (const char* header : {"", "bytes", "bytes=", "bytes=-", "bytes=-0", "bytes=10-", "bytes=5-4", "bytes=0-1,3-4", "bytes=a-b",
                             "bytes=1", "lines=0-1", "bytes=+1-2", "bytes=0x1-2", "bytes=99999999999999999999-"})
    EXPECT_FALSE(parse_byte_range(header, 10)) << header;
  EXPECT_FALSE(parse_byte_range("bytes=0-0", 0));
}

TEST(LoopbackServer, TakesAnyFreePortAndRefusesOneThatIsTaken) {
  const LoopbackServer first(0);
  EXPECT_GT(first.port(), 0);
  EXPECT_THROW(LoopbackServer second(first.port()), Error);
}

/// The answer to a request for `length` bytes of which only the first `readable` can be read.
HttpAnswer served(std::uint64_t length, std::uint64_t readable) {
  const LoopbackServer server(0);
  std::atomic<bool> done{false};
  std::jthread serving([&] {
    server.serve(
        [&](const ServedRequest&) {
          return ServedAnswer{200, {}, length, [=](std::uint64_t offset, std::uint64_t bytes, Buffer& into) {
                                if (offset + bytes > readable) throw Error(ErrorCode::kReadFailed, "gone");
                                std::ranges::fill(into.resize(bytes), std::byte{'x'});
                              }};
        },
        [&] { return done.load(); });
  });
  HttpRequest request;
  request.url = "http://127.0.0.1:" + std::to_string(server.port()) + "/a";
  HttpAnswer answer = HttpClient({.certificate_bundle = "", .use_proxy = false}).exchange(request);
  done = true;
  return answer;
}

TEST(LoopbackServer, WhatCannotBeReadIsAnErrorAndNoBody) {
  constexpr std::uint64_t kLength = (std::uint64_t{1} << 20U) + 1000;
  const HttpAnswer whole = served(kLength, kLength);
  EXPECT_EQ(whole.status, 200);
  EXPECT_EQ(whole.text, std::string(kLength, 'x'));
  EXPECT_EQ(served(0, 0).status, 200);
  const HttpAnswer nothing = served(kLength, 0);
  EXPECT_EQ(nothing.failure, TransportFailure::kNone);
  EXPECT_EQ(nothing.status, 500);
  const HttpAnswer half = served(kLength, std::uint64_t{1} << 20U);
  EXPECT_EQ(half.failure, TransportFailure::kBroken);
  EXPECT_EQ(half.text.find_first_not_of('x'), std::string::npos) << "the head of another answer is no content";
}

ServedAnswer nothing_to_say(const ServedRequest& /*request*/) { return {204, {}, 0, {}}; }

/// The status of the answer to one request, by a connection of its own.
int status_from(const LoopbackServer& server) {
  HttpRequest request;
  request.url = "http://127.0.0.1:" + std::to_string(server.port()) + "/a";
  return HttpClient({.certificate_bundle = "", .use_proxy = false}).exchange(request).status;
}

TEST(LoopbackServer, RefusesWhatIsNoPort) {
  EXPECT_THROW(LoopbackServer(-1), Error);
  EXPECT_THROW(LoopbackServer(65536), Error);
}

TEST(LoopbackServer, GoesOnWithTheThreadsThatItCanHave) {
  const LoopbackServer server(0);
  std::atomic<bool> done{false};
  std::jthread serving([&] {
    const test::NoMoreThreads none;
    server.serve(nothing_to_say, [&] { return done.load(); });
  });
  for (int i = 0; i < 3; ++i) EXPECT_EQ(status_from(server), 204);
  done = true;
}

TEST(LoopbackServer, WhatGoesWrongBeforeThereIsARequestEndsOnlyItsConnection) {
  const LoopbackServer server(0);
  std::atomic<bool> done{false};
  std::atomic<std::thread::id> answering{std::thread::id()};
  std::jthread serving([&] {
    server.serve(
        [&](const ServedRequest& request) {
          answering = std::this_thread::get_id();
          return nothing_to_say(request);
        },
        [&] {
          // Whoever has answered asks this when it waits for the next request: as if there were no memory for that.
          std::thread::id self = std::this_thread::get_id();
          if (answering.compare_exchange_strong(self, std::thread::id())) throw std::bad_alloc();
          return done.load();
        });
  });
  for (int i = 0; i < 3; ++i) EXPECT_EQ(status_from(server), 204);
  done = true;
}

}  // namespace
}  // namespace flatfield::storage
