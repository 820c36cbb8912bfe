#include "server/routes/status_mapping.h"

namespace pgw {

int StatusOf(Code code) {
  switch (code) {
    case Code::kInvalidArgument:
      return 400;
    case Code::kTooLarge:
      return 413;
    case Code::kOverloaded:
      return 503;
    case Code::kUnavailable:
      return 503;
    case Code::kInternal:
      return 500;
  }
  return 500;
}

http::Response ReplyTo(const Error& error) {
  http::Response response = http::Response::PlainError(StatusOf(error.code), error.message);
  if (error.code == Code::kTooLarge) response.close = true;
  if (error.code == Code::kOverloaded) response.headers.emplace_back("Retry-After", "1");
  return response;
}

http::Response Accepted(const Status& status) {
  if (!status) return ReplyTo(status.error());
  http::Response response;
  response.status = 202;
  return response;
}

}  // namespace pgw
