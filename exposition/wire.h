// Protobuf's wire format without its runtime: walks a message in place and writes one. Knows
// nothing. All functions are pure.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

namespace pgw {

enum class WireType : std::uint8_t {
  kVarint = 0,
  kFixed64 = 1,
  kBytes = 2,
  kGroup = 3,
  kFixed32 = 5,
};

enum class VarintStatus : std::uint8_t { kOk, kTruncated, kOverflow };

// Takes a varint off the front of `rest`, which stays as it is on failure. Ten bytes at most, and
// no bit beyond the 64th.
VarintStatus ConsumeVarint(std::string_view& rest, std::uint64_t& value);

struct WireField {
  std::uint32_t number = 0;
  WireType type = WireType::kVarint;
  std::size_t offset = 0;   // of the tag within the message
  std::uint64_t value = 0;  // kVarint, kFixed64, kFixed32
  std::string_view bytes;   // kBytes: the payload; kGroup: what stands between the two tags

  bool Is(std::uint32_t wanted_number, WireType wanted_type) const {
    return number == wanted_number && type == wanted_type;
  }
};

// Visits the fields of a message in the order of the wire. Allocates nothing; groups are walked
// without recursion and may nest kGroupDepthMax deep.
//
//   WireReader reader(message);
//   while (reader.Next()) Use(reader.field());
//   if (!reader.ok()) return Malformed();
class WireReader {
 public:
  static constexpr int kGroupDepthMax = 64;

  explicit WireReader(std::string_view message) : message_(message), rest_(message) {}

  // False at the end of the message and at the first malformed field: ok() tells which.
  bool Next();
  const WireField& field() const { return field_; }
  bool ok() const { return ok_; }

 private:
  std::string_view message_;
  std::string_view rest_;
  WireField field_;
  bool ok_ = true;
};

void AppendVarint(std::uint64_t value, std::string& out);
void AppendVarintField(std::uint32_t number, std::uint64_t value, std::string& out);
void AppendDoubleField(std::uint32_t number, double value, std::string& out);
// Strings and submessages.
void AppendBytesField(std::uint32_t number, std::string_view bytes, std::string& out);

}  // namespace pgw
