// What an ELF file says of itself: its architecture, and whether it runs without libraries.
// Knows base. Every byte is hostile.
#pragma once

#include <string>
#include <string_view>

#include "base/result.h"

namespace pgw::image {

struct ElfInfo {
  std::string architecture;    // in Go's words; empty: none that we know
  unsigned machine = 0;        // e_machine
  bool is_eabi5 = false;       // of arm: the version of the ABI, and
  bool is_hard_float = false;  // that numbers are passed in floating-point registers
  std::string interpreter;     // PT_INTERP
  std::string library;         // the first DT_NEEDED

  bool is_static() const { return interpreter.empty() && library.empty(); }
};

// By the first four bytes: what begins so is an ELF file, or a broken one.
bool IsElf(std::string_view file);

// kInvalidArgument for what is no whole executable file.
Result<ElfInfo> ReadElf(std::string_view file);

}  // namespace pgw::image
