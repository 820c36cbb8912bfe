#include "docker/pack/programs.h"

#include <map>
#include <optional>

#include "docker/file.h"
#include "docker/pack/elf.h"
#include "docker/printable.h"

namespace pgw::image {
namespace {

constexpr std::uint64_t kFileBytesMax = 1u << 30;
// As Linux does, which follows no more.
constexpr int kLinksMax = 40;
constexpr int kInterpretersMax = 4;

// What is wrong with an ARM program's flags; "" for nothing. v7 is Debian's armhf and what
// everybody calls v7: the ABI's fifth version, with numbers in floating-point registers.
std::string_view ArmFault(const Platform& platform, const ElfInfo& info) {
  if (platform.architecture != "arm") return {};
  if (!info.is_eabi5) return "not for version 5 of arm's EABI";
  if (platform.variant == "v7" && !info.is_hard_float) return "not for arm's hard-float ABI";
  return {};
}

// All that the layers put into a platform's image, by path.
class ImageTree {
 public:
  explicit ImageTree(const Platform& platform) {
    for (const Layer& layer : platform.layers) {
      for (const LayerEntry& entry : layer.entries) entries_.emplace(entry.path, &entry);
    }
  }

  // The entry that an absolute path leads to, across symbolic links; null where there is none.
  // Folders that no entry declares are not found.
  const LayerEntry* Find(std::string_view absolute) const {
    std::string rest(absolute);
    std::string done;  // "usr/bin", resolved
    for (int links = 0; links <= kLinksMax;) {
      const std::string part = TakePart(rest);
      if (part.empty()) return Entry(done);
      if (part == ".") continue;
      if (part == "..") {
        done.erase(done.rfind('/') == std::string::npos ? 0 : done.rfind('/'));
        continue;
      }
      std::string path = done;
      if (!path.empty()) path += '/';
      path += part;
      const LayerEntry* const entry = Entry(path);
      if (entry == nullptr || entry->type != TarType::kSymlink) {
        done = path;
        continue;
      }
      ++links;
      if (entry->link_target.starts_with('/')) done.clear();
      rest.insert(0, entry->link_target + '/');
    }
    return nullptr;
  }

 private:
  // The first part of `rest`, which it loses; "" at its end.
  static std::string TakePart(std::string& rest) {
    const std::size_t start = rest.find_first_not_of('/');
    if (start == std::string::npos) return {};
    const std::size_t end = std::min(rest.find('/', start), rest.size());
    std::string part = rest.substr(start, end - start);
    rest.erase(0, end);
    return part;
  }
  const LayerEntry* Entry(const std::string& path) const {
    const auto found = entries_.find(path);
    return found == entries_.end() ? nullptr : found->second;
  }

  std::map<std::string, const LayerEntry*, std::less<>> entries_;
};

// Of "#!/bin/sh -e", "/bin/sh"; nothing for what is no script.
std::optional<std::string> Interpreter(std::string_view content) {
  if (!content.starts_with("#!")) return std::nullopt;
  std::string_view line = content.substr(2, content.find('\n') - 2);
  line.remove_prefix(std::min(line.find_first_not_of(" \t"), line.size()));
  return std::string(line.substr(0, line.find_first_of(" \t\r")));
}

class ProgramChecker {
 public:
  explicit ProgramChecker(const Platform& platform) : platform_(platform), tree_(platform) {}

  // `member` of the configuration runs `path`.
  Status Check(const std::string& member, const std::string& path) const {
    std::string wanted = path;
    std::string where = member + ": ";
    for (int depth = 0; depth <= kInterpretersMax; ++depth) {
      where += Printable(wanted);
      if (!wanted.starts_with('/')) return InvalidArgument(where + " is no absolute path");
      const LayerEntry* const entry = tree_.Find(wanted);
      if (entry == nullptr) {
        return InvalidArgument(where + " is in no layer of " + platform_.name());
      }
      if (entry->type != TarType::kFile) {
        return InvalidArgument(where + " is no file (" + entry->origin + ")");
      }
      if ((entry->mode & 0111u) == 0) {
        return InvalidArgument(where + " may not be executed: its mode (" + entry->origin +
                               ") has no x");
      }
      const Result<std::string> content = ReadEntryFile(*entry);
      if (!content) return content.error();
      std::optional<std::string> next;
      if (IsElf(*content)) {
        if (Status status = CheckElf(platform_, *entry, *content); !status) return status;
        const std::string interpreter = ReadElf(*content)->interpreter;
        if (interpreter.empty()) return {};
        next = interpreter;
      } else {
        next = Interpreter(*content);
      }
      if (!next || next->empty()) {
        return InvalidArgument(where + " is no program: " + entry->from + " is " +
                               (content->empty() ? "empty" : "neither ELF nor a script"));
      }
      wanted = std::move(*next);
      where += ", which needs ";
    }
    return InvalidArgument(where + "too many interpreters");
  }

 private:
  const Platform& platform_;
  const ImageTree tree_;
};

std::string TextAt(const JsonObject& config, std::string_view key, std::size_t at) {
  const Json* const words = config.if_contains(key);
  if (words == nullptr || !words->is_array() || words->get_array().size() <= at) return {};
  return std::string(words->get_array()[at].get_string().c_str());
}

}  // namespace

Result<std::string> ReadEntryFile(const LayerEntry& entry) {
  Result<std::string> content = ReadFile(entry.from, kFileBytesMax);
  if (!content)
    return Error{content.error().code, entry.origin + ".from: " + content.error().message};
  return content;
}

Status CheckElf(const Platform& platform, const LayerEntry& entry, std::string_view content) {
  if (!IsElf(content)) return {};
  const std::string where = entry.origin + ": " + entry.from + ": ";
  const Result<ElfInfo> info = ReadElf(content);
  if (!info) return InvalidArgument(where + info.error().message);
  if (info->architecture != platform.architecture) {
    const std::string found = info->architecture.empty()
                                  ? "ELF machine " + std::to_string(info->machine)
                                  : info->architecture;
    return InvalidArgument(where + "a program for " + found + " in the image for " +
                           platform.name());
  }
  if (const std::string_view fault = ArmFault(platform, *info); !fault.empty()) {
    return InvalidArgument(where + std::string(fault) + ", in the image for " + platform.name());
  }
  if (info->is_static() || entry.may_be_dynamic) return {};
  const std::string needs = info->interpreter.empty()
                                ? "the library " + Printable(info->library)
                                : "the interpreter " + Printable(info->interpreter);
  return InvalidArgument(where + "not statically linked, needs " + needs);
}

Status CheckPrograms(const Platform& platform, const JsonObject& config) {
  const ProgramChecker checker(platform);
  const std::string_view run = config.contains("Entrypoint") ? "Entrypoint" : "Cmd";
  Status status = checker.Check("config." + std::string(run) + "[0]", TextAt(config, run, 0));
  const Json* const check = config.if_contains("Healthcheck");
  if (!status || check == nullptr) return status;
  const std::string kind = TextAt(check->get_object(), "Test", 0);
  const std::string program = TextAt(check->get_object(), "Test", 1);
  if (kind == "CMD") return checker.Check("config.Healthcheck.Test[1]", program);
  // The engine starts a shell for it.
  if (kind == "CMD-SHELL") return checker.Check("config.Healthcheck.Test[0]", "/bin/sh");
  return {};
}

}  // namespace pgw::image
