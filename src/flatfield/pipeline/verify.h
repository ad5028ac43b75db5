#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "flatfield/execution/thread_pool.h"
#include "flatfield/storage/open_store.h"

namespace flatfield::pipeline {

/// How much of an image is looked at.
struct VerifyOptions {
  bool quick = false;  ///< sizes only: nothing is read but metadata and checksums
  bool all = false;    ///< every block of every level is held against the level below it, not a sample
};

/// What was found out about an image that this program has written.
struct VerifyReport {
  std::vector<std::string> problems;  ///< each names what it is about; none = the image is as it was written
  std::vector<std::string> notes;     ///< what is there beside the image
  std::int64_t objects = 0;           ///< that were read, decoded and held against their checksums
  std::int64_t blocks = 0;            ///< of levels that were held against the level below
  std::int64_t blocks_in_all = 0;
};

/// Checks an image: that its metadata are valid NGFF and those that were written, that every object is there, has its
/// recorded size and checksum and decodes, and that each level is made of the one below it. Throws Error where it cannot
/// be checked: there is no image, or one without checksums.
[[nodiscard]] VerifyReport verify_image(const std::string& location, const VerifyOptions& options,
                                        storage::StoreOpener& stores, execution::ThreadPool& pool);

}  // namespace flatfield::pipeline
