// DELETE of a group.
#include <utility>

#include "server/routes/gateway.h"
#include "server/routes/status_mapping.h"

namespace pgw {

// The body, if there is one, is of no interest. Whether the group exists is not told either.
http::Response Gateway::Delete(const http::Request& request, const RouteMatch& match) {
  const auto counted = [this](http::Response response) {
    own_metrics_.CountRequest(HandlerName::kDelete, "DELETE", response.status);
    return response;
  };
  auto group = GroupOf(match);
  if (auto* const refusal = std::get_if<http::Response>(&group)) {
    return counted(std::move(*refusal));
  }
  return Respond(commands_.Delete(std::get<GroupKey>(group), request.received),
                 [counted](const Status& status) { return counted(Accepted(status)); });
}

}  // namespace pgw
