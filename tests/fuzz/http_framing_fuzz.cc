// Request bytes through parser and checks, as a connection takes them: whatever they are and
// however they are split, the same comes out, no byte is body and request at once, and a reader
// that ends lines at every line feed finds the same requests.
//
// The first byte of the input says how the rest is split.
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <string>
#include <string_view>
#include <vector>

#include "server/http/request_parser.h"
#include "tests/fuzz/lenient_boundaries.h"

namespace {

using pgw::http::BuiltIn;
using pgw::http::ByteBuffer;
using pgw::http::CheckRequest;
using pgw::http::Refusal;
using pgw::http::RequestParser;
using pgw::http::RequestTraits;
using Progress = RequestParser::Progress;

constexpr std::size_t kHeadBytesMax = 2048;
constexpr std::uint64_t kBodyBytesMax = 1000;

void Require(bool condition, const char* what) {
  if (condition) return;
  std::fprintf(stderr, "broken: %s\n", what);
  std::abort();
}

// Everything that came of one connection.
struct Outcome {
  std::vector<std::string> requests;  // method, target, headers and body, or the refusal
  std::vector<std::size_t> ends;      // of those that are answered with less than 400
  std::size_t consumed = 0;           // bytes that belong to whole requests

  friend bool operator==(const Outcome&, const Outcome&) = default;
};

bool IsInside(std::string_view part, std::string_view whole) {
  return part.empty() ||
         (part.data() >= whole.data() && part.data() + part.size() <= whole.data() + whole.size());
}

std::string Describe(const Refusal& refusal) {
  return "refused " + std::to_string(refusal.status) + " " + std::string(refusal.detail);
}

// A connection, reduced to its reading half.
class Reader {
 public:
  explicit Reader(Outcome& outcome) : outcome_(outcome) {}

  // Takes more bytes. False when the connection would close.
  bool Feed(std::string_view bytes) {
    pending_.append(bytes);
    while (!closed_ && !pending_.empty()) {
      if (!(in_body_ ? StepBody() : StepHead())) break;
    }
    return !closed_;
  }

 private:
  bool Refuse(const Refusal& refusal) {
    outcome_.requests.push_back(Describe(refusal));
    closed_ = true;
    return false;
  }

  void Consume(std::size_t size) {
    pending_.erase(0, size);
    taken_ += size;
  }

  bool StepHead() {
    const Progress progress = parser_.ParseHead(pending_, kHeadBytesMax);
    if (progress == Progress::kRefused) return Refuse(parser_.refusal());
    if (progress == Progress::kNeedMore) {
      Require(pending_.size() <= kHeadBytesMax, "an unlimited head");
      return false;
    }
    head_ = pending_.substr(0, parser_.head_bytes());
    Require(head_.size() <= kHeadBytesMax, "a head beyond its limit");
    Require(head_.ends_with("\n\r\n") || head_.ends_with("\n\n"), "the end of the head");
    parser_.MoveHead(head_);
    if (const auto refusal = CheckRequest(parser_.line(), parser_.headers(), storage_, traits_)) {
      return Refuse(*refusal);
    }
    CheckViews();
    Consume(head_.size());
    if (traits_.content_length.value_or(0) > kBodyBytesMax) return Refuse({413});
    Require(!(traits_.chunked && traits_.content_length), "two framings");
    remaining_ = traits_.content_length.value_or(0);
    in_body_ = true;
    return (traits_.chunked && !pending_.empty()) || !traits_.chunked ? StepBody() : false;
  }

  void CheckViews() const {
    Require(IsInside(parser_.line().method, head_) && !parser_.line().method.empty(), "the method");
    Require(!traits_.target.empty(), "an empty target");
    Require(IsInside(traits_.target, head_) || traits_.target == "/" ||
                traits_.target.data() == storage_.data(),
            "a target from elsewhere");
    for (const pgw::http::Header& header : parser_.headers()) {
      Require(IsInside(header.name, head_) && IsInside(header.value, head_), "a header's place");
      Require(!header.name.empty(), "an empty name");
      Require(header.value.find_first_of(std::string_view("\r\n\0", 3)) == std::string_view::npos,
              "a line end in a value");
    }
  }

  bool StepBody() {
    if (!traits_.chunked) {
      const std::size_t size = std::min<std::size_t>(pending_.size(), remaining_);
      Require(body_.Append(std::string_view(pending_).substr(0, size)), "memory");
      Consume(size);
      remaining_ -= size;
      return remaining_ == 0 && Finish();
    }
    std::size_t consumed = 0;
    const Progress progress = parser_.ParseChunks(pending_, kBodyBytesMax, &body_, consumed);
    Require(consumed <= pending_.size(), "more consumed than there was");
    Require(body_.size() <= kBodyBytesMax, "an unlimited body");
    Consume(consumed);
    if (progress == Progress::kRefused) return Refuse(parser_.refusal());
    return progress == Progress::kDone && Finish();
  }

  bool Finish() {
    Require(!traits_.content_length || body_.size() == *traits_.content_length, "the body's size");
    std::string request = std::string(parser_.line().method) + " " + std::string(traits_.target);
    for (const pgw::http::Header& header : parser_.headers()) {
      request.append("\n").append(header.name).append(":").append(header.value);
    }
    request.append("\n\n").append(body_.view());
    outcome_.requests.push_back(std::move(request));
    outcome_.consumed = taken_;
    const bool good =
        traits_.built_in == BuiltIn::kNone || traits_.built_in == BuiltIn::kServerOptions;
    if (good) outcome_.ends.push_back(taken_);
    body_ = ByteBuffer();
    in_body_ = false;
    parser_.Reset();
    closed_ = !traits_.keep_alive || !good;
    return !closed_;
  }

  Outcome& outcome_;
  RequestParser parser_;
  std::string pending_;
  std::string head_;
  std::string storage_;
  RequestTraits traits_;
  ByteBuffer body_;
  std::uint64_t remaining_ = 0;
  std::size_t taken_ = 0;
  bool in_body_ = false;
  bool closed_ = false;
};

Outcome Run(std::string_view bytes, unsigned seed) {
  Outcome outcome;
  Reader reader(outcome);
  std::size_t step = seed == 0 ? bytes.size() : 0;
  while (!bytes.empty()) {
    if (seed != 0) {
      seed = seed * 1103515245u + 12345u;
      step = 1 + (seed >> 16) % 24;
    }
    if (!reader.Feed(bytes.substr(0, step))) break;
    bytes.remove_prefix(std::min(step, bytes.size()));
  }
  return outcome;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size == 0) return 0;
  const std::string_view bytes(reinterpret_cast<const char*>(data) + 1, size - 1);
  const Outcome whole = Run(bytes, 0);
  Require(whole.consumed <= bytes.size(), "more consumed than was sent");
  Require(Run(bytes, data[0] + 1u) == whole, "another outcome when split");
  Require(pgw::fuzz::LenientReader(bytes).Ends(whole.ends.size()) == whole.ends,
          "other requests where a line feed ends a line");
  // The requests that were complete are complete without what followed.
  const Outcome again = Run(bytes.substr(0, whole.consumed), 0);
  Require(again.requests.size() <= whole.requests.size() && again.consumed == whole.consumed,
          "a request that depends on what follows");
  return 0;
}
