#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "flatfield/core/buffer.h"
#include "flatfield/storage/store.h"
#include "flatfield/zarr/codec.h"
#include "flatfield/zarr/metadata.h"

namespace flatfield::zarr {

class ShardReader;

/// Chunks of an array that were read before they are asked for, still encoded.
struct ExpectedChunks {
  std::shared_ptr<const ArrayMetadata> of;        ///< the array
  std::map<Shape, std::optional<Buffer>> chunks;  ///< by index; none = not stored
  std::vector<Buffer> spare;                      ///< memory for others

  /// Makes room for those of another part of the array.
  void forget();
  [[nodiscard]] Buffer take_spare();
};

/// Which chunk of which array is in ChunkScratch::chunk.
struct HeldChunk {
  std::shared_ptr<const ArrayMetadata> of;  ///< the array; null = none is held
  Shape index;
  bool is_stored = false;  ///< or the fill value
};

/// Reusable memory of one thread for reading and writing chunks.
struct ChunkScratch {
  Buffer encoded;  ///< bytes as they are in the store
  Buffer chunk;    ///< a decoded chunk, for readers that need only a part of it
  HeldChunk held;  ///< whoever else writes into `chunk` forgets it first
  CodecScratch codec;
  ExpectedChunks expected;
};

/// An n-dimensional chunked array in a store, of Zarr format 2 or 3. Immutable after opening; all
/// members may be called from several threads, each with a scratch of its own. Chunk data in memory
/// are always in C order, native byte order, and of the full chunk shape (edge chunks padded).
///
/// In a sharded array a chunk is one of those within the shards. These are read one by one, or
/// several together, and written by a ShardWriter.
class Array {
 public:
  /// Opens an existing array at `path` ("" = root of the store). Where metadata of both formats are
  /// there, those of format 3 count, or those of `zarr_format` if it is not 0.
  /// Throws Error(kNotFound) if there is no array, kBadInput / kUnsupported naming the metadata
  /// file.
  [[nodiscard]] static Array open(std::shared_ptr<storage::Store> store, std::string path,
                                  int zarr_format = 0);
  /// Writes the metadata of a new array (and nothing else) and opens it. Existing chunks are not
  /// touched: erase the prefix first. Throws Error(kUsage) for metadata that cannot be encoded,
  /// kUnsupported for a zarr_format other than 2 and 3 and for chunks beyond kMaxChunkBytes.
  [[nodiscard]] static Array create(std::shared_ptr<storage::Store> store, std::string path,
                                    ArrayMetadata metadata);

  [[nodiscard]] const ArrayMetadata& metadata() const { return *metadata_; }
  [[nodiscard]] const std::string& path() const { return path_; }
  /// Full name for messages.
  [[nodiscard]] std::string describe() const;

  /// Decodes a chunk into `into` (exactly chunk_bytes()). A chunk that is not in the store is
  /// filled with the fill value; the result says whether it was there. Throws Error(kBadInput)
  /// naming the object for bytes that do not decode to exactly a chunk.
  bool read_chunk(const Shape& index, std::span<std::byte> into, ChunkScratch& scratch) const;
  /// Like read_chunk, into scratch.chunk. The chunk that this has last decoded there is not read again,
  /// whatever was written meanwhile.
  bool hold_chunk(const Shape& index, ChunkScratch& scratch) const;
  /// Decodes parts of a chunk: some z planes, for example. The chunk is read once and whole, but
  /// with Blosc and C order only the blocks that hold some of the elements are decoded, each once.
  /// Otherwise like read_chunk.
  bool read_chunk_parts(const Shape& index, std::span<const ChunkPart> parts,
                        ChunkScratch& scratch) const;
  /// Says that these chunks will be read with `scratch`: those of a shard are fetched together,
  /// objects of a server far away several at once, and stay in `scratch`, encoded, until others are
  /// expected. Nothing is done where that gains nothing: if they all are there already, are files,
  /// or have more than 32 MiB together. Throws like read_chunk.
  void expect_chunks(std::span<const Shape> indices, ChunkScratch& scratch) const;
  /// Reads several chunks into scratch.chunk, one after the other in an order that suits the store,
  /// and calls `visit` with the place of each in `indices` and its elements. Otherwise like
  /// read_chunk; chunks of one shard are read together.
  void read_chunks(std::span<const Shape> indices, ChunkScratch& scratch,
                   const std::function<void(std::size_t, std::span<const std::byte>)>& visit) const;
  /// Encodes `chunk` (exactly chunk_bytes()) and stores it. Not for sharded arrays.
  void write_chunk(const Shape& index, std::span<const std::byte> chunk,
                   ChunkScratch& scratch) const;
  /// Encodes without storing; the result lives in `scratch` until its next use, or is `chunk`
  /// itself if the array is stored as it is in memory.
  [[nodiscard]] std::span<const std::byte> encode_chunk(std::span<const std::byte> chunk,
                                                        ChunkScratch& scratch) const;
  /// Stores bytes that encode_chunk has made. Not for sharded arrays.
  void write_encoded_chunk(const Shape& index, std::span<const std::byte> encoded) const;

  /// The store, and the key in it of the object that holds a chunk; Error(kInternal) if the array
  /// has no such chunk.
  [[nodiscard]] const std::shared_ptr<storage::Store>& shared_store() const { return store_; }
  [[nodiscard]] std::string chunk_object_key(const Shape& index) const;

  /// Place in the array of the object that holds a chunk, in C order of the objects.
  [[nodiscard]] std::int64_t object_number(const Shape& index) const;
  /// Place of a chunk in the object that holds it, in C order.
  [[nodiscard]] std::size_t number_in_object(const Shape& index) const;

 private:
  Array(std::shared_ptr<storage::Store> store, std::string path, ArrayMetadata metadata,
        const std::string& where);

  void check_index(const Shape& index) const;
  void check_chunk_size(std::size_t size) const;
  /// The encoded bytes of a chunk, which live in `scratch`; none if there is no such chunk.
  [[nodiscard]] std::optional<std::span<const std::byte>> encoded_chunk(
      const Shape& index, const std::string& key, ChunkScratch& scratch) const;
  /// The chunks of `indices` by the shard that holds each: places in that list, by key.
  [[nodiscard]] std::map<std::string, std::vector<std::size_t>> by_shard(
      std::span<const Shape> indices) const;
  /// Calls `visit` with the place in `indices` and the encoded bytes (null: not there) of each of
  /// `members`, which are chunks of the shard `key`.
  template <class Visit>
  void visit_shard(const std::string& key, const std::vector<std::size_t>& members,
                   std::span<const Shape> indices, ChunkScratch& scratch, Visit visit) const;
  /// Reads whole objects, several at once.
  void fetch_objects(std::span<const Shape> indices, ExpectedChunks& expected) const;
  /// Reads the encoded chunk into scratch.encoded and has `decode` decode it; calls `fill` if
  /// there is no such chunk.
  template <class Decode, class Fill>
  bool read(const Shape& index, ChunkScratch& scratch, Decode decode, Fill fill) const;
  /// Runs `work`, naming the object in errors about what it holds.
  template <class Work>
  void naming(const Shape& index, const std::string& key, Work work) const;

  std::shared_ptr<storage::Store> store_;
  std::string path_;
  std::shared_ptr<const ArrayMetadata> metadata_;
  std::shared_ptr<const ChunkCodec> codec_;    ///< the codec chain, prepared once
  std::shared_ptr<const ShardReader> shards_;  ///< null unless the array is sharded
};

}  // namespace flatfield::zarr
