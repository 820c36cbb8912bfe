#include "docker/archive/tar_entry.h"

#include <algorithm>
#include <array>
#include <limits>
#include <optional>

namespace pgw::image {
namespace {

// Fields of a header block: offset and size.
struct Field {
  std::size_t offset;
  std::size_t size;
};
constexpr Field kName{0, 100};
constexpr Field kMode{100, 8};
constexpr Field kUid{108, 8};
constexpr Field kGid{116, 8};
constexpr Field kSize{124, 12};
constexpr Field kMtime{136, 12};
constexpr Field kChecksum{148, 8};
constexpr Field kType{156, 1};
constexpr Field kLinkName{157, 100};
constexpr Field kMagic{257, 8};  // with the version
constexpr Field kUserName{265, 32};
constexpr Field kGroupName{297, 32};
constexpr Field kDeviceMajor{329, 8};
constexpr Field kDeviceMinor{337, 8};
constexpr Field kPrefix{345, 155};

constexpr std::string_view kUstar{"ustar\00000", 8};
constexpr std::string_view kPaxName = "PaxHeaders/entry";

class Block {
 public:
  Block() { bytes_.fill('\0'); }

  void Text(Field field, std::string_view text) {
    std::copy_n(text.data(), std::min(text.size(), field.size), bytes_.begin() + field.offset);
  }

  // Octal digits with leading zeros and a byte 0 at the end.
  void Octal(Field field, std::uint64_t value) {
    for (std::size_t i = field.size - 1; i-- > 0; value >>= 3) {
      bytes_[field.offset + i] = static_cast<char>('0' + (value & 7));
    }
  }

  std::string_view Finish() {
    std::fill_n(bytes_.begin() + kChecksum.offset, kChecksum.size, ' ');
    unsigned sum = 0;
    for (const char byte : bytes_) sum += static_cast<unsigned char>(byte);
    // Six digits, a byte 0, a blank: as every tar since 1979 writes it.
    Octal({kChecksum.offset, kChecksum.size - 1}, sum);
    bytes_[kChecksum.offset + kChecksum.size - 2] = '\0';
    return {bytes_.data(), bytes_.size()};
  }

 private:
  std::array<char, kTarBlock> bytes_;
};

constexpr std::uint64_t OctalMax(Field field) {
  return (std::uint64_t{1} << (3 * (field.size - 1))) - 1;
}

struct SplitPath {
  std::string_view prefix;
  std::string_view name;
};

// Where the path can be cut so that both parts fit; the longest name wins, so that short paths
// have no prefix.
std::optional<SplitPath> Split(std::string_view path) {
  if (path.size() <= kName.size) return SplitPath{{}, path};
  if (path.size() > kPrefix.size + 1 + kName.size) return std::nullopt;
  for (std::size_t slash = path.size() - kName.size - 1; slash < path.size() - 1; ++slash) {
    if (path[slash] == '/' && slash > 0) {
      if (slash > kPrefix.size) return std::nullopt;
      return SplitPath{path.substr(0, slash), path.substr(slash + 1)};
    }
  }
  return std::nullopt;
}

// "<length> <key>=<value>\n", where the length counts itself.
void AppendPaxRecord(std::string& records, std::string_view key, std::string_view value) {
  const std::size_t rest = key.size() + value.size() + 3;
  std::size_t length = rest + 1;
  while (std::to_string(length).size() + rest != length) {
    length = rest + std::to_string(length).size();
  }
  records.append(std::to_string(length)).append(" ").append(key).append("=").append(value);
  records.push_back('\n');
}

void AppendPaxHeader(std::string& out, const std::string& records, const TarEntry& entry) {
  Block block;
  block.Text(kName, kPaxName);
  block.Octal(kMode, 0644);
  block.Octal(kUid, 0);
  block.Octal(kGid, 0);
  block.Octal(kSize, records.size());
  block.Octal(kMtime,
              std::min<std::uint64_t>(static_cast<std::uint64_t>(entry.mtime), OctalMax(kMtime)));
  block.Text(kType, "x");
  block.Text(kMagic, kUstar);
  block.Octal(kDeviceMajor, 0);
  block.Octal(kDeviceMinor, 0);
  out.append(block.Finish()).append(records).append(TarPadding(records.size()), '\0');
}

// A number that may need a pax record.
void Number(Block& block, std::string& records, Field field, std::string_view key,
            std::uint64_t value) {
  if (value <= OctalMax(field)) return block.Octal(field, value);
  block.Octal(field, 0);
  AppendPaxRecord(records, key, std::to_string(value));
}

bool HasZero(std::string_view text) { return text.find('\0') != std::string_view::npos; }

}  // namespace

Result<std::string> EncodeTarHeader(const TarEntry& entry) {
  if (entry.path.empty()) return InvalidArgument("tar: an entry without a path");
  if (HasZero(entry.path) || HasZero(entry.link_target) || HasZero(entry.user_name) ||
      HasZero(entry.group_name)) {
    return InvalidArgument("tar: a byte 0 in a name of " + entry.path);
  }
  if (entry.mtime < 0) return InvalidArgument("tar: " + entry.path + " is older than 1970");
  if (entry.mode > 07777) return InvalidArgument("tar: the mode of " + entry.path);

  Block block;
  std::string records;
  const std::optional<SplitPath> split = Split(entry.path);
  if (split) {
    block.Text(kName, split->name);
    block.Text(kPrefix, split->prefix);
  } else {
    block.Text(kName, std::string_view(entry.path).substr(0, kName.size));
    AppendPaxRecord(records, "path", entry.path);
  }
  block.Octal(kMode, entry.mode);
  Number(block, records, kUid, "uid", entry.uid);
  Number(block, records, kGid, "gid", entry.gid);
  Number(block, records, kSize, "size", entry.size);
  Number(block, records, kMtime, "mtime", static_cast<std::uint64_t>(entry.mtime));
  const char type = static_cast<char>(entry.type);
  block.Text(kType, {&type, 1});
  block.Text(kLinkName, std::string_view(entry.link_target).substr(0, kLinkName.size));
  if (entry.link_target.size() > kLinkName.size) {
    AppendPaxRecord(records, "linkpath", entry.link_target);
  }
  block.Text(kMagic, kUstar);
  block.Text(kUserName, entry.user_name);
  block.Text(kGroupName, entry.group_name);
  block.Octal(kDeviceMajor, 0);
  block.Octal(kDeviceMinor, 0);

  std::string out;
  if (!records.empty()) AppendPaxHeader(out, records, entry);
  out.append(block.Finish());
  return out;
}

}  // namespace pgw::image
