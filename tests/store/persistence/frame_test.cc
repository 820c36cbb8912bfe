#include "store/persistence/frame.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "store/persistence/bytes.h"
#include "store/persistence/crc32c.h"
#include "tests/support/random.h"

namespace pgw::persistence {
namespace {

using ::testing::ElementsAre;

const FileId kId = {'a', 'b', 'c', 'd', 'e', 'f', 'g', 'h', '1', '2', '3', '4', '5', '6', '7', '8'};
const ChecksumSeeds kSeeds(kId);
constexpr std::uint64_t kOffset = 4096;

std::string MakeFrame(const std::vector<std::string_view>& records,
                      std::uint64_t offset = kOffset) {
  FrameHeader header;
  header.first_lsn = 7;
  header.durable = 4000;
  std::string bytes;
  AppendFrame(kSeeds, offset, header, records, bytes);
  return bytes;
}

// The records of a frame that holds; nothing if it does not.
std::optional<std::vector<std::string>> ReadFrame(std::string_view bytes,
                                                  std::uint64_t offset = kOffset) {
  const auto header = ReadFrameHeader(kSeeds, offset, bytes);
  if (!header || header->frame_bytes() != bytes.size()) return std::nullopt;
  const std::string_view body = bytes.substr(kFrameHeaderBytes);
  if (!BodyHolds(kSeeds, *header, body)) return std::nullopt;
  std::vector<std::string> records;
  RecordCursor cursor(*header, body);
  while (const auto record = cursor.Next()) records.emplace_back(*record);
  if (!cursor.Whole()) return std::nullopt;
  return records;
}

TEST(Crc32cTest, HasThePublishedValues) {
  EXPECT_EQ(Crc32c(""), 0U);
  EXPECT_EQ(Crc32c("123456789"), 0xe3069283U);
  // RFC 3720, B.4.
  EXPECT_EQ(Crc32c(std::string(32, '\0')), 0x8a9136aaU);
  EXPECT_EQ(Crc32c(std::string(32, '\xff')), 0x62a8ab43U);
}

TEST(Crc32cTest, IsTheSameByTablesAndInPieces) {
  testing::Random random(1);
  std::string bytes;
  for (int i = 0; i < 300; ++i) {
    EXPECT_EQ(ExtendCrc32cByTables(17, bytes), ExtendCrc32c(17, bytes));
    const std::size_t cut = random.Below(bytes.size() + 1);
    EXPECT_EQ(ExtendCrc32c(Crc32c(bytes.substr(0, cut)), std::string_view(bytes).substr(cut)),
              Crc32c(bytes));
    bytes.push_back(static_cast<char>(random.Next()));
  }
}

TEST(VarintTest, ReadsBackWhatItWroteAndNothingElse) {
  for (const std::uint64_t value : {0ULL, 1ULL, 127ULL, 128ULL, 16383ULL, 16384ULL, ~0ULL}) {
    std::string bytes;
    AppendVarint(bytes, value);
    EXPECT_EQ(bytes.size(), VarintBytes(value));
    std::string_view rest = bytes;
    EXPECT_EQ(TakeVarint(rest), value);
    EXPECT_TRUE(rest.empty());
    std::string_view cut = std::string_view(bytes).substr(0, bytes.size() - 1);
    EXPECT_EQ(TakeVarint(cut), std::nullopt);
  }
  std::string_view longer_than_need_be("\x80\x00", 2);
  EXPECT_EQ(TakeVarint(longer_than_need_be), std::nullopt);
  std::string_view too_large("\xff\xff\xff\xff\xff\xff\xff\xff\xff\x02", 10);
  EXPECT_EQ(TakeVarint(too_large), std::nullopt);
}

TEST(FrameTest, ReadsBackItsRecords) {
  const std::string large(100'000, 'x');
  EXPECT_THAT(*ReadFrame(MakeFrame({"one", "", large})), ElementsAre("one", "", large));
  EXPECT_THAT(*ReadFrame(MakeFrame({""})), ElementsAre(""));
  EXPECT_EQ(MakeFrame({"1234567"}).size(), kFrameHeaderBytes + 8);
  EXPECT_EQ(MakeFrame({"12345678"}).size(), kFrameHeaderBytes + 16);
}

TEST(FrameTest, DoesNotHoldWithAnyBitFlipped) {
  std::string bytes = MakeFrame({"some", "records", "of", "nothing in particular"});
  for (std::size_t bit = 0; bit < bytes.size() * 8; ++bit) {
    const char flip = static_cast<char>(1U << (bit % 8));
    bytes[bit / 8] ^= flip;
    EXPECT_FALSE(ReadFrame(bytes)) << "bit " << bit;
    bytes[bit / 8] ^= flip;
  }
  EXPECT_TRUE(ReadFrame(bytes));
}

TEST(FrameTest, HoldsOnlyWhereItWasWritten) {
  const std::string bytes = MakeFrame({"record"});
  EXPECT_TRUE(ReadFrame(bytes, kOffset));
  EXPECT_FALSE(ReadFrame(bytes, kOffset + 8));
}

TEST(FrameTest, IsNotRecognisedByAnotherFile) {
  const std::string bytes = MakeFrame({"record"});
  for (const std::size_t byte : {0, 15}) {
    FileId other = kId;
    other[byte] ^= 1;
    const ChecksumSeeds seeds(other);
    const auto header = ReadFrameHeader(seeds, kOffset, bytes);
    EXPECT_FALSE(header && BodyHolds(seeds, *header, bytes.substr(kFrameHeaderBytes))) << byte;
  }
}

TEST(FrameTest, RefusesHeadersThatContradictThemselves) {
  const auto read = [](FrameHeader header, const std::vector<std::string_view>& records) {
    std::string bytes;
    AppendFrame(kSeeds, kOffset, header, records, bytes);
    return ReadFrameHeader(kSeeds, kOffset, bytes);
  };
  FrameHeader header;
  header.first_lsn = 1;
  EXPECT_TRUE(read(header, {"r"}));
  EXPECT_FALSE(read(header, {}));  // records that are none
  FrameHeader later = header;
  later.durable = kOffset + 1;
  EXPECT_FALSE(read(later, {"r"}));
  FrameHeader lsn = header;
  lsn.first_lsn = 0;
  EXPECT_FALSE(read(lsn, {"r"}));
  lsn.first_lsn = ~0ULL;
  EXPECT_FALSE(read(lsn, {"r"}));
  FrameHeader close = header;
  close.kind = FrameKind::kClose;
  EXPECT_TRUE(read(close, {}));
  EXPECT_FALSE(read(close, {"r"}));
  FrameHeader unknown = header;
  unknown.kind = static_cast<FrameKind>(3);
  EXPECT_FALSE(read(unknown, {"r"}));
}

TEST(RecordCursorTest, SaysWhenABodyIsNotWhatWasAnnounced) {
  FrameHeader header;
  header.record_count = 2;
  const auto whole = [&header](std::string_view body) {
    header.body_bytes = static_cast<std::uint32_t>(body.size());
    RecordCursor cursor(header, body);
    while (cursor.Next()) continue;
    return cursor.Whole();
  };
  EXPECT_TRUE(whole(std::string_view("\1a\1b", 4)));
  EXPECT_FALSE(whole(std::string_view("\1a\2b", 4)));
  EXPECT_FALSE(whole(std::string_view("\1a\1bc", 5)));
  EXPECT_FALSE(whole(std::string_view("\1a", 2)));
}

}  // namespace
}  // namespace pgw::persistence
