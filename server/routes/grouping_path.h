// The grouping labels of a push or delete, from the path. Pure functions; knows store/group_key.
//
// Checks and messages are upstream's (handler/push.go), in its order. Beyond it, label values must
// be UTF-8 and a name must not decode to a reserved one: upstream creates groups from these that
// fail every scrape afterwards.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <variant>

#include "base/result.h"
#include "exposition/names.h"
#include "store/group_key.h"

namespace pgw {

// What Go's base64.RawURLEncoding makes of text whose trailing `=` are cut off first.
struct Base64Text {
  std::string decoded;               // up to the first bad group of four
  std::optional<std::string> error;  // illegal base64 data at input byte N
};
Base64Text DecodeBase64(std::string_view text);

struct GroupingFailure {
  enum class Part : unsigned char { kJobEncoding, kLabels, kJobMissing };
  Part part = Part::kLabels;
  std::string message;  // complete, for the client
  std::string reason;   // for the log
  std::string job;      // for the log: what could be decoded of it
};

// `job` and `labels` as RouteMatch has them: decoded, labels with their leading slash.
std::variant<GroupKey, GroupingFailure> ParseGroupingPath(std::string_view job, bool job_is_base64,
                                                          std::string_view labels,
                                                          NameValidation validation);

}  // namespace pgw
