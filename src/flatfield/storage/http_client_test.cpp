#include "flatfield/storage/http_client.h"

#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <cstring>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

#include "flatfield/storage/loopback_server.h"
#include "support/s3_test_server.h"

namespace flatfield::storage {
namespace {

/// What the test server says of the connection that a request came by: the port of the client, a space, `word`.
std::string asked(const HttpClient& http, const std::string& url, const std::string& word) {
  HttpRequest request;
  request.url = url + "/_connection?" + word;
  return http.exchange(request).text;
}

/// Whether each of many requests, several at once, has its own answer, by another connection than that of `port`.
bool asks_over_other_connections(const HttpClient& http, const std::string& url, const std::string& name,
                                 const std::string& port) noexcept {
  std::atomic<bool> good{true};
  {
    std::vector<std::jthread> threads;
    for (int t = 0; t < 4; ++t)
      threads.emplace_back([&, t] {
        for (int i = 0; i < 100; ++i) {
          const std::string word = name + "-" + std::to_string(t) + "-" + std::to_string(i);
          const std::string answer = asked(http, url, word);
          if (!answer.ends_with(" " + word) || answer.starts_with(port + " ")) good = false;
        }
      });
  }
  return good;
}

TEST(HttpClient, makes_connections_of_its_own_in_a_forked_process) {
  const test::S3TestServer& server = test::S3TestServer::fresh();
  const std::string url = server.url();
  const HttpClient http(server.options().http);
  const std::string first = asked(http, url, "first");
  const std::string port = first.substr(0, first.find(' '));
  ASSERT_EQ(first, port + " first");
  ASSERT_EQ(asked(http, url, "second"), port + " second") << "the connection is kept";
  std::vector<pid_t> children;
  for (const char* name : {"left", "right"}) {
    const pid_t child = ::fork();
    ASSERT_GE(child, 0);
    // Nothing of the test program goes on, or is taken down, in the child.
    if (child == 0) ::_exit(asks_over_other_connections(http, url, name, port) ? 0 : 1);
    children.push_back(child);
  }
  for (const pid_t child : children) {
    int status = -1;
    ASSERT_EQ(::waitpid(child, &status, 0), child);
    EXPECT_TRUE(WIFEXITED(status) && WEXITSTATUS(status) == 0) << status;
  }
}

TEST(HttpClient, keeps_the_beginning_of_an_error_that_is_long) {
  std::string page;
  while (page.size() < 300'000) page += std::to_string(page.size()) + " ";
  const LoopbackServer server(0);
  std::atomic<bool> done{false};
  std::jthread serving([&] {
    server.serve(
        [&](const ServedRequest&) {
          return ServedAnswer{404, {}, page.size(), [&](std::uint64_t offset, std::uint64_t length, Buffer& into) {
                                std::memcpy(into.resize(length).data(), page.data() + offset, length);
                              }};
        },
        [&] { return done.load(); });
  });
  HttpRequest request;
  request.url = "http://127.0.0.1:" + std::to_string(server.port()) + "/a";
  const HttpAnswer answer = HttpClient({.certificate_bundle = "", .use_proxy = false}).exchange(request);
  done = true;
  EXPECT_EQ(answer.status, 404);
  EXPECT_EQ(answer.body_bytes, page.size());
  EXPECT_TRUE(answer.text == std::string_view(page).substr(0, 65536)) << answer.text.size();
}

}  // namespace
}  // namespace flatfield::storage
