#pragma once

#include <gtest/gtest.h>

#include <clocale>
#include <cstdint>
#include <cstdlib>
#include <string>

#include "support/temporary_folder.h"

namespace flatfield {

/// While it lives, the C library reads and writes numbers with a decimal comma, as in a Python or Qt program that has asked
/// for a German locale. No machine is sure to have such a locale installed, so the test writes one, as localedef does.
class CommaLocale {
 public:
  CommaLocale() {
    std::string file;
    const auto add = [&](std::uint32_t number) { file.append(reinterpret_cast<const char*>(&number), sizeof number); };
    // What it is (LC_NUMERIC), the count of its items, and where they are.
    for (const std::uint32_t number : {0x20031114U, 6U, 32U, 34U, 35U, 36U, 40U, 44U}) add(number);
    file += std::string(",\0\0\0", 4);  // decimal point, no separator of thousands, no groups of digits
    add(static_cast<std::uint32_t>(','));
    add(0);
    file += std::string("UTF-8\0", 6);
    folder_.write("comma/LC_NUMERIC", file);
    ::setenv("LOCPATH", folder_.path().c_str(), 1);
    EXPECT_NE(std::setlocale(LC_NUMERIC, "comma"), nullptr);
    EXPECT_EQ(std::strtod("1,5", nullptr), 1.5) << "the locale is in force";
  }
  ~CommaLocale() {
    std::setlocale(LC_NUMERIC, "C");
    ::unsetenv("LOCPATH");
  }
  CommaLocale(const CommaLocale&) = delete;
  CommaLocale& operator=(const CommaLocale&) = delete;

 private:
  TemporaryFolder folder_;
};

}  // namespace flatfield
