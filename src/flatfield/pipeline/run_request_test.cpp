#include "flatfield/pipeline/run_request.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <map>

#include "flatfield/core/error.h"
#include "support/temporary_folder.h"

namespace flatfield::pipeline {
namespace {

namespace fs = std::filesystem;
using config::RunConfig;

/// Runs in the folder `work` of a temporary folder, whose `data` is where tile lists are looked for.
class RunRequest : public testing::Test {
 protected:
  RunRequest() {
    fs::create_directories(folder_.path() / "work");
    fs::current_path(folder_.path() / "work");
  }
  ~RunRequest() override { fs::current_path(before_); }

  RunConfig resolve(const std::function<void(RunConfig&)>& command_line = [](RunConfig&) {}) const {
    return resolve_run(command_line, [&](const std::string& name) -> std::optional<std::string> {
      const auto found = environment_.find(name);
      return found == environment_.end() ? std::nullopt : std::optional(found->second);
    });
  }
  [[nodiscard]] std::string refusal(const std::function<void(RunConfig&)>& command_line) const {
    try {
      (void)resolve(command_line);
    } catch (const Error& error) {
      return error.what();
    }
    ADD_FAILURE() << "no error was thrown";
    return "";
  }
  static bool notes(const RunConfig& config, const std::string& part) {
    return std::ranges::any_of(config.notices, [&](const std::string& notice) {
      return notice.find(part) != std::string::npos;
    });
  }

  fs::path before_ = fs::current_path();
  TemporaryFolder folder_;
  std::map<std::string, std::string> environment_;
};

TEST_F(RunRequest, of_nothing_has_the_defaults) {
  const RunConfig config = resolve();
  const RunConfig defaults;
  EXPECT_EQ(config::resolved_config(config), config::resolved_config(defaults));
  EXPECT_TRUE(config.notices.empty());
}

TEST_F(RunRequest, takes_workers_and_memory_from_the_environment) {
  environment_ = {{"CO_CPUS", "16"}, {"CO_MEMORY", "137438953472"}};
  EXPECT_EQ(resolve().num_workers, 16);
  EXPECT_EQ(resolve().memory_limit_bytes, std::int64_t{128} << 30);
  const RunConfig typed = resolve([](RunConfig& config) {
    config.num_workers = 2;
    config.memory_limit_bytes = 1 << 30;
  });
  EXPECT_EQ(typed.num_workers, 2);
  EXPECT_EQ(typed.memory_limit_bytes, 1 << 30);
}

TEST_F(RunRequest, notes_and_ignores_an_environment_that_makes_no_sense) {
  environment_ = {{"CO_CPUS", "many"}, {"CO_MEMORY", "0"}};
  const RunConfig config = resolve();
  EXPECT_EQ(config.num_workers, 1);
  EXPECT_EQ(config.memory_limit_bytes, 0);
  EXPECT_TRUE(notes(config, "CO_CPUS") && notes(config, "CO_MEMORY"));
}

TEST_F(RunRequest, lets_the_command_line_win_over_the_file_and_the_file_over_the_environment) {
  environment_ = {{"CO_CPUS", "16"}};
  const std::string file =
      folder_.write("run.json", R"({"zarr": "a.zarr", "num_workers": 8, "n_levels": 5, "res": 1})");
  const RunConfig config = resolve([&](RunConfig& over) {
    over.config = file;
    over.n_levels = 7;
  });
  EXPECT_EQ(config.zarr, "a.zarr");
  EXPECT_EQ(config.num_workers, 8);
  EXPECT_EQ(config.n_levels, 7);
  EXPECT_EQ(config.res, "1");
}

TEST_F(RunRequest, notes_keys_of_the_python_program) {
  const std::string file = folder_.write("run.json", R"({"zarr": "a", "io_backend": "s3fs"})");
  EXPECT_TRUE(notes(resolve([&](RunConfig& over) { over.config = file; }), "io_backend"));
}

TEST_F(RunRequest, refuses_unknown_keys_and_missing_or_malformed_files) {
  const auto with_file = [](const std::string& file) {
    return [file](RunConfig& over) { over.config = file; };
  };
  EXPECT_NE(refusal(with_file(folder_.write("a.json", R"({"n_level": 5})"))).find("n_levels"),
            std::string::npos);
  EXPECT_NE(refusal(with_file(folder_.write("b.json", "{"))).find("b.json"), std::string::npos);
  EXPECT_NE(refusal(with_file("missing.json")).find("there is no such"), std::string::npos);
}

TEST_F(RunRequest, takes_the_first_tile_list_where_no_tile_is_named) {
  folder_.write("data/tile_b.json", R"({"tile_paths": ["wrong"]})");
  folder_.write("data/other.json", "{");
  folder_.write("data/tile_a.json",
                R"({"tile_paths": ["y/tile_2.zarr", "x/tile_1.zarr"], "output_zarr": "out", "method": "reference",
                    "resolution": 1, "binned_channel": 561, "comment": "x"})");
  const RunConfig config = resolve([](RunConfig& over) { over.n_levels = 3; });
  EXPECT_EQ(config.tile_paths, (std::vector<std::string>{"y/tile_2.zarr", "x/tile_1.zarr"}));
  EXPECT_EQ(config.output, "out");
  EXPECT_EQ(config.method, "reference");
  EXPECT_EQ(config.res, "1");
  EXPECT_EQ(config.binned_channel, "561");
  EXPECT_EQ(config.n_levels, 3);
  EXPECT_TRUE(notes(config, "comment") && notes(config, "tile_a.json"));
  EXPECT_EQ(resolve([](RunConfig& over) { over.method = "fitting"; }).method, "fitting");
}

TEST_F(RunRequest, leaves_the_tile_list_alone_where_a_tile_is_named) {
  folder_.write("data/tile_a.json", "{");
  EXPECT_EQ(resolve([](RunConfig& over) { over.zarr = "tile"; }).zarr, "tile");
  const std::string file = folder_.write("run.json", R"({"tile_paths": ["tile"]})");
  EXPECT_EQ(resolve([&](RunConfig& over) { over.config = file; }).tile_paths.size(), 1U);
  EXPECT_NE(refusal([](RunConfig&) {}).find("tile_a.json"), std::string::npos);
}

TEST_F(RunRequest, takes_the_fitting_options_of_the_strongest_place) {
  const std::string own = folder_.write("fitting.json", R"({"gaussian_sigma": 3})");
  const std::string file = folder_.write(
      "run.json", R"({"zarr": "a", "fitting": {"gaussian_sigma": 4}, "fitting_config": "gone.json"})");
  const auto with_file = [&](RunConfig& over) { over.config = file; };
  EXPECT_EQ(resolve(with_file).fitting.gaussian_sigma, 4.0) << "the file that it once came from is not read";
  EXPECT_EQ(resolve([&](RunConfig& over) {
              with_file(over);
              over.fitting_config = own;
            }).fitting.gaussian_sigma,
            3.0);
  EXPECT_EQ(resolve([&](RunConfig& over) { over.fitting_config = own; }).fitting.gaussian_sigma, 3.0);
}

TEST_F(RunRequest, takes_back_a_resolved_configuration) {
  RunConfig before;
  before.zarr = "tile";
  before.n_levels = 4;
  before.fitting.limits_x = std::nullopt;
  const std::string file = folder_.write("config.json", config::resolved_config(before).dump(2));
  const RunConfig after = resolve([&](RunConfig& over) { over.config = file; });
  EXPECT_EQ(config::resolved_config(after), config::resolved_config(before));
}

}  // namespace
}  // namespace flatfield::pipeline
