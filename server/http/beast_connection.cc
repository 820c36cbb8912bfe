#include "server/http/beast_connection.h"

#include <sys/socket.h>

#include <algorithm>
#include <cerrno>
#include <utility>

namespace pgw::http {
namespace {

// How long a client may take to read its last answer while it is still sending.
constexpr std::chrono::milliseconds kLingerTimeout{2'000};
constexpr std::chrono::milliseconds kLingerTimeoutDraining{500};
// While the budget for bodies is used up, a request gets no more than this with its head.
constexpr std::size_t kFrugalReadBytes = 4 * 1024;
// A body of which as much has come is read where it stays. Below that a read into the thread's
// buffer is cheaper than memory that may never be filled.
constexpr std::size_t kReadInPlaceBytesMin = IoThread::kInputBytes / 2;
constexpr std::size_t kReadInPlaceBytesMax = 256 * 1024;
constexpr std::string_view kContinue = "HTTP/1.1 100 Continue\r\n\r\n";

bool HasBody(const RequestTraits& traits) {
  return traits.chunked || traits.content_length.value_or(0) > 0;
}

}  // namespace

Connection::Connection(IoThread& thread, int descriptor, std::string remote)
    : thread_(thread), descriptor_(thread.executor(), descriptor), remote_(std::move(remote)) {}

Connection::~Connection() {
  Close();
  ReleaseIncoming();
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
  thread_.engine().RemoveBusy();
}

void Connection::Abort() {
  Run([this] { Close(); });
}

// ---- Waiting and deadlines ----

void Connection::WaitReadable() {
  if (waiting_readable_ || stage_ == Stage::kClosed) return;
  waiting_readable_ = true;
  ++operations_;
  descriptor_.async_wait(IoDescriptor::wait_read, [this](boost::system::error_code error) {
    RunOperation([&] {
      waiting_readable_ = false;
      if (!error) OnReadable();
    });
  });
}

void Connection::WaitWritable() {
  if (waiting_writable_ || stage_ == Stage::kClosed) return;
  waiting_writable_ = true;
  ++operations_;
  descriptor_.async_wait(IoDescriptor::wait_write, [this](boost::system::error_code error) {
    RunOperation([&] {
      waiting_writable_ = false;
      if (!error) OnWritable();
    });
  });
}

void Connection::SetDeadline(std::chrono::milliseconds timeout) {
  deadline_ = timeout.count() == 0 ? SteadyTime::max() : SteadyClock::now() + timeout;
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
    if (outgoing_ != nullptr || !receiving) return Close();
    const bool paused = paused_;
    Unpause();
    if (thread_.draining()) {
      Fail(503, "server is shutting down");
    } else if (paused) {
      Fail(503, "too many request bodies in progress, try again later");
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
      if (served_one_) SetDeadline(limits().idle_timeout);
      break;
    case Stage::kBody:
    case Stage::kDiscarding:
      // Whoever holds the reserve has to use it: the others wait behind it.
      SetDeadline(incoming_->has_reserve ? limits().body_timeout / 4 : limits().body_timeout);
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
  if (shutdown(descriptor_.native_handle(), SHUT_WR) != 0) return Close();
  SetDeadline(thread_.draining() ? kLingerTimeoutDraining : kLingerTimeout);
  WaitReadable();
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
  } else if (thread_.engine().budget.Exhausted()) {
    room = kFrugalReadBytes;
  }
  const ssize_t size = recv(descriptor_.native_handle(), place, room, MSG_DONTWAIT);
  if (size > 0) {
    const auto received = static_cast<std::size_t>(size);
    if (place == thread_.input()) return Consume({place, received});
    incoming_->body.Extend(received);
    incoming_->remaining -= received;
    return Consume({});
  }
  if (size == 0 || (errno != EAGAIN && errno != EINTR)) return Close();
  if (incoming_ != nullptr) SettleCharge();
  if (thread_.draining()) return Settle(false);
  WaitReadable();  // without touching the deadline: nothing happened
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
  BodyBudget& budget = thread_.engine().budget;
  if (incoming.traits.content_length) {
    size = static_cast<std::size_t>(std::min<std::uint64_t>(size, incoming.remaining));
  }
  if (!TryTake(size)) {
    budget.Wait();
    if (!TryTake(size)) {
      paused_ = true;
      paused_place_ = thread_.paused().insert(thread_.paused().end(), this);
      return false;
    }
    budget.StopWaiting();
  }
  incoming.charged += size;
  return true;
}

bool Connection::TryTake(std::size_t size) {
  BodyBudget& budget = thread_.engine().budget;
  if (budget.Take(size)) return true;
  if (!incoming_->has_reserve) incoming_->has_reserve = budget.ClaimReserve();
  if (incoming_->has_reserve) budget.TakeAnyway(size);
  return incoming_->has_reserve;
}

void Connection::Unpause() {
  if (!std::exchange(paused_, false)) return;
  thread_.paused().erase(paused_place_);
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
  Incoming& incoming = *incoming_;
  BodyBudget& budget = thread_.engine().budget;
  const std::uint64_t held = incoming.body.size();
  const std::uint64_t charged = std::exchange(incoming.charged, held);
  if (charged < held) budget.TakeAnyway(held - charged);
  if (charged > held && budget.Return(charged - held)) thread_.engine().ResumePaused();
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

// Called by whoever has the request: the I/O thread, or a worker.
void Connection::ReleaseBody() {
  incoming_->body = ByteBuffer();
  if (std::exchange(incoming_->has_reserve, false)) thread_.engine().budget.ReleaseReserve();
  SettleCharge();
}

// Takes what was received, behind what was left over, through as many steps as it allows.
void Connection::Consume(std::string_view received) {
  std::string held;
  std::string_view in = received;
  if (incoming_ != nullptr && !incoming_->bytes.empty()) {
    held = std::move(incoming_->bytes);
    incoming_->bytes.clear();
    held.append(received);
    in = held;
  }
  bool going = true;
  while (going && Reading() && outgoing_ == nullptr && !close_after_write_) {
    const bool in_body = stage_ == Stage::kBody || stage_ == Stage::kDiscarding;
    going = in_body ? StepBody(in) : StepHead(in);
  }
  Flush();
  if (stage_ == Stage::kClosed) return;
  const bool unread = !in.empty();
  if (unread && !close_after_write_) {
    std::string& bytes = EnsureIncoming().bytes;
    if (in.size() == held.size()) {
      bytes = std::move(held);
    } else {
      bytes.assign(in);
    }
  } else if (stage_ == Stage::kIdle) {
    ReleaseIncoming();
  }
  Settle(unread);
}

// One request head, and the whole request if it is all there. False: nothing to go on with.
bool Connection::StepHead(std::string_view& in) {
  // Some old clients send a line end behind the body of a POST; Go forgives four bytes of it.
  for (; stray_newlines_max_ > 0 && in.find_first_of("\r\n") == 0; --stray_newlines_max_) {
    in.remove_prefix(1);
  }
  if (in.empty()) return false;
  stray_newlines_max_ = 0;
  const bool resumed = incoming_ != nullptr && incoming_->parsing;
  RequestParser& parser = resumed ? incoming_->parser : thread_.parser();
  if (!resumed) parser.Reset();
  switch (parser.ParseHead(in, limits().header_bytes_max)) {
    case RequestParser::Progress::kRefused:
      Refuse(parser.refusal());
      return false;
    case RequestParser::Progress::kNeedMore:
      if (!resumed) {
        EnsureIncoming().parsing = true;
        std::swap(incoming_->parser, thread_.parser());
        stage_ = Stage::kHead;
        SetDeadline(limits().header_timeout);
      }
      return false;
    case RequestParser::Progress::kDone:
      break;
  }
  const std::string_view head = in.substr(0, parser.head_bytes());
  in.remove_prefix(head.size());
  if (resumed) incoming_->parsing = false;
  stage_ = Stage::kIdle;
  served_one_ = true;
  return Begin(parser, head, in);
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
