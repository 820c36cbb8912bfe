#include "bench/load/response_parser.h"

#include <algorithm>
#include <charconv>
#include <cstring>

namespace pgw::load {
namespace {

char Lower(char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c; }

bool EqualsIgnoringCase(std::string_view text, std::string_view lower) {
  return text.size() == lower.size() && std::equal(text.begin(), text.end(), lower.begin(),
                                                   [](char a, char b) { return Lower(a) == b; });
}

std::string_view Trim(std::string_view text) {
  while (!text.empty() && (text.front() == ' ' || text.front() == '\t')) text.remove_prefix(1);
  while (!text.empty() && (text.back() == ' ' || text.back() == '\t')) text.remove_suffix(1);
  return text;
}

// Whether a comma-separated list names `lower`.
bool Lists(std::string_view list, std::string_view lower) {
  while (!list.empty()) {
    const std::size_t comma = list.find(',');
    if (EqualsIgnoringCase(Trim(list.substr(0, comma)), lower)) return true;
    if (comma == std::string_view::npos) return false;
    list.remove_prefix(comma + 1);
  }
  return false;
}

bool WholeNumber(std::string_view text, int base, std::uint64_t& value) {
  const char* const end = text.data() + text.size();
  const auto [stop, error] = std::from_chars(text.data(), end, value, base);
  return !text.empty() && error == std::errc() && stop == end;
}

}  // namespace

void ResponseParser::Reset() {
  state_ = State::kStatusLine;
  started_ = false;
  keep_alive_ = true;
  chunked_ = false;
  has_length_ = false;
  gzip_ = false;
  status_ = 0;
  remaining_ = 0;
  head_bytes_ = 0;
  partial_.clear();
}

ResponseParser::Step ResponseParser::Next(std::string_view bytes) {
  Step step;
  if (bytes.empty()) return step;
  started_ = started_ || state_ != State::kDone;
  switch (state_) {
    case State::kDone:
    case State::kFailed:
      return step;
    case State::kBodyToEnd:
      step.consumed = bytes.size();
      step.body = bytes;
      return step;
    case State::kBody:
    case State::kChunk: {
      step.consumed = static_cast<std::size_t>(std::min<std::uint64_t>(remaining_, bytes.size()));
      step.body = bytes.substr(0, step.consumed);
      remaining_ -= step.consumed;
      if (remaining_ == 0) state_ = state_ == State::kBody ? State::kDone : State::kChunkEnd;
      return step;
    }
    default:
      break;
  }
  // Lines, as many as belong together: a head mostly arrives whole.
  const auto in_lines = [this] {
    return state_ == State::kStatusLine || state_ == State::kHeader || state_ == State::kTrailer ||
           state_ == State::kChunkSize || state_ == State::kChunkEnd;
  };
  while (in_lines() && step.consumed < bytes.size()) {
    std::string_view line;
    std::size_t consumed = 0;
    const bool whole = TakeLine(bytes.substr(step.consumed), consumed, line);
    step.consumed += consumed;
    head_bytes_ += consumed;
    if (head_bytes_ > kHeadBytesMax) {
      Fail();
    } else if (whole) {
      OnLine(line);
      partial_.clear();
    }
  }
  return step;
}

bool ResponseParser::TakeLine(std::string_view bytes, std::size_t& consumed,
                              std::string_view& line) {
  const void* const found = std::memchr(bytes.data(), '\n', bytes.size());
  if (found == nullptr) {
    consumed = bytes.size();
    if (head_bytes_ + consumed <= kHeadBytesMax) partial_.append(bytes);
    return false;
  }
  const auto length = static_cast<std::size_t>(static_cast<const char*>(found) - bytes.data());
  consumed = length + 1;
  line = bytes.substr(0, length);
  if (!partial_.empty()) {
    if (head_bytes_ + consumed > kHeadBytesMax) return true;  // refused by the caller
    partial_.append(line);
    line = partial_;
  }
  if (!line.empty() && line.back() == '\r') line.remove_suffix(1);
  return true;
}

void ResponseParser::OnLine(std::string_view line) {
  switch (state_) {
    case State::kStatusLine:
      OnStatusLine(line);
      break;
    case State::kHeader:
      line.empty() ? OnHeadEnd() : OnHeader(line);
      break;
    case State::kChunkSize:
      OnChunkSize(line);
      break;
    case State::kChunkEnd:
      head_bytes_ = 0;
      line.empty() ? static_cast<void>(state_ = State::kChunkSize) : Fail();
      break;
    default:  // kTrailer
      if (line.empty()) state_ = State::kDone;
      break;
  }
}

void ResponseParser::OnStatusLine(std::string_view line) {
  // HTTP/1.1 200 OK
  std::uint64_t code = 0;
  if (line.size() < 12 || !line.starts_with("HTTP/1.") || line[8] != ' ' ||
      (line[7] != '0' && line[7] != '1') || !WholeNumber(line.substr(9, 3), 10, code) ||
      code < 100 || (line.size() > 12 && line[12] != ' ')) {
    Fail();
    return;
  }
  status_ = static_cast<int>(code);
  keep_alive_ = line[7] == '1';
  state_ = State::kHeader;
}

void ResponseParser::OnHeader(std::string_view line) {
  const std::size_t colon = line.find(':');
  if (colon == std::string_view::npos || colon == 0) {
    Fail();
    return;
  }
  const std::string_view name = line.substr(0, colon);
  const std::string_view value = Trim(line.substr(colon + 1));
  // By length first: most headers are none of these.
  switch (name.size()) {
    case 10:
      if (EqualsIgnoringCase(name, "connection")) {
        if (Lists(value, "close")) keep_alive_ = false;
        if (Lists(value, "keep-alive")) keep_alive_ = true;
      }
      break;
    case 14:
      if (EqualsIgnoringCase(name, "content-length")) {
        std::uint64_t length = 0;
        if (!WholeNumber(value, 10, length) || (has_length_ && length != remaining_)) Fail();
        has_length_ = true;
        remaining_ = length;
      }
      break;
    case 16:
      if (EqualsIgnoringCase(name, "content-encoding")) gzip_ = Lists(value, "gzip");
      break;
    case 17:
      if (EqualsIgnoringCase(name, "transfer-encoding")) {
        chunked_ = EqualsIgnoringCase(value, "chunked");
        if (!chunked_) Fail();
      }
      break;
    default:
      break;
  }
}

void ResponseParser::OnHeadEnd() {
  if (status_ < 200) {  // interim: the response is still to come
    const bool started = started_;
    Reset();
    started_ = started;
    return;
  }
  head_bytes_ = 0;
  if (status_ == 204 || status_ == 304) {
    state_ = State::kDone;
  } else if (chunked_) {
    state_ = State::kChunkSize;
  } else if (has_length_) {
    state_ = remaining_ == 0 ? State::kDone : State::kBody;
  } else {
    keep_alive_ = false;
    state_ = State::kBodyToEnd;
  }
}

void ResponseParser::OnChunkSize(std::string_view line) {
  const std::string_view digits = Trim(line.substr(0, line.find(';')));
  if (!WholeNumber(digits, 16, remaining_)) {
    Fail();
    return;
  }
  head_bytes_ = 0;
  state_ = remaining_ == 0 ? State::kTrailer : State::kChunk;
}

bool ResponseParser::Close() {
  if (state_ == State::kBodyToEnd) state_ = State::kDone;
  return state_ == State::kDone;
}

}  // namespace pgw::load
