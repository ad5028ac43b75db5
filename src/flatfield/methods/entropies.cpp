#include "flatfield/methods/entropies.h"

#include <algorithm>
#include <cmath>

namespace flatfield::methods {
namespace {

std::optional<double> sum(std::vector<DensityBins>& parts, const Merge& merge) {
  if (parts.empty()) return std::nullopt;
  for (std::size_t i = 1; i < parts.size(); ++i) parts[0].add(parts[i]);
  parts[0].merge(merge);
  return parts[0].differential_entropy();
}

}  // namespace

DensityBins::DensityBins(double lo, double hi)
    : lo_(lo),
      hi_(hi),
      width_((hi - lo) / static_cast<double>(kBins)),
      per_width_(static_cast<double>(kBins) / (hi - lo)) {}

void DensityBins::add(std::span<const float> values, std::span<const std::uint8_t> inside) {
  constexpr std::size_t kPiece = 256;
  if (!(width_ > 0.0)) return;
  std::array<std::uint32_t, kPiece> bins;
  for (std::size_t first = 0; first < values.size(); first += kPiece) {
    const std::size_t count = std::min(kPiece, values.size() - first);
    for (std::size_t i = 0; i < count; ++i) {
      const auto v = static_cast<double>(values[first + i]);
      const bool counts = v >= lo_ && v <= hi_ && inside[first + i] != 0;
      const double bin = std::min((v - lo_) * per_width_, static_cast<double>(kBins - 1));
      bins[i] = static_cast<std::uint32_t>(counts ? static_cast<std::int32_t>(bin) : static_cast<std::int32_t>(kBins));
    }
    for (std::size_t i = 0; i < count; ++i) ++counts_[bins[i]];
  }
}

void DensityBins::add(const DensityBins& other) {
  for (std::size_t bin = 0; bin < counts_.size(); ++bin) counts_[bin] += other.counts_[bin];
}

std::optional<double> DensityBins::differential_entropy() const {
  const auto counts = std::span(counts_).first(kBins);
  std::int64_t total = 0;
  for (const std::int64_t count : counts) total += count;
  if (total == 0) return std::nullopt;
  double entropy = std::log(width_);
  for (const std::int64_t count : counts) {
    if (count == 0) continue;
    const double share = static_cast<double>(count) / static_cast<double>(total);
    entropy -= share * std::log(share);
  }
  return entropy;
}

Entropies::Entropies(double lo, double hi, double scale, int workers)
    : scale_(std::isfinite(scale) && scale > 0.0 ? scale : 0.0),
      before_(static_cast<std::size_t>(workers), DensityBins(lo, hi)) {
  if (scale_ > 0.0) after_.assign(before_.size(), DensityBins(lo * scale_, hi * scale_));
}

void Entropies::add_before(std::span<const float> values, std::span<const std::uint8_t> inside, int worker) {
  if (!before_.empty()) before_[static_cast<std::size_t>(worker)].add(values, inside);
}

void Entropies::add_after(std::span<const float> values, std::span<const std::uint8_t> inside, int worker) {
  if (!after_.empty()) after_[static_cast<std::size_t>(worker)].add(values, inside);
}

Change Entropies::values(const Merge& merge) {
  Change entropy;
  entropy.before = sum(before_, merge);
  entropy.after = sum(after_, merge);
  if (entropy.after) *entropy.after -= std::log(scale_);
  return entropy;
}

}  // namespace flatfield::methods
