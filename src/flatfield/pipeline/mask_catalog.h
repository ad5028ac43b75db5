#pragma once

#include <filesystem>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <span>
#include <string>
#include <vector>

#include "flatfield/core/bit_volume.h"
#include "flatfield/execution/memory_budget.h"
#include "flatfield/execution/process_group.h"
#include "flatfield/pipeline/packed_mask.h"
#include "flatfield/storage/open_store.h"

namespace flatfield::pipeline {

/// The foreground masks of a run: one per tile position, found by the identifier in the tile's name,
/// computed on the first volume of the tile that has one and shared by its other channels (docs/methods.md 4.1).
class MaskCatalog {
 public:
  /// The folder may be on a server; `stores` and `memory` must outlive the catalog. What lies in the folder `results_dir`,
  /// which may be "", is no mask, unless the masks are searched for in that: runs save images there.
  /// Throws Error(kNotFound) if `folder` is not a folder.
  MaskCatalog(const std::string& folder, storage::StoreOpener& stores, execution::MemoryBudget& memory,
              const std::string& results_dir = "");

  /// File of a tile: the first in sorted path order below the folder (links followed) that ends in .tif or
  /// .tiff (see has_tiff_name) and holds the same identifier; none if there is no such file.
  /// Throws Error(kUsage) if the tile's name holds no identifier.
  [[nodiscard]] std::optional<std::string> find_file(const std::string& tile_name) const;

  /// The foreground of a volume of a tile at the estimation level, of which `shape` is the shape; none if there
  /// is no file for the tile. On the tile's first volume it is made from the file, and `restrict` clears
  /// what v_low says is no foreground; a volume that leaves nothing of it does not count as the first.
  /// It is remembered where other volumes share it: if `is_shared`, or for a tile that was said to come.
  /// Of processes that do a run together the first makes it, and all `restrict` it.
  /// A file of another shape is reserved in memory while its mask is made; Error(kMemory) where there is no room.
  [[nodiscard]] std::optional<BitVolume> foreground(const std::string& tile_name, const Extent3& shape,
                                                    bool is_shared,
                                                    const std::function<void(BitVolume&)>& restrict,
                                                    execution::ProcessGroup& processes);

  /// Bytes that are held beside the foreground of a tile while it is made from a file of this machine: its mask,
  /// or the one that is known, where that has another shape. Else 0, also where there is no such file or none that can
  /// be read.
  [[nodiscard]] std::int64_t making_bytes(const std::string& tile_name, const Extent3& shape) const;

  /// Whether a tile to come shares the foreground of this one, and none is known.
  [[nodiscard]] bool misses(const std::string& tile_name) const;
  /// Takes the foreground of a tile that an earlier run has found, if a tile to come shares it and none is known.
  void adopt(const std::string& tile_name, const BitVolume& foreground);

  /// The mask file of a tile as it is, at `shape`, whose bits the caller has reserved; none if there is no file for the tile.
  [[nodiscard]] std::optional<BitVolume> raw_mask(const std::string& tile_name, const Extent3& shape) const;

  /// Says which tile locations are still to come after the next one.
  void expect(std::span<const std::string> tile_locations);
  /// Between two tiles: forgets the foregrounds that none of these tile locations, which are still to come, will share,
  /// and reserves what the others take. Throws Error(kMemory) where there is no room.
  void forget_all_but(std::span<const std::string> tile_locations);
  /// What is reserved for the foregrounds of tiles to come.
  [[nodiscard]] std::int64_t kept_bytes() const { return held_.bytes(); }

 private:
  /// What is known of a tile, or else is in its file.
  struct Found {
    BitVolume mask;
    bool is_known = false;
  };
  [[nodiscard]] std::optional<Found> find(const std::string& tile_name, const Extent3& shape) const;
  [[nodiscard]] BitVolume unpacked(const PackedMask& known, const Extent3& shape) const;
  [[nodiscard]] std::vector<std::string> search_local(const std::string& identifier) const;
  [[nodiscard]] std::vector<std::string> search_remote(const std::string& identifier) const;

  std::string folder_;
  std::filesystem::path left_out_;  ///< folder that is not searched, without links; empty where there is none
  storage::StoreOpener& stores_;
  execution::MemoryBudget& memory_;
  std::map<std::string, PackedMask> foregrounds_;  ///< by identifier
  execution::MemoryBudget::Reservation held_;      ///< of those of earlier tiles
  std::set<std::string> expected_;                 ///< identifiers of the tiles to come
};

}  // namespace flatfield::pipeline
