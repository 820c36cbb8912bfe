// The writing half of a connection.
#include <linux/sockios.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/uio.h>

#include <algorithm>
#include <cerrno>
#include <utility>

#include "server/http/beast_connection.h"

namespace pgw::http {
namespace {

// Bodies up to this size are copied behind their headers instead of being sent from their place.
constexpr std::size_t kInlineBodyMax = 16 * 1024;

}  // namespace

void Connection::Answer(Response response, const RequestLine& line, bool keep_alive) {
  const ResponsePlan plan = PlanResponse(response, line, keep_alive && !thread_.draining());
  std::string& output = thread_.output();
  const std::size_t before = output.size();
  std::unique_ptr<Outgoing> outgoing;
  try {
    AppendResponseHead(output, response, plan, line.version_minor,
                       thread_.Date(thread_.engine().clock.Now().wall));
    const bool inlined = response.stream == nullptr && response.body.size() <= kInlineBodyMax;
    if (plan.send_body && inlined) output.append(response.body);
    if (plan.send_body && !inlined) outgoing = NewOutgoing(std::move(response), plan);
  } catch (...) {
    output.resize(before);  // whoever gives up sends nothing but whole answers
    throw;
  }
  if (!plan.keep_alive) close_after_write_ = true;
  if (outgoing == nullptr) {
    if (output.size() > IoThread::kInputBytes) Flush();
    return;
  }
  output.clear();
  outgoing_ = std::move(outgoing);
  if (outgoing_->segments.empty()) return Close();
  Pump();
}

// Takes what the thread has collected with it. Without segments if the source is not as promised.
std::unique_ptr<Outgoing> Connection::NewOutgoing(Response response, const ResponsePlan& plan) {
  auto outgoing = std::make_unique<Outgoing>();
  outgoing->lead = thread_.output();
  outgoing->form = plan.form;
  if (response.stream != nullptr) {
    outgoing->source = std::move(response.stream);
    outgoing->remaining = plan.length;
    if (!NextBatch(*outgoing)) outgoing->segments.clear();
  } else {
    outgoing->body = std::move(response.body);
    outgoing->segments = {outgoing->lead, outgoing->body};
  }
  return outgoing;
}

void Connection::Refuse(const Refusal& refusal) {
  std::string& output = thread_.output();
  const std::size_t before = output.size();
  try {
    AppendRefusal(output, refusal);
  } catch (...) {
    output.resize(before);
    throw;
  }
  close_after_write_ = linger_ = true;
}

void Connection::Fail(int status, std::string_view message) {
  Response response = Response::PlainError(status, message);
  if (status == 503) response.headers.emplace_back("Retry-After", "1");
  linger_ = true;
  const RequestLine unknown;
  Answer(std::move(response), stage_ == Stage::kBody ? incoming_->parser.line() : unknown, false);
}

// Sends the small answers collected in the thread's buffer.
void Connection::Flush() {
  std::string& output = thread_.output();
  if (output.empty()) return;
  if (stage_ != Stage::kClosed) {
    const ssize_t sent = send(descriptor_.native_handle(), output.data(), output.size(),
                              MSG_NOSIGNAL | MSG_DONTWAIT);
    if (sent < 0 && errno != EAGAIN && errno != EINTR) {
      Close();
    } else if (sent < static_cast<ssize_t>(output.size())) {
      outgoing_ = std::make_unique<Outgoing>();  // from here on, whoever gives up closes
      outgoing_->lead = output.substr(static_cast<std::size_t>(std::max<ssize_t>(sent, 0)));
      outgoing_->segments = {outgoing_->lead};
      AwaitClient(*outgoing_);
      WaitWritable();
    }
  }
  output.clear();
}

// Asks the source for more and frames it. False: it has been abandoned, or broke its promise about
// the length.
bool Connection::NextBatch(Outgoing& out) {
  if (out.source->abandoned()) return false;
  out.segments.clear();
  out.pieces.clear();
  out.next_segment = 0;
  out.source->Next(out.pieces);
  std::uint64_t size = 0;
  for (const std::string_view piece : out.pieces) size += piece.size();
  if (out.form == BodyForm::kChunked) {
    if (std::exchange(out.in_chunk, size != 0)) out.lead.append("\r\n");
    AppendChunkHead(out.lead, size);
    if (size == 0) out.lead.append("\r\n");
  } else if (out.form == BodyForm::kLength) {
    if (size > out.remaining || (size == 0 && out.remaining != 0)) return false;
    out.remaining -= size;
  }
  if (!out.lead.empty()) out.segments.push_back(out.lead);
  if (size == 0) {
    out.source.reset();
  } else {
    out.segments.insert(out.segments.end(), out.pieces.begin(), out.pieces.end());
  }
  return true;
}

// Sends on. True when the answer has left; otherwise OnWritable() continues.
bool Connection::Pump() {
  Outgoing& out = *outgoing_;
  if (!SendSegments(out)) return false;
  if (out.source != nullptr) {
    out.lead.clear();
    if (!NextBatch(out)) {
      out.source->abandoned() ? Reset() : Close();
      return false;
    }
    if (out.source != nullptr) {
      // One batch a turn: a fast reader of a long answer must not hold up the others.
      SetDeadline(limits().response_timeout);
      thread_.Post([this] { RunOperation([this] { OnWritable(); }); });
      ++operations_;
      return false;
    }
    if (!SendSegments(out)) return false;
  }
  outgoing_.reset();
  return true;
}

// False: the socket takes no more for now, or is closed.
bool Connection::SendSegments(Outgoing& out) {
  constexpr std::size_t kVectorsMax = 256;
  iovec vectors[kVectorsMax];
  while (out.next_segment < out.segments.size()) {
    const std::size_t left = std::min(kVectorsMax, out.segments.size() - out.next_segment);
    std::size_t count = 0;
    for (std::size_t room = kSendBytesMax; count < left && room > 0; ++count) {
      const std::string_view segment = out.segments[out.next_segment + count].substr(0, room);
      vectors[count] = {const_cast<char*>(segment.data()), segment.size()};
      room -= segment.size();
    }
    msghdr message{};
    message.msg_iov = vectors;
    message.msg_iovlen = count;
    const ssize_t result =
        sendmsg(descriptor_.native_handle(), &message, MSG_NOSIGNAL | MSG_DONTWAIT);
    if (result < 0) {
      if (errno == EINTR) continue;
      if (errno != EAGAIN) {
        Close();
        return false;
      }
      if (!out.timed) AwaitClient(out);
      WaitWritable();
      return false;
    }
    out.timed = false;
    auto sent = static_cast<std::size_t>(result);
    while (out.next_segment < out.segments.size() &&
           sent >= out.segments[out.next_segment].size()) {
      sent -= out.segments[out.next_segment++].size();
    }
    if (sent > 0) out.segments[out.next_segment].remove_prefix(sent);
  }
  return true;
}

void Connection::CutOffIfAbandoned() {
  const bool leaving = outgoing_ != nullptr && outgoing_->source != nullptr;
  const bool waiting = ready_ != nullptr && ready_->response.stream != nullptr;
  if ((leaving && outgoing_->source->abandoned()) ||
      (waiting && ready_->response.stream->abandoned())) {
    Run([this] { Reset(); });
  }
}

// With an end of the usual kind a client could take for complete what has no length, and the kernel
// would keep what the client does not take.
void Connection::Reset() {
  if (stage_ == Stage::kClosed) return;
  const linger at_once{.l_onoff = 1, .l_linger = 0};
  (void)setsockopt(descriptor_.native_handle(), SOL_SOCKET, SO_LINGER, &at_once, sizeof at_once);
  Close();
}

// A socket becomes writable when a good part of its buffer, which may be megabytes, is empty again.
// A slow client makes progress long before: what counts is what it has acknowledged.
void Connection::AwaitClient(Outgoing& out) {
  out.timed = true;
  if (ioctl(descriptor_.native_handle(), SIOCOUTQ, &out.unacknowledged) != 0) {
    out.unacknowledged = 0;
  }
  SetDeadline(limits().response_timeout);
}

bool Connection::ClientIsReading(Outgoing& out) {
  int unacknowledged = 0;
  return out.timed && ioctl(descriptor_.native_handle(), SIOCOUTQ, &unacknowledged) == 0 &&
         unacknowledged < out.unacknowledged;
}

void Connection::OnWritable() {
  if (outgoing_ == nullptr || !Pump()) return;
  if (stage_ == Stage::kHandling) {
    deadline_ = SteadyTime::max();
    if (ready_ == nullptr) return;
    const std::unique_ptr<LateResponse> late = std::move(ready_);
    FinishHandled(std::move(late->response));
  } else if (stage_ == Stage::kHead) {
    SetDeadline(limits().header_timeout);
  }
  Consume({});
}

}  // namespace pgw::http
