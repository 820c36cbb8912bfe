// Asking for memory before it is needed. Knows nothing.
#pragma once

#include <cstddef>
#include <cstdint>

namespace pgw {

inline constexpr std::size_t kCacheLine = 64;

// The line at that address, which need not be there any more. The empty statement keeps GCC from
// taking a function that does nothing else for one that does nothing, and dropping its calls.
inline void PrefetchLine(std::uintptr_t address) {
  // NOLINTNEXTLINE(performance-no-int-to-ptr): nothing is read there.
  __builtin_prefetch(reinterpret_cast<const void*>(address));
  __asm__ volatile("" : : "r"(address));
}

// The same, to be written to: the other cores give up their copies at once.
inline void PrefetchLineToWrite(std::uintptr_t address) {
#if defined(__x86_64__)
  // Compilers write it only for processors that say they know it. Others take it for nothing, but
  // for the very first 64-bit ones of 2004, which are not supported.
  __asm__ volatile("prefetchw (%0)" : : "r"(address));
#elif defined(__arm__)
  PrefetchLine(address);  // not every ARMv7 has pldw, and compilers leave it out then
#else
  // NOLINTNEXTLINE(performance-no-int-to-ptr): nothing is read there.
  __builtin_prefetch(reinterpret_cast<const void*>(address), 1);
  __asm__ volatile("" : : "r"(address));
#endif
}

// All lines of `size` bytes.
template <void (*kAsk)(std::uintptr_t) = PrefetchLine>
void Prefetch(std::uintptr_t from, std::size_t size) {
  if (size == 0) return;
  for (std::size_t at = 0; at < size; at += kCacheLine) kAsk(from + at);
  kAsk(from + size - 1);
}
template <void (*kAsk)(std::uintptr_t) = PrefetchLine>
void Prefetch(const void* from, std::size_t size) {
  Prefetch<kAsk>(reinterpret_cast<std::uintptr_t>(from), size);
}
// The same, to be written to.
inline void PrefetchToWrite(std::uintptr_t from, std::size_t size) {
  Prefetch<PrefetchLineToWrite>(from, size);
}
inline void PrefetchToWrite(const void* from, std::size_t size) {
  Prefetch<PrefetchLineToWrite>(from, size);
}

}  // namespace pgw
