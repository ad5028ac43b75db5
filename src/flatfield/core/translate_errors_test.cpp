#include "flatfield/core/translate_errors.h"

#include <gtest/gtest.h>

#include <filesystem>
#include <functional>
#include <system_error>

namespace flatfield {
namespace {

/// What becomes of that which `work` throws.
Error translated(const std::function<void()>& work) {
  try {
    with_errors(work);
  } catch (const Error& error) {
    return error;
  }
  return Error(ErrorCode::kInternal, "nothing was thrown");
}

TEST(TranslatedErrors, want_of_threads_is_no_defect) {
  const Error error = translated(
      [] { throw std::system_error(std::make_error_code(std::errc::resource_unavailable_try_again), "thread"); });
  EXPECT_EQ(error.code(), ErrorCode::kMemory);
  EXPECT_STREQ(error.what(), "the system gives no more threads: use fewer --num-workers");
}

TEST(TranslatedErrors, other_errors_of_the_system_are_files_or_a_defect) {
  const std::error_code code = std::make_error_code(std::errc::resource_deadlock_would_occur);
  EXPECT_EQ(translated([&] { throw std::system_error(code, "thread"); }).code(), ErrorCode::kInternal);
  EXPECT_EQ(translated([&] { throw std::filesystem::filesystem_error("list", code); }).code(), ErrorCode::kReadFailed);
}

}  // namespace
}  // namespace flatfield
