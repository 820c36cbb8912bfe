#include "server/http/message.h"

#include <exception>

#include "server/http/ascii.h"

namespace pgw::http {

std::optional<std::string_view> Request::Find(std::string_view name) const {
  for (const Header& header : headers) {
    if (EqualsIgnoringCase(header.name, name)) return header.value;
  }
  return std::nullopt;
}

Responder::~Responder() {
  if (sink_ == nullptr) return;
  // What throws where an answer is owed is memory, or a thread, that cannot be had.
  Send(std::uncaught_exceptions() > 0 ? Response::OutOfMemory() : Response::Failed());
}

void Responder::Send(Response response) noexcept {
  if (sink_ == nullptr) return;
  if (response.later != nullptr) response = Response::Failed();
  Sink& sink = *sink_;
  sink.Take(std::move(sink_), std::move(response));
}

Response Response::PlainError(int status, std::string_view message) {
  Response response;
  response.status = status;
  response.headers = {{"Content-Type", "text/plain; charset=utf-8"},
                      {"X-Content-Type-Options", "nosniff"}};
  response.body.reserve(message.size() + 1);
  response.body.append(message).push_back('\n');
  return response;
}

Response Response::OutOfMemory() noexcept {
  Response response;
  try {
    response = PlainError(503, "out of memory");
    response.headers.emplace_back("Retry-After", "1");
  } catch (...) {
    response.headers.clear();
    response.body.clear();
  }
  response.status = 503;
  response.close = true;
  return response;
}

Response Response::Failed() noexcept {
  try {
    return PlainError(500, "Internal Server Error");
  } catch (...) {  // no memory for words
    Response response;
    response.status = 500;
    return response;
  }
}

std::string_view ReasonPhrase(int status) {
  switch (status) {
    case 100:
      return "Continue";
    case 200:
      return "OK";
    case 202:
      return "Accepted";
    case 204:
      return "No Content";
    case 301:
      return "Moved Permanently";
    case 304:
      return "Not Modified";
    case 307:
      return "Temporary Redirect";
    case 400:
      return "Bad Request";
    case 401:
      return "Unauthorized";
    case 403:
      return "Forbidden";
    case 404:
      return "Not Found";
    case 405:
      return "Method Not Allowed";
    case 408:
      return "Request Timeout";
    case 413:
      return "Request Entity Too Large";
    case 417:
      return "Expectation Failed";
    case 429:
      return "Too Many Requests";
    case 431:
      return "Request Header Fields Too Large";
    case 500:
      return "Internal Server Error";
    case 501:
      return "Not Implemented";
    case 503:
      return "Service Unavailable";
    case 505:
      return "HTTP Version Not Supported";
    default:
      return "";
  }
}

}  // namespace pgw::http
