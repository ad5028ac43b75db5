#include "flatfield/pipeline/verify.h"

#include <fmt/format.h>

#include <algorithm>
#include <atomic>
#include <cstring>
#include <mutex>
#include <optional>

#include "flatfield/core/crc32c.h"
#include "flatfield/core/error.h"
#include "flatfield/numerics/window_reduce.h"
#include "flatfield/ome/ngff_metadata.h"
#include "flatfield/ome/ngff_rules.h"
#include "flatfield/ome/volume.h"
#include "flatfield/pipeline/object_sizes.h"
#include "flatfield/pipeline/output_checksums.h"
#include "flatfield/zarr/group.h"

namespace flatfield::pipeline {
namespace {

/// Blocks of a level that are held against the level below it, without --all.
constexpr std::int64_t kSampledBlocks = 64;
/// Objects that cannot be read are named up to here; then the disk or the server is taken to be gone.
constexpr int kMostUnreadable = 20;

/// How the levels of an image were made, as its metadata say (output_image.cpp writes them).
std::optional<numerics::WindowReducer> reducer_of(const Json& attributes) {
  using Kind = numerics::WindowReducer::Kind;
  const Json* ome = attributes.find("ome");
  const Json* multiscales = (ome == nullptr ? attributes : *ome).find("multiscales");
  if (multiscales == nullptr || !multiscales->is_array() || multiscales->as_array().empty()) return std::nullopt;
  const Json& image = multiscales->as_array().front();
  const Json* type = image.find("type");
  if (type == nullptr || !type->is_string()) return std::nullopt;
  if (type->as_string() == "mean") return numerics::WindowReducer{Kind::kMean, 0};
  if (type->as_string() == "mode") return numerics::WindowReducer{Kind::kMode, 0};
  if (type->as_string() != "rank") return std::nullopt;
  const Json* metadata = image.find("metadata");
  const Json* arguments = metadata == nullptr ? nullptr : metadata->find("kwargs");
  const Json* rank = arguments == nullptr ? nullptr : arguments->find("rank");
  if (rank == nullptr || !rank->is_integer()) return std::nullopt;
  return numerics::WindowReducer{Kind::kRank, static_cast<int>(rank->as_int64())};
}

class Verifier {
 public:
  Verifier(const std::string& location, const VerifyOptions& options, storage::StoreOpener& stores,
           execution::ThreadPool& pool)
      : store_(stores.open(location)), options_(options), pool_(pool) {}

  VerifyReport run() {
    if (store_->list("").empty())
      throw Error(ErrorCode::kNotFound, "there is no image", store_->describe(""), "name the folder of an image");
    // What the metadata say is only as good as they are: they come first.
    const OutputChecksums checksums = OutputChecksums::read(store_);
    check_documents(checksums);
    try {
      attributes_ = zarr::read_group_attributes(*store_, "");
      check_metadata();
      open_levels(checksums);
    } catch (const Error& error) {
      note(error.what());
      return std::move(report_);
    }
    check_sizes(checksums);
    if (options_.quick) return std::move(report_);
    for (std::size_t level = 0; level < levels_.size(); ++level) check_objects(level, checksums.level(level));
    if (report_.problems.empty()) check_levels();
    return std::move(report_);
  }

 private:
  void note(const std::string& problem) {
    const std::scoped_lock lock(mutex_);
    report_.problems.push_back(problem);
  }

  void check_metadata() {
    if (!ome::has_multiscale(attributes_)) {
      note(store_->describe("") + ": the group has no multiscales: the image is unfinished");
      return;
    }
    for (const std::string& problem : ome::check_ngff(attributes_).problems)
      note(store_->describe("") + ": " + problem);
  }

  void open_levels(const OutputChecksums& checksums) {
    for (std::size_t level = 0; level < checksums.level_count(); ++level) {
      levels_.push_back(zarr::Array::open(store_, std::to_string(level)));
      metadata_.push_back(levels_.back().metadata());
      if (zarr::object_grid(metadata_.back()) != checksums.grid(level))
        throw Error(ErrorCode::kBadInput, "the level has other objects than were written", levels_.back().describe());
    }
  }

  void check_documents(const OutputChecksums& checksums) {
    for (const auto& [key, sum] : checksums.documents()) {
      const auto text = storage::get_text(*store_, key);
      if (!text)
        note(store_->describe(key) + ": it is missing");
      else if (text->size() != sum.bytes || crc32c(as_bytes(*text)) != sum.crc32c)
        note(store_->describe(key) + ": it is not as it was written");
    }
  }

  void check_sizes(const OutputChecksums& checksums) {
    const ObjectSizes sizes(*store_, metadata_);
    for (std::size_t level = 0; level < levels_.size(); ++level) {
      const std::vector<ObjectSum>& sums = checksums.level(level);
      for (std::size_t i = 0; i < sums.size(); ++i) {
        const auto number = static_cast<std::int64_t>(i);
        const std::uint64_t found = sizes.of(static_cast<int>(level), number);
        if (found == sums[i].bytes) continue;
        const std::string where = describe(level, number);
        if (found == 0)
          note(where + ": it is missing");
        else if (sums[i].bytes == 0)
          note(where + ": it was not written by the run");
        else
          note(fmt::format("{}: it has {} bytes, {} were written", where, found, sums[i].bytes));
      }
    }
    for (const std::string& key : sizes.others())
      report_.notes.push_back(store_->describe(key) + ": it does not belong to the image");
  }

  [[nodiscard]] std::string describe(std::size_t level, std::int64_t number) const {
    return store_->describe(object_location(metadata_, static_cast<int>(level), number));
  }

  /// False of an object that is not there, which is named already, or cannot be read, which is named here.
  bool get(std::size_t level, std::int64_t number, Buffer& bytes) {
    if (unreadable_ >= kMostUnreadable) return false;
    try {
      return store_->get(object_location(metadata_, static_cast<int>(level), number), bytes);
    } catch (const Error& error) {
      if (error.code() != ErrorCode::kReadFailed) throw;
      note(error.what());
      if (++unreadable_ == kMostUnreadable)
        note(store_->describe("") + ": so many objects cannot be read that no more are tried");
      return false;
    }
  }

  /// Reads, sums and decodes every object of a level.
  void check_objects(std::size_t level, const std::vector<ObjectSum>& sums) {
    std::atomic<std::int64_t> read{0};
    pool_.parallel_for(static_cast<std::int64_t>(sums.size()), [&](std::int64_t number) {
      const ObjectSum& sum = sums[static_cast<std::size_t>(number)];
      if (sum.bytes == 0) return;
      Buffer bytes;
      if (!get(level, number, bytes)) return;
      ++read;
      if (bytes.size() == sum.bytes && crc32c(bytes.span()) != sum.crc32c)
        note(fmt::format("{}: its checksum is {:08x}, {:08x} was written", describe(level, number),
                         crc32c(bytes.span()), sum.crc32c));
      else if (bytes.size() == sum.bytes)
        decode(level, number);
    });
    report_.objects += read;
  }

  void decode(std::size_t level, std::int64_t number) {
    const zarr::Array& array = levels_[level];
    const zarr::Shape grid = zarr::object_grid(array.metadata());
    const zarr::Shape per_object = array.metadata().chunks_per_object();
    zarr::Shape first(grid.size());
    for (std::size_t axis = grid.size(); axis-- > 0; number /= grid[axis])
      first[axis] = number % grid[axis] * per_object[axis];
    std::vector<zarr::Shape> chunks{{}};
    for (std::size_t axis = 0; axis < grid.size(); ++axis) {
      const std::int64_t end = ceil_div(array.metadata().shape[axis], array.metadata().chunk_shape[axis]);
      std::vector<zarr::Shape> longer;
      for (const zarr::Shape& start : chunks)
        for (std::int64_t i = first[axis]; i < std::min(first[axis] + per_object[axis], end); ++i) {
          longer.push_back(start);
          longer.back().push_back(i);
        }
      chunks = std::move(longer);
    }
    zarr::ChunkScratch scratch;
    try {
      array.read_chunks(chunks, scratch, [](std::size_t, std::span<const std::byte>) {});
    } catch (const Error& error) {
      note(error.what());
    }
  }

  /// Holds levels against those below them.
  void check_levels() {
    const auto reducer = reducer_of(attributes_);
    if (!reducer && levels_.size() > 1) {
      note(store_->describe("") + ": the metadata do not say how the levels were made");
      return;
    }
    for (std::size_t level = 1; level < levels_.size(); ++level) switch (levels_[level].metadata().dtype) {
        case DType::kUint8: check_level<std::uint8_t>(level, *reducer); break;
        case DType::kUint16: check_level<std::uint16_t>(level, *reducer); break;
        case DType::kFloat32: check_level<float>(level, *reducer); break;
        default: note(levels_[level].describe() + ": its data type is not one of the outputs");
      }
  }

  template <class T>
  void check_level(std::size_t level, const numerics::WindowReducer& reducer) {
    const zarr::Shape& shape = levels_[level].metadata().shape;
    const ome::Volume first(levels_[level], {0, 0});
    const Extent3 grid = ceil_div(first.shape(), first.chunk_shape());
    const std::int64_t blocks = shape[0] * shape[1] * grid.volume();
    const std::int64_t checked = options_.all ? blocks : std::min(blocks, kSampledBlocks);
    pool_.parallel_for(checked, [&](std::int64_t i) {
      const std::int64_t block = i * blocks / checked;
      const std::int64_t volume = block / grid.volume();
      const std::vector<std::int64_t> id{volume / shape[1], volume % shape[1]};
      const ome::Volume above(levels_[level], id);
      const ome::Volume below(levels_[level - 1], id);
      const Box3 box = tile_box(unravel(block % grid.volume(), grid), above.chunk_shape(), above.shape());
      zarr::ChunkScratch scratch;
      Block<T> found(box.shape);
      above.read<T>(box, found.view(), scratch);
      Block<T> finer(box.shape * 2);
      below.read<T>({box.origin * 2, box.shape * 2}, finer.view(), scratch);
      Block<T> made(box.shape);
      numerics::reduce_windows<T>(std::as_const(finer).view(), made.view(), reducer);
      if (std::memcmp(found.data(), made.data(), found.span().size_bytes()) != 0)
        note(fmt::format("{}: the block at {} does not come of the level below", above.array().describe(),
                         to_string(box.origin)));
    });
    report_.blocks += checked;
    report_.blocks_in_all += blocks;
  }

  std::shared_ptr<storage::Store> store_;
  VerifyOptions options_;
  execution::ThreadPool& pool_;
  Json attributes_ = Json::object();
  std::vector<zarr::Array> levels_;
  std::vector<zarr::ArrayMetadata> metadata_;
  std::mutex mutex_;
  std::atomic<int> unreadable_{0};
  VerifyReport report_;
};

}  // namespace

VerifyReport verify_image(const std::string& location, const VerifyOptions& options, storage::StoreOpener& stores,
                          execution::ThreadPool& pool) {
  VerifyReport report = Verifier(location, options, stores, pool).run();
  std::sort(report.problems.begin(), report.problems.end());
  return report;
}

}  // namespace flatfield::pipeline
