// Where groups lie: by number, a page of memory for each few. Knows store/group. Guarded by the
// store's lock.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string_view>
#include <vector>

#include "store/group.h"

namespace pgw {

// The address of a group follows from its number without a look at anything that is as cold as the
// group itself: the table of pages is small. A page is given back when its last group goes.
class GroupPool {
 public:
  GroupPool() = default;
  ~GroupPool();
  GroupPool(const GroupPool&) = delete;
  GroupPool& operator=(const GroupPool&) = delete;

  // A new group, which knows its number: `place`. It keeps it for life.
  Group& Add(std::string_view key);
  void Remove(Group& group);

  // Add() of a key of that many bytes asks for no more memory.
  std::size_t AddBytesMax(std::size_t key) const {
    const std::size_t lists =
        pages_.size() < pages_.capacity() ? 0 : 4 * (pages_.size() + 8) * sizeof(Page);
    return lists + sizeof(Memory) + key;
  }

  // All numbers in use are below.
  std::size_t end() const { return pages_.size() * kGroupsPerPage; }
  // Null where there is none.
  Group* Find(std::size_t place) const {
    const bool used = (pages_[place / kGroupsPerPage].used >> (place % kGroupsPerPage) & 1) != 0;
    return used ? At(static_cast<std::uint32_t>(place)) : nullptr;
  }
  // REQUIRES: there is one. Looks at nothing of it.
  Group* At(std::uint32_t place) const {
    return reinterpret_cast<Group*>(pages_[place / kGroupsPerPage].memory->bytes) +
           place % kGroupsPerPage;
  }

 private:
  static constexpr std::uint32_t kGroupsPerPage = 32;
  static constexpr std::uint32_t kAllUsed = 0xffffffff;

  struct Memory {
    alignas(Group) std::byte bytes[kGroupsPerPage * sizeof(Group)];
  };
  struct Page {
    std::unique_ptr<Memory> memory;  // null where none is used
    std::uint32_t used = 0;          // a bit for each
  };

  std::vector<Page> pages_;
  std::vector<std::uint32_t> roomy_;  // the pages that are not full
};

}  // namespace pgw
