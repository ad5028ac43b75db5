#include "flatfield/storage/utc_time.h"

#include <fmt/format.h>

#include <array>
#include <chrono>
#include <cstdio>

namespace flatfield::storage {
namespace {

namespace chrono = std::chrono;

std::optional<UnixSeconds> from_fields(int year, int month, int day, int hour, int minute,
                                       int second) {
  const chrono::year_month_day date{chrono::year(year), chrono::month(static_cast<unsigned>(month)),
                                    chrono::day(static_cast<unsigned>(day))};
  // 60: a leap second.
  if (month < 1 || day < 1 || !date.ok() || hour < 0 || hour > 23 || minute < 0 || minute > 59 ||
      second < 0 || second > 60)
    return std::nullopt;
  const chrono::sys_seconds time = chrono::sys_days(date) + chrono::hours(hour) +
                                   chrono::minutes(minute) + chrono::seconds(second);
  return time.time_since_epoch().count();
}

}  // namespace

UnixSeconds unix_now() {
  return chrono::duration_cast<chrono::seconds>(chrono::system_clock::now().time_since_epoch())
      .count();
}

std::string basic_timestamp(UnixSeconds seconds) {
  const chrono::sys_seconds time{chrono::seconds(seconds)};
  const auto day = chrono::floor<chrono::days>(time);
  const chrono::year_month_day date(day);
  const chrono::hh_mm_ss clock(time - day);
  return fmt::format("{:04}{:02}{:02}T{:02}{:02}{:02}Z", static_cast<int>(date.year()),
                     static_cast<unsigned>(date.month()), static_cast<unsigned>(date.day()),
                     clock.hours().count(), clock.minutes().count(), clock.seconds().count());
}

std::optional<UnixSeconds> parse_iso_time(std::string_view text) {
  const std::string line(text);
  int year = 0, month = 0, day = 0, hour = 0, minute = 0, second = 0, end = 0;
  if (std::sscanf(line.c_str(), "%4d-%2d-%2dT%2d:%2d:%2d%n", &year, &month, &day, &hour, &minute,
                  &second, &end) != 6)
    return std::nullopt;
  const auto time = from_fields(year, month, day, hour, minute, second);
  if (!time) return std::nullopt;
  std::string zone = line.substr(static_cast<std::size_t>(end));
  if (zone.starts_with('.'))
    zone.erase(0, std::min(zone.find_first_not_of("0123456789", 1), zone.size()));
  if (zone == "Z") return time;
  char sign = 0;
  int hours = 0, minutes = 0;
  end = 0;
  if (std::sscanf(zone.c_str(), "%c%2d:%2d%n", &sign, &hours, &minutes, &end) != 3 ||
      static_cast<std::size_t>(end) != zone.size() || (sign != '+' && sign != '-') || hours < 0 ||
      minutes < 0)
    return std::nullopt;
  const std::int64_t offset = hours * 3600 + minutes * 60;
  return sign == '+' ? *time - offset : *time + offset;
}

std::optional<UnixSeconds> parse_http_date(std::string_view text) {
  constexpr std::array<std::string_view, 12> kMonths{"Jan", "Feb", "Mar", "Apr", "May", "Jun",
                                                     "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"};
  const std::string line(text);
  std::array<char, 4> month{};
  int day = 0, year = 0, hour = 0, minute = 0, second = 0;
  if (std::sscanf(line.c_str(), "%*3[A-Za-z], %2d %3s %4d %2d:%2d:%2d GMT", &day, month.data(),
                  &year, &hour, &minute, &second) != 6)
    return std::nullopt;
  for (std::size_t i = 0; i < kMonths.size(); ++i)
    if (kMonths[i] == month.data())
      return from_fields(year, static_cast<int>(i) + 1, day, hour, minute, second);
  return std::nullopt;
}

}  // namespace flatfield::storage
