// What an HTTP engine serves. Knows base.
#pragma once

#include <optional>
#include <string_view>

#include "server/http/message.h"

namespace pgw::http {

// Thread-safe: an engine calls it from several threads at once. No exception leaves it.
//
// Both calls may return an answer that comes later (Response::later). Its connection waits
// meanwhile, with the requests behind it, but no thread does.
class Handler {
 public:
  virtual ~Handler() = default;

  // Called when the header block is complete and the body is not. A response answers the request
  // without its body (routing errors, early checks); nullopt asks for the body, which is when a
  // client that sent `Expect: 100-continue` gets its interim answer. Not called for what is
  // complete at once: OnRequest must judge the same things for itself.
  virtual std::optional<Response> OnHeader(const Request& request) = 0;

  // Called when the request is complete, for those that OnHeader has let through. May take
  // milliseconds for a large body: the engine calls it off its I/O threads then.
  virtual Response OnRequest(const Request& request) = 0;

  // Called instead of OnRequest when the client ended its sending, or left, before the body that it
  // announced was complete: `request.body` is what came, `reason` why no more did, in Go's words
  // (`unexpected EOF`, `read tcp …: read: connection reset by peer`). The connection closes after
  // the answer, which nobody may be there to read.
  virtual Response OnBrokenBody(const Request& request, std::string_view reason);
};

}  // namespace pgw::http
