#include "docker/read/tar_rules.h"

#include <set>
#include <string_view>

#include "docker/printable.h"

namespace pgw::image {
namespace {

bool StaysInside(std::string_view path) {
  if (path.starts_with('/')) return false;
  while (!path.empty()) {
    const std::size_t slash = path.find('/');
    const std::string_view part = path.substr(0, slash);
    if (part.empty() || part == "." || part == "..") return false;
    if (slash == std::string_view::npos) break;
    path.remove_prefix(slash + 1);
  }
  return true;
}

// "a/b" for "a/b/c" and "a/b/c/"; nothing at the top.
std::string_view ParentOf(std::string_view path) {
  if (path.ends_with('/')) path.remove_suffix(1);
  const std::size_t slash = path.rfind('/');
  return slash == std::string_view::npos ? std::string_view() : path.substr(0, slash + 1);
}

void CheckMember(const TarMember& member, const TarRules& rules, const std::string& where,
                 Findings& findings) {
  const TarEntry& entry = member.entry;
  findings.Check(StaysInside(entry.path), where, "the path leads out of the archive");
  const bool is_folder = entry.type == TarType::kDirectory;
  findings.Check(is_folder == entry.path.ends_with('/'), where, "a final slash is for directories");
  const bool known = is_folder || entry.type == TarType::kFile || entry.type == TarType::kSymlink;
  findings.Check(known, where, "neither file nor directory nor symbolic link");
  findings.Check(entry.user_name.empty() && entry.group_name.empty(), where,
                 "names of users are in the archive");
  findings.Check(member.is_canonical, where, "the header has another form than the packer's");
  if (rules.mtime) {
    findings.Check(entry.mtime == *rules.mtime, where,
                   "the time is " + std::to_string(entry.mtime) + ", not the image's " +
                       std::to_string(*rules.mtime));
  }
  if (rules.root_owned) {
    findings.Check(entry.uid == 0 && entry.gid == 0, where, "the owner is not root");
    findings.Check(entry.mode == (is_folder ? 0755u : 0644u), where, "the mode is unusual");
  }
}

}  // namespace

void CheckTarRules(const std::vector<TarMember>& members, bool canonical_end, const TarRules& rules,
                   const std::string& where, Findings& findings) {
  std::set<std::string_view> folders{""};
  std::string_view last;
  for (const TarMember& member : members) {
    const std::string_view path = member.entry.path;
    const std::string place =
        where + ": " + Printable(path) + " (at byte " + std::to_string(member.header_offset) + ")";
    CheckMember(member, rules, place, findings);
    findings.Check(last.empty() || last < path, place, "not sorted");
    findings.Check(folders.contains(ParentOf(path)), place,
                   "the folder around it is not there before it");
    if (member.entry.type == TarType::kDirectory) folders.insert(path);
    last = path;
  }
  findings.Check(canonical_end, where,
                 "does not end with two blocks of zeros, or is not padded with zeros");
}

}  // namespace pgw::image
