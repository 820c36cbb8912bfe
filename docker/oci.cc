#include "docker/oci.h"

#include <array>
#include <charconv>
#include <chrono>
#include <cstdio>

namespace pgw::image {
namespace {

struct CivilTime {
  int year;
  unsigned month, day, weekday;
  int hour, minute, second;
};

CivilTime Civil(std::int64_t epoch_seconds) {
  namespace chrono = std::chrono;
  const chrono::sys_seconds time{chrono::seconds(epoch_seconds)};
  const chrono::sys_days day = chrono::floor<chrono::days>(time);
  const chrono::year_month_day date(day);
  const chrono::hh_mm_ss clock(time - day);
  return {int(date.year()),
          unsigned(date.month()),
          unsigned(date.day()),
          chrono::weekday(day).c_encoding(),
          int(clock.hours().count()),
          int(clock.minutes().count()),
          int(clock.seconds().count())};
}

}  // namespace

Descriptor DescriptorOf(std::string_view media_type, std::string_view content) {
  return {std::string(media_type), Digest::Of(content), content.size()};
}

JsonObject ToJson(const Descriptor& descriptor) {
  JsonObject object;
  object["mediaType"] = descriptor.media_type;
  object["digest"] = descriptor.digest.text();
  object["size"] = descriptor.size;
  return object;
}

Result<Descriptor> ParseDescriptor(const Json& value) {
  if (!value.is_object()) return InvalidArgument("a descriptor is an object");
  const std::optional<Digest> digest = Digest::Parse(StringMember(value, "digest"));
  if (!digest) return InvalidArgument("a descriptor without a sha256 digest");
  const Json* const size = FindMember(value, "size");
  if (size == nullptr || !size->is_int64() || size->get_int64() < 0) {
    return InvalidArgument("the descriptor of " + digest->text() + " has no size");
  }
  return Descriptor{std::string(StringMember(value, "mediaType")), *digest,
                    static_cast<std::uint64_t>(size->get_int64())};
}

std::string FormatRfc3339(std::int64_t epoch_seconds) {
  const CivilTime time = Civil(epoch_seconds);
  std::array<char, 64> text{};
  std::snprintf(text.data(), text.size(), "%04d-%02u-%02uT%02d:%02d:%02dZ", time.year, time.month,
                time.day, time.hour, time.minute, time.second);
  return text.data();
}

std::optional<std::int64_t> ParseRfc3339(std::string_view text) {
  if (text.size() != 20) return std::nullopt;
  const auto number = [&text](std::size_t at, std::size_t size) {
    int value = 0;
    const char* const end = text.data() + at + size;
    return std::from_chars(text.data() + at, end, value).ptr == end ? value : -1;
  };
  namespace chrono = std::chrono;
  const chrono::year_month_day date(chrono::year(number(0, 4)),
                                    chrono::month(static_cast<unsigned>(number(5, 2))),
                                    chrono::day(static_cast<unsigned>(number(8, 2))));
  if (!date.ok()) return std::nullopt;
  const std::int64_t seconds_of_day = number(11, 2) * 3600 + number(14, 2) * 60 + number(17, 2);
  const std::int64_t time =
      chrono::sys_days(date).time_since_epoch().count() * std::int64_t{86400} + seconds_of_day;
  // Only what we would write: punctuation and ranges are checked by writing it again.
  return FormatRfc3339(time) == text ? std::optional(time) : std::nullopt;
}

std::string FormatDateUtc(std::int64_t epoch_seconds) {
  constexpr std::array kDays{"Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat"};
  constexpr std::array kMonths{"Jan", "Feb", "Mar", "Apr", "May", "Jun",
                               "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"};
  const CivilTime time = Civil(epoch_seconds);
  std::array<char, 64> text{};
  std::snprintf(text.data(), text.size(), "%s %s %2u %02d:%02d:%02d UTC %04d", kDays[time.weekday],
                kMonths[time.month - 1], time.day, time.hour, time.minute, time.second, time.year);
  return text.data();
}

}  // namespace pgw::image
