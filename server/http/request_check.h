// The protocol rules beyond the grammar: what a request line and a header block may say, what they
// mean for the body that follows, and in which words the rest is refused. Pure functions; knows
// message.h alone. docs/http.md is the same as a table.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "server/http/message.h"

namespace pgw::http {

// An answer to bytes that are no acceptable request. The connection closes after it. Has the form
// Go's server gives it: no Date and no Content-Length, the body repeats the status line.
struct Refusal {
  int status = 400;
  std::string_view detail{};  // `400 Bad Request: <detail>` if not empty
  std::string_view body{};    // instead of repeating the status line, if not empty
};

struct RequestLine {
  std::string_view method;
  std::string_view target;
  int version_minor = 1;  // 0 for HTTP/1.0, 1 for every later 1.x
};

// `line` without its end. The views point into it.
std::optional<Refusal> ParseRequestLine(std::string_view line, RequestLine& parsed);

// `line` without its end, and not empty. The views point into it, the value without the blanks
// around it. A line that continues the one before (RFC 9112 §5.2, obs-fold) is refused.
std::optional<Refusal> ParseHeaderLine(std::string_view line, Header& parsed);

// RFC 9110 §5.5: no control character but the tab.
bool IsFieldValue(std::string_view text);

// Requests that are answered without asking a handler.
enum class BuiltIn : unsigned char {
  kNone,
  kServerOptions,      // OPTIONS *: 200, empty
  kAsterisk,           // any other *: 400, empty, close
  kConnect,            // CONNECT host:port: 404, close
  kExpectationFailed,  // Expect other than 100-continue: 417, close
};

// What a header block means to the connection.
struct RequestTraits {
  std::string_view target;  // in origin form: path and query
  std::string_view host;
  std::optional<std::uint64_t> content_length;
  bool chunked = false;
  bool keep_alive = true;
  bool expects_continue = false;
  BuiltIn built_in = BuiltIn::kNone;
};

// `storage` keeps a target that is not a part of what was sent (`GET http://host?query`); it must
// live as long as `traits` is used.
std::optional<Refusal> CheckRequest(const RequestLine& line, std::span<const Header> headers,
                                    std::string& storage, RequestTraits& traits);

// Digits alone: no sign, no list, no inner space, no overflow.
std::optional<std::uint64_t> ParseContentLength(std::string_view text);

}  // namespace pgw::http
