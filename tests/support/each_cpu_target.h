#pragma once

#include <gtest/gtest.h>
#include <hwy/highway.h>

#include <cstdint>
#include <vector>

namespace flatfield {

/// Calls `body` once for each kind of CPU that the vector code was compiled for and that this machine can stand in for:
/// from what every CPU of its kind has to the newest, which is the one that runs otherwise.
template <class Body>
void for_each_cpu_target(Body body) {
  const auto pretend = [](std::int64_t targets) {
    hwy::SetSupportedTargetsForTest(targets);
    hwy::GetChosenTarget().Update(hwy::SupportedTargets());
  };
  std::vector<std::int64_t> targets;
  for (std::int64_t rest = (hwy::SupportedTargets() & HWY_TARGETS) | HWY_STATIC_TARGET; rest != 0; rest &= rest - 1)
    targets.push_back(rest & -rest);
  for (const std::int64_t target : targets) {
    SCOPED_TRACE(testing::Message() << "compiled for " << hwy::TargetName(target));
    pretend(target);
    body();
  }
  pretend(0);
}

}  // namespace flatfield
