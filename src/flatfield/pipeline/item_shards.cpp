#include "flatfield/pipeline/item_shards.h"

#include <utility>

namespace flatfield::pipeline {

void ItemShards::announce(int level, const zarr::Array& array, const zarr::Shape& chunk) {
  std::string key = array.chunk_object_key(chunk);
  auto place = shards_.find(key);
  if (place == shards_.end()) place = shards_.emplace(std::move(key), Shard{level, array, chunk, {}, nullptr}).first;
  place->second.order.push_back(array.number_in_object(chunk));
}

void ItemShards::open() {
  for (auto& [key, shard] : shards_)
    shard.writer = std::make_unique<zarr::ShardWriter>(shard.array, shard.chunk,
                                                       std::move(shard.order), buffer_, check_);
}

void ItemShards::put(const zarr::Array& array, const zarr::Shape& chunk,
                     std::span<const std::byte> encoded) {
  shards_.at(array.chunk_object_key(chunk)).writer->put(array.number_in_object(chunk), encoded);
}

void ItemShards::skip(const zarr::Array& array, const zarr::Shape& chunk) {
  shards_.at(array.chunk_object_key(chunk)).writer->skip(array.number_in_object(chunk));
}

void ItemShards::finish(WrittenObjects& written) {
  for (auto& [key, shard] : shards_)
    if (const auto made = shard.writer->finish())
      written.add({shard.level, shard.array.object_number(shard.chunk), made->bytes, made->crc32c});
}

void ItemShards::abandon(const std::exception_ptr& cause) {
  for (auto& [key, shard] : shards_) shard.writer->abandon(cause);
}

}  // namespace flatfield::pipeline
