#include "flatfield/zarr/fill_value.h"

#include <algorithm>
#include <charconv>
#include <cmath>
#include <cstring>
#include <limits>
#include <string_view>
#include <utility>

#include "flatfield/zarr/half.h"

namespace flatfield::zarr {
namespace {

using Bytes = std::vector<std::byte>;

template <class T>
Bytes bytes_of(const T& value) {
  Bytes out(sizeof value);
  std::memcpy(out.data(), &value, sizeof value);
  return out;
}

template <class T>
T element_as(std::span<const std::byte> bytes) {
  T value;
  std::memcpy(&value, bytes.data(), sizeof value);
  return value;
}

template <class T>
std::optional<Bytes> parse_integer(const Json& value) {
  const auto checked = [](auto integer) -> std::optional<Bytes> {
    if (!std::in_range<T>(integer)) return std::nullopt;
    return bytes_of(static_cast<T>(integer));
  };
  if (value.is_big()) return checked(value.as_uint64());
  if (value.is_integer()) return checked(value.as_int64());
  if (!value.is_number()) return std::nullopt;
  const double number = value.as_double();
  if (std::trunc(number) != number || number < -0x1p63 || number >= 0x1p64) return std::nullopt;
  if (number < 0) return checked(static_cast<std::int64_t>(number));
  return checked(static_cast<std::uint64_t>(number));
}

std::optional<double> parse_double(const Json& value) {
  if (value.is_number()) return value.as_double();
  if (!value.is_string()) return std::nullopt;
  if (value.as_string() == "NaN") return std::numeric_limits<double>::quiet_NaN();
  if (value.as_string() == "Infinity") return std::numeric_limits<double>::infinity();
  if (value.as_string() == "-Infinity") return -std::numeric_limits<double>::infinity();
  return std::nullopt;
}

/// T is Half, float or double. A finite number that rounds to infinity does not fit.
template <class T>
std::optional<Bytes> parse_float(const Json& value) {
  const std::optional<double> number = parse_double(value);
  if (!number) return std::nullopt;
  if constexpr (std::is_same_v<T, Half>) {
    const Half rounded = Half::from(*number);
    if (std::isfinite(*number) && !std::isfinite(rounded.value())) return std::nullopt;
    return bytes_of(rounded);
  } else {
    const T rounded = static_cast<T>(*number);
    if (std::isfinite(*number) && !std::isfinite(rounded)) return std::nullopt;
    return bytes_of(rounded);
  }
}

template <class T>
std::optional<Bytes> parse_complex(const Json& value) {
  if (!value.is_array() || value.as_array().size() != 2) return std::nullopt;
  auto real = parse_float<T>(value.as_array()[0]);
  const auto imaginary = parse_float<T>(value.as_array()[1]);
  if (!real || !imaginary) return std::nullopt;
  real->insert(real->end(), imaginary->begin(), imaginary->end());
  return real;
}

/// "0x" and two digits per byte of an element, the most significant first.
std::optional<Bytes> parse_bits(std::string_view text, std::size_t size) {
  std::uint64_t bits = 0;
  text.remove_prefix(2);
  const auto [end, failure] = std::from_chars(text.data(), text.data() + text.size(), bits, 16);
  if (failure != std::errc{} || end != text.data() + text.size() || text.size() != 2 * size)
    return std::nullopt;
  if (size == sizeof(std::uint16_t)) return bytes_of(static_cast<std::uint16_t>(bits));
  if (size == sizeof(std::uint32_t)) return bytes_of(static_cast<std::uint32_t>(bits));
  return bytes_of(bits);
}

std::optional<Bytes> parse_bool(const Json& value) {
  if (value.is_bool()) return bytes_of<std::uint8_t>(value.as_bool() ? 1 : 0);
  auto number = parse_integer<std::uint8_t>(value);
  if (!number || element_as<std::uint8_t>(*number) > 1) return std::nullopt;
  return number;
}

Json print_double(double value) {
  if (std::isnan(value)) return "NaN";
  if (std::isinf(value)) return value > 0 ? "Infinity" : "-Infinity";
  return value;
}

template <class T>
Json print_complex(std::span<const std::byte> element) {
  return Json(
      Json::Array{print_double(static_cast<double>(element_as<T>(element))),
                  print_double(static_cast<double>(element_as<T>(element.subspan(sizeof(T)))))});
}

}  // namespace

std::optional<Bytes> parse_fill_value(const Json& value, DType dtype) {
  switch (dtype) {
    case DType::kBool: return parse_bool(value);
    case DType::kInt8: return parse_integer<std::int8_t>(value);
    case DType::kUint8: return parse_integer<std::uint8_t>(value);
    case DType::kInt16: return parse_integer<std::int16_t>(value);
    case DType::kUint16: return parse_integer<std::uint16_t>(value);
    case DType::kInt32: return parse_integer<std::int32_t>(value);
    case DType::kUint32: return parse_integer<std::uint32_t>(value);
    case DType::kInt64: return parse_integer<std::int64_t>(value);
    case DType::kUint64: return parse_integer<std::uint64_t>(value);
    case DType::kFloat16: return parse_float<Half>(value);
    case DType::kFloat32: return parse_float<float>(value);
    case DType::kFloat64: return parse_float<double>(value);
    case DType::kComplex64: return parse_complex<float>(value);
    case DType::kComplex128: return parse_complex<double>(value);
  }
  return std::nullopt;
}

std::optional<Bytes> parse_fill_value_v3(const Json& value, DType dtype) {
  switch (dtype) {
    case DType::kBool:
      if (!value.is_bool()) return std::nullopt;
      break;
    case DType::kFloat16:
    case DType::kFloat32:
    case DType::kFloat64:
      if (value.is_string() && value.as_string().starts_with("0x"))
        return parse_bits(value.as_string(), size_of(dtype));
      break;
    case DType::kComplex64:
    case DType::kComplex128: {
      if (!value.is_array() || value.as_array().size() != 2) return std::nullopt;
      const DType part = dtype == DType::kComplex64 ? DType::kFloat32 : DType::kFloat64;
      auto real = parse_fill_value_v3(value.as_array()[0], part);
      const auto imaginary = parse_fill_value_v3(value.as_array()[1], part);
      if (!real || !imaginary) return std::nullopt;
      real->insert(real->end(), imaginary->begin(), imaginary->end());
      return real;
    }
    default: break;
  }
  return parse_fill_value(value, dtype);
}

Json print_fill_value(std::span<const std::byte> element, DType dtype) {
  switch (dtype) {
    case DType::kBool: return Json(element_as<std::uint8_t>(element) != 0);
    case DType::kInt8: return element_as<std::int8_t>(element);
    case DType::kUint8: return element_as<std::uint8_t>(element);
    case DType::kInt16: return element_as<std::int16_t>(element);
    case DType::kUint16: return element_as<std::uint16_t>(element);
    case DType::kInt32: return element_as<std::int32_t>(element);
    case DType::kUint32: return element_as<std::uint32_t>(element);
    case DType::kInt64: return element_as<std::int64_t>(element);
    case DType::kUint64: return element_as<std::uint64_t>(element);
    case DType::kFloat16: return print_double(element_as<Half>(element).value());
    case DType::kFloat32: return print_double(static_cast<double>(element_as<float>(element)));
    case DType::kFloat64: return print_double(element_as<double>(element));
    case DType::kComplex64: return print_complex<float>(element);
    case DType::kComplex128: return print_complex<double>(element);
  }
  return nullptr;
}

void fill_elements(std::span<const std::byte> element, std::span<std::byte> into) {
  if (into.empty()) return;
  const std::byte first = element.front();
  if (std::all_of(element.begin(), element.end(), [&](std::byte b) { return b == first; })) {
    std::memset(into.data(), std::to_integer<int>(first), into.size());
    return;
  }
  // What is filled already is copied behind itself: a few large copies instead of many small ones.
  std::size_t filled = element.size();
  std::copy(element.begin(), element.end(), into.begin());
  while (filled < into.size()) {
    const std::size_t n = std::min(filled, into.size() - filled);
    std::memcpy(into.data() + filled, into.data(), n);
    filled += n;
  }
}

}  // namespace flatfield::zarr
