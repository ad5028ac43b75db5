#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "flatfield/core/json.h"
#include "flatfield/storage/open_store.h"

namespace flatfield::pipeline {

/// How an image is shown.
enum class LayerKind : std::uint8_t { kGrey, kPreview, kMask, kProbability };

/// An image that is shown: a part of the answer to "view".
struct ViewLayer {
  std::string name;      ///< of the layer, unique
  std::string route;     ///< its folder on the server: "TILE/corrected"
  std::string location;  ///< of the image
  LayerKind kind = LayerKind::kGrey;
  bool visible = true;   ///< at first
};

/// The images that belong to an output: `output` is a corrected image, or a folder of such. For each the input that it
/// was made of (as its provenance of either schema says, or `input` where that is given), and the mask and the probability
/// that lie where a run puts them, whichever of the two forms --output had. `notes` says which input is not known or not
/// there, and which mask or probability is not there although it was written: as far as provenance and outcome tell, so not
/// of a tile that only its background was subtracted from. Throws Error(kNotFound) where `output` holds no finished image.
[[nodiscard]] std::vector<ViewLayer> find_layers(const std::string& output, const std::string& input,
                                                 storage::StoreOpener& stores, std::vector<std::string>& notes);

/// The state of Neuroglancer that shows the layers, served at `url` ("http://127.0.0.1:PORT"): a layer for each channel,
/// its contrast from percentiles of a sample of its coarsest level.
[[nodiscard]] Json neuroglancer_state(const std::vector<ViewLayer>& layers, const std::string& url,
                                      storage::StoreOpener& stores);

}  // namespace flatfield::pipeline
