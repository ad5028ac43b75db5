#pragma once

#include <gtest/gtest.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <string>

namespace flatfield {

/// A folder of the running test's own, removed with its content at the end.
class TemporaryFolder {
 public:
  TemporaryFolder() { std::filesystem::create_directories(path_); }
  ~TemporaryFolder() {
    std::error_code ignored;
    std::filesystem::remove_all(path_, ignored);
  }
  TemporaryFolder(const TemporaryFolder&) = delete;
  TemporaryFolder& operator=(const TemporaryFolder&) = delete;

  [[nodiscard]] const std::filesystem::path& path() const { return path_; }
  [[nodiscard]] std::string operator/(const std::string& name) const { return (path_ / name).string(); }

  /// Writes a file below the folder, whose folders are made; returns its path.
  std::string write(const std::string& name, const std::string& text) const {
    std::filesystem::create_directories((path_ / name).parent_path());
    std::ofstream(path_ / name, std::ios::binary) << text;
    return *this / name;
  }

 private:
  static std::string own_name() {
    const testing::TestInfo* test = testing::UnitTest::GetInstance()->current_test_info();
    return "flatfield_" + std::to_string(getpid()) + "_" + test->test_suite_name() + "_" + test->name();
  }
  std::filesystem::path path_ = std::filesystem::temp_directory_path() / own_name();
};

}  // namespace flatfield
