// An HTTP request and its response, whatever engine carries them. Knows base.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/clock.h"

namespace pgw::http {

struct Header {
  std::string_view name;
  std::string_view value;
};

// A view: everything belongs to the engine and lives until the handler's last call for this
// request has returned (OnRequest, or OnHeader where that answered). An answer that comes later
// does not prolong it.
struct Request {
  std::string_view method;  // as sent, case-sensitive
  // Path and query as sent, still percent-encoded; an absolute-form target is cut down to them.
  // The path is well-formed: no bad percent-escapes, no raw spaces or control characters.
  std::string_view target;
  int version_minor = 1;  // HTTP/1.0 or 1.1
  std::span<const Header> headers;
  std::string_view host;                        // the Host header, or the absolute target's
  std::optional<std::uint64_t> content_length;  // absent: chunked, or no body
  bool has_body = false;                        // chunked, or content_length > 0
  std::string_view body;            // whole, chunks joined, not yet decompressed; empty in OnHeader
  std::string_view remote_address;  // 127.0.0.1:53854, [::1]:53854
  Instant head_received{};          // when the header block was complete
  Instant received{};               // the same in OnHeader; when the body was complete in OnRequest

  // The first header of that name, compared without case.
  std::optional<std::string_view> Find(std::string_view name) const;
};

// What one send takes of a body at most: less than a segment of the loopback interface, 65,483
// bytes. Of a send that spans two segments a packet of a few bytes goes out besides, and wakes a
// reader that has caught up once more: 9.5 MB in sends of 64 KB take 5 to 6 ms, of 60,000
// bytes 1.8.
inline constexpr std::size_t kSendBytesMax = 60'000;

// A body that is produced while it is sent. Used by one thread at a time, not always the same.
class BodySource {
 public:
  virtual ~BodySource() = default;

  // Appends the next pieces of the body to the empty `pieces`, in order, none of them empty and
  // together between a few KB and about 1 MB, so that one call never holds a thread for long.
  // They stay valid until the next call or destruction. Nothing appended: the body is complete.
  virtual void Next(std::vector<std::string_view>& pieces) = 0;

  // True from the moment at which the rest of the body is not to be sent any more, for example
  // because what it keeps in memory is needed elsewhere. The engine then destroys it, and ends the
  // connection so that the client notices. It asks before each call of Next(), and when it is told
  // to ask (Server::CutOffAbandoned). Thread-safe.
  virtual bool abandoned() const noexcept { return false; }
};

struct Response;

// Where an answer goes that is not known when its handler returns. Whoever has it may move it to
// any thread and uses it once, at any time: what comes after the connection was closed, or the
// server destroyed, is dropped. One that is destroyed unused answers 500, or 503 if an exception
// destroys it, so that no client waits for ever.
class Responder {
 public:
  // The engine's end of it.
  class Sink {
   public:
    virtual ~Sink() = default;
    // Called once, on any thread. Owns itself from now on: its memory can carry the answer.
    virtual void Take(std::unique_ptr<Sink> self, Response response) noexcept = 0;
  };

  explicit Responder(std::unique_ptr<Sink> sink) noexcept : sink_(std::move(sink)) {}
  Responder(Responder&&) noexcept = default;
  Responder& operator=(Responder&& other) noexcept {
    Responder(std::move(other)).sink_.swap(sink_);
    return *this;
  }
  ~Responder();

  // `response` must be a final one; one with a `later` becomes a 500. Does not block, never runs a
  // handler, and is cheap enough for a thread that has many answers to give. Only the first call
  // counts.
  void Send(Response response) noexcept;

 private:
  std::unique_ptr<Sink> sink_;
};

// What a handler returns when it does not want to hold its thread until the answer is known.
class PendingResponse {
 public:
  virtual ~PendingResponse() = default;
  // Called once, soon after the handler returned and on the same thread, which it must not hold up.
  // The request and its body are gone. May send the answer itself. Is destroyed afterwards.
  virtual void Start(Responder responder) = 0;
};

struct Response {
  int status = 200;
  // Content-Length, Transfer-Encoding, Date and Connection are the engine's to add.
  std::vector<std::pair<std::string, std::string>> headers;
  std::string body;
  std::unique_ptr<BodySource> stream;  // if set, `body` is not used
  std::optional<std::uint64_t>
      stream_length;   // exact if given; otherwise chunked (HTTP/1.0: close)
  bool close = false;  // close the connection after this answer
  // If set, the answer comes later, and everything else here is ignored.
  std::unique_ptr<PendingResponse> later{};

  // An answer that comes later: `start(Responder)` is what PendingResponse::Start() does.
  template <typename Function>
  static Response Later(Function start);
  // Go's http.Error: text/plain, nosniff, `message` and a line feed.
  static Response PlainError(int status, std::string_view message);
  // To a request for which memory ran out: 503, try again, on another connection. Needs none
  // itself; then it has no words.
  static Response OutOfMemory() noexcept;
  // To a request whose handler failed: 500, with the same restriction.
  static Response Failed() noexcept;
};

template <typename Function>
Response Response::Later(Function start) {
  class Pending final : public PendingResponse {
   public:
    explicit Pending(Function&& start) : start_(std::move(start)) {}
    void Start(Responder responder) override { start_(std::move(responder)); }

   private:
    Function start_;
  };
  Response response;
  response.later = std::make_unique<Pending>(std::move(start));
  return response;
}

// The standard phrase (200 OK); empty for codes without one.
std::string_view ReasonPhrase(int status);

}  // namespace pgw::http
