// For callers of a handler that have a thread per request, and tests. Knows message.
#pragma once

#include "server/http/message.h"

namespace pgw::http {

// The response itself; if it comes later, blocks until it is there. Does not throw what
// PendingResponse::Start() throws: that is a 503.
Response Await(Response response);

}  // namespace pgw::http
