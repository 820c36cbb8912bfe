// A response as bytes. Pure functions; knows message and request_check.
#pragma once

#include <cstdint>
#include <ctime>
#include <string>
#include <string_view>

#include "server/http/message.h"
#include "server/http/request_check.h"

namespace pgw::http {

// How the body of one response travels.
enum class BodyForm : unsigned char {
  kNone,      // 1xx, 204, 304: neither a body nor a length
  kLength,    // Content-Length
  kChunked,   // length unknown, HTTP/1.1
  kUntilEnd,  // length unknown, HTTP/1.0: the body ends with the connection
};

struct ResponsePlan {
  BodyForm form = BodyForm::kNone;
  std::uint64_t length = 0;  // of kLength
  bool send_body = false;    // false for HEAD, and where there is none
  bool keep_alive = true;
};

// `keep_alive`: what the request and the engine want; the plan may have to drop it.
ResponsePlan PlanResponse(const Response& response, const RequestLine& request, bool keep_alive);

// Status line and headers with the empty line. `date` as HttpDate made it. A line end inside a
// header value becomes a space: what a handler echoes must not add headers.
void AppendResponseHead(std::string& out, const Response& response, const ResponsePlan& plan,
                        int version_minor, std::string_view date);

void AppendRefusal(std::string& out, const Refusal& refusal);

// `1F4\r\n`: the head of a chunk of that size.
void AppendChunkHead(std::string& out, std::uint64_t size);

// `Mon, 23 Nov 2026 02:55:55 GMT`.
std::string HttpDate(std::time_t seconds);

}  // namespace pgw::http
