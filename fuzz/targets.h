#pragma once

#include <array>
#include <cstddef>
#include <span>
#include <string_view>

namespace flatfield::fuzz {

using Input = std::span<const std::byte>;

// What the fuzzers call, and the replay of their corpus: each feeds `input` to readers of this
// program. Whatever it is, they give a value or throw Error; all else ends the process.

void aws_profiles(Input input);      ///< settings files of the AWS command line, locations
void json_credentials(Input input);  ///< answers of credential services
void xml_answers(Input input);       ///< answers of S3
void zarr_v2(Input input);           ///< a store (store_input.h) with an array of Zarr v2 at its root
void zarr_v3(Input input);           ///< the same of Zarr v3
void zarr_chunks(Input input);       ///< a byte that chooses a codec, and a chunk (miniature_arrays.h)
void zarr_shards(Input input);       ///< a byte that chooses a kind of shard, and a shard
void ome_image(Input input);         ///< a store with an OME-Zarr image at its root
void configuration(Input input);     ///< a configuration file
void tiff_image(Input input);        ///< a TIFF file

struct Target {
  std::string_view name;  ///< also of its folder in fuzz/corpus
  void (*run)(Input input);
};

inline constexpr std::array<Target, 10> kTargets{{
    {"aws_profiles", aws_profiles},
    {"json_credentials", json_credentials},
    {"xml_answers", xml_answers},
    {"zarr_v2", zarr_v2},
    {"zarr_v3", zarr_v3},
    {"zarr_chunks", zarr_chunks},
    {"zarr_shards", zarr_shards},
    {"ome_image", ome_image},
    {"configuration", configuration},
    {"tiff_image", tiff_image},
}};

}  // namespace flatfield::fuzz
