// Where the requests of a connection end, to a reader that takes every line feed for a line end,
// believes what it reads and refuses nothing. Shares no line with the parser under test. A server
// whose requests end elsewhere can be made to see requests that a front such as this does not see.
#pragma once

#include <algorithm>
#include <cctype>
#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

namespace pgw::fuzz {

class LenientReader {
 public:
  explicit LenientReader(std::string_view bytes) : bytes_(bytes) {}

  // The offsets behind the whole requests, at most `count` of them.
  std::vector<std::size_t> Ends(std::size_t count) {
    std::vector<std::size_t> ends;
    while (ends.size() < count && SkipRequest()) ends.push_back(at_);
    return ends;
  }

 private:
  // A line without its end. False if there is none any more.
  bool Line(std::string& line) {
    const std::size_t end = bytes_.find('\n', at_);
    if (end == std::string_view::npos) return false;
    line = bytes_.substr(at_, end - at_);
    at_ = end + 1;
    while (!line.empty() && line.back() == '\r') line.pop_back();
    return true;
  }

  bool Skip(std::size_t size) {
    if (size > bytes_.size() - at_) return false;
    at_ += size;
    return true;
  }

  static std::string Folded(std::string_view text) {
    std::string folded;
    for (const char c : text) {
      const auto byte = static_cast<unsigned char>(c);
      if (byte > ' ' && byte != 0x7f) folded += static_cast<char>(std::tolower(byte));
    }
    return folded;
  }

  bool SkipRequest() {
    std::string line;
    if (!Line(line)) return false;
    bool chunked = false;
    std::size_t length = 0;
    for (;;) {
      if (!Line(line)) return false;
      if (line.empty()) break;
      const std::size_t colon = line.find(':');
      if (colon == std::string::npos) continue;
      const std::string name = Folded(line.substr(0, colon));
      const std::string value = Folded(line.substr(colon + 1));
      if (name == "content-length") length = Number(value, 10);
      chunked |= name == "transfer-encoding" && value.find("chunked") != std::string::npos;
    }
    return chunked ? SkipChunks() : Skip(length);
  }

  bool SkipChunks() {
    std::string line;
    for (;;) {
      if (!Line(line)) return false;
      const std::size_t size = Number(Folded(line), 16);
      if (size == 0) break;
      if (!Skip(size) || !Line(line)) return false;
    }
    do {
      if (!Line(line)) return false;
    } while (!line.empty());
    return true;
  }

  // The digits `text` begins with; more than any input has if they are too many.
  static std::size_t Number(const std::string& text, std::size_t base) {
    constexpr std::string_view kDigits = "0123456789abcdef";
    std::size_t value = 0;
    for (const char c : text) {
      const std::size_t digit = kDigits.substr(0, base).find(c);
      if (digit == std::string_view::npos) break;
      value = std::min(value * base + digit, std::size_t{1} << 40);
    }
    return value;
  }

  std::string_view bytes_;
  std::size_t at_ = 0;
};

}  // namespace pgw::fuzz
