#pragma once

#include <string>
#include <vector>

#include "flatfield/core/json.h"

namespace flatfield::pipeline {

/// The run report; written anew after every tile, so that a run that is killed has reported those before.
class RunReport {
 public:
  /// `warnings` are those of the run as a whole. Nothing is written yet.
  RunReport(std::string path, std::vector<std::string> warnings)
      : path_(std::move(path)), warnings_(std::move(warnings)) {}

  /// Adds the record of a tile and the exit code so far. Throws Error(kWriteFailed).
  void add(Json record, int exit);
  /// Adds what was measured over all tiles. Throws Error(kWriteFailed).
  void add_overlap(Json overlap, const std::vector<std::string>& warnings);

  /// Says with which exit code the run ends after all. Throws Error(kWriteFailed).
  void end(int exit);

  /// The report as it is written.
  [[nodiscard]] Json document() const;
  /// Tiles with a record.
  [[nodiscard]] std::size_t tile_count() const { return records_.size(); }
  /// Tiles by status: corrected, background_only, skipped, failed, and where there are some estimated, applied,
  /// interrupted.
  [[nodiscard]] Json counts() const;

 private:
  void write() const;

  std::string path_;
  std::vector<std::string> warnings_;
  std::vector<Json> records_;
  Json overlap_;
  int exit_ = 0;
};

}  // namespace flatfield::pipeline
