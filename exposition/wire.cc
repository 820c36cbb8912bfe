#include "exposition/wire.h"

#include <array>
#include <bit>
#include <limits>

namespace pgw {
namespace {

constexpr std::uint32_t kStartGroup = 3;
constexpr std::uint32_t kEndGroup = 4;

// A tag as it comes, with the value behind it unless it opens or closes a group.
struct RawField {
  std::uint32_t number = 0;
  std::uint32_t type = 0;
  std::uint64_t value = 0;
  std::string_view bytes;
};

std::uint64_t LittleEndian(std::string_view bytes) {
  std::uint64_t value = 0;
  for (std::size_t i = bytes.size(); i-- > 0;) {
    value = value << 8 | static_cast<unsigned char>(bytes[i]);
  }
  return value;
}

bool ConsumeBytes(std::string_view& rest, std::uint64_t size, std::string_view& bytes) {
  if (size > rest.size()) return false;
  bytes = rest.substr(0, static_cast<std::size_t>(size));
  rest.remove_prefix(bytes.size());
  return true;
}

bool ConsumeFixed(std::string_view& rest, std::size_t size, std::uint64_t& value) {
  std::string_view bytes;
  if (!ConsumeBytes(rest, size, bytes)) return false;
  value = LittleEndian(bytes);
  return true;
}

// Tags and sizes. Padded beyond the five bytes that 32 bits take they are legal for some parsers
// and not for others, and nobody writes them.
bool ConsumeUint32(std::string_view& rest, std::uint64_t& value) {
  const std::size_t size_before = rest.size();
  return ConsumeVarint(rest, value) == VarintStatus::kOk && size_before - rest.size() <= 5 &&
         value <= std::numeric_limits<std::uint32_t>::max();
}

bool ConsumeRawField(std::string_view& rest, RawField& field) {
  std::uint64_t tag = 0;
  if (!ConsumeUint32(rest, tag)) return false;
  field.number = static_cast<std::uint32_t>(tag >> 3);
  field.type = static_cast<std::uint32_t>(tag & 7);
  if (field.number == 0) return false;
  switch (field.type) {
    case static_cast<std::uint32_t>(WireType::kVarint):
      return ConsumeVarint(rest, field.value) == VarintStatus::kOk;
    case static_cast<std::uint32_t>(WireType::kFixed64):
      return ConsumeFixed(rest, 8, field.value);
    case static_cast<std::uint32_t>(WireType::kFixed32):
      return ConsumeFixed(rest, 4, field.value);
    case static_cast<std::uint32_t>(WireType::kBytes): {
      std::uint64_t size = 0;
      return ConsumeUint32(rest, size) && ConsumeBytes(rest, size, field.bytes);
    }
    case kStartGroup:
    case kEndGroup:
      return true;
    default:
      return false;
  }
}

// Takes everything up to and including the end of the group `number`, whose start is taken already.
bool ConsumeGroup(std::string_view& rest, std::uint32_t number, std::string_view& content) {
  const std::string_view start = rest;
  std::array<std::uint32_t, WireReader::kGroupDepthMax> open;
  std::size_t depth = 0;
  open[depth++] = number;
  while (true) {
    const std::size_t taken = start.size() - rest.size();
    RawField field;
    if (rest.empty() || !ConsumeRawField(rest, field)) return false;
    if (field.type == kStartGroup) {
      if (depth == open.size()) return false;
      open[depth++] = field.number;
    } else if (field.type == kEndGroup) {
      if (open[--depth] != field.number) return false;
      if (depth == 0) {
        content = start.substr(0, taken);
        return true;
      }
    }
  }
}

void AppendTag(std::uint32_t number, WireType type, std::string& out) {
  AppendVarint(std::uint64_t{number} << 3 | static_cast<std::uint64_t>(type), out);
}

}  // namespace

VarintStatus ConsumeVarint(std::string_view& rest, std::uint64_t& value) {
  std::uint64_t result = 0;
  for (std::size_t i = 0; i < rest.size(); ++i) {
    const auto byte = static_cast<unsigned char>(rest[i]);
    if (i == 9 && byte > 1) return VarintStatus::kOverflow;
    result |= std::uint64_t{byte & 0x7fU} << (7 * i);
    if (byte < 0x80) {
      rest.remove_prefix(i + 1);
      value = result;
      return VarintStatus::kOk;
    }
  }
  return VarintStatus::kTruncated;
}

bool WireReader::Next() {
  if (!ok_ || rest_.empty()) return false;
  field_.offset = message_.size() - rest_.size();
  RawField raw;
  ok_ = ConsumeRawField(rest_, raw) && raw.type != kEndGroup &&
        (raw.type != kStartGroup || ConsumeGroup(rest_, raw.number, raw.bytes));
  field_.number = raw.number;
  field_.type = static_cast<WireType>(raw.type);
  field_.value = raw.value;
  field_.bytes = raw.bytes;
  return ok_;
}

void AppendVarint(std::uint64_t value, std::string& out) {
  while (value >= 0x80) {
    out.push_back(static_cast<char>(static_cast<unsigned char>(value | 0x80)));
    value >>= 7;
  }
  out.push_back(static_cast<char>(value));
}

void AppendVarintField(std::uint32_t number, std::uint64_t value, std::string& out) {
  AppendTag(number, WireType::kVarint, out);
  AppendVarint(value, out);
}

void AppendDoubleField(std::uint32_t number, double value, std::string& out) {
  AppendTag(number, WireType::kFixed64, out);
  auto bits = std::bit_cast<std::uint64_t>(value);
  for (int i = 0; i < 8; ++i, bits >>= 8) {
    out.push_back(static_cast<char>(static_cast<unsigned char>(bits)));
  }
}

void AppendBytesField(std::uint32_t number, std::string_view bytes, std::string& out) {
  AppendTag(number, WireType::kBytes, out);
  AppendVarint(bytes.size(), out);
  out.append(bytes);
}

}  // namespace pgw
