// HTTP/1.x responses, taken apart as they arrive. Knows nothing of sockets or of what is in them.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

namespace pgw::load {

// One response after the other on a connection, to requests other than HEAD. Allocates only where
// a header line is split between two reads. Not thread-safe.
class ResponseParser {
 public:
  // All lines of a head, or of what follows the last chunk, together.
  static constexpr std::size_t kHeadBytesMax = 64 * 1024;

  struct Step {
    std::size_t consumed = 0;  // of the bytes that were given; 0 only for none, or after an end
    std::string_view body;     // the part of the body among them, a view of them
  };

  // Takes some of `bytes`. Call it again with the rest until done() or failed(), or nothing is
  // left.
  Step Next(std::string_view bytes);
  // The peer has closed. True if that completes the response, as it does for a body of no stated
  // length; the response is done then.
  bool Close();
  // Ready for the next response.
  void Reset();

  bool done() const { return state_ == State::kDone; }
  // What arrived is no HTTP/1.x response, or has a head beyond the limit. Stays so.
  bool failed() const { return state_ == State::kFailed; }
  // Whether any byte of this response has been seen.
  bool started() const { return started_; }

  // Once the head is complete.
  int status() const { return status_; }
  // Whether the connection may carry another response.
  bool keep_alive() const { return keep_alive_; }
  bool gzip() const { return gzip_; }

 private:
  enum class State : unsigned char {
    kStatusLine,
    kHeader,
    kBody,       // remaining_ bytes
    kBodyToEnd,  // until the peer closes
    kChunkSize,
    kChunk,
    kChunkEnd,
    kTrailer,
    kDone,
    kFailed,
  };

  // A whole line without its end, from `bytes` or from pieces; false if it goes on beyond them.
  bool TakeLine(std::string_view bytes, std::size_t& consumed, std::string_view& line);
  void OnLine(std::string_view line);
  void OnStatusLine(std::string_view line);
  void OnHeader(std::string_view line);
  void OnHeadEnd();
  void OnChunkSize(std::string_view line);
  void Fail() { state_ = State::kFailed; }

  State state_ = State::kStatusLine;
  bool started_ = false;
  bool keep_alive_ = true;
  bool chunked_ = false;
  bool has_length_ = false;
  bool gzip_ = false;
  int status_ = 0;
  std::uint64_t remaining_ = 0;
  std::size_t head_bytes_ = 0;
  std::string partial_;  // the beginning of a line that a read cut
};

}  // namespace pgw::load
