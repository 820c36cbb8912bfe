// DELETE of a group.
#include <utility>

#include "server/routes/gateway.h"

namespace pgw {

// The body, if there is one, is of no interest. Whether the group exists is not told either.
http::Response Gateway::Delete(const http::Request& request, const RouteMatch& match) {
  auto group = GroupOf(match);
  if (auto* const refusal = std::get_if<http::Response>(&group)) return std::move(*refusal);
  store_.Delete(std::get<GroupKey>(group), request.received);
  http::Response response;
  response.status = 202;
  return response;
}

}  // namespace pgw
