#include "flatfield/storage/s3_store.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstdlib>
#include <random>
#include <thread>

#include "flatfield/storage/open_store.h"
#include "flatfield/storage/s3_upload.h"
#include "flatfield/storage/store_exam.h"
#include "flatfield/storage/write_probe.h"
#include "support/s3_test_server.h"

namespace flatfield::storage {
namespace {

using test::S3TestServer;
using Names = std::vector<std::string>;

constexpr std::size_t kMebibyte = std::size_t{1} << 20U;

/// A place that no other test of this process uses.
std::string fresh_place(const std::string& bucket) {
  static std::atomic<int> next{0};
  return "s3://" + bucket + "/exam of " + std::to_string(::getpid()) + "/" + std::to_string(next++);
}

std::shared_ptr<Store> open_with(S3Options options, const std::string& location) {
  return StoreOpener(std::move(options)).open(location);
}

/// Small pieces, so that every path for large objects is taken by objects of some megabytes.
S3Options small_pieces(S3Options options) {
  options.part_bytes = kMebibyte / 2;
  options.largest_put = kMebibyte;
  return options;
}

std::shared_ptr<Store> make_s3(bool pieces) {
  S3TestServer& server = S3TestServer::fresh();
  Json settings;
  settings["smallest_part"] = pieces ? 1000 : 5 << 20;
  server.control(settings);
  return open_with(pieces ? small_pieces(server.options()) : server.options(), fresh_place("exam"));
}

INSTANTIATE_TEST_SUITE_P(S3, StoreExam,
                         testing::Values(StoreMaker{"whole", [] { return make_s3(false); }},
                                         StoreMaker{"pieces", [] { return make_s3(true); }}),
                         [](const auto& param_info) { return param_info.param.name; });

/// The exam against a server of somebody else (tests/python/test_s3_servers.py starts one), which
/// the variables of the AWS command line describe.
std::shared_ptr<Store> make_foreign() {
  S3Options options;
  options.part_bytes = 5 * kMebibyte;
  options.largest_put = 8 * kMebibyte;
  return open_with(options, fresh_place(std::getenv("FLATFIELD_S3_EXAM_BUCKET")));
}

INSTANTIATE_TEST_SUITE_P(ForeignS3, StoreExam,
                         testing::ValuesIn(std::getenv("FLATFIELD_S3_EXAM_BUCKET") == nullptr
                                               ? std::vector<StoreMaker>{}
                                               : std::vector<StoreMaker>{{"foreign",
                                                                          make_foreign}}),
                         [](const auto& param_info) { return param_info.param.name; });

std::string random_text(std::size_t size, unsigned seed) {
  std::mt19937 generator(seed);
  std::string text(size, '\0');
  for (char& c : text) c = static_cast<char>(generator());
  return text;
}

/// The Error of an action; fails the test if there is none.
template <class Action>
Error error_of(Action action) {
  try {
    action();
  } catch (const Error& error) {
    return error;
  }
  ADD_FAILURE() << "no error was thrown";
  return Error(ErrorCode::kInternal, "none");
}

class S3Store : public testing::Test {
 protected:
  S3TestServer& server_ = S3TestServer::fresh();
  [[nodiscard]] std::shared_ptr<Store> open(const std::string& bucket = "objects") const {
    return open_with(server_.options(), fresh_place(bucket));
  }
};

TEST_F(S3Store, a_missing_object_is_absent_and_a_missing_bucket_an_error) {
  const auto missing = open_with(server_.options(), "s3://missing/x");
  Buffer into;
  EXPECT_FALSE(open()->get("0/0", into));
  EXPECT_EQ(error_code_of([&] { (void)missing->get("0/0", into); }), ErrorCode::kNotFound);
  EXPECT_EQ(error_code_of([&] { (void)missing->size("0/0"); }), ErrorCode::kNotFound);
  EXPECT_EQ(error_code_of([&] { (void)missing->list(""); }), ErrorCode::kNotFound);
  EXPECT_EQ(error_code_of([&] { put_text(*missing, "a", "b"); }), ErrorCode::kWriteFailed);
}

TEST_F(S3Store, an_answer_404_that_does_not_come_from_S3_does_not_make_an_object_absent) {
  S3Options options = server_.options();
  options.retry.max_attempts = 3;
  const auto store = open_with(options, fresh_place("objects"));
  put_text(*store, "a", "text");
  server_.commit_faults({{"plain_404", 1.0}}, Json::parse(R"({"most": 2})", "settings"));
  EXPECT_EQ(get_text(*store, "a"), "text");
  server_.commit_faults({{"plain_404", 1.0}});
  const Error error = error_of([&] { (void)get_text(*store, "a"); });
  EXPECT_EQ(error.code(), ErrorCode::kReadFailed);
  EXPECT_NE(error.message().find("404"), std::string::npos) << error.what();
  EXPECT_EQ(server_.injected("plain_404"), 3);
  EXPECT_EQ(store->size("b"), std::nullopt) << "the answer to HEAD never has a body";
}

TEST_F(S3Store, a_forbidden_object_is_an_error_and_not_absent) {
  const auto store = open_with(server_.options(), "s3://forbidden/x");
  Buffer into;
  const Error error = error_of([&] { (void)store->get("0/0", into); });
  EXPECT_EQ(error.code(), ErrorCode::kReadFailed);
  EXPECT_EQ(error.where(), "s3://forbidden/x/0/0");
  EXPECT_NE(error.message().find("403 AccessDenied"), std::string::npos) << error.what();
  EXPECT_EQ(error_code_of([&] { (void)store->size("0/0"); }), ErrorCode::kReadFailed);
  EXPECT_EQ(error_code_of([&] { put_text(*store, "a", "b"); }), ErrorCode::kWriteFailed);
}

TEST_F(S3Store, credentials_that_are_wrong_are_refused_and_never_shown) {
  S3Options options = server_.options();
  options.credentials = Credentials{"AKIDTEST", "another secret", "", std::nullopt};
  const Error error = error_of([&] { put_text(*open_with(options, "s3://dead/x"), "a", "b"); });
  EXPECT_NE(std::string(error.what()).find("SignatureDoesNotMatch"), std::string::npos);
  EXPECT_EQ(std::string(error.what()).find("another secret"), std::string::npos);
  EXPECT_EQ(std::string(error.what()).find("AKIDTEST"), std::string::npos);
}

TEST_F(S3Store, for_a_request_that_is_refused_credentials_are_renewed_once) {
  const auto store = open_with(
      server_.options_without_credentials({{"AWS_EC2_METADATA_SERVICE_ENDPOINT", server_.url()}}), "s3://forbidden/x");
  EXPECT_EQ(error_code_of([&] { (void)store->size("0/0"); }), ErrorCode::kReadFailed);
  EXPECT_EQ(server_.state().find("counts")->find("HEAD")->as_int64(), 2);
}

TEST_F(S3Store, public_objects_are_read_without_credentials) {
  const std::string place = fresh_place("public-data");
  put_text(*open_with(server_.options(), place), "a", "text");
  S3Options options = server_.options_without_credentials();
  options.anonymous = true;
  const auto store = open_with(options, place);
  EXPECT_EQ(get_text(*store, "a"), "text");
  EXPECT_EQ(store->list(""), Names{"a"});
  EXPECT_EQ(error_code_of([&] { put_text(*store, "b", "x"); }), ErrorCode::kWriteFailed);
}

TEST_F(S3Store, writes_with_the_encryption_the_access_and_the_payer_that_are_asked_for) {
  S3Options options = server_.options();
  options.sse = "aws:kms:arn:aws:kms:us-west-2:1:key/2";
  options.acl = "bucket-owner-full-control";
  options.request_payer = true;
  put_text(*open_with(options, fresh_place("objects")), "a", "b");
  const Json state = server_.state();
  const Json& headers = *state.find("last_headers")->find("PUT");
  EXPECT_EQ(headers.find("x-amz-server-side-encryption")->as_string(), "aws:kms");
  EXPECT_EQ(headers.find("x-amz-server-side-encryption-aws-kms-key-id")->as_string(),
            "arn:aws:kms:us-west-2:1:key/2");
  EXPECT_EQ(headers.find("x-amz-acl")->as_string(), "bucket-owner-full-control");
  EXPECT_EQ(headers.find("x-amz-request-payer")->as_string(), "requester");
}

TEST_F(S3Store, finds_the_region_of_a_bucket_and_the_time_of_the_server) {
  Json settings;
  settings["region"] = "eu-central-1";
  settings["clock"] = 86'400;
  server_.control(settings);
  const auto store = open();
  Buffer into;
  EXPECT_FALSE(store->size("a").has_value());  // HEAD: the answer has no body that would explain
  put_text(*store, "a", "text");
  EXPECT_EQ(get_text(*store, "a"), "text");
}

TEST_F(S3Store, the_folder_objects_of_browsers_are_no_names) {
  const std::string place = fresh_place("objects");
  const auto store = open_with(server_.options(), place);
  put_text(*store, "t/a", "x");
  S3Client client(std::make_shared<S3Session>(server_.options()), "objects");
  S3Call call;
  call.method = "PUT";
  call.key = place.substr(std::string("s3://objects/").size()) + "/t/";
  ASSERT_TRUE(client.call(call).success());
  EXPECT_EQ(store->list("t"), Names{"a"});
  EXPECT_EQ(store->list(""), Names{"t/"});
}

TEST_F(S3Store, what_may_not_be_removed_is_an_error_and_the_rest_is_removed) {
  const auto store = open();
  for (const char* key : {"t/a", "t/locked", "t/z"}) put_text(*store, key, "x");
  const Error error = error_of([&] { store->erase_prefix("t"); });
  EXPECT_EQ(error.code(), ErrorCode::kWriteFailed);
  EXPECT_NE(error.where().find("t/locked"), std::string::npos) << error.what();
  EXPECT_EQ(store->list("t"), Names{"locked"});
}

TEST_F(S3Store, removals_that_are_refused_are_not_tried_again_and_those_that_are_put_off_are) {
  const auto store = open();
  put_text(*store, "t/locked", "x");
  const auto removals = [&] {
    const Json state = server_.state();
    const Json* count = state.find("counts")->find("POST");
    return count == nullptr ? 0 : count->as_int64();
  };
  const std::int64_t before = removals();
  error_of([&] { store->erase_prefix("t"); });
  EXPECT_EQ(removals() - before, 1);
  for (int i = 0; i < 40; ++i) put_text(*store, "u/" + std::to_string(i), "x");
  server_.commit_faults({{"key_put_off", 0.5}}, Json::parse(R"({"seed": 3})", "settings"));
  store->erase_prefix("u");
  EXPECT_EQ(store->list("u"), Names{});
  EXPECT_GE(server_.injected("key_put_off"), 5);
}

TEST_F(S3Store, listings_that_go_on_are_followed) {
  const auto store = open();
  Names expected;
  for (int i = 0; i < 130; ++i) {
    expected.push_back(std::to_string(1000 + i) + "/");
    put_text(*store, expected.back() + "x", "");
  }
  EXPECT_EQ(store->list(""), expected);
  store->erase_prefix("");
  EXPECT_EQ(store->list(""), Names{});
}

TEST_F(S3Store, an_upload_that_is_not_committed_leaves_nothing) {
  Json settings;
  settings["smallest_part"] = 1000;
  server_.control(settings);
  const auto store = open_with(small_pieces(server_.options()), fresh_place("objects"));
  {
    const auto writer = store->create("large");
    writer->append(as_bytes(random_text(3 * kMebibyte, 1)));
    EXPECT_EQ(server_.state().find("uploads")->as_int64(), 1);
  }
  EXPECT_EQ(server_.state().find("uploads")->as_int64(), 0);
  EXPECT_EQ(store->list(""), Names{});
}

TEST_F(S3Store, uploads_of_writers_that_were_killed_are_given_up) {
  const auto client = std::make_shared<S3Client>(std::make_shared<S3Session>(server_.options()), "objects");
  const auto begin = [&](const std::string& key) {
    S3Call call;
    call.method = "POST";
    call.key = key;
    call.query = {{"uploads", ""}};
    EXPECT_TRUE(client->call(call).success());
  };
  for (const char* key : {"a/b/1", "a/b/2 +", "a/b/2 +", "a/b/3", "a/b/c/4", "a/bc/5"}) begin(key);
  const auto store = open_s3_store(client, "a");
  store->erase_leftovers("b");
  EXPECT_EQ(server_.state().find("uploads")->as_int64(), 1);
  store->erase_leftovers("");
  EXPECT_EQ(server_.state().find("uploads")->as_int64(), 0);
}

TEST_F(S3Store, proves_that_it_may_be_written_to_and_leaves_nothing) {
  const auto store = open();
  prove_writable(*store);
  EXPECT_EQ(store->list(""), Names{});
  EXPECT_EQ(error_code_of([&] { prove_writable(*open("forbidden")); }), ErrorCode::kWriteFailed);
}

/// Objects of all sizes are written and read by several threads at once.
void write_and_read(Store& store, const std::string& key, unsigned seed) {
  const std::string text = random_text(seed % 6 == 1 ? 2 * kMebibyte : 10'000 * (seed % 6), seed);
  if (seed % 2 == 0) {
    put_text(store, key, text);
  } else {
    const auto writer = store.create(key);
    writer->append(as_bytes(text).first(text.size() / 3));
    writer->append(as_bytes(text).subspan(text.size() / 3));
    writer->commit();
  }
  EXPECT_TRUE(get_text(store, key) == text) << key;
  EXPECT_EQ(store.size(key), text.size());
  Buffer part;
  EXPECT_TRUE(store.get_range(key, {text.size() / 2, text.size() / 4}, part));
  EXPECT_TRUE(part.text() == std::string_view(text).substr(text.size() / 2, text.size() / 4));
  EXPECT_EQ(store.get_tail(key, text.size() / 3, part), text.size());
  EXPECT_FALSE(store.get("absent", part));
}

void write_and_read_from_threads(Store& store, unsigned thread_count, unsigned objects_per_thread) {
  std::vector<std::thread> threads;
  for (unsigned t = 0; t < thread_count; ++t)
    threads.emplace_back([&store, t, objects_per_thread] {
      try {
        for (unsigned i = 0; i < objects_per_thread; ++i)
          write_and_read(store, std::to_string(t) + "/" + std::to_string(i), 100 * t + i);
      } catch (const Error& error) {
        ADD_FAILURE() << error.what();
      }
    });
  for (auto& thread : threads) thread.join();
  EXPECT_EQ(store.list("0").size(), objects_per_thread);
  store.erase_prefix("0");
  EXPECT_EQ(store.list("0"), Names{});
  EXPECT_EQ(get_text(store, "absent"), std::nullopt);
}

class Faulty : public testing::TestWithParam<const char*> {};

TEST_P(Faulty, S3_gives_the_right_bytes_all_the_same) {
  S3TestServer& server = S3TestServer::fresh();
  const std::string fault = GetParam();
  Json settings;
  settings["smallest_part"] = 1000;
  settings["seed"] = 7;
  settings["forget"] = true;
  // Only the completion of an upload can meet these. There are 24: that all 16 attempts at one fail happens once in 10^5 runs,
  // and that none of them does more seldom.
  const bool is_of_uploads = fault == "error_in_200" || fault == "lost_answer";
  // After one wrong time the next attempt is refused too, so that a rate counts twice, and for all threads.
  const double rate = is_of_uploads ? 0.4 : fault == "clock_skew" ? 0.1 : 0.2;
  server.commit_faults({{fault, rate}}, settings);
  S3Options options = small_pieces(server.options());
  if (fault == "expired_token") {
    // Credentials that can be renewed, as a role's can.
    options = small_pieces(
        server.options_without_credentials({{"AWS_EC2_METADATA_SERVICE_ENDPOINT", server.url()}}));
  }
  // There is one token for all: many requests at once would hardly ever agree with it.
  const bool is_state_of_all = fault == "expired_token";
  if (is_state_of_all) options.concurrency = 1;
  const auto store = open_with(options, fresh_place("faulty"));
  const bool costs_a_second = fault == "stall";
  const unsigned threads = is_state_of_all ? 1 : 4;
  write_and_read_from_threads(*store, threads, costs_a_second ? 2 : is_of_uploads ? 36 : 12);
  EXPECT_GE(server.injected(fault), 1);
}

INSTANTIATE_TEST_SUITE_P(S3, Faulty,
                         testing::Values("slow_down", "internal_error", "reset_before",
                                         "reset_within", "truncated", "stall", "error_in_200",
                                         "lost_answer", "expired_token", "clock_skew",
                                         "wrong_region", "plain_404"),
                         [](const auto& param_info) { return std::string(param_info.param); });

/// An object of `bytes` bytes in a bucket of the test server, and what it is called on its web server of a kind.
std::string web_object(S3TestServer& server, const std::string& kind, const std::string& content) {
  const auto store = open_with(server.options(), "s3://public-web");
  put_text(*store, kind + "/object", content);
  return server.url() + "/" + kind + "/public-web/" + kind;
}

std::string content_of(std::size_t bytes) {
  std::string content(bytes, ' ');
  std::mt19937 random(11);
  for (char& c : content) c = static_cast<char>(random());
  return content;
}

TEST_F(S3Store, objects_of_web_servers_with_weak_etags_are_read_in_pieces) {
  const std::string content = content_of((std::size_t{16} << 20U) + 12'345);
  const auto web = open_with(server_.options(), web_object(server_, "web-weak", content));
  EXPECT_TRUE(get_text(*web, "object") == content);
}

TEST_F(S3Store, a_length_that_is_not_that_of_a_body_in_chunks_does_not_count) {
  for (const std::size_t bytes : {std::size_t{3}, std::size_t{250'000}}) {
    const std::string content = content_of(bytes);
    const auto web = open_with(server_.options(), web_object(server_, "web-chunked", content));
    EXPECT_TRUE(get_text(*web, "object") == content) << bytes;
  }
}

TEST_F(S3Store, gives_up_after_as_many_attempts_as_it_may_make) {
  server_.commit_faults({{"internal_error", 1.0}});
  S3Options options = server_.options();
  options.retry.max_attempts = 3;
  const auto store = open_with(options, fresh_place("objects"));
  const Error error = error_of([&] { put_text(*store, "a", "b"); });
  EXPECT_EQ(error.code(), ErrorCode::kWriteFailed);
  EXPECT_NE(error.message().find("500 InternalError"), std::string::npos) << error.what();
  EXPECT_NE(error.message().find("after 3 attempts"), std::string::npos) << error.what();
  EXPECT_EQ(server_.injected("internal_error"), 3);
}

double seconds_since(std::chrono::steady_clock::time_point start) {
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
}

TEST_F(S3Store, an_endpoint_that_nobody_answers_at_is_one_clear_error_soon) {
  S3Options options = server_.options();
  options.endpoint = "http://127.0.0.1:9";
  options.retry.unreached_seconds = 0.5;
  const auto start = std::chrono::steady_clock::now();
  const Error error = error_of([&] { put_text(*open_with(options, "s3://dead/x"), "a", "b"); });
  EXPECT_LT(seconds_since(start), 10.0);
  EXPECT_EQ(error.code(), ErrorCode::kWriteFailed);
  EXPECT_EQ(error.where(), "s3://dead/x/a");
  EXPECT_EQ(error.remedy(), "check --s3-endpoint and the network");
}

TEST_F(S3Store, what_is_tried_only_once_does_not_end_an_outage_when_it_fails) {
  S3Options options = server_.options();
  options.endpoint = "http://127.0.0.1:9";
  options.retry.cap_seconds = 10.0;  // so long after a failure the next one is of the same outage
  options.retry.max_attempts = 1000;
  options.retry.unreached_seconds = 0.3;
  const auto client = std::make_shared<S3Client>(std::make_shared<S3Session>(options), "dead");
  S3Call call;
  call.key = "a";
  EXPECT_GT(client->call(call).outcome.attempts, 1);
  abort_upload(client, "a", "upload");
  EXPECT_EQ(client->call(call).outcome.attempts, 1);
}

TEST_F(S3Store, an_endpoint_that_dies_is_given_up_for_all_threads_at_once) {
  S3Options options = server_.options();
  options.retry.outage_seconds = 0.5;
  options.retry.max_attempts = 1000;
  const auto store = open_with(options, fresh_place("objects"));
  put_text(*store, "a", "b");
  server_.commit_faults({{"reset_before", 1.0}});
  const auto start = std::chrono::steady_clock::now();
  std::vector<std::thread> threads;
  for (int t = 0; t < 16; ++t)
    threads.emplace_back([&] {
      Buffer into;
      EXPECT_EQ(error_code_of([&] { (void)store->get("a", into); }), ErrorCode::kReadFailed);
    });
  for (auto& thread : threads) thread.join();
  EXPECT_LT(seconds_since(start), 10.0);
}

}  // namespace
}  // namespace flatfield::storage
