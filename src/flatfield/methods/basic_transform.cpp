#include "flatfield/methods/basic_transform.h"

#include <fmt/format.h>

#include <vector>

#include "flatfield/core/error.h"

namespace flatfield::methods {
namespace {

/// The baseline of each image; zeros if it is not needed.
std::vector<float> baselines(const FrameStack& images, const BasicFit& fit, Timelapse timelapse,
                             std::span<const std::int64_t> frame_indices) {
  std::vector<float> out(static_cast<std::size_t>(images.frames), 0.0F);
  if (timelapse == Timelapse::kNone) return out;
  const auto frames = static_cast<std::int64_t>(fit.baseline.size());
  if (frames == 0)
    throw Error(ErrorCode::kUsage, "BaSiC: a time lapse needs a fit with a baseline");
  const bool all = frame_indices.empty();
  const auto expected = all ? frames : static_cast<std::int64_t>(frame_indices.size());
  if (images.frames != expected)
    throw Error(ErrorCode::kUsage,
                fmt::format("BaSiC: expected {} images, one for each {}, found {}", expected,
                            all ? "frame of the fit" : "frame index", images.frames));
  for (std::size_t i = 0; i < out.size(); ++i) {
    const std::int64_t frame = all ? static_cast<std::int64_t>(i) : frame_indices[i];
    if (frame < 0 || frame >= frames)
      throw Error(ErrorCode::kUsage,
                  fmt::format("BaSiC: the fit has frames 0 to {}, not {}", frames - 1, frame));
    out[i] = fit.baseline[static_cast<std::size_t>(frame)];
  }
  return out;
}

/// v in 0..65535; 0 for a value that is not a number.
float clipped(float v) {
  const float raised = v > 0.0F ? v : 0.0F;
  return raised < 65535.0F ? raised : 65535.0F;
}

}  // namespace

void transform_basic(const FrameStack& images, const BasicFit& fit, Timelapse timelapse,
                     std::span<const std::int64_t> frame_indices, Clipping clipping,
                     std::span<float> out, const ParallelFor& parallel_for) {
  if (images.shape != fit.flatfield.shape() || images.shape != fit.darkfield.shape())
    throw Error(ErrorCode::kBadInput,
                fmt::format("BaSiC: expected frames of {} as in the fit, found {}",
                            to_string(fit.flatfield.shape()), to_string(images.shape)));
  if (out.size() != static_cast<std::size_t>(images.size()))
    throw Error(ErrorCode::kInternal, "transform_basic: the output has another size");
  const std::vector<float> baseline = baselines(images, fit, timelapse, frame_indices);
  const std::int64_t pixels = images.shape.volume();
  const float* const s = fit.flatfield.data();
  const float* const d = fit.darkfield.data();
  parallel_for(images.frames, [&](std::int64_t n) {
    const float* const x = images.data + n * pixels;
    float* const to = out.data() + n * pixels;
    const float b = baseline[static_cast<std::size_t>(n)];
    switch (timelapse) {
      case Timelapse::kNone:
        for (std::int64_t i = 0; i < pixels; ++i) to[i] = (x[i] - d[i]) / s[i];
        break;
      case Timelapse::kMultiplicative:
        for (std::int64_t i = 0; i < pixels; ++i) to[i] = (x[i] - d[i]) / s[i] - b;
        break;
      case Timelapse::kAdditive:
        for (std::int64_t i = 0; i < pixels; ++i) to[i] = x[i] - d[i] - s[i] * b;
        break;
    }
    if (clipping == Clipping::kToUint16)
      for (std::int64_t i = 0; i < pixels; ++i) to[i] = clipped(to[i]);
  });
}

}  // namespace flatfield::methods
