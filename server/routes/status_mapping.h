// Which HTTP status an error becomes. The one place that knows.
#pragma once

#include "base/result.h"
#include "server/http/message.h"

namespace pgw {

int StatusOf(Code code);

// The error as an answer: its message in the form of Go's http.Error. An oversized body closes
// the connection, an overloaded server names a time to come back.
http::Response ReplyTo(const Error& error);

// 202 without a body, or the error.
http::Response Accepted(const Status& status);

}  // namespace pgw
