// A push's path, from the request line to the group: any bytes either name a group whose key reads
// back to its labels, or are refused with a text.
#include <cstdint>
#include <cstdlib>
#include <string>
#include <string_view>
#include <variant>

#include "exposition/names.h"
#include "server/routes/grouping_path.h"
#include "server/routes/router.h"

namespace {

void Check(bool holds) {
  if (!holds) std::abort();
}

void CheckKey(const pgw::GroupKey& key) {
  bool has_job = false;
  std::vector<std::pair<std::string_view, std::string_view>> copy;
  for (const auto& [name, value] : key.Labels()) {
    Check(pgw::IsValidUtf8(name) && pgw::IsValidUtf8(value));
    Check(!name.empty() && !name.starts_with("__"));
    has_job = has_job || (name == "job" && !value.empty());
    copy.emplace_back(name, value);
  }
  Check(has_job);
  const pgw::Result<pgw::GroupKey> again = pgw::GroupKey::Make(copy);
  Check(again.has_value() && *again == key);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size == 0) return 0;
  const bool utf8 = (data[0] & 1) != 0;
  const bool raw = (data[0] & 2) != 0;  // without the fixed part in front
  std::string target = raw ? "" : "/metrics/job/";
  target.append(reinterpret_cast<const char*>(data + 1), size - 1);

  static const pgw::Router kRouter{pgw::RouterOptions{}};
  if (const auto redirect = kRouter.CleaningRedirect("PUT", target)) {
    for (const auto& [name, value] : redirect->headers) {
      if (name != "Location") continue;
      Check(value.starts_with('/') && !value.starts_with("//") && !value.starts_with("/\\"));
      Check(value.find_first_of(" \r\n") == std::string::npos);
    }
    return 0;
  }
  std::string storage;
  const auto routed = kRouter.Route("PUT", target, storage);
  const auto* const match = std::get_if<pgw::RouteMatch>(&routed);
  if (match == nullptr || match->id != pgw::RouteId::kPush) return 0;
  const auto validation = utf8 ? pgw::NameValidation::kUtf8 : pgw::NameValidation::kLegacy;
  const auto outcome =
      pgw::ParseGroupingPath(match->job, match->job_is_base64, match->rest, validation);
  if (const auto* const key = std::get_if<pgw::GroupKey>(&outcome)) {
    CheckKey(*key);
  } else {
    Check(!std::get<pgw::GroupingFailure>(outcome).message.empty());
  }
  return 0;
}
