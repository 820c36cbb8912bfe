#include "docker/pack/elf.h"

#include <elf.h>

#include <array>
#include <cstdint>
#include <optional>
#include <vector>

namespace pgw::image {
namespace {

struct Machine {
  unsigned number;
  unsigned char elf_class;
  unsigned char data;
  std::string_view architecture;
};

constexpr std::array kMachines{
    Machine{EM_X86_64, ELFCLASS64, ELFDATA2LSB, "amd64"},
    Machine{EM_AARCH64, ELFCLASS64, ELFDATA2LSB, "arm64"},
    Machine{EM_ARM, ELFCLASS32, ELFDATA2LSB, "arm"},
    Machine{EM_386, ELFCLASS32, ELFDATA2LSB, "386"},
    Machine{EM_RISCV, ELFCLASS64, ELFDATA2LSB, "riscv64"},
    Machine{EM_PPC64, ELFCLASS64, ELFDATA2LSB, "ppc64le"},
    Machine{EM_PPC64, ELFCLASS64, ELFDATA2MSB, "ppc64"},
    Machine{EM_S390, ELFCLASS64, ELFDATA2MSB, "s390x"},
};

// Numbers of either width and byte order; nothing where the file ends too early.
class Reader {
 public:
  explicit Reader(std::string_view file)
      : file_(file), is_64_(file[EI_CLASS] == ELFCLASS64), is_big_(file[EI_DATA] == ELFDATA2MSB) {}

  bool is_64() const { return is_64_; }

  std::optional<std::uint64_t> Number(std::uint64_t offset, unsigned size) const {
    if (offset > file_.size() || size > file_.size() - offset) return std::nullopt;
    std::uint64_t value = 0;
    for (unsigned i = 0; i < size; ++i) {
      const std::uint64_t at = offset + (is_big_ ? i : size - 1 - i);
      value = value << 8 | static_cast<unsigned char>(file_[at]);
    }
    return value;
  }
  // An address, offset or size: as wide as the file's class.
  std::optional<std::uint64_t> Word(std::uint64_t offset) const {
    return Number(offset, is_64_ ? 8 : 4);
  }
  std::string_view Slice(std::uint64_t offset, std::uint64_t size) const {
    if (offset > file_.size() || size > file_.size() - offset) return {};
    return file_.substr(offset, size);
  }
  std::string_view Text(std::uint64_t offset) const {
    const std::string_view text = offset < file_.size() ? file_.substr(offset) : "";
    return text.substr(0, text.find('\0')).substr(0, 256);
  }

 private:
  std::string_view file_;
  bool is_64_;
  bool is_big_;
};

struct Segment {
  std::uint64_t type, offset, address, size;
};

std::optional<Segment> ReadSegment(const Reader& reader, std::uint64_t at) {
  const bool wide = reader.is_64();
  const auto type = reader.Number(at, 4);
  const auto offset = reader.Word(at + (wide ? 8 : 4));
  const auto address = reader.Word(at + (wide ? 16 : 8));
  const auto size = reader.Word(at + (wide ? 32 : 16));
  if (!type || !offset || !address || !size) return std::nullopt;
  return Segment{*type, *offset, *address, *size};
}

// The name of the first library that the dynamic section asks for; "" for none.
std::string FirstLibrary(const Reader& reader, const Segment& dynamic,
                         const std::vector<Segment>& loads) {
  const std::uint64_t width = reader.is_64() ? 8 : 4;
  std::optional<std::uint64_t> needed;
  std::uint64_t strings = 0;
  for (std::uint64_t at = 0; at + 2 * width <= dynamic.size; at += 2 * width) {
    const auto tag = reader.Word(dynamic.offset + at);
    const auto value = reader.Word(dynamic.offset + at + width);
    if (!tag || !value || *tag == DT_NULL) break;
    if (*tag == DT_NEEDED && !needed) needed = value;
    if (*tag == DT_STRTAB) strings = *value;
  }
  if (!needed) return {};
  for (const Segment& load : loads) {
    if (strings < load.address || strings - load.address >= load.size) continue;
    const std::string_view name = reader.Text(load.offset + (strings - load.address) + *needed);
    if (!name.empty()) return std::string(name);
  }
  return "(a library)";
}

}  // namespace

bool IsElf(std::string_view file) { return file.starts_with(std::string_view(ELFMAG, SELFMAG)); }

Result<ElfInfo> ReadElf(std::string_view file) {
  if (!IsElf(file)) return InvalidArgument("not an ELF file");
  if (file.size() < EI_NIDENT) return InvalidArgument("an ELF file that is cut off");
  const auto elf_class = static_cast<unsigned char>(file[EI_CLASS]);
  const auto data = static_cast<unsigned char>(file[EI_DATA]);
  if ((elf_class != ELFCLASS32 && elf_class != ELFCLASS64) ||
      (data != ELFDATA2LSB && data != ELFDATA2MSB)) {
    return InvalidArgument("an ELF file of unknown class");
  }
  const Reader reader(file);
  const bool wide = reader.is_64();
  const auto type = reader.Number(16, 2);
  const auto machine = reader.Number(18, 2);
  const auto headers = reader.Word(wide ? 32 : 28);
  const auto flags = reader.Number(wide ? 48 : 36, 4);
  const auto header_size = reader.Number(wide ? 54 : 42, 2);
  const auto header_count = reader.Number(wide ? 56 : 44, 2);
  if (!type || !machine || !headers || !flags || !header_size || !header_count) {
    return InvalidArgument("an ELF file that is cut off");
  }
  if (*type != ET_EXEC && *type != ET_DYN) return InvalidArgument("an ELF file that is no program");
  if (*header_count == 0 || *header_size < (wide ? sizeof(Elf64_Phdr) : sizeof(Elf32_Phdr))) {
    return InvalidArgument("an ELF file without program headers");
  }
  ElfInfo info;
  info.machine = static_cast<unsigned>(*machine);
  for (const Machine& known : kMachines) {
    if (known.number == *machine && known.elf_class == elf_class && known.data == data) {
      info.architecture = known.architecture;
    }
  }
  if (info.architecture == "arm") {
    info.is_eabi5 = (*flags & EF_ARM_EABIMASK) == EF_ARM_EABI_VER5;
    info.is_hard_float = (*flags & EF_ARM_ABI_FLOAT_HARD) != 0;
  }
  std::optional<Segment> dynamic;
  std::vector<Segment> loads;
  for (std::uint64_t i = 0; i < *header_count; ++i) {
    const std::optional<Segment> segment = ReadSegment(reader, *headers + i * *header_size);
    if (!segment) return InvalidArgument("an ELF file that is cut off");
    if (segment->type == PT_INTERP) {
      info.interpreter = reader.Text(segment->offset);
      if (info.interpreter.empty()) info.interpreter = "(without a name)";
    }
    if (segment->type == PT_LOAD) {
      if (reader.Slice(segment->offset, segment->size).size() != segment->size) {
        return InvalidArgument("an ELF file that is cut off");
      }
      loads.push_back(*segment);
    }
    if (segment->type == PT_DYNAMIC) dynamic = *segment;
  }
  if (loads.empty()) return InvalidArgument("an ELF file with nothing to load");
  if (dynamic) info.library = FirstLibrary(reader, *dynamic, loads);
  return info;
}

}  // namespace pgw::image
