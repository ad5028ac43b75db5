#include "flatfield/pipeline/level_writer.h"

#include <cstring>

#include "flatfield/core/crc32c.h"
#include "flatfield/core/fail_point.h"

namespace flatfield::pipeline {
namespace {

/// True if all elements have the value of the first.
template <class T>
bool is_constant(std::span<const T> values) {
  return std::memcmp(values.data(), values.data() + 1, (values.size() - 1) * sizeof(T)) == 0;
}

}  // namespace

template <class T>
void LevelWriter<T>::write(const Box3& box, const Block<T>& cell, const ChunkSink& sink, ChunkMemory<T>& memory) {
  const Extent3 chunk_shape = volume_.chunk_shape();
  Block<T>& chunk = memory.chunk;
  for_each_chunk(box, [&](const Extent3& index) {
    if (chunk_shape == cell_) return write_chunk(index, cell, sink, memory);
    if (chunk.shape() != chunk_shape) chunk = Block<T>(chunk_shape);
    const Box3 part = tile_box(index, chunk_shape, volume_.shape());
    if (part.shape != chunk_shape) std::memset(chunk.data(), 0, chunk.span().size_bytes());
    copy_block<T>(cell.view().sub({part.origin - box.origin, part.shape}),
                  chunk.view().sub({{0, 0, 0}, part.shape}));
    write_chunk(index, chunk, sink, memory);
  });
}

template <class T>
void LevelWriter<T>::write_chunk(const Extent3& index, const Block<T>& chunk, const ChunkSink& sink,
                                 ChunkMemory<T>& memory) {
  const zarr::Array& array = volume_.array();
  const std::span<const std::byte> bytes = std::as_bytes(chunk.span());
  const T first = *chunk.data();
  if ((first != T{0} && first != T{1}) || !is_constant<T>(chunk.span()))
    return store(index, array.encode_chunk(bytes, memory.scratch), std::nullopt, sink);
  if (first == T{0} && !write_empty_) {
    if (sink.shards != nullptr) sink.shards->skip(array, volume_.chunk_index(index));
    return;
  }
  ConstantChunk& constant = constant_[first == T{0} ? 0 : 1];
  std::call_once(constant.made, [&] {
    const std::span<const std::byte> encoded = array.encode_chunk(bytes, memory.scratch);
    constant.encoded.assign(encoded.begin(), encoded.end());
    constant.crc32c = crc32c(encoded);
  });
  store(index, constant.encoded, constant.crc32c, sink);
}

template <class T>
void LevelWriter<T>::store(const Extent3& index, std::span<const std::byte> encoded,
                           std::optional<std::uint32_t> known_crc32c, const ChunkSink& sink) {
  const zarr::Array& array = volume_.array();
  const zarr::Shape chunk = volume_.chunk_index(index);
  if (sink.shards != nullptr) {
    sink.shards->put(array, chunk, encoded);
  } else {
    check_();
    array.write_encoded_chunk(chunk, encoded);
    sink.written.add({level_, array.object_number(chunk), encoded.size(), known_crc32c ? *known_crc32c : crc32c(encoded)});
  }
  fail_point(fail_point_);
}

template class LevelWriter<std::uint8_t>;
template class LevelWriter<std::uint16_t>;
template class LevelWriter<float>;

}  // namespace flatfield::pipeline
