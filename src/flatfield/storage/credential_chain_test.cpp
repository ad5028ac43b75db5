#include "flatfield/storage/credential_chain.h"

#include <gtest/gtest.h>
#include <sys/stat.h>

#include <atomic>
#include <filesystem>
#include <future>
#include <latch>
#include <map>
#include <string>
#include <thread>
#include <vector>

#include "flatfield/storage/credential_requests.h"
#include "flatfield/storage/open_store.h"
#include "flatfield/storage/store_exam.h"
#include "support/s3_test_server.h"
#include "support/temporary_folder.h"

namespace flatfield::storage {
namespace {

using test::S3TestServer;
using Variables = std::map<std::string, std::string>;

class CredentialChain : public testing::Test {
 protected:
  /// What is fetched with these variables, and a server that takes it.
  [[nodiscard]] std::optional<Credentials> fetch(Variables variables) const {
    variables.emplace("AWS_CONFIG_FILE", folder_ / "config");
    variables.emplace("AWS_SHARED_CREDENTIALS_FILE", folder_ / "credentials");
    variables.emplace("AWS_ENDPOINT_URL_STS", server_.url() + "/sts");
    variables.emplace("AWS_EC2_METADATA_DISABLED", "true");
    const S3Options options = server_.options_without_credentials(variables);
    const auto credentials =
        find_credential_source(options, read_aws_settings(options.environment)).fetch();
    if (credentials) {
      // They are not only found: the server takes them.
      put_text(*StoreOpener(options).open("s3://credentials/x"), "a", "text");
    }
    return credentials;
  }
  [[nodiscard]] std::string fetched_id(const Variables& variables) const {
    const auto credentials = fetch(variables);
    return credentials ? credentials->access_key_id : "none";
  }
  [[nodiscard]] Error refusal_of(const Variables& variables) const {
    try {
      (void)fetch(variables);
    } catch (const Error& error) {
      return error;
    }
    ADD_FAILURE() << "no error was thrown";
    return Error(ErrorCode::kInternal, "none");
  }

  S3TestServer& server_ = S3TestServer::fresh();
  TemporaryFolder folder_;
  const Variables keys_{{"AWS_ACCESS_KEY_ID", "AKIDTEST"},
                        {"AWS_SECRET_ACCESS_KEY", "secret/of+test"}};
};

TEST_F(CredentialChain, finds_none_where_nothing_is_configured) {
  EXPECT_EQ(fetched_id({}), "none");
}

TEST_F(CredentialChain, takes_the_environment_first) {
  folder_.write("credentials", "[default]\naws_access_key_id=other\naws_secret_access_key=x\n");
  EXPECT_EQ(fetched_id(keys_), "AKIDTEST");
  EXPECT_EQ(refusal_of({{"AWS_ACCESS_KEY_ID", "AKIDTEST"}}).code(), ErrorCode::kUsage);
}

TEST_F(CredentialChain, takes_a_web_identity_to_sts) {
  const std::string token = folder_.write("token", "web token\n");
  EXPECT_TRUE(fetched_id({{"AWS_WEB_IDENTITY_TOKEN_FILE", token}, {"AWS_ROLE_ARN", "arn:role"}})
                  .starts_with("ASIAWEB"));
}

TEST_F(CredentialChain, sts_is_asked_again_where_that_may_help_although_it_answers_400) {
  const std::string token = folder_.write("token", "web token\n");
  const Variables web{{"AWS_WEB_IDENTITY_TOKEN_FILE", token}, {"AWS_ROLE_ARN", "arn:role"}};
  for (const char* fault : {"sts_throttled", "sts_cut_off"}) {
    server_.commit_faults({{fault, 1.0}}, Json::parse(R"({"most": 2})", "settings"));
    EXPECT_TRUE(fetched_id(web).starts_with("ASIAWEB")) << fault;
    EXPECT_EQ(server_.injected(fault), 2);
  }
}

TEST_F(CredentialChain, a_source_that_fails_is_an_error_and_no_reason_to_go_on) {
  const std::string token = folder_.write("token", "stale web token");
  folder_.write(
      "credentials",
      "[default]\naws_access_key_id = AKIDTEST\naws_secret_access_key = secret/of+test\n");
  const Error error =
      refusal_of({{"AWS_WEB_IDENTITY_TOKEN_FILE", token}, {"AWS_ROLE_ARN", "arn:role"}});
  EXPECT_EQ(error.code(), ErrorCode::kReadFailed);
  EXPECT_NE(std::string(error.what()).find("InvalidIdentityToken"), std::string::npos);
  EXPECT_EQ(std::string(error.what()).find("stale"), std::string::npos);
}

TEST_F(CredentialChain, takes_the_keys_of_the_profile_that_is_named) {
  folder_.write("credentials",
                "# a comment\n[default]\naws_access_key_id = other\naws_secret_access_key = x\n"
                "[test]\naws_access_key_id = AKIDTEST\naws_secret_access_key = secret/of+test\n");
  EXPECT_EQ(fetched_id({{"AWS_PROFILE", "test"}}), "AKIDTEST");
  EXPECT_EQ(refusal_of({{"AWS_PROFILE", "missing"}}).code(), ErrorCode::kUsage);
}

TEST_F(CredentialChain, takes_on_the_role_of_a_profile) {
  folder_.write("credentials",
                "[base]\naws_access_key_id=AKIDTEST\naws_secret_access_key=secret/of+test\n");
  folder_.write(
      "config",
      "[profile role]\nrole_arn = arn:role\nsource_profile = base\nexternal_id = external\n"
      "[profile chained]\nrole_arn = arn:next\nsource_profile = role\nexternal_id = external\n"
      "[profile stranger]\nrole_arn = arn:role\nsource_profile = base\n"
      "[profile circle]\nrole_arn = arn:role\nsource_profile = round\n"
      "[profile round]\nrole_arn = arn:role\nsource_profile = circle\n"
      "[profile container]\nrole_arn = arn:role\ncredential_source = EcsContainer\n"
      "external_id = external\n"
      "[profile instance]\nrole_arn = arn:role\ncredential_source = Ec2InstanceMetadata\n"
      "external_id = external\n"
      "[profile web]\nrole_arn = arn:role\nweb_identity_token_file = " +
          folder_.write("token", "web token") + "\n");
  EXPECT_TRUE(fetched_id({{"AWS_PROFILE", "role"}}).starts_with("ASIAROLE"));
  EXPECT_TRUE(fetched_id({{"AWS_PROFILE", "chained"}}).starts_with("ASIAROLE"));
  EXPECT_TRUE(fetched_id({{"AWS_PROFILE", "web"}}).starts_with("ASIAWEB"));
  EXPECT_TRUE(fetched_id({{"AWS_PROFILE", "container"},
                          {"AWS_CONTAINER_CREDENTIALS_FULL_URI", server_.url() + "/container"},
                          {"AWS_CONTAINER_AUTHORIZATION_TOKEN", "container token"}})
                  .starts_with("ASIAROLE"));
  EXPECT_TRUE(fetched_id({{"AWS_PROFILE", "instance"},
                          {"AWS_EC2_METADATA_DISABLED", "false"},
                          {"AWS_EC2_METADATA_SERVICE_ENDPOINT", server_.url()}})
                  .starts_with("ASIAROLE"));
  const Error error = refusal_of({{"AWS_PROFILE", "stranger"}});
  EXPECT_NE(std::string(error.what()).find("AccessDenied"), std::string::npos) << error.what();
  EXPECT_EQ(refusal_of({{"AWS_PROFILE", "circle"}}).code(), ErrorCode::kUsage);
}

TEST_F(CredentialChain, asks_the_credential_process_of_a_profile) {
  const auto process = [&](const std::string& command) {
    folder_.write("config", "[default]\ncredential_process = " + command + "\n");
  };
  process(
      "/usr/bin/python3 -c \"import urllib.request; "
      "print(urllib.request.urlopen('" +
      server_.url() + "/process').read().decode())\"");
  EXPECT_TRUE(fetched_id({}).starts_with("ASIAPROCESS"));
  process("echo secret; echo secret >&2; exit 3");
  const Error error = refusal_of({});
  EXPECT_NE(std::string(error.what()).find("exit code 3"), std::string::npos) << error.what();
  EXPECT_EQ(std::string(error.what()).find("secret"), std::string::npos) << error.what();
  process("echo no json of a secret");
  EXPECT_EQ(std::string(refusal_of({}).what()).find("secret"), std::string::npos);
}

TEST_F(CredentialChain, asks_the_service_of_a_container) {
  const std::string url = server_.url() + "/container";
  EXPECT_TRUE(fetched_id({{"AWS_CONTAINER_CREDENTIALS_FULL_URI", url},
                          {"AWS_CONTAINER_AUTHORIZATION_TOKEN", "container token"}})
                  .starts_with("ASIACONTAINER"));
  const std::string token = folder_.write("token", "container token\n");
  EXPECT_TRUE(fetched_id({{"AWS_CONTAINER_CREDENTIALS_FULL_URI", url},
                          {"AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE", token}})
                  .starts_with("ASIACONTAINER"));
  EXPECT_EQ(refusal_of({{"AWS_CONTAINER_CREDENTIALS_FULL_URI", url}}).code(),
            ErrorCode::kReadFailed);
  EXPECT_EQ(refusal_of({{"AWS_CONTAINER_CREDENTIALS_FULL_URI", "http://example.org/x"}}).code(),
            ErrorCode::kUsage);
}

TEST_F(CredentialChain, asks_the_metadata_service_of_an_instance) {
  const Variables instance{{"AWS_EC2_METADATA_DISABLED", "false"},
                           {"AWS_EC2_METADATA_SERVICE_ENDPOINT", server_.url()}};
  EXPECT_TRUE(fetched_id(instance).starts_with("ASIAIMDS"));
  // Where there is none, there are no credentials, and that is known soon.
  EXPECT_EQ(fetched_id({{"AWS_EC2_METADATA_DISABLED", "false"},
                        {"AWS_EC2_METADATA_SERVICE_ENDPOINT", "http://127.0.0.1:9"}}),
            "none");
}

TEST_F(CredentialChain, credentials_that_expire_soon_are_renewed) {
  Json settings;
  settings["lifetime"] = 2;
  server_.control(settings);
  const HttpUrl endpoint = parse_http_url(server_.url(), "test");
  int fetches = 0;
  CredentialProvider provider({"test", [&] {
                                 ++fetches;
                                 return fetch_instance_credentials(endpoint);
                               }});
  const auto first = provider.current();
  const auto second = provider.current();
  EXPECT_NE(first->access_key_id, second->access_key_id);
  EXPECT_EQ(provider.current()->access_key_id, second->access_key_id);  // not at every request
  EXPECT_EQ(fetches, 2);
}

TEST(CredentialProvider, keeps_what_is_still_good_where_renewing_fails) {
  int fetches = 0;
  CredentialProvider provider({"test", [&]() -> std::optional<Credentials> {
                                 if (++fetches > 1) throw Error(ErrorCode::kReadFailed, "down");
                                 return Credentials{"id", "secret", "token", unix_now() + 60};
                               }});
  EXPECT_EQ(provider.current()->access_key_id, "id");
  EXPECT_EQ(provider.current()->access_key_id, "id");
  EXPECT_EQ(fetches, 2);
}

TEST(CredentialProvider, does_not_go_on_without_credentials_where_the_source_has_none_for_a_moment) {
  int fetches = 0;
  CredentialProvider provider({"test", [&]() -> std::optional<Credentials> {
                                 if (++fetches > 1) return std::nullopt;
                                 return Credentials{"id", "secret", "token", unix_now() + 60};
                               }});
  const auto used = provider.current();
  ASSERT_NE(provider.current(), nullptr);
  EXPECT_EQ(provider.current()->access_key_id, "id");
  EXPECT_EQ(fetches, 2);
  EXPECT_THROW(static_cast<void>(provider.replace(used)), Error);
  EXPECT_EQ(provider.current()->access_key_id, "id");
}

TEST(CredentialProvider, nobody_waits_for_new_credentials_while_the_old_ones_are_good) {
  std::atomic<int> fetches{0};
  std::promise<void> asked;
  std::promise<void> go_on;
  CredentialProvider provider({"test", [&]() -> std::optional<Credentials> {
                                 const int number = ++fetches;
                                 if (number == 2) {
                                   asked.set_value();
                                   // Bounded, so that the test also ends where the others do wait.
                                   go_on.get_future().wait_for(std::chrono::seconds(5));
                                 }
                                 return Credentials{"id" + std::to_string(number), "s", "t",
                                                    unix_now() + (number == 1 ? 60 : 3600)};
                               }});
  ASSERT_EQ(provider.current()->access_key_id, "id1");
  std::jthread renewing([&] { EXPECT_EQ(provider.current()->access_key_id, "id2"); });
  asked.get_future().wait();
  EXPECT_EQ(provider.current()->access_key_id, "id1");
  go_on.set_value();
  renewing.join();
  EXPECT_EQ(provider.current()->access_key_id, "id2");
  EXPECT_EQ(fetches, 2);
}

TEST(CredentialProvider, all_wait_for_the_one_that_renews_credentials_that_have_expired) {
  std::atomic<int> fetches{0};
  CredentialProvider provider({"test", [&]() -> std::optional<Credentials> {
                                 const int number = ++fetches;
                                 std::this_thread::sleep_for(std::chrono::milliseconds(20));
                                 return Credentials{"id" + std::to_string(number), "s", "t",
                                                    unix_now() + (number == 1 ? -1 : 3600)};
                               }});
  ASSERT_EQ(provider.current()->access_key_id, "id1");
  {
    std::vector<std::jthread> threads;
    for (int i = 0; i < 8; ++i)
      threads.emplace_back([&] { EXPECT_EQ(provider.current()->access_key_id, "id2"); });
  }
  EXPECT_EQ(fetches, 2);
}

TEST(CredentialProvider, what_a_server_refuses_is_replaced_once_for_all_threads) {
  int fetches = 0;
  CredentialProvider provider(
      {"test", [&]() -> std::optional<Credentials> {
         return Credentials{"id" + std::to_string(++fetches), "s", "t", unix_now() + 3600};
       }});
  const auto used = provider.current();
  EXPECT_TRUE(provider.replace(used));
  EXPECT_TRUE(provider.replace(used));  // another thread with the old ones
  EXPECT_EQ(fetches, 2);
  EXPECT_EQ(provider.current()->access_key_id, "id2");
}

TEST(CredentialProvider, where_what_a_server_refuses_cannot_be_replaced_the_source_is_asked_once_for_all_threads) {
  std::atomic<int> fetches{0};
  CredentialProvider provider({"test", [&]() -> std::optional<Credentials> {
                                 if (++fetches == 1) return Credentials{"id", "s", "t", unix_now() + 3600};
                                 std::this_thread::sleep_for(std::chrono::milliseconds(20));
                                 throw Error(ErrorCode::kReadFailed, "down");
                               }});
  const auto used = provider.current();
  {
    std::vector<std::jthread> threads;
    for (int i = 0; i < 8; ++i)
      threads.emplace_back([&] { EXPECT_THROW(static_cast<void>(provider.replace(used)), Error); });
  }
  EXPECT_THROW(static_cast<void>(provider.replace(used)), Error) << "nor again at once";
  EXPECT_EQ(fetches, 2);
  EXPECT_EQ(provider.current(), used);
}

TEST(CredentialProvider, all_who_wait_for_the_first_credentials_are_told_why_there_are_none) {
  constexpr int kThreads = 8;
  std::latch all_ask(kThreads);
  std::atomic<int> fetches{0};
  CredentialProvider provider({"test", [&]() -> std::optional<Credentials> {
                                 ++fetches;
                                 all_ask.wait();
                                 std::this_thread::sleep_for(std::chrono::milliseconds(100));
                                 throw Error(ErrorCode::kReadFailed, "down");
                               }});
  {
    std::vector<std::jthread> threads;
    for (int i = 0; i < kThreads; ++i)
      threads.emplace_back([&] {
        all_ask.count_down();
        EXPECT_THROW(static_cast<void>(provider.current()), Error);
      });
  }
  EXPECT_LT(fetches, kThreads);  // one, but for threads that were late
}

TEST(AwsSettings, reads_the_files_as_the_command_line_of_aws_does) {
  const AwsProfiles profiles = parse_aws_profiles(
      "[default]\nregion = us-west-2 # here\n; no\ns3 =\n  endpoint_url = nested\n"
      "[profile a b]\nregion=eu-central-1\n[sso-session x]\nregion=no\n[services y]\n",
      false);
  EXPECT_EQ(profiles.size(), 2U);
  EXPECT_EQ(setting(profiles.at("default"), "region"), "us-west-2");
  EXPECT_EQ(setting(profiles.at("default"), "endpoint_url"), "");
  EXPECT_EQ(setting(profiles.at("a b"), "region"), "eu-central-1");
  EXPECT_EQ(parse_aws_profiles("[x]\r\nregion = a\r\n[", true).at("x").at("region"), "a");
}

/// The region of AWS_REGION, unless the files of this home folder, or those that are named, cannot be read.
std::string region_with(const TemporaryFolder& home, Variables variables) {
  variables.emplace("HOME", home.path());
  variables.emplace("AWS_REGION", "eu-central-1");
  return read_aws_settings([&](const std::string& name) -> std::optional<std::string> {
           const auto found = variables.find(name);
           return found == variables.end() ? std::nullopt : std::optional(found->second);
         }).region;
}

TEST(AwsSettings, the_null_device_holds_nothing_and_a_pipe_is_an_error_where_somebody_named_it) {
  const TemporaryFolder home;
  std::filesystem::create_directory(home / ".aws");
  const std::string pipe = home / ".aws/config";
  ASSERT_EQ(::mkfifo(pipe.c_str(), 0600), 0);
  EXPECT_EQ(region_with(home, {}), "eu-central-1");
  for (const char* name : {"AWS_CONFIG_FILE", "AWS_SHARED_CREDENTIALS_FILE"}) {
    EXPECT_EQ(region_with(home, {{name, "/dev/null"}}), "eu-central-1") << name;
    EXPECT_EQ(error_code_of([&] { static_cast<void>(region_with(home, {{name, pipe}})); }), ErrorCode::kReadFailed) << name;
  }
}

TEST(AwsSettings, files_that_cannot_be_read_are_an_error_only_where_somebody_named_them) {
  const TemporaryFolder home;
  std::filesystem::create_directory(home / ".aws");
  for (const char* name : {".aws/config", ".aws/credentials"})
    std::filesystem::create_symlink(home / name, home / name);  // a loop, which nobody can read
  EXPECT_EQ(region_with(home, {}), "eu-central-1");
  for (const auto& [name, value] : Variables{{"AWS_CONFIG_FILE", home / ".aws/config"},
                                             {"AWS_SHARED_CREDENTIALS_FILE", home / ".aws/credentials"},
                                             {"AWS_PROFILE", "mine"}})
    EXPECT_EQ(error_code_of([&] { static_cast<void>(region_with(home, {{name, value}})); }), ErrorCode::kReadFailed) << name;
}

}  // namespace
}  // namespace flatfield::storage
