// Every input that the fuzzers start from, through the functions that they call: without a fuzzer,
// in the builds of all compilers and sanitizers.
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <iterator>
#include <string>

#include "targets.h"

namespace flatfield::fuzz {
namespace {

class CorpusReplay : public testing::TestWithParam<Target> {};

TEST_P(CorpusReplay, every_input_is_read_or_refused) {
  int inputs = 0;
  const auto folder = std::filesystem::path(FLATFIELD_FUZZ_CORPUS) / GetParam().name;
  for (const auto& entry : std::filesystem::directory_iterator(folder)) {
    SCOPED_TRACE(entry.path().string());
    std::ifstream file(entry.path(), std::ios::binary);
    const std::string bytes{std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>()};
    EXPECT_NO_THROW(GetParam().run(std::as_bytes(std::span(bytes))));
    ++inputs;
  }
  EXPECT_GT(inputs, 0);
}

INSTANTIATE_TEST_SUITE_P(targets, CorpusReplay, testing::ValuesIn(kTargets),
                         [](const auto& target) { return std::string(target.param.name); });

}  // namespace
}  // namespace flatfield::fuzz
