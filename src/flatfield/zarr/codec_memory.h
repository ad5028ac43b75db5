#pragma once

#include <cstdint>

#include "flatfield/zarr/metadata.h"

namespace flatfield::zarr {

/// Bytes that one thread holds to encode chunks of an array, from chunk to chunk: room for what a chunk may be
/// encoded to, and the working memory of the libraries. The chunk itself is not included. `stored_share` is the size
/// of an encoded chunk by that of a chunk: 1 for the most it can be.
[[nodiscard]] std::int64_t encoder_bytes(const ArrayMetadata& metadata, double stored_share = 1.0);

/// Bytes that one thread holds to read chunks of an array: one as it is stored, what lies between the steps of its
/// codecs, and the working memory of the libraries. Where a chunk is decoded to is not included.
[[nodiscard]] std::int64_t decoder_bytes(const ArrayMetadata& metadata, double stored_share = 1.0);

/// More bytes of chunks than this are not fetched before they are asked for (Array::expect_chunks).
inline constexpr std::int64_t kMostExpectedBytes = std::int64_t{32} << 20;

/// Bytes that one thread holds of `count` chunks that it expects, one room for encoded chunks less than there are: that
/// one is in decoder_bytes.
[[nodiscard]] std::int64_t expected_bytes(const ArrayMetadata& metadata, std::int64_t count,
                                          double stored_share = 1.0);

}  // namespace flatfield::zarr
