#include "flatfield/pipeline/results.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <filesystem>
#include <functional>
#include <new>
#include <set>
#include <stdexcept>
#include <string>
#include <system_error>
#include <thread>
#include <vector>

#include "flatfield/core/error.h"
#include "flatfield/core/interruption.h"
#include "flatfield/pipeline/json_file.h"
#include "flatfield/storage/shell_command.h"
#include "support/temporary_folder.h"

namespace flatfield::pipeline {
namespace {

TEST(WriteDiagnostic, makes_a_warning_of_whatever_goes_wrong) {
  report::Log log(report::LogLevel::kCritical, false);
  write_diagnostic("a", log, [] { throw Error(ErrorCode::kWriteFailed, "the disk is full"); });
  write_diagnostic("b", log, [] { throw std::bad_alloc(); });
  write_diagnostic("c", log, [] { throw std::filesystem::filesystem_error("gone", std::error_code()); });
  write_diagnostic("d", log, [] { throw std::length_error("too long"); });
  write_diagnostic("e", log, [] {});
  const std::vector<std::string> warnings = log.take_warnings();
  ASSERT_EQ(warnings.size(), 4U);
  EXPECT_EQ(warnings[0], "a is not written: the disk is full");
  EXPECT_TRUE(warnings[1].starts_with("b is not written: there is not enough memory")) << warnings[1];
  EXPECT_TRUE(warnings[2].starts_with("c is not written: ")) << warnings[2];
  EXPECT_TRUE(warnings[3].starts_with("d is not written: too long")) << warnings[3];
}

TEST(WriteDiagnostic, lets_a_request_to_stop_pass) {
  report::Log log(report::LogLevel::kCritical, false);
  try {
    write_diagnostic("a", log, [] { throw_interrupted(); });
    ADD_FAILURE() << "no error was thrown";
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ErrorCode::kInterrupted);
  }
  EXPECT_TRUE(log.take_warnings().empty());
}

TEST(RemoveLearned, removes_what_was_saved_of_a_volume_and_nothing_else) {
  const TemporaryFolder folder;
  const std::string results = folder.path().string();
  Learned learned;
  learned.correction.background = Block<float>({1, 4, 4}, 1.0F);
  learned.basic.emplace();
  save_learned(results, "a.zarr", learned);
  for (const char* name : {"a.zarr_corr_curves.json", "a.zarr_corr_xy.png", "a.zarr_corr_xz.png", "a.zarr_corr_yz.png",
                           "a.zarr_flatfield.tif", "a.zarr_darkfield.tif"})
    folder.write(name, "of an earlier run");
  const std::vector<std::string> others{"a.zarr_t0_c1_bkg.tif", "b.zarr_bkg.tif", "a.zarr_corr_zz.png"};
  for (const std::string& name : others) folder.write(name, "of others");
  std::filesystem::remove(folder / "a.zarr_corr_xz.png");
  std::filesystem::create_directories(folder / "a.zarr_corr_xz.png");

  remove_learned(results, "a.zarr");
  remove_learned(results, "a.zarr");  // where nothing is
  std::set<std::string> left;
  for (const auto& entry : std::filesystem::directory_iterator(folder.path())) left.insert(entry.path().filename().string());
  EXPECT_EQ(left, (std::set<std::string>{"a.zarr_t0_c1_bkg.tif", "b.zarr_bkg.tif", "a.zarr_corr_zz.png",
                                         "a.zarr_corr_xz.png"}));  // the last is a folder
}

/// What a program that is started while `write` is at the file `path` says that it has open.
std::string open_files_during(const std::string& path, const std::function<void()>& write) {
  // A pipe with a name: it is open until somebody has read all that is written.
  EXPECT_EQ(::mkfifo(path.c_str(), 0600), 0);
  const std::jthread writing(write);
  const int reading = ::open(path.c_str(), O_RDONLY | O_CLOEXEC);
  EXPECT_GE(reading, 0);
  std::string open_files = storage::run_shell_command("ls -l /proc/self/fd; true", 60, "a test");
  std::array<char, 65536> bytes;
  while (::read(reading, bytes.data(), bytes.size()) > 0) {
  }
  ::close(reading);
  return open_files;
}

constexpr std::size_t kMoreThanAPipeHolds = std::size_t{1} << 20U;

TEST(WrittenResults, are_not_open_in_programs_that_are_started_meanwhile) {
  const TemporaryFolder folder;
  const std::string json = open_files_during(
      folder / "a.json.tmp", [&] { write_json(folder / "a.json", Json(std::string(kMoreThanAPipeHolds, 'x'))); });
  EXPECT_EQ(json.find("a.json.tmp"), std::string::npos) << json;
  Learned learned;
  learned.correction.background = Block<float>({1, 1024, 1024}, 1.0F);
  const std::string array =
      open_files_during(folder / "background.npy", [&] { dump_learned(folder.path().string(), learned); });
  EXPECT_EQ(array.find("background.npy"), std::string::npos) << array;
}

}  // namespace
}  // namespace flatfield::pipeline
