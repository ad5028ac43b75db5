#include "flatfield/zarr/filters.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <bit>
#include <cmath>
#include <cstring>
#include <limits>
#include <type_traits>

#include "flatfield/core/error.h"
#include "flatfield/core/object_reader.h"
#include "flatfield/zarr/half.h"
#include "flatfield/zarr/stored_type.h"

namespace flatfield::zarr {
namespace {

using ConstBytes = std::span<const std::byte>;
using Bytes = std::span<std::byte>;

/// Elements that are converted at a time: they stay in the L1 cache.
constexpr std::size_t kBlock = 1024;

bool is_float(DType dtype) {
  return dtype == DType::kFloat16 || dtype == DType::kFloat32 || dtype == DType::kFloat64;
}
bool is_complex(DType dtype) { return dtype == DType::kComplex64 || dtype == DType::kComplex128; }

/// Calls `f` with a value of the C++ type of a real element.
template <class F>
void with_type(DType dtype, F f) {
  switch (dtype) {
    case DType::kInt8: return f(std::int8_t{});
    case DType::kInt16: return f(std::int16_t{});
    case DType::kUint16: return f(std::uint16_t{});
    case DType::kInt32: return f(std::int32_t{});
    case DType::kUint32: return f(std::uint32_t{});
    case DType::kInt64: return f(std::int64_t{});
    case DType::kUint64: return f(std::uint64_t{});
    case DType::kFloat16: return f(Half{});
    case DType::kFloat32: return f(float{});
    case DType::kFloat64: return f(double{});
    default: return f(std::uint8_t{});  // a bool is a byte
  }
}

template <class To, class From>
To element_as(From value) {
  if constexpr (std::is_same_v<From, Half>) {
    return element_as<To>(value.value());
  } else if constexpr (std::is_same_v<To, Half>) {
    return Half::from(static_cast<double>(value));
  } else if constexpr (std::is_integral_v<To> && std::is_floating_point_v<From>) {
    // Towards zero as in C; what does not fit is undefined there, the nearest value here.
    if (std::isnan(value)) return To{0};
    if (value >= static_cast<From>(std::numeric_limits<To>::max()))
      return std::numeric_limits<To>::max();
    if (value <= static_cast<From>(std::numeric_limits<To>::min()))
      return std::numeric_limits<To>::min();
    return static_cast<To>(value);
  } else {
    return static_cast<To>(value);
  }
}

/// Elements of a stored type, as Wide: double, or std::uint64_t for integers (signed ones are
/// extended).
template <class Wide>
void load(ConstBytes from, const StoredType& type, std::span<Wide> into) {
  alignas(8) std::array<std::byte, kBlock * sizeof(double)> native;
  std::copy(from.begin(), from.end(), native.begin());
  swap_bytes(std::span(native).first(from.size()), swap_unit(type));
  with_type(type.dtype, [&](auto zero) {
    using T = decltype(zero);
    for (std::size_t i = 0; i < into.size(); ++i) {
      T element;
      std::memcpy(&element, native.data() + i * sizeof(T), sizeof(T));
      into[i] = element_as<Wide>(element);
    }
  });
}

template <class Wide>
void store(std::span<const Wide> from, const StoredType& type, Bytes into) {
  with_type(type.dtype, [&](auto zero) {
    using T = decltype(zero);
    for (std::size_t i = 0; i < from.size(); ++i) {
      auto element = element_as<T>(from[i]);
      if (type.dtype == DType::kBool) element = element_as<T>(from[i] != Wide{0} ? 1 : 0);
      std::memcpy(into.data() + i * sizeof(T), &element, sizeof(T));
    }
  });
  swap_bytes(into, swap_unit(type));
}

/// Converts all elements of `encoded`, block by block, with `change` in between.
template <class Wide, class Change>
void convert(const Filter& filter, ConstBytes encoded, Bytes into, Change change) {
  const std::size_t from_size = size_of(filter.encoded.dtype);
  const std::size_t to_size = size_of(filter.decoded.dtype);
  std::array<Wide, kBlock> values;
  for (std::size_t first = 0, total = encoded.size() / from_size; first < total; first += kBlock) {
    const std::size_t n = std::min(kBlock, total - first);
    const std::span<Wide> block = std::span(values).first(n);
    load(encoded.subspan(first * from_size, n * from_size), filter.encoded, block);
    for (Wide& value : block) value = change(value);
    store(std::span<const Wide>(block), filter.decoded, into.subspan(first * to_size, n * to_size));
  }
}

/// The nearest value of a floating point type. A result of + or / that is computed in double and
/// then rounded is the one that the type's own arithmetic gives.
double rounded(double value, DType dtype) {
  if (dtype == DType::kFloat32) return static_cast<double>(static_cast<float>(value));
  if (dtype == DType::kFloat16) return Half::from(value).value();
  return value;
}

void decode_delta(const Filter& filter, ConstBytes encoded, Bytes into) {
  const DType dtype = filter.decoded.dtype;
  if (is_float(dtype)) {
    double sum = 0.0;
    convert<double>(filter, encoded, into, [&](double d) { return sum = rounded(sum + d, dtype); });
    return;
  }
  std::uint64_t sum = 0;
  const bool is_bool = dtype == DType::kBool;  // the difference of bools is whether they differ
  convert<std::uint64_t>(filter, encoded, into,
                         [&](std::uint64_t d) { return sum = is_bool ? sum ^ d : sum + d; });
}

void decode_fixed_scale_offset(const Filter& filter, ConstBytes encoded, Bytes into) {
  const DType dtype = filter.encoded.dtype;  // integers are computed with in double
  const double scale = rounded(filter.scale, dtype);
  const double offset = rounded(filter.offset, dtype);
  convert<double>(filter, encoded, into, [&](double value) {
    return rounded(rounded(value / scale, dtype) + offset, dtype);
  });
}

/// Elements of 64 bits, Integer, as float32 in one rounding: by way of double some would be rounded twice.
template <class Integer>
void convert_to_float32(const Filter& filter, ConstBytes encoded, Bytes into) {
  std::array<std::uint64_t, kBlock> values;
  std::array<float, kBlock> floats;
  for (std::size_t first = 0, total = encoded.size() / sizeof(Integer); first < total; first += kBlock) {
    const std::size_t n = std::min(kBlock, total - first);
    load(encoded.subspan(first * sizeof(Integer), n * sizeof(Integer)), filter.encoded, std::span(values).first(n));
    std::transform(values.begin(), values.begin() + static_cast<std::ptrdiff_t>(n), floats.begin(),
                   [](std::uint64_t value) { return static_cast<float>(static_cast<Integer>(value)); });
    const Bytes part = into.subspan(first * sizeof(float), n * sizeof(float));
    std::memcpy(part.data(), floats.data(), part.size());
    swap_bytes(part, swap_unit(filter.decoded));
  }
}

void decode_astype(const Filter& filter, ConstBytes encoded, Bytes into) {
  const bool to_float32 = filter.decoded.dtype == DType::kFloat32;
  if (to_float32 && filter.encoded.dtype == DType::kInt64)
    convert_to_float32<std::int64_t>(filter, encoded, into);
  else if (to_float32 && filter.encoded.dtype == DType::kUint64)
    convert_to_float32<std::uint64_t>(filter, encoded, into);
  else if (is_float(filter.encoded.dtype) || is_float(filter.decoded.dtype))
    convert<double>(filter, encoded, into, [](double value) { return value; });
  else
    convert<std::uint64_t>(filter, encoded, into, [](std::uint64_t value) { return value; });
}

void decode_shuffle(const Filter& filter, ConstBytes encoded, Bytes into) {
  const std::size_t count = encoded.size() / filter.stride;
  for (std::size_t byte = 0; byte < filter.stride; ++byte)
    for (std::size_t i = 0; i < count; ++i)
      into[i * filter.stride + byte] = encoded[byte * count + i];
}

/// What only loses precision when it encodes has nothing to decode.
void decode_nothing(const Filter& /*filter*/, ConstBytes encoded, Bytes into) {
  std::copy(encoded.begin(), encoded.end(), into.begin());
}

constexpr std::array<FilterInfo, 6> kTable{{
    {"delta", decode_delta},
    {"shuffle", decode_shuffle},
    {"fixedscaleoffset", decode_fixed_scale_offset},
    {"astype", decode_astype},
    {"quantize", decode_astype},
    {"bitround", decode_nothing},
}};

/// The stored type in the member `key`, or `otherwise`; a filter must be able to compute with it.
StoredType read_type(const ObjectReader& reader, std::string_view key,
                     const StoredType& otherwise) {
  const StoredType type =
      reader.optional(key) == nullptr ? otherwise : parse_stored_type(reader, key);
  if (is_complex(type.dtype))
    throw Error(ErrorCode::kUnsupported,
                fmt::format("{}: filters of {} are not supported", reader.path_of(key),
                            name_of(type.dtype)),
                reader.where(), "write the array without filters");
  return type;
}

}  // namespace

const FilterInfo* find_filter(std::string_view id) noexcept {
  const auto it = std::find_if(kTable.begin(), kTable.end(),
                               [&](const FilterInfo& row) { return row.id == id; });
  return it == kTable.end() ? nullptr : &*it;
}

std::string filter_ids() {
  std::string ids;
  for (const FilterInfo& row : kTable) ids += (ids.empty() ? "" : ", ") + std::string(row.id);
  return ids;
}

Filter parse_filter(const Json& json, const StoredType& type, const std::string& where,
                    const std::string& path) {
  const ObjectReader reader(json, where, path);
  Filter filter;
  filter.id = reader.get_string("id");
  if (find_filter(filter.id) == nullptr)
    throw Error(ErrorCode::kUnsupported,
                fmt::format("{}: the filter \"{}\" is not supported", path, filter.id), where,
                fmt::format("write the array without filters, or with {}", filter_ids()));
  filter.decoded = filter.encoded = type;
  if (filter.id == "shuffle") {
    constexpr std::int64_t kMostBytes = 1 << 20;
    const std::int64_t stride = reader.optional("elementsize") == nullptr
                                    ? 4
                                    : reader.get_int("elementsize", 0, kMostBytes);
    filter.stride = static_cast<std::size_t>(std::max<std::int64_t>(stride, 1));
    return filter;
  }
  if (filter.id == "bitround") return filter;
  if (filter.id == "astype") {
    filter.decoded = read_type(reader, "decode_dtype", type);
    filter.encoded = read_type(reader, "encode_dtype", type);
  } else {
    filter.decoded = read_type(reader, "dtype", type);
    filter.encoded = read_type(reader, "astype", filter.decoded);
  }
  if (filter.id == "delta" && is_float(filter.decoded.dtype) != is_float(filter.encoded.dtype))
    throw Error(ErrorCode::kUnsupported,
                fmt::format("{}: the filter \"delta\" is not supported from {} to {}", path,
                            name_of(filter.encoded.dtype), name_of(filter.decoded.dtype)),
                where, "write the array without filters");
  if (filter.id == "fixedscaleoffset") {
    filter.scale = reader.get_double("scale");
    filter.offset = reader.get_double("offset");
    if (filter.scale == 0.0) reader.fail("scale", "0 cannot be undone");
  }
  return filter;
}

std::optional<std::size_t> filtered_bytes(const Filter& filter, std::size_t decoded_bytes) {
  const std::size_t itemsize = size_of(filter.decoded.dtype);
  if (decoded_bytes % itemsize != 0 || decoded_bytes % filter.stride != 0) return std::nullopt;
  return decoded_bytes / itemsize * size_of(filter.encoded.dtype);
}

}  // namespace flatfield::zarr
