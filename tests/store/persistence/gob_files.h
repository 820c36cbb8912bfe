// Gob streams for tests: files of tests/data/gob, files put together by hand, and what was read
// from them as values.
#pragma once

#include <cstdint>
#include <fstream>
#include <iterator>
#include <map>
#include <optional>
#include <stdexcept>
#include <string>
#include <string_view>
#include <vector>

#include "store/persistence/gob_reader.h"
#include "store/persistence/gob_writer.h"

namespace pgw {

inline std::string GobFile(const std::string& name) {
  std::ifstream file(PGW_GOB_DATA "/" + name, std::ios::binary);
  std::string bytes(std::istreambuf_iterator<char>(file), {});
  if (bytes.empty()) throw std::runtime_error("cannot read " + name);
  return bytes;
}

// Hexadecimal digits (spaces are for the eye) and text in single quotes: "01 03 'job'".
inline std::string Hex(std::string_view notation) {
  std::string bytes;
  for (std::size_t i = 0; i < notation.size();) {
    if (notation[i] == ' ') {
      ++i;
    } else if (notation[i] == '\'') {
      const std::size_t end = notation.find('\'', i + 1);
      bytes += notation.substr(i + 1, end - i - 1);
      i = end + 1;
    } else {
      bytes += static_cast<char>(std::stoi(std::string(notation.substr(i, 2)), nullptr, 16));
      i += 2;
    }
  }
  return bytes;
}

// An unsigned number in the plain form that takes as many bytes as it needs; below 2^16.
inline std::string Length(std::size_t size) {
  if (size < 0x80) return std::string(1, static_cast<char>(size));
  if (size < 0x100) return {'\xff', static_cast<char>(size)};
  return {'\xfe', static_cast<char>(size >> 8), static_cast<char>(size)};
}

// A message: its length, then what the notation says.
inline std::string Message(std::string_view notation) {
  const std::string bytes = Hex(notation);
  return Length(bytes.size()) + bytes;
}

// The definitions of a Pushgateway's file with ids of our own: 65 is the map of groups, 66 the
// group, 67 the labels, 68 the families, 69 the family, 70 the time, 71 the message.
inline std::string Definitions() {
  return Message("ff81 04 01 02 ff82 00 01 0c 01 ff84 00 00") +
         Message(
             "ff83 03 01 02 ff84 00 01 02"
             "01 06 'Labels' 01 ff86 00 01 07 'Metrics' 01 ff88 00 00 00") +
         Message("ff85 04 01 02 ff86 00 01 0c 01 0c 00 00") +
         Message("ff87 04 01 02 ff88 00 01 0c 01 ff8a 00 00") +
         Message(
             "ff89 03 01 02 ff8a 00 01 02 01 09 'Timestamp' 01 ff8c 00"
             "01 14 'GobbableMetricFamily' 01 ff8e 00 00 00") +
         Message("ff8b 05 01 02 ff8c 00 00 00") + Message("ff8d 05 01 02 ff8e 00 00 00");
}

// Those, and a value message whose map is `groups`: its count and what follows.
inline std::string File(const std::string& groups) {
  return Definitions() + Message("ff82 00" + groups);
}

struct ReadFamily {
  std::optional<std::int64_t> pushed;  // nanoseconds since 1970
  std::optional<std::string> message;

  friend bool operator==(const ReadFamily&, const ReadFamily&) = default;
};

struct ReadGroup {
  std::map<std::string, std::string> labels;
  std::map<std::string, ReadFamily> families;

  friend bool operator==(const ReadGroup&, const ReadGroup&) = default;
};

inline ReadGroup Owned(const GobGroup& group) {
  ReadGroup owned;
  for (const auto& [name, value] : group.labels) owned.labels[std::string(name)] = value;
  for (const GobFamily& family : group.families) {
    ReadFamily& to = owned.families[std::string(family.name)];
    if (family.pushed) to.pushed = family.pushed->time_since_epoch().count();
    if (family.message) to.message = *family.message;
  }
  return owned;
}

inline Status ReadAll(std::string_view file, std::vector<ReadGroup>& groups) {
  return ReadGob(file, [&](const GobGroup& group) {
    groups.push_back(Owned(group));
    return Status();
  });
}

// The error of a file, or "" if it has none.
inline std::string ErrorOf(std::string_view file) {
  const Status status = ReadGob(file, [](const GobGroup&) { return Status(); });
  return status.ok() ? "" : status.error().message;
}

}  // namespace pgw
