#include "store/group_pool.h"

#include <bit>
#include <cassert>

namespace pgw {

GroupPool::~GroupPool() {
  for (std::size_t place = 0; place < end(); ++place) {
    if (Group* const group = Find(place)) std::destroy_at(group);
  }
}

Group& GroupPool::Add(std::string_view key) {
  if (roomy_.empty()) {
    pages_.emplace_back();
    roomy_.reserve(pages_.capacity());  // so that Remove() needs no memory
    roomy_.push_back(static_cast<std::uint32_t>(pages_.size() - 1));
  }
  const std::uint32_t number = roomy_.back();
  Page& page = pages_[number];
  if (page.memory == nullptr) page.memory.reset(new Memory);
  const auto index = static_cast<std::uint32_t>(std::countr_one(page.used));
  const std::uint32_t place = number * kGroupsPerPage + index;
  Group* const group = std::construct_at(At(place), key);
  assert(place >> Group::kPlaceBits == 0);  // 350 GB of groups
  group->place = place & ((1U << Group::kPlaceBits) - 1);
  page.used |= 1u << index;
  if (page.used == kAllUsed) roomy_.pop_back();
  return *group;
}

void GroupPool::Remove(Group& group) {
  const std::uint32_t number = group.place / kGroupsPerPage;
  Page& page = pages_[number];
  if (page.used == kAllUsed) roomy_.push_back(number);
  assert((page.used >> (group.place % kGroupsPerPage) & 1) != 0);
  page.used &= ~(1u << (group.place % kGroupsPerPage));
  std::destroy_at(&group);
  if (page.used == 0) page.memory.reset();
}

}  // namespace pgw
