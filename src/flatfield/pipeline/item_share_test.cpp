#include "flatfield/pipeline/item_share.h"

#include <gtest/gtest.h>

#include <map>

#include "flatfield/core/error.h"

namespace flatfield::pipeline {
namespace {

using Variables = std::map<std::string, std::string>;

Share share_of(const std::string& part, const Variables& variables = {}) {
  return parse_share(part, [&](const std::string& name) -> std::optional<std::string> {
    const auto found = variables.find(name);
    return found == variables.end() ? std::nullopt : std::optional(found->second);
  });
}

std::pair<std::int64_t, std::int64_t> numbers_of(const std::string& part, const Variables& variables = {}) {
  const Share share = share_of(part, variables);
  return {share.part, share.parts};
}

using Pair = std::pair<std::int64_t, std::int64_t>;

TEST(ItemShare, is_what_was_asked_for) {
  EXPECT_EQ(numbers_of(""), (Pair{0, 1}));
  EXPECT_EQ(numbers_of("0/1"), (Pair{0, 1}));
  EXPECT_EQ(numbers_of("6/7"), (Pair{6, 7}));
}

TEST(ItemShare, is_that_of_the_task_of_an_array_job) {
  const Variables slurm{{"SLURM_ARRAY_TASK_ID", "14"}, {"SLURM_ARRAY_TASK_MIN", "10"}, {"SLURM_ARRAY_TASK_COUNT", "8"}};
  EXPECT_EQ(numbers_of("auto", slurm), (Pair{4, 8}));
  EXPECT_EQ(numbers_of("auto/99", slurm), (Pair{4, 8}));
  Variables steps = slurm;
  steps["SLURM_ARRAY_TASK_STEP"] = "2";
  EXPECT_EQ(numbers_of("auto", steps), (Pair{2, 8}));
  EXPECT_EQ(numbers_of("auto", {{"AWS_BATCH_JOB_ARRAY_INDEX", "3"}, {"AWS_BATCH_JOB_ARRAY_SIZE", "5"}}), (Pair{3, 5}));
  EXPECT_EQ(numbers_of("auto/5", {{"AWS_BATCH_JOB_ARRAY_INDEX", "3"}}), (Pair{3, 5}));
}

TEST(ItemShare, that_makes_no_sense_is_refused) {
  for (const char* part : {"1", "1/", "/2", "2/2", "-1/2", "a/b", "1/0", "auto", "auto/", "1/2/3", "auto/x"})
    EXPECT_THROW((void)share_of(part), Error) << part;
  EXPECT_THROW((void)share_of("auto", {{"AWS_BATCH_JOB_ARRAY_INDEX", "3"}}), Error);
  EXPECT_THROW((void)share_of("auto/3", {{"AWS_BATCH_JOB_ARRAY_INDEX", "3"}}), Error);
  EXPECT_THROW((void)share_of("auto", {{"SLURM_ARRAY_TASK_ID", "x"}}), Error);
}

TEST(ItemShare, has_results_of_its_own_below_those_of_all) {
  for (const char* results : {"results", "./results", "/a/results", "."})
    for (const Share& share : {Share{0, 1}, Share{1, 3}}) {
      const std::string folder = results_folder(results, share);
      EXPECT_EQ(folder == results, share.parts == 1);
      EXPECT_EQ(results_root(folder, share), results);
    }
}

TEST(ItemShare, shares_of_all_parts_are_disjoint_and_together_everything) {
  for (std::int64_t parts = 1; parts <= 7; ++parts)
    for (std::int64_t item = 0; item < 50; ++item) {
      int owners = 0;
      for (std::int64_t part = 0; part < parts; ++part) owners += Share{part, parts}.has(item) ? 1 : 0;
      EXPECT_EQ(owners, 1);
    }
}

}  // namespace
}  // namespace flatfield::pipeline
