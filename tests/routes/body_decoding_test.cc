#include "server/routes/body_decoding.h"

#include <gtest/gtest.h>
#include <snappy.h>
#include <zlib.h>

#include <cstdint>
#include <string>

namespace pgw {
namespace {

constexpr std::uint64_t kNoLimit = 0;

std::string FromHex(std::string_view hex) {
  std::string bytes;
  for (std::size_t i = 0; i + 1 < hex.size(); i += 2) {
    bytes.push_back(static_cast<char>(std::stoi(std::string(hex.substr(i, 2)), nullptr, 16)));
  }
  return bytes;
}

std::string LittleEndian(std::uint32_t value, int bytes) {
  std::string text;
  for (int i = 0; i < bytes; ++i) text.push_back(static_cast<char>(value >> 8 * i));
  return text;
}

std::string Deflate(std::string_view text, int level) {
  z_stream stream{};
  EXPECT_EQ(deflateInit2(&stream, level, Z_DEFLATED, -MAX_WBITS, 8, Z_DEFAULT_STRATEGY), Z_OK);
  std::string out(deflateBound(&stream, text.size()), '\0');
  stream.next_in = reinterpret_cast<Bytef*>(const_cast<char*>(text.data()));
  stream.avail_in = static_cast<uInt>(text.size());
  stream.next_out = reinterpret_cast<Bytef*>(out.data());
  stream.avail_out = static_cast<uInt>(out.size());
  EXPECT_EQ(deflate(&stream, Z_FINISH), Z_STREAM_END);
  out.resize(stream.total_out);
  deflateEnd(&stream);
  return out;
}

std::string Trailer(std::string_view text) {
  const auto sum = static_cast<std::uint32_t>(
      crc32_z(0, reinterpret_cast<const Bytef*>(text.data()), text.size()));
  return LittleEndian(sum, 4) + LittleEndian(static_cast<std::uint32_t>(text.size()), 4);
}

// `optional` are the fields that `flags` announce.
std::string Header(char flags = 0, const std::string& optional = {}) {
  return std::string("\x1f\x8b\x08", 3) + flags + std::string("\0\0\0\0\0\xff", 6) + optional;
}

std::string Gzip(std::string_view text, int level = 6) {
  return Header() + Deflate(text, level) + Trailer(text);
}

void ExpectGzip(const std::string& body, const std::string& bytes, const std::string& error) {
  const DecodedBody decoded = DecodeGzip(body, kNoLimit);
  EXPECT_EQ(decoded.bytes, bytes);
  EXPECT_EQ(decoded.error ? decoded.error->message : "", error);
}

TEST(EncodingOfTest, TakesTheLineAsAWholeInAnyCase) {
  EXPECT_EQ(EncodingOf(std::nullopt), BodyEncoding::kIdentity);
  EXPECT_EQ(EncodingOf("gzip"), BodyEncoding::kGzip);
  EXPECT_EQ(EncodingOf("GZip"), BodyEncoding::kGzip);
  EXPECT_EQ(EncodingOf("Snappy"), BodyEncoding::kSnappy);
  for (const std::string_view other :
       {"", "identity", "deflate", "zstd", "x-gzip", "gzip, gzip", "gzip "}) {
    EXPECT_EQ(EncodingOf(other), BodyEncoding::kIdentity) << other;
  }
}

TEST(GzipBodyTest, DecodesOneMember) { ExpectGzip(Gzip("m 1\n"), "m 1\n", ""); }

TEST(GzipBodyTest, JoinsMembers) {
  ExpectGzip(Gzip("a 1\n") + Gzip("") + Gzip("b 2\n"), "a 1\nb 2\n", "");
}

TEST(GzipBodyTest, SkipsOptionalHeaderFields) {
  const std::string extra = LittleEndian(3, 2) + "xyz";
  const std::string text = std::string("name\0", 5) + std::string("comment\0", 8);
  const std::string without_sum = Header('\x1e', extra + text);
  const auto sum = static_cast<std::uint32_t>(
      crc32_z(0, reinterpret_cast<const Bytef*>(without_sum.data()), without_sum.size()));
  const std::string content = Deflate("m 1\n", 6) + Trailer("m 1\n");
  ExpectGzip(without_sum + LittleEndian(sum & 0xffff, 2) + content, "m 1\n", "");
  ExpectGzip(without_sum + LittleEndian(~sum & 0xffff, 2) + content, "", "gzip: invalid header");
  ExpectGzip(Header('\x08', std::string(600, 'x')), "", "gzip: invalid header");
  ExpectGzip(Header('\x08', std::string(500, 'x')), "", "unexpected EOF");
  ExpectGzip(Header('\x04', LittleEndian(9, 2) + "short"), "", "unexpected EOF");
}

TEST(GzipBodyTest, LooksAtTheHeaderAlone) {
  EXPECT_EQ(GzipHeaderError(Gzip("x")), std::nullopt);
  EXPECT_EQ(GzipHeaderError(Header()), std::nullopt);
  EXPECT_EQ(GzipHeaderError(""), "EOF");
  EXPECT_EQ(GzipHeaderError("\x1f"), "unexpected EOF");
  EXPECT_EQ(GzipHeaderError("some_metric"), "gzip: invalid header");
}

TEST(GzipBodyTest, ReportsWhereAStreamEndsTooEarly) {
  const std::string whole = Gzip("m 1\n");
  for (std::size_t cut = 1; cut < whole.size(); ++cut) {
    const DecodedBody decoded = DecodeGzip(whole.substr(0, whole.size() - cut), kNoLimit);
    ASSERT_TRUE(decoded.error);
    EXPECT_EQ(decoded.error->message, "unexpected EOF");
    EXPECT_TRUE(std::string_view("m 1\n").starts_with(decoded.bytes));
  }
}

TEST(GzipBodyTest, ChecksSumAndLength) {
  std::string wrong_sum = Gzip("m 1\n");
  wrong_sum[wrong_sum.size() - 8] ^= 1;
  ExpectGzip(wrong_sum, "m 1\n", "gzip: invalid checksum");
  std::string wrong_length = Gzip("m 1\n");
  wrong_length.back() ^= 1;
  ExpectGzip(wrong_length, "m 1\n", "gzip: invalid checksum");
}

TEST(GzipBodyTest, RefusesWhatFollowsTheLastMember) {
  ExpectGzip(Gzip("a 1\n") + std::string(10, 'x'), "a 1\n", "gzip: invalid header");
  ExpectGzip(Gzip("a 1\n") + "x", "a 1\n", "unexpected EOF");
}

// Offsets compared with Go's compress/flate.
TEST(GzipBodyTest, NamesTheOffsetOfCorruption) {
  ExpectGzip(Header() + "\x07", "", "flate: corrupt input before offset 1");
  ExpectGzip(Header() + std::string("\x01\x05\x00\x00\x00hello", 10), "",
             "flate: corrupt input before offset 5");
}

TEST(GzipBodyTest, BoundsWhatComesOut) {
  const std::string text(100'000, 'x');
  const std::string body = Gzip(text);
  EXPECT_EQ(DecodeGzip(body, text.size()).bytes, text);
  EXPECT_FALSE(DecodeGzip(body, text.size()).error);
  const DecodedBody over = DecodeGzip(body, text.size() - 1);
  ASSERT_TRUE(over.error);
  EXPECT_EQ(over.error->code, Code::kTooLarge);
  EXPECT_EQ(over.error->message, "decompressed body is larger than 99999 bytes");
  EXPECT_EQ(over.bytes, "");
}

TEST(GzipBodyTest, CountsAllMembersAgainstTheLimit) {
  const std::string member = Gzip("0123456789");
  EXPECT_FALSE(DecodeGzip(member + member, 20).error);
  EXPECT_EQ(DecodeGzip(member + member + member, 20).error->code, Code::kTooLarge);
  EXPECT_FALSE(DecodeGzip(member + member + Gzip(""), 20).error);
}

TEST(GzipBodyTest, StopsABombAtTheLimit) {
  std::string bomb = Gzip(std::string(64u << 20, '\0'), 9);
  ASSERT_LT(bomb.size(), 100'000u);
  const DecodedBody decoded = DecodeGzip(bomb, 1u << 20);
  ASSERT_TRUE(decoded.error);
  EXPECT_EQ(decoded.error->code, Code::kTooLarge);
  EXPECT_LE(decoded.bytes.capacity(), 1u << 20);
}

std::uint32_t MaskedCrc32c(std::string_view text) {
  std::uint32_t crc = ~0u;
  for (const char c : text) {
    crc ^= static_cast<unsigned char>(c);
    for (int i = 0; i < 8; ++i) crc = (crc & 1) != 0 ? crc >> 1 ^ 0x82f63b78u : crc >> 1;
  }
  crc = ~crc;
  return (crc >> 15 | crc << 17) + 0xa282ead8u;
}

std::string Chunk(unsigned char type, const std::string& content) {
  return static_cast<char>(type) + LittleEndian(static_cast<std::uint32_t>(content.size()), 3) +
         content;
}

const std::string& Identifier() {
  static const std::string kIdentifier = Chunk(0xff, "sNaPpY");
  return kIdentifier;
}

std::string CompressedChunk(const std::string& text) {
  std::string block;
  snappy::Compress(text.data(), text.size(), &block);
  return Chunk(0x00, LittleEndian(MaskedCrc32c(text), 4) + block);
}

std::string PlainChunk(const std::string& text) {
  return Chunk(0x01, LittleEndian(MaskedCrc32c(text), 4) + text);
}

void ExpectSnappy(const std::string& body, const std::string& bytes, const std::string& error) {
  const DecodedBody decoded = DecodeSnappy(body, kNoLimit);
  EXPECT_EQ(decoded.bytes, bytes);
  EXPECT_EQ(decoded.error ? decoded.error->message : "", error);
}

TEST(SnappyBodyTest, DecodesWhatGoWrites) {
  ExpectSnappy(
      FromHex("ff060000734e61507059001a00007c3ffed72240736f6d655f6d657472696320332e31340a421100"),
      "some_metric 3.14\nsome_metric 3.14\n", "");
}

TEST(SnappyBodyTest, TakesAnEmptyBodyForAnEmptyStream) {
  ExpectSnappy("", "", "");
  ExpectSnappy(Identifier(), "", "");
}

TEST(SnappyBodyTest, JoinsChunksAndSkipsPadding) {
  ExpectSnappy(Identifier() + CompressedChunk("a 1\n") + Chunk(0xfe, "padding") +
                   Chunk(0x80, "later") + Identifier() + PlainChunk("b 2\n"),
               "a 1\nb 2\n", "");
}

TEST(SnappyBodyTest, WantsTheIdentifierFirst) {
  ExpectSnappy(CompressedChunk("a 1\n"), "", "snappy: corrupt input");
  ExpectSnappy(Chunk(0xff, "sNaPpy"), "", "snappy: corrupt input");
  ExpectSnappy("some_metric 1\n", "", "snappy: corrupt input");
}

TEST(SnappyBodyTest, KeepsWhatCameBeforeTheFault) {
  const std::string start = Identifier() + PlainChunk("a 1\n");
  ExpectSnappy(start + Chunk(0x02, "?"), "a 1\n", "snappy: unsupported input");
  ExpectSnappy(start + "\x01", "a 1\n", "snappy: corrupt input");
  ExpectSnappy(start + PlainChunk("b 2\n").substr(0, 9), "a 1\n", "snappy: corrupt input");
  ExpectSnappy(start + Chunk(0x01, "abc"), "a 1\n", "snappy: corrupt input");
  std::string wrong_sum = PlainChunk("b 2\n");
  wrong_sum.back() ^= 1;
  ExpectSnappy(start + wrong_sum, "a 1\n", "snappy: corrupt input");
  std::string wrong_block = Chunk(0x00, LittleEndian(0, 4) + "\x05\xff\xff\xff");
  ExpectSnappy(start + wrong_block, "a 1\n", "snappy: corrupt input");
}

TEST(SnappyBodyTest, RefusesChunksAndBlocksThatAreTooLong) {
  ExpectSnappy(Identifier() + Chunk(0xfe, std::string(76'495, 'x')), "",
               "snappy: unsupported input");
  ExpectSnappy(Identifier() + Chunk(0xfe, std::string(76'494, 'x')), "", "");
  const std::string longest(65'536, 'x');
  ExpectSnappy(Identifier() + CompressedChunk(longest), longest, "");
  ExpectSnappy(Identifier() + CompressedChunk(longest + "x"), "", "snappy: corrupt input");
  // Says that 4 GiB come out of it.
  ExpectSnappy(Identifier() + Chunk(0x00, LittleEndian(0, 4) + "\xff\xff\xff\xff\x0f"), "",
               "snappy: corrupt input");
}

TEST(SnappyBodyTest, BoundsWhatComesOut) {
  const std::string body = Identifier() + PlainChunk("0123456789") + CompressedChunk("0123456789");
  EXPECT_EQ(DecodeSnappy(body, 20).bytes.size(), 20u);
  const DecodedBody over = DecodeSnappy(body, 19);
  ASSERT_TRUE(over.error);
  EXPECT_EQ(over.error->code, Code::kTooLarge);
  EXPECT_EQ(over.bytes, "");
}

}  // namespace
}  // namespace pgw
