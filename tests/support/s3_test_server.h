#pragma once

#include <map>
#include <optional>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

#include "flatfield/core/buffer.h"
#include "flatfield/core/json.h"
#include "flatfield/storage/http_client.h"
#include "flatfield/storage/s3_options.h"
#include "support/child_program.h"

namespace flatfield::test {

/// tests/s3_server/server.py, started for this test program.
class S3TestServer {
 public:
  /// The one server of the process, without faults and with nothing to tell.
  static S3TestServer& fresh() {
    static S3TestServer server;
    server.control(Json::object());
    return server;
  }

  [[nodiscard]] const std::string& url() const { return url_; }

  /// Settings of the server, see server.py.
  void control(const Json& settings) const {
    const std::string text = settings.dump();
    storage::HttpRequest request;
    request.method = "POST";
    request.url = url_ + "/_control";
    request.body = as_bytes(text);
    const auto answer = http_.exchange(request);
    if (!answer.success()) throw std::runtime_error("the test server: " + answer.failure_text);
  }
  /// The faults that it commits, by name and rate.
  void commit_faults(const std::vector<std::pair<std::string, double>>& rates,
                     Json settings = Json::object()) const {
    Json faults = Json::object();
    for (const auto& [name, rate] : rates) faults[name] = rate;
    settings["faults"] = std::move(faults);
    control(settings);
  }
  /// What has happened since the last control.
  [[nodiscard]] Json state() const {
    storage::HttpRequest request;
    request.url = url_ + "/_state";
    return Json::parse(http_.exchange(request).text, "state");
  }
  /// How often a fault was committed.
  [[nodiscard]] std::int64_t injected(const std::string& fault) const {
    const Json state = this->state();
    const Json* count = state.find("injected")->find(fault);
    return count == nullptr ? 0 : count->as_int64();
  }

  /// Options for this server: its key, no other settings of this machine, and little patience.
  [[nodiscard]] storage::S3Options options() const {
    storage::S3Options options = options_without_credentials();
    options.credentials = storage::Credentials{"AKIDTEST", "secret/of+test", "", std::nullopt};
    return options;
  }
  [[nodiscard]] storage::S3Options options_without_credentials(
      const std::map<std::string, std::string>& variables = {}) const {
    storage::S3Options options;
    options.endpoint = url_;
    options.retry.base_seconds = 0.01;
    options.retry.cap_seconds = 0.1;
    options.http.stall_seconds = 1.0;
    options.http.use_proxy = false;
    options.environment = [variables](const std::string& name) -> std::optional<std::string> {
      const auto found = variables.find(name);
      return found == variables.end() ? std::nullopt : std::optional(found->second);
    };
    return options;
  }

 private:
  S3TestServer()
      : program_({"/usr/bin/python3", "-B", FLATFIELD_TESTS_FOLDER "/s3_server/server.py"}),
        url_("http://127.0.0.1:" +
             program_.first_line().substr(program_.first_line().rfind(' ') + 1)),
        http_(storage::HttpOptions{.certificate_bundle = "", .use_proxy = false}) {}

  ChildProgram program_;
  std::string url_;
  storage::HttpClient http_;
};

}  // namespace flatfield::test
