// Bytes to a request: the head, and the bodies that come in chunks (RFC 9112 §2.2, §5, §7.1).
// Knows message and request_check, which have the rules for what a line may say. Lines of a head
// may end in a line feed alone; those of chunks and trailers end in CRLF or are refused.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string_view>

#include "server/http/byte_buffer.h"
#include "server/http/message.h"
#include "server/http/request_check.h"

namespace pgw::http {

// Parses one request at a time, in as many steps as its bytes arrive in, each byte looked at a
// bounded number of times; what comes of them does not depend on the steps. Keeps no bytes of its
// own. Not thread-safe.
class RequestParser {
 public:
  enum class Progress : unsigned char { kNeedMore, kDone, kRefused };

  RequestParser();
  ~RequestParser();
  RequestParser(RequestParser&&) noexcept;
  RequestParser& operator=(RequestParser&&) noexcept;

  // Forgets everything and starts with a new request.
  void Reset();

  // `received` begins with the first byte of the request and only grows from call to call; it may
  // have moved meanwhile. Of several faults the first one is the reason of a refusal, and 431 that
  // of a line which ends beyond `bytes_max` (0: unlimited).
  Progress ParseHead(std::string_view received, std::size_t bytes_max);

  // Valid after ParseHead said kDone, as long as the bytes given last stay where they are.
  const RequestLine& line() const;
  std::span<const Header> headers() const;
  std::size_t head_bytes() const;
  // Says that the head (same bytes) moved to `head`.
  void MoveHead(std::string_view head);

  // A chunked body. `received` begins with the first byte not yet consumed. Appends to `body`
  // unless that is null, and refuses (413) a body of more than `bytes_max` (0: unlimited) as soon
  // as a chunk announces it. Lines that end in a line feed alone, and control characters or an open
  // quote in a chunk's extensions, are refused (400).
  Progress ParseChunks(std::string_view received, std::uint64_t bytes_max, ByteBuffer* body,
                       std::size_t& consumed);

  // Whether the last chunk has come and the end of the trailer has not.
  bool InTrailer() const;

  // Why the last step said kRefused.
  const Refusal& refusal() const;

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace pgw::http
