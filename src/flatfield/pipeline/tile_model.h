#pragma once

#include <memory>
#include <string>
#include <vector>

#include "flatfield/core/json.h"
#include "flatfield/pipeline/learn_stage.h"
#include "flatfield/report/log.h"
#include "flatfield/storage/store.h"

namespace flatfield::pipeline {

/// What is known of one volume once it is learnt.
struct ModelVolume {
  ome::VolumeId id;
  Learned learned;      ///< without `quality`, `weights` and splines where it comes from a file
  Json quality;         ///< its QC block; null if nothing was measured
  bool has_probability = false;  ///< foreground probabilities were learnt, and written by estimate
  bool gated = false;   ///< the quality numbers fail, and only the background is to be subtracted
  std::string reason;   ///< why only the background is subtracted; "" where more is
};

/// What estimate leaves for apply and finalize: the correction of each volume of a tile, and how it came about.
/// As a file it is an .npz (docs/formats.md).
struct TileModel {
  std::string tile;             ///< location that it was learnt from
  std::string created;          ///< ISO 8601
  Extent3 shape;                ///< of the level that it is for
  Json configuration;           ///< the options that it was learnt with
  Json input;                   ///< what the tile was known by
  TileLevels levels;
  std::vector<ModelVolume> volumes;

  /// Whether any volume has a foreground mask.
  [[nodiscard]] bool has_mask() const;
  /// The volume whose mask is that of the tile, as a mask belongs to its geometry: the first in whose mask anything is, else
  /// the first that has one; null if none has.
  [[nodiscard]] const ModelVolume* masked() const;
  /// Whether any volume has a probability: the image is there then, and holds zeros for volumes without.
  [[nodiscard]] bool has_probability() const;
  /// Whether only the background is subtracted, of every volume.
  [[nodiscard]] bool is_background_only() const;
  /// Why only the background of volumes is subtracted, "t0_c1: WHY; ..." where the tile has several; "" if of none.
  [[nodiscard]] std::string reason() const;
};

/// "t0_c1", the name of a volume in models, ledgers and carries.
[[nodiscard]] std::string volume_key(ome::VolumeId id);

/// Where the model of a tile is: `model` itself if it names an .npz, else MODEL/TILE.npz.
[[nodiscard]] std::string model_location(const std::string& model, const std::string& tile_name);
/// CRC-32C of the object that holds a model.
[[nodiscard]] std::uint32_t model_checksum(const storage::Store& store, const std::string& key);

/// Writes a model as one object. Throws Error(kWriteFailed).
void write_model(storage::Store& store, const std::string& key, const TileModel& model);

/// Reads a model. Throws Error(kNotFound) if there is none, Error(kBadInput) if it is damaged or another file,
/// Error(kUnsupported) if its version is not known.
[[nodiscard]] TileModel read_model(std::shared_ptr<const storage::Store> store, const std::string& key);
/// The same as it describes itself: the document `model.json`.
[[nodiscard]] Json read_model_document(std::shared_ptr<const storage::Store> store, const std::string& key);

/// Makes of what was learnt what is to be applied to a volume of `shape`: a gated correction is reduced to its background,
/// and one that was learnt at another size is resized (planes by cubic splines, curves linearly; the mask is resized
/// whenever it is applied).
void make_applicable(ModelVolume& volume, const Extent3& shape, const ParallelFor& parallel_for);

/// A copy of a correction for a volume of another shape, resized in the same way; without its mask, which is resized
/// whenever it is applied.
[[nodiscard]] methods::Correction resized_correction(const methods::Correction& correction, const Extent3& shape,
                                                     const ParallelFor& parallel_for);

}  // namespace flatfield::pipeline
