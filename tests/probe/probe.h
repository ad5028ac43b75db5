#pragma once

#include <filesystem>
#include <functional>
#include <map>
#include <string>

#include "flatfield/core/block.h"
#include "flatfield/core/json.h"
#include "npy.h"

namespace flatfield::test {

/// One call of the probe: a folder that holds `arguments.json` and NAME.npy inputs, and takes NAME.npy
/// results. It lets the Python tests hold C++ functions against numpy, scipy and scikit-image live.
class ProbeCall {
 public:
  ProbeCall(std::filesystem::path folder, Json arguments)
      : folder_(std::move(folder)), arguments_(std::move(arguments)) {}

  [[nodiscard]] const Json& argument(const std::string& name) const {
    const Json* value = arguments_.find(name);
    if (value == nullptr) throw std::runtime_error("missing argument " + name);
    return *value;
  }
  template <class T>
  [[nodiscard]] Npy<T> array(const std::string& name) const {
    return read_npy<T>(folder_ / (name + ".npy"));
  }
  /// A 3-D (or lower, padded in front with 1) array as a block.
  template <class T>
  [[nodiscard]] Block<T> block(const std::string& name) const {
    const Npy<T> npy = array<T>(name);
    Extent3 shape{1, 1, 1};
    for (std::size_t i = 0; i < npy.shape.size(); ++i)
      shape[static_cast<int>(3 - npy.shape.size() + i)] = npy.shape[i];
    Block<T> out(shape);
    std::copy(npy.values.begin(), npy.values.end(), out.data());
    return out;
  }
  template <class T>
  void put(const std::string& name, const std::vector<std::int64_t>& shape, std::span<const T> values) const {
    write_npy<T>(folder_ / (name + ".npy"), shape, values);
  }
  template <class T>
  void put(const std::string& name, const std::vector<T>& values) const {
    put<T>(name, {static_cast<std::int64_t>(values.size())}, std::span<const T>(values));
  }
  template <class T>
  void put(const std::string& name, const Block<T>& block) const {
    put<T>(name, {block.shape().z, block.shape().y, block.shape().x}, block.span());
  }

 private:
  std::filesystem::path folder_;
  Json arguments_;
};

using ProbeOperations = std::map<std::string, std::function<void(const ProbeCall&)>>;

// Each file of this folder adds the operations of one group of functions.
void add_basic_operations(ProbeOperations& operations);
void add_filter_operations(ProbeOperations& operations);
void add_mixture_operations(ProbeOperations& operations);
void add_quality_operations(ProbeOperations& operations);
void add_spline_operations(ProbeOperations& operations);
void add_weight_operations(ProbeOperations& operations);
void add_zarr_operations(ProbeOperations& operations);

}  // namespace flatfield::test
