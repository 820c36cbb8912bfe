#include "exposition/family_set.h"

#include <cstring>

namespace pgw {
namespace {

// What an idle set may keep per array: enough for a push of some megabytes.
constexpr std::size_t kBytesKeptPerArray = std::size_t{4} << 20;

template <typename T>
void ClearBounded(std::vector<T>& array) {
  if (array.capacity() * sizeof(T) > kBytesKeptPerArray) {
    std::vector<T>().swap(array);
  } else {
    array.clear();
  }
}

}  // namespace

FamilySet::FamilySet() : arena_(std::make_unique<std::pmr::monotonic_buffer_resource>()) {}

void FamilySet::Clear() {
  ClearBounded(families);
  ClearBounded(metrics);
  ClearBounded(labels);
  ClearBounded(points);
  ClearBounded(backing);
  arena_->release();
  interned_bytes_ = 0;
  labels_valid = false;
  names_plain = false;
  verbatim = {};
}

std::size_t FamilySet::footprint() const {
  return sizeof(FamilySet) + interned_bytes_ + families.capacity() * sizeof(Family) +
         metrics.capacity() * sizeof(Metric) + labels.capacity() * sizeof(Label) +
         points.capacity() * sizeof(Point) + backing.capacity() * sizeof(backing[0]);
}

std::string_view FamilySet::Intern(std::string_view text) {
  if (text.empty()) return {};
  char* copy = static_cast<char*>(arena_->allocate(text.size(), alignof(char)));
  std::memcpy(copy, text.data(), text.size());
  interned_bytes_ += text.size();
  return {copy, text.size()};
}

}  // namespace pgw
