// One connection: requests in, answers out, in order. Asio is seen here; include it in beast_*.cc
// alone.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "server/http/beast_io_thread.h"
#include "server/http/response_writer.h"

namespace pgw::http {

// A request whose head is complete and whose body did not arrive with it.
struct Incoming {
  RequestParser parser;
  std::string head;     // the views below point into it
  std::string storage;  // of traits.target
  RequestTraits traits;
  Request request;
  std::string broken;           // why the body ends too early, if it does
  std::uint64_t remaining = 0;  // of a body with Content-Length
  ByteBuffer body;
  std::uint64_t head_cost = 0;          // what the head holds beyond what costs nothing
  std::uint64_t charged = 0;            // to the budget, for head and body
  std::unique_ptr<LateResponse> reply;  // of the worker that has it
};

// An answer that did not leave in one piece.
struct Outgoing {
  std::string lead;  // headers, and chunk heads
  std::string body;
  std::unique_ptr<BodySource> source;
  BodyForm form = BodyForm::kNone;
  std::uint64_t remaining = 0;  // of a source with a length
  bool in_chunk = false;        // the last chunk still lacks its line end
  std::vector<std::string_view> pieces;
  std::vector<std::string_view> segments;  // what to send, the first one cut by what was sent
  std::size_t next_segment = 0;
  bool timed = false;      // the deadline runs since the client took something last
  int unacknowledged = 0;  // bytes in the kernel at that time
};

// Lives until it is closed and no operation of Asio, worker or responder refers to it; deletes
// itself then. Used by its I/O thread alone.
class Connection final : public Recipient {
 public:
  // What a client may still send of a body that was refused without being read, before giving up
  // its connection is cheaper than reading on. Go's bound.
  static constexpr std::uint64_t kDiscardBytesMax = 256 * 1024;

  Connection(IoThread& thread, int descriptor, std::string remote);
  ~Connection();
  Connection(const Connection&) = delete;
  Connection& operator=(const Connection&) = delete;

  void Start();
  // Acts if its deadline has passed; returns the next one.
  SteadyTime CheckDeadline(SteadyTime now);
  // The server wants to stop: ends at once if nothing is on its way, or else as soon as it can.
  void Drain();
  // Ends at once; what a worker has of it stays until that is done.
  void Abort();
  // Ends at once, and so that the client notices, if its answer has been abandoned.
  void CutOffIfAbandoned();
  // The end of a wait that Await() began.
  void TakeLateResponse(std::unique_ptr<LateResponse> late) override;
  // Its share of the budget may be there now. False if it is not.
  bool Resume();

  Connection* previous = nullptr;  // in the thread's list
  Connection* next = nullptr;
  Connection* paused_previous = nullptr;  // in its list of those that wait for a share
  Connection* paused_next = nullptr;

 private:
  enum class Stage : unsigned char {
    kIdle,        // nothing of the next request is here
    kHead,        // a part of its head is
    kBody,        // its head is, and a part of its body may be
    kHandling,    // a worker has it, or its answer comes later
    kDiscarding,  // it was answered early, the rest of its body is thrown away
    kLingering,   // all is said; the client may read it in peace
    kClosed,
  };

  bool Reading() const {
    return stage_ == Stage::kIdle || stage_ == Stage::kHead || stage_ == Stage::kBody ||
           stage_ == Stage::kDiscarding;
  }

  // Events.
  template <typename Step>
  void Run(Step step);
  template <typename Step>
  void RunOperation(Step step);
  void OnReadable();
  void OnWritable();
  void WaitReadable();
  void WaitWritable();

  // Input.
  void ReadSome();
  bool MayReadHead(std::size_t& room);
  char* PlaceForInput(std::size_t& room);
  bool TakeGrant(std::size_t& size);
  bool TryTake(std::size_t size);
  template <typename Take>
  bool WaitsForShare(Take take);
  bool ClaimReserve();
  void ReleaseReserve();
  void Settle(std::uint64_t& charged, std::uint64_t held);
  void SettleCharge();
  void SettleRest();
  void ReleaseRest();
  void Consume(std::string_view received);
  void KeepRest(std::string_view in, bool in_place);
  bool IsWorthParsing(std::string_view in);
  bool StepHead(std::string_view& in);
  bool StepBody(std::string_view& in);
  bool Begin(RequestParser& parser, std::string_view head, std::string_view& in);
  Incoming& KeepRequest(RequestParser& parser, std::string_view head);
  void RefuseBody(int status);
  void OnEndOfInput(int error);
  std::string WhyBroken(int error);
  void ReleaseIncoming();
  void ReleaseBody();
  Incoming& EnsureIncoming();
  Request MakeRequest(const RequestParser& parser, const RequestTraits& traits) const;

  // Handling.
  std::uint64_t BodyBytesMax() const;
  Response TooLarge() const;
  // To what needs no handler, or no body of such a size.
  std::optional<Response> OwnAnswer(const RequestTraits& traits) const;
  std::optional<Response> CallOnHeader(const Request& request);
  bool AnswerEarly(Response response, const RequestTraits& traits, RequestParser& parser,
                   std::string_view head, std::string_view& in);
  bool KeepsUnread(const Response& response, const RequestTraits& traits) const;
  void AnswerUnread(Response response);
  Response CallOnRequest(const Request& request);
  bool HandleBody();
  void HandleOnWorker() noexcept;
  bool AnswerOrAwait(Response response, const RequestLine& line, bool keep_alive);
  void BeginHandling(const RequestLine& line, bool keep_alive);
  void Await(std::unique_ptr<PendingResponse> later, const RequestLine& line, bool keep_alive);
  void FinishHandled(Response response);

  // Output.
  void Answer(Response response, const RequestLine& line, bool keep_alive);
  std::unique_ptr<Outgoing> NewOutgoing(Response response, const ResponsePlan& plan);
  void Refuse(const Refusal& refusal);
  void Fail(int status, std::string_view message);
  void Flush();
  bool Pump();
  bool SendSegments(Outgoing& out);
  void AwaitClient(Outgoing& out);
  bool ClientIsReading(Outgoing& out);
  bool NextBatch(Outgoing& out);
  void Settle(bool unread);
  void Linger();
  void GiveUp() noexcept;
  void Close();
  void Reset();

  const Limits& limits() const { return thread_.engine().options.limits; }
  void SetDeadline(std::chrono::milliseconds timeout);
  void BeginIdling();
  void EndIdling();
  void Unpause();

  IoThread& thread_;
  HandlerMemory wait_memory_;  // to wait for input: what all of them do most of the time
  IoDescriptor descriptor_;
  SteadyTime deadline_ = SteadyTime::max();
  SteadyTime last_answer_ = SteadyTime::min();
  std::chrono::milliseconds longest_pause_{0};  // between two answers
  std::unique_ptr<Incoming> incoming_;
  std::unique_ptr<Outgoing> outgoing_;
  std::unique_ptr<LateResponse> ready_;  // came while an earlier answer is still leaving
  ByteBuffer rest_;  // received and not yet consumed: a part of a head, or what came too early
  std::uint64_t rest_charged_ = 0;  // to the budget, for `rest_`
  std::size_t head_parsed_ = 0;     // in kHead: of how much of it the parser last wanted more
  std::size_t head_scanned_ = 0;    // in kHead: where the search for its end goes on
  std::string remote_;
  unsigned operations_ = 0;  // that refer to this object
  Stage stage_ = Stage::kIdle;
  bool waiting_readable_ = false;
  bool waiting_writable_ = false;
  bool paused_ = false;
  bool has_reserve_ = false;  // of the budget; belongs to whoever has the request
  bool consuming_ = false;    // views of `rest_` are in use
  bool close_after_write_ = false;
  bool linger_ = false;
  bool served_one_ = false;
  unsigned char stray_newlines_max_ = 0;
  // Of the request in kHandling: all that its answer needs to know of it, so that a connection that
  // waits keeps nothing else.
  bool handled_is_head_ = false;
  bool handled_is_http_1_0_ = false;
  bool handled_keep_alive_ = false;
  bool handled_is_unread_ = false;  // answered early, its body is still to be dealt with
};

// Every entry from outside. `step` may close the connection, but not delete it.
template <typename Step>
void Connection::Run(Step step) {
  ++operations_;
  RunOperation(std::move(step));
}

// As Run, for the end of an operation that was counted when it began.
template <typename Step>
void Connection::RunOperation(Step step) {
  try {
    step();
  } catch (...) {
    GiveUp();
  }
  --operations_;
  if (stage_ == Stage::kClosed && operations_ == 0) delete this;
}

}  // namespace pgw::http
