// Does a push contradict what other groups have? Knows store/state, store/prepared_push.
//
// Costs O(what is pushed): a type is compared by count, and a series can only collide with a group
// of another shape whose grouping labels it carries itself, which is one look-up per shape.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <unordered_set>
#include <utility>

#include "store/error_list.h"
#include "store/group.h"
#include "store/prepared_push.h"
#include "store/state.h"

namespace pgw {

// One check of one push, under the store's lock. What has expired at `now` counts as absent.
class CrossCheck {
 public:
  // `group` is the pushing group, null if it is new, and `shape` the shape that it has or will
  // have; null if it is one that no group has, or one in which another group's series may be the
  // same. `replaces_all`: what it has besides the pushed families does not count (PUT).
  CrossCheck(State& state, const PreparedPush& push, Group* group, const Shape* shape,
             bool replaces_all, Deadline now)
      : state_(state),
        push_(push),
        group_(group),
        shape_(shape),
        replaces_all_(replaces_all),
        now_(now) {}

  // Adds what contradicts; returns how many complaints that were. `stored` is the family of that
  // name and `own` the group's part of it, if there are any.
  std::size_t CheckFamily(const PreparedFamily& prepared, StoredFamily* stored, const Member* own,
                          ErrorList& errors);

 private:
  // The lines of one member, by what they begin with: made when a member is asked often.
  using LineIndex = std::unordered_set<std::string_view>;

  // A name or type that is new to the store.
  std::optional<std::string> CheckNewName(const PreparedFamily& prepared);
  // Types that other groups (and this one, where its part stays) have under that exposed name.
  ExposedFamily Residual(std::string_view exposed);
  TypeMask ResidualTypes(StoredFamily& family);
  // True if a living slot of that type exists beside `own`.
  bool AnyAlive(const StoredFamily& family, MetricType type, const Member* own) const;
  bool Collides(const PreparedFamily& prepared, const Metric& metric, StoredFamily& family);
  bool HasLine(const Member& member, std::string_view prefix);

  State& state_;
  const PreparedPush& push_;
  Group* const group_;
  const Shape* const shape_;
  const bool replaces_all_;
  const Deadline now_;
  std::size_t comparisons_ = 0;  // of samples with shapes, so far
  std::unordered_map<const Member*, std::pair<std::uint32_t, LineIndex>> asked_;
};

}  // namespace pgw
