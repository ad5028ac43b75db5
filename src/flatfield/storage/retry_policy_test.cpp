#include "flatfield/storage/retry_policy.h"

#include <gtest/gtest.h>

#include <atomic>
#include <chrono>
#include <memory>
#include <thread>
#include <vector>

#include "support/s3_test_server.h"

namespace flatfield::storage {
namespace {

HttpAnswer answer_of(int status) {
  HttpAnswer answer;
  answer.status = status;
  return answer;
}

TEST(RetryPolicy, tries_again_what_may_pass_and_nothing_else) {
  for (const int status : {408, 500, 502, 504})
    EXPECT_EQ(judge_by_status(answer_of(status)), Verdict::kRetry) << status;
  for (const int status : {429, 503, 509})
    EXPECT_EQ(judge_by_status(answer_of(status)), Verdict::kOverload) << status;
  for (const int status : {200, 206, 301, 400, 403, 404, 412, 416, 501})
    EXPECT_EQ(judge_by_status(answer_of(status)), Verdict::kFinal) << status;
  HttpAnswer broken = answer_of(200);
  broken.failure = TransportFailure::kBroken;
  EXPECT_EQ(judge_by_status(broken), Verdict::kRetry);
  broken.failure = TransportFailure::kUntrusted;
  EXPECT_EQ(judge_by_status(broken), Verdict::kFinal);
}

TEST(RetryPolicy, tries_again_what_may_pass_by_its_code_whatever_the_status) {
  for (const char* code : {"SlowDown", "Throttling"})
    EXPECT_EQ(judge_by_code(code, answer_of(400)), Verdict::kOverload) << code;
  for (const char* code : {"InternalError", "IDPCommunicationError"})
    EXPECT_EQ(judge_by_code(code, answer_of(400)), Verdict::kRetry) << code;
  for (const char* code : {"", "InvalidIdentityToken", "AccessDenied"}) {
    EXPECT_EQ(judge_by_code(code, answer_of(400)), Verdict::kFinal) << code;
    EXPECT_EQ(judge_by_code(code, answer_of(503)), Verdict::kOverload) << code;
  }
}

TEST(RetryPolicy, pauses_double_up_to_a_cap_and_are_random_from_nothing_on) {
  RetryOptions options;
  options.base_seconds = 0.1;
  options.cap_seconds = 20.0;
  EXPECT_DOUBLE_EQ(pause_seconds(options, 1, 1.0), 0.1);
  EXPECT_DOUBLE_EQ(pause_seconds(options, 4, 1.0), 0.8);
  EXPECT_DOUBLE_EQ(pause_seconds(options, 4, 0.25), 0.2);
  EXPECT_DOUBLE_EQ(pause_seconds(options, 900, 1.0), 20.0);
  EXPECT_DOUBLE_EQ(pause_seconds(options, 900, 0.0), 0.0);
}

TEST(RetryPolicy, heeds_retry_after_up_to_a_minute) {
  const auto seconds = [](const std::string& text) {
    HttpAnswer answer;
    answer.headers = {{"retry-after", text}};
    return retry_after_seconds(answer);
  };
  EXPECT_EQ(seconds("7"), 7.0);
  EXPECT_EQ(seconds("7000"), 60.0);
  EXPECT_EQ(seconds("-1"), 0.0);
  EXPECT_EQ(seconds("Sun, 30 Aug 2015 12:36:00 GMT"), 0.0);
  EXPECT_EQ(seconds("soon"), std::nullopt);
  EXPECT_EQ(seconds("nan"), std::nullopt);
  EXPECT_EQ(retry_after_seconds(HttpAnswer()), std::nullopt);
}

TEST(RequestWindow, is_halved_once_by_requests_that_were_under_way_together_and_grows_again) {
  RequestWindow window(32);
  const auto began = RequestWindow::Clock::now();
  window.note_overload(began);
  window.note_overload(began);
  EXPECT_EQ(window.size(), 16);
  window.note_overload(RequestWindow::Clock::now());
  EXPECT_EQ(window.size(), 8);
  for (int i = 0; i < 9; ++i) window.note_success();
  EXPECT_EQ(window.size(), 9);
  for (int i = 0; i < 10'000; ++i) window.note_success();
  EXPECT_EQ(window.size(), 32);
  for (int i = 0; i < 20; ++i) window.note_overload(RequestWindow::Clock::now());
  EXPECT_EQ(window.size(), 1);
}

TEST(RequestWindow, never_lets_more_in_than_there_are_places) {
  RequestWindow window(3);
  std::atomic<int> inside{0};
  std::atomic<int> most{0};
  std::vector<std::thread> threads;
  for (int t = 0; t < 8; ++t)
    threads.emplace_back([&] {
      for (int i = 0; i < 50; ++i) {
        const RequestWindow::Place place(window);
        const int now = ++inside;
        int seen = most;
        while (seen < now && !most.compare_exchange_weak(seen, now)) {
        }
        std::this_thread::yield();
        --inside;
      }
    });
  for (auto& thread : threads) thread.join();
  EXPECT_LE(most, 3);
}

TEST(RequestWindow, lets_as_many_in_as_there_are_places) {
  RequestWindow window(3);
  const RequestWindow::Place first(window);
  const RequestWindow::Place second(window);
  const RequestWindow::Place third(window);  // or this waits for ever
}

/// A client whose attempts are over at once: nobody is asked, and the tests say what the answer means.
PatientClient client_of_nobody(const RetryOptions& options) {
  return {std::make_shared<HttpClient>(HttpOptions{.certificate_bundle = "", .use_proxy = false}), options, 1};
}

HttpRequest request_to_nobody(int /*attempt*/) {
  HttpRequest request;
  request.url = "file:///etc/hostname";
  return request;
}

TEST(PatientClient, what_a_request_waits_for_its_turn_is_not_of_its_time) {
  RetryOptions options;
  options.base_seconds = 0.001;
  options.budget_seconds = 0.3;
  PatientClient client = client_of_nobody(options);
  std::atomic<bool> is_begun{false};
  const std::jthread other([&] {
    static_cast<void>(client.send(
        [&](int attempt) {
          is_begun = true;
          std::this_thread::sleep_for(std::chrono::milliseconds(600));
          return request_to_nobody(attempt);
        },
        [](const HttpAnswer&) { return Verdict::kFinal; }));
  });
  while (!is_begun) std::this_thread::yield();
  int answers = 0;
  const Outcome outcome = client.send(request_to_nobody, [&](const HttpAnswer&) {
    return ++answers == 1 ? Verdict::kRetry : Verdict::kFinal;
  });
  EXPECT_EQ(outcome.verdict, Verdict::kFinal);
  EXPECT_EQ(outcome.attempts, 2);
}

TEST(PatientClient, an_outage_counts_for_who_comes_soon_and_not_for_who_comes_long_after_it) {
  RetryOptions options;
  options.max_attempts = 1000;
  options.base_seconds = 0.01;
  options.cap_seconds = 0.2;
  options.unreached_seconds = 0.3;
  PatientClient client = client_of_nobody(options);
  const auto always_fails = [](const HttpAnswer&) { return Verdict::kRetry; };
  EXPECT_GT(client.send(request_to_nobody, always_fails).attempts, 1);
  EXPECT_EQ(client.send(request_to_nobody, always_fails).attempts, 1);
  std::this_thread::sleep_for(std::chrono::milliseconds(600));  // longer than anybody pauses
  int answers = 0;
  const Outcome outcome = client.send(request_to_nobody, [&](const HttpAnswer&) {
    return ++answers == 1 ? Verdict::kRetry : Verdict::kFinal;
  });
  EXPECT_EQ(outcome.verdict, Verdict::kFinal);
  EXPECT_EQ(outcome.attempts, 2);
}

TEST(HttpClient, says_why_no_answer_came) {
  const test::S3TestServer& server = test::S3TestServer::fresh();
  const auto options = server.options();
  const HttpClient http(options.http);
  HttpRequest request;
  request.url = server.url() + "/_state";
  EXPECT_TRUE(http.exchange(request).success());
  request.url = "http://127.0.0.1:9/";
  EXPECT_EQ(http.exchange(request).failure, TransportFailure::kUnreachable);
  request.url = "https" + server.url().substr(4);
  EXPECT_EQ(http.exchange(request).failure, TransportFailure::kBroken);
  request.url = "file:///etc/hostname";
  EXPECT_EQ(http.exchange(request).failure, TransportFailure::kImpossible);
}

}  // namespace
}  // namespace flatfield::storage
