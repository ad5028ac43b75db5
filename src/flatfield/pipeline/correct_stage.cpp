#include "flatfield/pipeline/correct_stage.h"

#include <type_traits>
#include <vector>

#include "flatfield/core/stage_clock.h"
#include "flatfield/pipeline/level_reader.h"

namespace flatfield::pipeline {
namespace {

template <class T>
class CorrectedSource : public VoxelSource<std::uint16_t> {
 public:
  CorrectedSource(ome::Volume input, const methods::CorrectionKernel& kernel, int workers)
      : input_(std::move(input)), kernel_(kernel), memory_(static_cast<std::size_t>(workers)) {}

  void expect(const Box3& box, int worker) override {
    input_.expect(box, memory_[static_cast<std::size_t>(worker)].chunk);
  }

  void read(const Box3& box, BlockView<std::uint16_t> out, int worker) override {
    Memory& mine = memory_[static_cast<std::size_t>(worker)];
    bool is_stored = false;
    if constexpr (kInPlace) {
      is_stored = input_.read<T>(box, out, mine.chunk);
    } else {
      if (mine.raw.size() < box.shape.volume()) mine.raw = Block<T>(box.shape);
      mine.box = box;
      is_stored = input_.read<T>(box, {mine.raw.data(), box.shape}, mine.chunk);
    }
    if (!is_stored) require_level(input_.array(), "bring it back, and start again with --overwrite");
  }

  void finish(const Box3& slab, BlockView<std::uint16_t> out, int worker) override {
    Memory& mine = memory_[static_cast<std::size_t>(worker)];
    const StageScope scope(Stage::kArithmetic);
    if constexpr (kInPlace) {
      kernel_.apply<T>(slab, out, out, mine.kernel);
    } else {
      const BlockView<const T> raw(mine.raw.data(), mine.box.shape);
      kernel_.apply<T>(slab, raw.sub({slab.origin - mine.box.origin, slab.shape}), out, mine.kernel);
    }
  }

 private:
  /// Voxels of one size are decoded to where they are corrected: half as much memory for the cache to hold.
  static constexpr bool kInPlace = std::is_same_v<T, std::uint16_t>;

  struct Memory {
    Block<T> raw;  ///< of `box`, where they are not in place
    Box3 box;
    zarr::ChunkScratch chunk;
    methods::CorrectionKernel::Scratch kernel;
  };

  ome::Volume input_;
  const methods::CorrectionKernel& kernel_;
  std::vector<Memory> memory_;
};

class MaskSource : public VoxelSource<std::uint8_t> {
 public:
  explicit MaskSource(const methods::CorrectionKernel& kernel) : kernel_(kernel) {}
  void read(const Box3& box, BlockView<std::uint8_t> out, int /*worker*/) override {
    const StageScope scope(Stage::kArithmetic);
    kernel_.upscale_mask(box, out);
  }

 private:
  const methods::CorrectionKernel& kernel_;
};

class BlockSource : public VoxelSource<float> {
 public:
  explicit BlockSource(const Block<float>& block) : block_(block) {}
  void read(const Box3& box, BlockView<float> out, int /*worker*/) override {
    copy_block<float>(block_.view().sub(box), out);
  }

 private:
  const Block<float>& block_;
};

class BitSource : public VoxelSource<std::uint8_t> {
 public:
  explicit BitSource(const BitVolume& bits) : bits_(bits) {}
  void read(const Box3& box, BlockView<std::uint8_t> out, int /*worker*/) override {
    bits_.view().sub(box).expand(out);
  }

 private:
  const BitVolume& bits_;
};

}  // namespace

std::unique_ptr<VoxelSource<std::uint16_t>> corrected_source(const ome::Volume& input,
                                                             const methods::CorrectionKernel& kernel,
                                                             int workers) {
  if (input.dtype() == DType::kUint16)
    return std::make_unique<CorrectedSource<std::uint16_t>>(input, kernel, workers);
  if (input.dtype() == DType::kUint8)
    return std::make_unique<CorrectedSource<std::uint8_t>>(input, kernel, workers);
  refuse_data_type(input.array());
}

std::unique_ptr<VoxelSource<std::uint8_t>> mask_source(const methods::CorrectionKernel& kernel) {
  return std::make_unique<MaskSource>(kernel);
}

std::unique_ptr<VoxelSource<float>> block_source(const Block<float>& block) {
  return std::make_unique<BlockSource>(block);
}

std::unique_ptr<VoxelSource<std::uint8_t>> bit_source(const BitVolume& bits) {
  return std::make_unique<BitSource>(bits);
}

}  // namespace flatfield::pipeline
