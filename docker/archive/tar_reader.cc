#include "docker/archive/tar_reader.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <limits>

#include "docker/printable.h"

namespace pgw::image {
namespace {

std::string_view TextField(std::span<const char> field) {
  const std::string_view text(field.data(), field.size());
  return text.substr(0, text.find('\0'));
}

// Octal digits between blanks and zeros, or GNU's base-256 notation for large values.
std::optional<std::uint64_t> NumberField(std::span<const char> field) {
  const auto first = static_cast<unsigned char>(field[0]);
  if ((first & 0x80) != 0) {
    std::uint64_t value = first & 0x3f;
    if ((first & 0x40) != 0) return std::nullopt;  // negative
    for (const char byte : field.subspan(1)) {
      if ((value >> 55) != 0) return std::nullopt;
      value = value << 8 | static_cast<unsigned char>(byte);
    }
    return value;
  }
  std::string_view text(field.data(), field.size());
  while (text.starts_with(' ')) text.remove_prefix(1);
  text = text.substr(0, text.find_first_of(std::string_view("\0 ", 2)));
  if (text.empty()) return 0;
  std::uint64_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value, 8);
  if (error != std::errc() || end != text.data() + text.size()) return std::nullopt;
  return value;
}

bool ChecksumFits(std::span<const char, kTarBlock> block) {
  const std::optional<std::uint64_t> stated = NumberField(block.subspan<148, 8>());
  std::uint64_t sum = 8 * ' ';
  for (std::size_t i = 0; i < block.size(); ++i) {
    if (i < 148 || i >= 156) sum += static_cast<unsigned char>(block[i]);
  }
  return stated && *stated == sum;
}

std::optional<std::uint64_t> Decimal(std::string_view text) {
  std::uint64_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || end != text.data() + text.size() || text.empty()) {
    return std::nullopt;
  }
  return value;
}

bool IsZero(std::span<const char> bytes) {
  return std::ranges::all_of(bytes, [](char byte) { return byte == '\0'; });
}

}  // namespace

Error TarReader::Broken(std::string_view what) const {
  std::string message = "tar, at byte " + std::to_string(offset_);
  if (!last_path_.empty()) message += " (after " + Printable(last_path_) + ")";
  return InvalidArgument(message + ": " + std::string(what));
}

// 0 at the very end, else a whole block.
Result<std::size_t> TarReader::ReadBlock(std::span<char, kTarBlock> block) {
  const Result<std::size_t> read = ReadFully(source_, block);
  if (!read) return read.error();
  if (*read != 0 && *read != kTarBlock) return Broken("the archive is cut off in a header");
  offset_ += *read;
  return *read;
}

Result<std::size_t> TarReader::Read(std::span<char> buffer) {
  if (content_left_ == 0) return std::size_t{0};
  if (buffer.size() > content_left_) buffer = buffer.first(static_cast<std::size_t>(content_left_));
  const Result<std::size_t> read = source_.Read(buffer);
  if (!read) return read.error();
  if (*read == 0) return Broken("the archive is cut off in the content of an entry");
  offset_ += *read;
  content_left_ -= *read;
  return *read;
}

Status TarReader::SkipContent() {
  std::array<char, 32768> buffer;
  while (content_left_ != 0) {
    if (const auto read = Read(buffer); !read) return read.error();
  }
  const std::span<char> padding = std::span(buffer).first(padding_left_);
  const Result<std::size_t> read = ReadFully(source_, padding);
  if (!read) return read.error();
  if (*read != padding.size()) return Broken("the archive is cut off behind an entry");
  offset_ += *read;
  padding_left_ = 0;
  canonical_padding_ = canonical_padding_ && IsZero(padding);
  return {};
}

// Behind the first block of zeros: a second one, and by custom more.
Status TarReader::ReadEnd() {
  std::array<char, kTarBlock> block;
  std::uint64_t blocks = 0;
  while (true) {
    const Result<std::size_t> read = ReadFully(source_, block);
    if (!read) return read.error();
    if (*read == 0) break;
    if (!IsZero(std::span(block).first(*read))) return Broken("bytes behind the archive's end");
    offset_ += *read;
    ++blocks;
    if (*read < block.size()) blocks = 2;  // an odd end
  }
  canonical_end_ = blocks == 1;
  return {};
}

Result<TarEntry> TarReader::ParseHeader(std::span<const char, kTarBlock> block, char& type) {
  if (!ChecksumFits(block)) return Broken("a header whose checksum does not fit");
  const auto mode = NumberField(block.subspan<100, 8>());
  const auto uid = NumberField(block.subspan<108, 8>());
  const auto gid = NumberField(block.subspan<116, 8>());
  const auto size = NumberField(block.subspan<124, 12>());
  const auto mtime = NumberField(block.subspan<136, 12>());
  constexpr std::uint64_t kIdMax = std::numeric_limits<std::uint32_t>::max();
  if (!mode || *mode > kIdMax || !uid || *uid > kIdMax || !gid || *gid > kIdMax || !size ||
      !mtime || *mtime > static_cast<std::uint64_t>(std::numeric_limits<std::int64_t>::max())) {
    return Broken("a header with a broken number");
  }
  TarEntry entry;
  entry.mode = static_cast<std::uint32_t>(*mode);
  entry.uid = static_cast<std::uint32_t>(*uid);
  entry.gid = static_cast<std::uint32_t>(*gid);
  entry.size = *size;
  entry.mtime = static_cast<std::int64_t>(*mtime);
  type = block[156] == '\0' ? '0' : block[156];
  entry.link_target = TextField(block.subspan<157, 100>());
  entry.path = TextField(block.subspan<0, 100>());
  const std::string_view magic(block.data() + 257, 8);
  if (magic == std::string_view("ustar\00000", 8)) {
    entry.user_name = TextField(block.subspan<265, 32>());
    entry.group_name = TextField(block.subspan<297, 32>());
    if (const auto prefix = TextField(block.subspan<345, 155>()); !prefix.empty()) {
      entry.path = std::string(prefix) + "/" + entry.path;
    }
  } else if (magic == "ustar  ") {  // GNU's own, where the prefix means something else
    entry.user_name = TextField(block.subspan<265, 32>());
    entry.group_name = TextField(block.subspan<297, 32>());
  }
  return entry;
}

Status TarReader::ParsePax(std::string_view records, Extension& extension) {
  while (!records.empty()) {
    std::size_t length = 0;
    const auto [end, error] = std::from_chars(
        records.data(), records.data() + std::min<std::size_t>(records.size(), 8), length);
    const auto digits = static_cast<std::size_t>(end - records.data());
    if (error != std::errc() || length > records.size() || length < digits + 3 ||
        records[digits] != ' ' || records[length - 1] != '\n') {
      return Broken("a broken pax record");
    }
    const std::string_view record = records.substr(digits + 1, length - digits - 2);
    const std::size_t equals = record.find('=');
    if (equals == std::string_view::npos || equals == 0) return Broken("a pax record without =");
    extension.values[std::string(record.substr(0, equals))] = record.substr(equals + 1);
    records.remove_prefix(length);
  }
  return {};
}

Status TarReader::ReadExtension(char type, std::uint64_t size, std::string& raw,
                                Extension& extension) {
  if (size > limits_.extension_bytes_max) return Broken("a pax header or long name is too large");
  content_left_ = size;
  padding_left_ = TarPadding(size);
  std::string content(static_cast<std::size_t>(size), '\0');
  for (std::size_t filled = 0; filled < content.size();) {
    const Result<std::size_t> read = Read(std::span(content).subspan(filled));
    if (!read) return read.error();
    filled += *read;
  }
  if (Status status = SkipContent(); !status) return status;
  raw.append(content).append(TarPadding(size), '\0');
  if (type == 'x' || type == 'g') return ParsePax(content, extension);
  const std::string_view name = std::string_view(content).substr(0, content.find('\0'));
  extension.values[type == 'L' ? "path" : "linkpath"] = name;
  return {};
}

Status TarReader::Apply(const Extension& extension, TarEntry& entry) {
  for (const auto& [key, value] : extension.values) {
    if (key == "path") {
      entry.path = value;
    } else if (key == "linkpath") {
      entry.link_target = value;
    } else if (key == "uname") {
      entry.user_name = value;
    } else if (key == "gname") {
      entry.group_name = value;
    } else if (key == "size" || key == "uid" || key == "gid" || key == "mtime") {
      // Times may have a fraction; a whole second is all that is kept here.
      const std::string_view whole =
          key == "mtime" ? std::string_view(value).substr(0, value.find('.')) : value;
      const std::optional<std::uint64_t> number = Decimal(whole);
      const std::uint64_t max = key == "size" || key == "mtime"
                                    ? std::numeric_limits<std::int64_t>::max()
                                    : std::numeric_limits<std::uint32_t>::max();
      if (!number || *number > max) return Broken("a pax record with a broken number");
      if (key == "size") entry.size = *number;
      if (key == "uid") entry.uid = static_cast<std::uint32_t>(*number);
      if (key == "gid") entry.gid = static_cast<std::uint32_t>(*number);
      if (key == "mtime") entry.mtime = static_cast<std::int64_t>(*number);
    }
  }
  return {};
}

Result<std::optional<TarMember>> TarReader::Next() {
  if (Status status = SkipContent(); !status) return status.error();
  TarMember member;
  member.header_offset = offset_;
  std::string raw;
  Extension extension;
  std::array<char, kTarBlock> block;
  while (true) {
    const Result<std::size_t> read = ReadBlock(block);
    if (!read) return read.error();
    if (*read == 0) return Broken("the archive ends without a block of zeros");
    if (IsZero(block)) {
      if (!raw.empty()) return Broken("a pax header without an entry");
      if (Status status = ReadEnd(); !status) return status.error();
      return std::optional<TarMember>();
    }
    if (++entries_ > limits_.entries_max) return Broken("too many entries");
    char type = '0';
    Result<TarEntry> entry = ParseHeader(block, type);
    if (!entry) return entry.error();
    raw.append(block.data(), block.size());
    if (type == 'x' || type == 'L' || type == 'K' || type == 'g') {
      if (raw.size() > 4 * limits_.extension_bytes_max) return Broken("too many pax headers");
      // What a global header says of all entries (git writes a comment) does not matter to us.
      Extension ignored;
      Extension& target = type == 'g' ? ignored : extension;
      if (Status status = ReadExtension(type, entry->size, raw, target); !status) {
        return status.error();
      }
      continue;
    }
    if (type < '0' || type > '6') {
      return Broken("an entry of unknown type '" + Printable({&type, 1}) + "'");
    }
    if (Status status = Apply(extension, *entry); !status) return status.error();
    if (entry->path.empty()) return Broken("an entry without a path");
    if (entry->path.size() > limits_.name_bytes_max ||
        entry->link_target.size() > limits_.name_bytes_max) {
      return Broken("a name is too long");
    }
    name_bytes_ += entry->path.size() + entry->link_target.size() + entry->user_name.size() +
                   entry->group_name.size();
    if (name_bytes_ > limits_.all_name_bytes_max)
      return Broken("the names are too long, all in all");
    entry->type = static_cast<TarType>(type);
    if (entry->type != TarType::kFile) entry->size = 0;
    const Result<std::string> canonical = EncodeTarHeader(*entry);
    member.is_canonical = canonical && *canonical == raw;
    member.content_offset = offset_;
    content_left_ = entry->size;
    padding_left_ = TarPadding(entry->size);
    last_path_ = entry->path;
    member.entry = std::move(*entry);
    return std::optional<TarMember>(std::move(member));
  }
}

}  // namespace pgw::image
