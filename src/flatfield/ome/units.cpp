#include "flatfield/ome/units.h"

#include <array>
#include <cmath>

namespace flatfield::ome {
namespace {

/// A decimal prefix: 10^exponent.
struct Prefix {
  std::string_view name;
  int exponent;
};

constexpr std::array<Prefix, 21> kPrefixes{{{"", 0},       {"yocto", -24}, {"zepto", -21}, {"atto", -18}, {"femto", -15},
                                            {"pico", -12}, {"nano", -9},   {"micro", -6},  {"milli", -3}, {"centi", -2},
                                            {"deci", -1},  {"deca", 1},    {"hecto", 2},   {"kilo", 3},   {"mega", 6},
                                            {"giga", 9},   {"tera", 12},   {"peta", 15},   {"exa", 18},   {"zetta", 21},
                                            {"yotta", 24}}};

/// A unit that is `factor` times 10^exponent of the base unit of its kind.
struct Unit {
  std::string_view name;
  std::string_view base;
  double factor;
  int exponent;
};

constexpr std::array<Unit, 9> kOtherUnits{{{"angstrom", "meter", 1, -10},
                                           {"inch", "meter", 254, -4},
                                           {"foot", "meter", 3048, -4},
                                           {"yard", "meter", 9144, -4},
                                           {"mile", "meter", 1609344, -3},
                                           {"parsec", "meter", 3.0856775814913673, 16},
                                           {"minute", "second", 60, 0},
                                           {"hour", "second", 3600, 0},
                                           {"day", "second", 86400, 0}}};

std::optional<Unit> find_unit(std::string_view name) {
  for (const Unit& unit : kOtherUnits)
    if (unit.name == name) return unit;
  for (const std::string_view base : {std::string_view("meter"), std::string_view("second")}) {
    if (!name.ends_with(base)) continue;
    for (const Prefix& prefix : kPrefixes)
      if (prefix.name == name.substr(0, name.size() - base.size())) return Unit{name, base, 1, prefix.exponent};
  }
  return std::nullopt;
}

}  // namespace

std::optional<double> convert_unit(double value, std::string_view from, std::string_view to) {
  if (from == to) return value;
  const std::optional<Unit> a = find_unit(from);
  const std::optional<Unit> b = find_unit(to);
  if (!a || !b || a->base != b->base) return std::nullopt;
  const int exponent = a->exponent - b->exponent;
  const double factor = a->factor / b->factor;
  // Powers of ten below 1 are no doubles, so it is divided by those above: 748 nanometer are 0.748 micrometer, to the bit.
  return exponent < 0 ? value * factor / std::pow(10.0, -exponent) : value * (factor * std::pow(10.0, exponent));
}

}  // namespace flatfield::ome
