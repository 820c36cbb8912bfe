// Bytes to a request: the head, and the bodies that come in chunks. Knows message and
// request_check. The grammar is Boost.Beast's, in beast_request_parser.cc; it is not seen here.
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
// bounded number of times. Keeps no bytes of its own. Not thread-safe.
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
  // have moved meanwhile. More than `bytes_max` (0: unlimited) without an end: 431.
  Progress ParseHead(std::string_view received, std::size_t bytes_max);

  // Valid after ParseHead said kDone, as long as the bytes given last stay where they are.
  const RequestLine& line() const;
  std::span<const Header> headers() const;
  std::size_t head_bytes() const;
  // Says that the head (same bytes) moved to `head`.
  void MoveHead(std::string_view head);

  // A chunked body. `received` begins with the first byte not yet consumed. Appends to `body`
  // unless that is null, and refuses (413) a body of more than `bytes_max` (0: unlimited) as soon
  // as a chunk announces it.
  Progress ParseChunks(std::string_view received, std::uint64_t bytes_max, ByteBuffer* body,
                       std::size_t& consumed);

  // Why the last step said kRefused.
  const Refusal& refusal() const;

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace pgw::http
