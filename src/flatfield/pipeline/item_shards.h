#pragma once

#include <cstddef>
#include <exception>
#include <functional>
#include <map>
#include <memory>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "flatfield/pipeline/item_ledger.h"
#include "flatfield/zarr/array.h"
#include "flatfield/zarr/shard_writer.h"

namespace flatfield::pipeline {

/// The shards that one item writes. Its chunks are announced in the order in which a single worker would make
/// them, and then put by any workers: the shards are the same every time.
class ItemShards {
 public:
  /// `buffer_bytes` is what chunks may take that come too early. What `check` throws keeps a shard from being written.
  explicit ItemShards(std::size_t buffer_bytes, std::function<void()> check = {})
      : buffer_(std::make_shared<zarr::ReorderBuffer>(buffer_bytes)), check_(std::move(check)) {}

  /// Says that a chunk will come; all are announced before the first is put. `level` is that of the array in its image.
  void announce(int level, const zarr::Array& array, const zarr::Shape& chunk);
  void open();

  /// Adds an encoded chunk. May be called by several workers. Throws as zarr::ShardWriter::put.
  void put(const zarr::Array& array, const zarr::Shape& chunk, std::span<const std::byte> encoded);
  /// Leaves out a chunk.
  void skip(const zarr::Array& array, const zarr::Shape& chunk);
  /// To be called after all chunks have been put: checks that all shards are complete, and tells which were written.
  void finish(WrittenObjects& written);
  /// Gives up all shards because of `cause`, so that no worker waits for a chunk that will not come. Those that wait
  /// throw it.
  void abandon(const std::exception_ptr& cause);

 private:
  struct Shard {
    int level;
    zarr::Array array;
    zarr::Shape chunk;  ///< any chunk of it
    std::vector<std::size_t> order;
    std::unique_ptr<zarr::ShardWriter> writer;
  };

  std::shared_ptr<zarr::ReorderBuffer> buffer_;
  std::function<void()> check_;
  std::map<std::string, Shard> shards_;  ///< by key
};

}  // namespace flatfield::pipeline
