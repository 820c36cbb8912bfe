#include "server/http/handler.h"

namespace pgw::http {

Response Handler::OnBrokenBody(const Request& /*request*/, std::string_view reason) {
  return Response::PlainError(400, reason);
}

}  // namespace pgw::http
