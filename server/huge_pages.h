// Has the kernel put the memory of this process into pages of 2 MB. Knows nothing.
//
// A push into a large store touches some thirty places anywhere in it. In pages of 4 KB the
// processor has to look up nearly each of them in tables that are cold themselves; in large ones it
// knows them all. Only what is in use all over is put together (MADV_COLLAPSE, Linux 6.1), so that
// nothing becomes larger; what is freed goes back to the kernel as before, and new memory still
// comes in small pages. Decision 0012.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

namespace pgw {

class HugePages {
 public:
  // Looks for the next piece of the heap that can be put together, and does that: a millisecond or
  // so, in which who touches that piece waits, with whatever lock it has. Returns whether
  // there is more to look at; after that it begins from the start. Never fails: where the kernel
  // cannot do that, or its administrator has forbidden it, there is nothing to look at. Not
  // thread-safe; others may use their memory as they like.
  bool PackNext();

  static constexpr std::size_t kPageBytes = 2u << 20;

 private:
  struct Range {
    std::uintptr_t begin = 0;
    std::uintptr_t end = 0;  // whole large pages
  };

  void FindRanges();

  std::vector<Range> ranges_;  // yet to be looked at, the last one first
  int failures_ = 0;           // one after the other
};

}  // namespace pgw
