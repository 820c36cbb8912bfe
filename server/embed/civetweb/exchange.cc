#include "server/embed/civetweb/exchange.h"

#include <algorithm>
#include <array>
#include <chrono>
#include <new>
#include <utility>

#include "server/http/ascii.h"
#include "server/http/await.h"
#include "server/routes/router.h"

namespace pgw::embed {
namespace {

using http::Response;

constexpr std::size_t kPieceBytes = 16 * 1024;
constexpr std::size_t kGatheredBytesMax = 64 * 1024;
// What a client may still send of a body that was refused without being read, before giving up its
// connection is cheaper than reading on.
constexpr std::uint64_t kDiscardBytesMax = 256 * 1024;
// How long to go on reading what a client sends that was told to stop: closing a socket with
// unread input resets it, and the client may lose its answer.
constexpr std::chrono::seconds kLingerTime{2};
constexpr std::string_view kContinue = "HTTP/1.1 100 Continue\r\n\r\n";
constexpr std::string_view kFailed =
    "HTTP/1.1 500 Internal Server Error\r\nContent-Type: text/plain; charset=utf-8\r\n"
    "X-Content-Type-Options: nosniff\r\nContent-Length: 22\r\nConnection: close\r\n\r\n"
    "Internal Server Error\n";
constexpr std::string_view kOutOfMemory =
    "HTTP/1.1 503 Service Unavailable\r\nContent-Type: text/plain; charset=utf-8\r\n"
    "X-Content-Type-Options: nosniff\r\nContent-Length: 14\r\nConnection: close\r\n"
    "Retry-After: 1\r\n\r\nout of memory\n";
// For the access log: there was nobody left to answer.
constexpr int kClientGone = 499;

std::string_view TrimEnd(std::string_view text) {
  return text.substr(0, text.find_last_not_of(" \t") + 1);  // npos + 1 is 0
}

// 127.0.0.1:53854, [::1]:53854; IPv4-mapped addresses as IPv4.
std::string RemoteAddress(const mg_request_info& info) {
  constexpr std::string_view kMapped = "::ffff:";
  std::string_view host = info.remote_addr;
  if (host.starts_with(kMapped) && host.find('.') != std::string_view::npos) {
    host.remove_prefix(kMapped.size());
  }
  const bool brackets = host.find(':') != std::string_view::npos;
  std::string text;
  if (brackets) text.push_back('[');
  text.append(host);
  if (brackets) text.push_back(']');
  return text.append(":").append(std::to_string(info.remote_port));
}

}  // namespace

bool OptionIsYes(const mg_context* context, const char* name) {
  const char* const value = mg_get_option(context, name);
  return value != nullptr && http::EqualsIgnoringCase(value, "yes");
}

bool BodyCharge::Grow(std::uint64_t bytes) {
  if (!budget_.Take(bytes)) {
    if (!has_reserve_) has_reserve_ = budget_.ClaimReserve();
    if (!has_reserve_) return false;
    budget_.TakeAnyway(bytes);
  }
  held_ += bytes;
  return true;
}

void BodyCharge::Shrink(std::uint64_t bytes) {
  held_ -= bytes;
  (void)budget_.Return(bytes);  // nobody waits: see ReadBody()
}

void BodyCharge::Release() {
  Shrink(held_);
  if (std::exchange(has_reserve_, false)) budget_.ReleaseReserve();
}

int Exchange::Run() noexcept {
  try {
    return Serve();
  } catch (const std::bad_alloc&) {
    return Fail(kOutOfMemory, 503);
  } catch (...) {  // a handler broke its promise; between C and C++, nothing may fly
    return Fail(kFailed, 500);
  }
}

int Exchange::Fail(std::string_view answer, int status) {
  CloseAfterwards();
  if (!sent_) mg_write(connection_, answer.data(), answer.size());
  return status;
}

int Exchange::Serve() {
  TakeRequestLine();
  if (!IsBelowPrefix()) return 0;
  TakeHeaders();
  // civetweb drops the headers that it has no room for. Where one of them may have said how long
  // the body is, nothing that follows can be trusted.
  if (info_.num_headers >= MG_MAX_HEADERS) return Refuse({431});
  if (const auto refusal = http::CheckRequest(line_, headers_, storage_, traits_)) {
    return Refuse(*refusal);
  }
  FillRequest();
  request_.head_received = request_.received = clock_.Now();
  // Where an answer comes later, this thread is the connection's own and waits for it.
  if (auto early = EarlyAnswer()) return AnswerEarly(http::Await(std::move(*early)));
  if (request_.has_body) {
    if (traits_.expects_continue && !Send(kContinue)) return kClientGone;
    sent_ = false;  // an interim answer is none
    if (const BodyEnd end = ReadBody(); end != BodyEnd::kComplete) return AnswerBroken(end);
    request_.body = body_.view();
    request_.received = clock_.Now();
  }
  Response response = handler_.OnRequest(request_);
  if (response.later != nullptr) {
    ReleaseBody();
    response = http::Await(std::move(response));
  }
  return Answer(std::move(response), true);
}

// ---- Input ----

void Exchange::TakeRequestLine() {
  // Neither cleaned nor, if the server is configured so, decoded. Otherwise what was decoded is
  // encoded again: all but the difference between / and %2F is restored.
  const std::string_view path = info_.local_uri_raw;
  target_ =
      OptionIsYes(mg_get_context(connection_), "decode_url") ? EncodePath(path) : std::string(path);
  if (info_.query_string != nullptr) target_.append("?").append(info_.query_string);
  line_.method = info_.request_method;
  line_.target = target_;
  line_.version_minor = std::string_view(info_.http_version) == "1.0" ? 0 : 1;
}

// civetweb also calls for paths that only begin with the same letters, or that its own idea of
// cleaning has brought here.
bool Exchange::IsBelowPrefix() const {
  const std::string_view prefix = options_.prefix;
  if (prefix.empty()) return true;
  const std::string_view path = std::string_view(target_).substr(0, target_.find('?'));
  const std::string clean = DecodePath(CleanPath(path));
  return clean.starts_with(prefix) &&
         (clean.size() == prefix.size() || clean[prefix.size()] == '/');
}

void Exchange::TakeHeaders() {
  const auto count = static_cast<std::size_t>(std::max(info_.num_headers, 0));
  headers_.reserve(count);
  for (std::size_t i = 0; i < count; ++i) {
    const mg_header& header = info_.http_headers[i];
    headers_.push_back({header.name, TrimEnd(header.value)});
  }
}

void Exchange::FillRequest() {
  remote_ = RemoteAddress(info_);
  request_.method = line_.method;
  request_.target = traits_.target;
  request_.version_minor = line_.version_minor;
  request_.headers = headers_;
  request_.host = traits_.host;
  request_.content_length = traits_.content_length;
  request_.has_body = traits_.chunked || traits_.content_length.value_or(0) > 0;
  request_.remote_address = remote_;
}

// Whether civetweb is going to read another request, as far as the request decides it.
bool Exchange::KeepsAlive() const {
  if (!traits_.keep_alive || !OptionIsYes(mg_get_context(connection_), "enable_keep_alive")) {
    return false;
  }
  // Any Connection header that does not say so means close.
  const auto header = request_.Find("Connection");
  return !header || http::EqualsIgnoringCase(*header, "keep-alive");
}

// A larger one than all may be together would never fit.
std::uint64_t Exchange::BodyBytesMax() const {
  if (options_.body_bytes_max == 0) return options_.bodies_bytes_max;
  if (options_.bodies_bytes_max == 0) return options_.body_bytes_max;
  return std::min(options_.body_bytes_max, options_.bodies_bytes_max);
}

std::optional<Response> Exchange::EarlyAnswer() {
  if (traits_.built_in != http::BuiltIn::kNone) {  // civetweb lets only Expect come this far
    Response response;
    response.status = traits_.built_in == http::BuiltIn::kExpectationFailed ? 417 : 400;
    response.close = true;
    return response;
  }
  const std::uint64_t bytes_max = BodyBytesMax();
  if (bytes_max != 0 && request_.content_length.value_or(0) > bytes_max) return TooLarge();
  if (!request_.has_body) return std::nullopt;
  return handler_.OnHeader(request_);
}

// Whoever finds no memory is refused at once. Waiting would hold one of the program's threads, and
// what is unfinished is bounded by their number anyway.
Exchange::BodyEnd Exchange::ReadBody() {
  std::array<char, kPieceBytes> piece;
  const std::uint64_t bytes_max = BodyBytesMax();
  std::uint64_t remaining = request_.content_length.value_or(kPieceBytes);
  while (remaining != 0) {
    const auto wanted = static_cast<std::size_t>(std::min<std::uint64_t>(remaining, kPieceBytes));
    if (!charge_.Grow(wanted)) return BodyEnd::kOverloaded;
    const int size = mg_read(connection_, piece.data(), wanted);
    // Of chunks, civetweb does not say whether they broke off, took too long or made no sense.
    if (size < 0) return traits_.chunked ? BodyEnd::kBroken : BodyEnd::kGone;
    if (size == 0) return traits_.chunked ? BodyEnd::kComplete : BodyEnd::kTimeout;
    const auto got = static_cast<std::size_t>(size);
    charge_.Shrink(wanted - got);
    if (bytes_max != 0 && got > bytes_max - body_.size()) return BodyEnd::kTooLarge;
    if (!body_.Append({piece.data(), got}, request_.content_length.value_or(UINT64_MAX))) {
      return BodyEnd::kOverloaded;
    }
    if (!traits_.chunked) remaining -= got;
  }
  return BodyEnd::kComplete;
}

void Exchange::ReleaseBody() {
  body_ = http::ByteBuffer();
  charge_.Release();
}

bool Exchange::Discard(std::uint64_t bytes_max) {
  std::array<char, kPieceBytes> piece;
  const BootTime end = clock_.Now().boot + kLingerTime;
  for (std::uint64_t discarded = 0; discarded <= bytes_max && clock_.Now().boot < end;) {
    const int size = mg_read(connection_, piece.data(), piece.size());
    if (size <= 0) {
      return size == 0 && (traits_.chunked || discarded == request_.content_length);
    }
    discarded += static_cast<std::uint64_t>(size);
  }
  return false;
}

// ---- Output ----

Response Exchange::TooLarge() const {
  Response response = Response::PlainError(
      413, "request body too large: more than " + std::to_string(BodyBytesMax()) + " bytes");
  response.close = true;
  return response;
}

int Exchange::Answer(Response response, bool keep_alive) {
  const http::ResponsePlan plan = http::PlanResponse(response, line_, keep_alive && KeepsAlive());
  http::AppendResponseHead(output_, response, plan, line_.version_minor,
                           http::HttpDate(std::chrono::system_clock::to_time_t(
                               std::chrono::floor<std::chrono::seconds>(clock_.Now().wall))));
  if (!plan.keep_alive) CloseAfterwards();
  bool complete = true;
  if (plan.send_body) {
    complete = response.stream != nullptr ? SendStream(response, plan) : Put(response.body);
  }
  if (!complete || !Flush()) CloseAfterwards();
  return response.status;
}

// Answers without the body; reads that too if it is short, or else gives up the connection.
int Exchange::AnswerEarly(Response response) {
  // A client that was promised an interim answer may or may not send its body now: the next byte
  // could be either.
  const bool skip = !traits_.expects_continue && !response.close &&
                    request_.content_length.value_or(0) <= kDiscardBytesMax;
  const int status = Answer(std::move(response), skip || !request_.has_body);
  if (!request_.has_body || traits_.expects_continue) return status;
  if (!Discard(skip ? kDiscardBytesMax : UINT64_MAX)) CloseAfterwards();
  return status;
}

int Exchange::AnswerBroken(BodyEnd end) {
  ReleaseBody();
  CloseAfterwards();
  Response response;
  switch (end) {
    case BodyEnd::kComplete:
    case BodyEnd::kGone:
      return kClientGone;
    case BodyEnd::kBroken:
      return Refuse({400});
    case BodyEnd::kTimeout:
      return Answer(Response::PlainError(408, "timeout while waiting for the request body"), false);
    case BodyEnd::kTooLarge:
      response = TooLarge();
      break;
    case BodyEnd::kOverloaded:
      response = Response::PlainError(503, "too many request bodies in progress, try again later");
      response.headers.emplace_back("Retry-After", "1");
      break;
  }
  const int status = Answer(std::move(response), false);
  (void)Discard(UINT64_MAX);
  return status;
}

int Exchange::Refuse(const http::Refusal& refusal) {
  CloseAfterwards();
  http::AppendRefusal(output_, refusal);
  (void)Flush();
  return refusal.status;
}

bool Exchange::SendStream(Response& response, const http::ResponsePlan& plan) {
  std::vector<std::string_view> pieces;
  std::uint64_t remaining = plan.length;
  for (;;) {
    if (response.stream->abandoned()) return false;
    pieces.clear();
    response.stream->Next(pieces);
    std::uint64_t size = 0;
    for (const std::string_view piece : pieces) size += piece.size();
    if (plan.form == http::BodyForm::kLength) {
      // A source that breaks its promise: whatever comes next would be taken for a part of it.
      if (size > remaining || (size == 0 && remaining != 0)) return false;
      remaining -= size;
    }
    if (!SendBatch(pieces, size, plan.form)) return false;
    if (size == 0) return true;
  }
}

bool Exchange::SendBatch(const std::vector<std::string_view>& pieces, std::uint64_t size,
                         http::BodyForm form) {
  const bool chunked = form == http::BodyForm::kChunked;
  if (chunked) http::AppendChunkHead(output_, size);
  for (const std::string_view piece : pieces) {
    if (!Put(piece)) return false;
  }
  return !chunked || Put("\r\n");
}

bool Exchange::Put(std::string_view bytes) {
  if (output_.size() + bytes.size() <= kGatheredBytesMax) {
    output_.append(bytes);
    return true;
  }
  return Flush() && Send(bytes);
}

bool Exchange::Flush() {
  const bool sent = output_.empty() || Send(output_);
  output_.clear();
  return sent;
}

bool Exchange::Send(std::string_view bytes) {
  // civetweb counts in int, and gives up when a call takes longer than request_timeout_ms.
  constexpr std::size_t kSendBytesMax = 256 * 1024;
  sent_ = true;
  while (!bytes.empty()) {
    const std::size_t size = std::min(bytes.size(), kSendBytesMax);
    if (mg_write(connection_, bytes.data(), size) != static_cast<int>(size)) return false;
    bytes.remove_prefix(size);
  }
  return true;
}

}  // namespace pgw::embed
