// The middle of a connection: requests in the hands of handlers.
#include <algorithm>
#include <new>
#include <utility>

#include "server/http/beast_connection.h"

namespace pgw::http {
namespace {

// What throws there has lost the responder, which has answered by then, or given it away.
void StartLater(PendingResponse& later, std::unique_ptr<LateResponse> reply) noexcept {
  try {
    later.Start(Responder(std::move(reply)));
  } catch (...) {
    return;
  }
}

}  // namespace

// Of one body. A larger one than all may be together would wait for ever.
std::uint64_t Connection::BodyBytesMax() const {
  if (limits().body_bytes_max == 0) return limits().bodies_bytes_max;
  if (limits().bodies_bytes_max == 0) return limits().body_bytes_max;
  return std::min(limits().body_bytes_max, limits().bodies_bytes_max);
}

Response Connection::TooLarge() const {
  Response response = Response::PlainError(
      413, "request body too large: more than " + std::to_string(BodyBytesMax()) + " bytes");
  response.close = true;
  return response;
}

// Handlers promise not to throw; memory may still run out in one.
Response Connection::CallOnRequest(const Request& request) {
  Handler& handler = thread_.engine().handler;
  const bool is_broken = incoming_ != nullptr && !incoming_->broken.empty();
  try {
    return is_broken ? handler.OnBrokenBody(request, incoming_->broken)
                     : handler.OnRequest(request);
  } catch (const std::bad_alloc&) {
    return Response::OutOfMemory();
  } catch (...) {
    return Response::Failed();
  }
}

std::optional<Response> Connection::CallOnHeader(const Request& request) {
  try {
    return thread_.engine().handler.OnHeader(request);
  } catch (const std::bad_alloc&) {
    return Response::OutOfMemory();
  } catch (...) {
    return Response::Failed();
  }
}

// ---- Before the body ----

std::optional<Response> Connection::OwnAnswer(const RequestTraits& traits) const {
  Response response;
  response.close = true;
  switch (traits.built_in) {
    case BuiltIn::kServerOptions:
      return Response{};
    case BuiltIn::kAsterisk:
      response.status = 400;
      return response;
    case BuiltIn::kExpectationFailed:
      response.status = 417;
      return response;
    case BuiltIn::kConnect:
      response = Response::PlainError(404, "404 page not found");
      response.close = true;
      return response;
    case BuiltIn::kNone:
      break;
  }
  const std::uint64_t bytes_max = BodyBytesMax();
  if (bytes_max != 0 && traits.content_length.value_or(0) > bytes_max) return TooLarge();
  return std::nullopt;
}

// The request was answered without its body: skip that if it is short, or else close.
bool Connection::AnswerEarly(Response response, const RequestTraits& traits, RequestParser& parser,
                             std::string_view head, std::string_view& in) {
  if (traits.content_length.value_or(0) <= in.size() && !traits.chunked) {
    in.remove_prefix(static_cast<std::size_t>(traits.content_length.value_or(0)));
    return AnswerOrAwait(std::move(response), parser.line(), traits.keep_alive);
  }
  if (response.later == nullptr && !KeepsUnread(response, traits)) {
    linger_ = true;
    Answer(std::move(response), parser.line(), false);
    return false;
  }
  const Incoming& incoming = KeepRequest(parser, head);
  if (response.later != nullptr) {
    handled_is_unread_ = true;
    Await(std::move(response.later), incoming.parser.line(), incoming.traits.keep_alive);
    return false;
  }
  AnswerUnread(std::move(response));
  return true;
}

// Whether the connection goes on behind a body that is skipped.
bool Connection::KeepsUnread(const Response& response, const RequestTraits& traits) const {
  // A client that was promised an interim answer may or may not send its body now: the next byte
  // could be either, so the connection cannot be kept.
  return traits.keep_alive && !response.close && !traits.expects_continue && !thread_.draining() &&
         (traits.chunked || *traits.content_length <= kDiscardBytesMax);
}

// The answer to a request that was kept, while a part of its body may still be on its way.
void Connection::AnswerUnread(Response response) {
  const bool keep = KeepsUnread(response, incoming_->traits);
  if (!keep) linger_ = true;
  stage_ = keep ? Stage::kDiscarding : Stage::kIdle;
  Answer(std::move(response), incoming_->parser.line(), keep);
}

// ---- With the body ----

bool Connection::HandleBody() {
  Engine& engine = thread_.engine();
  Incoming& incoming = *incoming_;
  incoming.request.body = incoming.body.view();
  incoming.request.received = engine.clock.Now();
  if (incoming.body.size() >= engine.options.offload_body_bytes) {
    incoming.reply = std::make_unique<LateResponse>(thread_.mailbox(), *this);
    BeginHandling(incoming.parser.line(), incoming.traits.keep_alive);
    try {
      engine.workers.Run([this] { HandleOnWorker(); });
      return false;
    } catch (...) {  // no thread to be had: then this one does it
      --operations_;
    }
  }
  stage_ = Stage::kIdle;
  const bool answered = AnswerOrAwait(CallOnRequest(incoming.request), incoming.parser.line(),
                                      incoming.traits.keep_alive);
  ReleaseIncoming();
  return answered;
}

// Runs on a worker, which has `incoming_` to itself until it has answered or started anything.
void Connection::HandleOnWorker() noexcept {
  std::unique_ptr<LateResponse> reply = std::move(incoming_->reply);
  Response response = CallOnRequest(incoming_->request);
  if (response.later == nullptr) return Responder(std::move(reply)).Send(std::move(response));
  ReleaseBody();
  StartLater(*response.later, std::move(reply));
}

// True: answered. False: waiting for the answer; nothing of the request was kept.
bool Connection::AnswerOrAwait(Response response, const RequestLine& line, bool keep_alive) {
  if (response.later == nullptr) {
    Answer(std::move(response), line, keep_alive);
    return true;
  }
  Await(std::move(response.later), line, keep_alive);
  return false;
}

// Until TakeLateResponse().
void Connection::BeginHandling(const RequestLine& line, bool keep_alive) {
  stage_ = Stage::kHandling;
  deadline_ = SteadyTime::max();
  handled_is_head_ = line.method == "HEAD";
  handled_is_http_1_0_ = line.version_minor == 0;
  handled_keep_alive_ = keep_alive;
  ++operations_;
}

void Connection::Await(std::unique_ptr<PendingResponse> later, const RequestLine& line,
                       bool keep_alive) {
  auto reply = std::make_unique<LateResponse>(thread_.mailbox(), *this);
  BeginHandling(line, keep_alive);
  if (!handled_is_unread_) ReleaseIncoming();
  StartLater(*later, std::move(reply));
}

void Connection::TakeLateResponse(std::unique_ptr<LateResponse> late) {
  RunOperation([&] {
    if (stage_ == Stage::kClosed) return;
    if (outgoing_ != nullptr) {
      ready_ = std::move(late);
      return;
    }
    FinishHandled(std::move(late->response));
    Consume({});
  });
}

void Connection::FinishHandled(Response response) {
  if (std::exchange(handled_is_unread_, false)) return AnswerUnread(std::move(response));
  RequestLine line;
  if (handled_is_head_) line.method = "HEAD";
  line.version_minor = handled_is_http_1_0_ ? 0 : 1;
  stage_ = Stage::kIdle;
  Answer(std::move(response), line, handled_keep_alive_);
  ReleaseIncoming();
}

}  // namespace pgw::http
