#include "server/http/beast_connection.h"

#include <sys/socket.h>
#include <sys/uio.h>

#include <algorithm>
#include <cerrno>
#include <iterator>
#include <new>
#include <utility>

#include "server/http/listen_address.h"

namespace pgw::http {
namespace {

// How long a client may take to read its last answer while it is still sending.
constexpr std::chrono::milliseconds kLingerTimeout{2'000};
constexpr std::chrono::milliseconds kLingerTimeoutDraining{500};
// What a connection may hold of a head, or of requests that came too early, without a share of the
// budget.
constexpr std::size_t kFreeBytes = 4 * 1024;
// What a header may cost beside its bytes while the body is waited for: two entries in arrays that
// double.
constexpr std::size_t kHeaderBytes = 2 * (sizeof(Header) + 24);
// A connection is kept for as many times the longest pause that its client has made.
constexpr int kPausesKept = 3;
// A body of which as much has come is read where it stays. Below that a read into the thread's
// buffer is cheaper than memory that may never be filled.
constexpr std::size_t kReadInPlaceBytesMin = IoThread::kInputBytes / 2;
constexpr std::size_t kReadInPlaceBytesMax = 256 * 1024;
constexpr std::string_view kContinue = "HTTP/1.1 100 Continue\r\n\r\n";

// How much of it counts in the budget.
std::uint64_t Costs(std::size_t bytes) { return bytes - std::min(bytes, kFreeBytes); }

bool HasBody(const RequestTraits& traits) {
  return traits.chunked || traits.content_length.value_or(0) > 0;
}

}  // namespace

Connection::Connection(IoThread& thread, int descriptor, std::string remote)
    : thread_(thread), descriptor_(thread.executor(), descriptor), remote_(std::move(remote)) {}

Connection::~Connection() {
  Close();
  ReleaseIncoming();
  ReleaseRest();
  thread_.Remove(*this);
}

void Connection::Start() {
  Run([this] {
    // Until its first request, a client is waited for like for a header.
    SetDeadline(limits().header_timeout.count() != 0 ? limits().header_timeout
                                                     : limits().idle_timeout);
    WaitReadable();
  });
}

void Connection::Close() {
  if (stage_ == Stage::kClosed) return;
  const bool handling = stage_ == Stage::kHandling;
  stage_ = Stage::kClosed;
  deadline_ = SteadyTime::max();
  boost::system::error_code ignored;
  descriptor_.close(ignored);
  Unpause();
  outgoing_.reset();
  ready_.reset();
  if (!handling) ReleaseIncoming();  // else a worker may still read it
  if (!handling) ReleaseReserve();
  if (!consuming_) ReleaseRest();
  thread_.engine().RemoveBusy();
}

void Connection::Abort() {
  Run([this] { Close(); });
}

// ---- Waiting and deadlines ----

void Connection::WaitReadable() {
  if (waiting_readable_ || stage_ == Stage::kClosed) return;
  descriptor_.async_wait(IoDescriptor::wait_read,
                         KeptIn(wait_memory_, [this](boost::system::error_code error) {
                           RunOperation([&] {
                             waiting_readable_ = false;
                             if (!error) OnReadable();
                           });
                         }));
  waiting_readable_ = true;
  ++operations_;
}

void Connection::WaitWritable() {
  if (waiting_writable_ || stage_ == Stage::kClosed) return;
  descriptor_.async_wait(IoDescriptor::wait_write, [this](boost::system::error_code error) {
    RunOperation([&] {
      waiting_writable_ = false;
      if (!error) OnWritable();
    });
  });
  waiting_writable_ = true;
  ++operations_;
}

void Connection::SetDeadline(std::chrono::milliseconds timeout) {
  deadline_ = timeout.count() == 0 ? SteadyTime::max() : SaturatingAdd(SteadyClock::now(), timeout);
  const bool receiving = stage_ == Stage::kHead || stage_ == Stage::kBody;
  if (thread_.draining() && receiving && outgoing_ == nullptr) {
    deadline_ = std::min(deadline_, thread_.drain_deadline());
  }
  thread_.NoteDeadline(deadline_);
}

SteadyTime Connection::CheckDeadline(SteadyTime now) {
  if (deadline_ > now) return deadline_;
  SteadyTime following = SteadyTime::max();
  Run([&] {
    deadline_ = SteadyTime::max();
    const bool receiving = stage_ == Stage::kHead || stage_ == Stage::kBody;
    if (outgoing_ != nullptr && ClientIsReading(*outgoing_)) {
      AwaitClient(*outgoing_);
      following = deadline_;
      return;
    }
    if (outgoing_ == nullptr && stage_ == Stage::kIdle) {
      EndIdling();
      following = deadline_;
      return;
    }
    if (outgoing_ != nullptr || !receiving) return Close();
    const bool paused = paused_;
    Unpause();
    if (thread_.draining()) {
      Fail(503, "server is shutting down");
    } else if (paused) {
      Fail(503, "too many unfinished requests, try again later");
    } else if (stage_ == Stage::kHead) {
      Fail(408, "timeout while waiting for the request header");
    } else {
      Fail(408, "timeout while waiting for the request body");
    }
    Flush();
    Settle(true);
    following = deadline_;
  });
  return following;
}

// Who sends regularly is kept longer than it pauses, so that no close meets its next request.
void Connection::BeginIdling() {
  const SteadyTime now = SteadyClock::now();
  if (last_answer_ != SteadyTime::min()) {
    longest_pause_ = std::max(
        longest_pause_, std::chrono::duration_cast<std::chrono::milliseconds>(now - last_answer_));
  }
  last_answer_ = now;
  if (limits().idle_timeout.count() == 0) {
    deadline_ = SteadyTime::max();
    return;
  }
  deadline_ = SaturatingAdd(now, std::max(limits().idle_timeout, longest_pause_ * kPausesKept));
  thread_.NoteDeadline(deadline_);
}

// A request that is here by now is served. One that is still on its way finds the end of the
// connection in place of an answer, and no reset: it was not executed, and clients know that they
// may send it again.
void Connection::EndIdling() {
  char first = 0;
  if (recv(descriptor_.native_handle(), &first, 1, MSG_PEEK | MSG_DONTWAIT) > 0) return ReadSome();
  Linger();
}

void Connection::Drain() {
  Run([this] {
    switch (stage_) {
      case Stage::kIdle:
        if (outgoing_ != nullptr) {
          close_after_write_ = true;
        } else {
          ReadSome();  // a request may just have arrived; without one, Settle() closes
        }
        break;
      case Stage::kHead:
      case Stage::kBody:
        if (outgoing_ != nullptr) break;
        deadline_ = std::min(deadline_, thread_.drain_deadline());
        thread_.NoteDeadline(deadline_);
        break;
      case Stage::kDiscarding:
        close_after_write_ = linger_ = true;
        Settle(true);
        break;
      case Stage::kLingering:
        SetDeadline(kLingerTimeoutDraining);
        break;
      case Stage::kHandling:  // Answer() will see to it
      case Stage::kClosed:
        break;
    }
  });
}

// What is to happen when everything received was looked at and nothing is left to send.
void Connection::Settle(bool unread) {
  if (stage_ == Stage::kClosed || stage_ == Stage::kHandling || outgoing_ != nullptr) return;
  if (close_after_write_) return linger_ || unread ? Linger() : Close();
  switch (stage_) {
    case Stage::kIdle:
      if (thread_.draining()) return Close();
      if (served_one_) BeginIdling();
      break;
    case Stage::kBody:
    case Stage::kDiscarding:
      // Whoever holds the reserve has to use it: the others wait behind it.
      SetDeadline(has_reserve_ ? limits().body_timeout / 4 : limits().body_timeout);
      break;
    default:
      break;
  }
  if (!paused_) WaitReadable();
}

// Closing a socket with unread input resets it, and the client may lose the answer. So say that
// nothing more comes, and throw away what still arrives.
void Connection::Linger() {
  stage_ = Stage::kLingering;
  ReleaseIncoming();
  ReleaseReserve();
  if (shutdown(descriptor_.native_handle(), SHUT_WR) != 0) return Close();
  SetDeadline(thread_.draining() ? kLingerTimeoutDraining : kLingerTimeout);
  WaitReadable();
}

// Memory ran out. Says so where an answer is owed and none has begun; needs no memory itself.
void Connection::GiveUp() noexcept {
  static constexpr std::string_view kOutOfMemory =
      "HTTP/1.1 503 Service Unavailable\r\nContent-Type: text/plain; charset=utf-8\r\n"
      "X-Content-Type-Options: nosniff\r\nRetry-After: 1\r\nContent-Length: 14\r\n"
      "Connection: close\r\n\r\nout of memory\n";
  consuming_ = false;
  std::string& output = thread_.output();
  const bool owed = stage_ == Stage::kIdle || stage_ == Stage::kHead || stage_ == Stage::kBody;
  bool said = false;
  if (owed && outgoing_ == nullptr) {
    iovec parts[] = {{output.data(), output.size()},
                     {const_cast<char*>(kOutOfMemory.data()), kOutOfMemory.size()}};
    msghdr message{};
    message.msg_iov = parts;
    message.msg_iovlen = std::size(parts);
    const ssize_t sent =
        sendmsg(descriptor_.native_handle(), &message, MSG_NOSIGNAL | MSG_DONTWAIT);
    said = sent == static_cast<ssize_t>(output.size() + kOutOfMemory.size());
  }
  output.clear();
  Unpause();
  if (!said) return Close();
  ReleaseRest();
  close_after_write_ = linger_ = true;
  Linger();
}

// ---- Input ----

void Connection::OnReadable() {
  if (stage_ == Stage::kLingering) {
    const ssize_t size =
        recv(descriptor_.native_handle(), thread_.input(), IoThread::kInputBytes, MSG_DONTWAIT);
    const bool more = size > 0 || (size < 0 && (errno == EAGAIN || errno == EINTR));
    return more ? WaitReadable() : Close();
  }
  if (Reading() && outgoing_ == nullptr) ReadSome();
}

void Connection::ReadSome() {
  std::size_t room = IoThread::kInputBytes;
  char* place = thread_.input();
  if (stage_ == Stage::kBody) {
    place = PlaceForInput(room);
    if (place == nullptr) return;
  } else if (!MayReadHead(room)) {
    return;
  }
  const ssize_t size = recv(descriptor_.native_handle(), place, room, MSG_DONTWAIT);
  if (size > 0) {
    const auto received = static_cast<std::size_t>(size);
    if (place == thread_.input()) return Consume({place, received});
    incoming_->body.Extend(received);
    incoming_->remaining -= received;
    return Consume({});
  }
  if (size == 0) return OnEndOfInput(0);
  if (errno != EAGAIN && errno != EINTR) return OnEndOfInput(errno);
  if (incoming_ != nullptr) SettleCharge();
  if (thread_.draining()) return Settle(false);
  WaitReadable();  // without touching the deadline: nothing happened
}

// While the budget is used up, a head gets a few KB that cost nothing, so that small requests pass;
// for more it waits in line.
bool Connection::MayReadHead(std::size_t& room) {
  BodyBudget& budget = thread_.engine().budget;
  if (!budget.Exhausted()) return true;
  if (rest_.size() < kFreeBytes) {
    room = kFreeBytes;
    return true;
  }
  const auto may = [&] { return !budget.Exhausted() || ClaimReserve(); };
  return !WaitsForShare(may);
}

// Where as much as `room` of a body is to be read to; null if it has to wait.
char* Connection::PlaceForInput(std::size_t& room) {
  Incoming& incoming = *incoming_;
  const bool in_place =
      incoming.traits.content_length && incoming.body.size() >= kReadInPlaceBytesMin;
  // No more than was sent so far: what a client costs is bounded by what it has sent.
  if (in_place) room = std::clamp(incoming.body.size(), room, kReadInPlaceBytesMax);
  if (!TakeGrant(room)) return nullptr;
  char* const place =
      in_place ? incoming.body.Room(room, *incoming.traits.content_length) : nullptr;
  if (place != nullptr) return place;
  room = std::min(room, IoThread::kInputBytes);
  return thread_.input();  // without memory StepBody() says so
}

// Reserves memory for what is about to be read; without it, waits in line and reads nothing.
bool Connection::TakeGrant(std::size_t& size) {
  Incoming& incoming = *incoming_;
  if (incoming.traits.content_length) {
    size = static_cast<std::size_t>(std::min<std::uint64_t>(size, incoming.remaining));
  }
  if (WaitsForShare([&] { return TryTake(size); })) return false;
  incoming.charged += size;
  return true;
}

// Whether it has to wait in line for what `take` could not get.
template <typename Take>
bool Connection::WaitsForShare(Take take) {
  if (take()) return false;
  BodyBudget& budget = thread_.engine().budget;
  budget.Wait();
  if (take()) {
    budget.StopWaiting();
    return false;
  }
  paused_ = true;
  thread_.AddPaused(*this);
  return true;
}

bool Connection::TryTake(std::size_t size) {
  BodyBudget& budget = thread_.engine().budget;
  if (budget.Take(size)) return true;
  if (!ClaimReserve()) return false;
  budget.TakeAnyway(size);
  return true;
}

// Whoever holds the reserve has to use it: the others wait behind it.
bool Connection::ClaimReserve() {
  if (has_reserve_) return true;
  has_reserve_ = thread_.engine().budget.ClaimReserve();
  const std::chrono::milliseconds patience = limits().body_timeout / 4;
  if (has_reserve_ && stage_ == Stage::kHead && patience.count() != 0) {
    deadline_ = std::min(deadline_, SteadyClock::now() + patience);
    thread_.NoteDeadline(deadline_);
  }
  return has_reserve_;
}

void Connection::ReleaseReserve() {
  if (std::exchange(has_reserve_, false)) thread_.engine().budget.ReleaseReserve();
}

void Connection::Unpause() {
  if (!std::exchange(paused_, false)) return;
  thread_.RemovePaused(*this);
  thread_.engine().budget.StopWaiting();
}

bool Connection::Resume() {
  bool resumed = false;
  Run([&] {
    Unpause();
    ReadSome();
    resumed = !paused_;
  });
  return resumed;
}

void Connection::SettleCharge() {
  Settle(incoming_->charged, incoming_->head_cost + incoming_->body.size());
}

void Connection::SettleRest() { Settle(rest_charged_, Costs(rest_.size())); }

// Makes what is charged to the budget what is held.
void Connection::Settle(std::uint64_t& charged, std::uint64_t held) {
  Engine& engine = thread_.engine();
  const std::uint64_t before = std::exchange(charged, held);
  if (before < held) engine.budget.TakeAnyway(held - before);
  if (before <= held) return;
  if (engine.budget.Return(before - held)) engine.ResumePaused();
  engine.NoteReturn();
}

void Connection::ReleaseRest() {
  rest_ = ByteBuffer();
  SettleRest();
}

Incoming& Connection::EnsureIncoming() {
  if (incoming_ == nullptr) incoming_ = thread_.TakeIncoming();
  return *incoming_;
}

void Connection::ReleaseIncoming() {
  if (incoming_ == nullptr) return;
  ReleaseBody();
  thread_.GiveBack(std::move(incoming_));
}

// Called by whoever has the request, the I/O thread or a worker, when no handler needs it any more.
void Connection::ReleaseBody() {
  incoming_->body = ByteBuffer();
  incoming_->broken.clear();
  if (std::exchange(incoming_->head_cost, 0) != 0) incoming_->head = std::string();
  ReleaseReserve();
  SettleCharge();
}

// Takes what was received, behind what was left over, through as many steps as it allows.
void Connection::Consume(std::string_view received) {
  std::string_view in = received;
  const bool in_place = !rest_.empty();
  if (in_place) {
    if (!rest_.AppendExactly(received)) throw std::bad_alloc();
    in = rest_.view();
  }
  consuming_ = true;
  bool going = true;
  while (going && Reading() && outgoing_ == nullptr && !close_after_write_) {
    const bool in_body = stage_ == Stage::kBody || stage_ == Stage::kDiscarding;
    going = in_body ? StepBody(in) : StepHead(in);
  }
  Flush();
  consuming_ = false;
  const bool unread = !in.empty();
  if (unread && !close_after_write_ && stage_ != Stage::kClosed) {
    KeepRest(in, in_place);
  } else {
    ReleaseRest();
  }
  if (stage_ == Stage::kClosed) return;
  if (!unread && stage_ == Stage::kIdle) ReleaseIncoming();
  Settle(unread);
}

// Until more of it comes, or an answer has left.
void Connection::KeepRest(std::string_view in, bool in_place) {
  if (in_place) {
    rest_.DropFront(rest_.size() - in.size());
  } else if (!rest_.AppendExactly(in)) {
    throw std::bad_alloc();
  }
  SettleRest();
}

// One request head, and the whole request if it is all there. False: nothing to go on with.
bool Connection::StepHead(std::string_view& in) {
  // Some old clients send a line end behind the body of a POST; Go forgives four bytes of it.
  for (; stray_newlines_max_ > 0 && in.find_first_of("\r\n") == 0; --stray_newlines_max_) {
    in.remove_prefix(1);
  }
  if (in.empty()) return false;
  stray_newlines_max_ = 0;
  const bool resumed = stage_ == Stage::kHead;
  if (resumed && !IsWorthParsing(in)) return false;
  RequestParser& parser = thread_.parser();
  parser.Reset();
  switch (parser.ParseHead(in, limits().header_bytes_max)) {
    case RequestParser::Progress::kRefused:
      Refuse(parser.refusal());
      return false;
    case RequestParser::Progress::kNeedMore:
      head_parsed_ = head_scanned_ = in.size();
      if (!resumed) {
        stage_ = Stage::kHead;
        SetDeadline(limits().header_timeout);
      }
      return false;
    case RequestParser::Progress::kDone:
      break;
  }
  const std::string_view head = in.substr(0, parser.head_bytes());
  in.remove_prefix(head.size());
  stage_ = Stage::kIdle;
  served_one_ = true;
  ReleaseReserve();
  return Begin(parser, head, in);
}

// A head that stalls costs what was sent of it and no parser: that starts again from the beginning,
// which is worth it when the head may be complete, too large, or twice what it was.
bool Connection::IsWorthParsing(std::string_view in) {
  constexpr std::size_t kSmallBytes = 1024;
  if (in.size() < kSmallBytes || in.size() / 2 >= head_parsed_) return true;
  const std::size_t bytes_max = limits().header_bytes_max;
  if (bytes_max != 0 && in.size() > bytes_max) return true;
  std::size_t at = std::exchange(head_scanned_, in.size());
  at -= std::min<std::size_t>(at, 2);  // the end may have begun there
  for (at = in.find('\n', at); at != std::string_view::npos; at = in.find('\n', at + 1)) {
    const std::string_view behind = in.substr(at + 1, 2);
    if (behind.starts_with('\n') || behind == "\r\n") return true;
  }
  return false;
}

bool Connection::Begin(RequestParser& parser, std::string_view head, std::string_view& in) {
  std::string storage;
  RequestTraits traits;
  if (const auto refusal = CheckRequest(parser.line(), parser.headers(), storage, traits)) {
    Refuse(*refusal);
    return false;
  }
  stray_newlines_max_ = parser.line().method == "POST" ? 4 : 0;
  Engine& engine = thread_.engine();
  Request request = MakeRequest(parser, traits);
  request.head_received = request.received = engine.clock.Now();
  if (auto answer = OwnAnswer(traits)) {
    return AnswerEarly(std::move(*answer), traits, parser, head, in);
  }
  if (!request.has_body) {
    return AnswerOrAwait(CallOnRequest(request), parser.line(), traits.keep_alive);
  }
  if (traits.content_length && *traits.content_length <= in.size() &&
      *traits.content_length < engine.options.offload_body_bytes) {
    request.body = in.substr(0, static_cast<std::size_t>(*traits.content_length));
    in.remove_prefix(request.body.size());
    return AnswerOrAwait(CallOnRequest(request), parser.line(), traits.keep_alive);
  }
  if (auto early = CallOnHeader(request)) {
    return AnswerEarly(std::move(*early), traits, parser, head, in);
  }
  Request& kept = KeepRequest(parser, head).request;
  kept.head_received = kept.received = request.received;
  // Whoever sends already is not waiting for permission.
  if (traits.expects_continue && in.empty()) thread_.output().append(kContinue);
  stage_ = Stage::kBody;
  return true;
}

Request Connection::MakeRequest(const RequestParser& parser, const RequestTraits& traits) const {
  Request request;
  request.method = parser.line().method;
  request.target = traits.target;
  request.version_minor = parser.line().version_minor;
  request.headers = parser.headers();
  request.host = traits.host;
  request.content_length = traits.content_length;
  request.has_body = HasBody(traits);
  request.remote_address = remote_;
  return request;
}

// Moves a request out of the thread's buffers, which the next connection is going to use.
Incoming& Connection::KeepRequest(RequestParser& parser, std::string_view head) {
  Incoming& incoming = EnsureIncoming();
  if (&parser != &incoming.parser) std::swap(parser, incoming.parser);
  incoming.head.assign(head);
  incoming.parser.MoveHead(incoming.head);
  // The same bytes as before, so the same verdict; only the views are new.
  (void)CheckRequest(incoming.parser.line(), incoming.parser.headers(), incoming.storage,
                     incoming.traits);
  incoming.head_cost = Costs(head.size() + incoming.parser.headers().size() * kHeaderBytes);
  SettleCharge();
  incoming.request = MakeRequest(incoming.parser, incoming.traits);
  incoming.remaining = incoming.traits.content_length.value_or(0);
  return incoming;
}

// As much of a body as is there. False: more has to come, or nothing more is to be read.
bool Connection::StepBody(std::string_view& in) {
  Incoming& incoming = *incoming_;
  const bool discard = stage_ == Stage::kDiscarding;
  if (incoming.traits.content_length) {
    const std::string_view part = in.substr(
        0, static_cast<std::size_t>(std::min<std::uint64_t>(in.size(), incoming.remaining)));
    if (!discard && !incoming.body.Append(part, *incoming.traits.content_length)) {
      RefuseBody(503);
      return false;
    }
    in.remove_prefix(part.size());
    incoming.remaining -= part.size();
    SettleCharge();
    if (incoming.remaining != 0) return false;
  } else {
    std::size_t consumed = 0;
    const RequestParser::Progress progress =
        incoming.parser.ParseChunks(in, discard ? kDiscardBytesMax : BodyBytesMax(),
                                    discard ? nullptr : &incoming.body, consumed);
    in.remove_prefix(consumed);
    SettleCharge();
    if (progress == RequestParser::Progress::kNeedMore) return false;
    if (progress == RequestParser::Progress::kRefused) {
      RefuseBody(incoming.parser.refusal().status);
      return false;
    }
  }
  if (!discard) return HandleBody();
  ReleaseIncoming();
  stage_ = Stage::kIdle;
  return true;
}

// The client ends its sending (0), or is gone. In the middle of a request it hears of that.
void Connection::OnEndOfInput(int error) {
  if (stage_ == Stage::kHead && error == 0) {
    Refuse({});
  } else if (stage_ == Stage::kBody) {
    incoming_->broken = WhyBroken(error);
    incoming_->traits.keep_alive = false;
    (void)HandleBody();
  } else {
    return Close();
  }
  linger_ = false;  // nothing more comes
  ReleaseRest();
  Consume({});
}

// As Go's server words it.
std::string Connection::WhyBroken(int error) {
  if (incoming_->parser.InTrailer()) return "http: unexpected EOF reading trailer";
  if (error == 0) return "unexpected EOF";
  return "read tcp " + LocalAddressText(descriptor_.native_handle()) + "->" + remote_ +
         ": read: " + ErrorText(error);
}

void Connection::RefuseBody(int status) {
  linger_ = true;
  if (stage_ == Stage::kDiscarding) {  // it had its answer
    close_after_write_ = true;
  } else if (status == 413) {
    Answer(TooLarge(), incoming_->parser.line(), false);
  } else if (status == 503) {
    Fail(503, "out of memory");
  } else {
    Refuse({status});
  }
}

}  // namespace pgw::http
