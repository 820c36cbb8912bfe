#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "docker/archive/tar_reader.h"
#include "docker/archive/tar_writer.h"

namespace pgw::image {
namespace {

using namespace std::string_literals;

std::string Padded(std::string text, std::size_t size) {
  text.resize(size, '\0');
  return text;
}

TarEntry File(std::string path, std::uint64_t size = 0) {
  TarEntry entry;
  entry.path = std::move(path);
  entry.mode = 0644;
  entry.size = size;
  entry.mtime = 1661335475;
  return entry;
}

std::string Encode(const TarEntry& entry) {
  const Result<std::string> header = EncodeTarHeader(entry);
  EXPECT_TRUE(header) << header.error().message;
  return header ? *header : "";
}

// Everything a reader says of an archive, or its error.
struct Read {
  std::vector<TarMember> members;
  std::vector<std::string> contents;
  std::string error;
  bool canonical_end = false;
};

Read ReadArchive(std::string_view bytes, TarLimits limits = {}) {
  MemorySource source(bytes);
  TarReader reader(source, limits);
  Read read;
  while (true) {
    Result<std::optional<TarMember>> member = reader.Next();
    if (!member) {
      read.error = member.error().message;
      return read;
    }
    if (!*member) break;
    read.members.push_back(**member);
    TarContentSource content(reader);
    const Result<std::string> text = ReadAll(content, 1 << 20);
    if (!text) {
      read.error = text.error().message;
      return read;
    }
    read.contents.push_back(*text);
  }
  read.canonical_end = reader.has_canonical_end();
  return read;
}

std::string Archive(const std::vector<std::pair<TarEntry, std::string>>& entries) {
  StringSink sink;
  TarWriter writer(sink);
  for (const auto& [entry, content] : entries) {
    const Status status = writer.Add(entry, content);
    EXPECT_TRUE(status.ok()) << status.error().message;
  }
  EXPECT_TRUE(writer.Finish().ok());
  return sink.Take();
}

// POSIX.1-1988, field by field.
TEST(TarHeaderTest, IsUstarToTheByte) {
  TarEntry entry = File("bin/program", 10);
  entry.mode = 0755;
  entry.uid = 65534;
  entry.gid = 8;
  const std::string expected = Padded("bin/program", 100) + "0000755\0"s + "0177776\0"s +
                               "0000010\0"s + "00000000012\0"s + "14301373663\0"s + "011454\0 "s +
                               "0" + Padded("", 100) + "ustar\0"s + "00" + Padded("", 64) +
                               "0000000\0"s + "0000000\0"s + Padded("", 155 + 12);
  EXPECT_EQ(Encode(entry), expected);
}

TEST(TarHeaderTest, StatesSymlinksAndDirectories) {
  TarEntry link = File("a");
  link.type = TarType::kSymlink;
  link.link_target = "bin/a";
  EXPECT_EQ(Encode(link).substr(156, 7), "2bin/a\0"s);
  TarEntry folder = File("a/");
  folder.type = TarType::kDirectory;
  EXPECT_EQ(Encode(folder)[156], '5');
}

TEST(TarHeaderTest, CutsPathsThatFitIntoThePrefix) {
  const std::string name(100, 'n');
  const std::string header = Encode(File(std::string(155, 'p') + "/" + name));
  ASSERT_EQ(header.size(), kTarBlock);
  EXPECT_EQ(header.substr(0, 100), name);
  EXPECT_EQ(header.substr(345, 155), std::string(155, 'p'));
  EXPECT_EQ(Encode(File(std::string(100, 'n'))).substr(345, 1), "\0"s);
}

TEST(TarHeaderTest, TakesPaxWhereUstarIsTooSmall) {
  const std::string path = std::string(156, 'p') + "/" + std::string(100, 'n');
  const std::string header = Encode(File(path));
  ASSERT_EQ(header.size(), 3 * kTarBlock);
  EXPECT_EQ(header.substr(156, 1), "x");
  // 4 digits and blank, path=, the path, a line end.
  EXPECT_EQ(header.substr(512, 267), "267 path=" + path + "\n");
}

TEST(TarHeaderTest, CountsItsOwnDigitsInPaxRecords) {
  // 98 bytes without the length: two digits make it 100, which has three.
  for (const std::size_t size : {90u, 91u, 92u, 93u, 980u, 981u, 990u, 991u}) {
    TarEntry entry = File("a");
    entry.type = TarType::kSymlink;
    entry.link_target = std::string(size + 20, 't');
    const std::string header = Encode(entry);
    if (header.size() == kTarBlock) continue;
    const std::string_view records = std::string_view(header).substr(512);
    const std::size_t length = std::stoul(std::string(records.substr(0, records.find(' '))));
    EXPECT_EQ(records[length - 1], '\n') << size;
    EXPECT_EQ(records[length], '\0') << size;
  }
}

TEST(TarHeaderTest, RefusesWhatNoHeaderCanSay) {
  EXPECT_FALSE(EncodeTarHeader(File("")));
  EXPECT_FALSE(EncodeTarHeader(File("a\0b"s)));
  TarEntry old = File("a");
  old.mtime = -1;
  EXPECT_FALSE(EncodeTarHeader(old));
  TarEntry mode = File("a");
  mode.mode = 010000;
  EXPECT_FALSE(EncodeTarHeader(mode));
}

TEST(TarWriterTest, PadsAndEndsWithTwoBlocksOfZeros) {
  const std::string bytes = Archive({{File("a"), "x"}, {File("b"), std::string(512, 'y')}});
  ASSERT_EQ(bytes.size(), 512u * 6);
  EXPECT_EQ(bytes.substr(512, 512), Padded("x", 512));
  EXPECT_EQ(bytes.substr(512 * 4), std::string(1024, '\0'));
}

TEST(TarWriterTest, RefusesEntriesOutOfOrder) {
  StringSink sink;
  TarWriter writer(sink);
  ASSERT_TRUE(writer.Add(File("b"), "").ok());
  EXPECT_FALSE(writer.Add(File("a"), "").ok());
  EXPECT_FALSE(writer.Add(File("b"), "").ok());
}

TEST(TarReaderTest, ReadsBackWhatTheWriterWrote) {
  TarEntry big = File("c/" + std::string(300, 'n'));
  big.uid = 3'000'000;        // more than seven octal digits
  big.mtime = 8'589'934'592;  // more than eleven
  TarEntry link = File("d");
  link.type = TarType::kSymlink;
  link.link_target = std::string(200, 't');
  const Read read = ReadArchive(Archive({{File("a"), "one"}, {big, "two"}, {link, ""}}));
  ASSERT_EQ(read.error, "");
  ASSERT_EQ(read.members.size(), 3u);
  EXPECT_EQ(read.members[1].entry.path, big.path);
  EXPECT_EQ(read.members[1].entry.uid, big.uid);
  EXPECT_EQ(read.members[1].entry.mtime, big.mtime);
  EXPECT_EQ(read.members[2].entry, link);
  EXPECT_EQ(read.contents[1], "two");
  for (const TarMember& member : read.members) EXPECT_TRUE(member.is_canonical);
  EXPECT_TRUE(read.canonical_end);
  EXPECT_EQ(read.members[1].header_offset, 1024u);
}

TEST(TarReaderTest, SkipsContentThatIsNotRead) {
  const std::string bytes = Archive({{File("a"), std::string(70000, 'x')}, {File("b"), "y"}});
  MemorySource source(bytes);
  TarReader reader(source);
  ASSERT_TRUE(reader.Next());
  const auto second = reader.Next();
  ASSERT_TRUE(second && *second);
  EXPECT_EQ((*second)->entry.path, "b");
}

TEST(TarReaderTest, ReadsGnuLongNamesAndBase256) {
  TarEntry marker = File("././@LongLink", 200);
  std::string long_name = Encode(marker);
  long_name[156] = 'L';
  const auto fix = [](std::string header) {
    std::fill_n(header.begin() + 148, 8, ' ');
    unsigned sum = 0;
    for (const char c : header) sum += static_cast<unsigned char>(c);
    char text[8];
    std::snprintf(text, sizeof text, "%06o", sum);
    std::copy_n(text, 7, header.begin() + 148);
    return header;
  };
  std::string entry = Encode(File("short", 0));
  entry.replace(108, 8, "\x80\0\0\0\0\x2d\xc6\xc0"s);  // uid 3,000,000
  const std::string bytes =
      fix(long_name) + Padded(std::string(199, 'n'), 512) + fix(entry) + std::string(1024, '\0');
  const Read read = ReadArchive(bytes);
  ASSERT_EQ(read.error, "");
  ASSERT_EQ(read.members.size(), 1u);
  EXPECT_EQ(read.members[0].entry.path, std::string(199, 'n'));
  EXPECT_EQ(read.members[0].entry.uid, 3'000'000u);
  EXPECT_FALSE(read.members[0].is_canonical);
}

TEST(TarReaderTest, NamesPlaceOfWhatIsBroken) {
  const std::string good = Archive({{File("first"), "x"}, {File("second"), "y"}});
  EXPECT_EQ(ReadArchive(good.substr(0, 600)).error,
            "tar, at byte 513 (after first): the archive is cut off behind an entry");
  EXPECT_EQ(ReadArchive(good.substr(0, 1100)).error,
            "tar, at byte 1024 (after first): the archive is cut off in a header");
  EXPECT_EQ(ReadArchive(good.substr(0, 2048)).error,
            "tar, at byte 2048 (after second): the archive ends without a block of zeros");
  std::string flipped = good;
  flipped[1030] ^= 1;
  EXPECT_EQ(ReadArchive(flipped).error,
            "tar, at byte 1536 (after first): a header whose checksum does not fit");
  EXPECT_EQ(ReadArchive(good + "more").error,
            "tar, at byte 3072 (after second): bytes behind the archive's end");
  EXPECT_EQ(ReadArchive("").error, "tar, at byte 0: the archive ends without a block of zeros");
}

TEST(TarReaderTest, TellsAnUnusualEndFromTheWriters) {
  const std::string good = Archive({{File("a"), "x"}});
  EXPECT_TRUE(ReadArchive(good).canonical_end);
  EXPECT_FALSE(ReadArchive(good + std::string(512, '\0')).canonical_end);
  EXPECT_FALSE(ReadArchive(good.substr(0, good.size() - 512)).canonical_end);
  std::string padding = good;
  padding[600] = 'p';
  EXPECT_FALSE(ReadArchive(padding).canonical_end);
}

TEST(TarReaderTest, IsBounded) {
  const std::string many = Archive({{File("a"), ""}, {File("b"), ""}, {File("c"), ""}});
  EXPECT_NE(ReadArchive(many, {.entries_max = 2}).error.find("too many entries"),
            std::string::npos);
  const std::string name = Archive({{File(std::string(400, 'n')), ""}});
  EXPECT_NE(ReadArchive(name, {.name_bytes_max = 300}).error.find("a name is too long"),
            std::string::npos);
  EXPECT_NE(ReadArchive(name, {.extension_bytes_max = 300}).error.find("too large"),
            std::string::npos);
  EXPECT_NE(ReadArchive(name, {.all_name_bytes_max = 300}).error.find("all in all"),
            std::string::npos);
}

TEST(TarReaderTest, RefusesBrokenPaxRecords) {
  std::string archive = Archive({{File(std::string(300, 'n')), ""}});
  for (const std::string_view record : {"999999 path=a\n", "9 path=ab", "0 path=a\n", "x path=a\n",
                                        "5 p=a", "12 size=ab1\n", "7 =abc\n"}) {
    std::string broken = archive;
    broken.replace(512, record.size(), record);
    EXPECT_NE(ReadArchive(broken).error.find("pax record"), std::string::npos) << record;
  }
}

}  // namespace
}  // namespace pgw::image
